//! Whole trees: removed and counted by descriptor, never through a symbolic link and never into another mount.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, RenameFlags, ResolveFlags, Timespec, Timestamps, UTIME_OMIT, openat2,
};
use rustix::io::Errno;

use super::directory::{ChangeMade, Directory, DirectoryEntry, DirectoryError, Kind, Reach};
use super::files;
use crate::model::DeletedKind;

/// How many entries are read before they are removed.
const BATCH: usize = 4096;
/// How many directories are open at once, at most. Trees may be deeper than a process may open files.
const DEEPEST: usize = 48;
/// How deep a tree is counted.
const COUNTED: usize = 400;

/// Removes an entry and all that is below it. It stops at the first entry that cannot be removed; what a mount covers
/// is such an entry.
pub fn remove(parent: &Directory, name: &OsStr) -> Result<(), DirectoryError> {
    match parent.kind_of(name)? {
        Kind::Nothing => return Ok(()),
        Kind::Directory => {}
        Kind::File | Kind::Link | Kind::Special => return parent.remove_file(name).map(drop),
    }
    remove_within(parent, name)?;
    parent.remove_directory(name).map(drop)
}

/// Removes all that is below a directory, but not the directory.
pub fn remove_within(parent: &Directory, name: &OsStr) -> Result<(), DirectoryError> {
    let top = open(parent, name)?;
    let mut moved = 0;
    empty(&top, &top, 0, &mut moved)
}

fn empty(directory: &Directory, top: &Directory, depth: usize, moved: &mut u64) -> Result<(), DirectoryError> {
    loop {
        let entries = directory.entries(BATCH)?;
        if entries.is_empty() {
            return Ok(());
        }
        for entry in entries {
            match kind(directory, &entry)? {
                Kind::Nothing => {}
                Kind::Directory if depth >= DEEPEST => surface(directory, &entry.name, top, moved)?,
                Kind::Directory => {
                    let below = open(directory, &entry.name)?;
                    empty(&below, top, depth.saturating_add(1), moved)?;
                    drop(below);
                    with_right(directory, || directory.remove_directory(&entry.name).map(drop))?;
                }
                Kind::File | Kind::Link | Kind::Special => {
                    with_right(directory, || directory.remove_file(&entry.name).map(drop))?;
                }
            }
        }
    }
}

/// Moves a directory from the depth to the top of the tree, whose entries are listed again until there are none.
fn surface(directory: &Directory, name: &OsStr, top: &Directory, moved: &mut u64) -> Result<(), DirectoryError> {
    // A directory that moves gets another `..`, which needs the right to write to it.
    drop(open(directory, name)?);
    loop {
        *moved = moved.saturating_add(1);
        let to = OsString::from(format!(".surfaced-{moved}"));
        match to_free(directory, name, top, &to) {
            Ok(()) => return Ok(()),
            Err(Errno::EXIST) => {}
            Err(Errno::ACCESS) => {
                with_right(directory, || {
                    to_free(directory, name, top, &to)
                        .map_err(|cause| DirectoryError::Rename(directory.path_of(name), cause))
                })?;
                return Ok(());
            }
            Err(cause) => return Err(DirectoryError::Rename(directory.path_of(name), cause)),
        }
    }
}

/// Renames to a name that must be free, which NFS and FUSE cannot promise: there it is looked at first.
fn to_free(directory: &Directory, name: &OsStr, top: &Directory, to: &OsStr) -> Result<(), Errno> {
    match rustix::fs::renameat_with(directory, name, top, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => match top.kind_of(to) {
            Ok(Kind::Nothing) => rustix::fs::renameat(directory, name, top, to),
            Ok(Kind::Directory | Kind::File | Kind::Link | Kind::Special) => Err(Errno::EXIST),
            Err(error) => Err(error.cause()),
        },
        done => done,
    }
}

/// Does it; where the directory does not let its owner, takes the right first: a backup keeps modes such as 0555.
fn with_right(directory: &Directory, act: impl Fn() -> Result<(), DirectoryError>) -> Result<(), DirectoryError> {
    match act() {
        Err(error) if error.cause() == Errno::ACCESS => {
            if rustix::fs::fchmod(directory.as_fd(), Mode::RWXU).is_err() {
                return Err(error);
            }
            act()
        }
        done => done,
    }
}

/// Removes an entry of a directory that stays as it is; a directory only if it is empty. Where the directory does not
/// let its owner, it takes the right for as long: a backup keeps modes such as 0555.
pub fn remove_entry(parent: &Directory, name: &OsStr, kind: DeletedKind) -> Result<ChangeMade, DirectoryError> {
    let remove = || match kind {
        DeletedKind::Directory => parent.remove_directory(name),
        DeletedKind::Other => parent.remove_file(name),
    };
    let error = match remove() {
        Err(error) if error.cause() == Errno::ACCESS => error,
        done => return done,
    };
    let Ok(stat) = rustix::fs::fstat(parent.as_fd()) else { return Err(error) };
    let mode = Mode::from_raw_mode(stat.st_mode);
    if rustix::fs::fchmod(parent.as_fd(), mode | Mode::RWXU).is_err() {
        return Err(error);
    }
    let done = remove();
    // The next copy would put it right, too.
    let _restored = rustix::fs::fchmod(parent.as_fd(), mode);
    done
}

/// Does something to the entries of a directory, which keeps the time of its last change: in a copy, that is the time
/// of the original.
pub fn at_its_time<T>(directory: &Directory, deed: impl FnOnce() -> T) -> T {
    let before = rustix::fs::fstat(directory.as_fd());
    let done = deed();
    if let Ok(stat) = before
        && let Ok(tv_nsec) = i64::try_from(stat.st_mtime_nsec)
    {
        let last_access = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        let last_modification = Timespec { tv_sec: stat.st_mtime, tv_nsec };
        // The next copy would put it right, too.
        let _restored = rustix::fs::futimens(directory.as_fd(), &Timestamps { last_access, last_modification });
    }
    done
}

/// Opens a directory that is going to be removed, taking the right to read and write it if need be.
fn open(parent: &Directory, name: &OsStr) -> Result<Directory, DirectoryError> {
    match parent.open_below(Path::new(name), Reach::SameMount) {
        Err(error) if error.cause() == Errno::ACCESS => {
            let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
            let Ok(place) = openat2(parent.as_fd(), name, flags, Mode::empty(), resolve) else { return Err(error) };
            // The descriptor is of the directory itself, so no link can be put in the way of the change.
            if rustix::fs::chmod(format!("/proc/self/fd/{}", place.as_raw_fd()), Mode::RWXU).is_err() {
                return Err(error);
            }
            parent.open_below(Path::new(name), Reach::SameMount)
        }
        done => done,
    }
}

pub(super) fn kind(directory: &Directory, entry: &DirectoryEntry) -> Result<Kind, DirectoryError> {
    match entry.kind {
        Some(kind) => Ok(kind),
        None => directory.kind_of(&entry.name),
    }
}

/// Makes the kernel forget the content of all files below a directory, so that it is read from the device the next
/// time. What cannot be opened is passed over: nobody reads that next time either.
pub fn forget_content(directory: &Directory) -> Result<(), DirectoryError> {
    forget_to(directory, COUNTED)
}

fn forget_to(directory: &Directory, depth: usize) -> Result<(), DirectoryError> {
    for entry in directory.entries(usize::MAX)? {
        match kind(directory, &entry)? {
            Kind::Directory => {
                let Some(depth) = depth.checked_sub(1) else { continue };
                if let Ok(below) = directory.open_below(Path::new(&entry.name), Reach::SameMount) {
                    forget_to(&below, depth)?;
                }
            }
            Kind::File => {
                let _closed = files::forget_content(directory, &entry.name);
            }
            Kind::Nothing | Kind::Link | Kind::Special => {}
        }
    }
    Ok(())
}

/// The entries below a directory that are wanted, by their paths relative to it. A directory that cannot be listed is
/// asked for as nothing.
pub fn find(
    directory: &Directory,
    reach: Reach,
    wanted: &dyn Fn(&OsStr, Kind) -> bool,
) -> Result<BTreeSet<PathBuf>, DirectoryError> {
    let mut found = BTreeSet::new();
    find_to((directory, Path::new("")), (reach, wanted), COUNTED, &mut found)?;
    Ok(found)
}

type Sought<'a> = (Reach, &'a dyn Fn(&OsStr, Kind) -> bool);

fn find_to(
    (directory, path): (&Directory, &Path),
    (reach, wanted): Sought<'_>,
    depth: usize,
    found: &mut BTreeSet<PathBuf>,
) -> Result<(), DirectoryError> {
    for entry in directory.entries(usize::MAX)? {
        let name = Path::new(&entry.name);
        let mut seen = kind(directory, &entry)?;
        if seen == Kind::Directory {
            match depth.checked_sub(1).map(|depth| (depth, directory.open_below(name, reach))) {
                Some((depth, Ok(below))) => find_to((&below, &path.join(name)), (reach, wanted), depth, found)?,
                Some((_, Err(error))) if !matches!(error.cause(), Errno::ACCESS | Errno::XDEV | Errno::LOOP) => {
                    return Err(error);
                }
                Some((_, Err(_))) | None => seen = Kind::Nothing,
            }
        }
        if wanted(&entry.name, seen) {
            found.insert(path.join(name));
        }
    }
    Ok(())
}

/// The symbolic links below a directory. A directory that cannot be listed counts as one: what is in it may be.
pub fn links(directory: &Directory) -> Result<BTreeSet<PathBuf>, DirectoryError> {
    find(directory, Reach::SameMount, &|_, kind| matches!(kind, Kind::Link | Kind::Nothing))
}

/// Removes all of this name below a directory that are no directories themselves.
pub fn remove_impostors(directory: &Directory, name: &str) -> Result<(), DirectoryError> {
    let is_one = |other: &OsStr, kind| other == name && matches!(kind, Kind::File | Kind::Link | Kind::Special);
    for path in find(directory, Reach::AnyMount, &is_one)? {
        let parent = directory.open_below(path.parent().unwrap_or(Path::new("")), Reach::AnyMount)?;
        remove_entry(&parent, OsStr::new(name), DeletedKind::Other)?;
    }
    Ok(())
}

/// What has one of these names below a directory, and would not be read like a file: pipes, sockets, devices, and links
/// to anything but a file or a directory.
pub fn no_files(top: &Directory, names: &BTreeSet<OsString>) -> Result<BTreeSet<PathBuf>, DirectoryError> {
    let may_be = |name: &OsStr, kind| names.contains(name) && matches!(kind, Kind::Special | Kind::Link);
    let mut found = find(top, Reach::AnyMount, &may_be)?;
    found.retain(|path| {
        let seen = rustix::fs::statat(top.as_fd(), path.as_path(), AtFlags::empty());
        seen.is_ok_and(|stat| {
            let kind = FileType::from_raw_mode(stat.st_mode);
            !matches!(kind, FileType::RegularFile | FileType::Directory)
        })
    });
    Ok(found)
}

/// Which of these paths below a directory are directories, reached through no link; through any, if links are followed.
#[must_use]
pub fn directories(top: &Directory, paths: &BTreeSet<PathBuf>, follows: bool) -> BTreeSet<PathBuf> {
    let resolve = if follows { ResolveFlags::empty() } else { ResolveFlags::NO_SYMLINKS };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let is_one = |path: &&PathBuf| openat2(top.as_fd(), path.as_path(), flags, Mode::empty(), resolve).is_ok();
    paths.iter().filter(is_one).cloned().collect()
}

/// What was looked at, unless that may not be read: a copy keeps the modes of its source.
fn readable<T>(looked: Result<T, DirectoryError>) -> Result<Option<T>, DirectoryError> {
    match looked {
        Ok(seen) => Ok(Some(seen)),
        Err(error) if error.cause() == Errno::ACCESS => Ok(None),
        Err(error) => Err(error),
    }
}

/// How many entries are below a directory, as far as it may be read.
pub fn count(directory: &Directory) -> Result<u64, DirectoryError> {
    count_to(directory, COUNTED)
}

fn count_to(directory: &Directory, depth: usize) -> Result<u64, DirectoryError> {
    let mut counted = 0_u64;
    for entry in directory.entries(usize::MAX)? {
        counted = counted.saturating_add(1);
        if kind(directory, &entry)? == Kind::Directory
            && let Some(depth) = depth.checked_sub(1)
        {
            let below = readable(directory.open_below(Path::new(&entry.name), Reach::SameMount))?;
            let below = below.map_or(Ok(0), |below| count_to(&below, depth))?;
            counted = counted.saturating_add(below);
        }
    }
    Ok(counted)
}

/// Tells of each entry below `old` that has no entry of the same path below `new`, as far as both may be read.
pub fn each_missing(old: &Directory, new: &Directory, hear: &mut dyn FnMut(&Path)) -> Result<(), DirectoryError> {
    missing_to(old, Some(new), Path::new(""), COUNTED, hear)
}

fn missing_to(
    old: &Directory,
    new: Option<&Directory>,
    at: &Path,
    depth: usize,
    hear: &mut dyn FnMut(&Path),
) -> Result<(), DirectoryError> {
    for entry in old.entries(usize::MAX)? {
        let now = new.map_or(Ok(Kind::Nothing), |new| new.kind_of(&entry.name));
        let Some(now) = readable(now)? else { continue };
        let path = at.join(&entry.name);
        // What was in a directory is missing, too, where something else has its name.
        if now == Kind::Nothing {
            hear(&path);
        }
        let Some(depth) = depth.checked_sub(1) else { continue };
        if kind(old, &entry)? == Kind::Directory {
            let below = |from: &Directory| readable(from.open_below(Path::new(&entry.name), Reach::SameMount));
            let Some(before) = below(old)? else { continue };
            let new = match new.filter(|_| now == Kind::Directory).map(below).transpose()? {
                Some(None) => continue,
                Some(now) => now,
                None => None,
            };
            missing_to(&before, new.as_ref(), &path, depth, hear)?;
        }
    }
    Ok(())
}

/// Removes what is below `from` and has no entry of the same path below `kept`.
pub fn remove_extra(kept: &Directory, from: &Directory) -> Result<(), DirectoryError> {
    extra_to(kept, from, COUNTED)
}

fn extra_to(kept: &Directory, from: &Directory, depth: usize) -> Result<(), DirectoryError> {
    for entry in from.entries(usize::MAX)? {
        let wanted = kept.kind_of(&entry.name)?;
        if wanted == Kind::Nothing {
            remove(from, &entry.name)?;
        } else if let Some(depth) = depth.checked_sub(1)
            && wanted == Kind::Directory
            && kind(from, &entry)? == Kind::Directory
        {
            let below = Path::new(&entry.name);
            extra_to(&kept.open_below(below, Reach::SameMount)?, &from.open_below(below, Reach::SameMount)?, depth)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn only_what_is_not_in_the_other_tree_goes() {
        let place = tempfile::tempdir().unwrap();
        for directory in ["kept/both", "from/both", "from/new/deep"] {
            fs::create_dir_all(place.path().join(directory)).unwrap();
        }
        for file in ["kept/both/a", "kept/only", "from/both/a", "from/both/b", "from/new/deep/c", "from/d"] {
            fs::write(place.path().join(file), file).unwrap();
        }
        let open = |name| Directory::open_root(&place.path().join(name)).unwrap();
        remove_extra(&open("kept"), &open("from")).unwrap();
        let is_there = |file| place.path().join(file).exists();
        assert!(["kept/only", "kept/both/a", "from/both/a"].into_iter().all(is_there));
        assert!(!["from/both/b", "from/new", "from/d"].into_iter().any(is_there));
    }

    #[test]
    fn a_tree_goes_and_what_its_links_point_to_stays() {
        let place = tempfile::tempdir().unwrap();
        let victim = place.path().join("victim");
        fs::create_dir_all(place.path().join("tree/sub/deep")).unwrap();
        fs::create_dir(&victim).unwrap();
        fs::write(victim.join("kept"), "x").unwrap();
        symlink(&victim, place.path().join("tree/sub/link")).unwrap();
        fs::write(place.path().join("tree/sub/deep/file"), "x").unwrap();
        fs::set_permissions(place.path().join("tree/sub/deep"), fs::Permissions::from_mode(0o000)).unwrap();
        let root = Directory::open_root(place.path()).unwrap();
        remove(&root, OsStr::new("tree")).unwrap();
        remove(&root, OsStr::new("tree")).unwrap();
        assert!(!place.path().join("tree").exists());
        assert!(victim.join("kept").exists());
        symlink(&victim, place.path().join("link")).unwrap();
        remove(&root, OsStr::new("link")).unwrap();
        assert!(victim.join("kept").exists());
    }

    #[test]
    fn a_tree_deeper_than_a_path_may_be_goes_too() {
        let place = tempfile::tempdir().unwrap();
        let root = Directory::open_root(place.path()).unwrap();
        root.create_directory("top", 0o755).unwrap();
        let mut at = root.open_below(Path::new("top"), Reach::SameMount).unwrap();
        let name = "n".repeat(200);
        for _ in 0..300 {
            at.create_directory(&name, 0o555).unwrap();
            at.create_directory("beside", 0o755).unwrap();
            at = at.open_below(Path::new(&name), Reach::SameMount).unwrap();
        }
        remove(&root, OsStr::new("top")).unwrap();
        assert!(root.entries(10).unwrap().is_empty());
    }

    #[test]
    fn what_is_missing_is_counted_with_all_below_it() {
        let place = tempfile::tempdir().unwrap();
        for path in ["old/a/b", "old/c", "new/a", "new/d/e"] {
            fs::create_dir_all(place.path().join(path)).unwrap();
        }
        for path in ["old/a/b/1", "old/a/2", "old/c/3", "old/4", "new/a/2", "new/c"] {
            fs::write(place.path().join(path), "").unwrap();
        }
        let open = |name| Directory::open_root(&place.path().join(name)).unwrap();
        assert_eq!(count(&open("old")).unwrap(), 7);
        // a/b and a/b/1, c/3 (c itself is a file now), 4.
        let missing = |new| {
            let mut missing = Vec::new();
            each_missing(&open("old"), &open(new), &mut |path| missing.push(path.to_owned())).unwrap();
            missing.sort();
            missing
        };
        assert_eq!(missing("new"), ["4", "a/b", "a/b/1", "c/3"].map(PathBuf::from));
        assert!(missing("old").is_empty());
    }
}
