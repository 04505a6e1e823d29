//! The mount table of this process.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::formats::mountinfo::{self, Propagation};
use crate::model::{BlockDevice, DeviceRole, Mount, MountId, MountView};

/// Why the mount table is not known.
#[derive(Debug, thiserror::Error)]
pub enum MountsError {
    /// The file could not be read.
    #[error("read the mount table {TABLE}")]
    Read(#[source] io::Error),
}

/// Where the kernel shows the mounts that this process can see.
pub(crate) const TABLE: &str = "/proc/self/mountinfo";

/// The mounts that this process can see, in the order of the table.
pub fn read() -> Result<Vec<Mount>, MountsError> {
    std::fs::read(TABLE).map(|bytes| mountinfo::mounts(&bytes)).map_err(MountsError::Read)
}

/// Where a filesystem is mounted whose device is gone, and that is on this device by now: a drive that was pulled out
/// and plugged in again. btrfs mounts no second one of the same UUID ("File exists").
#[must_use]
pub fn in_the_way_of(device: &BlockDevice, devices: &[BlockDevice], mounts: &[Mount]) -> Vec<PathBuf> {
    match &device.role {
        DeviceRole::Filesystem(kind) | DeviceRole::OnMembers(kind) if kind == "btrfs" => {}
        DeviceRole::Unlocked { filesystem, .. } if filesystem == "btrfs" => {}
        DeviceRole::Filesystem(_)
        | DeviceRole::OnMembers(_)
        | DeviceRole::Unlocked { .. }
        | DeviceRole::Container
        | DeviceRole::Member
        | DeviceRole::MemberInside(_) => return Vec::new(),
    }
    // What the kernel works on by this UUID: an entry for each device, also for one that is gone.
    let at_work = Path::new("/sys/fs/btrfs").join(device.uuid.as_str()).join("devices");
    let entries = std::fs::read_dir(at_work).into_iter().flatten().flatten().map(|entry| entry.file_name());
    dead_mounts(&entries.collect::<Vec<_>>(), devices, mounts)
}

fn dead_mounts(at_work: &[OsString], devices: &[BlockDevice], mounts: &[Mount]) -> Vec<PathBuf> {
    let is_known = |source: &Path| {
        devices.iter().any(|device| device.node == source || device.links.iter().any(|link| link == source))
    };
    let is_dead = |mount: &&Mount| {
        let of_it = mount.source.file_name().is_some_and(|name| at_work.iter().any(|entry| entry == name));
        mount.fs_type == "btrfs" && of_it && !is_known(&mount.source)
    };
    mounts.iter().filter(is_dead).map(|mount| mount.point.clone()).collect()
}

/// Whether a mount allows no copy of itself (`mount --make-unbindable`).
pub(super) fn has_unbindable() -> bool {
    let is_unbindable = |line: &str| line.split_once(" - ").is_some_and(|(fields, _)| fields.ends_with(" unbindable"));
    std::fs::read(TABLE).is_ok_and(|table| String::from_utf8_lossy(&table).lines().any(is_unbindable))
}

/// Where drives are mounted: by desktops, by udisks2, by hand.
const PLACES: [&str; 3] = ["/run/media", "/media", "/mnt"];

/// How the mounts of this process are related to those of the machine, whose first process has all of them.
#[must_use]
pub fn view() -> MountView {
    let read = |process: &str| std::fs::read(format!("/proc/{process}/mountinfo"));
    match (read("self"), read("1")) {
        (Ok(ours), Ok(theirs)) if !ours.is_empty() && !theirs.is_empty() => {
            relation(&mountinfo::propagation(&ours), &mountinfo::propagation(&theirs))
        }
        (Ok(_), Ok(_)) => MountView::Unknown("the mount table of process 1 is not shown".into()),
        (Err(error), _) | (_, Err(error)) => MountView::Unknown(format!("could not read mount tables: {error}")),
    }
}

type Table = [(MountId, PathBuf, Propagation)];

/// No two namespaces have a mount in common: each copy of one has an id of its own.
fn relation(ours: &Table, theirs: &Table) -> MountView {
    if ours.iter().any(|(id, ..)| theirs.iter().any(|(other, ..)| other == id)) {
        return MountView::Same;
    }
    let apart: Vec<_> =
        PLACES.iter().map(Path::new).filter(|place| !receives(ours, place)).map(PathBuf::from).collect();
    if apart.is_empty() { MountView::Follows } else { MountView::Apart(apart) }
}

/// Whether what is mounted below a place elsewhere appears here: by the mount that the place is on.
fn receives(table: &Table, place: &Path) -> bool {
    let around = table.iter().filter(|(_, point, _)| place.starts_with(point));
    let nearest = around.max_by_key(|(_, point, _)| point.components().count());
    nearest.is_some_and(|(.., propagation)| *propagation == Propagation::Receives)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn table(mounts: &[(u64, &str, Propagation)]) -> Vec<(MountId, PathBuf, Propagation)> {
        mounts.iter().map(|(id, point, propagation)| (MountId(*id), (*point).into(), *propagation)).collect()
    }

    #[test]
    fn another_namespace_follows_or_is_apart() {
        let machine = table(&[(1, "/", Propagation::Receives), (2, "/run", Propagation::Receives)]);
        let slave = table(&[(11, "/", Propagation::Receives), (12, "/run", Propagation::Receives)]);
        let mixed = table(&[(11, "/", Propagation::Receives), (12, "/run", Propagation::Private)]);
        let private = table(&[(11, "/", Propagation::Private)]);
        assert_eq!(relation(&machine, &machine), MountView::Same);
        assert_eq!(relation(&slave, &machine), MountView::Follows);
        assert_eq!(relation(&mixed, &machine), MountView::Apart(vec!["/run/media".into()]));
        let all = PLACES.map(PathBuf::from).to_vec();
        assert_eq!(relation(&private, &machine), MountView::Apart(all));
    }

    #[test]
    fn what_a_device_that_is_gone_left_mounted_is_in_the_way() {
        let device = |node: &str, links: &[&str]| BlockDevice {
            node: node.into(),
            links: links.iter().map(PathBuf::from).collect(),
            number: (8, 17),
            uuid: "2d577679-a7b6-429d-8250-3d0d80e034df".parse().unwrap(),
            member: None,
            role: DeviceRole::Filesystem("btrfs".into()),
            disk_seq: None,
            hardware: None,
            label: None,
            size: 0,
        };
        let table = crate::formats::mountinfo::mounts(
            b"31 1 0:41 / /mnt/x rw - btrfs /dev/sda1 rw\n32 1 0:41 /a /mnt/y rw - btrfs /dev/sda1 rw\n\
              33 1 0:42 / /mnt/other rw - btrfs /dev/sdc1 rw\n34 1 8:1 / /mnt/ext4 rw - ext4 /dev/sda1 rw\n",
        );
        let devices = [device("/dev/sdb1", &["/dev/disk/by-label/usb"])];
        let dead = |at_work: &[&str], devices: &[BlockDevice]| {
            dead_mounts(&at_work.iter().map(OsString::from).collect::<Vec<_>>(), devices, &table)
        };
        assert_eq!(dead(&["sda1"], &devices), ["/mnt/x", "/mnt/y"].map(PathBuf::from));
        assert!(dead(&[], &devices).is_empty(), "the kernel works on nothing of this UUID");
        let alive = [device("/dev/dm-1", &["/dev/sda1"])];
        assert!(dead(&["sda1"], &alive).is_empty(), "the device is there");
        assert!(in_the_way_of(&devices[0], &devices, &table).is_empty(), "nothing of this UUID is mounted here");
    }

    #[test]
    fn the_table_of_this_process_has_proc_in_it() {
        let mounts = super::read().expect("a table");
        assert!(mounts.iter().any(|mount| mount.point == Path::new("/proc") && mount.fs_type == "proc"));
    }
}
