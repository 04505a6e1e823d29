//! Pruning: snapshots that no rule wants, each with its reason, and letting them go where no run is under way.

use std::path::{Path, PathBuf};

use crate::backup::snapshots::deeds::discard_all;
use crate::decide::retention::{self, Candidate, Fate};
use crate::model::layout::{LOCK, OWN};
use crate::model::{Now, Retention, SnapshotName, TidyDeed};
use crate::os::directory::{Directory, DirectoryError, Reach};
use crate::os::files::{self, Hold};

/// A snapshot that goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Victim {
    /// Its name.
    pub name: SnapshotName,
    /// Why it goes.
    pub reason: String,
}

/// The snapshots that go by the rules of `keep`, oldest first.
#[must_use]
pub fn victims(snapshots: &[Candidate], keep: Retention, now: &Now) -> Vec<Victim> {
    let decisions = retention::plan(snapshots, keep, &now.zone, now.wall);
    let victim = |decision: retention::Decision| match decision.verdict {
        Fate::Keep(_) => None,
        Fate::Prune(reason) => Some(Victim { name: decision.name, reason: reason.to_string() }),
    };
    decisions.into_iter().filter_map(victim).collect()
}

/// What lets them go.
pub(crate) fn deeds(victims: &[Victim]) -> Vec<TidyDeed> {
    victims.iter().map(|victim| TidyDeed::Discard(victim.name.to_string())).collect()
}

/// Why nothing was pruned.
#[derive(Debug, thiserror::Error)]
pub enum PruneError {
    /// Another process works at the destination.
    #[error("lock {}: another process works there", .0.display())]
    Taken(PathBuf),
    /// The destination could not be used.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

/// Deletes the victims at a destination on this machine on which no run is under way, under its lock. Returns what
/// could not be deleted, as sentences.
pub fn prune_at(destination: &Directory, victims: &[Victim]) -> Result<Vec<String>, PruneError> {
    let own = destination.open_below(Path::new(OWN), Reach::SameMount)?;
    let lock = files::lock(&own, LOCK, Hold::Alone)?.ok_or_else(|| PruneError::Taken(own.path_of(LOCK)))?;
    let warnings = discard_all(destination, victims.iter().map(|victim| victim.name.to_string()))?;
    drop(lock);
    Ok(warnings)
}
