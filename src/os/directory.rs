//! Directories by descriptor: what is pinned here cannot be swapped for something else under the same path.
//!
//! Every name below an open directory is resolved by `openat2(2)` without following symbolic links and without leaving
//! the directory, so that what lies on a drive decides nothing.

use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, RawDir, RenameFlags, ResolveFlags, StatVfsMountFlags, StatxFlags, fstatfs,
    fstatvfs, openat2,
};
pub use rustix::io::Errno;

use crate::model::{Honours, MountId};

/// Why something could not be done with a directory. Each names the path and the cause.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// It could not be opened.
    #[error("open {}", .0.display())]
    Open(PathBuf, #[source] Errno),
    /// It could not be looked at.
    #[error("look at {}", .0.display())]
    Look(PathBuf, #[source] Errno),
    /// Its entries could not be listed.
    #[error("list {}", .0.display())]
    List(PathBuf, #[source] Errno),
    /// It could not be read.
    #[error("read {}", .0.display())]
    Read(PathBuf, #[source] Errno),
    /// It could not be written.
    #[error("write {}", .0.display())]
    Write(PathBuf, #[source] Errno),
    /// It could not be created.
    #[error("create {}", .0.display())]
    Create(PathBuf, #[source] Errno),
    /// It could not be renamed.
    #[error("rename {}", .0.display())]
    Rename(PathBuf, #[source] Errno),
    /// It could not be removed.
    #[error("remove {}", .0.display())]
    Remove(PathBuf, #[source] Errno),
    /// It could not be flushed to the device.
    #[error("flush {} to its device", .0.display())]
    Flush(PathBuf, #[source] Errno),
    /// It is not what we could have made.
    #[error("use {}, which is not as we make it; if it is yours, `chown` it or remove it", .0.display())]
    Foreign(PathBuf, #[source] Errno),
    /// It could not be locked.
    #[error("lock {}", .0.display())]
    Lock(PathBuf, #[source] Errno),
}

impl DirectoryError {
    /// What the kernel answered.
    #[must_use]
    pub fn cause(&self) -> Errno {
        let (Self::Open(_, cause)
        | Self::Look(_, cause)
        | Self::List(_, cause)
        | Self::Read(_, cause)
        | Self::Write(_, cause)
        | Self::Create(_, cause)
        | Self::Rename(_, cause)
        | Self::Remove(_, cause)
        | Self::Flush(_, cause)
        | Self::Foreign(_, cause)
        | Self::Lock(_, cause)) = self;
        *cause
    }

    /// What it is about.
    #[must_use]
    pub fn path(&self) -> &Path {
        let (Self::Open(path, _)
        | Self::Look(path, _)
        | Self::List(path, _)
        | Self::Read(path, _)
        | Self::Write(path, _)
        | Self::Create(path, _)
        | Self::Rename(path, _)
        | Self::Remove(path, _)
        | Self::Flush(path, _)
        | Self::Foreign(path, _)
        | Self::Lock(path, _)) = self;
        path
    }
}

/// Whether an operation changed something, so that only what is ours is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeMade {
    /// It did.
    Changed,
    /// It found things as they should be.
    AlreadySo,
}

/// How far a path below a directory may lead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Not into another mount.
    SameMount,
    /// Into whatever is mounted below.
    AnyMount,
}

/// What tells one directory from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// The device number of its filesystem, major and minor, as `stat` tells it.
    pub device: (u32, u32),
    /// Its inode.
    pub inode: u64,
    /// The mount through which it was opened.
    pub mount: MountId,
}

/// What a name stands for. Symbolic links are not followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Nothing has this name.
    Nothing,
    /// A directory.
    Directory,
    /// A regular file.
    File,
    /// A symbolic link.
    Link,
    /// A FIFO, a socket or a device.
    Special,
}

/// What is left on a filesystem for an ordinary user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes.
    pub bytes: u64,
    /// Inodes; `None` where the filesystem does not count them.
    pub inodes: Option<u64>,
}

/// An entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryEntry {
    /// Its name.
    pub name: OsString,
    /// What it is; `None` where the filesystem does not tell without a look.
    pub kind: Option<Kind>,
}

/// An open directory, and the path by which people know it.
#[derive(Debug)]
pub struct Directory {
    fd: OwnedFd,
    path: PathBuf,
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

const OPEN: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);
const BELOW: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS);

impl Directory {
    /// Opens the root of a volume. The path comes from the configuration, so its symbolic links are the user's own.
    pub fn open_root(path: &Path) -> Result<Self, DirectoryError> {
        let fd = openat2(CWD, path, OPEN, Mode::empty(), ResolveFlags::NO_MAGICLINKS)
            .map_err(|cause| DirectoryError::Open(path.to_owned(), cause))?;
        Ok(Self { fd, path: path.to_owned() })
    }

    /// Opens a directory below this one; an empty path is this one again.
    pub fn open_below(&self, below: &Path, reach: Reach) -> Result<Self, DirectoryError> {
        let resolve = match reach {
            Reach::SameMount => BELOW.union(ResolveFlags::NO_XDEV),
            Reach::AnyMount => BELOW,
        };
        let (target, path) = if below.as_os_str().is_empty() {
            (Path::new("."), self.path.clone())
        } else {
            (below, self.path.join(below))
        };
        let fd = openat2(&self.fd, target, OPEN, Mode::empty(), resolve)
            .map_err(|cause| DirectoryError::Open(path.clone(), cause))?;
        Ok(Self { fd, path })
    }

    /// The path by which people know it; for messages only.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where it lies now, if the kernel tells.
    #[must_use]
    pub fn real_path(&self) -> Option<PathBuf> {
        std::fs::read_link(format!("/proc/self/fd/{}", self.fd.as_raw_fd())).ok()
    }

    /// The path of an entry, for messages.
    #[must_use]
    pub fn path_of(&self, name: &(impl AsRef<OsStr> + ?Sized)) -> PathBuf {
        self.path.join(Path::new(name.as_ref()))
    }

    /// What tells it from another directory.
    pub fn identity(&self) -> Result<Identity, DirectoryError> {
        let wanted = StatxFlags::INO | StatxFlags::MNT_ID;
        let seen = rustix::fs::statx(&self.fd, "", AtFlags::EMPTY_PATH, wanted)
            .map_err(|cause| DirectoryError::Look(self.path.clone(), cause))?;
        let device = (seen.stx_dev_major, seen.stx_dev_minor);
        Ok(Identity { device, inode: seen.stx_ino, mount: MountId(seen.stx_mnt_id) })
    }

    /// The number of the mount through which it was opened, which no other mount has until the next boot (statx(2),
    /// `STATX_MNT_ID_UNIQUE`); `None` before Linux 6.8.
    #[must_use]
    pub fn unique_mount(&self) -> Option<u64> {
        let unique = StatxFlags::from_bits_retain(0x4000);
        let seen = rustix::fs::statx(&self.fd, "", AtFlags::EMPTY_PATH, unique).ok()?;
        (seen.stx_mask & unique.bits() != 0).then_some(seen.stx_mnt_id)
    }

    /// What a name in it stands for.
    pub fn kind_of(&self, name: &(impl AsRef<OsStr> + ?Sized)) -> Result<Kind, DirectoryError> {
        match rustix::fs::statat(&self.fd, name.as_ref(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(kind(FileType::from_raw_mode(stat.st_mode)).unwrap_or(Kind::Special)),
            Err(Errno::NOENT) => Ok(Kind::Nothing),
            Err(cause) => Err(DirectoryError::Look(self.path_of(name), cause)),
        }
    }

    /// The size of a regular file in it, in bytes; `None` if the name stands for anything else.
    pub fn file_size(&self, name: &(impl AsRef<OsStr> + ?Sized)) -> Result<Option<u64>, DirectoryError> {
        Ok(self.file_stamp(name)?.map(|(size, _)| size))
    }

    /// The same and when its content was changed, in seconds.
    pub fn file_stamp(&self, name: &(impl AsRef<OsStr> + ?Sized)) -> Result<Option<(u64, i64)>, DirectoryError> {
        match rustix::fs::statat(&self.fd, name.as_ref(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => {
                Ok(u64::try_from(stat.st_size).ok().map(|size| (size, stat.st_mtime)))
            }
            Ok(_) | Err(Errno::NOENT) => Ok(None),
            Err(cause) => Err(DirectoryError::Look(self.path_of(name), cause)),
        }
    }

    /// Creates a directory in it, accessible to its owner and, as the umask allows, to others.
    pub fn create_directory(
        &self,
        name: &(impl AsRef<OsStr> + ?Sized),
        mode: u32,
    ) -> Result<ChangeMade, DirectoryError> {
        match rustix::fs::mkdirat(&self.fd, name.as_ref(), Mode::from_raw_mode(mode)) {
            Ok(()) => Ok(ChangeMade::Changed),
            Err(Errno::EXIST) => Ok(ChangeMade::AlreadySo),
            Err(cause) => Err(DirectoryError::Create(self.path_of(name), cause)),
        }
    }

    /// Renames an entry to a name that must be free. Where the filesystem cannot promise that (NFS, sshfs, FUSE), the
    /// name is looked at first, which is enough for who holds the lock.
    pub fn rename_to_free(
        &self,
        from: &(impl AsRef<OsStr> + ?Sized),
        to: &(impl AsRef<OsStr> + ?Sized),
    ) -> Result<(), DirectoryError> {
        let fail = |cause| DirectoryError::Rename(self.path_of(from), cause);
        match rustix::fs::renameat_with(&self.fd, from.as_ref(), &self.fd, to.as_ref(), RenameFlags::NOREPLACE) {
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => match self.kind_of(to)? {
                Kind::Nothing => self.rename_over(from, to),
                Kind::Directory | Kind::File | Kind::Link | Kind::Special => Err(fail(Errno::EXIST)),
            },
            done => done.map_err(fail),
        }
    }

    /// Renames an entry, replacing a file or link of that name.
    pub fn rename_over(
        &self,
        from: &(impl AsRef<OsStr> + ?Sized),
        to: &(impl AsRef<OsStr> + ?Sized),
    ) -> Result<(), DirectoryError> {
        rustix::fs::renameat(&self.fd, from.as_ref(), &self.fd, to.as_ref())
            .map_err(|cause| DirectoryError::Rename(self.path_of(from), cause))
    }

    /// Where a symbolic link in it points; `None` if the name is free or not a link.
    pub fn link_target(&self, name: &(impl AsRef<OsStr> + ?Sized)) -> Result<Option<PathBuf>, DirectoryError> {
        match rustix::fs::readlinkat(&self.fd, name.as_ref(), Vec::new()) {
            Ok(target) => Ok(Some(PathBuf::from(OsString::from_vec(target.into_bytes())))),
            Err(Errno::NOENT | Errno::INVAL) => Ok(None),
            Err(cause) => Err(DirectoryError::Look(self.path_of(name), cause)),
        }
    }

    /// Makes `name` a symbolic link to `target` at one stroke, by way of the link `temporary`.
    pub fn replace_link(&self, name: &str, target: &Path, temporary: &str) -> Result<(), DirectoryError> {
        self.remove_file(temporary)?;
        rustix::fs::symlinkat(target, &self.fd, temporary)
            .map_err(|cause| DirectoryError::Create(self.path_of(temporary), cause))?;
        self.rename_over(temporary, name)
    }

    /// Removes an entry that is not a directory.
    pub fn remove_file(&self, name: &(impl AsRef<OsStr> + ?Sized)) -> Result<ChangeMade, DirectoryError> {
        self.remove(name.as_ref(), AtFlags::empty())
    }

    /// Removes an empty directory.
    pub fn remove_directory(&self, name: &(impl AsRef<OsStr> + ?Sized)) -> Result<ChangeMade, DirectoryError> {
        self.remove(name.as_ref(), AtFlags::REMOVEDIR)
    }

    fn remove(&self, name: &OsStr, flags: AtFlags) -> Result<ChangeMade, DirectoryError> {
        match rustix::fs::unlinkat(&self.fd, name, flags) {
            Ok(()) => Ok(ChangeMade::Changed),
            Err(Errno::NOENT) => Ok(ChangeMade::AlreadySo),
            Err(cause) => Err(DirectoryError::Remove(self.path_of(name), cause)),
        }
    }

    /// Its entries, at most `limit` of them, in the order of the filesystem.
    pub fn entries(&self, limit: usize) -> Result<Vec<DirectoryEntry>, DirectoryError> {
        let fail = |cause| DirectoryError::List(self.path.clone(), cause);
        // A descriptor of its own: the place in the directory belongs to the open file, not to the caller.
        let reading = openat2(&self.fd, ".", OPEN, Mode::empty(), BELOW).map_err(fail)?;
        let mut buffer = [const { MaybeUninit::uninit() }; 16 * 1024];
        let mut listing = RawDir::new(&reading, &mut buffer);
        let mut entries = Vec::new();
        while entries.len() < limit
            && let Some(entry) = listing.next()
        {
            let entry = entry.map_err(fail)?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." {
                entries
                    .push(DirectoryEntry { name: OsStr::from_bytes(name).to_owned(), kind: kind(entry.file_type()) });
            }
        }
        Ok(entries)
    }

    /// Flushes its entries to the device: what was created, renamed and removed in it stays so.
    pub fn flush(&self) -> Result<(), DirectoryError> {
        rustix::fs::fsync(&self.fd).map_err(|cause| DirectoryError::Flush(self.path.clone(), cause))
    }

    /// Flushes the whole filesystem to its device. It tells of every write that failed since this descriptor was
    /// opened, once; rsync itself says nothing of them.
    pub fn flush_filesystem(&self) -> Result<(), DirectoryError> {
        rustix::fs::syncfs(&self.fd).map_err(|cause| DirectoryError::Flush(self.path.clone(), cause))
    }

    /// What is left on its filesystem.
    pub fn space(&self) -> Result<Space, DirectoryError> {
        let seen = fstatvfs(&self.fd).map_err(|cause| DirectoryError::Look(self.path.clone(), cause))?;
        let inodes = (seen.f_files > 0).then_some(seen.f_favail);
        Ok(Space { bytes: seen.f_bavail.saturating_mul(seen.f_frsize), inodes })
    }

    /// What its mount lets a file do (`mount(8)`: `nosuid`, `nodev`). One that does not tell lets it do all.
    #[must_use]
    pub fn honours(&self) -> Honours {
        let Ok(seen) = fstatvfs(&self.fd) else { return Honours::All };
        match (seen.f_flag.contains(StatVfsMountFlags::NOSUID), seen.f_flag.contains(StatVfsMountFlags::NODEV)) {
            (false, false) => Honours::All,
            (true, true) => Honours::Nothing,
            (true, false) | (false, true) => Honours::Some,
        }
    }

    /// The magic number of its filesystem (`statfs(2)`).
    pub fn filesystem_magic(&self) -> Result<u64, DirectoryError> {
        let seen = fstatfs(&self.fd).map_err(|cause| DirectoryError::Look(self.path.clone(), cause))?;
        u64::try_from(seen.f_type).map_err(|_| DirectoryError::Look(self.path.clone(), Errno::RANGE))
    }
}

fn kind(kind: FileType) -> Option<Kind> {
    match kind {
        FileType::Directory => Some(Kind::Directory),
        FileType::RegularFile => Some(Kind::File),
        FileType::Symlink => Some(Kind::Link),
        FileType::Fifo | FileType::Socket | FileType::CharacterDevice | FileType::BlockDevice => Some(Kind::Special),
        FileType::Unknown => None,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_below_a_directory_leads_out_of_it() {
        let place = tempfile::tempdir().unwrap();
        let inside = place.path().join("inside");
        std::fs::create_dir_all(inside.join("deep/er")).unwrap();
        symlink("..", inside.join("up")).unwrap();
        symlink("deep", inside.join("within")).unwrap();
        let root = Directory::open_root(&inside).unwrap();
        for refused in ["up", "within", "within/er", "..", "deep/../..", "/", "/etc"] {
            let error = root.open_below(Path::new(refused), Reach::AnyMount).expect_err(refused);
            assert!(matches!(error.cause(), Errno::LOOP | Errno::XDEV), "{refused}: {error:?}");
        }
        let deep = root.open_below(Path::new("deep/er"), Reach::SameMount).unwrap();
        assert_eq!(deep.path(), inside.join("deep/er"));
        // The root itself may be reached through a link: that is the user's own.
        symlink(&inside, place.path().join("link")).unwrap();
        let again = Directory::open_root(&place.path().join("link")).unwrap();
        assert_eq!(again.identity().unwrap(), root.identity().unwrap());
        assert_ne!(deep.identity().unwrap(), root.identity().unwrap());
    }

    #[test]
    fn a_pinned_directory_survives_its_path() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a");
        std::fs::create_dir(&path).unwrap();
        let pinned = Directory::open_root(&path).unwrap();
        std::fs::rename(&path, place.path().join("b")).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert_eq!(pinned.create_directory("new", 0o755).unwrap(), ChangeMade::Changed);
        assert_eq!(pinned.create_directory("new", 0o755).unwrap(), ChangeMade::AlreadySo);
        assert!(place.path().join("b/new").is_dir());
        assert!(!path.join("new").exists());
    }

    #[test]
    fn names_are_taken_and_links_replaced_at_one_stroke() {
        let place = tempfile::tempdir().unwrap();
        let root = Directory::open_root(place.path()).unwrap();
        for name in ["a", "b"] {
            root.create_directory(name, 0o755).unwrap();
        }
        assert_eq!(root.rename_to_free("a", "b").unwrap_err().cause(), Errno::EXIST);
        root.rename_to_free("a", "c").unwrap();
        root.replace_link("latest", Path::new("b"), ".latest-1").unwrap();
        root.replace_link("latest", Path::new("c"), ".latest-1").unwrap();
        assert_eq!(root.link_target("latest").unwrap(), Some(PathBuf::from("c")));
        assert_eq!(root.link_target("c").unwrap(), None);
        let names: Vec<_> = root.entries(100).unwrap().into_iter().map(|entry| entry.name).collect();
        assert_eq!(names.len(), 3, "{names:?}");
        assert_eq!(root.entries(2).unwrap().len(), 2);
        assert_eq!(root.remove_file("nothing").unwrap(), ChangeMade::AlreadySo);
    }
}
