//! The replies of all methods but `Status`, `List` and `Drives`.

use serde::{Deserialize, Serialize};

use super::{Moment, ObstacleEntry, RunEntry, RunningEntry, Term};
use crate::model::{Closed, DriveName, Freshness, KeepReason, Left, Standing, SyncState, words};

/// `GetInfo`: who serves here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceInfo {
    /// Who makes it.
    pub vendor: String,
    /// What it is.
    pub product: String,
    /// Its version.
    pub version: String,
    /// Where to read about it.
    pub url: String,
    /// The interfaces it serves.
    pub interfaces: Vec<String>,
}

/// `GetInterfaceDescription`: how an interface looks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceDescription {
    /// The description in Varlink's interface definition language.
    pub description: String,
}

/// It is done; there is nothing to tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoneReply {}

/// `Why`: every condition of a sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// The sync.
    pub sync: String,
    /// Its state.
    pub state: Term<SyncState>,
    /// How old its last success is.
    pub freshness: Term<Freshness>,
    /// Every condition, met or not.
    pub conditions: Vec<Condition>,
    /// Whether a copy is wanted, and why or since when not.
    pub due: String,
    /// What would make it run, as a sentence.
    pub next: String,
}

/// One condition of a sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// What it is about: `source volume`, `destination sentinel`, `hours`, …
    pub subject: String,
    /// Whether it is met.
    pub met: bool,
    /// Its value, as a sentence.
    pub value: String,
    /// What to do, if it is not met.
    pub hint: Option<String>,
}

/// `Run`, while it goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunProgress {
    /// What became of the request; only in the first reply.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<AcceptedSync>,
    /// The runs under way that were asked for.
    #[serde(default)]
    pub running: Vec<RunningEntry>,
    /// The syncs that were asked for and wait for their turn.
    #[serde(default)]
    pub queue: Vec<String>,
    /// The runs that have ended since the last reply.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ended: Vec<RunEntry>,
}

/// What became of a request for one sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptedSync {
    /// The sync.
    pub sync: String,
    /// Whether it was queued.
    pub queued: bool,
    /// What stands in its way, if not.
    pub obstacles: Vec<ObstacleEntry>,
}

/// `Run`, at its end; without `more` at once after queueing, with no runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEnd {
    /// What became of the request.
    pub accepted: Vec<AcceptedSync>,
    /// The runs, in the order in which they ended.
    pub runs: Vec<RunEntry>,
    /// The syncs that did not run after all.
    pub dropped: Vec<SyncProblem>,
}

/// A sync with which something was not possible.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncProblem {
    /// The sync.
    pub sync: String,
    /// What is wrong, and what to do.
    pub message: String,
}

/// `Cancel`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancelled {
    /// The syncs that ran or waited.
    pub cancelled: Vec<String>,
}

/// `Approve`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approved {
    /// What was accepted, as sentences; empty if nothing was held.
    pub approved: Vec<String>,
}

/// `RestoreBegins`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreAwaited {
    /// The syncs that wait for its end.
    pub syncs: Vec<String>,
}

/// `Mount`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mounted {
    /// Where the drive is mounted.
    pub path: String,
}

/// `Unmount` and `Eject`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedDrive {
    /// Whether nothing of the drive is in use any more.
    pub safe_to_remove: bool,
    /// Whether it is powered off.
    pub powered_off: bool,
    /// How it was left, as a sentence.
    pub message: String,
}

impl ClosedDrive {
    /// How this drive was left.
    #[must_use]
    pub fn new(drive: &DriveName, left: &Left) -> Self {
        let (safe_to_remove, powered_off) = match left {
            Left::Safe(Closed::PoweredOff) => (true, true),
            Left::Safe(Closed::PluggedIn) | Left::Gone => (true, false),
            Left::AsFound | Left::Shared(_) | Left::InUse(_) | Left::Stuck(_) | Left::OutOfReach(_) => (false, false),
        };
        let message = left.sentence(drive).unwrap_or_else(|| match left {
            Left::Gone => format!("{drive} is not plugged in any more"),
            Left::AsFound | Left::Safe(_) | Left::Shared(_) | Left::InUse(_) | Left::Stuck(_) | Left::OutOfReach(_) => {
                format!("{drive} stays as it was")
            }
        });
        Self { safe_to_remove, powered_off, message }
    }
}

/// `Preview`, line by line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewLine {
    /// The sync.
    pub sync: String,
    /// What the line is.
    pub kind: Term<PreviewLineKind>,
    /// The line.
    pub text: String,
}

/// What a line of a preview is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PreviewLineKind {
    /// A command that a run would execute.
    Command,
    /// A change that rsync would make, as it itemises it.
    Change,
    /// Something that nbkp itself would do.
    Action,
    /// What a person has to know: why the run would be held, what would be missing.
    Note,
}

words!(PreviewLineKind {
    Command = "command",
    Change = "change",
    Action = "action",
    Note = "note",
});

/// `Preview` and `Diff`, at their end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewEnd {
    /// The sums.
    pub syncs: Vec<DiffSummary>,
    /// The syncs that could not be previewed.
    pub problems: Vec<SyncProblem>,
}

/// `Preview` and `Diff` in one piece, for those who read no streams.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WholePreview {
    /// The sums.
    pub syncs: Vec<DiffSummary>,
    /// The syncs that could not be previewed.
    pub problems: Vec<SyncProblem>,
    /// What would happen, line by line.
    pub lines: Vec<PreviewLine>,
}

/// What a run of one sync would change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiffSummary {
    /// The sync.
    pub sync: String,
    /// Entries that would be created.
    pub created: u64,
    /// Files whose content would be changed.
    pub changed: u64,
    /// Entries of which only the attributes would be changed.
    pub attributes: u64,
    /// Entries that would be deleted.
    pub deleted: u64,
    /// Bytes of the files that would be sent.
    pub bytes: u64,
    /// The two snapshots that were compared, the older one first; absent where it is told what a run would change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub between: Option<[String; 2]>,
}

/// `Snapshots`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshots {
    /// The snapshots, by sync, oldest first.
    pub snapshots: Vec<SnapshotEntry>,
    /// The syncs whose snapshots could not be read.
    #[serde(default)]
    pub problems: Vec<SyncProblem>,
}

/// A snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotEntry {
    /// Its sync.
    pub sync: String,
    /// Its name.
    pub name: String,
    /// Where it lies.
    pub path: String,
    /// The rules that keep it; empty if it goes with the next prune.
    pub keep: Vec<Term<KeepReason>>,
    /// How far it can be trusted; an older daemon did not tell.
    #[serde(default)]
    pub standing: Option<Term<Standing>>,
    /// When no rule will want it any more, if copies go on to be made as often as the last ones; absent if it goes with
    /// the next prune, stays for ever, or nobody can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goes: Option<Moment>,
    /// The bytes that deleting it alone would free; absent if that was not asked for, or nobody knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frees: Option<u64>,
    /// If nobody knows: the bytes of the files that it holds and the one before it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<u64>,
}

/// `Prune`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruned {
    /// The snapshots that no rule wants.
    pub pruned: Vec<PrunedSnapshot>,
    /// What could not be done.
    pub problems: Vec<SyncProblem>,
}

/// A snapshot that no rule wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrunedSnapshot {
    /// Its sync.
    pub sync: String,
    /// Its name.
    pub name: String,
    /// Where it lies or lay.
    pub path: String,
    /// Why it goes.
    pub reason: String,
    /// Whether it is gone.
    pub removed: bool,
}

/// `Prepare`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// The syncs.
    pub syncs: Vec<PreparedSync>,
}

/// What was made for a sync.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreparedSync {
    /// The sync.
    pub sync: String,
    /// What was made, as sentences.
    pub made: Vec<String>,
    /// What was there already, as sentences.
    pub already: Vec<String>,
    /// What could not be made, and what to do.
    pub problems: Vec<String>,
}
