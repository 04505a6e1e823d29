//! `Status`: the state of everything, exactly as the contract writes it.

use serde::{Deserialize, Serialize};

use super::{Moment, Term};
use crate::formats::text::grouped;
use crate::model::{
    CheckRecord, CheckSums, DaemonState, Freshness, Obstacle, ObstacleCode, Outcome, RunRecord, Status, Step, SyncName,
    SyncState, SyncStatus, Trigger, VolumeKind, VolumeStatus,
};

/// The version of the status; keys are added, never changed.
const VERSION: u32 = 1;

/// The state of everything at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReply {
    /// Always 1.
    pub version: u32,
    /// The daemon.
    pub daemon: DaemonInfo,
    /// The locations that are recognised.
    pub locations: Vec<String>,
    /// The network.
    pub network: Network,
    /// The volumes, by name.
    pub volumes: Vec<VolumeStatusEntry>,
    /// The syncs, by name.
    pub syncs: Vec<SyncStatusEntry>,
    /// The syncs that wait for their turn, in their order.
    pub queue: Vec<String>,
    /// The runs under way.
    pub running: Vec<RunningEntry>,
    /// The copy that is being read back; older daemons read none by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checking: Option<CheckingEntry>,
}

/// The daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonInfo {
    /// Its process id.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// When it started.
    pub started: Moment,
    /// Its state.
    pub state: Term<DaemonState>,
    /// The configuration file.
    pub config: String,
    /// Why the newest version of that file is not in force.
    pub config_error: Option<String>,
    /// Neighbours that do not work, as sentences.
    pub degraded: Vec<String>,
}

/// The network, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// Whether there is one; null if that is not known.
    pub online: Option<bool>,
    /// Whether it is metered; null if that is not known.
    pub metered: Option<bool>,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeStatusEntry {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Term<VolumeKind>,
    /// Whether it is within reach and proven.
    pub present: bool,
    /// Its root, if it is present.
    pub path: Option<String>,
    /// What keeps it from being used.
    pub obstacles: Vec<ObstacleEntry>,
}

/// An obstacle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObstacleEntry {
    /// Its code.
    pub code: Term<ObstacleCode>,
    /// What stands in the way.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

impl ObstacleEntry {
    /// An obstacle of a sync.
    #[must_use]
    pub fn new(obstacle: &Obstacle, sync: &SyncName) -> Self {
        Self { code: obstacle.code().into(), message: obstacle.to_string(), hint: obstacle.hint(sync) }
    }
}

/// A sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncStatusEntry {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: Term<SyncState>,
    /// How old its last success is.
    pub freshness: Term<Freshness>,
    /// All that stands in its way.
    pub obstacles: Vec<ObstacleEntry>,
    /// When its last success ended.
    pub last_success: Option<Moment>,
    /// Its last run.
    pub last_run: Option<RunEntry>,
    /// When the next copy is wanted.
    pub next_due: Option<Moment>,
    /// When it will be overdue.
    pub overdue_at: Option<Moment>,
    /// When it starts, if it waits for `settle` or `grace`.
    #[serde(default)]
    pub starts_at: Option<Moment>,
    /// How many files of its copies are damaged and not yet written anew; older daemons do not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damaged: Option<u64>,
    /// How many files of its source differ from copies that agree; older daemons do not know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubted: Option<u64>,
    /// When its copies were read back last, compared with something, and found to be in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_verified: Option<Moment>,
}

impl SyncStatusEntry {
    /// How many files of its copies are known to be damaged.
    #[must_use]
    pub fn damaged(&self) -> u64 {
        self.damaged.unwrap_or_default()
    }

    /// How many files of its source differ from copies that agree.
    #[must_use]
    pub fn doubted(&self) -> u64 {
        self.doubted.unwrap_or_default()
    }
}

/// The kind of a run that read a copy back.
pub const VERIFY: &str = "verify";

/// A run that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEntry {
    /// Its sync; absent where the sync is told around it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<String>,
    /// What it was, where it made no copy: `verify`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Its id.
    pub id: String,
    /// How it ended.
    pub outcome: Term<Outcome>,
    /// When it started.
    pub started: Moment,
    /// When it ended.
    pub finished: Moment,
    /// What made it start.
    pub trigger: Term<Trigger>,
    /// Regular files whose data was sent.
    pub files_transferred: u64,
    /// Bytes of file data that were sent.
    pub bytes_transferred: u64,
    /// Why it did not end well, and what to do.
    pub error: Option<String>,
    /// Entries that were deleted at the destination.
    #[serde(default)]
    pub files_deleted: u64,
    /// Entries of the source.
    #[serde(default)]
    pub entries: u64,
    /// The snapshot it made.
    #[serde(default)]
    pub snapshot: Option<String>,
    /// Whether it found nothing new, so that it made none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unchanged: Option<bool>,
    /// What a person may want to know of it all the same.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// How many files it found damaged, where it read a copy back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damaged: Option<u64>,
}

impl RunEntry {
    /// The last run of a sync.
    #[must_use]
    pub fn of_sync(record: &RunRecord) -> Self {
        Self {
            sync: None,
            kind: None,
            id: record.run.to_string(),
            outcome: record.outcome.into(),
            started: Moment(record.started),
            finished: Moment(record.finished),
            trigger: record.trigger.into(),
            files_transferred: record.figures.files_transferred,
            bytes_transferred: record.figures.bytes_transferred,
            error: record.error.clone(),
            files_deleted: record.figures.deletions,
            entries: record.figures.entries,
            snapshot: record.snapshot.filter(|_| !record.is_unchanged()).map(|snapshot| snapshot.to_string()),
            unchanged: record.is_unchanged().then_some(true),
            warnings: record.warnings.clone(),
            damaged: None,
        }
    }

    /// A check: what it counts are the files that it read.
    #[must_use]
    pub fn of_check(record: &CheckRecord) -> Self {
        let CheckSums { files, compared, passed_over, .. } = record.sums;
        let alone = (compared > 0 && compared < files).then(|| format!("{} of them compared", grouped(compared)));
        let unread = (passed_over > 0).then(|| format!("{} could not be read", grouped(passed_over)));
        let warnings = alone.into_iter().chain(unread).collect();
        Self {
            sync: Some(record.sync.to_string()),
            kind: Some(VERIFY.to_owned()),
            id: record.run.to_string(),
            outcome: record.outcome.into(),
            started: Moment(record.started),
            finished: Moment(record.finished),
            trigger: record.trigger.into(),
            files_transferred: record.sums.files,
            bytes_transferred: record.sums.bytes,
            error: record.error.clone(),
            files_deleted: 0,
            entries: 0,
            snapshot: None,
            warnings,
            unchanged: None,
            damaged: Some(record.sums.damaged),
        }
    }

    /// A run in a list of several syncs.
    #[must_use]
    pub fn in_history(record: &RunRecord) -> Self {
        Self { sync: Some(record.sync.to_string()), ..Self::of_sync(record) }
    }
}

/// A copy that is being read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckingEntry {
    /// Its sync.
    pub sync: String,
    /// When that began.
    pub started: Moment,
    /// How many files were read.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A run under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningEntry {
    /// Its sync.
    pub sync: String,
    /// Its id.
    pub run: String,
    /// The step it is in.
    pub step: Term<Step>,
    /// rsync's own estimate; null outside the copy.
    pub percent: Option<u8>,
    /// Bytes handled so far.
    pub bytes: u64,
    /// Bytes a second.
    pub rate: u64,
    /// Seconds that rsync expects to go on.
    pub eta_seconds: Option<u64>,
    /// For so many seconds nothing of it has moved, if that is long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub still_seconds: Option<u64>,
    /// True of one whose sync the configuration has no longer; absent of others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bygone: Option<bool>,
}

impl StatusReply {
    /// The state, of these syncs only if any are named. `pid` is that of the daemon.
    #[must_use]
    pub fn new(status: &Status, pid: u32, syncs: &[SyncName]) -> Self {
        let asked = |name: &SyncName| syncs.is_empty() || syncs.iter().any(|asked| name.answers_to(asked));
        Self {
            version: VERSION,
            daemon: DaemonInfo {
                pid,
                version: env!("CARGO_PKG_VERSION").to_owned(),
                started: Moment(status.started),
                state: status.state.into(),
                config: status.config.display().to_string(),
                config_error: status.config_error.clone(),
                degraded: status.degraded.values().cloned().collect(),
            },
            locations: status.locations.iter().map(ToString::to_string).collect(),
            network: Network { online: status.online, metered: status.metered },
            volumes: status.volumes.iter().map(volume).collect(),
            syncs: status.syncs.iter().filter(|sync| asked(&sync.name)).map(sync).collect(),
            queue: status.queue.iter().map(ToString::to_string).collect(),
            running: status
                .running
                .iter()
                .map(|run| RunningEntry {
                    sync: run.sync.to_string(),
                    run: run.run.to_string(),
                    step: run.progress.step.into(),
                    percent: run.progress.percent,
                    bytes: run.progress.bytes,
                    rate: run.progress.rate,
                    eta_seconds: run.progress.eta_seconds,
                    still_seconds: run.still.map(|still| still.as_secs()),
                    bygone: status.syncs.iter().all(|sync| sync.name != run.sync).then_some(true),
                })
                .collect(),
            checking: status.checking.as_ref().map(|check| CheckingEntry {
                sync: check.sync.to_string(),
                started: Moment(check.started),
                files: check.files,
                bytes: check.bytes,
            }),
        }
    }
}

fn volume(volume: &VolumeStatus) -> VolumeStatusEntry {
    let entry = |obstacle: &Obstacle| ObstacleEntry {
        code: obstacle.code().into(),
        message: obstacle.to_string(),
        hint: volume.user.as_ref().map_or_else(String::new, |sync| obstacle.hint(sync)),
    };
    VolumeStatusEntry {
        name: volume.name.to_string(),
        kind: volume.kind.into(),
        present: volume.path.is_some(),
        path: volume.path.as_ref().map(|path| path.display().to_string()),
        obstacles: volume.obstacles.iter().map(entry).collect(),
    }
}

fn sync(sync: &SyncStatus) -> SyncStatusEntry {
    SyncStatusEntry {
        name: sync.name.to_string(),
        state: sync.state.into(),
        freshness: sync.freshness.into(),
        obstacles: sync.obstacles.iter().map(|obstacle| ObstacleEntry::new(obstacle, &sync.name)).collect(),
        last_success: sync.last_success.map(Moment),
        last_run: sync.last_run.as_deref().map(RunEntry::of_sync),
        next_due: sync.next_due.map(Moment),
        overdue_at: sync.overdue_at.map(Moment),
        starts_at: sync.starts_at.map(Moment),
        damaged: Some(sync.damaged),
        doubted: Some(sync.doubted),
        last_verified: sync.last_verified.map(Moment),
    }
}
