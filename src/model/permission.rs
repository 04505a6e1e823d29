//! What a polkit rule lets one account do with its drives.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use super::{DriveUuid, VolumeName};

/// The name of an account, of letters, digits and `.`, `_`, `-`, `@` only: it is written into a program that root runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountName(String);

/// Why a text is no such name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountNameError;

impl AccountName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for AccountName {
    type Err = AccountNameError;

    fn from_str(text: &str) -> Result<Self, AccountNameError> {
        let begins = text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "._-@".contains(c));
        if begins && plain && text.len() <= 256 { Ok(Self(text.to_owned())) } else { Err(AccountNameError) }
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the daemon has to be allowed for the drives that it mounts itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Permission {
    /// The volumes.
    pub volumes: BTreeSet<VolumeName>,
    /// The UUIDs of their filesystems, and of the containers around them.
    pub uuids: BTreeSet<DriveUuid>,
    /// The actions; without any drive there are none.
    pub actions: BTreeSet<Action>,
    /// What a person should know of it.
    pub gaps: Vec<Gap>,
}

/// An action of udisks2 that polkit is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Mounting a removable drive.
    Mount,
    /// The same for a drive that does not belong to the seat of whoever asks. Without a session none does.
    MountOtherSeat,
    /// Unlocking a removable drive.
    Unlock,
    /// The same for a drive that does not belong to the seat of whoever asks.
    UnlockOtherSeat,
}

impl Action {
    /// The id under which polkit knows it.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Mount => "org.freedesktop.udisks2.filesystem-mount",
            Self::MountOtherSeat => "org.freedesktop.udisks2.filesystem-mount-other-seat",
            Self::Unlock => "org.freedesktop.udisks2.encrypted-unlock",
            Self::UnlockOtherSeat => "org.freedesktop.udisks2.encrypted-unlock-other-seat",
        }
    }
}

/// What a permission does not cover, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Gap {
    /// The drive is encrypted and not plugged in, so that only one of its two UUIDs is known.
    NotPlugged(VolumeName),
    /// The drive is plugged in and locked, so that the filesystem inside is not known.
    Locked(VolumeName, PathBuf),
    /// Several devices carry its UUID, so that what is inside one of them counts for nothing.
    Ambiguous(VolumeName),
    /// It should be encrypted, and what is plugged in is not.
    NotEncrypted(VolumeName, PathBuf),
    /// It is plugged into a server, where it takes a rule of its own.
    AtServer(VolumeName),
    /// It is encrypted and plugged into a server, where nobody has looked for the filesystem inside.
    InsideThere(VolumeName),
    /// It is to be powered off, which needs an action that knows no UUID of a partition.
    PowerOff(VolumeName),
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotPlugged(volume) => write!(
                f,
                "drive `{volume}` is encrypted and not plugged in, so only one of its two UUIDs is known; plug it in, \
                 unlock it once, and make the rule again"
            ),
            Self::Locked(volume, device) => write!(
                f,
                "drive `{volume}` is locked, so the UUID of the filesystem inside is not known; unlock it once \
                 (`udisksctl unlock -b {}`), and make the rule again",
                device.display()
            ),
            Self::Ambiguous(volume) => write!(
                f,
                "several devices carry the UUID of drive `{volume}`, so it is not known which filesystem belongs to \
                 it; unplug all but one, and make the rule again"
            ),
            Self::NotEncrypted(volume, device) => write!(
                f,
                "drive `{volume}` has a `passphrase`, but {} is not encrypted; unplug it if it is not yours, or take \
                 `passphrase` out of the configuration",
                device.display()
            ),
            Self::AtServer(volume) => write!(
                f,
                "drive `{volume}` is plugged into a server, which needs a rule of its own: `nbkpctl drives polkit \
                 --volume {volume}`"
            ),
            Self::InsideThere(volume) => write!(
                f,
                "drive `{volume}` is encrypted, and the UUID of the filesystem inside is not known here; add it to \
                 `uuids`, as `lsblk -o NAME,UUID,FSTYPE` shows it there while the drive is unlocked"
            ),
            Self::PowerOff(volume) => write!(
                f,
                "this rule does not let drive `{volume}` be powered off, which asks for an action that knows no UUID \
                 of a partition; without a session it is unmounted and locked only, unless a rule names its \
                 `drive.serial` (polkit(8))"
            ),
        }
    }
}
