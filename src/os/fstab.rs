//! `/etc/fstab`.

use std::path::PathBuf;

use crate::decide::diagnosis::drives::names;
use crate::formats::fstab;
use crate::model::{BlockDevice, FstabLine, Mount};
use crate::os::probe::AUTOFS;

/// Its lines; none if there is no such file.
#[must_use]
pub fn lines() -> Vec<FstabLine> {
    std::fs::read("/etc/fstab").map(|bytes| fstab::lines(&bytes)).unwrap_or_default()
}

/// The places that it has for the filesystem on a device. One over several devices may go by each of them.
#[must_use]
pub fn places_of(device: &BlockDevice, devices: &[BlockDevice]) -> Vec<PathBuf> {
    places(lines(), device, devices)
}

/// Where the filesystem on a device is mounted by itself as soon as somebody uses that place.
#[must_use]
pub fn automount(device: &BlockDevice, devices: &[BlockDevice], mounts: &[Mount]) -> Option<PathBuf> {
    let mut automounts = mounts.iter().filter(|mount| mount.fs_type == AUTOFS).peekable();
    automounts.peek()?;
    let places = places_of(device, devices);
    automounts.map(|mount| &mount.point).find(|point| places.contains(point)).cloned()
}

fn places(lines: Vec<FstabLine>, device: &BlockDevice, devices: &[BlockDevice]) -> Vec<PathBuf> {
    let devices: Vec<_> = devices.iter().filter(|other| other.uuid == device.uuid).collect();
    let is_named = |line: &FstabLine| {
        devices.iter().any(|device| {
            let (places, label) = ((device.node.as_path(), device.links.as_slice()), device.label.as_deref());
            names(&line.spec, places, device.uuid.as_str(), label)
        })
    };
    lines.into_iter().filter(is_named).map(|line| line.point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::DeviceRole;

    #[test]
    fn a_device_is_found_by_whatever_names_it() {
        let device = BlockDevice {
            node: "/dev/sdb1".into(),
            links: vec!["/dev/disk/by-id/usb-stick-part1".into()],
            number: (8, 17),
            uuid: "5e3f-1a2b".parse().unwrap(),
            role: DeviceRole::Filesystem("vfat".into()),
            member: None,
            label: Some("backup".into()),
            disk_seq: None,
            hardware: None,
            size: 0,
        };
        let text = b"UUID=5E3F-1A2B /a vfat noauto,x-systemd.automount\nLABEL=backup /b auto\nLABEL=other /c auto\n\
            /dev/disk/by-id/usb-stick-part1 /d auto\n/dev/sdb2 /e auto\n";
        let found = places(fstab::lines(text), &device, std::slice::from_ref(&device));
        assert_eq!(found, ["/a", "/b", "/d"].map(PathBuf::from));
    }
}
