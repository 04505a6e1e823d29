//! Files that would be cut down: to nothing, or to a small part of what they were. A full disk, a broken program or one
//! that encrypts does that to many at once.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::backup::copy::call::Copying;
use crate::backup::failure::of_directory;
use crate::backup::place::way::{CopyWay, Target};
use crate::decide::guard::{self, Cuts};
use crate::formats::fingerprint;
use crate::formats::rsync::output::{OutputLine, unescaped};
use crate::model::{HoldReason, NotDone, PathSet, Step};
use crate::os::directory::Reach;
use crate::os::tree;

/// So many entries are looked at before a copy; of a larger tree a sample.
const SAMPLE: u64 = 2000;

/// Files that are there and would get, or got, another size, as rsync tells them, and how many would be written anew.
#[derive(Debug, Default)]
pub(crate) struct ContentChanges {
    resized: Vec<(PathBuf, u64)>,
    replaced: u64,
}

impl ContentChanges {
    /// Takes what a line of rsync's output says.
    pub(crate) fn hear(&mut self, said: &OutputLine) {
        let OutputLine::Changed(item) = said else { return };
        let Some(how) = item.how.strip_prefix(['<', '>']).and_then(|how| how.strip_prefix('f')) else { return };
        if how.starts_with('+') {
            return;
        }
        self.replaced = self.replaced.saturating_add(1);
        if how.get(1..2) == Some("s") {
            let name = unescaped(&item.name);
            self.resized.push((PathBuf::from(OsStr::from_bytes(&name)), item.bytes));
        }
    }

    /// How many files have another size.
    pub(crate) fn resized(&self) -> u64 {
        u64::try_from(self.resized.len()).unwrap_or(u64::MAX)
    }

    /// How many files are written anew.
    pub(crate) fn replaced(&self) -> u64 {
        self.replaced
    }

    /// How many of them are cut down, compared with what lies there now. At a server only what is cut to nothing shows.
    fn cut(&self, target: &Target<'_>) -> Result<PathSet, NotDone> {
        let mut cut = PathSet::default();
        for (path, now) in &self.resized {
            let before = match target {
                Target::There(_) => u64::from(*now == 0),
                Target::Here(here) => {
                    let parent = path.parent().unwrap_or(Path::new(""));
                    let Ok(parent) = here.directory.open_below(parent, Reach::AnyMount) else { continue };
                    let size = parent.file_size(path.file_name().unwrap_or_default());
                    size.map_err(|error| of_directory(Step::Judge, &error))?.unwrap_or(0)
                }
            };
            if guard::is_cut(before, *now) {
                cut.add(fingerprint::of_path(path));
            }
        }
        Ok(cut)
    }

    /// The same, and of how many, as a look told it.
    pub(crate) fn cuts(&self, target: &Target<'_>, regular_files: u64) -> Result<Cuts, NotDone> {
        Ok(Cuts { paths: self.cut(target)?, of: regular_files, against: None })
    }

    /// Why a run would be held whose look told these.
    pub(crate) fn hold(&self, copying: &Copying<'_>, regular_files: u64) -> Result<Option<HoldReason>, NotDone> {
        Ok(guard::hold_cuts(copying.sync.guard, self.cuts(copying.target, regular_files)?, copying.approved_cuts))
    }
}

/// Whether it may be that too many files are cut down. On this machine the sizes at both ends tell, and empty files at
/// a source here; where an end is at a server, a look costs as much as the copy, and is taken where that is little.
pub(crate) fn may_cut(copying: &Copying<'_>) -> Result<bool, NotDone> {
    let count = |old, new, is_cut: fn(u64, u64) -> bool| {
        let seen = tree::census(old, new, SAMPLE, is_cut).map_err(|error| of_directory(Step::Judge, &error))?;
        // A sample may see less than there is.
        Ok(guard::is_too_cut(copying.sync.guard, seen.cut().saturating_mul(2), seen.files))
    };
    let is_small = copying.remembered.is_none_or(|entries| entries <= SAMPLE);
    match &copying.way {
        CopyWay::Here(source, target) => count(&target.directory, source, guard::is_cut),
        CopyWay::Push(source, _) if !is_small => count(source, source, |_, size| size == 0),
        CopyWay::Push(..) | CopyWay::Pull(..) | CopyWay::There(_) => Ok(is_small),
    }
}
