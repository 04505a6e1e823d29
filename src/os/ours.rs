//! What is ours in a directory that others may come to: it is made our own business alone, and known for ours.

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::directory::{Directory, DirectoryError};

/// Filesystems that keep owners: each file there has the one who made it. By their magic numbers (`statfs(2)`): ext4,
/// btrfs, XFS, tmpfs, F2FS, ZFS, overlayfs, bcachefs.
const WITH_OWNERS: [u64; 8] =
    [0xEF53, 0x9123_683E, 0x5846_5342, 0x0102_1994, 0xF2F5_2010, 0x2FC1_2FC1, 0x794C_7630, 0xCA45_1A4E];

/// Whether a directory belongs to the user that this is.
#[must_use]
pub fn belongs_to_us(directory: &Directory) -> bool {
    rustix::fs::fstat(directory).is_ok_and(|seen| seen.st_uid == rustix::process::geteuid().as_raw())
}

/// Makes a directory of ours, and the files of these names in it, our own business alone. Fails if one of them is not
/// what we could have made: it belongs to somebody else, has a second name, or is no regular file.
pub fn make_private(own: &Directory, names: &[&str]) -> Result<(), DirectoryError> {
    if !own.filesystem_magic().is_ok_and(|magic| WITH_OWNERS.contains(&magic)) {
        return Ok(());
    }
    let us = rustix::process::geteuid();
    for name in std::iter::once(&".").chain(names) {
        let fail = |cause| DirectoryError::Foreign(own.path_of(name), cause);
        let seen = match rustix::fs::statat(own, *name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(seen) => seen,
            Err(Errno::NOENT) => continue,
            Err(cause) => return Err(DirectoryError::Look(own.path_of(name), cause)),
        };
        let is_directory = *name == ".";
        // Of root's files anybody else may read what root lets them, and write nothing.
        if seen.st_uid != us.as_raw() && us.is_root() {
            return Err(fail(Errno::PERM));
        }
        if !is_directory && FileType::from_raw_mode(seen.st_mode) != FileType::RegularFile {
            return Err(fail(Errno::NOTSUP));
        }
        if !is_directory && seen.st_nlink > 1 {
            return Err(fail(Errno::MLINK));
        }
        let mode = Mode::from_raw_mode(seen.st_mode);
        if seen.st_uid == us.as_raw() && mode.intersects(Mode::RWXG | Mode::RWXO) {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let private = mode & Mode::RWXU;
            let changed = rustix::fs::openat(own, *name, flags, Mode::empty())
                .and_then(|file| rustix::fs::fchmod(&file, private));
            changed.map_err(|cause| DirectoryError::Write(own.path_of(name), cause))?;
        }
    }
    Ok(())
}
