//! What a look finds: block devices, mounts, and how volumes and the ends of syncs stand.

use std::fmt;
use std::path::PathBuf;

use crate::model::{DriveUuid, End, EndpointName, Hardware, Holding, HostFault, ProgramVersion, Unclean, VolumeName};

/// A block device as udev knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockDevice {
    /// Its node, such as `/dev/sdb1`.
    pub node: PathBuf,
    /// Other paths to it, such as those below `/dev/disk`.
    pub links: Vec<PathBuf>,
    /// Its number, major and minor.
    pub number: (u32, u32),
    /// The UUID of the filesystem or container on it.
    pub uuid: DriveUuid,
    /// What tells apart the members of a filesystem over several devices, which share the UUID (`ID_FS_UUID_SUB`).
    pub member: Option<String>,
    /// What is on it.
    pub role: DeviceRole,
    /// The sequence number of the medium (`DISKSEQ`): another one after each plug-in.
    pub disk_seq: Option<u64>,
    /// The hardware, if it can be told apart.
    pub hardware: Option<Hardware>,
    /// The label of the filesystem, for people.
    pub label: Option<String>,
    /// Its size in bytes.
    pub size: u64,
}

/// What is on a block device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceRole {
    /// A filesystem of this type.
    Filesystem(String),
    /// A LUKS container.
    Container,
    /// The clear-text device of the LUKS container with this UUID, with a filesystem of this type.
    Unlocked {
        /// The UUID of the container.
        container: DriveUuid,
        /// The type of the filesystem.
        filesystem: String,
    },
    /// A part of something larger (RAID, LVM), not usable by itself.
    Member,
    /// The same, in the open LUKS container with this UUID.
    MemberInside(DriveUuid),
    /// A filesystem of this type on something larger (RAID, LVM) below which no LUKS container is seen.
    OnMembers(String),
}

/// The id of a mount in `/proc/self/mountinfo` and in `statx`. The kernel hands a freed id out again, so it proves a
/// mount only together with the sequence number of the medium.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MountId(pub u64);

/// A line of `/proc/self/mountinfo` (`proc_pid_mountinfo(5)`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Its id.
    pub id: MountId,
    /// The id of the mount that it was mounted on; for the root of all it is one that is not in the table.
    pub parent: MountId,
    /// The device number of the filesystem. For btrfs it is an anonymous one and differs from that of `stat`.
    pub device: (u32, u32),
    /// The directory of the filesystem that is mounted, `/` for its root.
    pub root: PathBuf,
    /// Where it is mounted.
    pub point: PathBuf,
    /// The type of the filesystem.
    pub fs_type: String,
    /// The source as it was given to mount(2), often a device node.
    pub source: PathBuf,
    /// Whether it can be written: both the mount and its filesystem.
    pub access: Access,
}

/// Whether something can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It can be read and written.
    ReadWrite,
    /// It can only be read.
    ReadOnly,
}

/// The node of a block device.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Node {
    /// Its path.
    pub path: PathBuf,
    /// The host that has it; none if that is this machine.
    pub host: Option<String>,
}

impl<P: Into<PathBuf>> From<P> for Node {
    fn from(path: P) -> Self {
        Self { path: path.into(), host: None }
    }
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(host) = &self.host {
            write!(f, "{host}:")?;
        }
        write!(f, "{}", self.path.display())
    }
}

/// How a volume stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VolumeSight {
    /// It is not within reach.
    Absent(Absence),
    /// Several devices carry its UUID.
    Ambiguous {
        /// Their nodes.
        devices: Vec<Node>,
    },
    /// Its drive is plugged in, but not mounted.
    NotMounted {
        /// The node.
        device: Node,
        /// The sequence number of the medium.
        disk_seq: Option<u64>,
        /// Where it is mounted by itself as soon as somebody uses that place.
        automount: Option<PathBuf>,
        /// Where dead mounts of the same filesystem are in the way of a new one.
        blocked_at: Vec<PathBuf>,
    },
    /// Its drive is plugged in, but its LUKS container is closed.
    Locked {
        /// The node of the container.
        device: Node,
        /// The sequence number of the medium.
        disk_seq: Option<u64>,
    },
    /// Its drive should be encrypted, but its UUID is on a plain filesystem.
    NotEncrypted {
        /// The node.
        device: Node,
    },
    /// Its root is there, but it is not proven to be the right one.
    NotProven {
        /// The root.
        root: PathBuf,
        /// What is wrong with `.nbkp-vol`.
        fault: SentinelFault,
    },
    /// It is there and proven.
    Present(PresentVolume),
    /// It is on a server that was reached, and proven.
    Reached(ReachedVolume),
}

impl VolumeSight {
    /// The id that the sentinel of its root carries, if it is there and proven: none for an empty sentinel.
    #[must_use]
    pub fn proven_id(&self) -> Option<Option<&SentinelId>> {
        match self {
            Self::Present(present) => Some(present.id.as_ref()),
            Self::Reached(reached) => Some(reached.id.as_ref()),
            Self::Absent(_)
            | Self::Ambiguous { .. }
            | Self::NotMounted { .. }
            | Self::Locked { .. }
            | Self::NotEncrypted { .. }
            | Self::NotProven { .. } => None,
        }
    }
}

/// Why a volume is not within reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absence {
    /// No device carries its UUID.
    NotPlugged,
    /// No device of this host does, which was reached.
    NotPluggedThere(String),
    /// Its directory does not exist.
    NoDirectory(PathBuf),
    /// It could not be looked at, for this reason.
    Unreadable(PathBuf, String),
    /// It did not answer in time; it is asked again, and known as present once it answers.
    Silent(PathBuf),
    /// Its server cannot be used.
    Host(HostFault),
    /// None of the ways to its server is meant for where we are.
    Elsewhere,
    /// Its LUKS container is open, and holds a part of something larger (RAID, LVM), on this device.
    HoldsMember(Node),
    /// It should be encrypted, and lies on something larger (RAID, LVM) of which that is not seen, on this device.
    OnMembers(Node),
    /// No look has been taken yet.
    NotLookedAt,
}

impl Absence {
    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self, volume: &VolumeName) -> String {
        match self {
            Self::NotPlugged => "plug it in".into(),
            Self::NotPluggedThere(host) => format!("plug it into `{host}`, then run `nbkpctl scan`"),
            Self::NoDirectory(path) => {
                format!("create it, or correct `path` of volume `{volume}`: {}", path.display())
            }
            Self::Unreadable(path, why) => unreadable(&path.display().to_string(), why),
            Self::Silent(path) => {
                format!("check what is mounted at {}; it is used as soon as it answers", path.display())
            }
            Self::Host(fault) => fault.hint(),
            Self::Elsewhere => format!(
                "join a network that one of its `locations` recognises, or give volume `{volume}` an endpoint \
                 without `locations`"
            ),
            Self::HoldsMember(_) => {
                "write the UUID of the filesystem in it into `drive`: `nbkpctl drives` shows it".into()
            }
            Self::OnMembers(_) => {
                "if it is meant to be so, open it yourself, and leave out `passphrase` and `mount`".into()
            }
            Self::NotLookedAt => "wait a moment".into(),
        }
    }
}

impl Absence {
    /// Says in a sentence that a volume is absent.
    pub(super) fn tell(&self, volume: &VolumeName, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPlugged => write!(f, "drive `{volume}` is not plugged in"),
            Self::NotPluggedThere(host) => write!(f, "drive `{volume}` is not plugged into `{host}`"),
            Self::NoDirectory(path) => {
                write!(f, "the directory of volume `{volume}` does not exist: {}", path.display())
            }
            Self::Unreadable(path, why) => {
                write!(f, "volume `{volume}` cannot be looked at: {}: {why}", path.display())
            }
            Self::Silent(path) => write!(f, "volume `{volume}` does not answer: {}", path.display()),
            Self::Host(fault) => write!(f, "volume `{volume}` is not within reach: {fault}"),
            Self::Elsewhere => write!(f, "volume `{volume}` is not reached from this network"),
            Self::HoldsMember(device) => {
                write!(
                    f,
                    "drive `{volume}` is open, and holds LVM or RAID ({device}): it does not say which filesystem"
                )
            }
            Self::OnMembers(device) => {
                write!(f, "drive `{volume}` ({device}) lies on LVM or RAID, and no LUKS container is seen below it")
            }
            Self::NotLookedAt => write!(f, "volume `{volume}` has not been looked at yet"),
        }
    }
}

/// What to do about a place that cannot be looked at, for this reason.
fn unreadable(path: &str, why: &str) -> String {
    let says = |words: &[&str]| words.iter().any(|word| why.to_lowercase().contains(word));
    if says(&["permission denied", "not permitted", "may not be entered"]) {
        return format!(
            "give the user that runs nbkpd access to {path}; where that is root, the mount itself keeps root out (FUSE \
             without `allow_root`, NFS with `root_squash`)"
        );
    }
    if says(&["input/output error", "transport endpoint", "stale", "shutdown", "no such device"]) {
        return format!(
            "what is mounted there does not work any more (`dmesg` tells more): `sudo umount -l {path}`, then mount it \
             again"
        );
    }
    format!("see what is at {path}; it is used as soon as it can be looked at")
}

/// What is wrong with a sentinel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SentinelFault {
    /// There is none.
    Missing,
    /// It is not a regular file of at most 4 KiB, or cannot be read.
    Unusable(String),
}

/// The id that a sentinel carries (`id = "<uuid>"`). An empty sentinel, as the Python tool makes it, carries none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SentinelId(pub String);

/// A volume that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PresentVolume {
    /// Its root.
    pub root: PathBuf,
    /// The mount that its root lies on.
    pub mount: MountId,
    /// Whether it can be written.
    pub access: Access,
    /// The type of its filesystem.
    pub fs_type: String,
    /// The sequence number of the medium, for a drive.
    pub disk_seq: Option<u64>,
    /// The hardware, for a drive that can be told apart.
    pub hardware: Option<Hardware>,
    /// The number of its block device, for a drive.
    pub device: Option<(u32, u32)>,
    /// Why its filesystem should be checked, for a drive.
    pub unclean: Option<Unclean>,
    /// The id that its sentinel carries.
    pub id: Option<SentinelId>,
}

/// A volume on a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReachedVolume {
    /// The endpoint by which it was reached.
    pub endpoint: EndpointName,
    /// The interface that the way there leaves through; `None` if that is not known.
    pub interface: Option<String>,
    /// Its root there, as an absolute path.
    pub root: PathBuf,
    /// Whether it can be written.
    pub access: Access,
    /// The type of its filesystem.
    pub fs_type: String,
    /// The id that its sentinel carries.
    pub id: Option<SentinelId>,
    /// The medium that it is on, for a drive that we open: another number after each plug-in and each boot there.
    pub medium: Option<u64>,
}

/// How both ends of a sync stand, as far as their volumes are present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncSight {
    /// The source.
    pub source: EndSight,
    /// The destination.
    pub destination: EndSight,
}

impl SyncSight {
    /// How this end stands.
    #[must_use]
    pub fn at(&self, end: End) -> &EndSight {
        match end {
            End::Source => &self.source,
            End::Destination => &self.destination,
        }
    }
}

/// How one end of a sync stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndSight {
    /// Its volume is not present, so it was not looked at.
    Unseen,
    /// Its sentinel is there.
    Ready {
        /// The id that the sentinel carries.
        id: Option<SentinelId>,
    },
    /// These things stand in the way.
    Faulty(Vec<EndFault>),
}

/// What stands in the way at one end of a sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EndFault {
    /// The directory does not exist, or cannot be looked at for this reason.
    NoDirectory(PathBuf, String),
    /// `.nbkp-src` or `.nbkp-dst`, whose path this is, does not prove the place.
    Sentinel(PathBuf, SentinelFault),
    /// The source is a destination with snapshots that has no complete one yet.
    NoSnapshotYet(PathBuf),
    /// The destination is not on btrfs.
    NotBtrfs {
        /// The destination.
        path: PathBuf,
        /// What it is on.
        fs_type: String,
    },
    /// The destination holds copies of another kind.
    OtherLayout {
        /// The destination.
        path: PathBuf,
        /// What it holds.
        holds: Holding,
    },
    /// `staging` of the destination is missing or not a subvolume.
    NoStaging(PathBuf),
    /// The destination has no bytes or no inodes left.
    NoSpace(PathBuf),
    /// A program is missing on the server.
    NoTool(String),
    /// rsync on the server is too old; its version.
    OldRsync(ProgramVersion),
}
