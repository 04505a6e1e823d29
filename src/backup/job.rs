//! A job: everything that a run is given; and what an errand is given, which has none where a volume is missing.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::mem::Discriminant;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::formats::text::obstacle_sentences;
use crate::model::{
    Access, Damage, DriveUuid, HoldReason, MountId, NotDone, Obstacle, PathSet, Repositories, Route, RunId, SentinelId,
    SnapshotName, Sync, SyncName, Trigger, VolumeSight,
};

/// Everything that a run needs to know. It was true when the last look was taken; the run proves it again.
#[derive(Debug, Clone)]
pub struct Job {
    /// The id of the run.
    pub run: RunId,
    /// What made it start.
    pub trigger: Trigger,
    /// The sync.
    pub sync: Sync,
    /// Where it reads.
    pub source: JobEnd,
    /// Where it writes.
    pub destination: JobEnd,
    /// The repositories that are fetched before.
    pub repositories: Option<Repositories>,
    /// The deletions that a person approved for this run.
    pub approved: Option<PathSet>,
    /// The same for files that are cut down.
    pub approved_cuts: Option<PathSet>,
    /// What is known to be damaged in its copies.
    pub damage: Damage,
    /// Whom else than this machine with its source the destination may have been written by.
    pub writers: BTreeSet<String>,
    /// Where something was mounted below the source at the last good run.
    pub submounts: BTreeSet<PathBuf>,
    /// What this machine remembers of the last copy, if it was the last run.
    pub remembered: Option<Remembered>,
    /// Whether this machine knows of earlier runs.
    pub memory: Memory,
    /// The question that a person was asked already, and has not answered: what the sync is held for.
    pub asked: Option<Discriminant<HoldReason>>,
}

/// So many damaged files a run writes anew; more are left to the next.
const MENDED: usize = 1000;

impl Job {
    /// The damaged files that the run writes anew.
    pub fn damaged(&self) -> impl Iterator<Item = &PathBuf> {
        self.damage.paths.iter().take(MENDED)
    }
}

/// Whether this machine knows of earlier runs of a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// It does.
    Kept,
    /// It knows of none: there were none, or its state was lost.
    Lost,
}

/// What the machine remembers of a copy. What lies on a drive may be forged: it restricts, and never allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remembered {
    /// The snapshot, if it was one.
    pub snapshot: Option<SnapshotName>,
    /// How many entries it had.
    pub entries: u64,
}

/// One end of a job. Where both are on a server, it is one and the same, and rsync runs there.
#[derive(Debug, Clone)]
pub enum JobEnd {
    /// It is on this machine.
    Here(LocalEnd),
    /// It is on a server.
    There(RemoteEnd),
}

impl JobEnd {
    /// The sequence number of its medium, for a drive of this machine that has one.
    #[must_use]
    pub fn medium(&self) -> Option<u64> {
        match self {
            Self::Here(end) => end.drive.as_ref()?.disk_seq,
            Self::There(_) => None,
        }
    }

    /// Whether the hook `before` may mount something there.
    #[must_use]
    pub fn may_be_mounted(&self) -> bool {
        match self {
            Self::Here(end) => end.mount.is_none(),
            Self::There(_) => false,
        }
    }

    /// The root of its volume, as a person would write it: `host:path` for a server.
    #[must_use]
    pub fn shown(&self) -> PathBuf {
        match self {
            Self::Here(end) => end.root.clone(),
            Self::There(end) => {
                let host = end.routes.first().map_or("", |route| route.endpoint.host.as_str());
                let mut shown = OsString::from(format!("{host}:"));
                shown.push(&end.root);
                shown.into()
            }
        }
    }
}

/// An end of a job on this machine.
#[derive(Debug, Clone)]
pub struct LocalEnd {
    /// The root of the volume.
    pub root: PathBuf,
    /// The mount that the root must lie on; `None` where the hook `before` may mount something there.
    pub mount: Option<MountId>,
    /// The drive that must be behind it; `None` for a plain directory.
    pub drive: Option<DriveProof>,
    /// The type of its filesystem.
    pub fs_type: String,
    /// Whether it can be written.
    pub access: Access,
    /// The id that `.nbkp-vol` must carry, if one was seen before.
    pub volume_id: Option<SentinelId>,
    /// The id that `.nbkp-src` or `.nbkp-dst` must carry, if one was seen before.
    pub end_id: Option<SentinelId>,
    /// For a source: whether it is a destination with snapshots, so that its `latest` is what is read.
    pub layout: Layout,
}

/// An end of a job on a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteEnd {
    /// The ways to the server, best first; the run takes the first that leads there. Never empty.
    pub routes: Vec<Route>,
    /// The root of the volume there: absolute, or relative to the home directory of the remote user.
    pub root: PathBuf,
    /// The id that `.nbkp-vol` must carry, if one was seen before.
    pub volume_id: Option<SentinelId>,
    /// The id that `.nbkp-src` or `.nbkp-dst` must carry, if one was seen before.
    pub end_id: Option<SentinelId>,
    /// For a source: whether it is a destination with snapshots, so that its `latest` is what is read.
    pub layout: Layout,
}

/// What lies in the directory of an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// The files themselves.
    Plain,
    /// A destination with snapshots.
    Snapshots,
}

/// What tells that the same medium is still in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriveProof {
    /// The UUID of its filesystem.
    pub uuid: DriveUuid,
    /// The number of its block device, major and minor.
    pub device: (u32, u32),
    /// The sequence number of the medium.
    pub disk_seq: Option<u64>,
}

/// How a sync stands, for an errand.
#[derive(Debug, Clone)]
pub struct SyncAsSeen {
    /// The sync.
    pub sync: Sync,
    /// How its source volume stands.
    pub source: VolumeSight,
    /// How its destination volume stands.
    pub destination: VolumeSight,
    /// Its source on a server, if it is on one, whether or not it was reached.
    pub source_server: Option<RemoteEnd>,
    /// Its destination on a server, if it is on one, whether or not it was reached.
    pub destination_server: Option<RemoteEnd>,
    /// When its last good run ended.
    pub last_success: Option<Timestamp>,
    /// What is known to be damaged in its copies.
    pub damage: Damage,
    /// Where its next sample begins, in hundredths; `None` if there was none yet.
    pub turn: Option<u8>,
    /// What stands in the way of a run.
    pub obstacles: Vec<Obstacle>,
    /// The repositories of which mirrors lie at its source.
    pub repositories: Option<Repositories>,
    /// The job of a run, if its two volumes are present (the ends themselves may still lack sentinels).
    pub job: Option<Box<Job>>,
}

/// Why something was not done, for a person.
pub(crate) fn sentence(why: &NotDone, sync: &SyncName) -> String {
    match why {
        NotDone::Skipped(obstacles) => obstacle_sentences(obstacles, sync),
        NotDone::Interrupted(_) | NotDone::Failed(_) | NotDone::Held(_) => why.to_string(),
    }
}
