//! What the kernel says of this machine: its boot, its name, its block devices.

use std::fs;
use std::path::{Path, PathBuf};

use crate::formats::fingerprint;

/// What identifies this boot; `None` where `/proc` does not tell.
#[must_use]
pub fn boot_id() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned())
}

/// A number that tells this machine and user from others, and that nothing can be learnt from; the same after a
/// restart and with every version: by it the leftovers of an earlier run at a server are known to be ours. Two machines
/// of the same name and image, without an id of their own, have the same.
#[must_use]
pub fn fingerprint() -> u64 {
    let user = rustix::process::geteuid().as_raw().to_string();
    fingerprint::of(&[&id(), &host_name(), &user])
}

/// What tells this machine, as the one that copies the source with this id, from others that write the same place, and
/// that nothing can be learnt from. It stays when the machine is renamed, and when its state is lost.
#[must_use]
pub fn writer(source: &str) -> String {
    format!("{:016x}", fingerprint::of(&["written by", &id(), source]))
}

/// The id of this machine, which must be told to nobody: `machine-id(5)`.
fn id() -> String {
    let id = ["/etc/machine-id", "/var/lib/dbus/machine-id"].iter().find_map(|path| fs::read_to_string(path).ok());
    id.unwrap_or_default().trim().to_owned()
}

/// The name of this machine.
#[must_use]
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// How a block device stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceState {
    /// It is there, with the sequence number of its medium, if the kernel numbers them.
    Present(Option<u64>),
    /// It is gone, or has no medium.
    Gone,
}

/// How the block device of this number, major and minor, stands.
#[must_use]
pub fn device_state((major, minor): (u32, u32)) -> DeviceState {
    let entry = PathBuf::from(format!("/sys/dev/block/{major}:{minor}"));
    // A drive whose medium was pulled out may stay for a while, with a size of zero.
    match fs::read_to_string(entry.join("size")) {
        Ok(size) if size.trim() != "0" => {}
        Ok(_) | Err(_) => return DeviceState::Gone,
    }
    // A partition has no number of its own; that of its disk is one directory up.
    let number = fs::read_to_string(entry.join("diskseq")).or_else(|_| {
        let partition = fs::canonicalize(&entry)?;
        fs::read_to_string(partition.with_file_name("diskseq"))
    });
    DeviceState::Present(number.ok().and_then(|text| text.trim().parse().ok()))
}

/// So many layers may lie upon each other: a filesystem on LVM on LUKS on RAID is four.
const LAYERS: u32 = 8;

/// The block devices of the disks that this one is, is a part of or lies on, through all layers: the disks and all
/// their partitions.
#[must_use]
pub fn parts_of_disk((major, minor): (u32, u32)) -> Vec<(u32, u32)> {
    let entry = fs::canonicalize(format!("/sys/dev/block/{major}:{minor}"));
    entry.map(|entry| parts_below(&entry, LAYERS)).unwrap_or_default()
}

fn parts_below(entry: &Path, layers: u32) -> Vec<(u32, u32)> {
    let below = fs::read_dir(entry.join("slaves")).into_iter().flatten().filter_map(Result::ok);
    let below: Vec<_> = below.filter_map(|part| fs::canonicalize(part.path()).ok()).collect();
    if !below.is_empty() && layers > 0 {
        return below.iter().flat_map(|part| parts_below(part, layers - 1)).collect();
    }
    let is_part = |path: &Path| path.join("partition").exists();
    let disk = if is_part(entry) { entry.parent().map(Path::to_path_buf).unwrap_or_default() } else { entry.into() };
    let below = fs::read_dir(&disk).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let parts = below.filter(|path| is_part(path)).chain([disk.clone()]);
    let number = |path: PathBuf| {
        let text = fs::read_to_string(path.join("dev")).ok()?;
        let (major, minor) = text.trim().split_once(':')?;
        Some((major.parse().ok()?, minor.parse().ok()?))
    };
    parts.filter_map(number).collect()
}

/// Whether the block device of this number is a part of another one that is in use, such as a mapped one.
#[must_use]
pub fn is_held((major, minor): (u32, u32)) -> bool {
    let holders = fs::read_dir(format!("/sys/dev/block/{major}:{minor}/holders"));
    holders.is_ok_and(|mut holders| holders.next().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parts_of_all_disks_below_a_device_are_found() {
        let root = tempfile::tempdir().unwrap();
        let device = |path: &str, number: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.join("slaves")).unwrap();
            fs::write(path.join("dev"), number).unwrap();
            path
        };
        // A volume of LVM on a container on one of two partitions, and on another disk.
        let disk = device("sda", "8:0\n");
        for (name, number) in [("sda1", "8:1\n"), ("sda2", "8:2\n")] {
            fs::write(device(&format!("sda/{name}"), number).join("partition"), "1").unwrap();
        }
        let (other, clear, volume) = (device("sdb", "8:16\n"), device("dm-0", "253:0\n"), device("dm-1", "253:1\n"));
        for (above, below) in [(&clear, &disk.join("sda1")), (&volume, &clear), (&volume, &other)] {
            std::os::unix::fs::symlink(below, above.join("slaves").join(below.file_name().unwrap())).unwrap();
        }
        let found = |path: &Path| parts_below(path, LAYERS).into_iter().collect::<std::collections::BTreeSet<_>>();
        let of_disk = [(8, 0), (8, 1), (8, 2)];
        assert_eq!(found(&disk.join("sda2")), of_disk.into());
        assert_eq!(found(&clear), of_disk.into());
        assert_eq!(found(&volume), of_disk.into_iter().chain([(8, 16)]).collect());
    }

    #[test]
    fn this_machine_has_a_boot_and_a_name() {
        assert!(boot_id().is_some_and(|id| id.len() == 36));
        assert!(!host_name().is_empty());
        assert_eq!(device_state((4_000, 1)), DeviceState::Gone);
        assert!(writer("a") == writer("a") && writer("a") != writer("b") && !writer("a").contains(&id()));
        assert!(!is_held((4_000, 1)));
    }
}
