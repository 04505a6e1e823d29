//! What a run asks of its destination once the copy is made or has failed, and what it is answered: the same for both.

use crate::formats::log::LogRecord;
use crate::model::{Conclusion, SnapshotKind, SnapshotName, Standing};

/// The record of a run that made this and ended so, now.
pub(crate) type Account<'a> = &'a dyn Fn(Option<SnapshotName>, &Conclusion) -> LogRecord;

/// A copy that is about to become complete.
pub(crate) struct Publication<'a> {
    /// The kind of snapshots.
    pub(crate) kind: SnapshotKind,
    /// The name that it gets, if it is a snapshot.
    pub(crate) name: Option<SnapshotName>,
    /// How far it can be trusted.
    pub(crate) standing: Standing,
    /// What the log is told.
    pub(crate) account: Account<'a>,
}

/// A copy that is complete.
#[derive(Debug)]
pub(crate) struct Published {
    /// Whether the log has it; the reason if it has not. Nothing is pruned before a run is recorded.
    pub(crate) recorded: Result<(), String>,
    /// What else went wrong and stands in nobody's way.
    pub(crate) warnings: Vec<String>,
}
