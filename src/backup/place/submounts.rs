//! The filesystems that are mounted below a source. One that is not mounted leaves an empty directory, which rsync
//! takes for the truth.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::model::{Interruption, MountId, NotDone};
use crate::os::directory::Directory;
use crate::os::mounts;

/// What is mounted below a source, by its path there: several may lie upon each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Submounts(BTreeMap<PathBuf, BTreeSet<MountId>>);

impl Submounts {
    /// Below a directory of this machine. `None` if nobody knows.
    pub(crate) fn here(source: &Directory) -> Option<Self> {
        let (path, mounts) = (source.real_path()?, mounts::read().ok()?);
        Some(Self::below(&path, mounts.into_iter().map(|mount| (mount.id, mount.point))))
    }

    /// Those of these mounts that lie below a directory.
    pub(crate) fn below(source: &Path, mounts: impl IntoIterator<Item = (MountId, PathBuf)>) -> Self {
        let mut found = Self::default();
        for (id, point) in mounts {
            match point.strip_prefix(source) {
                Ok(below) if !below.as_os_str().is_empty() => {
                    found.0.entry(below.to_owned()).or_default().insert(id);
                }
                Ok(_) | Err(_) => {}
            }
        }
        found
    }

    /// Where something is mounted.
    pub(crate) fn paths(&self) -> BTreeSet<PathBuf> {
        self.0.keys().cloned().collect()
    }

    /// Where nothing is mounted of what is remembered.
    pub(crate) fn missing(&self, remembered: &BTreeSet<PathBuf>) -> BTreeSet<PathBuf> {
        remembered.iter().filter(|path| !self.0.contains_key(*path)).cloned().collect()
    }

    /// Whether all of it is still there.
    pub(crate) fn still_there(&self, now: &Self) -> Result<(), NotDone> {
        let is_there = |path: &PathBuf, ids: &BTreeSet<MountId>| now.0.get(path).is_some_and(|now| ids.is_subset(now));
        match self.0.iter().find(|(path, ids)| !is_there(path, ids)) {
            None => Ok(()),
            Some((gone, _)) => {
                let what = format!("what was mounted at {} below it is gone", gone.display());
                Err(NotDone::Interrupted(Interruption::SourceLost(what)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mounted(points: &[(u64, &str)]) -> Submounts {
        Submounts::below(Path::new("/home/a"), points.iter().map(|(id, point)| (MountId(*id), PathBuf::from(point))))
    }

    #[test]
    fn what_is_mounted_below_is_known_by_its_path_there_and_its_ids() {
        let before = mounted(&[(1, "/"), (2, "/home/a"), (3, "/home/a/pictures"), (4, "/home/ab"), (5, "/home/a/x/y")]);
        assert_eq!(before.paths(), ["pictures", "x/y"].map(PathBuf::from).into());
        let remembered = ["pictures", "music"].map(PathBuf::from).into();
        assert_eq!(before.missing(&remembered), ["music"].map(PathBuf::from).into());
        // Something more is no loss, upon what is there or beside it; the same place with another thing is.
        let more = mounted(&[(3, "/home/a/pictures"), (5, "/home/a/x/y"), (6, "/home/a/pictures"), (7, "/home/a/z")]);
        assert!(before.still_there(&more).is_ok());
        for lost in [mounted(&[(3, "/home/a/pictures")]), mounted(&[(3, "/home/a/pictures"), (8, "/home/a/x/y")])] {
            assert!(before.still_there(&lost).is_err());
        }
    }
}
