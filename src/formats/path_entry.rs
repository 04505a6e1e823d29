//! Paths in JSON.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A path: text, or its bytes where it is none.
#[derive(Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(untagged)]
pub(super) enum PathEntry {
    Text(String),
    Bytes(Vec<u8>),
}

impl From<PathEntry> for PathBuf {
    fn from(entry: PathEntry) -> Self {
        match entry {
            PathEntry::Text(text) => Self::from(text),
            PathEntry::Bytes(bytes) => Self::from(OsString::from_vec(bytes)),
        }
    }
}

impl From<&PathBuf> for PathEntry {
    fn from(path: &PathBuf) -> Self {
        match path.to_str() {
            Some(text) => Self::Text(text.to_owned()),
            None => Self::Bytes(path.as_os_str().as_bytes().to_vec()),
        }
    }
}

/// The paths that stand there.
pub(super) fn paths(entries: BTreeSet<PathEntry>) -> BTreeSet<PathBuf> {
    entries.into_iter().map(PathBuf::from).collect()
}

/// How paths stand there.
pub(super) fn entries(paths: &BTreeSet<PathBuf>) -> BTreeSet<PathEntry> {
    paths.iter().map(PathEntry::from).collect()
}
