//! Entries of a tree, looked at through no link: how they are, and what lies above them.

use std::ffi::OsString;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{
    Access, AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, StatxFlags, accessat, openat2, readlinkat, statx,
};

use super::directory::{Directory, DirectoryError, Errno};
use crate::model::{EntryKind, EntryState};

const BELOW: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

/// How an entry below a directory is; `None` if there is none, or if only a link leads there.
pub fn entry_state(directory: &Directory, below: &Path) -> Result<Option<EntryState>, DirectoryError> {
    let fail = |cause| DirectoryError::Look(directory.path_of(below), cause);
    let path = if below.as_os_str().is_empty() { Path::new(".") } else { below };
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let entry = match openat2(directory.as_fd(), path, flags, Mode::empty(), BELOW) {
        Ok(entry) => entry,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG | Errno::XDEV) => return Ok(None),
        Err(cause) => return Err(fail(cause)),
    };
    let seen = statx(&entry, "", AtFlags::EMPTY_PATH, StatxFlags::BASIC_STATS).map_err(fail)?;
    let kind = match FileType::from_raw_mode(seen.stx_mode.into()) {
        FileType::RegularFile => EntryKind::File,
        FileType::Directory => EntryKind::Directory,
        FileType::Symlink => EntryKind::Link,
        FileType::Fifo | FileType::Socket | FileType::CharacterDevice | FileType::BlockDevice | FileType::Unknown => {
            EntryKind::Special
        }
    };
    let nanoseconds = i32::try_from(seen.stx_mtime.tv_nsec).unwrap_or_default();
    // A time that no calendar has is nobody's version.
    let modified = Timestamp::new(seen.stx_mtime.tv_sec, nanoseconds).unwrap_or(Timestamp::UNIX_EPOCH);
    let target = match kind {
        EntryKind::Link => {
            let target = readlinkat(&entry, "", Vec::new()).map_err(fail)?;
            Some(PathBuf::from(OsString::from_vec(target.into_bytes())))
        }
        EntryKind::File | EntryKind::Directory | EntryKind::Special => None,
    };
    Ok(Some(EntryState { kind, size: seen.stx_size, modified, target }))
}

/// The same for a path of a person, whose links on the way are their own.
#[must_use]
pub fn look_at(path: &Path) -> Option<EntryState> {
    let (parent, name) = (path.parent()?, path.file_name()?);
    entry_state(&Directory::open_root(parent).ok()?, Path::new(name)).ok()?
}

/// Whether this process may read an entry: a file, the names in a directory, or a link, whatever that leads to.
#[must_use]
pub fn may_read(directory: &Directory, below: &Path) -> bool {
    let path = if below.as_os_str().is_empty() { Path::new(".") } else { below };
    let flags = AtFlags::EACCESS | AtFlags::SYMLINK_NOFOLLOW;
    !matches!(accessat(directory.as_fd(), path, Access::READ_OK, flags), Err(Errno::ACCESS))
}

/// Why this process may not make entries in a directory, if it may not.
#[must_use]
pub fn forbids_writing(directory: &Directory) -> Option<Errno> {
    accessat(directory.as_fd(), ".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS).err()
}

/// Where a path really lies: the links on the way to it are resolved, as far as it is there, and it itself is not.
#[must_use]
pub fn whereabouts(path: &Path) -> PathBuf {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return path.to_owned() };
    let parent = std::fs::canonicalize(parent).unwrap_or_else(|_| whereabouts(parent));
    parent.join(name)
}

/// The same for a directory that is there, with itself.
#[must_use]
pub fn real(path: &Path) -> Option<PathBuf> {
    std::fs::canonicalize(path).ok()
}

/// Whether one of two paths is the other, or lies in it, by whichever names: links lead where they lead, and what is
/// mounted in two places is one.
#[must_use]
pub fn overlap(one: &Path, other: &Path) -> bool {
    lies_in(one, other) || lies_in(other, one)
}

/// Whether a path is a directory or lies in it. Neither need be there: what is missing lies where it will.
fn lies_in(inner: &Path, outer: &Path) -> bool {
    // What is a link itself counts where it lies, and where it leads.
    let ways = |path: &Path| [Some(whereabouts(path)), real(path)].into_iter().flatten();
    if ways(outer).any(|outer| ways(inner).any(|inner| inner.starts_with(&outer))) {
        return true;
    }
    let identity = |path: &Path| std::fs::metadata(path).ok().map(|seen| (seen.dev(), seen.ino()));
    let Some(outer) = identity(outer) else { return false };
    ways(inner).any(|way| way.ancestors().any(|at| identity(at) == Some(outer)))
}

/// The innermost directory, from this one upward, that holds a regular file of this name.
#[must_use]
pub fn above_with(path: &Path, name: &str) -> Option<PathBuf> {
    let holds = |directory: &&Path| {
        openat2(CWD, directory.join(name), OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::NO_SYMLINKS)
            .is_ok()
    };
    path.ancestors().find(holds).map(Path::to_owned)
}

/// Makes a directory and all that are missing above it.
pub fn make_directories(path: &Path) -> Result<(), DirectoryError> {
    std::fs::create_dir_all(path).map_err(|error| {
        DirectoryError::Create(path.to_owned(), error.raw_os_error().map_or(Errno::IO, Errno::from_raw_os_error))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn places_overlap_by_whichever_name() {
        let root = tempfile::tempdir().unwrap();
        let at = |below: &str| root.path().join(below);
        std::fs::create_dir_all(at("home/documents/deep")).unwrap();
        std::fs::create_dir_all(at("elsewhere")).unwrap();
        symlink(at("home/documents"), at("link")).unwrap();
        symlink(at("elsewhere"), at("home/documents/away")).unwrap();
        for (one, other, wanted) in [
            ("home/documents", "home/documents", true),
            ("home/documents", "home", true),
            ("home/documents", "home/documents/deep/not/there", true),
            ("home/documents", "link/deep", true),
            ("link", "home/documents/deep", true),
            ("home/documents", "home/documents/away", true),
            ("elsewhere", "home/documents/away", true),
            ("home/documents", "home/documents-2", false),
            ("home/documents/deep", "home/documents/not there", false),
            ("home/documents", "elsewhere", false),
            ("not there", "not there/either", true),
            ("not there", "not there", true),
            ("not there", "not there-2", false),
            ("home/documents/not/there", "link/not", true),
        ] {
            assert_eq!(
                (overlap(&at(one), &at(other)), overlap(&at(other), &at(one))),
                (wanted, wanted),
                "{one} {other}"
            );
        }
    }
}
