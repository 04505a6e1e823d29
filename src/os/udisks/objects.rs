//! What the objects of udisks say of a volume.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use zbus::fdo::ManagedObjects;
use zbus::{OwnedObjectPath, OwnedVariant};

use crate::os::holders;

pub(super) const BLOCK: &str = "org.freedesktop.UDisks2.Block";
pub(super) const FILESYSTEM: &str = "org.freedesktop.UDisks2.Filesystem";
pub(super) const ENCRYPTED: &str = "org.freedesktop.UDisks2.Encrypted";
pub(super) const DRIVE: &str = "org.freedesktop.UDisks2.Drive";
const SWAP: &str = "org.freedesktop.UDisks2.Swapspace";
/// How an object path says that there is none.
const NOTHING: &str = "/";

/// What udisks knows of a volume on a block device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeFacts {
    /// The device that it is on: its container, if it is in one.
    pub(super) carrier: (u32, u32),
    /// Its LUKS container, if it is in one.
    pub(super) container: Option<OwnedObjectPath>,
    /// What is in the container, if that is open.
    clear_text: Option<OwnedObjectPath>,
    /// Its filesystem, once udisks has seen it.
    pub(super) filesystem: Option<UdisksFilesystem>,
    /// Its drive, if that is more than a file or a part of something else.
    pub(super) drive: Option<OwnedObjectPath>,
    /// Whether the drive can be powered off.
    pub power: Power,
}

/// Whether a drive can be powered off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// It can.
    CanBeCut,
    /// It cannot.
    Stays,
}

/// A filesystem that udisks knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UdisksFilesystem {
    pub(super) object: OwnedObjectPath,
    pub(super) points: Vec<PathBuf>,
    node: PathBuf,
    number: (u32, u32),
    uuid: String,
}

impl VolumeFacts {
    /// Where it is mounted.
    #[must_use]
    pub fn mount_points(&self) -> &[PathBuf] {
        self.filesystem.as_ref().map_or(&[], |filesystem| filesystem.points.as_slice())
    }

    /// Its filesystem, as mount tables know it; `None` while it is locked up.
    #[must_use]
    pub fn in_mount_tables(&self) -> Option<holders::Filesystem> {
        let UdisksFilesystem { points, node, number, uuid, .. } = self.filesystem.as_ref()?;
        let (node, uuid, points) = (node.clone(), uuid.clone(), points.clone());
        Some(holders::Filesystem { node, number: *number, uuid, points })
    }

    /// Whether it is in a LUKS container.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.container.is_some()
    }

    /// Whether it is in a LUKS container that is closed.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.container.is_some() && self.clear_text.is_none()
    }

    /// Whether it is in a LUKS container that is open.
    #[must_use]
    pub fn is_unlocked(&self) -> bool {
        self.container.is_some() && self.clear_text.is_some()
    }
}

pub(super) type Properties = HashMap<String, OwnedVariant>;

/// Finds the volume on a device among all objects.
pub(super) fn facts(objects: &ManagedObjects, (major, minor): (u32, u32)) -> Option<VolumeFacts> {
    let (path, block) = objects
        .keys()
        .filter_map(|path| Some((path, interface(objects, path, BLOCK)?)))
        .find(|(_, block)| number(block) == Some((major, minor)))?;
    let is_container = interface(objects, path, ENCRYPTED).is_some();
    let (container, object) = if is_container {
        (Some(path.clone()), clear_text(objects, path))
    } else {
        (link(block, "CryptoBackingDevice"), Some(path.clone()))
    };
    let clear_text = object.clone().filter(|_| container.is_some());
    let whole = container.as_ref().and_then(|container| interface(objects, container, BLOCK)).unwrap_or(block);
    let drive = link(whole, "Drive");
    let can_power_off =
        drive.as_ref().and_then(|drive| property::<bool>(interface(objects, drive, DRIVE)?, "CanPowerOff"));
    let filesystem = object.and_then(|object| {
        let points = mount_points(interface(objects, &object, FILESYSTEM)?);
        let block = interface(objects, &object, BLOCK)?;
        let uuid = property::<String>(block, "IdUUID").unwrap_or_default();
        Some(UdisksFilesystem { number: number(block)?, node: node(objects, &object)?, object, points, uuid })
    });
    let power = if can_power_off == Some(true) { Power::CanBeCut } else { Power::Stays };
    let carrier = number(whole)?;
    Some(VolumeFacts { carrier, container, clear_text, filesystem, drive, power })
}

pub(super) fn interface<'o>(objects: &'o ManagedObjects, path: &OwnedObjectPath, name: &str) -> Option<&'o Properties> {
    let interfaces = objects.get(path)?;
    interfaces.iter().find(|(interface, _)| interface.as_str() == name).map(|(_, properties)| properties)
}

pub(super) fn property<T: TryFrom<OwnedVariant>>(properties: &Properties, name: &str) -> Option<T> {
    T::try_from(properties.get(name)?.try_clone().ok()?).ok()
}

/// Another object that a property names.
fn link(properties: &Properties, name: &str) -> Option<OwnedObjectPath> {
    property::<OwnedObjectPath>(properties, name).filter(|path| path.as_str() != NOTHING)
}

/// The device in an open container, by its own word; where it is silent (before 2.8), by that of the device.
fn clear_text(objects: &ManagedObjects, container: &OwnedObjectPath) -> Option<OwnedObjectPath> {
    link(interface(objects, container, ENCRYPTED)?, "CleartextDevice").or_else(|| {
        let inside = |path: &&OwnedObjectPath| {
            interface(objects, path, BLOCK).and_then(|block| link(block, "CryptoBackingDevice")).as_ref()
                == Some(container)
        };
        objects.keys().find(inside).cloned()
    })
}

/// What is in use on the drive of a volume: the nodes of what is mounted, unlocked, swapped to, or part of something
/// else.
pub(super) fn in_use(
    objects: &ManagedObjects,
    facts: &VolumeFacts,
    parts_of_disk: &[(u32, u32)],
    is_held: impl Fn((u32, u32)) -> bool,
) -> Vec<PathBuf> {
    let on_drive = facts.drive.as_ref().map(|drive| on_drive(objects, drive)).unwrap_or_default();
    // That its own container is open shows by what is in there.
    let used = objects.keys().filter(|path| Some(*path) != facts.container.as_ref()).filter(|path| {
        let number = interface(objects, path, BLOCK).and_then(number);
        (on_drive.contains(path) || number.is_some_and(|number| parts_of_disk.contains(&number)))
            && (is_in_use(objects, path) || number.is_some_and(&is_held))
    });
    used.filter_map(|path| node(objects, path)).collect()
}

fn number(block: &Properties) -> Option<(u32, u32)> {
    property::<u64>(block, "DeviceNumber").map(|number| (rustix::fs::major(number), rustix::fs::minor(number)))
}

fn on_drive<'o>(objects: &'o ManagedObjects, drive: &OwnedObjectPath) -> Vec<&'o OwnedObjectPath> {
    let is_on = |path: &&OwnedObjectPath| {
        interface(objects, path, BLOCK).and_then(|block| link(block, "Drive")).as_ref() == Some(drive)
    };
    objects.keys().filter(is_on).collect()
}

fn is_in_use(objects: &ManagedObjects, path: &OwnedObjectPath) -> bool {
    let mounted = interface(objects, path, FILESYSTEM).is_some_and(|filesystem| !mount_points(filesystem).is_empty());
    let swap = interface(objects, path, SWAP).and_then(|swap| property::<bool>(swap, "Active"));
    mounted || swap == Some(true) || clear_text(objects, path).is_some()
}

/// Paths are bytes that end with a zero.
fn path_of(mut bytes: Vec<u8>) -> PathBuf {
    if bytes.last() == Some(&0) {
        bytes.pop();
    }
    PathBuf::from(OsString::from_vec(bytes))
}

fn node(objects: &ManagedObjects, path: &OwnedObjectPath) -> Option<PathBuf> {
    property::<Vec<u8>>(interface(objects, path, BLOCK)?, "Device").map(path_of)
}

fn mount_points(filesystem: &Properties) -> Vec<PathBuf> {
    property::<Vec<Vec<u8>>>(filesystem, "MountPoints").unwrap_or_default().into_iter().map(path_of).collect()
}

#[cfg(test)]
mod tests {
    use zbus::ObjectPath;

    use super::*;

    fn path(path: &str) -> OwnedObjectPath {
        ObjectPath::try_from(path.to_owned()).unwrap().into()
    }

    fn link_to(path: &str) -> OwnedVariant {
        ObjectPath::try_from(path.to_owned()).unwrap().into()
    }

    fn bytes(text: &str) -> Vec<u8> {
        text.bytes().chain([0]).collect()
    }

    /// A block device with this minor number, on the drive `/drive`, and more interfaces.
    fn block(objects: &mut ManagedObjects, name: &str, minor: u32, backing: &str, more: &[(&str, Properties)]) {
        let properties = Properties::from([
            ("Device".to_owned(), zbus::Variant::from(bytes(&format!("/dev{name}"))).try_into().unwrap()),
            ("DeviceNumber".to_owned(), rustix::fs::makedev(8, minor).into()),
            ("CryptoBackingDevice".to_owned(), link_to(backing)),
            ("Drive".to_owned(), link_to(if backing == NOTHING { "/drive" } else { NOTHING })),
        ]);
        let mut interfaces = HashMap::from([(BLOCK.try_into().unwrap(), properties)]);
        interfaces.extend(more.iter().map(|(name, properties)| {
            let copied = properties.iter().map(|(name, value)| (name.clone(), value.try_clone().unwrap()));
            ((*name).try_into().unwrap(), copied.collect())
        }));
        objects.insert(path(name), interfaces);
    }

    fn mounted_at(points: &[&str]) -> Properties {
        let points: Vec<Vec<u8>> = points.iter().map(|point| bytes(point)).collect();
        HashMap::from([("MountPoints".to_owned(), zbus::Variant::from(points).try_into().unwrap())])
    }

    fn opened(clear: &str) -> Properties {
        HashMap::from([("CleartextDevice".to_owned(), link_to(clear))])
    }

    /// A drive with a container in its first partition, and a filesystem in its second.
    fn drive(clear: &str, second: &[&str]) -> ManagedObjects {
        let mut objects = ManagedObjects::new();
        let power = HashMap::from([("CanPowerOff".to_owned(), true.into())]);
        objects.insert(path("/drive"), HashMap::from([(DRIVE.try_into().unwrap(), power)]));
        block(&mut objects, "/sda", 0, NOTHING, &[]);
        block(&mut objects, "/sda1", 1, NOTHING, &[(ENCRYPTED, opened(clear))]);
        block(&mut objects, "/sda2", 2, NOTHING, &[(FILESYSTEM, mounted_at(second))]);
        if clear != NOTHING {
            block(&mut objects, clear, 9, "/sda1", &[(FILESYSTEM, mounted_at(&["/media/usb"]))]);
        }
        objects
    }

    #[test]
    fn a_container_and_what_is_in_it_are_one() {
        let locked = facts(&drive(NOTHING, &[]), (8, 1)).unwrap();
        assert!(locked.is_locked() && !locked.is_unlocked() && locked.mount_points().is_empty());
        let objects = drive("/dm0", &[]);
        for device in [(8, 1), (8, 9)] {
            let found = facts(&objects, device).unwrap();
            assert!(found.is_unlocked() && !found.is_locked(), "{found:?}");
            assert_eq!((found.mount_points(), found.power), (&[PathBuf::from("/media/usb")][..], Power::CanBeCut));
            assert_eq!(found.in_mount_tables().unwrap().number, (8, 9));
        }
        assert_eq!(facts(&objects, (8, 3)), None);
    }

    #[test]
    fn what_else_is_in_use_on_the_drive_is_known() {
        let check = |objects: &ManagedObjects, held: Option<(u32, u32)>, expected: &[&str]| {
            let found = in_use(objects, &facts(objects, (8, 2)).unwrap(), &[], |number| Some(number) == held);
            let mut found: Vec<_> = found.iter().map(|node| node.display().to_string()).collect();
            found.sort();
            assert_eq!(found, expected);
        };
        check(&drive(NOTHING, &[]), None, &[]);
        check(&drive("/dm0", &[]), None, &["/dev/sda1"]);
        check(&drive("/dm0", &["/media/b"]), None, &["/dev/sda1", "/dev/sda2"]);
        // A part of a volume group is in use by that.
        check(&drive(NOTHING, &[]), Some((8, 1)), &["/dev/sda1"]);
        let mut objects = drive(NOTHING, &[]);
        block(&mut objects, "/sda3", 3, NOTHING, &[(SWAP, HashMap::from([("Active".to_owned(), true.into())]))]);
        check(&objects, None, &["/dev/sda3"]);
        // Of a drive that udisks does not know the kernel tells the parts.
        let mut objects = drive(NOTHING, &["/media/b"]);
        objects.remove(&path("/drive"));
        let found = VolumeFacts { drive: None, ..facts(&objects, (8, 1)).unwrap() };
        assert_eq!(in_use(&objects, &found, &[(8, 0), (8, 1), (8, 2)], |_| false), [PathBuf::from("/dev/sda2")]);
    }

    #[test]
    fn an_older_udisks_tells_of_the_device_within_only() {
        let mut objects = drive("/dm0", &[]);
        let container = objects.get_mut(&path("/sda1")).unwrap();
        container.insert(ENCRYPTED.try_into().unwrap(), HashMap::new());
        assert!(facts(&objects, (8, 1)).unwrap().is_unlocked());
    }
}
