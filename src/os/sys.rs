//! The system calls that no safe wrapper offers: the ioctls of btrfs, keeping memory out of swap, and mounts of one's
//! own. The only unsafe code of the program.
//!
//! The structures are those of `linux/btrfs.h`; their sizes are part of the request numbers, so that a mistake in one
//! is refused by the kernel (ENOTTY) instead of being misread, and a test holds them.
#![expect(unsafe_code, reason = "these calls have no safe interface; each use says why it is sound")]

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::io::Errno;
use rustix::mount::{MountAttrFlags, MountPropagationFlags};
use rustix::thread::UnshareFlags;

/// `BTRFS_SUBVOL_RDONLY`.
const READ_ONLY: u64 = 1 << 1;

/// `struct btrfs_ioctl_vol_args_v2`, with its unions as plain bytes.
#[repr(C)]
struct NamedArguments {
    fd: i64,
    transaction: u64,
    flags: u64,
    unused: [u64; 4],
    name: [u8; 4040],
}

/// `struct btrfs_ioctl_vol_args`.
#[repr(C)]
struct ShortArguments {
    fd: i64,
    name: [u8; 4088],
}

/// `struct btrfs_ioctl_timespec`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Moment {
    seconds: u64,
    nanoseconds: u32,
}

/// `struct btrfs_ioctl_get_subvol_info_args`.
#[repr(C)]
struct Information {
    tree: u64,
    name: [u8; 256],
    parent: u64,
    directory: u64,
    generation: u64,
    flags: u64,
    uuid: [u8; 16],
    parent_uuid: [u8; 16],
    received_uuid: [u8; 16],
    transactions: [u64; 4],
    moments: [Moment; 4],
    reserved: [u64; 8],
}

/// `struct btrfs_ioctl_get_subvol_rootref_args`: the subvolumes below one, each as its tree and the directory it is in.
#[repr(C)]
struct Below {
    from: u64,
    found: [[u64; 2]; 255],
    count: u8,
    align: [u8; 7],
}

/// `struct btrfs_ioctl_ino_lookup_user_args`: how one of these is named.
#[repr(C)]
struct Named {
    directory: u64,
    tree: u64,
    name: [u8; 256],
    path: [u8; 3824],
}

/// `struct btrfs_ioctl_fs_info_args`, of which the UUID alone matters.
#[repr(C)]
struct Whole {
    counts: [u64; 2],
    uuid: [u8; 16],
    rest: [u64; 124],
}

nix::ioctl_write_ptr!(snap_destroy, 0x94, 15, ShortArguments);
nix::ioctl_write_ptr!(snap_create_v2, 0x94, 23, NamedArguments);
nix::ioctl_write_ptr!(subvol_create_v2, 0x94, 24, NamedArguments);
nix::ioctl_read!(subvol_get_flags, 0x94, 25, u64);
nix::ioctl_write_ptr!(subvol_set_flags, 0x94, 26, u64);
nix::ioctl_read!(fs_info, 0x94, 31, Whole);
nix::ioctl_read!(get_subvol_info, 0x94, 60, Information);
nix::ioctl_readwrite!(get_subvol_rootref, 0x94, 61, Below);
nix::ioctl_readwrite!(ino_lookup_user, 0x94, 62, Named);

/// What the kernel says of a subvolume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubvolumeFacts {
    /// The number of its tree, by which its quota group is called.
    pub tree: u64,
    /// Its UUID.
    pub uuid: [u8; 16],
    /// The UUID of the subvolume that it is a snapshot of; zero if it is none.
    pub parent_uuid: [u8; 16],
}

/// Makes a read-only snapshot of the subvolume `source`, named `name`, in the directory `parent`.
pub fn snapshot(source: impl AsFd, parent: impl AsFd, name: &OsStr) -> Result<(), Errno> {
    let arguments = NamedArguments {
        fd: i64::from(source.as_fd().as_raw_fd()),
        transaction: 0,
        flags: READ_ONLY,
        unused: [0; 4],
        name: buffer(name)?,
    };
    // SAFETY: both descriptors are open for the length of the call, since they are borrowed; the kernel reads exactly
    // the structure, whose layout is that of the header and whose name ends in NUL.
    result(unsafe { snap_create_v2(parent.as_fd().as_raw_fd(), &raw const arguments) })
}

/// Makes an empty subvolume named `name` in the directory `parent`.
pub fn create(parent: impl AsFd, name: &OsStr) -> Result<(), Errno> {
    let arguments = NamedArguments { fd: 0, transaction: 0, flags: 0, unused: [0; 4], name: buffer(name)? };
    // SAFETY: the descriptor is borrowed and thus open; the kernel reads exactly the structure, whose name ends in NUL.
    result(unsafe { subvol_create_v2(parent.as_fd().as_raw_fd(), &raw const arguments) })
}

/// Deletes the subvolume named `name` in the directory `parent`.
pub fn destroy(parent: impl AsFd, name: &OsStr) -> Result<(), Errno> {
    let arguments = ShortArguments { fd: 0, name: buffer(name)? };
    // SAFETY: the descriptor is borrowed and thus open; the kernel reads exactly the structure, whose name ends in NUL.
    result(unsafe { snap_destroy(parent.as_fd().as_raw_fd(), &raw const arguments) })
}

/// Whether the subvolume is read-only.
pub fn is_read_only(subvolume: impl AsFd) -> Result<ReadOnly, Errno> {
    let mut flags = 0_u64;
    // SAFETY: the descriptor is borrowed and thus open; the kernel writes eight bytes to `flags`, which it has.
    result(unsafe { subvol_get_flags(subvolume.as_fd().as_raw_fd(), &raw mut flags) })?;
    Ok(if flags & READ_ONLY == 0 { ReadOnly::No } else { ReadOnly::Yes })
}

/// Makes the subvolume read-only or writable.
pub fn set_read_only(subvolume: impl AsFd, wanted: ReadOnly) -> Result<(), Errno> {
    let flags = match wanted {
        ReadOnly::Yes => READ_ONLY,
        ReadOnly::No => 0,
    };
    // SAFETY: the descriptor is borrowed and thus open; the kernel reads eight bytes of `flags`, which it has.
    result(unsafe { subvol_set_flags(subvolume.as_fd().as_raw_fd(), &raw const flags) })
}

/// What the kernel says of the subvolume that the descriptor lies in.
pub fn facts(subvolume: impl AsFd) -> Result<SubvolumeFacts, Errno> {
    let mut information = Information {
        tree: 0,
        name: [0; 256],
        parent: 0,
        directory: 0,
        generation: 0,
        flags: 0,
        uuid: [0; 16],
        parent_uuid: [0; 16],
        received_uuid: [0; 16],
        transactions: [0; 4],
        moments: [Moment { seconds: 0, nanoseconds: 0 }; 4],
        reserved: [0; 8],
    };
    // SAFETY: the descriptor is borrowed and thus open; the kernel writes exactly the structure, all of whose fields
    // hold any bit pattern.
    result(unsafe { get_subvol_info(subvolume.as_fd().as_raw_fd(), &raw mut information) })?;
    Ok(SubvolumeFacts { tree: information.tree, uuid: information.uuid, parent_uuid: information.parent_uuid })
}

/// The UUID of the filesystem that a directory is on.
pub fn filesystem_uuid(directory: impl AsFd) -> Result<[u8; 16], Errno> {
    let mut whole = Whole { counts: [0; 2], uuid: [0; 16], rest: [0; 124] };
    // SAFETY: the descriptor is borrowed and thus open; the kernel writes exactly the structure, all of whose fields
    // hold any bit pattern.
    result(unsafe { fs_info(directory.as_fd().as_raw_fd(), &raw mut whole) })?;
    Ok(whole.uuid)
}

/// One of the subvolumes below a subvolume, by its path there, if there is any.
pub fn one_below(subvolume: impl AsFd) -> Result<Option<PathBuf>, Errno> {
    let mut below = Below { from: 0, found: [[0; 2]; 255], count: 0, align: [0; 7] };
    // SAFETY: the descriptor is borrowed and thus open; the kernel reads and writes exactly the structure, all of whose
    // fields hold any bit pattern.
    match result(unsafe { get_subvol_rootref(subvolume.as_fd().as_raw_fd(), &raw mut below) }) {
        // There are more than fit.
        Ok(()) | Err(Errno::OVERFLOW) => {}
        Err(error) => return Err(error),
    }
    let [tree, directory] = below.found[0];
    if below.count == 0 {
        return Ok(None);
    }
    let mut named = Named { directory, tree, name: [0; 256], path: [0; 3824] };
    // SAFETY: the same.
    result(unsafe { ino_lookup_user(subvolume.as_fd().as_raw_fd(), &raw mut named) })?;
    Ok(Some(Path::new(text(&named.path)).join(text(&named.name))))
}

/// Keeps these bytes out of swap until the process ends (mlock(2)).
pub fn keep_in_memory(bytes: &[u8]) -> Result<(), Errno> {
    let start = bytes.as_ptr().cast_mut().cast();
    // SAFETY: the range is borrowed and thus mapped for the length of the call, which reads and writes nothing of it.
    unsafe { rustix::mm::mlock(start, bytes.len()) }
}

/// Gives the calling thread, and whatever it starts from now on, a copy of the mounts that it sees: what it does to
/// them is its own. It also gets a root and a working directory of its own.
pub fn unshare_mounts() -> Result<(), Errno> {
    // SAFETY: the call is unsafe for tables of descriptors, which stay shared.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }
}

/// `struct mount_attr`.
#[repr(C)]
struct MountAttributes {
    set: u64,
    clear: u64,
    propagation: u64,
    users: u64,
}

/// Sets these attributes of the mount that a descriptor is the root of, and of all below it; and how they hear of other
/// mounts.
pub fn set_mounts(
    mount: impl AsFd,
    attributes: MountAttrFlags,
    propagation: MountPropagationFlags,
) -> Result<(), Errno> {
    let attributes = MountAttributes {
        set: u64::from(attributes.bits()),
        clear: 0,
        propagation: u64::from(propagation.bits()),
        users: 0,
    };
    let flags = nix::libc::AT_EMPTY_PATH | nix::libc::AT_RECURSIVE;
    let (fd, size) = (mount.as_fd().as_raw_fd(), size_of::<MountAttributes>());
    // SAFETY: the descriptor is borrowed and thus open, the path is a string that ends in NUL, and the kernel reads
    // exactly the structure.
    let answer = unsafe {
        nix::libc::syscall(nix::libc::SYS_mount_setattr, fd, c"".as_ptr(), flags, &raw const attributes, size)
    };
    if answer == 0 { Ok(()) } else { Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)) }
}

/// Whether a subvolume is read-only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadOnly {
    /// It cannot be changed.
    Yes,
    /// It can be changed.
    No,
}

/// The name in a buffer of the kernel's size, ended by NUL. The kernel itself refuses `/` in it.
fn buffer<const SIZE: usize>(name: &OsStr) -> Result<[u8; SIZE], Errno> {
    let mut buffer = [0; SIZE];
    let bytes = name.as_bytes();
    if bytes.len() > 255 || bytes.is_empty() {
        return Err(Errno::NAMETOOLONG);
    }
    for (to, from) in buffer.iter_mut().zip(bytes) {
        *to = *from;
    }
    Ok(buffer)
}

/// What the kernel wrote into such a buffer.
fn text(buffer: &[u8]) -> &OsStr {
    OsStr::from_bytes(buffer.split(|byte| *byte == 0).next().unwrap_or_default())
}

fn result(answer: nix::Result<nix::libc::c_int>) -> Result<(), Errno> {
    match answer {
        Ok(_) => Ok(()),
        Err(errno) => Err(Errno::from_io_error(&std::io::Error::from(errno)).unwrap_or(Errno::IO)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_structures_have_the_sizes_of_the_kernel_header() {
        assert_eq!(size_of::<NamedArguments>(), 4096);
        assert_eq!(size_of::<ShortArguments>(), 4096);
        assert_eq!(size_of::<Information>(), 504);
        assert_eq!((size_of::<Below>(), size_of::<Named>()), (4096, 4096));
        assert_eq!((size_of::<MountAttributes>(), size_of::<Whole>()), (32, 1024));
    }

    #[test]
    fn a_name_that_does_not_fit_is_refused() {
        assert_eq!(buffer::<4040>(OsStr::new(&"x".repeat(256))), Err(Errno::NAMETOOLONG));
        assert_eq!(buffer::<4040>(OsStr::new("")), Err(Errno::NAMETOOLONG));
    }
}
