//! Drives that are opened for a run and closed behind it.

use std::fmt;
use std::path::PathBuf;

use super::{CredentialName, DriveUuid, End, HostFault, Node, ObstacleCode, ServerKey, VolumeName};

/// A drive, as people are told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriveName {
    /// Its volume.
    pub volume: VolumeName,
    /// The host that it is plugged into; none if that is this machine.
    pub host: Option<String>,
}

impl From<VolumeName> for DriveName {
    fn from(volume: VolumeName) -> Self {
        Self { volume, host: None }
    }
}

impl fmt::Display for DriveName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "drive `{}`", self.volume)?;
        self.host.as_ref().map_or(Ok(()), |host| write!(f, " on `{host}`"))
    }
}

/// Why a drive is not mounted that is plugged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unmounted {
    /// Nobody has mounted it.
    Plainly,
    /// A person unmounted it, so that it stays alone until it is plugged in again.
    ByUser,
    /// It was pulled out while it was mounted, and those mounts are still there: the kernel takes no second one of the
    /// same filesystem. Never empty.
    Blocked(Vec<PathBuf>),
}

impl Unmounted {
    pub(super) fn tell(&self, volume: &VolumeName, device: &Node, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plainly => write!(f, "drive `{volume}` ({device}) is plugged in but not mounted"),
            Self::ByUser => write!(f, "drive `{volume}` ({device}) was unmounted by its user"),
            Self::Blocked(points) => write!(
                f,
                "drive `{volume}` ({device}) cannot be mounted: the dead mount of the device that it was before is in \
                 the way, at {}",
                listed(points, ", ")
            ),
        }
    }

    pub(super) fn hint(&self, volume: &VolumeName) -> String {
        match self {
            Self::Plainly => format!("mount it: `nbkpctl mount {volume}`"),
            Self::ByUser => format!("replug it, or run `nbkpctl release {volume}`"),
            Self::Blocked(points) => {
                let points = listed(points, " ");
                format!("end that mount: `sudo umount -l {points}`, then run `nbkpctl mount {volume}`")
            }
        }
    }
}

fn listed(paths: &[PathBuf], between: &str) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(between)
}

/// Why a drive could not be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpeningTrouble {
    /// The keyring that keeps its passphrase is locked.
    KeyringLocked(CredentialName),
    /// No open keyring has its passphrase; one that is locked may.
    MissingOrLocked(CredentialName),
    /// There is no keyring, or it is not there yet.
    KeyringAbsent(CredentialName),
    /// Its passphrase was not found, or must not be used, for this reason.
    NoSecret(CredentialName, String),
    /// Its passphrase opens nothing.
    WrongSecret(CredentialName),
    /// polkit does not let this user do this.
    NotAuthorized(String),
    /// udisks2 cannot be reached, for this reason.
    NoUdisks(String),
    /// The server that it is plugged into cannot be used.
    OutOfReach(Box<HostFault>),
    /// Its filesystem has to be checked first.
    Damaged {
        /// What could not be done, and why.
        why: String,
        /// The command that checks and mends it.
        command: String,
    },
    /// Something else.
    Other(String),
}

impl OpeningTrouble {
    /// The code of the contract, at this end of a sync.
    #[must_use]
    pub fn code(&self, end: End) -> ObstacleCode {
        match (self, end) {
            (
                Self::KeyringLocked(_)
                | Self::MissingOrLocked(_)
                | Self::KeyringAbsent(_)
                | Self::NoSecret(..)
                | Self::WrongSecret(_),
                _,
            ) => ObstacleCode::CredentialLocked,
            (Self::NotAuthorized(_), _) => ObstacleCode::NotAuthorized,
            (Self::NoUdisks(_), _) => ObstacleCode::ToolMissing,
            (Self::OutOfReach(fault), _) => fault.code(),
            (Self::Damaged { .. } | Self::Other(_), End::Source) => ObstacleCode::SourceNotMounted,
            (Self::Damaged { .. } | Self::Other(_), End::Destination) => ObstacleCode::DestinationNotMounted,
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn hint(&self, drive: &DriveName) -> String {
        let DriveName { volume, host } = drive;
        match self {
            Self::KeyringLocked(_) => "unlock your keyring; it goes on by itself".into(),
            Self::MissingOrLocked(name) => format!(
                "unlock the keyring that keeps it, and it goes on by itself; if none does, store it: `secret-tool \
                 store --label='nbkp {name}' service nbkp id {name}`"
            ),
            Self::KeyringAbsent(_) => "log in to your desktop, or choose another `provider` in [credentials]".into(),
            Self::NoSecret(name, _) => format!(
                "store it: `secret-tool store --label='nbkp {name}' service nbkp id {name}`, or as `provider` in \
                 [credentials] says"
            ),
            Self::WrongSecret(name) => format!(
                "store the right one: `secret-tool store --label='nbkp {name}' service nbkp id {name}`, or as \
                 `provider` in [credentials] says"
            ),
            Self::NotAuthorized(_) => match host {
                None => "install the rule that `nbkpctl drives polkit` prints".into(),
                Some(host) => {
                    format!("install the rule that `nbkpctl drives polkit --volume {volume}` prints on `{host}`")
                }
            },
            Self::NoUdisks(_) => match host {
                None => "install it: `apt install udisks2`; or leave out `mount = true`".into(),
                Some(host) => format!("install it on `{host}`: `apt install udisks2`; or leave out `mount = true`"),
            },
            Self::OutOfReach(fault) => fault.hint(),
            Self::Damaged { command, .. } => {
                let there = host.as_ref().map(|host| format!(" on `{host}`")).unwrap_or_default();
                format!("its filesystem seems to be damaged: `sudo {command}`{there} checks and mends it")
            }
            Self::Other(_) => {
                let there = host.as_ref().map(|host| format!(" on `{host}`")).unwrap_or_default();
                format!("`nbkpctl mount {volume}` tries it again; `journalctl -u udisks2`{there} tells more")
            }
        }
    }
}

impl fmt::Display for OpeningTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyringLocked(name) => write!(f, "the keyring that keeps its passphrase `{name}` is locked"),
            Self::MissingOrLocked(name) => {
                write!(f, "its passphrase `{name}` is in no open keyring; one that is locked may have it")
            }
            Self::KeyringAbsent(name) => write!(f, "no keyring is there that could keep its passphrase `{name}`"),
            Self::NoSecret(name, why) => write!(f, "its passphrase `{name}` cannot be had: {why}"),
            Self::WrongSecret(name) => write!(f, "its passphrase `{name}` does not open it"),
            Self::NotAuthorized(what) => f.write_str(what),
            Self::OutOfReach(fault) => fault.fmt(f),
            Self::NoUdisks(why) | Self::Damaged { why, .. } | Self::Other(why) => write!(f, "could not {why}"),
        }
    }
}

/// A process that keeps a drive from being let go.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// Its id.
    pub pid: u32,
    /// Its name, as the kernel knows it.
    pub name: String,
    /// By what it holds it.
    pub by: HeldBy,
}

/// By what a process holds a drive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum HeldBy {
    /// It has this open, runs it, maps it or works in it.
    Path(PathBuf),
    /// The drive is mounted there in its own namespace of mounts, as in a container or a sandbox.
    Namespace(PathBuf),
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, pid) = (&self.name, self.pid);
        match &self.by {
            HeldBy::Path(path) => write!(f, "{name} (process {pid}) uses {}", path.display()),
            HeldBy::Namespace(path) => {
                write!(f, "{name} (process {pid}) has it mounted at {} in a namespace of its own", path.display())
            }
        }
    }
}

/// How a drive was left behind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// As it was found: others had opened it, and it stays with them.
    AsFound,
    /// Nothing of it is mounted or unlocked any more; it can be pulled out.
    Safe(Closed),
    /// It is closed, but these other parts of the same drive are in use.
    Shared(Vec<PathBuf>),
    /// It is still in use; by whom, as far as that can be seen.
    InUse(Vec<Holder>),
    /// It could not be closed, for this reason.
    Stuck(String),
    /// It is not plugged in any more.
    Gone,
    /// The server that it is plugged into cannot be used: how it is there, nobody knows.
    OutOfReach(HostFault),
}

/// How a drive was closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// It is unmounted, and locked if it is encrypted.
    PluggedIn,
    /// It is powered off as well.
    PoweredOff,
}

impl Left {
    /// Whether it is (or may be) open still, so that it is tried again.
    #[must_use]
    pub fn is_open(&self) -> bool {
        match self {
            Self::InUse(_) | Self::Stuck(_) | Self::OutOfReach(_) => true,
            Self::AsFound | Self::Safe(_) | Self::Shared(_) | Self::Gone => false,
        }
    }

    /// What a person is told; `None` if there is nothing to tell.
    #[must_use]
    pub fn sentence(&self, drive: &DriveName) -> Option<String> {
        match self {
            Self::AsFound | Self::Gone => None,
            Self::Safe(Closed::PluggedIn) => Some(format!("{drive} is closed; it is safe to remove")),
            Self::Safe(Closed::PoweredOff) => Some(format!("{drive} is powered off; it is safe to remove")),
            Self::Shared(others) if others.is_empty() => {
                Some(format!("{drive} is closed, but other parts of it are in use; do not pull it out yet"))
            }
            Self::Shared(others) => {
                let others: Vec<_> = others.iter().map(|node| node.display().to_string()).collect();
                Some(format!(
                    "{drive} is closed, but other parts of it are in use: {}; do not pull it out yet",
                    others.join(", ")
                ))
            }
            Self::InUse(holders) if holders.is_empty() => Some(format!("{drive} is still in use; do not pull it out")),
            Self::InUse(holders) => {
                let holders: Vec<_> = holders.iter().map(ToString::to_string).collect();
                Some(format!("{drive} is still in use: {}; do not pull it out", holders.join(", ")))
            }
            Self::Stuck(why) => Some(format!("{drive} could not be closed: {why}; do not pull it out")),
            Self::OutOfReach(fault) => Some(format!("{drive} may still be open: {fault}; do not pull it out")),
        }
    }
}

/// What was changed of a drive to open it, or was about to be. It is written down before the first change, so that
/// what a dead daemon left open is closed by the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The volume.
    pub volume: VolumeName,
    /// Its UUID.
    pub uuid: DriveUuid,
    /// Where it is plugged in.
    pub at: HeldAt,
    /// What is undone.
    pub undo: Undo,
}

/// Where a drive is plugged in that was changed, and which medium it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeldAt {
    /// This machine.
    Here {
        /// The number of the device that carries it, major and minor.
        device: (u32, u32),
        /// The sequence number of the medium.
        disk_seq: Option<u64>,
        /// The boot in which this happened; with another, nothing of it is left.
        boot: Option<String>,
    },
    /// A server.
    There {
        /// The ways to it.
        server: ServerKey,
        /// The node of the device that carries it.
        node: PathBuf,
        /// The sequence number of the medium there; empty where the kernel does not number media.
        disk_seq: String,
        /// The boot of the server; with another, nothing of it is left.
        boot: String,
    },
}

/// What is undone of an opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undo {
    /// Nothing: others opened it.
    Nothing,
    /// It is unmounted.
    Unmount,
    /// It is unmounted and locked.
    Lock,
}
