//! The snapshots at a destination: what is there, what an earlier run left, and which of them is `latest`.
//!
//! What a name says is all that counts: an entry with the name of a time is complete, one that begins with a dot is
//! not, and anything else is not ours.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::Path;

use jiff::Timestamp;

use crate::backup::failure::{failure, of_directory, told, told_of_btrfs};
use crate::backup::session::stop::Stops;
use crate::decide::retention::Candidate;
use crate::formats::log;
use crate::model::layout::{
    self, ANY_NEW_LATEST, IN_PROGRESS, LATEST, LOG, NEW_LATEST, NOWHERE, OWN, SNAPSHOTS, STAGING, STALE, TRASH,
    named_snapshot,
};
use crate::model::{Conclusion, FailureKind, SnapshotKind, SnapshotName, Standing, Step};
use crate::os::btrfs::{self, BtrfsError, Role};
use crate::os::directory::{Directory, DirectoryError, Errno, Kind, Reach};
use crate::os::{files, tree};

/// As many entries are read at most; a hostile drive may hold more.
const MOST: usize = 100_000;
/// So many unfinished copies are kept as a basis: each may hold files that the next did not reach.
const BASES: usize = 4;

/// With less than this left, in bytes, an unfinished copy is given up for the sake of a new one.
const LITTLE_SPACE: u64 = 1 << 20;

/// The complete snapshots of a destination, oldest first, with what its log says of them.
pub fn snapshots_at(destination: &Directory) -> Result<Vec<Candidate>, DirectoryError> {
    let Some(shelf) = Shelf::open_at(destination)? else { return Ok(Vec::new()) };
    let standings = standings(destination)?;
    let finished = |name| Candidate { name, standing: standings.get(&name).copied().unwrap_or(Standing::Good) };
    Ok(shelf.complete.into_iter().map(finished).collect())
}

fn open_if_there(destination: &Directory, name: &str) -> Result<Option<Directory>, DirectoryError> {
    match destination.open_below(Path::new(name), Reach::SameMount) {
        Ok(directory) => Ok(Some(directory)),
        Err(error) if error.cause() == Errno::NOENT => Ok(None),
        Err(error) => Err(error),
    }
}

fn standings(destination: &Directory) -> Result<BTreeMap<SnapshotName, Standing>, DirectoryError> {
    let Some(own) = open_if_there(destination, OWN)? else { return Ok(BTreeMap::new()) };
    let log = files::read_tail(&own, LOG, log::LIMIT.saturating_mul(2))?;
    Ok(log::parse(&log).into_iter().filter_map(|record| Some((record.snapshot?, record.standing))).collect())
}

/// The directory `snapshots`, read.
#[derive(Debug)]
pub struct Shelf {
    /// The directory.
    pub(crate) directory: Directory,
    /// The complete ones, oldest first.
    pub(crate) complete: Vec<SnapshotName>,
    /// The unfinished ones, by what comes behind their prefix, oldest first.
    in_progress: Vec<OsString>,
    stale: Vec<OsString>,
    trash: Vec<OsString>,
    /// What is not ours.
    pub(crate) foreign: Vec<OsString>,
}

impl Shelf {
    fn read(directory: Directory) -> Result<Self, DirectoryError> {
        let mut shelf = Self {
            complete: Vec::new(),
            in_progress: Vec::new(),
            stale: Vec::new(),
            trash: Vec::new(),
            foreign: Vec::new(),
            directory,
        };
        for entry in shelf.directory.entries(MOST)? {
            let kind = match entry.kind {
                Some(kind) => kind,
                None => shelf.directory.kind_of(&entry.name)?,
            };
            let text = entry.name.to_str().unwrap_or_default();
            if text.starts_with(TRASH) {
                shelf.trash.push(entry.name);
            } else if kind != Kind::Directory {
                shelf.foreign.push(entry.name);
            } else if text.starts_with(IN_PROGRESS) {
                shelf.in_progress.push(entry.name);
            } else if text.starts_with(STALE) {
                shelf.stale.push(entry.name);
            } else if let Ok(name) = text.parse() {
                shelf.complete.push(name);
            } else {
                shelf.foreign.push(entry.name);
            }
        }
        shelf.complete.sort_unstable();
        shelf.in_progress.sort_unstable();
        shelf.stale.sort_unstable();
        Ok(shelf)
    }

    /// Opens the shelf of a destination as it is; `None` if it has none.
    pub(crate) fn open_at(destination: &Directory) -> Result<Option<Self>, DirectoryError> {
        open_if_there(destination, SNAPSHOTS)?.map(Self::read).transpose()
    }

    /// The newest complete one that does not come from a clock that was wrong.
    pub(crate) fn newest(&self, now: Timestamp) -> Option<SnapshotName> {
        self.complete.iter().rev().find(|name| !name.is_ahead_of(now)).copied()
    }

    /// The unfinished copies on which the next can build, best first, relative to a directory on the shelf.
    pub(crate) fn bases(&self) -> Vec<OsString> {
        let relative = |name: &OsString| {
            let mut path = OsString::from("../");
            path.push(name);
            path
        };
        self.stale.iter().rev().map(relative).collect()
    }

    /// The same, with all forgotten that the kernel remembers of their files: what did not reach the device shows then.
    pub(crate) fn bases_as_they_are(&self) -> Result<Vec<OsString>, DirectoryError> {
        for name in &self.stale {
            tree::forget_content(&self.directory.open_below(Path::new(name), Reach::SameMount)?)?;
        }
        Ok(self.bases())
    }

    /// A free name for a copy made now.
    pub(crate) fn next_name(&self, now: Timestamp) -> SnapshotName {
        let mut name = SnapshotName::next(now, self.newest(now));
        while self.complete.contains(&name) {
            name = SnapshotName::next(now, Some(name));
        }
        name
    }

    /// The directory of a complete snapshot.
    pub(crate) fn open(&self, name: SnapshotName) -> Result<Directory, DirectoryError> {
        self.directory.open_below(Path::new(&name.to_string()), Reach::SameMount)
    }

    /// Puts an entry out of sight at one stroke and then deletes it; a run that dies in between is finished by the next.
    pub(crate) fn discard(&self, name: &str) -> Result<(), String> {
        let trash = OsString::from(layout::trash(name));
        match self.directory.rename_to_free(name, &trash) {
            Ok(()) => {}
            // One of the same name is there already, half deleted.
            Err(error) if error.cause() == Errno::EXIST => {
                destroy(&self.directory, &trash)?;
                self.directory.rename_to_free(name, &trash).map_err(|error| told(&error))?;
            }
            Err(error) => return Err(told(&error)),
        }
        self.directory.flush().map_err(|error| told(&error))?;
        destroy(&self.directory, &trash)
    }

    /// Deletes the unfinished copies that a finished one made needless.
    pub(crate) fn discard_bases(&self) -> Vec<String> {
        self.stale.iter().filter_map(|name| self.discard(name.to_str()?).err()).collect()
    }
}

/// Opens the shelf, puts right what an earlier run left, and makes `latest` true. It may be killed at any point and
/// started again. Warnings tell of what could not be put right and stands in nobody's way.
pub(crate) fn recover(
    destination: &Directory,
    kind: SnapshotKind,
    now: Timestamp,
    stops: &mut Stops,
    warnings: &mut Vec<String>,
) -> Result<Shelf, Conclusion> {
    let at = Step::Recover;
    let fail = |error: DirectoryError| of_directory(at, &error);
    for name in [SNAPSHOTS, LATEST] {
        forbid_impostor(destination, name)?;
    }
    destination.create_directory(SNAPSHOTS, 0o755).map_err(fail)?;
    let directory = destination.open_below(Path::new(SNAPSHOTS), Reach::SameMount).map_err(fail)?;
    let mut shelf = Shelf::read(directory).map_err(fail)?;
    for name in std::mem::take(&mut shelf.trash) {
        stops.check()?;
        warnings.extend(destroy(&shelf.directory, &name).err());
    }
    let newest = shelf.newest(now);
    let mut needless = Vec::new();
    let mut bases = Vec::new();
    for name in std::mem::take(&mut shelf.in_progress) {
        match kind {
            // The newest work is in `staging`; a snapshot that got no name is made again.
            SnapshotKind::Btrfs | SnapshotKind::None => needless.push(name),
            SnapshotKind::HardLink => {
                let stale = name.to_string_lossy().replacen(IN_PROGRESS, STALE, 1);
                // While a clock is behind the newest copy, each that comes to nothing has the same name.
                if shelf.stale.iter().any(|known| *known == *stale) {
                    warnings.extend(shelf.discard(&stale).err());
                    shelf.stale.retain(|known| *known != *stale);
                }
                shelf.directory.rename_to_free(&name, &stale).map_err(fail)?;
                bases.push(stale.into());
            }
        }
    }
    if is_full(destination) {
        // Unfinished copies may be what fills it.
        needless.append(&mut bases);
        needless.append(&mut shelf.stale);
        if kind == SnapshotKind::Btrfs {
            warnings.extend(relieve_staging(destination, &shelf, newest).err().map(|error| told(&error)));
        }
    }
    bases.append(&mut shelf.stale);
    bases.sort_unstable();
    let surplus = bases.len().saturating_sub(BASES);
    for (place, name) in bases.into_iter().enumerate() {
        // What is older than a finished copy was used up by it.
        let used_up = newest.is_some_and(|newest| made(&name).is_none_or(|made| made <= newest));
        if place < surplus || used_up || kind != SnapshotKind::HardLink {
            needless.push(name);
        } else {
            shelf.stale.push(name);
        }
    }
    for name in needless {
        stops.check()?;
        warnings.extend(name.to_str().and_then(|name| shelf.discard(name).err()));
    }
    for entry in destination.entries(MOST).map_err(fail)? {
        if entry.name.to_str().is_some_and(|name| name.starts_with(ANY_NEW_LATEST)) && entry.kind == Some(Kind::Link) {
            destination.remove_file(&entry.name).map_err(fail)?;
        }
    }
    if let Some(newest) = newest {
        point_latest(destination, newest).map_err(fail)?;
    } else if destination.kind_of(LATEST).map_err(fail)? == Kind::Nothing {
        destination.replace_link(LATEST, Path::new(NOWHERE), NEW_LATEST).map_err(fail)?;
    }
    Ok(shelf)
}

/// Whether nothing more can be copied there, as far as the filesystem tells.
fn is_full(destination: &Directory) -> bool {
    destination.space().is_ok_and(|space| space.bytes < LITTLE_SPACE || space.inodes.is_some_and(|left| left < 16))
}

/// Makes room behind a run that filled the drive: only for btrfs, whose unfinished files lie in `staging`, and only where
/// a finished copy says what belongs there.
pub(crate) fn make_room_after(
    ended: &Conclusion,
    destination: &Directory,
    shelf: Option<&Shelf>,
    now: Timestamp,
) -> Option<String> {
    let Conclusion::Failed(failure) = ended else { return None };
    let shelf = shelf.filter(|_| failure.kind == FailureKind::NoSpace)?;
    let newest = shelf.newest(now)?;
    destination.kind_of(STAGING).ok().filter(|kind| *kind == Kind::Directory)?;
    relieve_staging(destination, shelf, Some(newest)).err().map(|error| told(&error))
}

/// Takes out of `staging` what no finished copy holds, and has the filesystem give the space back.
fn relieve_staging(destination: &Directory, shelf: &Shelf, newest: Option<SnapshotName>) -> Result<(), DirectoryError> {
    match newest {
        Some(newest) => {
            let staging = destination.open_below(Path::new(STAGING), Reach::SameMount)?;
            tree::remove_extra(&shelf.open(newest)?, &staging)?;
        }
        None => tree::remove_within(destination, OsStr::new(STAGING))?,
    }
    destination.flush_filesystem()
}

/// The name that an unfinished copy was to get.
fn made(unfinished: &OsString) -> Option<SnapshotName> {
    unfinished.to_str()?.strip_prefix(STALE)?.parse().ok()
}

/// A link where a directory must be, or a directory where a link must be, is not ours and not followed.
fn forbid_impostor(destination: &Directory, name: &str) -> Result<(), Conclusion> {
    let kind = destination.kind_of(name).map_err(|error| of_directory(Step::Recover, &error))?;
    let expected = if name == LATEST { Kind::Link } else { Kind::Directory };
    if kind == Kind::Nothing || kind == expected {
        return Ok(());
    }
    let is = match kind {
        Kind::Nothing => "nothing",
        Kind::Directory => "a directory",
        Kind::File => "a file",
        Kind::Link => "a symbolic link",
        Kind::Special => "a special file",
    };
    let path = destination.path_of(name);
    Err(failure(Step::Recover, FailureKind::Hostile, format!("{} is {is}, which is not followed", path.display())))
}

/// Makes `latest` point to a snapshot, unless it does.
pub(crate) fn point_latest(destination: &Directory, name: SnapshotName) -> Result<(), DirectoryError> {
    let target = layout::in_snapshots(name);
    let now = destination.link_target(LATEST)?;
    if now.as_deref().and_then(named_snapshot) == Some(name) && now.as_ref() == Some(&target) {
        return Ok(());
    }
    destination.replace_link(LATEST, &target, NEW_LATEST)?;
    destination.flush()
}

/// Deletes an entry of the shelf, a subvolume or a tree. Says what went wrong.
fn destroy(shelf: &Directory, name: &OsString) -> Result<(), String> {
    let opened = match shelf.kind_of(name).map_err(|error| told(&error))? {
        Kind::Directory => shelf.open_below(Path::new(name), Reach::SameMount),
        Kind::Nothing | Kind::File | Kind::Link | Kind::Special => {
            return shelf.remove_file(name).map(drop).map_err(|error| told(&error));
        }
    };
    let subvolume = match opened {
        Ok(directory) if btrfs::role(&directory).is_ok_and(|role| role == Role::Subvolume) => directory,
        Ok(_) | Err(_) => return tree::remove(shelf, name).map_err(|error| told(&error)),
    };
    match btrfs::delete(shelf, name) {
        Ok(()) => Ok(()),
        Err(BtrfsError::Delete(_, Errno::PERM | Errno::ACCESS | Errno::ROFS)) => {
            // Its owner must make it writable first, and may then still not delete it where the filesystem is mounted
            // without `user_subvol_rm_allowed`; but he may empty it, and remove it as an empty directory.
            btrfs::make_writable(&subvolume).map_err(|error| told_of_btrfs(&error))?;
            drop(subvolume);
            btrfs::delete(shelf, name).or_else(|_| {
                tree::remove(shelf, name)
                    .map_err(|error| format!("{} (mount the filesystem with `user_subvol_rm_allowed`)", told(&error)))
            })
        }
        Err(error) => Err(told_of_btrfs(&error)),
    }
}
