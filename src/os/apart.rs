//! A root of its own for rsync: an empty filesystem in memory with the source, which nobody can write there, the
//! destination, and the programs; nothing else has a path. What becomes of either end meanwhile leads nowhere: neither
//! to read, nor to give another owner or mode, in which Landlock has no say.
//!
//! Both ends come as trees that are cloned by descriptor (`open_tree(2)`), so that nothing is looked up by a path that
//! somebody could have changed, and no descriptor of the old root is left to whoever runs in the new one.

use std::fs;
use std::io::Write as _;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags,
    fsconfig_create, fsconfig_set_string, fsmount, fsopen, mount_change, move_mount, open_tree, unmount,
};

use super::confine::NEEDED;
use super::directory::{Directory, DirectoryError};
use super::{mounts, sys};

/// Where the source is found there.
pub const SOURCE: &str = "/source";
/// Where the destination is found there.
pub const DESTINATION: &str = "/destination";
/// Where a file may be left for rsync there.
pub(super) const SCRATCH: &str = "/scratch";

/// Sockets by which programs learn who the users are. Nothing else that listens is found there.
const SOCKETS: [&str; 4] = ["/var/lib/sss/pipes", "/run/nslcd", "/run/samba/winbindd", "/var/run/nscd"];

/// A directory that every machine has, to put the new root upon for a moment.
const LEVER: &str = "/proc";

/// Why there is no such root.
#[derive(Debug, thiserror::Error)]
pub enum ApartError {
    /// The kernel refused this step.
    #[error("give rsync a mount namespace of its own ({0})")]
    Refused(&'static str, #[source] Errno),
    /// One end cannot be found there.
    #[error("find an end of the copy in the mount namespace of rsync")]
    Lost(#[source] DirectoryError),
}

/// What is seen there, beside what every program needs.
#[derive(Debug)]
pub(super) struct Trees<'a> {
    /// What is read.
    pub(super) source: Option<BorrowedFd<'a>>,
    /// What is written.
    pub(super) destination: Option<BorrowedFd<'a>>,
    /// Programs and other paths that are needed.
    pub(super) needed: &'a [PathBuf],
}

/// The ends, as they are found there.
#[derive(Debug)]
pub(super) struct Apart {
    pub(super) source: Option<Directory>,
    pub(super) destination: Option<Directory>,
    pub(super) scratch: Directory,
}

impl Apart {
    /// Gives the calling thread, and whatever it starts from now on, such a root. A thread for which that failed half
    /// way is of no use any more.
    pub(super) fn enter(trees: &Trees<'_>) -> Result<Self, ApartError> {
        let programs = programs(trees.needed)?;
        let source = trees.source.map(clone).transpose()?;
        let destination = trees.destination.map(clone).transpose()?;
        let root = memory(MountAttrFlags::MOUNT_ATTR_NODEV)?;
        let did = |step: &'static str| move |cause| ApartError::Refused(step, cause);
        // What is mounted on the machine is copied with the namespace, and let go of at once: a drive that is unmounted
        // meanwhile is held by the copy. Where mounts are shared, the copy follows.
        sys::unshare_mounts().map_err(did("unshare"))?;
        let follows = MountPropagationFlags::DOWNSTREAM;
        mount_change("/", follows | MountPropagationFlags::REC).map_err(did("make mounts private"))?;
        put(root.as_fd(), CWD, Path::new(LEVER))?;
        rustix::process::fchdir(&root).map_err(did("enter"))?;
        rustix::process::pivot_root(".", ".").map_err(did("pivot_root"))?;
        unmount(".", UnmountFlags::DETACH).map_err(did("let go of the rest"))?;
        rustix::process::chdir("/").map_err(did("enter"))?;
        for (at, what) in &programs {
            what.place(root.as_fd(), at)?;
        }
        for at in [SOURCE, DESTINATION, SCRATCH] {
            make_directories(root.as_fd(), relative(at))?;
        }
        if let Some(tree) = &source {
            put(tree.as_fd(), root.as_fd(), relative(SOURCE))?;
        }
        // What is unmounted below the source elsewhere is unmounted here, too, and is not held by this copy of it.
        let sealed = MountAttrFlags::MOUNT_ATTR_RDONLY | MountAttrFlags::MOUNT_ATTR_NOSUID;
        sys::set_mounts(&root, sealed, follows).map_err(did("seal"))?;
        let inert = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
        if let Some(tree) = &destination {
            sys::set_mounts(tree, inert, follows).map_err(did("seal"))?;
            put(tree.as_fd(), root.as_fd(), relative(DESTINATION))?;
        }
        put(memory(inert)?.as_fd(), root.as_fd(), relative(SCRATCH))?;
        let open = |at: &str| Directory::open_root(Path::new(at)).map_err(ApartError::Lost);
        Ok(Self {
            source: source.map(|_| open(SOURCE)).transpose()?,
            destination: destination.map(|_| open(DESTINATION)).transpose()?,
            scratch: open(SCRATCH)?,
        })
    }

    /// Lets go of both ends: their drives are free when this returns.
    pub(super) fn leave(self) {
        drop(self);
        let _there = rustix::process::chdir("/");
        for end in [SOURCE, DESTINATION] {
            // One that is not there needs nothing.
            let _gone = unmount(end, UnmountFlags::DETACH);
        }
    }
}

/// Files of settings that are larger than this are mounted: that costs more than to copy a small one.
const SMALL: u64 = 64 << 10;

/// What lies at a place of the new root.
enum Piece {
    /// The content of a small file.
    Copy(Vec<u8>),
    Directory(OwnedFd),
    File(OwnedFd),
    Link(PathBuf),
}

impl Piece {
    fn place(&self, root: BorrowedFd<'_>, at: &Path) -> Result<(), ApartError> {
        let did = |cause| ApartError::Refused("make room", cause);
        let at = at.strip_prefix("/").unwrap_or(at);
        match self {
            Self::Directory(tree) => {
                make_directories(root, at)?;
                put(tree.as_fd(), root, at)
            }
            Self::Copy(content) => {
                make_directories(root, at.parent().unwrap_or(Path::new("")))?;
                let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
                let file = rustix::fs::openat(root, at, flags, Mode::from_raw_mode(0o444)).map_err(did)?;
                let written = fs::File::from(file).write_all(content);
                written.map_err(|error| did(Errno::from_io_error(&error).unwrap_or(Errno::IO)))
            }
            Self::File(tree) => {
                make_directories(root, at.parent().unwrap_or(Path::new("")))?;
                let flags = OFlags::CREATE | OFlags::WRONLY | OFlags::CLOEXEC;
                drop(rustix::fs::openat(root, at, flags, Mode::RUSR).map_err(did)?);
                put(tree.as_fd(), root, at)
            }
            Self::Link(target) => {
                make_directories(root, at.parent().unwrap_or(Path::new("")))?;
                rustix::fs::symlinkat(target, root, at).map_err(did)
            }
        }
    }
}

/// What every program needs, and these paths; what lies in one of them already is left out.
fn programs(needed: &[PathBuf]) -> Result<Vec<(PathBuf, Piece)>, ApartError> {
    if mounts::has_unbindable() {
        // It would be missing below the source, and pass for deleted.
        return Err(ApartError::Refused("a mount is unbindable", Errno::INVAL));
    }
    let mut pieces: Vec<(PathBuf, Piece)> = Vec::new();
    let fixed = NEEDED.iter().chain(&SOCKETS).map(PathBuf::from);
    for path in fixed.chain(needed.iter().cloned()) {
        let is_in = |path: &Path| pieces.iter().any(|(piece, _)| path.starts_with(piece));
        // Not every machine has all of them.
        let (false, Ok(real)) = (is_in(&path), fs::canonicalize(&path)) else { continue };
        let piece = if real != path && is_in(&real) {
            Piece::Link(real)
        } else if real.is_dir() {
            Piece::Directory(clone_at(CWD, &real)?)
        } else if let Some(content) = small(&path, &real) {
            Piece::Copy(content)
        } else {
            Piece::File(clone_at(CWD, &real)?)
        };
        pieces.push((path, piece));
    }
    Ok(pieces)
}

/// The content of a small file of settings.
fn small(path: &Path, real: &Path) -> Option<Vec<u8>> {
    let is_small = fs::metadata(real).is_ok_and(|seen| seen.is_file() && seen.len() <= SMALL);
    (path.starts_with("/etc") && is_small).then(|| fs::read(real).ok()).flatten()
}

/// A copy of the mounts below a directory, which is in no namespace yet.
fn clone(directory: BorrowedFd<'_>) -> Result<OwnedFd, ApartError> {
    clone_at(directory, Path::new(""))
}

fn clone_at(directory: BorrowedFd<'_>, path: &Path) -> Result<OwnedFd, ApartError> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC | OpenTreeFlags::AT_RECURSIVE;
    open_tree(directory, path, flags | OpenTreeFlags::AT_EMPTY_PATH)
        .map_err(|cause| ApartError::Refused("open_tree", cause))
}

/// An empty filesystem in memory. What is written there is small: lists of names.
fn memory(attributes: MountAttrFlags) -> Result<OwnedFd, ApartError> {
    let make = || {
        let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_set_string(context.as_fd(), "size", "64m")?;
        fsconfig_set_string(context.as_fd(), "mode", "0755")?;
        fsconfig_create(context.as_fd())?;
        fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes | MountAttrFlags::MOUNT_ATTR_NOSUID)
    };
    make().map_err(|cause| ApartError::Refused("tmpfs", cause))
}

fn put(tree: BorrowedFd<'_>, below: BorrowedFd<'_>, at: &Path) -> Result<(), ApartError> {
    move_mount(tree, "", below, at, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
        .map_err(|cause| ApartError::Refused("move_mount", cause))
}

fn make_directories(root: BorrowedFd<'_>, path: &Path) -> Result<(), ApartError> {
    let all: Vec<&Path> = path.ancestors().filter(|at| !at.as_os_str().is_empty()).collect();
    for at in all.into_iter().rev() {
        match rustix::fs::mkdirat(root, at, Mode::from_raw_mode(0o755)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(cause) => return Err(ApartError::Refused("make room", cause)),
        }
    }
    Ok(())
}

fn relative(path: &str) -> &Path {
    Path::new(path.trim_start_matches('/'))
}
