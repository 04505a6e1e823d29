//! Which drive a place lies on.

use std::path::Path;

use crate::model::{BlockDevice, DeviceRole, DriveUuid, Mount};

/// Where a system mounts its own disks: exactly there.
const OF_THE_SYSTEM: [&str; 8] = ["/", "/home", "/opt", "/root", "/run", "/srv", "/tmp", "/mnt"];
/// And below these.
const BELOW_THE_SYSTEM: [&str; 9] = ["/boot", "/dev", "/efi", "/etc", "/nix", "/proc", "/sys", "/usr", "/var"];

/// The mount that a path lies in: the nearest, and of those in one place the last, which covers the others.
#[must_use]
pub fn mount_of<'a>(path: &Path, mounts: &'a [Mount]) -> Option<&'a Mount> {
    let around = mounts.iter().filter(|mount| path.starts_with(&mount.point));
    around.max_by_key(|mount| mount.point.components().count())
}

/// The drive that a mount is of, if it is one that comes and goes or that somebody added: no disk of the system.
#[must_use]
pub fn drive_at<'a>(mount: &Mount, devices: &'a [BlockDevice], home: &Path) -> Option<&'a BlockDevice> {
    let point = mount.point.as_path();
    let is_systems = OF_THE_SYSTEM.iter().any(|own| point == Path::new(own))
        || BELOW_THE_SYSTEM.iter().any(|own| point.starts_with(own))
        || home.starts_with(point);
    if is_systems {
        return None;
    }
    devices.iter().find(|device| is_of(mount, device) && has_filesystem(device))
}

/// Where a drive is mounted: the place that shows most of it.
#[must_use]
pub fn mounted_at<'a>(device: &BlockDevice, mounts: &'a [Mount]) -> Option<&'a Mount> {
    let of_it = mounts.iter().filter(|mount| is_of(mount, device));
    of_it.min_by_key(|mount| mount.root.components().count())
}

/// Whether a drive is one that could hold copies: with a filesystem, and none that the system runs from.
#[must_use]
pub fn is_eligible(device: &BlockDevice, devices: &[BlockDevice], mounts: &[Mount], home: &Path) -> bool {
    let is_container_of = |other: &BlockDevice| match &other.role {
        DeviceRole::Unlocked { container, .. } | DeviceRole::MemberInside(container) => *container == device.uuid,
        DeviceRole::Filesystem(_) | DeviceRole::Container | DeviceRole::Member | DeviceRole::OnMembers(_) => false,
    };
    let is_usable = match &device.role {
        DeviceRole::Filesystem(kind) => kind != "squashfs" && kind != "iso9660",
        DeviceRole::Unlocked { .. } => true,
        // Of an open one, what is in it is shown.
        DeviceRole::Container => !devices.iter().any(is_container_of),
        DeviceRole::Member | DeviceRole::MemberInside(_) | DeviceRole::OnMembers(_) => false,
    };
    let mut of_it = mounts.iter().filter(|mount| is_of(mount, device)).peekable();
    is_usable && (of_it.peek().is_none() || of_it.any(|mount| drive_at(mount, devices, home).is_some()))
}

/// The device that carries this UUID: what is in an open container, if it is that of the container.
#[must_use]
pub fn with_uuid<'a>(uuid: &DriveUuid, devices: &'a [BlockDevice]) -> Option<&'a BlockDevice> {
    let is_inside = |device: &&BlockDevice| match &device.role {
        DeviceRole::Unlocked { container, .. } => container == uuid,
        DeviceRole::Filesystem(_)
        | DeviceRole::Container
        | DeviceRole::Member
        | DeviceRole::MemberInside(_)
        | DeviceRole::OnMembers(_) => false,
    };
    devices.iter().find(is_inside).or_else(|| devices.iter().find(|device| device.uuid == *uuid))
}

fn has_filesystem(device: &BlockDevice) -> bool {
    match device.role {
        DeviceRole::Filesystem(_) | DeviceRole::Unlocked { .. } => true,
        DeviceRole::Container | DeviceRole::Member | DeviceRole::MemberInside(_) | DeviceRole::OnMembers(_) => false,
    }
}

/// btrfs mounts have a number of their own, and name their device.
fn is_of(mount: &Mount, device: &BlockDevice) -> bool {
    mount.device == device.number || mount.source == device.node || device.links.contains(&mount.source)
}
