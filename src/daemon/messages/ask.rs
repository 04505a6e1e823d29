//! What clients ask of the dispatcher. Each question carries the way back for its answer.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::backup::job::SyncAsSeen;
use crate::model::{
    BlockDevice, CheckRecord, CheckReport, Containers, DriveName, Forecast, Left, LocationName, Obstacle,
    RestoreEnding, RestoreKey, RunRecord, SampleShare, Supposition, SyncName, UnfinishedRestore, VolumeName, WhenDone,
};

/// A question or a command of a client. The state itself is not asked for: it is published as `Status`.
#[derive(Debug)]
pub enum Ask {
    /// Look at everything again; answered once the look is taken.
    Scan {
        /// The way back.
        answer: oneshot::Sender<()>,
    },
    /// Run these syncs now; all that are possible if there are none.
    Run {
        /// The syncs, by whole name or base.
        syncs: Vec<SyncName>,
        /// Whether conditions (`when`), pauses, back-off and due times are set aside. Proofs and guards never are.
        urgency: Urgency,
        /// The way back: what was queued and what cannot run, or why nothing was done.
        answer: oneshot::Sender<Result<Vec<Accepted>, Refusal>>,
        /// Told the end of each sync that was queued, exactly once each; has room for all.
        ends: mpsc::Sender<RequestEnd>,
    },
    /// Stop these runs and take them out of the queue; all if there are none.
    Cancel {
        /// The syncs.
        syncs: Vec<SyncName>,
        /// The way back: those that were running or queued.
        answer: oneshot::Sender<Result<Vec<SyncName>, Refusal>>,
    },
    /// Start nothing until then.
    Pause {
        /// For how long; `None` until resumed.
        length: Option<Duration>,
        /// The way back.
        answer: oneshot::Sender<()>,
    },
    /// Start runs again.
    Resume {
        /// The way back.
        answer: oneshot::Sender<()>,
    },
    /// Keep hands off a volume: nothing starts on it, what runs on it is stopped.
    Hold {
        /// The volume.
        volume: VolumeName,
        /// For how long; `None` until released.
        length: Option<Duration>,
        /// The way back, once nothing runs on it any more.
        answer: oneshot::Sender<Result<(), Refusal>>,
    },
    /// End a hold, and take back a drive that its user had unmounted.
    Release {
        /// The volume.
        volume: VolumeName,
        /// The way back.
        answer: oneshot::Sender<Result<(), Refusal>>,
    },
    /// Open a drive for a person, who closes it.
    Mount {
        /// The volume.
        volume: VolumeName,
        /// The way back: where it is mounted.
        answer: oneshot::Sender<Result<PathBuf, Refusal>>,
    },
    /// Close a drive: what runs on it is stopped, and it stays alone until it is plugged in again.
    Unmount {
        /// The volume.
        volume: VolumeName,
        /// How far it is closed.
        then: WhenDone,
        /// The way back: how it was left.
        answer: oneshot::Sender<Result<(DriveName, Left), Refusal>>,
    },
    /// Accept what a guard stopped, unknown hardware, or another sentinel id.
    Approve {
        /// The sync.
        sync: SyncName,
        /// The way back: what was approved, as sentences; empty if nothing was held.
        answer: oneshot::Sender<Result<Vec<String>, Refusal>>,
    },
    /// How these syncs stand, for an errand; all if there are none.
    Prospects {
        /// The syncs.
        syncs: Vec<SyncName>,
        /// The way back.
        answer: oneshot::Sender<Result<Vec<SyncAsSeen>, Refusal>>,
    },
    /// What would be done about something that is only supposed.
    Simulate {
        /// What that is.
        what: Supposition,
        /// The way back.
        answer: oneshot::Sender<Result<Forecast, Refusal>>,
    },
    /// The devices that are plugged in, and in which containers lie the filesystems that drives are named by.
    Devices {
        /// The way back.
        answer: oneshot::Sender<(Vec<BlockDevice>, Arc<Containers>)>,
    },
    /// The same as the last look found them: nothing is looked at for it.
    KnownDevices {
        /// The way back.
        answer: oneshot::Sender<(Vec<BlockDevice>, Arc<Containers>)>,
    },
    /// An errand (verify) read copies: what it found.
    Checked {
        /// What that is.
        report: Box<CheckReport>,
        /// The same for the history.
        record: Box<CheckRecord>,
        /// How much of the copy was read.
        share: SampleShare,
        /// Where the next sample begins.
        turn: u8,
        /// The way back, once it is kept.
        answer: oneshot::Sender<()>,
    },
    /// An errand (restore) goes into the sources of syncs.
    RestoreBegins {
        /// Where it goes, and how it goes on should it be cut short.
        key: RestoreKey,
        /// What it brings, and who waits for its end.
        restore: UnfinishedRestore,
        /// The way back: why it must not begin now, if it must not.
        answer: oneshot::Sender<Result<(), Refusal>>,
    },
    /// It has ended.
    RestoreEnds {
        /// Which it was.
        key: RestoreKey,
        /// What it brought, as far as that is known.
        origin: Option<PathBuf>,
        /// How.
        ending: RestoreEnding,
        /// The way back.
        answer: oneshot::Sender<()>,
    },
    /// An errand (prepare) changed sentinels: look again, and learn these.
    Prepared {
        /// The syncs that were prepared.
        syncs: Vec<SyncName>,
        /// The way back, once the look is taken.
        answer: oneshot::Sender<()>,
    },
}

/// How much a person wants a run; what comes later counts more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Now, if conditions allow.
    Asked,
    /// Now, whatever `when`, a pause or a back-off say.
    Forced,
}

/// What became of a request for one sync.
#[derive(Debug, Clone)]
pub struct Accepted {
    /// The sync.
    pub sync: SyncName,
    /// What stands in its way; empty if it was queued.
    pub obstacles: Vec<Obstacle>,
}

/// How a requested sync ended.
#[derive(Debug, Clone)]
pub enum RequestEnd {
    /// It ran.
    Ran(Box<RunRecord>),
    /// It did not run after all: obstacles came up, or it was cancelled.
    Dropped {
        /// The sync.
        sync: SyncName,
        /// What stood in its way.
        obstacles: Vec<Obstacle>,
    },
}

/// Why nothing was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// No sync has this name; these are close.
    UnknownSync(SyncName, Vec<SyncName>),
    /// No volume has this name; these are close.
    UnknownVolume(VolumeName, Vec<VolumeName>),
    /// This volume is on no drive; these are.
    NoDrive(VolumeName, Vec<VolumeName>),
    /// No location has this name; these are all.
    UnknownLocation(LocationName, Vec<LocationName>),
    /// It cannot be done, for this reason.
    Failed(String),
    /// The daemon is stopping.
    Stopping,
}
