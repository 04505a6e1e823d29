//! The drive of the demonstration: a loop device with btrfs, or a directory that appears and vanishes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::child::tool;
use super::error::DemoError;

/// The drive.
pub(super) enum DemoDrive {
    /// An image behind a loop device, mounted where a desktop would mount it.
    Loop {
        /// The image.
        image: PathBuf,
        /// The UUID of its filesystem.
        uuid: String,
        /// Where it is mounted while it is plugged in.
        point: PathBuf,
        /// Its device, while it is plugged in.
        device: Option<PathBuf>,
    },
    /// A directory that has its place, or lies in a drawer.
    Directory {
        /// Its place.
        place: PathBuf,
        /// The drawer.
        drawer: PathBuf,
    },
}

/// The udev daemon of this machine, if it is installed.
pub(super) fn udev_daemon() -> Option<&'static Path> {
    let places = ["/usr/lib/systemd/systemd-udevd", "/lib/systemd/systemd-udevd"];
    places.into_iter().map(Path::new).find(|path| path.exists())
}

/// Makes the namespaces that this process was started in a machine: own mounts, own `/run`, own udev.
pub(super) fn become_a_machine() -> Result<(), DemoError> {
    tool("mount", &[&"--make-rprivate", &"/"])?;
    tool("mount", &[&"-t", &"tmpfs", &"-o", &"mode=755", &"tmpfs", &"/run"])?;
    tool("mount", &[&"-t", &"sysfs", &"sysfs", &"/sys"])?;
    // The real machine's links to its own drives are none of our business, and ours none of its.
    fs::create_dir_all("/dev/disk").map_err(|error| DemoError::File("/dev/disk".into(), error))?;
    tool("mount", &[&"-t", &"tmpfs", &"tmpfs", &"/dev/disk"])?;
    if let Some(daemon) = udev_daemon() {
        tool(&daemon.to_string_lossy(), &[&"--daemon"])?;
    }
    tool("udevadm", &[&"trigger", &"--subsystem-match=block"])?;
    tool("udevadm", &[&"settle", &"--timeout=30"]).map(drop)
}

impl DemoDrive {
    /// Makes a blank drive with btrfs; nobody has plugged it in yet.
    pub(super) fn with_btrfs(base: &Path) -> Result<Self, DemoError> {
        let image = base.join("drive.img");
        let made = File::create(&image).and_then(|file| file.set_len(256 << 20));
        made.map_err(|error| DemoError::File(image.clone(), error))?;
        tool("mkfs.btrfs", &[&"-q", &"-m", &"single", &"-L", &"usb", &image])?;
        let uuid = tool("blkid", &[&"-p", &"-s", &"UUID", &"-o", &"value", &image])?;
        Ok(Self::Loop { image, uuid, point: "/run/media/you/usb".into(), device: None })
    }

    /// A directory that lies in a drawer.
    pub(super) fn in_a_drawer(base: &Path) -> Result<Self, DemoError> {
        let drawer = base.join("drawer");
        fs::create_dir(&drawer).map_err(|error| DemoError::File(drawer.clone(), error))?;
        Ok(Self::Directory { place: base.join("drive"), drawer })
    }

    /// The lines of its volume in the configuration.
    pub(super) fn volume(&self) -> String {
        match self {
            Self::Loop { uuid, .. } => format!("drive = \"{uuid}\""),
            Self::Directory { place, .. } => format!("path = \"{}\"", place.display()),
        }
    }

    /// The history that it can keep.
    pub(super) fn snapshots(&self) -> &'static str {
        match self {
            Self::Loop { .. } => "btrfs",
            Self::Directory { .. } => "hard-link",
        }
    }

    /// Where its files are while it is plugged in.
    pub(super) fn root(&self) -> &Path {
        match self {
            Self::Loop { point, .. } => point,
            Self::Directory { place, .. } => place,
        }
    }

    /// Plugs it in; a desktop would mount it then, and so does this.
    pub(super) fn plug(&mut self) -> Result<(), DemoError> {
        match self {
            Self::Loop { image, point, device, .. } => {
                let node = PathBuf::from(tool("losetup", &[&"--find", &"--show", &image])?);
                fs::create_dir_all(&point).map_err(|error| DemoError::File(point.clone(), error))?;
                tool("udevadm", &[&"settle", &"--timeout=30"])?;
                let mounted = tool("mount", &[&node, &point]);
                // The kernel keeps the device until it is unmounted, and lets it go by itself then: even if this
                // process is killed, nothing of it stays.
                tool("losetup", &[&"--detach", &node])?;
                *device = Some(node);
                mounted.map(drop)
            }
            Self::Directory { place, drawer } => {
                fs::rename(drawer, &place).map_err(|error| DemoError::File(place.clone(), error))
            }
        }
    }

    /// Whether it is unplugged, or could be just now: a drive that somebody still reads is busy.
    pub(super) fn unplug(&mut self) -> Result<bool, DemoError> {
        match self {
            Self::Loop { point, device, .. } => {
                let unmounted = device.is_none() || tool("umount", &[&point]).is_ok();
                *device = if unmounted { None } else { device.take() };
                Ok(unmounted)
            }
            Self::Directory { place, drawer } => {
                fs::rename(&place, drawer).map_err(|error| DemoError::File(place.clone(), error))?;
                Ok(true)
            }
        }
    }
}
