//! What people ask for beside runs: prepare, preview, snapshots, prune. Each may wait for a slow drive, and confines
//! its thread where it writes.

pub mod listing;
pub mod made;
pub mod prepare;
pub mod preview;
pub mod there;

use crate::backup::job::{Job, RemoteEnd};
use crate::formats::text::obstacle_sentences;
use crate::model::{NotDone, Obstacle, Sync, SyncName, VolumeSight};

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
    /// What stands in the way of a run.
    pub obstacles: Vec<Obstacle>,
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
