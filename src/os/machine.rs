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

/// The block devices of the disk that this one is or is a part of: the disk and all its partitions.
#[must_use]
pub fn parts_of_disk((major, minor): (u32, u32)) -> Vec<(u32, u32)> {
    let Ok(entry) = fs::canonicalize(format!("/sys/dev/block/{major}:{minor}")) else { return Vec::new() };
    let is_part = |path: &Path| path.join("partition").exists();
    let disk = if is_part(&entry) { entry.parent().map(Path::to_path_buf).unwrap_or_default() } else { entry };
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
    fn this_machine_has_a_boot_and_a_name() {
        assert!(boot_id().is_some_and(|id| id.len() == 36));
        assert!(!host_name().is_empty());
        assert_eq!(device_state((4_000, 1)), DeviceState::Gone);
        assert!(writer("a") == writer("a") && writer("a") != writer("b") && !writer("a").contains(&id()));
        assert!(!is_held((4_000, 1)));
    }
}
