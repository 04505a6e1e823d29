//! Checks: copies that are read back, and what is found damaged in them.

use std::collections::BTreeSet;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::model::{CheckSums, Outcome, RunId, SampleShare, SnapshotName, SyncName, Trigger};

/// A check as history keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRecord {
    /// It has an id like a run.
    pub run: RunId,
    /// The sync whose copies were read.
    pub sync: SyncName,
    /// What made it start.
    pub trigger: Trigger,
    /// When it started.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// How it ended: it failed where something is wrong with a file, or where it could not be made, and was skipped
    /// where nothing is proven.
    pub outcome: Outcome,
    /// What was read and found.
    pub sums: CheckSums,
    /// What is wrong, as a sentence with its remedy.
    pub error: Option<String>,
}

/// What a check is to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckWish {
    /// How much of it.
    pub share: SampleShare,
    /// This snapshot; otherwise the newest copy.
    pub snapshot: Option<SnapshotName>,
}

/// What tells whether a regular file is the same, and whether it was changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileFacts {
    /// Its size in bytes.
    pub size: u64,
    /// When its content was changed last; some servers tell no fractions of seconds.
    pub modified: Timestamp,
    /// When anything about it was changed last, in the unit of the machine that it is on.
    pub changed: i128,
    /// Its filesystem and its number there: names that share it are one file.
    pub inode: (u64, u64),
}

/// The SHA-256 of a content.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Digest(pub [u8; 32]);

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().take(4).try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why the content of a file is not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unread {
    /// The medium does not give it back: in the words of the system.
    Broken(String),
    /// It may not be read by us.
    Forbidden,
    /// It is not there any more.
    Gone,
}

/// What is wrong with a file of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Flawed {
    /// It has another content than what it is a copy of, though size and time are the same.
    Altered,
    /// The medium does not give it back: in the words of the system.
    Broken(String),
}

/// A file that is damaged in a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedFile {
    /// Its path below the copy.
    pub path: PathBuf,
    /// What is wrong with it.
    pub flaw: Flawed,
    /// The snapshots that hold it; none for a mirror.
    pub snapshots: BTreeSet<SnapshotName>,
}

/// What is damaged in the copies of a sync, as far as it is known.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Damage {
    /// The files that the next run is to write anew, below the copy.
    pub paths: BTreeSet<PathBuf>,
    /// The snapshots that hold damaged files. They stay so, whatever later copies have.
    pub snapshots: BTreeSet<SnapshotName>,
    /// The files of the source that differ from copies that agree, below the source: until they were compared again.
    pub doubted: BTreeSet<PathBuf>,
}

impl Damage {
    /// How many files of the copies are to be written anew, and how many of the source are in doubt.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        let count = |files: &BTreeSet<PathBuf>| u64::try_from(files.len()).unwrap_or(u64::MAX);
        (count(&self.paths), count(&self.doubted))
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckReport {
    /// The sync.
    pub sync: SyncName,
    /// The snapshot that was read; `None` for a mirror.
    pub snapshot: Option<SnapshotName>,
    /// The newest snapshot; `None` for a mirror.
    pub newest: Option<SnapshotName>,
    /// Files of the copy that were read.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many of them were compared with the source.
    pub with_source: u64,
    /// How many more were compared with another copy.
    pub with_copies: u64,
    /// Files and directories that were not read: they may not be, or cannot be asked for.
    pub passed_over: u64,
    /// Files that were known to be damaged, and are in order now, compared with another.
    pub sound: BTreeSet<PathBuf>,
    /// The damaged ones.
    pub damaged: Vec<DamagedFile>,
    /// Files whose source differs from all copies: perhaps it is what is damaged.
    pub doubtful: Vec<PathBuf>,
    /// Files whose source was in doubt, and is not any more.
    pub settled: BTreeSet<PathBuf>,
    /// What else a person should know: sentences.
    pub remarks: Vec<String>,
}

impl CheckReport {
    /// In numbers.
    #[must_use]
    pub fn sums(&self) -> CheckSums {
        let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
        CheckSums {
            files: self.files,
            bytes: self.bytes,
            compared: self.with_source.saturating_add(self.with_copies),
            passed_over: self.passed_over,
            damaged: count(self.damaged.len()),
            doubtful: count(self.doubtful.len()),
        }
    }

    /// Whether all of the copy was compared with something: what was only read may hold anything.
    #[must_use]
    pub fn is_proof(&self) -> bool {
        self.passed_over == 0 && self.files == self.with_source.saturating_add(self.with_copies)
    }
}
