//! What people decided and what was seen once, as far as it must outlive the daemon.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::{DriveUuid, End, Hardware, SentinelId, SyncName, VolumeName};

/// In which LUKS containers filesystems lie: their UUIDs, by those of the filesystems.
pub type Containers = BTreeMap<DriveUuid, DriveUuid>;

/// What people decided and what was seen once. Losing it costs questions (`device-unknown`), never safety.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ledger {
    /// The hardware that each drive was used on.
    pub hardware: BTreeMap<VolumeName, BTreeSet<Hardware>>,
    /// The LUKS containers in which the filesystems lay that drives are named by.
    pub containers: Arc<Containers>,
    /// The ids that the sentinels of volumes carried.
    pub volume_ids: BTreeMap<VolumeName, SentinelId>,
    /// The ids that the sentinels of the ends of syncs carried.
    pub end_ids: BTreeMap<(SyncName, End), SentinelId>,
    /// The volumes on which a hold lies.
    pub holds: BTreeSet<VolumeName>,
    /// The number of deletions that a person approved for the next run of a sync.
    pub approvals: BTreeMap<SyncName, u64>,
    /// Between which places the last success of a sync copied: it says nothing of others.
    pub copied: BTreeMap<SyncName, String>,
    /// The pause, if there is one.
    pub pause: Option<Pause>,
}

/// How long the daemon is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// Until this moment.
    Until(Timestamp),
    /// Until a person resumes it.
    UntilResumed,
}
