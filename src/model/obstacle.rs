//! Obstacles: the reasons why a sync cannot run now. A sync shows all of them.

use std::fmt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::model::checkup::package;
use crate::model::{
    Absence, BatteryRule, DriveName, End, HalfRestored, Hardware, Holding, Hours, Node, ObstacleCode, OpeningTrouble,
    ProgramVersion, SentinelFault, StandingHold, Stranger, SyncName, Unmounted, VolumeName,
};

/// One reason why a sync cannot run now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// `enabled = false`.
    Disabled,
    /// A volume is not within reach.
    VolumeAbsent {
        /// Which end of the sync it is.
        end: End,
        /// The volume.
        volume: VolumeName,
        /// Why.
        absence: Absence,
    },
    /// A directory of the sync does not exist on its volume, or cannot be looked at.
    DirectoryMissing {
        /// Which end of the sync it is.
        end: End,
        /// The directory.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The source has nothing to copy, and the destination nothing that would be deleted: nobody means to back up
    /// nothing.
    SourceIsEmpty {
        /// The source.
        path: PathBuf,
    },
    /// The source keeps snapshots and has no complete one yet.
    NoSnapshotYet {
        /// The source.
        path: PathBuf,
    },
    /// A drive is plugged in but not mounted.
    NotMounted {
        /// Which end of the sync it is.
        end: End,
        /// The volume.
        volume: VolumeName,
        /// Its device.
        device: Node,
        /// Why, as far as that is known.
        how: Unmounted,
    },
    /// A drive is plugged in but its LUKS container is closed.
    Locked {
        /// Which end of the sync it is.
        end: End,
        /// The volume.
        volume: VolumeName,
        /// Its device.
        device: Node,
    },
    /// A drive could not be opened; it is tried again by itself.
    NotOpened {
        /// Which end of the sync it is.
        end: End,
        /// The drive.
        drive: DriveName,
        /// Why.
        trouble: OpeningTrouble,
    },
    /// A drive that should be encrypted is not: the UUID of its container is that of a plain filesystem.
    NotEncrypted {
        /// The volume.
        volume: VolumeName,
        /// The device.
        device: Node,
    },
    /// A sentinel does not prove a place.
    Sentinel {
        /// Which end of the sync it is.
        end: End,
        /// The path of the sentinel.
        path: PathBuf,
        /// What is wrong with it.
        fault: SentinelFault,
    },
    /// A sentinel carries another id than the one seen before.
    SentinelMismatch {
        /// Which end of the sync it is.
        end: End,
        /// The path of the sentinel.
        path: PathBuf,
    },
    /// Several devices carry the UUID of a volume.
    DuplicateUuid {
        /// The volume.
        volume: VolumeName,
        /// Their nodes.
        devices: Vec<Node>,
    },
    /// The hardware of a drive was never used for its volume.
    DeviceUnknown {
        /// The volume.
        volume: VolumeName,
        /// The hardware.
        hardware: Hardware,
        /// What of it.
        stranger: Stranger,
    },
    /// The hours of the day in which it may start are others.
    OutsideHours(Hours),
    /// What leads to a server is paid for by volume.
    Metered {
        /// The volume on the server.
        volume: VolumeName,
        /// The interface.
        interface: String,
    },
    /// The battery does not hold what the sync asks of it.
    Battery {
        /// What it asks.
        rule: BatteryRule,
        /// What is left, in percent, if that is known.
        left: Option<u8>,
    },
    /// The destination cannot be written.
    ReadOnly {
        /// The volume.
        volume: VolumeName,
        /// Its root.
        root: PathBuf,
    },
    /// The destination, whose path this is, holds copies of another kind.
    LayoutMismatch(PathBuf, Holding),
    /// Btrfs snapshots are asked for where they cannot be had.
    NotBtrfs {
        /// The destination, or its `staging`.
        path: PathBuf,
        /// What is there instead.
        found: String,
    },
    /// The destination has no space or no inodes left.
    NoSpace {
        /// The destination.
        path: PathBuf,
    },
    /// A sync that goes first failed, so that the source is stale.
    UpstreamFailed {
        /// The sync that goes first.
        upstream: SyncName,
    },
    /// A guard stopped the last run.
    Held(StandingHold),
    /// A restore goes into the source and has not brought all back: what is missing would leave the copy.
    Unrestored(HalfRestored),
    /// A person laid a hold on a volume.
    VolumeHeld {
        /// The volume.
        volume: VolumeName,
        /// Until when; `None` until `release`.
        until: Option<Timestamp>,
    },
    /// The daemon is paused.
    Paused {
        /// Until when; `None` until `resume`.
        until: Option<Timestamp>,
    },
    /// The last attempt failed; the next comes by itself.
    BackingOff {
        /// When the next attempt may start.
        until: Timestamp,
        /// Why the last one failed.
        error: String,
    },
    /// The hook `before` of the sync said that it is not the time; it is asked again by itself.
    PutOff {
        /// The program.
        program: String,
        /// The last that it said, if it said something.
        said: String,
    },
    /// Another process writes to the destination.
    LockTaken {
        /// The lock.
        path: PathBuf,
    },
    /// An earlier run of this sync does not end, and still holds a place that is needed.
    Stuck(SyncName),
    /// A program is missing.
    ToolMissing {
        /// Its name.
        tool: String,
        /// The volume on the server where it is missing; none if it is missing here.
        server: Option<VolumeName>,
    },
    /// A program on a server is too old.
    ToolOutdated {
        /// Its name.
        tool: String,
        /// Its version.
        found: ProgramVersion,
        /// A volume on the server.
        server: VolumeName,
    },
}

impl Obstacle {
    /// The code of the contract.
    #[must_use]
    pub fn code(&self) -> ObstacleCode {
        match self {
            Self::Disabled => ObstacleCode::Disabled,
            Self::VolumeAbsent { absence: Absence::Host(fault), .. } => fault.code(),
            Self::VolumeAbsent { absence: Absence::Elsewhere, .. } => ObstacleCode::WrongLocation,
            Self::VolumeAbsent { end: End::Source, .. } => ObstacleCode::SourceVolumeAbsent,
            Self::VolumeAbsent { end: End::Destination, .. } => ObstacleCode::DestinationVolumeAbsent,
            Self::DirectoryMissing { end: End::Source, .. } | Self::NoSnapshotYet { .. } => {
                ObstacleCode::SourceSentinelMissing
            }
            Self::DirectoryMissing { end: End::Destination, .. } => ObstacleCode::DestinationSentinelMissing,
            Self::SourceIsEmpty { .. } => ObstacleCode::SourceIsEmpty,
            Self::NotMounted { end: End::Source, .. } => ObstacleCode::SourceNotMounted,
            Self::NotMounted { end: End::Destination, .. } => ObstacleCode::DestinationNotMounted,
            Self::Locked { end: End::Source, .. } => ObstacleCode::SourceNotMounted,
            Self::Locked { end: End::Destination, .. } => ObstacleCode::DestinationNotMounted,
            Self::NotOpened { end, trouble, .. } => trouble.code(*end),
            Self::NotEncrypted { .. } => ObstacleCode::NotEncrypted,
            Self::SentinelMismatch { .. } => ObstacleCode::SentinelMismatch,
            Self::Sentinel { end: End::Source, .. } => ObstacleCode::SourceSentinelMissing,
            Self::Sentinel { end: End::Destination, .. } => ObstacleCode::DestinationSentinelMissing,
            Self::DuplicateUuid { .. } => ObstacleCode::DuplicateUuid,
            Self::DeviceUnknown { .. } => ObstacleCode::DeviceUnknown,
            Self::OutsideHours(_) => ObstacleCode::OutsideHours,
            Self::Metered { .. } => ObstacleCode::Metered,
            Self::Battery { .. } => ObstacleCode::Battery,
            Self::ReadOnly { .. } => ObstacleCode::ReadOnly,
            Self::LayoutMismatch(..) => ObstacleCode::LayoutMismatch,
            Self::NotBtrfs { .. } => ObstacleCode::NotBtrfs,
            Self::NoSpace { .. } => ObstacleCode::NoSpace,
            Self::UpstreamFailed { .. } => ObstacleCode::UpstreamFailed,
            Self::Held(hold) => hold.reason.code(),
            Self::Unrestored(_) | Self::VolumeHeld { .. } => ObstacleCode::Held,
            Self::Paused { .. } => ObstacleCode::Paused,
            Self::BackingOff { .. } | Self::PutOff { .. } => ObstacleCode::BackingOff,
            Self::LockTaken { .. } | Self::Stuck(_) => ObstacleCode::LockTaken,
            Self::ToolMissing { .. } => ObstacleCode::ToolMissing,
            Self::ToolOutdated { .. } => ObstacleCode::ToolOutdated,
        }
    }

    /// What a person can do about it. `sync` is the sync that shows the obstacle.
    #[must_use]
    pub fn hint(&self, sync: &SyncName) -> String {
        match self {
            Self::Disabled => "set `enabled = true` in the configuration".into(),
            Self::VolumeAbsent { absence, volume, .. } => absence.hint(volume),
            Self::DirectoryMissing { end: End::Source, .. } => {
                format!("correct the subdirectory in `source`; `nbkpctl prepare {sync}` tells what is there instead")
            }
            Self::SourceIsEmpty { .. } => "see whether it is the right directory, and what `filters` leave".into(),
            Self::DirectoryMissing { end: End::Destination, .. } => {
                format!("run `nbkpctl prepare {sync}`, or correct the subdirectory")
            }
            Self::NoSnapshotYet { .. } => "it runs as soon as the sync that fills its source has succeeded once".into(),
            Self::NotMounted { how, volume, .. } => how.hint(volume),
            Self::Locked { device: Node { path, host }, .. } => {
                let there = if host.is_some() { " there" } else { "" };
                let by_hand = format!("`udisksctl unlock -b {}`", path.display());
                format!("unlock it{there}: {by_hand}; or set `mount = true` and `passphrase`")
            }
            Self::NotOpened { drive, trouble, .. } => trouble.hint(drive),
            Self::NotEncrypted { .. } => "see why before you use it; if it is meant so, leave out `passphrase`".into(),
            Self::SentinelMismatch { path, .. } => format!(
                "this is another place than the one used before; if that is right, run `nbkpctl approve {sync}` after \
                 a look at {}",
                path.display()
            ),
            Self::Sentinel { .. } => format!("if this is the right place, run `nbkpctl prepare {sync}`"),
            Self::DuplicateUuid { .. } => {
                "unplug all but one, or give the copy another UUID (`btrfstune -u`, `tune2fs -U random`)".into()
            }
            Self::DeviceUnknown { stranger, .. } => stranger.hint(sync),
            Self::OutsideHours(_) => format!("wait, or run `nbkpctl run --force {sync}`"),
            Self::Metered { .. } => {
                format!("join another network, run `nbkpctl run --force {sync}`, or set `when = {{ metered = true }}`")
            }
            Self::Battery { .. } => format!("plug in the charger, or run `nbkpctl run --force {sync}`"),
            Self::ReadOnly { root, .. } => format!("mount it writable: `mount -o remount,rw {}`", root.display()),
            Self::LayoutMismatch(path, holds) => holds.remedy(path),
            Self::NotBtrfs { .. } => {
                format!("use `snapshots = \"hard-link\"`, or a btrfs filesystem and `nbkpctl prepare {sync}`")
            }
            Self::NoSpace { .. } => "make room, or keep fewer snapshots (`keep`)".into(),
            Self::UpstreamFailed { upstream } => format!("`nbkpctl why {upstream}` tells what is wrong there"),
            Self::Held(hold) => hold.reason.advice(sync),
            Self::Unrestored(restore) => restore.advice(sync),
            Self::VolumeHeld { volume, .. } => format!("run `nbkpctl release {volume}`"),
            Self::Paused { .. } => "run `nbkpctl resume`".into(),
            Self::BackingOff { .. } => format!("wait, or run `nbkpctl run {sync}`"),
            Self::PutOff { .. } => format!("wait, it is asked again; `nbkpctl run {sync}` asks it at once"),
            Self::Stuck(_) => "pull the drive out, or `umount -f` what does not answer; a restart always helps".into(),
            Self::LockTaken { .. } => "wait until the other run has ended; it is tried again by itself".into(),
            Self::ToolMissing { tool, server } => {
                let there = if server.is_some() { " there" } else { "" };
                format!("install it{there}: `apt install {}`", package(tool))
            }
            Self::ToolOutdated { tool, .. } => {
                format!("install a newer one there: `apt install {}`, or what its maker offers", package(tool))
            }
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disabled => f.write_str("it is disabled"),
            Self::VolumeAbsent { volume, absence, .. } => absence.tell(volume, f),
            Self::DirectoryMissing { end, path, reason } => {
                write!(f, "the {end} {} is not there: {reason}", path.display())
            }
            Self::SourceIsEmpty { path } => write!(f, "the source {} has nothing to copy", path.display()),
            Self::NoSnapshotYet { path } => write!(f, "the source {} has no complete snapshot yet", path.display()),
            Self::NotMounted { volume, device, how, .. } => how.tell(volume, device, f),
            Self::Locked { volume, device, .. } => write!(f, "drive `{volume}` ({device}) is locked"),
            Self::NotOpened { drive, trouble, .. } => write!(f, "{drive} could not be opened: {trouble}"),
            Self::NotEncrypted { volume, device } => {
                write!(f, "drive `{volume}` should be encrypted, but {device} is a plain filesystem")
            }
            Self::Sentinel { end, path, fault } => match fault {
                SentinelFault::Missing => {
                    write!(f, "{} is not proven: {} is missing", proven(*end, path), path.display())
                }
                SentinelFault::Unusable(why) => {
                    write!(f, "{} is not proven: {}: {why}", proven(*end, path), path.display())
                }
            },
            Self::SentinelMismatch { end, path } => {
                write!(f, "the {end} is another one than before: {} carries another id", path.display())
            }
            Self::DuplicateUuid { volume, devices } => {
                let nodes: Vec<_> = devices.iter().map(ToString::to_string).collect();
                write!(f, "{} devices carry the UUID of drive `{volume}`: {}", nodes.len(), nodes.join(", "))
            }
            Self::DeviceUnknown { volume, hardware, stranger } => stranger.tell((volume, hardware), f),
            Self::OutsideHours(hours) => write!(f, "it may start only within {hours}"),
            Self::Metered { volume, interface } => write!(f, "the way to volume `{volume}` is metered ({interface})"),
            Self::Battery { rule, left } => f.write_str(&rule.shortfall(*left)),
            Self::ReadOnly { volume, root } => write!(f, "volume `{volume}` is read-only: {}", root.display()),
            Self::LayoutMismatch(path, holds) => write!(f, "{} {holds}", path.display()),
            Self::NotBtrfs { path, found } => write!(f, "{} is no btrfs subvolume: {found}", path.display()),
            Self::NoSpace { path } => write!(f, "no space or no inodes are left at {}", path.display()),
            Self::UpstreamFailed { upstream } => write!(f, "`{upstream}`, which goes first, did not succeed"),
            Self::Held(hold) => write!(f, "it is held since {:.0}: {}", hold.since, hold.reason),
            Self::Unrestored(restore) => restore.fmt(f),
            Self::VolumeHeld { volume, until } => write!(f, "a hold lies on volume `{volume}`{}", ending(*until)),
            Self::Paused { until } => write!(f, "backups are paused{}", ending(*until)),
            Self::BackingOff { until, error } => write!(f, "{error}; it is tried again at {until:.0}"),
            Self::PutOff { program, said } => {
                let said = if said.is_empty() { String::new() } else { format!(": {said}") };
                write!(f, "the hook `before` ({program}) says that it is not the time{said}")
            }
            Self::Stuck(by) => write!(f, "an earlier run of `{by}` cannot be ended: one of its places does not answer"),
            Self::LockTaken { path } => {
                write!(f, "another process works at the destination: {} is taken", path.display())
            }
            Self::ToolMissing { tool, server } => {
                write!(f, "the program `{tool}` is missing{}", on_server(server.as_ref()))
            }
            Self::ToolOutdated { tool, found, server } => {
                write!(f, "`{tool}` {found} is too old{}", on_server(Some(server)))
            }
        }
    }
}

fn on_server(volume: Option<&VolumeName>) -> String {
    volume.map(|volume| format!(" on the server of `{volume}`")).unwrap_or_default()
}

/// What a sentinel stands for: a volume serves syncs as source and as destination, a place is one of them.
fn proven(end: End, sentinel: &Path) -> String {
    if sentinel.ends_with(super::layout::VOLUME_SENTINEL) { "the volume".into() } else { format!("the {end}") }
}

fn ending(until: Option<Timestamp>) -> String {
    until.map(|until| format!(" until {until:.0}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sentinel_is_told_by_what_it_stands_for() {
        let text =
            |end, path: &str| Obstacle::Sentinel { end, path: path.into(), fault: SentinelFault::Missing }.to_string();
        assert_eq!(text(End::Source, "/a/.nbkp-src"), "the source is not proven: /a/.nbkp-src is missing");
        assert_eq!(text(End::Destination, "/b/.nbkp-vol"), "the volume is not proven: /b/.nbkp-vol is missing");
    }

    #[test]
    fn a_missing_program_is_told_with_its_place_and_package() {
        let (sync, volume): (SyncName, VolumeName) = ("mail".parse().unwrap(), "nas".parse().unwrap());
        let there = Obstacle::ToolMissing { tool: "flock".into(), server: Some(volume) };
        assert_eq!(there.to_string(), "the program `flock` is missing on the server of `nas`");
        assert_eq!(there.hint(&sync), "install it there: `apt install util-linux`");
        let found = ProgramVersion(3, 0, 9);
        let old = Obstacle::ToolOutdated { tool: "rsync".into(), found, server: "nas".parse().unwrap() };
        assert_eq!(old.to_string(), "`rsync` 3.0.9 is too old on the server of `nas`");
        assert_eq!((old.code().as_str(), old.hint(&sync).contains("newer one there")), ("tool-outdated", true));
        let here = Obstacle::ToolMissing { tool: "rsync".into(), server: None };
        assert_eq!(here.hint(&sync), "install it: `apt install rsync`");
    }

    #[test]
    fn a_hint_names_what_to_release() {
        let (sync, volume): (SyncName, VolumeName) = ("mail".parse().unwrap(), "usb".parse().unwrap());
        let obstacle =
            Obstacle::NotMounted { end: End::Source, volume, device: "/dev/sdb".into(), how: Unmounted::ByUser };
        assert_eq!(obstacle.hint(&sync), "replug it, or run `nbkpctl release usb`");
        let (volume, how): (VolumeName, _) = ("usb".parse().unwrap(), Unmounted::Blocked(vec!["/mnt/x".into()]));
        let blocked = Obstacle::NotMounted { end: End::Source, volume, device: "/dev/sdb".into(), how };
        assert_eq!(
            format!("{blocked}; {}", blocked.hint(&sync)),
            "drive `usb` (/dev/sdb) cannot be mounted: the dead mount of the device that it was before is in the way, \
             at /mnt/x; end that mount: `sudo umount -l /mnt/x`, then run `nbkpctl mount usb`"
        );
    }
}
