//! Which drive a place lies on, and where on it: as the daemon will find it again.

use std::path::{Path, PathBuf};

use crate::decide::presence::{DrivePresence, MountTree, is_on, sight_of_drive};
use crate::model::{BlockDevice, DeviceRole, Drive, DriveUuid, Mount, Mounting, WhenDone};

/// Where a system mounts its own disks: exactly there.
const OF_THE_SYSTEM: [&str; 6] = ["/", "/home", "/opt", "/root", "/run", "/tmp"];
/// And below these.
const BELOW_THE_SYSTEM: [&str; 9] = ["/boot", "/dev", "/efi", "/etc", "/nix", "/proc", "/sys", "/usr", "/var"];
/// Where a person mounts a disk that stays in: the path is what it is known by.
const FOR_DISKS: [&str; 2] = ["/mnt", "/srv"];

/// What was seen of a machine.
#[derive(Debug, Clone, Copy)]
pub struct MachineSeen<'a> {
    /// The devices with a filesystem or a container.
    pub devices: &'a [BlockDevice],
    /// What is mounted.
    pub mounts: &'a [Mount],
    /// The home directory of the person.
    pub home: &'a Path,
}

/// A place on a drive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpotOnDrive<'a> {
    /// The drive.
    pub device: &'a BlockDevice,
    /// The mount in which the daemon looks for it.
    pub mount: &'a Mount,
    /// Where it is below that.
    pub below: PathBuf,
}

/// The mount that a path without links lies on.
#[must_use]
pub fn mount_of<'a>(path: &Path, mounts: &'a [Mount]) -> Option<&'a Mount> {
    MountTree::new(mounts).mount_of(path)
}

/// Where a directory lies on a drive, seen from the mount that the daemon takes for the whole of that drive. Nothing,
/// where only its path leads to it: on a disk of the system, and where no more than a part of a drive is mounted, such
/// as a subvolume, since the next time the whole may be. `is_marked` tells a mount that was prepared before: of several
/// the daemon takes that one.
#[must_use]
pub fn place_on_drive<'a>(
    path: &Path,
    around: &MachineSeen<'a>,
    is_marked: &dyn Fn(&Mount) -> bool,
) -> Option<SpotOnDrive<'a>> {
    let tree = MountTree::new(around.mounts);
    let nearest = tree.mount_of(path)?;
    let device = drive_at(nearest, around)?;
    let mount = used_mount(device, around, is_marked).filter(|mount| mount.root == Path::new("/"))?;
    // A bind mount shows a directory of the filesystem at another place.
    let within = nearest.root.strip_prefix("/").ok()?;
    let below: PathBuf = within.components().chain(path.strip_prefix(&nearest.point).ok()?.components()).collect();
    let is_shown = tree.mount_of(&mount.point.join(&below)).is_some_and(|shown| shown.id == mount.id);
    is_shown.then_some(SpotOnDrive { device, mount, below })
}

/// The drive that a mount is of, if it is one that comes and goes or that somebody added: no disk of the system.
#[must_use]
pub fn drive_at<'a>(mount: &Mount, around: &MachineSeen<'a>) -> Option<&'a BlockDevice> {
    if FOR_DISKS.iter().any(|place| mount.point == Path::new(place)) {
        return None;
    }
    let mut on_it = around.devices.iter().filter(|device| is_on(mount, device) && has_filesystem(device));
    on_it.next().filter(|device| !is_of_the_system(device, around))
}

/// How a drive stands, as the daemon sees it.
#[must_use]
pub fn presence<'a>(device: &BlockDevice, around: &MachineSeen<'a>) -> DrivePresence<'a> {
    let uuid = match &device.role {
        DeviceRole::Unlocked { container, .. } => container,
        DeviceRole::Filesystem(_)
        | DeviceRole::Container
        | DeviceRole::Member
        | DeviceRole::MemberInside(_)
        | DeviceRole::OnMembers(_) => &device.uuid,
    };
    let drive = Drive { uuid: uuid.clone(), mounting: Mounting::Elsewhere, when_done: WhenDone::Leave };
    sight_of_drive(&drive, None, around.devices, around.mounts, &MountTree::new(around.mounts))
}

/// The mount that the daemon takes for a drive: the first that was prepared, else the first.
#[must_use]
pub fn used_mount<'a>(
    device: &BlockDevice,
    around: &MachineSeen<'a>,
    is_marked: &dyn Fn(&Mount) -> bool,
) -> Option<&'a Mount> {
    match presence(device, around) {
        DrivePresence::Mounted { mount, others, .. } => {
            let mut all = std::iter::once(mount).chain(others);
            all.find(|mount| is_marked(mount)).or(Some(mount))
        }
        DrivePresence::NotPlugged
        | DrivePresence::Ambiguous { .. }
        | DrivePresence::HoldsMember { .. }
        | DrivePresence::OnMembers { .. }
        | DrivePresence::Locked { .. }
        | DrivePresence::NotEncrypted { .. }
        | DrivePresence::NotMounted { .. } => None,
    }
}

/// Whether a drive is one that could hold copies: with a filesystem, and none that the system runs from.
#[must_use]
pub fn is_eligible(device: &BlockDevice, around: &MachineSeen<'_>) -> bool {
    let is_container_of = |other: &BlockDevice| match &other.role {
        DeviceRole::Unlocked { container, .. } | DeviceRole::MemberInside(container) => *container == device.uuid,
        DeviceRole::Filesystem(_) | DeviceRole::Container | DeviceRole::Member | DeviceRole::OnMembers(_) => false,
    };
    let is_usable = match &device.role {
        DeviceRole::Filesystem(kind) => kind != "squashfs" && kind != "iso9660",
        DeviceRole::Unlocked { .. } => true,
        // Of an open one, what is in it is shown.
        DeviceRole::Container => !around.devices.iter().any(is_container_of),
        DeviceRole::Member | DeviceRole::MemberInside(_) | DeviceRole::OnMembers(_) => false,
    };
    let mut of_it = around.mounts.iter().filter(|mount| is_on(mount, device)).peekable();
    is_usable
        && !is_of_the_system(device, around)
        && (of_it.peek().is_none() || of_it.any(|mount| drive_at(mount, around).is_some()))
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

/// Whether any of a device is mounted where a system has its own: then a bind mount of it elsewhere makes it no drive.
fn is_of_the_system(device: &BlockDevice, around: &MachineSeen<'_>) -> bool {
    around.mounts.iter().filter(|mount| is_on(mount, device)).any(|mount| {
        let point = mount.point.as_path();
        OF_THE_SYSTEM.iter().any(|own| point == Path::new(own))
            || BELOW_THE_SYSTEM.iter().any(|own| point.starts_with(own))
            || around.home.starts_with(point)
    })
}

fn has_filesystem(device: &BlockDevice) -> bool {
    match device.role {
        DeviceRole::Filesystem(_) | DeviceRole::Unlocked { .. } => true,
        DeviceRole::Container | DeviceRole::Member | DeviceRole::MemberInside(_) | DeviceRole::OnMembers(_) => false,
    }
}
