//! A block device, looked at closely: what lies on it, and who uses it.

use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{major, minor};

use super::mounts;
use crate::model::{DiskContent, Mount};

/// Where the kernel tells of each btrfs that is in use.
const POOLS: &str = "/sys/fs/btrfs";

/// Why nothing is known of a device.
#[derive(Debug, thiserror::Error)]
pub enum DiskContentError {
    /// There is nothing of that name.
    #[error("find {}", .0.display())]
    Missing(PathBuf, #[source] io::Error),
    /// It is a file, a directory or something else.
    #[error("use {}: it is no block device, such as /dev/sdb1; `nbkpctl drives` and `lsblk` show yours", .0.display())]
    NotBlock(PathBuf),
    /// udev does not tell of it.
    #[error("ask udev for {}", .0.display())]
    Udev(PathBuf, #[source] io::Error),
}

/// Looks at a device.
pub fn look_closely(path: &Path) -> Result<DiskContent, DiskContentError> {
    let missing = |error| DiskContentError::Missing(path.to_owned(), error);
    let node = path.canonicalize().map_err(missing)?;
    let about = std::fs::metadata(&node).map_err(missing)?;
    if !about.file_type().is_block_device() {
        return Err(DiskContentError::NotBlock(path.to_owned()));
    }
    let number = about.rdev();
    let device = udev::Device::from_devnum(udev::DeviceType::Block, number)
        .map_err(|error| DiskContentError::Udev(path.to_owned(), error))?;
    let below = parts(device.syspath());
    let mut holds = contents(&device);
    if !below.is_empty() {
        let names: Vec<_> = below.iter().map(|part| part.name.as_str()).collect();
        holds.push(format!("the partitions {}", names.join(", ")));
    }
    let whole =
        Part { name: file_name(&node), path: device.syspath().to_owned(), number: (major(number), minor(number)) };
    let mut uses: Vec<String> = std::iter::once(&whole).chain(&below).flat_map(uses).collect();
    // Whoever it is that holds it.
    if uses.is_empty() && is_held(&node) {
        uses.push(format!("the kernel holds {} for somebody", node.display()));
    }
    Ok(DiskContent {
        stable: stable(&device).unwrap_or_else(|| node.clone()),
        size: attribute(device.syspath(), "size").and_then(|text| text.parse::<u64>().ok()).unwrap_or_default() * 512,
        hardware: text(&device, "ID_SERIAL"),
        holds,
        uses,
        node,
    })
}

/// A device, or a partition of it.
struct Part {
    name: String,
    path: PathBuf,
    number: (u32, u32),
}

fn parts(device: &Path) -> Vec<Part> {
    let entries = std::fs::read_dir(device).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut parts: Vec<_> = entries
        .filter(|path| path.join("partition").exists())
        .filter_map(|path| {
            let (major, minor) = attribute(&path, "dev")?.split_once(':').map(|(a, b)| (a.to_owned(), b.to_owned()))?;
            Some(Part { name: file_name(&path), number: (major.parse().ok()?, minor.parse().ok()?), path })
        })
        .collect();
    parts.sort_by(|a, b| a.name.cmp(&b.name));
    parts
}

fn contents(device: &udev::Device) -> Vec<String> {
    let mut found = Vec::new();
    if let Some(kind) = text(device, "ID_FS_TYPE") {
        let label = text(device, "ID_FS_LABEL").map(|label| format!(" `{label}`")).unwrap_or_default();
        found.push(format!("{kind}{label}"));
    }
    if let Some(kind) = text(device, "ID_PART_TABLE_TYPE").filter(|_| is_disk(device)) {
        found.push(format!("a partition table ({kind})"));
    }
    found
}

/// A partition tells of the table that it is in.
fn is_disk(device: &udev::Device) -> bool {
    text(device, "DEVTYPE").is_none_or(|kind| kind == "disk")
}

fn uses(part: &Part) -> Vec<String> {
    let name = &part.name;
    let is_of = |mount: &&Mount| mount.device == part.number || mount.source == Path::new("/dev").join(name);
    let mounts = mounts::read().unwrap_or_default();
    let mut uses: Vec<String> = mounts
        .iter()
        .filter(is_of)
        .map(|mount| format!("/dev/{name} is mounted at {}", mount.point.display()))
        .collect();
    let is_mounted = !uses.is_empty();
    let swaps = std::fs::read_to_string("/proc/swaps").unwrap_or_default();
    if swaps.lines().any(|line| line.split_whitespace().next() == Some(&format!("/dev/{name}"))) {
        uses.push(format!("/dev/{name} is used for swap"));
    }
    if !is_mounted {
        uses.extend(pools(name, &mounts));
    }
    let holders = std::fs::read_dir(part.path.join("holders")).into_iter().flatten().flatten();
    uses.extend(holders.map(|holder| format!("/dev/{name} is part of /dev/{}", holder.file_name().to_string_lossy())));
    uses
}

/// The filesystems over several devices that a device is a part of and that are in use: the table of mounts names one
/// of their devices only. The kernel shows those of btrfs while they are mounted.
fn pools(name: &str, mounts: &[Mount]) -> Vec<String> {
    let pools = std::fs::read_dir(POOLS).into_iter().flatten().flatten().map(|entry| entry.path());
    let with_it = pools.filter(|pool| pool.join("devices").join(name).exists());
    let told = with_it.map(|pool| {
        let devices = std::fs::read_dir(pool.join("devices")).into_iter().flatten().flatten();
        let nodes: Vec<_> = devices.map(|device| Path::new("/dev").join(device.file_name())).collect();
        let points = mounts.iter().filter(|mount| nodes.contains(&mount.source));
        let points: Vec<_> = points.map(|mount| mount.point.display().to_string()).collect();
        let label = std::fs::read_to_string(pool.join("label")).unwrap_or_default();
        let label = label.trim();
        let what = if label.is_empty() { file_name(&pool) } else { format!("`{label}`") };
        let at = if points.is_empty() { String::new() } else { format!(" at {}", points.join(", ")) };
        format!("/dev/{name} is part of the btrfs {what}, which is mounted{at}")
    });
    told.collect()
}

/// Whether the kernel holds a device for somebody, whoever that is: a filesystem, RAID, or a process. Who may not open
/// it is told nothing.
fn is_held(node: &Path) -> bool {
    let flags = rustix::fs::OFlags::EXCL | rustix::fs::OFlags::NONBLOCK;
    let opened = std::fs::File::options().read(true).custom_flags(flags.bits().cast_signed()).open(node);
    opened.is_err_and(|error| error.raw_os_error() == Some(rustix::io::Errno::BUSY.raw_os_error()))
}

/// The name by the hardware, or by where it is plugged in.
fn stable(device: &udev::Device) -> Option<PathBuf> {
    let links = device.property_value("DEVLINKS")?.to_str()?;
    let by = |kind: &str| links.split(' ').find(|link| link.starts_with(kind)).map(PathBuf::from);
    by("/dev/disk/by-id/").or_else(|| by("/dev/disk/by-path/"))
}

fn file_name(path: &Path) -> String {
    String::from_utf8_lossy(path.file_name().unwrap_or_default().as_bytes()).into_owned()
}

fn text(device: &udev::Device, property: &str) -> Option<String> {
    device.property_value(property)?.to_str().map(str::to_owned).filter(|text| !text.is_empty())
}

fn attribute(path: &Path, name: &str) -> Option<String> {
    std::fs::read_to_string(path.join(name)).ok().map(|text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_block_device_is_told() {
        for path in ["/etc", "/dev/null", "/proc/self/exe"] {
            let error = look_closely(Path::new(path)).unwrap_err();
            assert!(matches!(error, DiskContentError::NotBlock(_)), "{path}: {error}");
        }
        assert!(matches!(look_closely(Path::new("/dev/none")), Err(DiskContentError::Missing(..))));
    }
}
