//! What can be asked. Each method stands in one table, from which all is made that reads, writes and describes calls.

use std::time::Duration;

use serde_json::Value;

use super::parameters::{Given, HistoryLimit, Parameter};
use super::{CallError, INTERFACE, MethodCall, Mode, Moment, SERVICE_INTERFACE};
use crate::model::{
    Among, Earnest, Existing, Intruding, Pruning, RestoreEnding, SampleShare, SnapshotName, SyncName, VolumeName,
    Weighing,
};

/// A method as the interface has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Method {
    /// Its interface.
    pub interface: &'static str,
    /// Its name.
    pub name: &'static str,
    /// The names of its parameters, and their types as the description writes them.
    pub parameters: &'static [(&'static str, &'static str)],
    /// What it costs.
    pub effort: Effort,
}

/// What a method costs the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// It tells what it knows.
    Light,
    /// It looks at drives, calls rsync, reads a database, or waits for the end of runs.
    Heavy,
}

/// Makes [`Request`], [`METHODS`], and what reads and writes calls, of the methods of each interface. A method is an
/// effort, a name, and its parameters, each called as on the wire.
macro_rules! methods {
    ($($interface:ident {
        $($(#[$about:meta])* $effort:ident $name:ident $({ $($(#[$note:meta])* $key:ident: $kind:ty,)* })?;)*
    })*) => {
        /// A call whose names and parameters were checked.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Request {
            $($($(#[$about])* $name $({ $($(#[$note])* $key: $kind,)* })?,)*)*
        }

        /// Every method that is served.
        pub const METHODS: &[Method] = &[$($(
            methods!(@method $interface $effort $name $($($key: $kind,)*)?),
        )*)*];

        impl Request {
            fn of(interface: &str, name: &str, given: &mut Given) -> Result<Self, CallError> {
                match (interface, name) {
                    $($(($interface, stringify!($name)) => {
                        Ok(Self::$name $({ $($key: given.take(stringify!($key))?,)* })?)
                    })*)*
                    (INTERFACE | SERVICE_INTERFACE, _) => {
                        Err(CallError::MethodNotFound { method: format!("{interface}.{name}") })
                    }
                    _ => Err(CallError::InterfaceNotFound { interface: interface.to_owned() }),
                }
            }

            /// The method, and a value for each of its parameters.
            fn parts(&self) -> (Method, Vec<Value>) {
                match self {
                    $($(Self::$name $({ $($key,)* })? => (
                        methods!(@method $interface $effort $name $($($key: $kind,)*)?),
                        vec![$($($key.write(),)*)?],
                    ),)*)*
                }
            }
        }
    };
    (@method $interface:ident $effort:ident $name:ident $($key:ident: $kind:ty,)*) => {
        Method {
            interface: $interface,
            name: stringify!($name),
            parameters: &[$((stringify!($key), <$kind as Parameter>::KIND),)*],
            effort: Effort::$effort,
        }
    };
}

methods! {
    SERVICE_INTERFACE {
        /// Who serves here.
        Light GetInfo;
        /// How an interface looks.
        Light GetInterfaceDescription {
            /// The interface.
            interface: String,
        };
    }

    INTERFACE {
        /// The state of these syncs and everything around them; all syncs if there are none.
        Light Status {
            /// The syncs.
            syncs: Vec<SyncName>,
        };
        /// Every condition of a sync.
        Light Why {
            /// The sync.
            sync: SyncName,
        };
        /// Look at everything again.
        Heavy Scan;
        /// What the configuration holds.
        Light List;
        /// Run these syncs; all that are possible if there are none.
        Heavy Run {
            /// The syncs.
            syncs: Vec<SyncName>,
            /// Whether conditions, a pause and back-off are set aside.
            force: bool,
        };
        /// What a run would do, by rsync's own dry run.
        Heavy Preview {
            /// The syncs.
            syncs: Vec<SyncName>,
        };
        /// Stop these runs; all if there are none.
        Light Cancel {
            /// The syncs.
            syncs: Vec<SyncName>,
        };
        /// Start nothing for this long, or until resumed.
        Light Pause {
            /// How long.
            seconds: Option<Duration>,
        };
        /// End a pause.
        Light Resume;
        /// Keep hands off a volume for this long, or until released.
        Heavy Hold {
            /// The volume.
            volume: VolumeName,
            /// How long.
            seconds: Option<Duration>,
        };
        /// End a hold.
        Light Release {
            /// The volume.
            volume: VolumeName,
        };
        /// Open a drive for a person.
        Heavy Mount {
            /// The volume.
            volume: VolumeName,
        };
        /// Close a drive: unmount it, and lock it if it is encrypted.
        Heavy Unmount {
            /// The volume.
            volume: VolumeName,
        };
        /// Close a drive and power it off.
        Heavy Eject {
            /// The volume.
            volume: VolumeName,
        };
        /// Accept what a guard stopped.
        Heavy Approve {
            /// The sync.
            sync: SyncName,
        };
        /// What a run would change, or what differs between two snapshots.
        Heavy Diff {
            /// The sync.
            sync: SyncName,
            /// As of when the one snapshot is, that of which is told what differs.
            older: Option<Moment>,
            /// As of when the other one is.
            newer: Option<Moment>,
        };
        /// The runs of the past.
        Heavy History {
            /// Of this sync, or of all.
            sync: Option<SyncName>,
            /// How many at most.
            limit: HistoryLimit,
            /// Whether sums over all runs are wanted too.
            stats: bool,
        };
        /// The snapshots of these syncs; of all if there are none.
        Heavy Snapshots {
            /// The syncs.
            syncs: Vec<SyncName>,
            /// Whether it is told what each weighs.
            sizes: Weighing,
        };
        /// Delete the snapshots that no rule wants.
        Heavy Prune {
            /// The syncs.
            syncs: Vec<SyncName>,
            /// Whether it is only told what would go.
            dry_run: Pruning,
        };
        /// The versions of an entry of a source.
        Heavy Versions {
            /// The entry: an absolute path, or `volume:path`.
            path: String,
        };
        /// Names in the copies.
        Heavy Find {
            /// What they fit.
            pattern: String,
            /// Whether only those are meant that the source has no more.
            deleted: Among,
            /// In the copies of these syncs; of all, if there are none.
            syncs: Vec<SyncName>,
        };
        /// Give entries of sources back.
        Heavy Restore {
            /// The entries.
            paths: Vec<String>,
            /// As of when.
            at: Option<Moment>,
            /// Into which directory, by its absolute path.
            to: Option<String>,
            /// Whether what is there and differs is overwritten.
            force: Existing,
            /// Whether it is only told what would come.
            dry_run: Earnest,
        };
        /// Let the syncs wait into whose sources entries are given back by the caller itself.
        Heavy RestoreBegins {
            /// Where to, by its absolute path.
            to: String,
            /// What a person types to go on with it.
            command: String,
            /// What comes there, by a name that is the same for the same entry of the same copy.
            origin: Option<String>,
        };
        /// Say how that ended; it was cut short where the caller leaves without a word.
        Heavy RestoreEnds {
            /// Where to, as it was said before.
            to: String,
            /// How.
            ending: RestoreEnding,
            /// What came there, as it was said before unless it turned out otherwise.
            origin: Option<String>,
        };
        /// Read copies of these syncs back and compare them; of all if there are none.
        Heavy Verify {
            /// The syncs.
            syncs: Vec<SyncName>,
            /// How much of each, in percent.
            sample: SampleShare,
            /// Which snapshot, if it is not the newest.
            snapshot: Option<SnapshotName>,
        };
        /// Make what the ends of these syncs need.
        Heavy Prepare {
            /// The syncs.
            syncs: Vec<SyncName>,
            /// What becomes of a destination in which something else lies.
            only_free: Intruding,
        };
        /// What would be done about an event that is only supposed.
        Light Simulate {
            /// The event.
            event: String,
            /// The volume that it is about.
            volume: Option<String>,
            /// The location that it is about.
            location: Option<String>,
        };
        /// What is plugged in.
        Heavy Drives;
        /// Test everything.
        Heavy Doctor;
        /// Nothing; it tells that the daemon answers.
        Light Ping;
    }
}

impl Request {
    /// Reads a call.
    pub fn read(call: &MethodCall) -> Result<Self, CallError> {
        let (interface, name) = call.method.rsplit_once('.').unwrap_or_default();
        let mut given = Given(call.parameters.clone().unwrap_or_default());
        let request = Self::of(interface, name, &mut given)?;
        given.done()?;
        Ok(request)
    }

    /// The method that is asked for.
    #[must_use]
    pub fn method(&self) -> Method {
        self.parts().0
    }

    /// The call that asks for it.
    #[must_use]
    pub fn call(&self, mode: Mode) -> MethodCall {
        let (method, values) = self.parts();
        let keys = method.parameters.iter().map(|(key, _)| (*key).to_owned());
        MethodCall::new(&method.full_name(), keys.zip(values).collect(), mode)
    }
}

impl Method {
    /// Its name with its interface: `org.nbkp.Daemon.Status`.
    #[must_use]
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.interface, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Request, CallError> {
        Request::read(&MethodCall::read(text.as_bytes()).unwrap())
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
            Request::Pause { seconds: Some(Duration::from_hours(2)) },
            Request::Resume,
            Request::Hold { volume: volume.clone(), seconds: Some(Duration::from_secs(90)) },
            Request::Release { volume: volume.clone() },
            Request::Mount { volume: volume.clone() },
            Request::Unmount { volume: volume.clone() },
            Request::Eject { volume },
            Request::Approve { sync: sync.clone() },
            Request::Diff {
                sync: sync.clone(),
                older: Some(Moment("2026-11-21T17:30:00Z".parse().unwrap())),
                newer: Some(Moment("2026-11-22T17:30:00Z".parse().unwrap())),
            },
            Request::History { sync: Some(sync), limit: HistoryLimit(7), stats: true },
            Request::Snapshots { syncs: syncs.clone(), sizes: Weighing::Wanted },
            Request::Prune { syncs: syncs.clone(), dry_run: Pruning::Pretended },
            Request::Versions { path: "/home/a/x".into() },
            Request::Find { pattern: "*.odt".into(), deleted: Among::Deleted, syncs: syncs.clone() },
            Request::Restore {
                paths: vec!["usb:x".into()],
                at: Some(Moment("2026-11-22T17:30:00Z".parse().unwrap())),
                to: Some("/tmp/x".into()),
                force: Existing::Replaced,
                dry_run: Earnest::Pretended,
            },
            Request::RestoreBegins {
                to: "/home/a".into(),
                command: "nbkpctl restore --from /m / --to /home/a".into(),
                origin: Some("/m/documents".into()),
            },
            Request::RestoreEnds { to: "/home/a".into(), ending: RestoreEnding::Untouched, origin: None },
            Request::Verify {
                syncs: syncs.clone(),
                sample: SampleShare::percent(5).unwrap(),
                snapshot: Some("2026-11-22T17:30:00.000Z".parse().unwrap()),
            },
            Request::Prepare { syncs, only_free: Intruding::Refused },
            Request::Simulate { event: "plug".into(), volume: Some("usb".into()), location: None },
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
            assert!(METHODS.contains(&request.method()) && call.method == request.method().full_name());
            let mut frame = call.frame();
            frame.pop();
            let call = MethodCall::read(&frame).unwrap();
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
            Ok(Request::History { sync: None, limit: HistoryLimit(50), stats: false })
        );
        assert_eq!(read(r#"{"method":"org.nbkp.Daemon.Status"}"#), Ok(Request::Status { syncs: vec![] }));
    }
}
