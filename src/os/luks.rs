//! The headers of LUKS containers, where this user may read the device: the daemon of root.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use rustix::fs::OFlags;

use crate::formats::luks;
use crate::model::{BlockDevice, DeviceRole, DriveUuid, Hardware};

/// How long a device may take that udev has just read itself. One that takes longer is not waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// So much is read to find out how long the header is.
const BEGINNING: usize = 4096;

/// What was read of containers. Each is read when it is plugged in or written anew, and not at each look: a disk may
/// sleep, and reading would wake it.
#[derive(Debug, Clone, Default)]
pub struct Headers(BTreeMap<(u32, u32), (Stamp, Option<String>)>);

/// What is another one for another medium, and after each change that udev has seen.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    disk_seq: Option<u64>,
    changed: Option<(u64, i64, i64)>,
}

impl Headers {
    /// Adds to the hardware of these containers what their headers tell.
    pub fn mark(&mut self, devices: &mut [BlockDevice], wanted: &BTreeSet<DriveUuid>) {
        let is_wanted = |device: &BlockDevice| device.role == DeviceRole::Container && wanted.contains(&device.uuid);
        let numbers: BTreeSet<_> = devices.iter().filter(|device| is_wanted(device)).map(|it| it.number).collect();
        self.0.retain(|number, _| numbers.contains(number));
        for device in devices.iter_mut().filter(|device| is_wanted(device)) {
            let stamp = Stamp { disk_seq: device.disk_seq, changed: changed(device.number) };
            let known = self.0.get(&device.number).filter(|(known, _)| *known == stamp);
            let mark = known.map_or_else(|| read(&device.node), |(_, mark)| mark.clone());
            self.0.insert(device.number, (stamp, mark.clone()));
            device.hardware = Hardware::with_header(device.hardware.take(), mark.as_deref());
        }
    }
}

/// When udev wrote down anew what it knows of a device.
fn changed((major, minor): (u32, u32)) -> Option<(u64, i64, i64)> {
    let entry = std::fs::metadata(format!("/run/udev/data/b{major}:{minor}")).ok()?;
    Some((entry.ino(), entry.mtime(), entry.mtime_nsec()))
}

/// What the header on a device tells, if it can be read in time.
fn read(node: &Path) -> Option<String> {
    let node = PathBuf::from(node);
    let (done, result) = sync_channel(1);
    // Left behind where the device does not answer.
    std::thread::Builder::new().name("nbkp-header".into()).spawn(move || done.send(header(&node))).ok()?;
    result.recv_timeout(PATIENCE).ok().flatten()
}

fn header(node: &Path) -> Option<String> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut options = File::options();
    options.read(true).custom_flags(i32::try_from(flags.bits()).ok()?);
    let mut device = options.open(node).ok()?;
    let mut bytes = vec![0; BEGINNING];
    device.read_exact(&mut bytes).ok()?;
    let length = luks::length(&bytes)?;
    bytes.resize(length, 0);
    device.read_exact(bytes.get_mut(BEGINNING..)?).ok()?;
    luks::mark(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_once_and_again_when_it_was_written_anew() {
        let root = tempfile::tempdir().unwrap();
        let node = root.path().join("device");
        let write = |digest: &str| {
            let mut header = b"LUKS\xba\xbe\x00\x02".to_vec();
            header.extend(16384_u64.to_be_bytes());
            header.resize(BEGINNING, 0);
            header.extend(format!(r#"{{"digests":{{"0":{{"digest":"{digest}"}}}}}}"#).bytes());
            header.resize(16384, 0);
            std::fs::write(&node, header).unwrap();
        };
        let uuid: DriveUuid = "2d577679-a7b6-429d-8250-3d0d80e034df".parse().unwrap();
        let device = |disk_seq| BlockDevice {
            node: node.clone(),
            links: Vec::new(),
            number: (4_000, 1),
            uuid: uuid.clone(),
            member: None,
            role: DeviceRole::Container,
            disk_seq: Some(disk_seq),
            hardware: Some(Hardware("WD-1".into())),
            label: None,
            size: 0,
        };
        let mut headers = Headers::default();
        let mut seen = |disk_seq, wanted: &BTreeSet<DriveUuid>| {
            let mut devices = [device(disk_seq)];
            headers.mark(&mut devices, wanted);
            devices[0].hardware.clone().map(|hardware| hardware.to_string())
        };
        let wanted = BTreeSet::from([uuid.clone()]);
        write("abc");
        assert_eq!(seen(1, &BTreeSet::new()).as_deref(), Some("WD-1"), "nobody uses it");
        assert_eq!(seen(1, &wanted).as_deref(), Some("WD-1 luks:abc"));
        write("def");
        assert_eq!(seen(1, &wanted).as_deref(), Some("WD-1 luks:abc"), "it is not read at each look");
        assert_eq!(seen(2, &wanted).as_deref(), Some("WD-1 luks:def"), "it was plugged in again");
        std::fs::remove_file(&node).unwrap();
        assert_eq!(seen(3, &wanted).as_deref(), Some("WD-1"));
    }
}
