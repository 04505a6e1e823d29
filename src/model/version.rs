//! Versions of a file: what copies hold under its name.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::model::{SnapshotName, Standing, SyncName, words};

/// What a name stands for in a copy. Links are not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A FIFO, a socket or a device.
    Special,
}

words!(EntryKind {
    File = "file",
    Directory = "directory",
    Link = "link",
    Special = "special",
});

/// How an entry is, as far as versions of it are told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryState {
    /// What it is.
    pub kind: EntryKind,
    /// Its size in bytes; that of a directory says nothing.
    pub size: u64,
    /// When it was changed last.
    pub modified: Timestamp,
    /// Where a link points.
    pub target: Option<PathBuf>,
}

/// How far a copy is away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Remoteness {
    /// It is on this machine.
    Here,
    /// It is on a server.
    Server,
}

/// One copy of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyId {
    /// The sync that made it.
    pub sync: SyncName,
    /// The snapshot, where there is more than one copy.
    pub snapshot: Option<SnapshotName>,
    /// When the source was like it, if that is known.
    pub made: Option<Timestamp>,
    /// How far it can be trusted.
    pub standing: Standing,
    /// How far it is away.
    pub remoteness: Remoteness,
}

/// What a copy holds under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldEntry {
    /// The copy.
    pub copy: CopyId,
    /// How the entry is there.
    pub state: EntryState,
}

/// What becomes of files that are there when others are restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// They stay.
    Stays,
    /// They become as the copy has them.
    Replaced,
}

/// Whether something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Earnest {
    /// It is.
    Real,
    /// It is only told what would be done.
    Pretended,
}

/// Among which names in the copies somebody looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Among {
    /// All.
    All,
    /// Those that the source has no more.
    Deleted,
}

/// Which names in the copies a person looks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindWish {
    /// A pattern, as a shell has it.
    pub pattern: String,
    /// Among which of them.
    pub among: Among,
    /// In the copies of these syncs; of all, if there are none.
    pub syncs: Vec<SyncName>,
}

/// What a person wants back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreWish {
    /// Entries of sources: absolute paths, or `volume:path`.
    pub paths: Vec<String>,
    /// As of when; as they were last, if that is not said.
    pub at: Option<Timestamp>,
    /// Into which directory; to their places, if that is not said.
    pub to: Option<PathBuf>,
    /// What becomes of what is there.
    pub existing: Existing,
    /// Whether anything is done.
    pub earnest: Earnest,
}
