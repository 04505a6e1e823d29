//! What `doctor` sees of the machine, before anybody judges it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::DriveUuid;

/// How a file or a directory stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileSight {
    /// There is none.
    Missing,
    /// It cannot be looked at, for this reason.
    Unseen(String),
    /// It is there.
    There(Guarded),
}

/// To whom a file is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guarded {
    /// What it is.
    pub kind: FileKind,
    /// Whose it is.
    pub owner: Owner,
    /// Its twelve bits of permission.
    pub mode: u32,
}

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A directory.
    Directory,
    /// Anything else.
    Other,
}

/// Whose a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// That of whoever looks.
    Us,
    /// Root's.
    Root,
    /// That of this user.
    Other(u32),
}

impl Guarded {
    /// Whether somebody who is neither root nor us may write to it. In a directory with the sticky bit others may make
    /// files, but not replace ours.
    #[must_use]
    pub fn is_open_to_others(self) -> bool {
        let is_sticky = self.kind == FileKind::Directory && self.mode & 0o1000 != 0;
        matches!(self.owner, Owner::Other(_)) || (self.mode & 0o022 != 0 && !is_sticky)
    }

    /// Whether somebody who is neither root nor us may read it, or find files in it.
    #[must_use]
    pub fn is_readable_to_others(self) -> bool {
        matches!(self.owner, Owner::Other(_)) || self.mode & 0o077 != 0
    }
}

/// A UUID of a block device that is not that of the filesystem or container on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherUuid {
    /// It, as udev writes it.
    pub uuid: String,
    /// Whose it is.
    pub kind: OtherUuidKind,
    /// The device.
    pub device: PathBuf,
    /// The UUID of the filesystem or container there, if there is one.
    pub right: Option<DriveUuid>,
}

/// Whose UUID it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherUuidKind {
    /// That of the partition (`PARTUUID`).
    Partition,
    /// That of the partition table (`PTUUID`).
    Table,
    /// That of one device of a filesystem (`UUID_SUB`).
    Member,
}

/// What holds rsync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walls {
    /// A root of its own: nothing but both ends and programs has a path.
    Apart,
    /// Landlock: nothing else is read or written, but what a path leads to can be given another owner or mode.
    Landlock,
    /// Nothing.
    None,
}

/// What holds the rsync of this daemon, as it was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confined {
    /// That.
    pub walls: Walls,
    /// Whether the daemon is root's, who has boundaries of others to cross.
    pub is_root: bool,
    /// Why it is not more.
    pub why: Option<String>,
}

/// What the configuration file says, beside what the daemon goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileInForce {
    /// The same.
    Same,
    /// Something else.
    Other,
    /// Nothing that can be used, for this reason.
    Broken(String),
    /// It is not read, since others can change it.
    Untrusted,
}

/// How the mounts that the daemon sees are related to those of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountView {
    /// They are the same.
    Same,
    /// The daemon has a namespace of its own, and what is mounted on the machine appears in it.
    Follows,
    /// The daemon has a namespace of its own, and what is mounted on the machine below these does not appear in it.
    Apart(Vec<PathBuf>),
    /// It cannot be told, for this reason.
    Unknown(String),
}

/// How the history stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistorySight {
    /// There is none yet.
    NoneYet,
    /// SQLite finds no fault in it.
    Sound,
    /// A process was killed while it wrote; what it left is undone by the next that writes.
    CutOff,
    /// It cannot be used as it is, for this reason.
    Broken(String),
}

/// How a service on a bus stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceSight {
    /// It answers, and says this of itself.
    Here(String),
    /// It does not run, but the bus would start it.
    Startable,
    /// It is not there.
    Absent,
    /// It does not answer as it should, for this reason.
    Mute(String),
    /// There is no bus, for this reason.
    NoBus(String),
}

/// A request to logind that a run would make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locks {
    /// To be waited for before sleep; why not, if it is refused.
    pub sleep: Result<(), String>,
    /// To hold idle sleep off; why not, if it is refused.
    pub idle: Result<(), String>,
}

/// Whether the processes of the daemon's user outlive its sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lingering {
    /// They do.
    On,
    /// They do not.
    Off,
    /// It does not matter: no service manager of a user has started the daemon, or nobody can tell.
    NotAsked,
}

/// Whether a passphrase is where the configuration says. It is never fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSight {
    /// It is there, by these words.
    There(String),
    /// It is in a keyring that is locked.
    Locked,
    /// It is not there; a locked keyring may hold it.
    MissingOrLocked,
    /// It is not there, for this reason.
    Missing(String),
    /// It is there, and must not be used as it is: what is wrong, and the command that mends it.
    Exposed(String, String),
    /// There is no keyring, for this reason.
    NoKeyring(String),
}

/// What polkit answers when it is asked about an action and not about a drive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolkitSight {
    /// It cannot be asked, for this reason.
    Absent(String),
    /// The actions that it allows, without asking anybody, of those that it was asked about.
    Allows(BTreeMap<&'static str, bool>),
}

/// What came of asking udisks2 to mount a drive in a way that cannot succeed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trial {
    /// It would do it.
    Allowed,
    /// polkit does not let it, in its words.
    Refused(String),
    /// It was not asked: the drive is not plugged in.
    NotPlugged,
    /// It was not asked: several devices carry the UUID.
    Ambiguous,
    /// It was not asked: the drive is mounted.
    Mounted,
    /// It was not asked: what is in the container is not known while that is locked.
    Locked,
    /// It was not asked: a line of `/etc/fstab` says how the drive is mounted, and it would be mounted.
    InFstab,
    /// It answered in another way, in these words.
    Unclear(String),
}

/// A drive that the daemon mounts itself, as udisks2 and polkit see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriveSight {
    /// What came of asking.
    pub trial: Trial,
    /// Whether udisks2 takes it for a part of the machine, if it knows it.
    pub place: Option<DrivePlace>,
    /// Whether udisks2 can read its container, if it is plugged in and encrypted.
    pub container: Option<ContainerSight>,
}

/// What udisks2 takes a drive for (`HintSystem`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DrivePlace {
    /// A part of the machine.
    System,
    /// Something that people plug in.
    Removable,
}

/// Whether udisks2 can read a LUKS container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerSight {
    /// It can.
    Read,
    /// It cannot.
    Unread,
}

/// The room on a filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Bytes that this user may still use.
    pub bytes: u64,
    /// Inodes that this user may still use, where they are counted.
    pub inodes: Option<u64>,
}

/// A directory volume below a mount point of `/etc/fstab` where nothing is mounted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BarePoint {
    /// Things can be written below it, into the filesystem around it.
    Open,
    /// Nothing can be made below it (`chattr +i`).
    Immutable,
}

/// A line of `/etc/fstab`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FstabLine {
    /// What is mounted, as it is written: a path, or `UUID=…`, `LABEL=…`, …
    pub spec: String,
    /// Where.
    pub point: PathBuf,
}

/// The version of a program, as far as it is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProgramVersion(pub u32, pub u32, pub u32);

impl fmt::Display for ProgramVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// The Debian package that brings a program.
pub(super) fn package(tool: &str) -> &str {
    match tool {
        "flock" => "util-linux",
        "btrfs" => "btrfs-progs",
        "timeout" => "coreutils",
        _ => tool,
    }
}
