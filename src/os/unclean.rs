//! Filesystems that were not closed cleanly, or have errors, and are mounted all the same: the kernel says so once, in
//! its log; ext4 counts its errors, too. Only root may read the log on most systems.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::formats::kernel_log;
use crate::formats::udisks::check_command;
use crate::model::{BlockDevice, Mount, MountId, Unclean};

/// The longest record.
const RECORD: usize = 8192;
/// So many records are read at once at the most; the rest is read at the next look.
const RECORDS: usize = 10_000;

/// What is known of mounts. Each is judged once, when it is seen for the first time.
#[derive(Debug, Default)]
pub struct UncleanMounts {
    log: Log,
    /// What was said since the look before this one, by the names of devices.
    fresh: BTreeMap<String, &'static str>,
    known: BTreeMap<MountId, Option<Unclean>>,
}

/// The kernel's log, from when we began to listen.
#[derive(Debug, Default)]
enum Log {
    #[default]
    Unopened,
    Open(File),
    /// This user may not read it.
    Shut,
}

impl UncleanMounts {
    /// Takes in what was said, and which of these are mounted for the first time.
    pub fn take_in(&mut self, devices: &[BlockDevice], mounts: &[Mount]) {
        let said = self.log.read();
        let before = std::mem::replace(&mut self.fresh, said);
        let stays = |id: &MountId| mounts.iter().any(|mount| mount.id == *id);
        self.known.retain(|id, _| stays(id));
        for mount in mounts.iter().filter(|mount| mount.device.0 != 0) {
            let Some(device) = devices.iter().find(|device| device.number == mount.device) else { continue };
            let name = device.node.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let why = || {
                let said = self.fresh.get(&name).or_else(|| before.get(&name));
                said.map(|why| (*why).to_owned()).or_else(|| counted(&mount.fs_type, &name))
            };
            let judged =
                |why| Unclean { why, command: check_command(&mount.fs_type, &device.node.display().to_string()) };
            self.known.entry(mount.id).or_insert_with(|| why().map(judged));
        }
    }

    /// Those that should be checked.
    #[must_use]
    pub fn found(&self) -> BTreeMap<MountId, Unclean> {
        let found = self.known.iter().filter_map(|(id, unclean)| Some((*id, unclean.clone()?)));
        found.collect()
    }
}

/// How many errors ext4 has counted since it was checked, in a sentence.
fn counted(fs_type: &str, name: &str) -> Option<String> {
    if fs_type != "ext4" {
        return None;
    }
    let count = std::fs::read_to_string(Path::new("/sys/fs/ext4").join(name).join("errors_count")).ok()?;
    (count.trim() != "0").then(|| format!("it has errors ({} counted)", count.trim()))
}

impl Log {
    /// What was said since the last time.
    fn read(&mut self) -> BTreeMap<String, &'static str> {
        if let Self::Unopened = self {
            *self = Self::open();
        }
        let Self::Open(log) = self else { return BTreeMap::new() };
        let mut said = BTreeMap::new();
        let mut record = vec![0; RECORD];
        for _ in 0..RECORDS {
            match log.read(&mut record) {
                Ok(0) => break,
                Ok(length) => {
                    let record = String::from_utf8_lossy(record.get(..length).unwrap_or_default()).into_owned();
                    said.extend(kernel_log::unclean(&record).map(|(name, why)| (name.to_owned(), why)));
                }
                // Some of it was overwritten before it was read.
                Err(error) if Errno::from_io_error(&error) == Some(Errno::PIPE) => {}
                Err(_) => break,
            }
        }
        said
    }

    fn open() -> Self {
        let mut options = File::options();
        options.read(true).custom_flags(i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or_default());
        let opened = options.open("/dev/kmsg").and_then(|mut log| log.seek(SeekFrom::End(0)).map(|_| log));
        opened.map_or(Self::Shut, Self::Open)
    }
}
