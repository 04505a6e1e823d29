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

/// The processes that use what is mounted at one of these points, as far as this user may see them.
#[must_use]
pub fn of(points: &[PathBuf]) -> Vec<Holder> {
    let own = std::process::id();
    let here = mounts_of(Path::new("/proc/self"));
    let ours: Vec<&Mount> = here.iter().filter(|mount| points.contains(&mount.point)).collect();
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
        let elsewhere = fs::read_link(process.join("ns/mnt")).ok() != namespace;
        let by = used(&process, points).map(HeldBy::Path).or_else(|| {
            let theirs = if elsewhere { mounts_of(&process) } else { Vec::new() };
            theirs
                .iter()
                .find(|mount| ours.iter().any(|our| is_same(our, mount)))
                .map(|m| HeldBy::Namespace(m.point.clone()))
        })?;
        let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
        Some(Holder { pid, name: name.trim_end().replace(char::is_control, "\u{fffd}"), by })
    };
    pids.into_iter().filter_map(holder).take(MOST).collect()
}

fn mounts_of(process: &Path) -> Vec<Mount> {
    fs::read(process.join("mountinfo")).map(|bytes| mountinfo::parse(&bytes)).unwrap_or_default()
}

/// Whether two mounts are of one filesystem.
fn is_same(one: &Mount, other: &Mount) -> bool {
    one.device == other.device && one.fs_type == other.fs_type
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
