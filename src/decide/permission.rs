//! What the daemon has to be allowed by polkit, where no session of its user is active: as little as possible.

use std::collections::BTreeSet;

use crate::model::{
    Action, BlockDevice, Configuration, DeviceRole, Drive, Gap, Mounting, Permission, ServerKey, VolumeName,
    VolumeRoot, WhenDone,
};

/// What has to be allowed for the drives that the daemon mounts itself; `devices` are those that are plugged in.
#[must_use]
pub fn permission(configuration: &Configuration, devices: &[BlockDevice]) -> Permission {
    let mut permission = Permission::default();
    for volume in configuration.volumes.values() {
        let Some(drive) = volume.root.drive() else { continue };
        let Mounting::ForTheRun { passphrase } = &drive.mounting else { continue };
        let passphrase = if passphrase.is_some() { Passphrase::Known } else { Passphrase::None };
        match &volume.root {
            VolumeRoot::Server(_) => permission.gaps.push(Gap::AtServer(volume.name.clone())),
            VolumeRoot::Drive(_) | VolumeRoot::Directory(_) => {
                add(&mut permission, &volume.name, drive, passphrase, devices);
            }
        }
    }
    permission
}

/// The same for the drives that are plugged into this server.
#[must_use]
pub fn permission_at(configuration: &Configuration, server: &ServerKey) -> Permission {
    let mut permission = Permission::default();
    for volume in configuration.volumes.values() {
        if let VolumeRoot::Server(root) = &volume.root
            && root.key() == *server
            && let Some(drive) = &root.drive
            && let Mounting::ForTheRun { passphrase } = &drive.mounting
        {
            let passphrase = if passphrase.is_some() { Passphrase::Known } else { Passphrase::None };
            allow(&mut permission, &volume.name, drive, passphrase);
            if passphrase == Passphrase::Known {
                permission.gaps.push(Gap::InsideThere(volume.name.clone()));
            }
            if drive.when_done == WhenDone::PowerOff {
                permission.gaps.push(Gap::PowerOff(volume.name.clone()));
            }
        }
    }
    permission
}

/// Whether the daemon unlocks a drive itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Passphrase {
    Known,
    None,
}

fn add(
    permission: &mut Permission,
    volume: &VolumeName,
    drive: &Drive,
    passphrase: Passphrase,
    devices: &[BlockDevice],
) {
    allow(permission, volume, drive, passphrase);
    let carriers: Vec<&BlockDevice> = devices.iter().filter(|device| device.uuid == drive.uuid).collect();
    let gap = match carriers.as_slice() {
        [] => (passphrase == Passphrase::Known).then(|| Gap::NotPlugged(volume.clone())),
        _ if are_clones(&carriers) => Some(Gap::Ambiguous(volume.clone())),
        [first, ..] => match &first.role {
            DeviceRole::Container => {
                let inside: Vec<&BlockDevice> = devices.iter().filter(|device| is_inside(device, drive)).collect();
                permission.uuids.extend(inside.iter().map(|device| device.uuid.clone()));
                inside.is_empty().then(|| Gap::Locked(volume.clone(), first.node.clone()))
            }
            DeviceRole::Unlocked { container, .. } => {
                permission.uuids.insert(container.clone());
                None
            }
            DeviceRole::Filesystem(_) | DeviceRole::OnMembers(_) | DeviceRole::Member | DeviceRole::MemberInside(_) => {
                (passphrase == Passphrase::Known).then(|| Gap::NotEncrypted(volume.clone(), first.node.clone()))
            }
        },
    };
    permission.gaps.extend(gap);
    if drive.when_done == WhenDone::PowerOff {
        permission.gaps.push(Gap::PowerOff(volume.clone()));
    }
}

/// What is asked for a drive by the UUID that the configuration names.
fn allow(permission: &mut Permission, volume: &VolumeName, drive: &Drive, passphrase: Passphrase) {
    permission.volumes.insert(volume.clone());
    permission.uuids.insert(drive.uuid.clone());
    permission.actions.extend([Action::Mount, Action::MountOtherSeat]);
    if passphrase == Passphrase::Known {
        permission.actions.extend([Action::Unlock, Action::UnlockOtherSeat]);
    }
}

/// A filesystem over several devices has its UUID on each of them, and a number of its own for each.
fn are_clones(carriers: &[&BlockDevice]) -> bool {
    let members: BTreeSet<_> = carriers.iter().map(|device| &device.member).collect();
    carriers.len() > 1 && (members.len() < carriers.len() || members.contains(&None))
}

fn is_inside(device: &BlockDevice, drive: &Drive) -> bool {
    matches!(&device.role, DeviceRole::Unlocked { container, .. } if *container == drive.uuid)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::slice;
    use std::time::Duration;

    use super::*;
    use crate::model::{CredentialProvider, DaemonSettings, DriveUuid, Notify, Server, Volume};

    const OUTER: &str = "11111111-a7b6-429d-8250-3d0d80e034df";
    const INNER: &str = "22222222-a7b6-429d-8250-3d0d80e034df";

    fn uuid(text: &str) -> DriveUuid {
        text.parse().unwrap()
    }

    fn drive(name: &str, id: &str, mounting: Mounting, when_done: WhenDone) -> Volume {
        let root = VolumeRoot::Drive(Drive { uuid: uuid(id), mounting, when_done });
        Volume { name: name.parse().unwrap(), root, repositories: vec![] }
    }

    fn encrypted() -> Mounting {
        Mounting::ForTheRun { passphrase: Some("usb".parse().unwrap()) }
    }

    fn configuration(volumes: Vec<Volume>) -> Configuration {
        let seconds = Duration::from_secs;
        Configuration {
            daemon: DaemonSettings { max_parallel: 1, settle: seconds(2), grace: seconds(10), notify: Notify::None },
            locations: BTreeMap::new(),
            endpoints: BTreeMap::new(),
            volumes: volumes.into_iter().map(|volume| (volume.name.clone(), volume)).collect(),
            groups: BTreeMap::new(),
            credentials: CredentialProvider::SecretService,
            monitoring: crate::model::Monitoring::default(),
            syncs: BTreeMap::new(),
        }
    }

    fn device(id: &str, role: DeviceRole) -> BlockDevice {
        BlockDevice {
            node: "/dev/sdb1".into(),
            links: Vec::new(),
            number: (8, 17),
            uuid: uuid(id),
            member: None,
            role,
            disk_seq: Some(1),
            hardware: None,
            label: None,
            size: 1,
        }
    }

    fn unlocked() -> BlockDevice {
        device(INNER, DeviceRole::Unlocked { container: uuid(OUTER), filesystem: "btrfs".into() })
    }

    /// The UUIDs by their first digit, the number of actions, and the gaps.
    fn check(volumes: Vec<Volume>, devices: &[BlockDevice], uuids: &str, actions: usize, gaps: &[Gap]) {
        let permission = permission(&configuration(volumes), devices);
        let found: String = permission.uuids.iter().filter_map(|uuid| uuid.as_str().chars().next()).collect();
        assert_eq!((found.as_str(), permission.actions.len()), (uuids, actions), "{permission:?}");
        assert_eq!(permission.gaps, gaps);
    }

    #[test]
    fn only_what_the_daemon_mounts_needs_a_permission() {
        let elsewhere = drive("usb", OUTER, Mounting::Elsewhere, WhenDone::Leave);
        check(vec![elsewhere], &[device(OUTER, DeviceRole::Container)], "", 0, &[]);
        let plain = drive("usb", OUTER, Mounting::ForTheRun { passphrase: None }, WhenDone::Unmount);
        check(vec![plain.clone()], &[], "1", 2, &[]);
        check(vec![plain], &[device(OUTER, DeviceRole::Filesystem("ext4".into()))], "1", 2, &[]);
    }

    #[test]
    fn a_drive_of_a_server_needs_its_permission_there() {
        let endpoints = |name: &str| vec![name.parse().unwrap()];
        let there = |name: &str, endpoint: &str, mounting, when_done| {
            let drive = Some(Drive { uuid: uuid(OUTER), mounting, when_done });
            let root = VolumeRoot::Server(Server { endpoints: endpoints(endpoint), path: "x".into(), drive });
            Volume { name: name.parse().unwrap(), root, repositories: vec![] }
        };
        let attic = there("attic", "nas", encrypted(), WhenDone::PowerOff);
        let loft = there("loft", "other", Mounting::ForTheRun { passphrase: None }, WhenDone::Leave);
        let cellar = there("cellar", "nas", Mounting::Elsewhere, WhenDone::Leave);
        let name = |volume: &Volume| volume.name.clone();
        let (attics, lofts) = (name(&attic), name(&loft));
        let volumes = vec![attic, loft, cellar];
        let gaps = [Gap::AtServer(attics.clone()), Gap::AtServer(lofts)];
        check(volumes.clone(), &[device(OUTER, DeviceRole::Container)], "", 0, &gaps);
        let found = permission_at(&configuration(volumes), &ServerKey(endpoints("nas")));
        assert_eq!((found.volumes, found.uuids), ([attics.clone()].into(), [uuid(OUTER)].into()));
        assert_eq!(
            (found.actions.len(), found.gaps),
            (4, vec![Gap::InsideThere(attics.clone()), Gap::PowerOff(attics)])
        );
    }

    #[test]
    fn both_uuids_of_an_encrypted_drive_are_found_from_either() {
        let devices = [device(OUTER, DeviceRole::Container), unlocked()];
        for configured in [OUTER, INNER] {
            check(vec![drive("usb", configured, encrypted(), WhenDone::Lock)], &devices, "12", 4, &[]);
        }
    }

    #[test]
    fn what_is_not_known_is_said() {
        let usb: VolumeName = "usb".parse().unwrap();
        let volume = |configured| vec![drive("usb", configured, encrypted(), WhenDone::Lock)];
        check(volume(OUTER), &[], "1", 4, &[Gap::NotPlugged(usb.clone())]);
        let container = device(OUTER, DeviceRole::Container);
        let locked = Gap::Locked(usb.clone(), "/dev/sdb1".into());
        check(volume(OUTER), slice::from_ref(&container), "1", 4, &[locked]);
        check(volume(INNER), slice::from_ref(&container), "2", 4, &[Gap::NotPlugged(usb.clone())]);
        // A stranger's copy of the container could hold any filesystem.
        let two = [container.clone(), container, unlocked()];
        check(volume(OUTER), &two, "1", 4, &[Gap::Ambiguous(usb.clone())]);
        let plain = device(OUTER, DeviceRole::Filesystem("ext4".into()));
        check(volume(OUTER), &[plain], "1", 4, &[Gap::NotEncrypted(usb.clone(), "/dev/sdb1".into())]);
        let off = drive("usb", OUTER, Mounting::ForTheRun { passphrase: None }, WhenDone::PowerOff);
        check(vec![off], &[], "1", 2, &[Gap::PowerOff(usb)]);
    }

    #[test]
    fn a_filesystem_over_two_devices_is_one() {
        let half = |member: &str| BlockDevice {
            member: Some(member.into()),
            ..device(OUTER, DeviceRole::Filesystem("btrfs".into()))
        };
        let plain = || vec![drive("usb", OUTER, Mounting::ForTheRun { passphrase: None }, WhenDone::Leave)];
        check(plain(), &[half("a"), half("b")], "1", 2, &[]);
        check(plain(), &[half("a"), half("a")], "1", 2, &[Gap::Ambiguous("usb".parse().unwrap())]);
    }
}
