//! Who keeps a filesystem from being unmounted: processes that use something on it, and those that have it mounted in a
//! namespace of their own.
//!
//! Only links of `/proc` are read, and nothing is touched that they lead to: it may be on a disk that does not answer.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::formats::mountinfo;
use crate::model::{HeldBy, Holder, Mount};

/// No more than this many are told.
const MOST: usize = 8;

/// A filesystem, as mount tables know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filesystem {
    /// The node of its device.
    pub node: PathBuf,
    /// The number of its device, major and minor. Filesystems over several devices have a number of their own.
    pub number: (u32, u32),
    /// Its UUID.
    pub uuid: String,
    /// Where it is mounted here.
    pub points: Vec<PathBuf>,
}

/// Whether the kernel still works on a filesystem, though it may be mounted nowhere that can be seen: a process in a
/// container may have a file of it open, whose mount went away with its directory. Those that are not in sysfs (FAT,
/// exFAT, NTFS) are taken to be gone.
#[must_use]
pub fn is_alive(filesystem: &Filesystem) -> bool {
    let (major, minor) = filesystem.number;
    let device = fs::read_link(format!("/sys/dev/block/{major}:{minor}")).ok();
    let name = device.as_deref().and_then(Path::file_name).unwrap_or_default();
    let by_name = ["ext4", "xfs", "f2fs"].map(|kind| Path::new("/sys/fs").join(kind).join(name));
    let by_uuid = Path::new("/sys/fs/btrfs").join(&filesystem.uuid);
    !name.is_empty() && by_name.iter().chain([&by_uuid]).any(|path| path.exists())
}

/// The processes that use a filesystem, as far as this user may see them. One that is unmounted here may still be
/// mounted in the namespace of a container.
#[must_use]
pub fn of(filesystem: &Filesystem) -> Vec<Holder> {
    let own = std::process::id();
    let namespace = fs::read_link("/proc/self/ns/mnt").ok();
    let mut pids: Vec<u32> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid| *pid != own)
        .collect();
    pids.sort_unstable();
    let holder = |pid: u32| {
        let process = PathBuf::from(format!("/proc/{pid}"));
        let theirs = fs::read_link(process.join("ns/mnt")).ok();
        let elsewhere = || {
            let table = if theirs.is_some() && theirs != namespace { mounts_of(&process) } else { Vec::new() };
            table.into_iter().find(|mount| is_of(mount, filesystem)).map(|mount| HeldBy::Namespace(mount.point))
        };
        let by = used(&process, &filesystem.points).map(HeldBy::Path).or_else(elsewhere)?;
        let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
        Some(Holder { pid, name: name.trim_end().replace(char::is_control, "\u{fffd}"), by })
    };
    pids.into_iter().filter_map(holder).take(MOST).collect()
}

fn mounts_of(process: &Path) -> Vec<Mount> {
    fs::read(process.join("mountinfo")).map(|bytes| mountinfo::mounts(&bytes)).unwrap_or_default()
}

fn is_of(mount: &Mount, filesystem: &Filesystem) -> bool {
    mount.device == filesystem.number || (mount.device.0 == 0 && mount.source == filesystem.node)
}

/// The first thing below one of the points that a process uses.
fn used(process: &Path, points: &[PathBuf]) -> Option<PathBuf> {
    let is_below = |path: &Path| points.iter().any(|point| path.starts_with(point));
    let links = ["cwd", "root", "exe"].into_iter().map(|name| process.join(name));
    let open = fs::read_dir(process.join("fd")).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let linked = links.chain(open).filter_map(|link| fs::read_link(link).ok()).find(|path| is_below(path));
    linked.or_else(|| mapped(process).into_iter().find(|path| is_below(path)))
}

/// The files that a process maps: the sixth field of each line of its `maps`.
fn mapped(process: &Path) -> Vec<PathBuf> {
    let table = fs::read(process.join("maps")).unwrap_or_default();
    let lines = table.split(|byte| *byte == b'\n');
    let path = |line: &[u8]| {
        let start = line.iter().position(|byte| *byte == b'/')?;
        Some(PathBuf::from(std::ffi::OsStr::from_bytes(line.get(start..)?)))
    };
    lines.filter_map(path).collect()
}
