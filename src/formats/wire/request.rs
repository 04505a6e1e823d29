//! What can be asked, as calls and as nouns.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::{Call, CallError, Mode};
use crate::model::{SyncName, VolumeName};

/// Every method that is served.
pub const METHODS: [&str; 25] = [
    "org.varlink.service.GetInfo",
    "org.varlink.service.GetInterfaceDescription",
    "org.nbkp.Daemon.Status",
    "org.nbkp.Daemon.Why",
    "org.nbkp.Daemon.Scan",
    "org.nbkp.Daemon.List",
    "org.nbkp.Daemon.Run",
    "org.nbkp.Daemon.Preview",
    "org.nbkp.Daemon.Cancel",
    "org.nbkp.Daemon.Pause",
    "org.nbkp.Daemon.Resume",
    "org.nbkp.Daemon.Hold",
    "org.nbkp.Daemon.Release",
    "org.nbkp.Daemon.Mount",
    "org.nbkp.Daemon.Unmount",
    "org.nbkp.Daemon.Eject",
    "org.nbkp.Daemon.Approve",
    "org.nbkp.Daemon.Diff",
    "org.nbkp.Daemon.History",
    "org.nbkp.Daemon.Snapshots",
    "org.nbkp.Daemon.Prune",
    "org.nbkp.Daemon.Prepare",
    "org.nbkp.Daemon.Drives",
    "org.nbkp.Daemon.Doctor",
    "org.nbkp.Daemon.Ping",
];

/// A call whose names and parameters were checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Who serves here.
    GetInfo,
    /// How an interface looks.
    GetInterfaceDescription {
        /// The interface.
        interface: String,
    },
    /// The state of these syncs and everything around them; all syncs if there are none.
    Status {
        /// The syncs.
        syncs: Vec<SyncName>,
    },
    /// Every condition of a sync.
    Why {
        /// The sync.
        sync: SyncName,
    },
    /// Look at everything again.
    Scan,
    /// What the configuration holds.
    List,
    /// Run these syncs; all that are possible if there are none.
    Run {
        /// The syncs.
        syncs: Vec<SyncName>,
        /// Whether conditions, a pause and back-off are set aside.
        force: bool,
    },
    /// What a run would do, by rsync's own dry run.
    Preview {
        /// The syncs.
        syncs: Vec<SyncName>,
    },
    /// Stop these runs; all if there are none.
    Cancel {
        /// The syncs.
        syncs: Vec<SyncName>,
    },
    /// Start nothing for this long, or until resumed.
    Pause {
        /// How long.
        length: Option<Duration>,
    },
    /// End a pause.
    Resume,
    /// Keep hands off a volume.
    Hold {
        /// The volume.
        volume: VolumeName,
    },
    /// End a hold.
    Release {
        /// The volume.
        volume: VolumeName,
    },
    /// Open a drive for a person.
    Mount {
        /// The volume.
        volume: VolumeName,
    },
    /// Close a drive: unmount it, and lock it if it is encrypted.
    Unmount {
        /// The volume.
        volume: VolumeName,
    },
    /// Close a drive and power it off.
    Eject {
        /// The volume.
        volume: VolumeName,
    },
    /// Accept what a guard stopped.
    Approve {
        /// The sync.
        sync: SyncName,
    },
    /// What a run would change.
    Diff {
        /// The sync.
        sync: SyncName,
    },
    /// The runs of the past.
    History {
        /// Of this sync, or of all.
        sync: Option<SyncName>,
        /// How many at most.
        limit: u32,
        /// Whether sums over all runs are wanted too.
        stats: bool,
    },
    /// The snapshots of these syncs; of all if there are none.
    Snapshots {
        /// The syncs.
        syncs: Vec<SyncName>,
    },
    /// Delete the snapshots that no rule wants.
    Prune {
        /// The syncs.
        syncs: Vec<SyncName>,
        /// Whether it is only told what would go.
        dry_run: bool,
    },
    /// Make what the ends of these syncs need.
    Prepare {
        /// The syncs.
        syncs: Vec<SyncName>,
    },
    /// What is plugged in.
    Drives,
    /// Test everything.
    Doctor,
    /// Nothing; it tells that the daemon answers.
    Ping,
}

/// How many runs `History` gives if it is not told how many.
const DEFAULT_LIMIT: u32 = 50;

/// The parameters of a call; each is taken once, and none may be left.
struct Parameters(Map<String, Value>);

impl Parameters {
    fn take(&mut self, key: &str) -> Option<Value> {
        self.0.remove(key).filter(|value| !value.is_null())
    }

    fn name<T: FromStr>(&mut self, key: &str) -> Result<T, CallError> {
        let value = self.take(key);
        value.as_ref().and_then(Value::as_str).and_then(|text| text.parse().ok()).ok_or_else(|| invalid(key))
    }

    fn optional_name<T: FromStr>(&mut self, key: &str) -> Result<Option<T>, CallError> {
        let Some(value) = self.take(key) else { return Ok(None) };
        value.as_str().and_then(|text| text.parse().ok()).map(Some).ok_or_else(|| invalid(key))
    }

    /// Names, each once: a message has room for a hundred thousand, and each is looked up.
    fn names<T: FromStr + Ord + Clone>(&mut self, key: &str) -> Result<Vec<T>, CallError> {
        let Some(value) = self.take(key) else { return Ok(Vec::new()) };
        let list = value.as_array().ok_or_else(|| invalid(key))?;
        let (mut names, mut seen) = (Vec::new(), BTreeSet::new());
        for value in list {
            let name: T = value.as_str().and_then(|text| text.parse().ok()).ok_or_else(|| invalid(key))?;
            if seen.insert(name.clone()) {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn flag(&mut self, key: &str) -> Result<bool, CallError> {
        self.take(key).map_or(Ok(false), |value| value.as_bool().ok_or_else(|| invalid(key)))
    }

    fn number(&mut self, key: &str) -> Result<Option<u64>, CallError> {
        self.take(key).map(|value| value.as_u64().ok_or_else(|| invalid(key))).transpose()
    }

    /// A parameter that we do not know may forbid something (`dry_run` did once): it is refused, never passed over.
    fn done(self) -> Result<(), CallError> {
        self.0.keys().next().map_or(Ok(()), |key| Err(invalid(key)))
    }
}

fn invalid(parameter: &str) -> CallError {
    CallError::InvalidParameter { parameter: parameter.to_owned() }
}

impl Request {
    /// Reads a call.
    pub fn read(call: &Call) -> Result<Self, CallError> {
        let mut parameters = Parameters(call.parameters.clone().unwrap_or_default());
        let Some(method) = METHODS.iter().find(|method| **method == call.method) else {
            let interface = call.method.rsplit_once('.').map_or("", |(interface, _)| interface);
            return Err(match interface {
                super::INTERFACE | super::SERVICE_INTERFACE => {
                    CallError::MethodNotFound { method: call.method.clone() }
                }
                _ => CallError::InterfaceNotFound { interface: interface.to_owned() },
            });
        };
        let (_, name) = method.rsplit_once('.').unwrap_or_default();
        let request = Self::of_method(name, &mut parameters)?;
        parameters.done()?;
        Ok(request)
    }

    fn of_method(name: &str, parameters: &mut Parameters) -> Result<Self, CallError> {
        Ok(match name {
            "GetInfo" => Self::GetInfo,
            "GetInterfaceDescription" => Self::GetInterfaceDescription { interface: parameters.name("interface")? },
            "Status" => Self::Status { syncs: parameters.names("syncs")? },
            "Why" => Self::Why { sync: parameters.name("sync")? },
            "Scan" => Self::Scan,
            "List" => Self::List,
            "Run" => Self::Run { syncs: parameters.names("syncs")?, force: parameters.flag("force")? },
            "Preview" => Self::Preview { syncs: parameters.names("syncs")? },
            "Cancel" => Self::Cancel { syncs: parameters.names("syncs")? },
            "Pause" => Self::Pause { length: parameters.number("seconds")?.map(Duration::from_secs) },
            "Resume" => Self::Resume,
            "Hold" => Self::Hold { volume: parameters.name("volume")? },
            "Release" => Self::Release { volume: parameters.name("volume")? },
            "Mount" => Self::Mount { volume: parameters.name("volume")? },
            "Unmount" => Self::Unmount { volume: parameters.name("volume")? },
            "Eject" => Self::Eject { volume: parameters.name("volume")? },
            "Approve" => Self::Approve { sync: parameters.name("sync")? },
            "Diff" => Self::Diff { sync: parameters.name("sync")? },
            "History" => Self::History {
                sync: parameters.optional_name("sync")?,
                limit: parameters
                    .number("limit")?
                    .map_or(DEFAULT_LIMIT, |limit| u32::try_from(limit).unwrap_or(u32::MAX)),
                stats: parameters.flag("stats")?,
            },
            "Snapshots" => Self::Snapshots { syncs: parameters.names("syncs")? },
            "Prune" => Self::Prune { syncs: parameters.names("syncs")?, dry_run: parameters.flag("dry_run")? },
            "Prepare" => Self::Prepare { syncs: parameters.names("syncs")? },
            "Drives" => Self::Drives,
            "Doctor" => Self::Doctor,
            "Ping" => Self::Ping,
            other => return Err(CallError::MethodNotImplemented { method: other.to_owned() }),
        })
    }

    /// The name of the method, without its interface.
    #[must_use]
    pub fn method(&self) -> &'static str {
        match self {
            Self::GetInfo => "GetInfo",
            Self::GetInterfaceDescription { .. } => "GetInterfaceDescription",
            Self::Status { .. } => "Status",
            Self::Why { .. } => "Why",
            Self::Scan => "Scan",
            Self::List => "List",
            Self::Run { .. } => "Run",
            Self::Preview { .. } => "Preview",
            Self::Cancel { .. } => "Cancel",
            Self::Pause { .. } => "Pause",
            Self::Resume => "Resume",
            Self::Hold { .. } => "Hold",
            Self::Release { .. } => "Release",
            Self::Mount { .. } => "Mount",
            Self::Unmount { .. } => "Unmount",
            Self::Eject { .. } => "Eject",
            Self::Approve { .. } => "Approve",
            Self::Diff { .. } => "Diff",
            Self::History { .. } => "History",
            Self::Snapshots { .. } => "Snapshots",
            Self::Prune { .. } => "Prune",
            Self::Prepare { .. } => "Prepare",
            Self::Drives => "Drives",
            Self::Doctor => "Doctor",
            Self::Ping => "Ping",
        }
    }

    /// The call that asks for it.
    #[must_use]
    pub fn call(&self, mode: Mode) -> Call {
        let syncs_of = |syncs: &[SyncName]| syncs.iter().map(ToString::to_string).collect::<Vec<_>>();
        let parameters = match self {
            Self::GetInfo | Self::Scan | Self::List | Self::Resume | Self::Drives | Self::Doctor | Self::Ping => {
                json!({})
            }
            Self::GetInterfaceDescription { interface } => json!({ "interface": interface }),
            Self::Status { syncs }
            | Self::Preview { syncs }
            | Self::Cancel { syncs }
            | Self::Snapshots { syncs }
            | Self::Prepare { syncs } => json!({ "syncs": syncs_of(syncs) }),
            Self::Run { syncs, force } => json!({ "syncs": syncs_of(syncs), "force": force }),
            Self::Prune { syncs, dry_run } => json!({ "syncs": syncs_of(syncs), "dry_run": dry_run }),
            Self::Why { sync } | Self::Approve { sync } | Self::Diff { sync } => json!({ "sync": sync.as_str() }),
            Self::Pause { length } => json!({ "seconds": length.map(|length| length.as_secs()) }),
            Self::Hold { volume }
            | Self::Release { volume }
            | Self::Mount { volume }
            | Self::Unmount { volume }
            | Self::Eject { volume } => json!({ "volume": volume.as_str() }),
            Self::History { sync, limit, stats } => {
                json!({ "sync": sync.as_ref().map(SyncName::as_str), "limit": limit, "stats": stats })
            }
        };
        let interface = match self {
            Self::GetInfo | Self::GetInterfaceDescription { .. } => super::SERVICE_INTERFACE,
            Self::Status { .. }
            | Self::Why { .. }
            | Self::Scan
            | Self::List
            | Self::Run { .. }
            | Self::Preview { .. }
            | Self::Cancel { .. }
            | Self::Pause { .. }
            | Self::Resume
            | Self::Hold { .. }
            | Self::Release { .. }
            | Self::Mount { .. }
            | Self::Unmount { .. }
            | Self::Eject { .. }
            | Self::Approve { .. }
            | Self::Diff { .. }
            | Self::History { .. }
            | Self::Snapshots { .. }
            | Self::Prune { .. }
            | Self::Prepare { .. }
            | Self::Drives
            | Self::Doctor
            | Self::Ping => super::INTERFACE,
        };
        let parameters = parameters.as_object().cloned().unwrap_or_default();
        Call::new(&format!("{interface}.{}", self.method()), parameters, mode)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Request, CallError> {
        Request::read(&Call::read(text.as_bytes()).unwrap())
    }

    /// One request of each kind.
    fn samples() -> Vec<Request> {
        let sync: SyncName = "documents@blue".parse().unwrap();
        let volume: VolumeName = "usb".parse().unwrap();
        let syncs = vec![sync.clone()];
        vec![
            Request::GetInfo,
            Request::GetInterfaceDescription { interface: "org.nbkp.Daemon".into() },
            Request::Status { syncs: syncs.clone() },
            Request::Why { sync: sync.clone() },
            Request::Scan,
            Request::List,
            Request::Run { syncs: syncs.clone(), force: true },
            Request::Preview { syncs: syncs.clone() },
            Request::Cancel { syncs: vec![] },
            Request::Pause { length: Some(Duration::from_hours(2)) },
            Request::Resume,
            Request::Hold { volume: volume.clone() },
            Request::Release { volume: volume.clone() },
            Request::Mount { volume: volume.clone() },
            Request::Unmount { volume: volume.clone() },
            Request::Eject { volume },
            Request::Approve { sync: sync.clone() },
            Request::Diff { sync: sync.clone() },
            Request::History { sync: Some(sync), limit: 7, stats: true },
            Request::Snapshots { syncs: syncs.clone() },
            Request::Prune { syncs: syncs.clone(), dry_run: true },
            Request::Prepare { syncs },
            Request::Drives,
            Request::Doctor,
            Request::Ping,
        ]
    }

    #[test]
    fn every_request_goes_there_and_back() {
        let samples = samples();
        assert_eq!(samples.len(), METHODS.len());
        for request in samples {
            let call = request.call(Mode::More);
            assert!(METHODS.contains(&call.method.as_str()), "{}", call.method);
            let mut frame = call.frame();
            frame.pop();
            let call = Call::read(&frame).unwrap();
            assert_eq!(Request::read(&call), Ok(request));
            assert_eq!(call.mode(), Mode::More);
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let invalid = |parameter: &str| Err(CallError::InvalidParameter { parameter: parameter.into() });
        assert_eq!(read(r#"{"method":"org.nbkp.Daemon.Why"}"#), invalid("sync"));
        assert_eq!(read(r#"{"method":"org.nbkp.Daemon.Why","parameters":{"sync":"-rf"}}"#), invalid("sync"));
        assert_eq!(read(r#"{"method":"org.nbkp.Daemon.Run","parameters":{"syncs":"a"}}"#), invalid("syncs"));
        assert_eq!(read(r#"{"method":"org.nbkp.Daemon.Run","parameters":{"force":1}}"#), invalid("force"));
        assert_eq!(read(r#"{"method":"org.nbkp.Daemon.Prune","parameters":{"dry-run":true}}"#), invalid("dry-run"));
        assert_eq!(read(r#"{"method":"org.nbkp.Daemon.Pause","parameters":{"seconds":-1}}"#), invalid("seconds"));
        let method = "org.nbkp.Daemon.Fly".to_owned();
        assert_eq!(read(r#"{"method":"org.nbkp.Daemon.Fly"}"#), Err(CallError::MethodNotFound { method }));
        let interface = "org.example".to_owned();
        assert_eq!(read(r#"{"method":"org.example.X"}"#), Err(CallError::InterfaceNotFound { interface }));
        assert_eq!(read(r#"{"method":""}"#), Err(CallError::InterfaceNotFound { interface: String::new() }));
    }

    #[test]
    fn a_name_that_is_given_twice_counts_once() {
        let syncs = vec!["b".parse().unwrap(), "a".parse().unwrap()];
        let call = r#"{"method":"org.nbkp.Daemon.Cancel","parameters":{"syncs":["b","a","b"]}}"#;
        assert_eq!(read(call), Ok(Request::Cancel { syncs }));
    }

    #[test]
    fn parameters_may_be_left_out_or_null() {
        assert_eq!(
            read(r#"{"method":"org.nbkp.Daemon.History","parameters":{"sync":null}}"#),
            Ok(Request::History { sync: None, limit: 50, stats: false })
        );
        assert_eq!(read(r#"{"method":"org.nbkp.Daemon.Status"}"#), Ok(Request::Status { syncs: vec![] }));
    }
}
