//! Errands: what people ask for beside runs. They need how things stand, and work at the destinations themselves.

use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use crate::daemon::messages::ask::Refusal;
use crate::formats::wire::{
    CheckEnd, CheckNews, Diagnosis, FindEnd, FindNews, Prepared, PreviewEnd, PreviewLine, Pruned, RestoreEnd,
    RestoreNews, Snapshots, Versions,
};
use crate::model::{CheckWish, FindWish, Intruding, Pruning, RestoreWish, SyncName, Weighing};

/// An errand; an empty list of syncs means all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Errand {
    /// Make what both ends of syncs need.
    Prepare(Vec<SyncName>, Intruding),
    /// Tell what runs would do, changing nothing.
    Preview(Vec<SyncName>),
    /// Tell what differs between the snapshots of two moments.
    Between(SyncName, [Timestamp; 2]),
    /// List the snapshots, and why each stays or goes.
    Snapshots(Vec<SyncName>, Weighing),
    /// Delete the snapshots that no rule wants.
    Prune(Vec<SyncName>, Pruning),
    /// Tell the versions of an entry.
    Versions(String),
    /// Tell names in the copies.
    Find(FindWish),
    /// Give entries back.
    Restore(RestoreWish),
    /// Read copies back and compare them.
    Verify(Vec<SyncName>, CheckWish),
    /// Test everything that backups depend on.
    Doctor,
}

/// An errand on its way.
#[derive(Debug)]
pub struct ErrandOrder {
    /// What is to be done.
    pub errand: Errand,
    /// The way back. Whoever ordered may leave; what was begun is then finished all the same.
    pub news: mpsc::Sender<ErrandNews>,
    /// One of the few places for errands; it is free again once the errand has ended, not when whoever ordered it left.
    pub place: OwnedSemaphorePermit,
}

/// What comes back of an errand: any number of lines, then the result.
#[derive(Debug, Clone)]
pub enum ErrandNews {
    /// A line of a preview.
    Line(PreviewLine),
    /// Names that were found, and how far the search is.
    Finding(FindNews),
    /// How far a restore is.
    Restoring(RestoreNews),
    /// How far a check is.
    Checking(CheckNews),
    /// It is done.
    Done(ErrandResult),
}

/// The result of an errand.
#[derive(Debug, Clone)]
pub enum ErrandResult {
    /// What was made.
    Prepared(Prepared),
    /// What would change.
    Previewed(PreviewEnd),
    /// The snapshots.
    Snapshots(Snapshots),
    /// What was deleted.
    Pruned(Pruned),
    /// The versions.
    Versions(Versions),
    /// How a search ended.
    Found(FindEnd),
    /// What was given back.
    Restored(RestoreEnd),
    /// What was found in copies.
    Checked(CheckEnd),
    /// What was tested.
    Diagnosed(Diagnosis),
    /// Nothing was done, for this reason.
    Refused(Refusal),
}
