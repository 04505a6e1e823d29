//! The state of everything, as it is shown.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{LocationName, Obstacle, Progress, RunId, RunRecord, SyncName, VolumeKind, VolumeName, words};

/// The state of everything at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The state of the daemon.
    pub state: DaemonState,
    /// When the daemon started.
    pub started: Timestamp,
    /// The configuration file in force.
    pub config: PathBuf,
    /// Why the newest version of the configuration file is not in force.
    pub config_error: Option<String>,
    /// Neighbours that do not work, as sentences.
    pub degraded: BTreeMap<&'static str, String>,
    /// The locations that are recognised, by name.
    pub locations: Vec<LocationName>,
    /// Whether there is a network; `None` if that is not known.
    pub online: Option<bool>,
    /// Whether one of the ways out is metered; `None` if that is not known.
    pub metered: Option<bool>,
    /// The volumes, by name.
    pub volumes: Vec<VolumeStatus>,
    /// The syncs, by name.
    pub syncs: Vec<SyncStatus>,
    /// The syncs that wait for their turn, in the order in which they will run.
    pub queue: Vec<SyncName>,
    /// The runs under way.
    pub running: Vec<RunningNow>,
    /// The check under way.
    pub checking: Option<Checking>,
}

/// A check under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checking {
    /// The sync whose copy is read back.
    pub sync: SyncName,
    /// When that began.
    pub started: Timestamp,
    /// How many files were read so far.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// The state of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DaemonState {
    /// Nothing runs.
    Idle,
    /// At least one run is under way.
    Running,
    /// A person paused it.
    Paused,
}

words!(DaemonState {
    Idle = "idle",
    Running = "running",
    Paused = "paused",
});

/// The state of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeStatus {
    /// Its name.
    pub name: VolumeName,
    /// What it is.
    pub kind: VolumeKind,
    /// Its root, if it is present.
    pub path: Option<PathBuf>,
    /// What keeps it from being used.
    pub obstacles: Vec<Obstacle>,
    /// A sync that uses it, for hints that name one.
    pub user: Option<SyncName>,
}

/// The state of a sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncStatus {
    /// Its name.
    pub name: SyncName,
    /// Its state.
    pub state: SyncState,
    /// How old its last success is.
    pub freshness: Freshness,
    /// All that stands in its way.
    pub obstacles: Vec<Obstacle>,
    /// When its last success ended.
    pub last_success: Option<Timestamp>,
    /// Its last run.
    pub last_run: Option<Arc<RunRecord>>,
    /// When the next copy is wanted.
    pub next_due: Option<Timestamp>,
    /// When it will be overdue.
    pub overdue_at: Option<Timestamp>,
    /// When it will start, if it waits for `settle` or `grace`.
    pub starts_at: Option<Timestamp>,
    /// How many files of its copies are damaged and not yet written anew.
    pub damaged: u64,
    /// How many files of its source differ from copies that agree.
    pub doubted: u64,
    /// When its copies were read back last, compared with something, and found to be in order.
    pub last_verified: Option<Timestamp>,
}

/// The states of a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncState {
    /// The configuration disables it.
    Disabled,
    /// Obstacles stand in its way.
    Waiting,
    /// It is possible, and no copy is wanted.
    Idle,
    /// It waits for its turn.
    Queued,
    /// It runs.
    Running,
    /// A person must approve.
    Held,
    /// It is possible, and its last run failed.
    Failing,
}

words!(SyncState {
    Disabled = "disabled",
    Waiting = "waiting",
    Idle = "idle",
    Queued = "queued",
    Running = "running",
    Held = "held",
    Failing = "failing",
});

/// How old the last success of a sync is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// There is none.
    Never,
    /// Younger than `max-age`.
    Fresh,
    /// Older than `max-age`.
    Overdue,
}

words!(Freshness {
    Never = "never",
    Fresh = "fresh",
    Overdue = "overdue",
});

/// A run under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningNow {
    /// Its sync.
    pub sync: SyncName,
    /// The volume that it writes to.
    pub destination: VolumeName,
    /// Its id.
    pub run: RunId,
    /// How far it is.
    pub progress: Progress,
    /// For how long nothing of it has moved, if that is long.
    pub still: Option<Duration>,
}
