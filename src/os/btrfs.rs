//! Btrfs: subvolumes and snapshots, by descriptor.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use rustix::io::Errno;

use super::directory::{Directory, DirectoryError};
use super::sys;
pub use super::sys::{ReadOnly, SubvolumeFacts};

/// `BTRFS_SUPER_MAGIC`.
const MAGIC: u64 = 0x9123_683e;
/// The inode of the root of every subvolume.
const SUBVOLUME_ROOT: u64 = 256;

/// Why something could not be done with a subvolume.
#[derive(Debug, thiserror::Error)]
pub enum BtrfsError {
    /// It could not be looked at.
    #[error("look at the subvolume {}", .0.display())]
    Look(PathBuf, #[source] Errno),
    /// It could not be created.
    #[error("create the subvolume {}", .0.display())]
    Create(PathBuf, #[source] Errno),
    /// The snapshot could not be made.
    #[error("make the snapshot {}", .0.display())]
    Snapshot(PathBuf, #[source] Errno),
    /// It could not be made writable or read-only.
    #[error("change whether the subvolume {} can be written", .0.display())]
    Protect(PathBuf, #[source] Errno),
    /// It could not be deleted.
    #[error("delete the subvolume {}", .0.display())]
    Delete(PathBuf, #[source] Errno),
}

impl BtrfsError {
    /// What the kernel answered.
    #[must_use]
    pub fn cause(&self) -> Errno {
        let (Self::Look(_, cause)
        | Self::Create(_, cause)
        | Self::Snapshot(_, cause)
        | Self::Protect(_, cause)
        | Self::Delete(_, cause)) = self;
        *cause
    }
}

/// What a directory is to btrfs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The root of a subvolume.
    Subvolume,
    /// A directory within a subvolume.
    Directory,
    /// On another filesystem.
    Foreign,
}

/// What the directory is to btrfs.
pub fn role(directory: &Directory) -> Result<Role, DirectoryError> {
    if directory.filesystem_magic()? != MAGIC {
        return Ok(Role::Foreign);
    }
    Ok(if directory.identity()?.inode == SUBVOLUME_ROOT { Role::Subvolume } else { Role::Directory })
}

/// Makes an empty subvolume.
pub fn create(parent: &Directory, name: &OsStr) -> Result<(), BtrfsError> {
    sys::create(parent, name).map_err(|cause| BtrfsError::Create(parent.path_of(name), cause))
}

/// Makes a read-only snapshot. Unlike the command line, it refuses a name that is taken instead of going inside.
pub fn snapshot(source: &Directory, parent: &Directory, name: &OsStr) -> Result<(), BtrfsError> {
    sys::snapshot(source, parent, name).map_err(|cause| BtrfsError::Snapshot(parent.path_of(name), cause))
}

/// A subvolume below this one, if there is any. A kernel before 4.18 does not tell.
pub fn one_below(subvolume: &Directory) -> Result<Option<PathBuf>, BtrfsError> {
    let look = |cause| BtrfsError::Look(subvolume.path().to_owned(), cause);
    match sys::one_below(subvolume) {
        Ok(below) => Ok(below.map(|below| subvolume.path_of(&below))),
        Err(Errno::NOTTY) => Ok(None),
        Err(cause) => Err(look(cause)),
    }
}

/// The UUIDs of a subvolume.
pub fn facts(subvolume: &Directory) -> Result<SubvolumeFacts, BtrfsError> {
    sys::facts(subvolume).map_err(|cause| BtrfsError::Look(subvolume.path().to_owned(), cause))
}

/// The bytes that no other subvolume holds, which deleting this one would free. `None` where btrfs keeps no account of
/// them, or is not sure of it (btrfs-quota(8)). What was written in the last seconds may be missing.
#[must_use]
pub fn exclusive(subvolume: &Directory) -> Option<u64> {
    let tree = sys::facts(subvolume).ok()?.tree;
    let uuid = sys::filesystem_uuid(subvolume).ok()?;
    let mut name = String::new();
    for (at, byte) in uuid.iter().enumerate() {
        name.push_str(if matches!(at, 4 | 6 | 8 | 10) { "-" } else { "" });
        // Writing to a string cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    let groups = Path::new("/sys/fs/btrfs").join(name).join("qgroups");
    let told = |name: &str| std::fs::read_to_string(groups.join(name)).ok();
    // Simple quotas count what a subvolume has written, whoever shares it by now.
    if told("mode").is_some_and(|mode| mode.trim() != "qgroup") || told("inconsistent")?.trim() != "0" {
        return None;
    }
    told(&format!("0_{tree}/exclusive"))?.trim().parse().ok()
}

/// Whether a subvolume is read-only.
pub fn is_read_only(subvolume: &Directory) -> Result<ReadOnly, BtrfsError> {
    sys::is_read_only(subvolume).map_err(|cause| BtrfsError::Look(subvolume.path().to_owned(), cause))
}

/// Makes a subvolume writable, as its owner must before he may delete it.
pub fn make_writable(subvolume: &Directory) -> Result<(), BtrfsError> {
    sys::set_read_only(subvolume, ReadOnly::No).map_err(|cause| BtrfsError::Protect(subvolume.path().to_owned(), cause))
}

/// Deletes a subvolume. Only root may, or its owner where `user_subvol_rm_allowed` is among the mount options.
pub fn delete(parent: &Directory, name: &OsStr) -> Result<(), BtrfsError> {
    sys::destroy(parent, name).map_err(|cause| BtrfsError::Delete(parent.path_of(name), cause))
}
