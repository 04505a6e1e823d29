//! What the objects of udisks say of a volume.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use zbus::fdo::ManagedObjects;
use zbus::{OwnedObjectPath, OwnedVariant};

const BLOCK: &str = "org.freedesktop.UDisks2.Block";
pub(super) const FILESYSTEM: &str = "org.freedesktop.UDisks2.Filesystem";
pub(super) const ENCRYPTED: &str = "org.freedesktop.UDisks2.Encrypted";
pub(super) const DRIVE: &str = "org.freedesktop.UDisks2.Drive";
/// How an object path says that there is none.
const NOTHING: &str = "/";

/// What udisks knows of a volume on a block device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Its LUKS container, if it is in one.
    pub(super) container: Option<OwnedObjectPath>,
    /// What is in the container, if that is open.
    clear_text: Option<OwnedObjectPath>,
    /// Its filesystem, once udisks has seen it.
    pub(super) filesystem: Option<Filesystem>,
    /// Its drive, if that is more than a file or a part of something else.
    pub(super) drive: Option<OwnedObjectPath>,
    /// Whether the drive can be powered off.
    pub power: Power,
    /// What else is mounted or unlocked on the same drive: its nodes.
    pub others: Vec<PathBuf>,
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
pub(super) struct Filesystem {
    pub(super) object: OwnedObjectPath,
    pub(super) points: Vec<PathBuf>,
}

impl Facts {
    /// Where it is mounted.
    #[must_use]
    pub fn mount_points(&self) -> &[PathBuf] {
        self.filesystem.as_ref().map_or(&[], |filesystem| filesystem.points.as_slice())
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

type Properties = HashMap<String, OwnedVariant>;

/// Finds the volume on a device among all objects.
pub(super) fn facts(objects: &ManagedObjects, (major, minor): (u32, u32)) -> Option<Facts> {
    let number = rustix::fs::makedev(major, minor);
    let (path, block) = objects
        .keys()
        .filter_map(|path| Some((path, interface(objects, path, BLOCK)?)))
        .find(|(_, block)| property::<u64>(block, "DeviceNumber") == Some(number))?;
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
    let own = [container.as_ref(), object.as_ref()];
    let others = drive.iter().flat_map(|drive| on_drive(objects, drive)).filter(|path| !own.contains(&Some(*path)));
    let others = others.filter(|path| is_in_use(objects, path)).filter_map(|path| node(objects, path)).collect();
    let filesystem = object.and_then(|object| {
        let points = mount_points(interface(objects, &object, FILESYSTEM)?);
        Some(Filesystem { object, points })
    });
    let power = if can_power_off == Some(true) { Power::CanBeCut } else { Power::Stays };
    Some(Facts { container, clear_text, filesystem, drive, power, others })
}

fn interface<'o>(objects: &'o ManagedObjects, path: &OwnedObjectPath, name: &str) -> Option<&'o Properties> {
    let interfaces = objects.get(path)?;
    interfaces.iter().find(|(interface, _)| interface.as_str() == name).map(|(_, properties)| properties)
}

fn property<T: TryFrom<OwnedVariant>>(properties: &Properties, name: &str) -> Option<T> {
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

fn on_drive<'o>(objects: &'o ManagedObjects, drive: &OwnedObjectPath) -> Vec<&'o OwnedObjectPath> {
    let is_on = |path: &&OwnedObjectPath| {
        interface(objects, path, BLOCK).and_then(|block| link(block, "Drive")).as_ref() == Some(drive)
    };
    objects.keys().filter(is_on).collect()
}

fn is_in_use(objects: &ManagedObjects, path: &OwnedObjectPath) -> bool {
    let mounted = interface(objects, path, FILESYSTEM).is_some_and(|filesystem| !mount_points(filesystem).is_empty());
    mounted || clear_text(objects, path).is_some()
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
