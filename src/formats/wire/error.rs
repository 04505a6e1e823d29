//! Errors that a call can end with. Each stands in one table, from which all is made that writes and reads it.

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::formats::text::listed;

/// Makes [`CallError`] of the errors of each interface: the sentence for people, the name, and the parameters, each
/// called as on the wire.
macro_rules! errors {
    ($($interface:literal {
        $($(#[$about:meta])* $name:ident $({ $($(#[$note:meta])* $key:ident: $kind:ty,)* })?;)*
    })*) => {
        /// An error reply. What is shown says what happened and what to do.
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
        pub enum CallError {
            $($($(#[$about])* $name $({ $($(#[$note])* $key: $kind,)* })?,)*)*
            /// An error of a newer daemon.
            #[error("the daemon says {name}: {parameters}")]
            Other {
                /// The name of the error.
                name: String,
                /// Its parameters as JSON text.
                parameters: String,
            },
        }

        impl CallError {
            /// The name on the wire.
            #[must_use]
            pub fn name(&self) -> &str {
                match self {
                    $($(Self::$name { .. } => concat!($interface, ".", stringify!($name)),)*)*
                    Self::Other { name, .. } => name,
                }
            }

            /// The parameters on the wire.
            #[must_use]
            pub fn parameters(&self) -> Map<String, Value> {
                match self {
                    $($(Self::$name $({ $($key,)* })? => {
                        Map::from_iter([$($((stringify!($key).to_owned(), json!($key)),)*)?])
                    })*)*
                    Self::Other { parameters, .. } => serde_json::from_str(parameters).unwrap_or_default(),
                }
            }

            /// Reads an error reply; parameters that are missing become empty, since the name says most.
            #[must_use]
            pub fn read(name: &str, parameters: &str) -> Self {
                let given: Map<String, Value> = serde_json::from_str(parameters).unwrap_or_default();
                match name {
                    $($(concat!($interface, ".", stringify!($name)) => {
                        Self::$name $({ $($key: parameter(&given, stringify!($key)),)* })?
                    })*)*
                    _ => Self::Other { name: name.to_owned(), parameters: parameters.to_owned() },
                }
            }
        }
    };
}

errors! {
    "org.varlink.service" {
        /// There is no such interface.
        #[error("the daemon does not know the interface `{interface}`; it and the client may be of different versions")]
        InterfaceNotFound {
            /// The interface that was asked for.
            interface: String,
        };
        /// There is no such method.
        #[error("the daemon does not know the method `{method}`; it and the client may be of different versions")]
        MethodNotFound {
            /// The method that was asked for.
            method: String,
        };
        /// The method is described but not served.
        #[error("the daemon does not serve the method `{method}` yet")]
        MethodNotImplemented {
            /// The method that was asked for.
            method: String,
        };
        /// A parameter is missing, unknown or of the wrong type.
        #[error("the daemon does not accept the parameter `{parameter}` of this call")]
        InvalidParameter {
            /// The name of the parameter.
            parameter: String,
        };
    }

    "org.nbkp.Daemon" {
        /// No sync has this name.
        #[error("no sync is named `{sync}`{}", suggestion(similar, "nbkpctl list"))]
        UnknownSync {
            /// The name that was asked for.
            sync: String,
            /// Names that may have been meant.
            similar: Vec<String>,
        };
        /// No volume has this name.
        #[error("no volume is named `{volume}`{}", suggestion(similar, "nbkpctl list"))]
        UnknownVolume {
            /// The name that was asked for.
            volume: String,
            /// Names that may have been meant.
            similar: Vec<String>,
        };
        /// What was asked for is done with drives, and this volume is on none.
        #[error("volume `{volume}` is no drive: it has no `drive` in the configuration{}", all(drives, "drives"))]
        NoDrive {
            /// The volume that was asked for.
            volume: String,
            /// Those that are on drives.
            drives: Vec<String>,
        };
        /// No location has this name.
        #[error("no location is named `{location}`{}", all(known, "known"))]
        UnknownLocation {
            /// The name that was asked for.
            location: String,
            /// All that there are.
            known: Vec<String>,
        };
        /// The daemon is stopping and takes nothing on.
        #[error("the daemon is stopping; ask again once it has been started")]
        Stopping;
        /// All connections are taken.
        #[error("the daemon serves {limit} clients already; end some of them and try again")]
        TooManyConnections {
            /// How many it serves.
            limit: u64,
        };
        /// A message could not be read; the connection is closed.
        #[error("the daemon could not read the message: {reason}")]
        BadMessage {
            /// Why not.
            reason: String,
        };
        /// It did not work; the message says what and why.
        #[error("{message}")]
        Failed {
            /// A sentence for people.
            message: String,
        };
    }
}

fn suggestion(similar: &[String], otherwise: &str) -> String {
    if similar.is_empty() {
        format!("; `{otherwise}` shows the names")
    } else {
        format!("; did you mean {}?", listed(similar.iter().map(String::as_str), "or"))
    }
}

fn all(names: &[String], which: &str) -> String {
    match names {
        [] => "; there is none".to_owned(),
        names => format!("; {which}: {}", listed(names.iter().map(String::as_str), "and")),
    }
}

fn parameter<T: DeserializeOwned + Default>(given: &Map<String, Value>, key: &str) -> T {
    given.get(key).and_then(|value| T::deserialize(value).ok()).unwrap_or_default()
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
            CallError::NoDrive { volume: "a".into(), drives: vec!["b".into()] },
            CallError::UnknownLocation { location: "a".into(), known: vec!["b".into()] },
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
        let error = CallError::NoDrive { volume: "x".into(), drives: vec!["red".into(), "usb".into()] };
        let told = "volume `x` is no drive: it has no `drive` in the configuration; drives: `red` and `usb`";
        assert_eq!(error.to_string(), told);
        let error = CallError::UnknownLocation { location: "x".into(), known: vec![] };
        assert_eq!(error.to_string(), "no location is named `x`; there is none");
    }
}
