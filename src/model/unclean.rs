//! Filesystems that should be checked.

/// A filesystem that was not closed cleanly, or has errors, and is mounted all the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unclean {
    /// What is wrong with it: "it has errors".
    pub why: String,
    /// The command that checks and mends it once it is unmounted.
    pub command: String,
}
