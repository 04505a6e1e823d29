//! Pruning: snapshots that no rule wants are deleted, each with its reason.

use std::path::{Path, PathBuf};

use crate::backup::session::stop::Stops;
use crate::backup::snapshots::shelf::Shelf;
use crate::decide::retention::{self, Candidate, Verdict};
use crate::model::layout::{LOCK, OWN};
use crate::model::{Conclusion, Keep, Now, SnapshotName, SyncName};
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

/// The snapshots that go by the rules of `keep`.
#[must_use]
pub fn victims(snapshots: &[Candidate], keep: Keep, now: &Now) -> Vec<Victim> {
    let decisions = retention::plan(snapshots, keep, &now.zone, now.wall);
    let victim = |decision: retention::Decision| match decision.verdict {
        Verdict::Keep(_) => None,
        Verdict::Prune(reason) => Some(Victim { name: decision.name, reason: reason.to_string() }),
    };
    decisions.into_iter().filter_map(victim).collect()
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

/// Deletes the victims at a destination on which no run is under way, under its lock. Returns what could not be
/// deleted, as sentences.
pub fn prune_at(destination: &Directory, victims: &[Victim], sync: &SyncName) -> Result<Vec<String>, PruneError> {
    let own = destination.open_below(Path::new(OWN), Reach::SameMount)?;
    let lock = files::lock(&own, LOCK, Hold::Alone)?.ok_or_else(|| PruneError::Taken(own.path_of(LOCK)))?;
    let Some(shelf) = Shelf::open_at(destination)? else { return Ok(Vec::new()) };
    let warnings = victims.iter().filter_map(|victim| discard(&shelf, victim, sync).err()).collect();
    drop(lock);
    Ok(warnings)
}

/// Deletes the victims, oldest first. Each is put out of sight at one stroke first, so that none is ever half there.
/// Returns what could not be deleted, as sentences.
pub(crate) fn prune(
    shelf: &Shelf,
    victims: &[Victim],
    sync: &SyncName,
    stops: &mut Stops,
) -> Result<Vec<String>, Conclusion> {
    let mut warnings = Vec::new();
    for victim in victims {
        stops.check()?;
        warnings.extend(discard(shelf, victim, sync).err());
    }
    Ok(warnings)
}

fn discard(shelf: &Shelf, victim: &Victim, sync: &SyncName) -> Result<(), String> {
    let Victim { name, reason } = victim;
    shelf.discard(&name.to_string()).map_err(|error| format!("the snapshot {name} was not pruned: {error}"))?;
    tracing::info!(nbkp.sync = %sync, "{sync}: pruned the snapshot {name}: {reason}");
    Ok(())
}
