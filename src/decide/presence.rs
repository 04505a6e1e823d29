//! Where things are: which mount a path lies on, and how a drive stands among devices and mounts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::model::{BlockDevice, DeviceRole, Drive, DriveUuid, Hardware, Mount, MountId, Mounting};

/// The mounts of a table as a path sees them: a later mount at the same place, or at a directory above, hides what
/// lies under it.
#[derive(Debug)]
pub struct MountTree<'a> {
    /// Where the way down begins: the mounts on nothing that is in the table (all, unless the root was changed).
    /// Each is keyed by the mount that it lies on and by its point; the last at one place wins.
    children: BTreeMap<(Option<MountId>, &'a Path), &'a Mount>,
}

impl<'a> MountTree<'a> {
    /// The tree of this table.
    #[must_use]
    pub fn new(mounts: &'a [Mount]) -> Self {
        let ids: BTreeSet<MountId> = mounts.iter().map(|mount| mount.id).collect();
        let parent = |mount: &Mount| (ids.contains(&mount.parent) && mount.parent != mount.id).then_some(mount.parent);
        Self { children: mounts.iter().map(|mount| ((parent(mount), mount.point.as_path()), mount)).collect() }
    }

    /// The mount that an absolute path without symbolic links lies on. `None` if the table does not show it, as in a
    /// changed root.
    #[must_use]
    pub fn mount_of(&self, path: &Path) -> Option<&'a Mount> {
        let mut current: Option<&'a Mount> = None;
        // From `/` down to the path itself, and at each place through all that is stacked there.
        let mut prefixes: Vec<&Path> = path.ancestors().collect();
        prefixes.reverse();
        for prefix in prefixes {
            while let Some(mount) = self.children.get(&(current.map(|mount| mount.id), prefix)) {
                current = Some(mount);
            }
        }
        current
    }

    /// Whether the point of a mount of this table leads to that mount, so that nothing hides it.
    #[must_use]
    pub fn shows(&self, mount: &Mount) -> bool {
        self.mount_of(&mount.point).is_some_and(|top| top.id == mount.id)
    }
}

/// How a drive stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DrivePresence<'a> {
    /// No device carries its UUID.
    NotPlugged,
    /// Several devices carry its UUID that are not parts of one filesystem.
    Ambiguous {
        /// Their nodes.
        devices: Vec<PathBuf>,
    },
    /// Its LUKS container is open, and holds a part of something larger, which does not say which filesystem is meant.
    HoldsMember {
        /// That part.
        device: &'a BlockDevice,
    },
    /// It should be encrypted, and lies on something larger of which that is not seen.
    OnMembers {
        /// Its device.
        device: &'a BlockDevice,
    },
    /// Its LUKS container is closed.
    Locked {
        /// The container.
        device: &'a BlockDevice,
    },
    /// It should be encrypted, and is not.
    NotEncrypted {
        /// Its device.
        device: &'a BlockDevice,
    },
    /// It is plugged in, but mounted nowhere that can be reached.
    NotMounted {
        /// Its device.
        device: &'a BlockDevice,
    },
    /// It is mounted.
    Mounted {
        /// Its device.
        device: &'a BlockDevice,
        /// The hardware: that of the container, for a device within one.
        hardware: Option<&'a Hardware>,
        /// The mount to use.
        mount: &'a Mount,
        /// Where else it is mounted: other parts of it, or the same once more. One of them is used where it proves
        /// itself there alone.
        others: Vec<&'a Mount>,
    },
}

/// How a drive stands. A mount that lingers after its device is gone counts for nothing. `container` is the LUKS
/// container in which its filesystem lay before.
#[must_use]
pub fn sight_of_drive<'a>(
    drive: &Drive,
    container: Option<&DriveUuid>,
    devices: &'a [BlockDevice],
    mounts: &'a [Mount],
    tree: &MountTree<'a>,
) -> DrivePresence<'a> {
    let carriers: Vec<_> = devices.iter().filter(|d| d.uuid == drive.uuid && !is_member(d)).collect();
    let Some(first) = carriers.first().copied() else {
        return container.map_or(DrivePresence::NotPlugged, |container| behind_its_lock(container, devices));
    };
    if !are_one(&carriers) {
        return ambiguous(&carriers);
    }
    match &first.role {
        DeviceRole::Container => {
            let inside: Vec<_> = devices.iter().filter(|d| container_around(d) == Some(&drive.uuid)).collect();
            let is_inside = |d: &&BlockDevice| d.role == DeviceRole::MemberInside(drive.uuid.clone());
            let member = devices.iter().find(is_inside).map(|device| DrivePresence::HoldsMember { device });
            let Some(clear) = inside.first().copied() else {
                return member.unwrap_or(DrivePresence::Locked { device: first });
            };
            if !are_one(&inside) {
                return member.unwrap_or_else(|| ambiguous(&inside));
            }
            on_devices(&inside, clear, first.hardware.as_ref(), mounts, tree)
        }
        DeviceRole::Unlocked { container, .. } => {
            let around = devices.iter().find(|d| d.role == DeviceRole::Container && d.uuid == *container);
            on_devices(&carriers, first, around.and_then(|d| d.hardware.as_ref()), mounts, tree)
        }
        // Whoever knows the UUID can give it to a filesystem of their own, to be handed what belongs behind a lock.
        DeviceRole::Filesystem(_) if is_encrypted(drive) => DrivePresence::NotEncrypted { device: first },
        DeviceRole::OnMembers(_) if is_encrypted(drive) => DrivePresence::OnMembers { device: first },
        DeviceRole::Filesystem(_) | DeviceRole::OnMembers(_) => on_devices(&carriers, first, None, mounts, tree),
        DeviceRole::Member | DeviceRole::MemberInside(_) => DrivePresence::NotPlugged,
    }
}

/// Whether a drive is meant to be encrypted: it has a passphrase.
fn is_encrypted(drive: &Drive) -> bool {
    matches!(drive.mounting, Mounting::ForTheRun { passphrase: Some(_) })
}

/// The sequence number of the medium that a drive is on. What is in a LUKS container has one of its own, another one
/// after each unlocking: the medium is that of the container, also while nothing is to be seen but that (`container`,
/// in which its filesystem lay before).
#[must_use]
pub fn medium(drive: &Drive, container: Option<&DriveUuid>, devices: &[BlockDevice]) -> Option<u64> {
    let Some(carrier) = devices.iter().find(|d| d.uuid == drive.uuid && !is_member(d)) else {
        return devices.iter().find(|d| d.role == DeviceRole::Container && Some(&d.uuid) == container)?.disk_seq;
    };
    match container_around(carrier) {
        Some(uuid) => devices.iter().find(|d| d.role == DeviceRole::Container && d.uuid == *uuid)?.disk_seq,
        None => carrier.disk_seq,
    }
}

/// The LUKS container in which the filesystem lies that a drive is named by, if it lies in one that is open.
#[must_use]
pub fn container_of<'a>(drive: &Drive, devices: &'a [BlockDevice]) -> Option<&'a DriveUuid> {
    devices.iter().filter(|device| device.uuid == drive.uuid).find_map(container_around)
}

/// How a drive stands of which nothing is to be seen but perhaps its container. One that is open holds something else
/// now.
fn behind_its_lock<'a>(container: &DriveUuid, devices: &'a [BlockDevice]) -> DrivePresence<'a> {
    let is_it = |d: &&BlockDevice| d.role == DeviceRole::Container && d.uuid == *container;
    let containers: Vec<_> = devices.iter().filter(is_it).collect();
    match containers.as_slice() {
        [device] if devices.iter().all(|d| container_around(d) != Some(container)) => DrivePresence::Locked { device },
        [] | [_] => DrivePresence::NotPlugged,
        [_, _, ..] => ambiguous(&containers),
    }
}

fn on_devices<'a>(
    devices: &[&'a BlockDevice],
    first: &'a BlockDevice,
    around: Option<&'a Hardware>,
    mounts: &'a [Mount],
    tree: &MountTree<'a>,
) -> DrivePresence<'a> {
    let mut found: Vec<_> = mounts
        .iter()
        .filter_map(|mount| devices.iter().find(|device| is_on(mount, device)).map(|device| (mount, *device)))
        .filter(|(mount, _)| tree.shows(mount))
        .collect();
    // The whole filesystem before a part of it; among equals the one that was there first.
    found.sort_by_key(|(mount, _)| (mount.root != Path::new("/"), mount.id));
    match found.split_first() {
        Some(((mount, device), others)) => {
            let (hardware, others) = (around.or(device.hardware.as_ref()), others.iter().map(|(it, _)| *it).collect());
            DrivePresence::Mounted { device, hardware, mount, others }
        }
        None => DrivePresence::NotMounted { device: first },
    }
}

/// Whether a mount is of a device. The number tells, except where the filesystem has an anonymous one (btrfs). There
/// the source tells, which root can set to any text for a mount of any other type, and a user for one of FUSE: so the
/// type must be right too.
#[must_use]
pub fn is_on(mount: &Mount, device: &BlockDevice) -> bool {
    let anonymous = mount.device.0 == 0;
    let named = || mount.source == device.node || device.links.contains(&mount.source);
    mount.device == device.number || (anonymous && filesystem(device) == Some(&mount.fs_type) && named())
}

/// Whether these are one drive: a single device, or the members of one filesystem over several, each another one.
fn are_one(devices: &[&BlockDevice]) -> bool {
    let mut members: Vec<_> = devices.iter().map(|device| (&device.member, filesystem(device))).collect();
    members.sort();
    let different = members.windows(2).all(|pair| match pair {
        [(Some(a), type_a), (Some(b), type_b)] => a != b && type_a == type_b,
        _ => false,
    });
    members.len() < 2 || different
}

fn ambiguous<'a>(devices: &[&BlockDevice]) -> DrivePresence<'a> {
    DrivePresence::Ambiguous { devices: devices.iter().map(|device| device.node.clone()).collect() }
}

fn filesystem(device: &BlockDevice) -> Option<&String> {
    match &device.role {
        DeviceRole::Filesystem(filesystem)
        | DeviceRole::Unlocked { filesystem, .. }
        | DeviceRole::OnMembers(filesystem) => Some(filesystem),
        DeviceRole::Container | DeviceRole::Member | DeviceRole::MemberInside(_) => None,
    }
}

fn container_around(device: &BlockDevice) -> Option<&DriveUuid> {
    match &device.role {
        DeviceRole::Unlocked { container, .. } => Some(container),
        DeviceRole::Filesystem(_)
        | DeviceRole::Container
        | DeviceRole::Member
        | DeviceRole::MemberInside(_)
        | DeviceRole::OnMembers(_) => None,
    }
}

/// Whether a device is a part of something larger, and no drive by itself.
#[must_use]
pub fn is_member(device: &BlockDevice) -> bool {
    matches!(device.role, DeviceRole::Member | DeviceRole::MemberInside(_))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Access, WhenDone};

    const OURS: &str = "2d577679-a7b6-429d-8250-3d0d80e034df";
    const INNER: &str = "11111111-a7b6-429d-8250-3d0d80e034df";

    fn drive(uuid: &str) -> Drive {
        Drive { uuid: uuid.parse().unwrap(), mounting: Mounting::Elsewhere, when_done: WhenDone::Leave }
    }

    fn device(node: &str, minor: u32, uuid: &str, role: DeviceRole) -> BlockDevice {
        BlockDevice {
            node: node.into(),
            links: vec![format!("/dev/disk/by-path/{minor}").into()],
            number: (8, minor),
            uuid: uuid.parse().unwrap(),
            member: None,
            role,
            disk_seq: Some(u64::from(minor)),
            hardware: Some(Hardware(format!("serial-{minor}"))),
            label: None,
            size: 1 << 30,
        }
    }

    fn ext4(node: &str, minor: u32, uuid: &str) -> BlockDevice {
        device(node, minor, uuid, DeviceRole::Filesystem("ext4".into()))
    }

    fn btrfs(node: &str, minor: u32, member: &str) -> BlockDevice {
        let role = DeviceRole::Filesystem("btrfs".into());
        BlockDevice { member: Some(member.into()), ..device(node, minor, OURS, role) }
    }

    fn mount(id: u64, parent: u64, device: (u32, u32), fs_type: &str, source: &str, point: &str) -> Mount {
        Mount {
            id: MountId(id),
            parent: MountId(parent),
            device,
            root: "/".into(),
            point: point.into(),
            fs_type: fs_type.into(),
            source: source.into(),
            access: Access::ReadWrite,
        }
    }

    fn root() -> Mount {
        mount(1, 0, (254, 0), "ext4", "/dev/vda", "/")
    }

    /// One word for how the drive stands, with the point where it is mounted.
    fn check(drive: &Drive, devices: &[BlockDevice], mounts: &[Mount]) -> String {
        check_knowing(None, drive, devices, mounts)
    }

    fn check_knowing(
        container: Option<&DriveUuid>,
        drive: &Drive,
        devices: &[BlockDevice],
        mounts: &[Mount],
    ) -> String {
        match sight_of_drive(drive, container, devices, mounts, &MountTree::new(mounts)) {
            DrivePresence::NotPlugged => "not plugged".into(),
            DrivePresence::Ambiguous { devices } => format!("ambiguous {}", devices.len()),
            DrivePresence::Locked { device } => format!("locked {}", device.node.display()),
            DrivePresence::NotEncrypted { device } => format!("not encrypted {}", device.node.display()),
            DrivePresence::HoldsMember { device } => format!("holds a member {}", device.node.display()),
            DrivePresence::OnMembers { device } => format!("on members {}", device.node.display()),
            DrivePresence::NotMounted { device } => format!("not mounted {}", device.node.display()),
            DrivePresence::Mounted { device, hardware, mount, .. } => format!(
                "{} at {} on {}",
                device.node.display(),
                mount.point.display(),
                hardware.map_or("?", |hardware| hardware.0.as_str())
            ),
        }
    }

    #[test]
    fn a_drive_that_is_not_there() {
        let other = ext4("/dev/sda1", 1, INNER);
        assert_eq!(check(&drive(OURS), &[other], &[root()]), "not plugged");
    }

    #[test]
    fn a_mount_that_outlives_its_device_is_not_a_drive() {
        let lingering = mount(2, 1, (0, 40), "btrfs", "/dev/sda1", "/mnt");
        assert_eq!(check(&drive(OURS), &[], &[root(), lingering]), "not plugged");
    }

    #[test]
    fn a_plugged_drive_is_found_by_the_number_of_its_device() {
        let devices = [ext4("/dev/sda1", 1, OURS)];
        assert_eq!(check(&drive(OURS), &devices, &[root()]), "not mounted /dev/sda1");
        let mounted = mount(2, 1, (8, 1), "ext4", "/dev/other-name", "/mnt");
        assert_eq!(check(&drive(OURS), &devices, &[root(), mounted]), "/dev/sda1 at /mnt on serial-1");
        let same_name = mount(2, 1, (8, 2), "ext4", "/dev/sda1", "/mnt");
        assert_eq!(check(&drive(OURS), &devices, &[root(), same_name]), "not mounted /dev/sda1");
    }

    #[test]
    fn btrfs_is_found_by_the_node_or_a_link_and_its_type() {
        let devices = [btrfs("/dev/sda1", 1, "a")];
        for (fs_type, source, sight) in [
            ("btrfs", "/dev/sda1", "/dev/sda1 at /mnt on serial-1"),
            ("btrfs", "/dev/disk/by-path/1", "/dev/sda1 at /mnt on serial-1"),
            ("btrfs", "/dev/sdb1", "not mounted /dev/sda1"),
            ("tmpfs", "/dev/sda1", "not mounted /dev/sda1"),
            ("fuse", "/dev/sda1", "not mounted /dev/sda1"),
        ] {
            let table = [root(), mount(2, 1, (0, 40), fs_type, source, "/mnt")];
            assert_eq!(check(&drive(OURS), &devices, &table), sight, "{fs_type} {source}");
        }
    }

    #[test]
    fn clones_are_refused_and_members_are_one_drive() {
        let clones = [ext4("/dev/sda1", 1, OURS), ext4("/dev/sdb1", 2, OURS)];
        assert_eq!(check(&drive(OURS), &clones, &[root()]), "ambiguous 2");
        let two = [btrfs("/dev/sda1", 1, "a"), btrfs("/dev/sdb1", 2, "b")];
        let table = [root(), mount(2, 1, (0, 40), "btrfs", "/dev/sdb1", "/mnt")];
        assert_eq!(check(&drive(OURS), &two, &table), "/dev/sdb1 at /mnt on serial-2");
        let with_copy = [btrfs("/dev/sda1", 1, "a"), btrfs("/dev/sdb1", 2, "b"), btrfs("/dev/sdc1", 3, "b")];
        assert_eq!(check(&drive(OURS), &with_copy, &table), "ambiguous 3");
        let mixed = [btrfs("/dev/sda1", 1, "a"), ext4("/dev/sdb1", 2, OURS)];
        assert_eq!(check(&drive(OURS), &mixed, &table), "ambiguous 2");
    }

    #[test]
    fn part_of_something_larger_is_no_drive() {
        let member = device("/dev/sda1", 1, OURS, DeviceRole::Member);
        assert_eq!(check(&drive(OURS), &[member], &[root()]), "not plugged");
    }

    #[test]
    fn a_container_is_used_through_what_it_holds() {
        let around = device("/dev/sda1", 1, OURS, DeviceRole::Container);
        assert_eq!(check(&drive(OURS), std::slice::from_ref(&around), &[root()]), "locked /dev/sda1");
        let role = DeviceRole::Unlocked { container: OURS.parse().unwrap(), filesystem: "btrfs".into() };
        let clear = BlockDevice { hardware: None, ..device("/dev/dm-0", 9, INNER, role) };
        let devices = [clear.clone(), around];
        assert_eq!(check(&drive(OURS), &devices, &[root()]), "not mounted /dev/dm-0");
        let table = [root(), mount(2, 1, (0, 40), "btrfs", "/dev/dm-0", "/mnt")];
        assert_eq!(check(&drive(OURS), &devices, &table), "/dev/dm-0 at /mnt on serial-1");
        assert_eq!(check(&drive(INNER), &devices, &table), "/dev/dm-0 at /mnt on serial-1", "by the inner UUID");
        assert_eq!(check(&drive(OURS), &[clear], &table), "not plugged", "the container is gone");
    }

    #[test]
    fn layers_in_a_container_are_followed_or_told_as_they_are() {
        let container = || device("/dev/sda1", 1, OURS, DeviceRole::Container);
        let member = || device("/dev/dm-0", 9, OURS, DeviceRole::MemberInside(OURS.parse().unwrap()));
        let volume = |node: &str, minor, uuid: &str| {
            let role = DeviceRole::Unlocked { container: OURS.parse().unwrap(), filesystem: "ext4".into() };
            device(node, minor, uuid, role)
        };
        let one = [container(), member(), volume("/dev/dm-1", 10, INNER)];
        assert_eq!(check(&drive(OURS), &one, &[root()]), "not mounted /dev/dm-1");
        assert_eq!(check(&drive(INNER), &one, &[root()]), "not mounted /dev/dm-1");
        assert_eq!(medium(&drive(INNER), None, &one), Some(1), "the medium is that of the container");
        let two = [container(), member(), volume("/dev/dm-1", 10, INNER), volume("/dev/dm-2", 11, "5e3f-1a2b")];
        assert_eq!(check(&drive(OURS), &two, &[root()]), "holds a member /dev/dm-0");
        assert_eq!(check(&drive(OURS), &[container(), member()], &[root()]), "holds a member /dev/dm-0");
        // Nobody sees whether it is encrypted below.
        let encrypted = Mounting::ForTheRun { passphrase: Some("usb".parse().unwrap()) };
        let wanted = Drive { mounting: encrypted, ..drive(INNER) };
        let bare = [device("/dev/dm-1", 10, INNER, DeviceRole::OnMembers("ext4".into()))];
        assert_eq!(check(&wanted, &bare, &[root()]), "on members /dev/dm-1");
        assert_eq!(check(&drive(INNER), &bare, &[root()]), "not mounted /dev/dm-1");
    }

    #[test]
    fn what_is_behind_a_lock_is_known_by_the_container_it_lay_in() {
        let container: DriveUuid = OURS.parse().unwrap();
        let check = |devices: &[BlockDevice]| check_knowing(Some(&container), &drive(INNER), devices, &[root()]);
        let around = || device("/dev/sda1", 1, OURS, DeviceRole::Container);
        let clear = |uuid| {
            let role = DeviceRole::Unlocked { container: OURS.parse().unwrap(), filesystem: "ext4".into() };
            device("/dev/dm-0", 9, uuid, role)
        };
        assert_eq!(check(&[around()]), "locked /dev/sda1");
        assert_eq!(check(&[around(), clear(INNER)]), "not mounted /dev/dm-0");
        assert_eq!(check(&[around(), clear("22222222-a7b6-429d-8250-3d0d80e034df")]), "not plugged");
        assert_eq!(check(&[around(), device("/dev/sdb1", 2, OURS, DeviceRole::Container)]), "ambiguous 2");
        assert_eq!(check(&[ext4("/dev/sda1", 1, OURS)]), "not plugged", "it is no container any more");
        assert_eq!(check(&[]), "not plugged");
        assert_eq!(container_of(&drive(INNER), &[around(), clear(INNER)]), Some(&container));
        assert_eq!(container_of(&drive(OURS), &[around(), clear(INNER)]), None);
    }

    #[test]
    fn a_plain_filesystem_with_the_uuid_of_a_container_is_none() {
        let encrypted = Mounting::ForTheRun { passphrase: Some("usb".parse().unwrap()) };
        let wanted = Drive { mounting: encrypted, ..drive(OURS) };
        let plain = [ext4("/dev/sda1", 1, OURS)];
        let table = [root(), mount(2, 1, (8, 1), "ext4", "x", "/mnt")];
        assert_eq!(check(&wanted, &plain, &table), "not encrypted /dev/sda1");
        assert_eq!(check(&drive(OURS), &plain, &table), "/dev/sda1 at /mnt on serial-1");
        let container = [device("/dev/sda1", 1, OURS, DeviceRole::Container)];
        assert_eq!(check(&wanted, &container, &table), "locked /dev/sda1");
        // By the UUID of what is within, too.
        let wanted = Drive { uuid: INNER.parse().unwrap(), ..wanted };
        assert_eq!(check(&wanted, &[ext4("/dev/sda1", 1, INNER)], &table), "not encrypted /dev/sda1");
    }

    #[test]
    fn the_medium_is_that_of_the_container() {
        let around = device("/dev/sda1", 1, OURS, DeviceRole::Container);
        let role = DeviceRole::Unlocked { container: OURS.parse().unwrap(), filesystem: "ext4".into() };
        let clear = device("/dev/dm-0", 7, INNER, role);
        let devices = [around, clear];
        for uuid in [OURS, INNER] {
            assert_eq!(medium(&drive(uuid), None, &devices), Some(1), "{uuid}");
        }
        assert_eq!(medium(&drive(OURS), None, &[ext4("/dev/sda1", 4, OURS)]), Some(4));
        assert_eq!(medium(&drive(OURS), None, &[]), None);
    }

    #[test]
    fn the_whole_filesystem_goes_before_a_part_and_the_first_before_later_ones() {
        let devices = [ext4("/dev/sda1", 1, OURS)];
        let part = Mount { root: "/sub".into(), ..mount(2, 1, (8, 1), "ext4", "x", "/part") };
        let first = mount(3, 1, (8, 1), "ext4", "x", "/first");
        let second = mount(4, 1, (8, 1), "ext4", "x", "/second");
        let table = [root(), part.clone(), second, first];
        assert_eq!(check(&drive(OURS), &devices, &table), "/dev/sda1 at /first on serial-1");
        assert_eq!(check(&drive(OURS), &devices, &[root(), part]), "/dev/sda1 at /part on serial-1");
    }

    #[test]
    fn hidden_mounts_cannot_be_used() {
        let devices = [ext4("/dev/sda1", 1, OURS)];
        let ours = mount(2, 1, (8, 1), "ext4", "x", "/mnt/usb");
        let on_top = mount(3, 2, (0, 41), "tmpfs", "tmpfs", "/mnt/usb");
        assert_eq!(check(&drive(OURS), &devices, &[root(), ours.clone(), on_top]), "not mounted /dev/sda1");
        let above = mount(3, 1, (0, 41), "tmpfs", "tmpfs", "/mnt");
        assert_eq!(check(&drive(OURS), &devices, &[root(), ours, above]), "not mounted /dev/sda1");
    }

    #[test]
    fn a_path_lies_on_the_deepest_mount_that_shows() {
        // As a machine looks whose first steps were made in another root: `/proc` is older than `/`.
        let table = [
            mount(20, 60, (0, 20), "proc", "proc", "/proc"),
            mount(60, 1, (8, 1), "ext4", "x", "/"),
            mount(61, 60, (8, 2), "ext4", "x", "/home"),
            mount(62, 61, (0, 50), "tmpfs", "x", "/home"),
            mount(63, 62, (0, 51), "tmpfs", "x", "/home/a/b"),
        ];
        let tree = MountTree::new(&table);
        let on = |path: &str| tree.mount_of(Path::new(path)).map(|mount| mount.id.0);
        assert_eq!(on("/proc/self"), Some(20));
        assert_eq!(on("/"), Some(60));
        assert_eq!(on("/homes"), Some(60));
        assert_eq!(on("/home"), Some(62), "the last one at a place wins");
        assert_eq!(on("/home/a/b/c"), Some(63));
        assert_eq!(on("/home/a/bc"), Some(62));
        assert_eq!(MountTree::new(&[]).mount_of(Path::new("/")), None);
    }

    fn tables() -> impl Strategy<Value = Vec<Mount>> {
        let point = prop_oneof![Just("/"), Just("/a"), Just("/a/b"), Just("/a/b/c"), Just("/d"), Just("/a/x")];
        proptest::collection::vec((0u64..12, point, 1u32..3), 0..12).prop_map(|lines| {
            let numbered = lines.into_iter().zip(1u64..);
            numbered.map(|((parent, point, minor), id)| mount(id, parent, (8, minor), "ext4", "x", point)).collect()
        })
    }

    proptest! {
        #[test]
        fn a_drive_is_mounted_only_where_its_point_leads_to_it(table in tables()) {
            let devices = [ext4("/dev/sda1", 1, OURS)];
            let tree = MountTree::new(&table);
            match sight_of_drive(&drive(OURS), None, &devices, &table, &tree) {
                DrivePresence::Mounted { mount, .. } => {
                    prop_assert_eq!(mount.device, (8, 1));
                    prop_assert_eq!(tree.mount_of(&mount.point).map(|top| top.id), Some(mount.id));
                }
                DrivePresence::NotMounted { .. } => {
                    prop_assert!(table.iter().all(|mount| mount.device != (8, 1) || !tree.shows(mount)));
                }
                other @ (DrivePresence::NotPlugged
                | DrivePresence::Ambiguous { .. }
                | DrivePresence::NotEncrypted { .. }
                | DrivePresence::HoldsMember { .. }
                | DrivePresence::OnMembers { .. }
                | DrivePresence::Locked { .. }) => prop_assert!(false, "{:?}", other),
            }
        }

        #[test]
        fn the_way_down_ends_on_any_table(table in tables()) {
            let top = MountTree::new(&table).mount_of(Path::new("/a/b/c"));
            prop_assert!(top.is_none_or(|top| Path::new("/a/b/c").starts_with(&top.point)));
        }

        #[test]
        fn without_a_device_there_is_no_drive(table in tables()) {
            let sight = sight_of_drive(&drive(OURS), None, &[], &table, &MountTree::new(&table));
            prop_assert_eq!(sight, DrivePresence::NotPlugged);
        }
    }
}
