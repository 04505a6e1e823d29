//! How a copy is made: the one place where that is chosen.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::backup::place::destination::Destination;
use crate::backup::place::marker::Earlier;
use crate::backup::place::source::CopySource;
use crate::formats::rsync::arguments::{Comparison, Manner, Unfinished, Veil};
use crate::model::{Fineness, Keeping, SnapshotKind};

/// How what changed is found. Another way to find it is another variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strategy {
    /// rsync walks both trees.
    Walk,
}

/// What the way of copying is chosen by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances<'a> {
    /// What is read.
    pub(crate) source: &'a CopySource,
    /// Where the copy goes.
    pub(crate) destination: &'a Destination,
    /// What an earlier copy left and noted.
    pub(crate) earlier: Earlier,
}

/// How a copy is made.
#[derive(Debug, Clone)]
pub(crate) struct CopyPlan {
    /// How what changed is found.
    pub(crate) strategy: Strategy,
    /// How files come to lie at the destination.
    pub(crate) manner: Manner,
    /// What tells that a file is unchanged.
    pub(crate) comparison: Comparison,
    /// How deleting is kept in bounds.
    pub(crate) restraint: Restraint,
    /// What the filesystem of the destination keeps.
    pub(crate) keeping: Keeping,
    /// What is passed over at both ends.
    pub(crate) spared: BTreeSet<PathBuf>,
    /// What of the source is left to a later call.
    pub(crate) veil: Veil,
}

/// How deleting is kept in bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Restraint {
    /// First everything is copied and nothing deleted; what would be deleted is judged, and then deleted.
    CopyFirst,
    /// The destination is a new directory, in which nothing is deleted; what it lacks is judged afterwards.
    NewDirectory,
}

/// The one place where the way of copying is chosen.
pub(crate) fn plan(manner: Manner, seen: Circumstances<'_>) -> CopyPlan {
    let strategy = match (seen.source, seen.destination) {
        (CopySource::Here(_) | CopySource::There(_), Destination::Here(_) | Destination::There(_)) => Strategy::Walk,
    };
    CopyPlan { strategy, ..walk(manner, seen.destination.keeping(), seen.earlier) }
}

/// How what would be copied is found out, where this is kept.
pub(crate) fn look(manner: Manner, keeping: Keeping) -> CopyPlan {
    walk(manner, keeping, Earlier::Nothing)
}

/// How a look is taken at a copy of this kind.
pub(crate) fn manner_of_look(kind: SnapshotKind) -> Manner {
    match kind {
        SnapshotKind::None | SnapshotKind::HardLink => Manner::Replace(Unfinished::None),
        SnapshotKind::Btrfs => Manner::InPlace,
    }
}

fn walk(manner: Manner, keeping: Keeping, earlier: Earlier) -> CopyPlan {
    let comparison = match (earlier, keeping.times) {
        (Earlier::Doubtful | Earlier::Damaged, _) => Comparison::Content,
        (Earlier::Nothing | Earlier::Trusted, Fineness::Nanoseconds) => Comparison::Nanoseconds,
        (Earlier::Nothing | Earlier::Trusted, Fineness::Seconds) => Comparison::Seconds,
        (Earlier::Nothing | Earlier::Trusted, Fineness::TwoSeconds) => Comparison::TwoSeconds,
    };
    let restraint = match manner {
        Manner::Replace(_) | Manner::InPlace => Restraint::CopyFirst,
        Manner::Link { .. } => Restraint::NewDirectory,
    };
    let (spared, veil) = (BTreeSet::new(), Veil::default());
    CopyPlan { strategy: Strategy::Walk, manner, comparison, restraint, keeping, spared, veil }
}

/// Whether an earlier copy may have left unfinished files.
pub(crate) fn unfinished(earlier: Earlier) -> Unfinished {
    match earlier {
        Earlier::Nothing => Unfinished::None,
        Earlier::Trusted | Earlier::Doubtful => Unfinished::Possible,
        // What cannot be read cannot be continued.
        Earlier::Damaged => Unfinished::None,
    }
}
