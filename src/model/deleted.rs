//! What is deleted of a copy.

use std::ffi::OsString;
use std::path::PathBuf;

/// Entries of one directory that are deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeletedNames {
    /// The directory, below the copy; empty for the copy itself.
    pub parent: PathBuf,
    /// What they are.
    pub kind: DeletedKind,
    /// Their names.
    pub names: Vec<OsString>,
}

/// What is deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeletedKind {
    /// No directory.
    Other,
    /// A directory, if it is empty.
    Directory,
}
