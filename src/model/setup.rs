//! Setting up: what was found of the places that a person names, and what comes into the configuration.

use std::path::PathBuf;

use super::{DriveUuid, Endpoint, EndpointName, Subdir, Sync, Volume};

/// A place that a person named as the source or the destination of copies, as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FoundPlace {
    /// A directory of this machine, from the root on, without links.
    Directory(PathBuf),
    /// A directory on a drive.
    OnDrive(FoundDrive, Subdir),
    /// A directory on a server.
    OnServer(FoundServer, Subdir),
}

/// A drive that is plugged in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundDrive {
    /// The UUID that names it in a configuration: of the LUKS container, where there is one.
    pub uuid: DriveUuid,
    /// The UUID of the filesystem in its container, where it is open.
    pub inside: Option<DriveUuid>,
    /// Its label.
    pub label: Option<String>,
    /// Whether it is encrypted.
    pub encryption: Cipher,
    /// Who mounts it.
    pub mounter: Mounter,
}

/// Whether a drive is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cipher {
    /// It is not.
    Plain,
    /// By LUKS.
    Luks,
}

/// Who mounts a drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mounter {
    /// The daemon, for its runs.
    Daemon,
    /// Somebody else: `/etc/fstab`, or a person.
    Others,
}

/// A server that answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundServer {
    /// The way to it.
    pub way: ServerWay,
    /// The root of what is used there: absolute, or below the home directory of the account.
    pub root: PathBuf,
}

/// The way to a server that a person named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerWay {
    /// An endpoint of the configuration.
    Known(EndpointName),
    /// A host that the configuration does not know yet.
    New {
        /// The account there, if it was named.
        user: Option<String>,
        /// The host.
        host: String,
    },
}

/// What comes into a configuration.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Additions {
    /// New ways to servers.
    pub endpoints: Vec<Endpoint>,
    /// New volumes.
    pub volumes: Vec<Volume>,
    /// New syncs.
    pub syncs: Vec<Sync>,
}

impl Additions {
    /// Whether nothing comes into it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.endpoints.is_empty() && self.volumes.is_empty() && self.syncs.is_empty()
    }
}

/// What lies in the directory that a new sync is to get at its destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vacancy {
    /// Nothing: there is no such directory, or nothing is in it.
    Free,
    /// Copies that were made, or begun, by nbkp.
    Copies,
    /// Something else.
    Taken,
    /// It cannot be seen from here now.
    Unseen,
}

/// So many things that are no copies are counted in a destination, and no more: that there are many is all one needs.
pub const MOST_INTRUDERS: u64 = 1000;

/// What becomes of a destination in which something lies that is no copy, when it is prepared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intruding {
    /// It becomes the destination, as a person who saw it wants it.
    Allowed,
    /// It stays as it is, and is told.
    Refused,
}

/// What is known of the filesystem that copies are to lie on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilesystemFamily {
    /// btrfs.
    Btrfs,
    /// One with owners, modes and hard links: ext4, xfs and their like.
    Posix,
    /// FAT.
    Fat,
    /// exFAT.
    ExFat,
    /// NTFS.
    Ntfs,
    /// A share of a Windows server.
    Share,
}
