//! Block devices, as udev knows them.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{major, minor};

use crate::model::{BlockDevice, DeviceRole, DriveUuid, Hardware, OtherUuid, OtherUuidKind};

/// So many layers below a device are looked through.
const DEEPEST: u32 = 8;

/// Why the block devices are not known.
#[derive(Debug, thiserror::Error)]
pub enum DisksError {
    /// The devices could not be listed.
    #[error("list the block devices that udev knows")]
    Enumerate(#[source] io::Error),
}

/// The block devices that carry a filesystem or a container, by their numbers. Where no udevd ever ran there are none.
pub fn enumerate() -> Result<Vec<BlockDevice>, DisksError> {
    let mut devices: Vec<_> = scan().map_err(DisksError::Enumerate)?;
    devices.sort_by_key(|device| device.number);
    Ok(devices)
}

fn scan() -> io::Result<Vec<BlockDevice>> {
    let mut enumerator = udev::Enumerator::new()?;
    enumerator.match_subsystem("block")?;
    enumerator.match_is_initialized()?;
    enumerator.match_property("ID_FS_UUID", "?*")?;
    Ok(enumerator.scan_devices()?.filter_map(|device| block_device(&device)).collect())
}

/// The UUIDs that udev knows beside those of filesystems and containers.
pub fn other_uuids() -> Result<Vec<OtherUuid>, DisksError> {
    const KINDS: [(&str, OtherUuidKind); 3] = [
        ("ID_FS_UUID_SUB", OtherUuidKind::Member),
        ("ID_PART_ENTRY_UUID", OtherUuidKind::Partition),
        ("ID_PART_TABLE_UUID", OtherUuidKind::Table),
    ];
    let scanned = || -> io::Result<Vec<OtherUuid>> {
        let mut enumerator = udev::Enumerator::new()?;
        enumerator.match_subsystem("block")?;
        enumerator.match_is_initialized()?;
        let mut found = Vec::new();
        for device in enumerator.scan_devices()? {
            let Some(node) = device.devnode().map(Path::to_owned) else { continue };
            let right: Option<DriveUuid> = text(&device, "ID_FS_UUID").and_then(|uuid| uuid.parse().ok());
            found.extend(KINDS.iter().filter_map(|(property, kind)| {
                let uuid = text(&device, property)?;
                Some(OtherUuid { uuid, kind: *kind, device: node.clone(), right: right.clone() })
            }));
        }
        // A partition knows the table that it is in, too, and what is meant; the whole disk does not.
        found.sort_by(|a, b| (a.right.is_none(), &a.device).cmp(&(b.right.is_none(), &b.device)));
        Ok(found)
    };
    scanned().map_err(DisksError::Enumerate)
}

/// The device as a noun; `None` for one that goes away while it is looked at, or whose UUID is none.
fn block_device(device: &udev::Device) -> Option<BlockDevice> {
    let number = device.devnum()?;
    let role = role(device);
    let uuid = match (text(device, "ID_FS_UUID")?.parse(), &role) {
        (Ok(uuid), _) => uuid,
        // What LVM calls its parts is no UUID that a drive can be named by.
        (Err(_), DeviceRole::MemberInside(container)) => container.clone(),
        (Err(_), _) => return None,
    };
    Some(BlockDevice {
        node: device.devnode()?.to_owned(),
        links: links(device),
        number: (major(number), minor(number)),
        uuid,
        member: text(device, "ID_FS_UUID_SUB"),
        role,
        disk_seq: disk_seq(device),
        hardware: hardware(device),
        label: label(device),
        // The kernel counts in units of 512 bytes whatever the sectors of the device are.
        size: attribute(device, "size").unwrap_or_default().saturating_mul(512),
    })
}

fn role(device: &udev::Device) -> DeviceRole {
    let kind = text(device, "ID_FS_TYPE").unwrap_or_default();
    match text(device, "ID_FS_USAGE").as_deref() {
        Some("crypto") if kind == "crypto_LUKS" => DeviceRole::Container,
        Some("filesystem") if !kind.ends_with("_member") => match container_around(device) {
            Some(container) => DeviceRole::Unlocked { container, filesystem: kind },
            None if is_on_members(device) => DeviceRole::OnMembers(kind),
            None => DeviceRole::Filesystem(kind),
        },
        Some(_) | None => container_around(device).map_or(DeviceRole::Member, DeviceRole::MemberInside),
    }
}

/// The LUKS container that a device lies in, be that directly or with LVM or RAID in between.
fn container_around(device: &udev::Device) -> Option<DriveUuid> {
    text(device, "DM_UUID").as_deref().and_then(container).or_else(|| container_below(device.syspath(), DEEPEST))
}

/// Looks for it among what a device is made of (`slaves` in sysfs). All of that must lie in containers: what lies in
/// one only in part can be read in part.
fn container_below(path: &Path, deep: u32) -> Option<DriveUuid> {
    let parts = std::fs::read_dir(path.join("slaves")).ok()?.filter_map(Result::ok).map(|part| part.path());
    let deep = deep.checked_sub(1)?;
    let around = parts.map(|part| {
        let name = std::fs::read_to_string(part.join("dm/uuid")).ok();
        name.as_deref().and_then(container).or_else(|| container_below(&part, deep))
    });
    around.collect::<Option<Vec<_>>>()?.into_iter().next()
}

/// Whether a device is one of LVM or RAID.
fn is_on_members(device: &udev::Device) -> bool {
    text(device, "DM_UUID").is_some_and(|uuid| uuid.starts_with("LVM-")) || text(device, "MD_UUID").is_some()
}

/// `CRYPT-LUKS2-2d577679a7b6429d82503d0d80e034df-name`: the UUID of a LUKS container, without its hyphens.
fn container(dm_uuid: &str) -> Option<DriveUuid> {
    let digits = dm_uuid.strip_prefix("CRYPT-LUKS")?.split('-').nth(1)?;
    let parts = [digits.get(..8)?, digits.get(8..12)?, digits.get(12..16)?, digits.get(16..20)?, digits.get(20..32)?];
    if digits.len() == 32 { parts.join("-").parse().ok() } else { None }
}

/// A partition has the number of its disk: some kernels give it to both, older ones to the disk only.
fn disk_seq(device: &udev::Device) -> Option<u64> {
    let own = || text(device, "DISKSEQ").and_then(|number| number.parse().ok());
    let of_disk = || attribute(&device.parent_with_subsystem_devtype("block", "disk").ok()??, "diskseq");
    own().or_else(|| attribute(device, "diskseq")).or_else(of_disk)
}

/// Loop devices have no hardware, whatever udev's rules say of the file behind them.
fn hardware(device: &udev::Device) -> Option<Hardware> {
    if device.sysname().as_bytes().starts_with(b"loop") {
        return None;
    }
    let either = |first, second| text(device, first).or_else(|| text(device, second));
    let serial = either("ID_SERIAL", "ID_SERIAL_SHORT");
    let wwn = either("ID_WWN_WITH_EXTENSION", "ID_WWN");
    let words: Vec<_> = serial.into_iter().chain(wwn).collect();
    if words.is_empty() { None } else { Some(Hardware(words.join(" "))) }
}

fn links(device: &udev::Device) -> Vec<PathBuf> {
    let links = device.property_value("DEVLINKS").unwrap_or_default().as_bytes();
    let links = links.split(|byte| *byte == b' ').filter(|link| !link.is_empty());
    links.map(|link| PathBuf::from(OsStr::from_bytes(link))).collect()
}

/// The label is for people and comes from a stranger's drive: what would move a cursor is replaced.
fn label(device: &udev::Device) -> Option<String> {
    let encoded = device.property_value("ID_FS_LABEL_ENC")?;
    let label = unescaped(encoded.as_bytes()).to_string_lossy().into_owned();
    Some(label.replace(char::is_control, "\u{fffd}"))
}

/// udev writes bytes that it holds unsafe as `\xNN`.
fn unescaped(encoded: &[u8]) -> OsString {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((first, tail)) = rest.split_first() {
        let byte = match rest {
            [b'\\', b'x', a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => {
                std::str::from_utf8(&[*a, *b]).ok().and_then(|hex| u8::from_str_radix(hex, 16).ok())
            }
            _ => None,
        };
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { rest.get(4..).unwrap_or_default() } else { tail };
    }
    OsString::from_vec(bytes)
}

/// A property that is not empty. Those that are no UTF-8 are none of those that are asked for here.
fn text(device: &udev::Device, property: &str) -> Option<String> {
    let value = device.property_value(property)?.to_str()?;
    if value.is_empty() { None } else { Some(value.to_owned()) }
}

fn attribute(device: &udev::Device, name: &str) -> Option<u64> {
    device.attribute_value(name)?.to_str()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_a_container_only_in_part_is_not_behind_it() {
        let root = tempfile::tempdir().unwrap();
        let device = |name: &str, uuid: Option<&str>| {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.join("slaves")).unwrap();
            if let Some(uuid) = uuid {
                std::fs::create_dir_all(path.join("dm")).unwrap();
                std::fs::write(path.join("dm/uuid"), uuid).unwrap();
            }
            path
        };
        let clear = device("dm-0", Some("CRYPT-LUKS2-2d577679a7b6429d82503d0d80e034df-a"));
        let (plain, volume, above) =
            (device("sdb", None), device("dm-1", Some("LVM-x")), device("dm-2", Some("LVM-y")));
        let lies_on = |above: &Path, below: &Path| {
            std::os::unix::fs::symlink(below, above.join("slaves").join(below.file_name().unwrap())).unwrap();
        };
        lies_on(&volume, &clear);
        lies_on(&above, &volume);
        let container: DriveUuid = "2d577679-a7b6-429d-8250-3d0d80e034df".parse().unwrap();
        assert_eq!(container_below(&above, DEEPEST), Some(container));
        lies_on(&volume, &plain);
        assert_eq!((container_below(&volume, DEEPEST), container_below(&above, DEEPEST)), (None, None));
        assert_eq!(container_below(&plain, DEEPEST), None);
    }

    #[test]
    fn the_container_of_an_unlocked_device() {
        let uuid = |text: &str| container(text).map(|uuid| uuid.to_string());
        let expected = Some("2d577679-a7b6-429d-8250-3d0d80e034df".to_owned());
        assert_eq!(uuid("CRYPT-LUKS2-2d577679a7b6429d82503d0d80e034df-luks-name"), expected);
        assert_eq!(uuid("CRYPT-LUKS1-2d577679a7b6429d82503d0d80e034df-x"), expected);
        for other in [
            "",
            "LVM-abc",
            "CRYPT-PLAIN-x",
            "CRYPT-LUKS2-2d57-x",
            "CRYPT-LUKS2",
            "CRYPT-LUKS2-é2d577679a7b6429d82503d0d80e034d-x",
        ] {
            assert_eq!(uuid(other), None, "{other}");
        }
    }

    #[test]
    fn escapes_of_udev() {
        for (encoded, plain) in [
            ("plain", "plain"),
            (r"My\x20Drive", "My Drive"),
            (r"\x5cx41", r"\x41"),
            (r"cut\x4", r"cut\x4"),
            (r"no\xzz", r"no\xzz"),
            (r"\xc3\xa4", "ä"),
        ] {
            assert_eq!(unescaped(encoded.as_bytes()), plain, "{encoded}");
        }
    }

    #[test]
    fn a_machine_without_udevd_is_no_error() {
        // What is found depends on the machine; that it is found without an error, does not.
        enumerate().expect("a list");
    }
}
