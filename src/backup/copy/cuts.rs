//! Files that would be cut down: to nothing, or to a small part of what they were. A full disk, a broken program or one
//! that encrypts does that to many at once.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use crate::backup::copy::call::Copying;
use crate::backup::failure::of_directory;
use crate::backup::place::look;
use crate::backup::place::way::{CopyWay, Far, Target};
use crate::backup::session::Session;
use crate::backup::session::stop::Stops;
use crate::decide::guard::{self, Cuts};
use crate::formats::fingerprint;
use crate::formats::rsync::output::{OutputLine, unescaped};
use crate::formats::ssh::calls::{ProvenEnd, ReadEnd};
use crate::model::{End, Guard, HoldReason, NotDone, PathSet, Step};
use crate::os::census;
use crate::os::directory::Directory;

/// So many files are looked at before a copy on this machine; of a larger tree a sample.
const SAMPLE: usize = 2000;
/// The same where a server is told their names.
const SENT: usize = 500;

/// Files that are there and would get, or got, another size, as rsync tells them, and how many would be written anew.
#[derive(Debug, Default)]
pub(crate) struct ContentChanges {
    resized: Vec<(PathBuf, u64)>,
    replaced: u64,
    all: u64,
}

impl ContentChanges {
    /// Takes what a line of rsync's output says.
    pub(crate) fn hear(&mut self, said: &OutputLine) {
        let Some(item) = said.changed() else { return };
        self.all = self.all.saturating_add(1);
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

    /// How many entries of any kind are made, or changed in any way, each time that they are.
    pub(crate) fn all(&self) -> u64 {
        self.all
    }

    /// How many files have another size.
    pub(crate) fn resized(&self) -> u64 {
        u64::try_from(self.resized.len()).unwrap_or(u64::MAX)
    }

    /// How many files are written anew.
    pub(crate) fn replaced(&self) -> u64 {
        self.replaced
    }

    /// Which of them are cut down, compared with what lies there now, and of how many, as a look told it. Nothing is
    /// compared where they cannot be too many.
    pub(crate) fn cuts(
        &self,
        (guard, target): (Guard, &Target<'_>),
        regular_files: u64,
        stops: &mut Stops,
    ) -> Result<Cuts, NotDone> {
        let mut cuts = Cuts { paths: PathSet::default(), of: regular_files, against: None };
        if !guard::is_too_cut(guard, self.resized(), regular_files) {
            return Ok(cuts);
        }
        let paths: Vec<&Path> = self.resized.iter().map(|(path, _)| path.as_path()).collect();
        let before = match target {
            Target::Here(here) => census::sizes(&here.directory, paths),
            Target::There(far) => {
                let told = look::sizes(far.server, (far.end, End::Destination, &far.place), &paths, stops)?;
                // Of what the server does not tell the size, that it is nothing now says enough.
                paths.into_iter().map(|path| told.get(path).copied().or(Some(1))).collect()
            }
        };
        for ((path, now), before) in self.resized.iter().zip(before) {
            if before.is_some_and(|before| guard::is_cut(before, *now)) {
                cuts.paths.add(fingerprint::of_path(path));
            }
        }
        Ok(cuts)
    }

    /// Why a run would be held whose look told these.
    pub(crate) fn hold(
        &self,
        copying: &Copying<'_>,
        regular_files: u64,
        stops: &mut Stops,
    ) -> Result<Option<HoldReason>, NotDone> {
        let guard = copying.sync.guard;
        let cuts = self.cuts((guard, copying.target), regular_files, stops)?;
        Ok(guard::hold_cuts(guard, cuts, copying.approved_cuts))
    }
}

/// A file of a sample, and its sizes: before and now.
type Sized = (PathBuf, Option<u64>, Option<u64>);

/// Whether it may be that too many files are cut down: then rsync is asked. The sizes of a sample at both ends tell.
pub(crate) fn may_cut(copying: &Copying<'_>, stops: &mut Stops) -> Result<bool, NotDone> {
    if copying.sync.guard == Guard::Off {
        return Ok(false);
    }
    let Some(seen) = seen(copying, stops)? else { return Ok(true) };
    let told = seen.iter().filter_map(|(path, was, is)| Some((part(path), guard::is_cut((*was)?, (*is)?))));
    Ok(guard::may_be_too_cut(copying.sync.guard, told))
}

/// The directory at the top in which a file lies; nothing if it lies at the top itself.
fn part(path: &Path) -> &OsStr {
    let top = path.components().next().map(Component::as_os_str).unwrap_or_default();
    if Path::new(top) == path { OsStr::new("") } else { top }
}

/// A sample of the files that lie at both ends; `None` where a server tells nothing.
fn seen(copying: &Copying<'_>, stops: &mut Stops) -> Result<Option<Vec<Sized>>, NotDone> {
    let here = |top: &Directory, most| census::sample(top, most).map_err(|error| of_directory(Step::Judge, &error));
    Ok(match (&copying.way, copying.target) {
        (CopyWay::Here(source, target), _) => {
            let old = here(&target.directory, SAMPLE)?;
            let new = census::sizes(source, old.iter().map(|(path, _)| path.as_path()));
            Some(old.into_iter().zip(new).map(|((path, was), is)| (path, Some(was), is)).collect())
        }
        (CopyWay::Push(source, _), Target::There(far)) => {
            let new = here(source, SENT)?;
            let old = there((far.server, far.end, End::Destination, &far.place), &new, stops)?;
            // Where nothing is told, or is there yet, that a file is empty now says enough.
            let unknown = old.is_empty().then_some(1);
            let beside = |(path, is): (PathBuf, u64)| {
                let was = old.get(&path).copied().or(unknown);
                (path, was, Some(is))
            };
            Some(new.into_iter().map(beside).collect())
        }
        (CopyWay::Pull(far, target), _) => since(here(&target.directory, SENT)?, far, stops)?,
        (CopyWay::There(far), Target::There(target)) => {
            since(look::sample(target.server, (target.end, &target.place), SENT, stops)?, far, stops)?
        }
        (CopyWay::Push(..) | CopyWay::There(_), Target::Here(_)) => None,
    })
}

/// Files of a destination, and what they are now at their source, which is at a server.
fn since(old: Vec<(PathBuf, u64)>, far: &Far<'_>, stops: &mut Stops) -> Result<Option<Vec<Sized>>, NotDone> {
    let Some(ReadEnd { end, data }) = far.read else { return Ok(None) };
    let new = there((far.server, end, End::Source, data), &old, stops)?;
    let beside = |(path, was): (PathBuf, u64)| {
        let is = new.get(&path).copied();
        (path, Some(was), is)
    };
    Ok((!new.is_empty()).then(|| old.into_iter().map(beside).collect()))
}

fn there(
    (server, end, which, place): (&Session, &ProvenEnd, End, &Path),
    files: &[(PathBuf, u64)],
    stops: &mut Stops,
) -> Result<BTreeMap<PathBuf, u64>, NotDone> {
    let paths: Vec<&Path> = files.iter().map(|(path, _)| path.as_path()).collect();
    look::sizes(server, (end, which, place), &paths, stops)
}
