//! Where something that is restored goes.

use std::path::{Path, PathBuf};

use crate::backup::failure::{could_not, words};
use crate::backup::restore::sought::SoughtEntry;
use crate::model::layout::DESTINATION_SENTINEL;
use crate::model::{Earnest, VolumeSight};
use crate::os::approach::approach;
use crate::os::directory::{Directory, Kind, Reach};
use crate::os::entry;

/// A directory to restore into, and what comes there.
#[derive(Debug)]
pub(crate) struct Aim {
    /// The directory, which is there.
    pub(crate) directory: Directory,
    /// The same below the copy: what is restored is taken from there.
    pub(crate) base: PathBuf,
    /// What is restored, below both; `.` for all.
    pub(crate) item: PathBuf,
    /// What is missing of the directory, for who only asks what would be done; `.` otherwise.
    pub(crate) missing: PathBuf,
}

impl Aim {
    /// To its place: into the innermost directory that is left of where it was.
    pub(crate) fn in_place(sought: &SoughtEntry<'_>) -> Result<Self, String> {
        let (VolumeSight::Present(present), None) = (&sought.seen.source, &sought.seen.source_server) else {
            return Err(format!(
                "the source of `{}` ({}) is not on this machine now; say where to with `--to DIR`",
                sought.seen.sync.name, sought.seen.sync.source
            ));
        };
        // Like a run: what is a link below the volume leads nowhere.
        let source = sought.seen.sync.source.subdir.as_path();
        let top = Directory::open_root(&present.root)
            .and_then(|root| root.open_below(source, Reach::AnyMount))
            .map_err(|error| format!("{}; make the directory, or say where to with `--to DIR`", could_not(&error)))?;
        let mut parents = sought.below.ancestors().skip(1);
        let left = parents
            .find_map(|base| Some((top.open_below(base, Reach::AnyMount).ok()?, base)))
            .map(|(directory, base)| (directory, base.to_owned()));
        let (directory, base) = match left {
            Some(left) => left,
            // All of the source.
            None => (top, PathBuf::new()),
        };
        let first = sought.below.strip_prefix(&base).ok().and_then(|rest| rest.components().next());
        let is_itself = sought.below.strip_prefix(&base).is_ok_and(|rest| rest.components().count() <= 1);
        if let (Some(first), false) = (first, is_itself)
            && directory.kind_of(first.as_os_str()).is_ok_and(|kind| kind != Kind::Nothing)
        {
            let at = directory.path_of(first.as_os_str());
            return Err(format!(
                "{} was a directory when this was copied, and is something else now: move it away, or use `--to DIR`",
                at.display()
            ));
        }
        let item = sought.below.strip_prefix(&base).ok().filter(|item| !item.as_os_str().is_empty());
        let item = item.map_or_else(|| PathBuf::from("."), Path::to_owned);
        Self { directory, base, item, missing: PathBuf::from(".") }.allowed()
    }

    /// Into this directory, which is made if it is missing.
    pub(crate) fn into(to: &Path, below: &Path, earnest: Earnest) -> Result<Self, String> {
        let (directory, missing) = approach(to, earnest).map_err(|error| could_not(&error))?;
        let item = below.file_name().map_or_else(|| PathBuf::from("."), PathBuf::from);
        let base = below.parent().unwrap_or(Path::new("")).to_owned();
        let missing = if missing.as_os_str().is_empty() { PathBuf::from(".") } else { missing };
        Self { directory, base, item, missing }.allowed()
    }

    /// Where it comes to, for people.
    pub(crate) fn shown(&self) -> PathBuf {
        self.directory.path().join(&self.missing).join(&self.item).components().collect()
    }

    /// Where it really comes to.
    pub(crate) fn landing(&self) -> PathBuf {
        let directory = self.directory.real_path().unwrap_or_else(|| self.directory.path().to_owned());
        directory.join(&self.missing).join(&self.item).components().collect()
    }

    fn allowed(self) -> Result<Self, String> {
        let at = self.directory.path().display();
        let real = self.directory.real_path().unwrap_or_default();
        if let Some(backup) = entry::above_with(&real, DESTINATION_SENTINEL) {
            let backup = backup.display();
            return Err(format!("{at} lies in a backup ({backup}), and nothing is restored into one; use `--to DIR`"));
        }
        match entry::forbids_writing(&self.directory) {
            Some(cause) => {
                let why = words(cause);
                Err(format!("nothing can be written to {at}: {why}; use `--to DIR`, or ask as its owner"))
            }
            None => Ok(self),
        }
    }
}
