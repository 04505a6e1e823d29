//! Restores into sources that have not brought all back: a run would take what is there for all there is.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::{SyncName, words};

/// What tells one restore from another, also from one to the same place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RestoreKey {
    /// Where it goes.
    pub place: PathBuf,
    /// The command that goes on with it, as one types it in a shell.
    pub command: String,
}

/// A restore that goes into the sources of syncs, and has not brought all back: a run would take what is there for all
/// there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedRestore {
    /// Since when.
    pub since: Timestamp,
    /// What comes there: a copy, and the entry below that. `None` if that is not known, or was not always the same.
    pub origin: Option<PathBuf>,
    /// The syncs that wait for its end, or for a person's word.
    pub syncs: BTreeSet<SyncName>,
}

impl UnfinishedRestore {
    /// Whether a restore to `whole` that brought all of `origin` has brought all that this one was to bring to `place`:
    /// the same entries of the same copy. What another copy has may be less.
    #[must_use]
    pub fn is_part_of(&self, place: &Path, (whole, origin): (&Path, &Path)) -> bool {
        let below = self.origin.as_deref().and_then(|part| part.strip_prefix(origin).ok());
        below.is_some() && place.strip_prefix(whole).ok() == below
    }
}

/// Whether somebody works at a restore that is not finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestoreStage {
    /// It is under way.
    UnderWay,
    /// It was cut short, or left something out.
    Cut,
}

/// How a restore ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestoreEnding {
    /// All came back.
    Whole,
    /// Nothing was changed.
    Untouched,
    /// Something may be there, and something wanting.
    Cut,
}

words!(RestoreEnding {
    Whole = "whole",
    Untouched = "untouched",
    Cut = "cut",
});

/// A restore as it stands in the way of a sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HalfRestored {
    /// Where it goes.
    pub place: PathBuf,
    /// Since when.
    pub since: Timestamp,
    /// The command that goes on with it.
    pub command: String,
    /// Whether somebody works at it.
    pub stage: RestoreStage,
}

impl HalfRestored {
    /// What a person can do about it.
    #[must_use]
    pub fn advice(&self, sync: &SyncName) -> String {
        match self.stage {
            RestoreStage::UnderWay => "wait until it has ended".into(),
            RestoreStage::Cut => format!(
                "run `{}` until all has come back; if what is there is all that is wanted, look with `nbkpctl diff \
                 {sync}`, then `nbkpctl approve {sync}`",
                self.command
            ),
        }
    }
}

impl fmt::Display for HalfRestored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (place, since) = (self.place.display(), self.since);
        match self.stage {
            RestoreStage::UnderWay => write!(f, "a restore to {place} is under way since {since:.0}"),
            RestoreStage::Cut => write!(
                f,
                "the restore to {place} of {since:.0} did not bring all back, and what is missing would leave the copy"
            ),
        }
    }
}
