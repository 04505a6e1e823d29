//! `List` and `Drives`: what the configuration holds, and what is plugged in.

use serde::{Deserialize, Serialize};

use super::Term;
use crate::model::{BlockDevice, Configuration, Containers, DeviceRole, SnapshotKind, Volume, VolumeKind, VolumeRoot};

/// What the configuration holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// The syncs.
    pub syncs: Vec<SyncEntry>,
    /// The volumes.
    pub volumes: Vec<VolumeEntry>,
    /// The groups.
    pub groups: Vec<GroupEntry>,
    /// The names of the locations.
    pub locations: Vec<String>,
}

/// A sync.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncEntry {
    /// Its name.
    pub name: String,
    /// Where it reads: `volume:subdir`.
    pub source: String,
    /// Where it writes: `volume:subdir`.
    pub destination: String,
    /// Whether it runs at all.
    pub enabled: bool,
    /// How it keeps history.
    pub snapshots: Term<SnapshotKind>,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeEntry {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Term<VolumeKind>,
    /// The directory, the UUID of the drive, or the endpoints and the path on the server.
    pub root: String,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupEntry {
    /// Its name.
    pub name: String,
    /// Its members.
    pub volumes: Vec<String>,
}

impl Listing {
    /// What a configuration holds.
    #[must_use]
    pub fn new(configuration: &Configuration) -> Self {
        Self {
            syncs: configuration
                .syncs
                .values()
                .map(|sync| SyncEntry {
                    name: sync.name.to_string(),
                    source: sync.source.to_string(),
                    destination: sync.destination.to_string(),
                    enabled: sync.enabled,
                    snapshots: sync.snapshots.into(),
                })
                .collect(),
            volumes: configuration.volumes.values().map(volume).collect(),
            groups: configuration
                .groups
                .values()
                .map(|group| GroupEntry {
                    name: group.name.to_string(),
                    volumes: group.volumes.iter().map(ToString::to_string).collect(),
                })
                .collect(),
            locations: configuration.locations.keys().map(ToString::to_string).collect(),
        }
    }
}

fn volume(volume: &Volume) -> VolumeEntry {
    let root = match &volume.root {
        VolumeRoot::Directory(path) => path.display().to_string(),
        VolumeRoot::Drive(drive) => drive.uuid.to_string(),
        VolumeRoot::Server(server) => {
            let endpoints: Vec<_> = server.endpoints.iter().map(ToString::to_string).collect();
            format!("{}:{}", endpoints.join(","), server.path.display())
        }
    };
    VolumeEntry { name: volume.name.to_string(), kind: volume.kind().into(), root }
}

/// What is plugged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drives {
    /// The drives, by device.
    pub drives: Vec<DriveEntry>,
}

/// A drive that is plugged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriveEntry {
    /// Its device node.
    pub device: String,
    /// The UUID to put into `drive = "…"`.
    pub uuid: String,
    /// The type of its filesystem, `LUKS`, or `member` of something larger.
    pub filesystem: String,
    /// Its label.
    pub label: Option<String>,
    /// Its size in bytes.
    pub size: u64,
    /// Its hardware, if it can be told apart.
    pub hardware: Option<String>,
    /// The volume of the configuration that it is.
    pub volume: Option<String>,
}

impl Drives {
    /// The devices, with the volumes that a configuration makes of them; `containers` tells in which containers lie the
    /// filesystems that drives are named by.
    #[must_use]
    pub fn new(devices: &[BlockDevice], containers: &Containers, configuration: &Configuration) -> Self {
        Self::of(devices, |device| {
            let is_it = |volume: &&Volume| match &volume.root {
                VolumeRoot::Drive(drive) => {
                    drive.uuid == device.uuid || containers.get(&drive.uuid) == Some(&device.uuid)
                }
                VolumeRoot::Directory(_) | VolumeRoot::Server(_) => false,
            };
            configuration.volumes.values().find(is_it).map(|volume| volume.name.to_string())
        })
    }

    /// The devices, each with the volume that it is.
    pub fn of(devices: &[BlockDevice], volume: impl Fn(&BlockDevice) -> Option<String>) -> Self {
        let drives = devices.iter().map(|device| {
            let filesystem = match &device.role {
                DeviceRole::Filesystem(kind)
                | DeviceRole::Unlocked { filesystem: kind, .. }
                | DeviceRole::OnMembers(kind) => kind.clone(),
                DeviceRole::Container => "LUKS".to_owned(),
                DeviceRole::Member | DeviceRole::MemberInside(_) => "member".to_owned(),
            };
            DriveEntry {
                device: device.node.display().to_string(),
                uuid: device.uuid.to_string(),
                filesystem,
                label: device.label.clone(),
                size: device.size,
                hardware: device.hardware.as_ref().map(ToString::to_string),
                volume: volume(device),
            }
        });
        Self { drives: drives.collect() }
    }
}
