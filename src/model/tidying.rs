//! What lies at a destination with snapshots, and what puts it in order.

use crate::model::{SnapshotName, layout};

/// Something that puts the snapshots of a destination in order: done here, or sent to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TidyDeed {
    /// Makes the directory of snapshots.
    MakeDirectory,
    /// Deletes an entry of it, whole or not.
    Discard(String),
    /// Makes the unfinished copy of this name a basis of the next.
    KeepAsBasis(String),
    /// Takes out of `staging` what this finished copy does not hold, or all if there is none, so that the filesystem
    /// gives the space back.
    Relieve(Option<SnapshotName>),
    /// Removes a link that was about to become `latest`.
    RemoveLink(String),
    /// Points `latest` to a snapshot; to nothing if there is none.
    PointLatest(Option<SnapshotName>),
}

/// What lies in `snapshots`, as far as it is ours. What a name says is all that counts: a directory with the name of a
/// time is complete, one that begins with a dot is not.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SnapshotEntries {
    /// The complete ones, oldest first.
    pub complete: Vec<SnapshotName>,
    /// The unfinished ones, by what comes behind their prefix, oldest first.
    pub in_progress: Vec<String>,
    /// Those that serve as a basis, the same.
    pub stale: Vec<String>,
    /// What is being deleted, by whole name.
    pub trash: Vec<String>,
}

/// What sort of entry it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryIs {
    /// A directory.
    Directory,
    /// Anything else.
    Other,
}

impl SnapshotEntries {
    /// Adds an entry; what is not ours is passed over.
    pub fn add(&mut self, name: &str, is: EntryIs) {
        if name.starts_with(layout::TRASH) {
            self.trash.push(name.to_owned());
        } else if is == EntryIs::Other {
        } else if let Some(made) = name.strip_prefix(layout::IN_PROGRESS) {
            self.in_progress.push(made.to_owned());
        } else if let Some(made) = name.strip_prefix(layout::STALE) {
            self.stale.push(made.to_owned());
        } else if let Ok(name) = name.parse() {
            self.complete.push(name);
        }
    }

    /// Puts them in order, once all are added.
    pub fn sort(&mut self) {
        self.complete.sort_unstable();
        for names in [&mut self.in_progress, &mut self.stale, &mut self.trash] {
            names.sort_unstable();
        }
    }
}

/// What is left on a filesystem for whoever asks; `None` where it does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FreeSpace {
    /// Bytes.
    pub bytes: Option<u64>,
    /// Inodes.
    pub inodes: Option<u64>,
}
