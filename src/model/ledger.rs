//! What people decided and what was seen once, as far as it must outlive the daemon.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use super::{
    CheckRounds, Damage, DriveUuid, End, Hardware, PathSet, RestoreKey, SentinelId, StandingHold, Stranger, SyncName,
    UnfinishedRestore, VolumeName,
};

/// In which LUKS containers filesystems lie: their UUIDs, by those of the filesystems.
pub type Containers = BTreeMap<DriveUuid, DriveUuid>;

/// What people decided and what was seen once. Losing it costs questions (`device-unknown`), and that runs wait for
/// restores that were cut short; nothing else that copies are safe by.
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
    /// The volumes on which a hold lies, and how long it does.
    pub holds: BTreeMap<VolumeName, Pause>,
    /// What each sync is held for, until a person approves or the question no longer stands.
    pub held: BTreeMap<SyncName, StandingHold>,
    /// The deletions that a person approved for the next run of a sync.
    pub approvals: BTreeMap<SyncName, PathSet>,
    /// The same for files that are cut down.
    pub approved_cuts: BTreeMap<SyncName, PathSet>,
    /// As whom this machine wrote the destination of each sync, and whose it may be by a person's word.
    pub writers: BTreeMap<SyncName, BTreeSet<String>>,
    /// Where something was mounted below the source of a sync at its last success.
    pub submounts: BTreeMap<SyncName, BTreeSet<PathBuf>>,
    /// Between which places the last success of a sync copied: it says nothing of others.
    pub copied: BTreeMap<SyncName, Places>,
    /// Since when each sync has been known, and between which directories.
    pub known: BTreeMap<SyncName, (Timestamp, String)>,
    /// What checks found damaged, until it is mended.
    pub damaged: BTreeMap<SyncName, Damage>,
    /// Where the next sample of each sync begins, in hundredths.
    pub turns: BTreeMap<SyncName, u8>,
    /// How far the checks of each sync are that are made by themselves.
    pub rounds: BTreeMap<SyncName, CheckRounds>,
    /// The restores that go into sources and have not brought all back.
    pub restores: BTreeMap<RestoreKey, UnfinishedRestore>,
    /// The pause, if there is one.
    pub pause: Option<Pause>,
}

impl Ledger {
    /// The hardware on which a drive was never used, though it is seen on it now. Where it was used on hardware that
    /// tells who it is, hardware that tells nothing is another one.
    #[must_use]
    pub fn unknown_hardware(&self, volume: &VolumeName, seen: Option<&Hardware>) -> Option<(Hardware, Stranger)> {
        let known = self.hardware.get(volume);
        let seen = match (seen, known) {
            // Its header and what is in it are learnt when it is used for the first time.
            (Some(seen), None) if seen.is_bare() => return None,
            (Some(seen), _) => seen.clone(),
            (None, _) => known.map(|_| Hardware::nameless())?,
        };
        let strangers = known.into_iter().flatten().map(|known| seen.stranger(known));
        // What differs least tells most.
        let least = strangers.min_by_key(|stranger| match stranger {
            None => 0,
            Some(Stranger::Inside) => 1,
            Some(Stranger::Header) => 2,
            Some(Stranger::Device) => 3,
        });
        least.unwrap_or(Some(Stranger::Device)).map(|stranger| (seen, stranger))
    }
}

/// Between which places a sync copies, whatever their volumes are called.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Places {
    /// The directories, and the UUIDs of drives; of a server its directory alone.
    pub roots: String,
    /// What each server among them is known by: the ways that lead to it, or the drive in it.
    pub servers: BTreeMap<End, BTreeSet<String>>,
}

/// Whether a sync still leads where it led.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kinship {
    /// It does.
    Same,
    /// The directories are the same, but nobody wrote down on which server.
    Unknown,
    /// It leads elsewhere.
    Other,
}

impl Places {
    /// Whether these, which were written down, are those that a sync names now. One way in common makes it the same
    /// server: ways to it are added and taken away, while one that leads to another is another way.
    #[must_use]
    pub fn kinship(&self, now: &Self) -> Kinship {
        if self.roots != now.roots {
            return Kinship::Other;
        }
        let known = |(end, ways): (&End, &BTreeSet<String>)| self.servers.get(end).map(|old| !old.is_disjoint(ways));
        let servers: Vec<Option<bool>> = now.servers.iter().map(known).collect();
        if servers.contains(&Some(false)) {
            Kinship::Other
        } else if servers.contains(&None) {
            Kinship::Unknown
        } else {
            Kinship::Same
        }
    }
}

/// How long the daemon is paused, or a hold lies on a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pause {
    /// Until this moment.
    Until(Timestamp),
    /// Until a person ends it.
    UntilResumed,
}

impl Pause {
    /// When it ends by itself, if it does.
    #[must_use]
    pub fn until(self) -> Option<Timestamp> {
        match self {
            Self::Until(until) => Some(until),
            Self::UntilResumed => None,
        }
    }
}
