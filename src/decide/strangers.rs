//! A drive that is not found: whether its UUID is that of something else, and which drives are in that belong to
//! nobody. Without this a wrong UUID looks like a drive that lies in a drawer, for ever.

use std::collections::BTreeSet;
use std::path::Path;

use crate::model::{BlockDevice, Configuration, Containers, DeviceRole, DriveUuid, Mount, OtherUuid, OtherUuidKind};

/// So many drives are named.
const NAMED: usize = 3;
/// Where the machine itself has its filesystems.
const SYSTEM: [&str; 9] = ["/boot", "/efi", "/gnu", "/home", "/nix", "/opt", "/snap", "/usr", "/var"];
/// Filesystems on which nobody keeps a copy.
const READ_ONLY: [&str; 4] = ["erofs", "iso9660", "squashfs", "udf"];

/// What is plugged in.
#[derive(Debug, Clone, Copy)]
pub struct Plugged<'a> {
    /// The devices with a filesystem or container.
    pub devices: &'a [BlockDevice],
    /// UUIDs of other things on these.
    pub others: &'a [OtherUuid],
    /// What is mounted.
    pub mounts: &'a [Mount],
}

/// What is wrong with a UUID, most likely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspicion {
    /// What was seen.
    pub message: String,
    /// What to do.
    pub fix: String,
}

/// What is wrong with the UUID of a drive that is not found; `None` if it is there, or nothing that could be it is.
#[must_use]
pub fn suspicion(
    uuid: &DriveUuid,
    plugged: &Plugged<'_>,
    containers: &Containers,
    claimed: &BTreeSet<&DriveUuid>,
) -> Option<Suspicion> {
    let carried = |uuid: &DriveUuid| plugged.devices.iter().any(|device| device.uuid == *uuid);
    if carried(uuid) || containers.get(uuid).is_some_and(carried) {
        return None;
    }
    if let Some(other) = plugged.others.iter().find(|other| other.uuid.eq_ignore_ascii_case(uuid.as_str())) {
        return Some(of_another_thing(uuid, other));
    }
    let strangers = strangers(plugged, containers, claimed);
    let first = strangers.first()?;
    let more = strangers.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let named: Vec<_> = strangers.iter().take(NAMED).map(|device| described(device)).collect();
    let (verb, fix) = if strangers.len() == 1 {
        ("belongs", format!("if that is the drive, write drive = \"{}\"", first.uuid))
    } else {
        ("belong", "if one of them is the drive, write its UUID into `drive`".to_owned())
    };
    let message = format!(
        "no drive with the UUID {uuid} is plugged in; {}{more} {verb} to no volume of the configuration",
        named.join(", ")
    );
    Some(Suspicion { message, fix })
}

/// The UUIDs of the drives of this machine that a configuration names.
#[must_use]
pub fn claimed(configuration: &Configuration) -> BTreeSet<&DriveUuid> {
    configuration.drives_here().map(|(_, drive)| &drive.uuid).collect()
}

fn of_another_thing(uuid: &DriveUuid, other: &OtherUuid) -> Suspicion {
    let what = match other.kind {
        OtherUuidKind::Partition => "the partition (its PARTUUID)",
        OtherUuidKind::Table => "the partition table (its PTUUID)",
        OtherUuidKind::Member => "one device of the filesystem (its UUID_SUB)",
    };
    let node = other.device.display();
    let message = format!("{uuid} is the UUID of {what} at {node}, not of the filesystem or container there");
    let fix = match &other.right {
        Some(right) => format!("write drive = \"{right}\""),
        None => "write the UUID that `nbkpctl drives` shows".to_owned(),
    };
    Suspicion { message, fix }
}

fn described(device: &BlockDevice) -> String {
    let kind = match &device.role {
        DeviceRole::Filesystem(kind) | DeviceRole::Unlocked { filesystem: kind, .. } => kind.as_str(),
        DeviceRole::Container => "LUKS",
        DeviceRole::OnMembers(kind) => kind.as_str(),
        DeviceRole::Member | DeviceRole::MemberInside(_) => "a part of something larger",
    };
    let label = device.label.as_ref().map_or_else(String::new, |label| format!(" {label:?}"));
    format!("{}{label} ({kind}, UUID {})", device.node.display(), device.uuid)
}

/// The drives that are in, belong to no volume, and are no part of the machine itself.
fn strangers<'a>(
    plugged: &Plugged<'a>,
    containers: &Containers,
    claimed: &BTreeSet<&DriveUuid>,
) -> Vec<&'a BlockDevice> {
    let system: Vec<_> = plugged.devices.iter().filter(|device| is_system(device, plugged.mounts)).collect();
    let with_system = |device: &BlockDevice| {
        let same_disk = |other: &&&BlockDevice| device.hardware.is_some() && device.hardware == other.hardware;
        let around = |other: &&&BlockDevice| is_inside(other, device);
        system.iter().any(|other| other.number == device.number || other.uuid == device.uuid)
            || system.iter().any(|other| same_disk(&other) || around(&other))
    };
    let claims =
        |uuid: &DriveUuid| claimed.contains(uuid) || claimed.iter().any(|of| containers.get(*of) == Some(uuid));
    let mut seen = BTreeSet::new();
    let is_stranger = |device: &&BlockDevice| {
        let usable = match &device.role {
            DeviceRole::Filesystem(kind) | DeviceRole::OnMembers(kind) => !READ_ONLY.contains(&kind.as_str()),
            DeviceRole::Container => true,
            // It is named by its container.
            DeviceRole::Unlocked { .. } | DeviceRole::Member | DeviceRole::MemberInside(_) => false,
        };
        let inside = |other: &BlockDevice| is_inside(other, device) && claims(&other.uuid);
        usable && !claims(&device.uuid) && !with_system(device) && !plugged.devices.iter().any(inside)
    };
    // The devices of one filesystem have one UUID.
    let mut strangers: Vec<_> =
        plugged.devices.iter().filter(is_stranger).filter(|device| seen.insert(&device.uuid)).collect();
    // What was plugged in last is what a person has in mind.
    strangers.sort_by_key(|device| std::cmp::Reverse(device.disk_seq));
    strangers
}

fn is_system(device: &BlockDevice, mounts: &[Mount]) -> bool {
    mounts.iter().any(|mount| {
        let on_it =
            mount.device == device.number || mount.source == device.node || device.links.contains(&mount.source);
        on_it && (mount.point == Path::new("/") || SYSTEM.iter().any(|place| mount.point.starts_with(place)))
    })
}

/// Whether a device is what lies unlocked in a container.
fn is_inside(device: &BlockDevice, around: &BlockDevice) -> bool {
    matches!(&device.role, DeviceRole::Unlocked { container, .. } if *container == around.uuid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Access, Hardware, MountId};

    const WANTED: &str = "2d577679-a7b6-429d-8250-3d0d80e034df";

    fn device(number: u32, uuid: &str, role: DeviceRole) -> BlockDevice {
        BlockDevice {
            node: format!("/dev/sd{number}").into(),
            links: Vec::new(),
            number: (8, number),
            uuid: uuid.parse().unwrap(),
            member: None,
            role,
            disk_seq: None,
            hardware: None,
            label: Some("tape".into()),
            size: 1 << 30,
        }
    }

    fn ext4() -> DeviceRole {
        DeviceRole::Filesystem("ext4".into())
    }

    fn told(devices: &[BlockDevice], others: &[OtherUuid], root: u32, claimed: &[&str]) -> Option<String> {
        let mounts = [Mount {
            id: MountId(1),
            parent: MountId(0),
            device: (8, root),
            root: "/".into(),
            point: "/".into(),
            fs_type: "ext4".into(),
            source: "/dev/root".into(),
            access: Access::ReadWrite,
        }];
        let claimed: Vec<DriveUuid> = claimed.iter().map(|uuid| uuid.parse().unwrap()).collect();
        let plugged = Plugged { devices, others, mounts: &mounts };
        let wanted = WANTED.parse().unwrap();
        let found = suspicion(&wanted, &plugged, &Containers::new(), &claimed.iter().collect());
        found.map(|found| format!("{} -> {}", found.message, found.fix))
    }

    #[test]
    fn a_drive_that_is_in_is_not_suspected() {
        assert_eq!(told(&[device(1, WANTED, ext4()), device(2, "5E3F-1A2B", ext4())], &[], 9, &[WANTED]), None);
        assert_eq!(told(&[], &[], 9, &[WANTED]), None);
    }

    #[test]
    fn the_uuid_of_another_thing_is_called_that() {
        let right: DriveUuid = "5E3F-1A2B".parse().unwrap();
        for (kind, word) in [
            (OtherUuidKind::Partition, "PARTUUID"),
            (OtherUuidKind::Table, "PTUUID"),
            (OtherUuidKind::Member, "UUID_SUB"),
        ] {
            let other =
                OtherUuid { uuid: WANTED.to_uppercase(), kind, device: "/dev/sd1".into(), right: Some(right.clone()) };
            let told = told(&[device(1, "5E3F-1A2B", ext4())], &[other], 9, &[WANTED]).unwrap();
            assert!(told.contains(word) && told.ends_with("write drive = \"5e3f-1a2b\""), "{told}");
        }
    }

    #[test]
    fn drives_of_nobody_are_named_and_those_of_the_machine_are_not() {
        let lone = told(&[device(1, "5E3F-1A2B", ext4()), device(2, "AAAA-0001", ext4())], &[], 2, &[WANTED]).unwrap();
        assert!(lone.contains("/dev/sd1 \"tape\" (ext4, UUID 5e3f-1a2b) belongs to no volume"), "{lone}");
        assert!(lone.ends_with("write drive = \"5e3f-1a2b\"") && !lone.contains("aaaa"), "{lone}");
        let locked = [device(1, "5E3F-1A2B", DeviceRole::Container), device(2, "AAAA-0001", ext4())];
        assert!(told(&locked, &[], 9, &[WANTED]).unwrap().contains("belong to no volume"));
        assert!(told(&locked, &[], 9, &[WANTED, "AAAA-0001"]).unwrap().contains("(LUKS, UUID 5e3f-1a2b) belongs"));
        assert_eq!(told(&locked, &[], 9, &[WANTED, "AAAA-0001", "5E3F-1A2B"]), None);
        let inside = DeviceRole::Unlocked { container: "5E3F-1A2B".parse().unwrap(), filesystem: "ext4".into() };
        let unlocked = [device(1, "5E3F-1A2B", DeviceRole::Container), device(2, "AAAA-0001", inside)];
        assert_eq!(told(&unlocked, &[], 9, &[WANTED, "AAAA-0001"]), None, "it is claimed by what is in it");
        assert_eq!(told(&unlocked, &[], 2, &[WANTED]), None, "the encrypted disk of the machine");
        let mut many: Vec<_> = (1..6).map(|n| device(n, &format!("AAAA-000{n}"), ext4())).collect();
        many[4].disk_seq = Some(7);
        let told_of_many = told(&many, &[], 9, &[WANTED]).unwrap();
        assert!(
            told_of_many.contains(" and 2 more belong") && told_of_many.contains("plugged in; /dev/sd5"),
            "{told_of_many}"
        );
        let image = DeviceRole::Filesystem("squashfs".into());
        assert_eq!(told(&[device(1, "5E3F-1A2B", image)], &[], 9, &[WANTED]), None);
    }

    #[test]
    fn what_belongs_to_the_machine_or_to_a_volume_by_another_name_is_no_stranger() {
        // Another partition of the disk that the machine starts from, and one of a disk of its own.
        let on_disk = |number, uuid, serial: Option<&str>| BlockDevice {
            hardware: serial.map(|serial| Hardware(serial.into())),
            ..device(number, uuid, ext4())
        };
        let shared = [on_disk(1, "5E3F-1A2B", Some("disk")), on_disk(2, "AAAA-0001", Some("disk"))];
        assert_eq!(told(&shared, &[], 2, &[WANTED]), None);
        let apart = [on_disk(1, "5E3F-1A2B", Some("stick")), on_disk(2, "AAAA-0001", Some("disk"))];
        assert!(told(&apart, &[], 2, &[WANTED]).is_some_and(|told| told.contains("/dev/sd1")));
        // Two that have no serial number are not the same for that.
        let nameless = [on_disk(1, "5E3F-1A2B", None), on_disk(2, "AAAA-0001", None)];
        assert!(told(&nameless, &[], 2, &[WANTED]).is_some_and(|told| told.contains("/dev/sd1")));
        // A mount tells its device by number (root), by node, or by a link; a btrfs has an anonymous number.
        let mounted = |source: &str| {
            let linked = BlockDevice { links: vec!["/dev/mapper/root".into()], ..device(3, "5E3F-1A2B", ext4()) };
            let mount = Mount {
                id: MountId(1),
                parent: MountId(0),
                device: (0, 31),
                root: "/".into(),
                point: "/home/ada".into(),
                fs_type: "btrfs".into(),
                source: source.into(),
                access: Access::ReadWrite,
            };
            let devices = [linked];
            let plugged = Plugged { devices: &devices, others: &[], mounts: &[mount] };
            suspicion(&WANTED.parse().unwrap(), &plugged, &Containers::new(), &BTreeSet::new()).is_some()
        };
        assert_eq!(["/dev/sd3", "/dev/mapper/root", "/dev/sd4"].map(mounted), [false, false, true]);
        // One that is named by what was in its container is not missed, nor is the container a stranger.
        let locked = [device(1, "5E3F-1A2B", DeviceRole::Container)];
        let plugged = Plugged { devices: &locked, others: &[], mounts: &[] };
        let wanted: DriveUuid = WANTED.parse().unwrap();
        let known = Containers::from([(wanted.clone(), "5E3F-1A2B".parse().unwrap())]);
        assert!(suspicion(&wanted, &plugged, &known, &BTreeSet::from([&wanted])).is_none());
        let another: DriveUuid = "AAAA-0009".parse().unwrap();
        assert!(suspicion(&another, &plugged, &known, &BTreeSet::from([&wanted, &another])).is_none());
        assert!(suspicion(&another, &plugged, &Containers::new(), &BTreeSet::from([&wanted])).is_some());
    }
}
