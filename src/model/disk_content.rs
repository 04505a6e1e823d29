//! What a block device holds, before it is formatted.

use std::path::PathBuf;

/// A block device that somebody wants to format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskContent {
    /// Its node: `/dev/sdb1`.
    pub node: PathBuf,
    /// A name of it that stays the same when it is plugged in again.
    pub stable: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// Its make and serial number, as far as it tells.
    pub hardware: Option<String>,
    /// What lies on it, as nouns: ``btrfs `usb` ``.
    pub holds: Vec<String>,
    /// Who uses it now, as sentences; it is not to be formatted while anybody does.
    pub uses: Vec<String>,
}

/// What a drive is to be formatted with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatWish {
    /// The filesystem.
    pub filesystem: NewFilesystem,
    /// Its label.
    pub label: String,
    /// Whether it is encrypted.
    pub cipher: super::Cipher,
    /// The name that `init` will give it as a volume, and its passphrase.
    pub volume: String,
    /// How that passphrase gets where the daemon looks for it.
    pub storing: Storing,
    /// What is copied to it first, as a word of a shell.
    pub source: String,
    /// How our client is called.
    pub client: String,
}

/// How a passphrase gets where the daemon looks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storing {
    /// By a command of a shell.
    Command(String),
    /// By what a person does, as a sentence.
    Words(String),
}

/// A filesystem to be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NewFilesystem {
    /// btrfs, for snapshots.
    Btrfs,
    /// ext4, for directories with hard links.
    Ext4,
}
