//! The steps of a run.

/// The steps of a run, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Both roots are opened and proven to be the right ones.
    Prove,
    /// The lock at the destination is taken.
    Lock,
    /// What an earlier run left is put right.
    Recover,
    /// The `before` hook runs.
    Before,
    /// rsync copies.
    Copy,
    /// Exit code, identity and guard are judged.
    Judge,
    /// Everything is flushed to the device.
    Flush,
    /// The finished copy gets its name; `latest` moves.
    Commit,
    /// The run is written to the log of the destination.
    Record,
    /// Snapshots that no rule wants are deleted.
    Prune,
    /// What the run set up is undone.
    Undo,
}

impl Step {
    /// The word used in JSON and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prove => "prove",
            Self::Lock => "lock",
            Self::Recover => "recover",
            Self::Before => "before",
            Self::Copy => "copy",
            Self::Judge => "judge",
            Self::Flush => "flush",
            Self::Commit => "commit",
            Self::Record => "record",
            Self::Prune => "prune",
            Self::Undo => "undo",
        }
    }
}
