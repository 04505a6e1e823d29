//! Volumes: named roots.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::{CredentialName, EndpointName, RepositoryUrl, VolumeName, words};

/// A named root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Its name.
    pub name: VolumeName,
    /// Where it is.
    pub root: VolumeRoot,
    /// The repositories of which mirrors lie there, fetched before each copy of them; for most volumes none.
    pub repositories: Vec<RepositoryUrl>,
}

impl Volume {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> VolumeKind {
        match &self.root {
            VolumeRoot::Directory(_) if self.repositories.is_empty() => VolumeKind::Directory,
            VolumeRoot::Directory(_) => VolumeKind::Git,
            VolumeRoot::Drive(_) => VolumeKind::Drive,
            VolumeRoot::Server(_) => VolumeKind::Server,
        }
    }
}

/// Where a volume is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VolumeRoot {
    /// A directory of this machine, as an absolute path.
    Directory(PathBuf),
    /// A removable drive of this machine.
    Drive(Drive),
    /// A directory or drive of a server.
    Server(Server),
}

/// The kinds of volumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VolumeKind {
    /// A directory of this machine.
    Directory,
    /// A removable drive of this machine.
    Drive,
    /// A directory or drive of a server.
    Server,
    /// A directory of this machine that holds mirrors of repositories.
    Git,
}

words!(VolumeKind {
    Directory = "directory",
    Drive = "drive",
    Server = "server",
    Git = "git",
});

impl VolumeRoot {
    /// The drive that it is on, here or on a server.
    #[must_use]
    pub fn drive(&self) -> Option<&Drive> {
        match self {
            Self::Directory(_) => None,
            Self::Drive(drive) => Some(drive),
            Self::Server(server) => server.drive.as_ref(),
        }
    }
}

/// A removable drive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drive {
    /// The UUID of its filesystem, or of the LUKS container around it.
    pub uuid: DriveUuid,
    /// Who mounts it.
    pub mounting: Mounting,
    /// What happens to it after a run.
    pub when_done: WhenDone,
}

/// Who mounts a drive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mounting {
    /// The desktop, fstab or a person; it is used where they mount it.
    Elsewhere,
    /// The daemon, for the run; unlocked with this credential if it is encrypted.
    ForTheRun {
        /// The credential that unlocks its LUKS container.
        passphrase: Option<CredentialName>,
    },
}

/// What happens to a drive after a run, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WhenDone {
    /// It stays as it is.
    Leave,
    /// It is unmounted.
    Unmount,
    /// It is unmounted and its LUKS container is locked.
    Lock,
    /// It is unmounted, locked and powered off.
    PowerOff,
}

/// A root on a server, reached over ssh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// The ways to reach it, best first; never empty.
    pub endpoints: Vec<EndpointName>,
    /// The directory there: absolute, or relative to the home directory of the remote user.
    pub path: PathBuf,
    /// The drive on the server that holds it, if it is removable there.
    pub drive: Option<Drive>,
}

impl Server {
    /// What tells it from other servers.
    #[must_use]
    pub fn key(&self) -> ServerKey {
        ServerKey(self.endpoints.clone())
    }
}

/// A server, told by the ways to it: volumes that list the same endpoints are on one server, and looked at together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ServerKey(pub Vec<EndpointName>);

impl fmt::Display for ServerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.0.iter().map(EndpointName::as_str).collect();
        f.write_str(&names.join(", "))
    }
}

/// Why a text is not the UUID of a filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DriveUuidError;

impl fmt::Display for DriveUuidError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the UUID of a filesystem has hexadecimal digits and `-`, such as \
             `2d577679-a7b6-429d-8250-3d0d80e034df` or `5E3F-1A2B`; `lsblk -o NAME,UUID,LABEL` shows those of your \
             drives",
        )
    }
}

impl std::error::Error for DriveUuidError {}

/// The UUID of a filesystem or LUKS container, in lower case. Those of FAT and NTFS are shorter than 128 bits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DriveUuid(String);

impl DriveUuid {
    /// The text in lower case.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DriveUuid {
    type Err = DriveUuidError;

    fn from_str(text: &str) -> Result<Self, DriveUuidError> {
        let digits = text.chars().filter(char::is_ascii_hexdigit).count();
        let shaped = text.chars().all(|c| c.is_ascii_hexdigit() || c == '-') && !text.starts_with('-');
        if shaped && digits >= 8 && text.len() <= 36 {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(DriveUuidError)
        }
    }
}

impl fmt::Display for DriveUuid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
