//! The steps of a run.

use crate::model::words;

/// The steps of a run, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The repositories are fetched whose mirrors are copied.
    Fetch,
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
    /// The hook behind it runs.
    After,
    /// What the run set up is undone.
    Undo,
}

words!(Step {
    Fetch = "fetch",
    Prove = "prove",
    Lock = "lock",
    Recover = "recover",
    Before = "before",
    Copy = "copy",
    Judge = "judge",
    Flush = "flush",
    Commit = "commit",
    Record = "record",
    Prune = "prune",
    After = "after",
    Undo = "undo",
});
