//! Errors that a call can end with.

use serde_json::{Map, Value, json};

use crate::formats::text::listed;

/// An error reply. What is shown says what happened and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// There is no such interface.
    #[error("the daemon does not know the interface `{interface}`; it and the client may be of different versions")]
    InterfaceNotFound {
        /// The interface that was asked for.
        interface: String,
    },
    /// There is no such method.
    #[error("the daemon does not know the method `{method}`; it and the client may be of different versions")]
    MethodNotFound {
        /// The method that was asked for.
        method: String,
    },
    /// The method is described but not served.
    #[error("the daemon does not serve the method `{method}` yet")]
    MethodNotImplemented {
        /// The method that was asked for.
        method: String,
    },
    /// A parameter is missing, unknown or of the wrong type.
    #[error("the daemon does not accept the parameter `{parameter}` of this call")]
    InvalidParameter {
        /// The name of the parameter.
        parameter: String,
    },
    /// No sync has this name.
    #[error("no sync is named `{sync}`{}", suggestion(similar, "nbkpctl list"))]
    UnknownSync {
        /// The name that was asked for.
        sync: String,
        /// Names that may have been meant.
        similar: Vec<String>,
    },
    /// No volume has this name.
    #[error("no volume is named `{volume}`{}", suggestion(similar, "nbkpctl list"))]
    UnknownVolume {
        /// The name that was asked for.
        volume: String,
        /// Names that may have been meant.
        similar: Vec<String>,
    },
    /// The daemon is stopping and takes nothing on.
    #[error("the daemon is stopping; ask again once it has been started")]
    Stopping,
    /// All connections are taken.
    #[error("the daemon serves {limit} clients already; end some of them and try again")]
    TooManyConnections {
        /// How many it serves.
        limit: u64,
    },
    /// A message could not be read; the connection is closed.
    #[error("the daemon could not read the message: {reason}")]
    BadMessage {
        /// Why not.
        reason: String,
    },
    /// It did not work; the message says what and why.
    #[error("{message}")]
    Failed {
        /// A sentence for people.
        message: String,
    },
    /// An error of a newer daemon.
    #[error("the daemon says {name}: {parameters}")]
    Other {
        /// The name of the error.
        name: String,
        /// Its parameters as JSON text.
        parameters: String,
    },
}

fn suggestion(similar: &[String], otherwise: &str) -> String {
    if similar.is_empty() {
        format!("; `{otherwise}` shows the names")
    } else {
        format!("; did you mean {}?", listed(similar.iter().map(String::as_str), "or"))
    }
}

impl CallError {
    /// The name on the wire.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::InterfaceNotFound { .. } => "org.varlink.service.InterfaceNotFound",
            Self::MethodNotFound { .. } => "org.varlink.service.MethodNotFound",
            Self::MethodNotImplemented { .. } => "org.varlink.service.MethodNotImplemented",
            Self::InvalidParameter { .. } => "org.varlink.service.InvalidParameter",
            Self::UnknownSync { .. } => "org.nbkp.Daemon.UnknownSync",
            Self::UnknownVolume { .. } => "org.nbkp.Daemon.UnknownVolume",
            Self::Stopping => "org.nbkp.Daemon.Stopping",
            Self::TooManyConnections { .. } => "org.nbkp.Daemon.TooManyConnections",
            Self::BadMessage { .. } => "org.nbkp.Daemon.BadMessage",
            Self::Failed { .. } => "org.nbkp.Daemon.Failed",
            Self::Other { name, .. } => name,
        }
    }

    /// The parameters on the wire.
    #[must_use]
    pub fn parameters(&self) -> Map<String, Value> {
        let object = match self {
            Self::InterfaceNotFound { interface } => json!({ "interface": interface }),
            Self::MethodNotFound { method } | Self::MethodNotImplemented { method } => json!({ "method": method }),
            Self::InvalidParameter { parameter } => json!({ "parameter": parameter }),
            Self::UnknownSync { sync, similar } => json!({ "sync": sync, "similar": similar }),
            Self::UnknownVolume { volume, similar } => json!({ "volume": volume, "similar": similar }),
            Self::Stopping => json!({}),
            Self::TooManyConnections { limit } => json!({ "limit": limit }),
            Self::BadMessage { reason } => json!({ "reason": reason }),
            Self::Failed { message } => json!({ "message": message }),
            Self::Other { parameters, .. } => serde_json::from_str(parameters).unwrap_or_default(),
        };
        match object {
            Value::Object(map) => map,
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
        }
    }

    /// Reads an error reply; parameters that are missing become empty, since the name says most.
    #[must_use]
    pub fn read(name: &str, parameters: &str) -> Self {
        let map: Map<String, Value> = serde_json::from_str(parameters).unwrap_or_default();
        let text = |key: &str| map.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let texts = |key: &str| {
            let list = map.get(key).and_then(Value::as_array).into_iter().flatten();
            list.filter_map(Value::as_str).map(ToOwned::to_owned).collect()
        };
        match name {
            "org.varlink.service.InterfaceNotFound" => Self::InterfaceNotFound { interface: text("interface") },
            "org.varlink.service.MethodNotFound" => Self::MethodNotFound { method: text("method") },
            "org.varlink.service.MethodNotImplemented" => Self::MethodNotImplemented { method: text("method") },
            "org.varlink.service.InvalidParameter" => Self::InvalidParameter { parameter: text("parameter") },
            "org.nbkp.Daemon.UnknownSync" => Self::UnknownSync { sync: text("sync"), similar: texts("similar") },
            "org.nbkp.Daemon.UnknownVolume" => {
                Self::UnknownVolume { volume: text("volume"), similar: texts("similar") }
            }
            "org.nbkp.Daemon.Stopping" => Self::Stopping,
            "org.nbkp.Daemon.TooManyConnections" => {
                Self::TooManyConnections { limit: map.get("limit").and_then(Value::as_u64).unwrap_or_default() }
            }
            "org.nbkp.Daemon.BadMessage" => Self::BadMessage { reason: text("reason") },
            "org.nbkp.Daemon.Failed" => Self::Failed { message: text("message") },
            _ => Self::Other { name: name.to_owned(), parameters: parameters.to_owned() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_goes_there_and_back() {
        for error in [
            CallError::InterfaceNotFound { interface: "a.b".into() },
            CallError::MethodNotFound { method: "a.b.C".into() },
            CallError::MethodNotImplemented { method: "a.b.C".into() },
            CallError::InvalidParameter { parameter: "syncs".into() },
            CallError::UnknownSync { sync: "a".into(), similar: vec!["b".into()] },
            CallError::UnknownVolume { volume: "a".into(), similar: vec![] },
            CallError::Stopping,
            CallError::TooManyConnections { limit: 64 },
            CallError::BadMessage { reason: "r".into() },
            CallError::Failed { message: "m".into() },
            CallError::Other { name: "x.Y".into(), parameters: "{\"a\":1}".into() },
        ] {
            let parameters = serde_json::to_string(&error.parameters()).unwrap();
            assert_eq!(CallError::read(error.name(), &parameters), error);
        }
    }

    #[test]
    fn an_unknown_name_comes_with_what_may_be_meant() {
        let error = CallError::UnknownSync { sync: "foto".into(), similar: vec!["photos".into(), "photo".into()] };
        assert_eq!(error.to_string(), "no sync is named `foto`; did you mean `photos` or `photo`?");
        let error = CallError::UnknownVolume { volume: "x".into(), similar: vec![] };
        assert_eq!(error.to_string(), "no volume is named `x`; `nbkpctl list` shows the names");
    }
}
