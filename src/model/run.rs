//! Runs: attempts at a sync.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use jiff::Timestamp;

use crate::model::{Conclusion, Outcome, SnapshotName, Step, SyncName, words};

/// The id of a run: the UTC time of its start and a random tail, `20261122T173000.123Z-9f3a`. At most 32 bytes of
/// `[0-9A-Za-z.-]`, so that it may be part of a file name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(String);

impl RunId {
    /// The id of a run that starts now; `tail` is a random number.
    #[must_use]
    pub fn new(started: Timestamp, tail: u16) -> Self {
        let time = started.strftime("%Y%m%dT%H%M%S");
        Self(format!("{time}.{:03}Z-{tail:04x}", started.subsec_millisecond().unsigned_abs()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RunId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let fits = !text.is_empty() && text.len() <= 32 && !text.starts_with(['.', '-']);
        let safe = text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.' || b == b'-');
        if fits && safe { Ok(Self(text.to_owned())) } else { Err(()) }
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What made a run start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trigger {
    /// The daemon started and found it possible and due.
    Start,
    /// A drive came.
    Drive,
    /// Something was mounted.
    Mount,
    /// A server came within reach.
    Network,
    /// Its time had come.
    Schedule,
    /// A person or program asked.
    Request,
    /// The configuration changed.
    Configuration,
    /// An earlier attempt failed or was interrupted.
    Retry,
}

words!(Trigger {
    Start = "start",
    Drive = "drive",
    Mount = "mount",
    Network = "network",
    Schedule = "schedule",
    Request = "request",
    Configuration = "configuration",
    Retry = "retry",
});

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The step it is in.
    pub step: Step,
    /// rsync's own estimate, 0 to 100; `None` outside the copy. It jumps, and only the end of the run says success.
    pub percent: Option<u8>,
    /// Bytes of file data handled so far.
    pub bytes: u64,
    /// Bytes a second.
    pub rate: u64,
    /// Seconds that rsync expects to go on.
    pub eta_seconds: Option<u64>,
}

/// What a run counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Regular files whose data was sent.
    pub files_transferred: u64,
    /// Bytes of file data that were sent (literal data, not what was matched).
    pub bytes_transferred: u64,
    /// Entries that were deleted at the destination.
    pub deletions: u64,
    /// Entries of the source: files, directories, links and the rest.
    pub entries: u64,
    /// Bytes of all files of the source.
    pub size: u64,
    /// Files that could not be read and are missing from this copy.
    pub unreadable: u64,
    /// Files that vanished while the run read the source.
    pub vanished: u64,
}

/// A directory of a source, and what a run sent of the files right in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeavyDirectory {
    /// Its path below the source, as people are shown it; `.` is the source itself.
    pub directory: String,
    /// Bytes of file data that were sent.
    pub bytes: u64,
}

impl HeavyDirectory {
    /// So many are kept of a run.
    pub const MOST: usize = 3;
}

/// What the worker reports of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunReport {
    /// The run.
    pub run: RunId,
    /// Its sync.
    pub sync: SyncName,
    /// How it ended.
    pub conclusion: Conclusion,
    /// What it counted.
    pub figures: Figures,
    /// The directories of which it sent most, the first the most.
    pub heaviest: Vec<HeavyDirectory>,
    /// The snapshot it made.
    pub snapshot: Option<SnapshotName>,
    /// As whom it wrote the destination.
    pub writer: Option<String>,
    /// Where something was mounted below the source, if that is known.
    pub submounts: Option<BTreeSet<PathBuf>>,
    /// The damaged files that it wrote anew.
    pub mended: BTreeSet<PathBuf>,
    /// What a person may want to know of a run that succeeded all the same: sentences.
    pub warnings: Vec<String>,
    /// Earlier runs that the destination remembers and this machine does not, oldest first.
    pub earlier: Vec<RunRecord>,
}

impl RunReport {
    /// Of a run that has nothing to show but its end.
    #[must_use]
    pub fn bare(run: RunId, sync: SyncName, conclusion: Conclusion) -> Self {
        Self {
            run,
            sync,
            conclusion,
            figures: Figures::default(),
            heaviest: Vec::new(),
            snapshot: None,
            writer: None,
            submounts: None,
            mended: BTreeSet::new(),
            warnings: Vec::new(),
            earlier: Vec::new(),
        }
    }
}

/// A run as history keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRecord {
    /// The run.
    pub run: RunId,
    /// Its sync.
    pub sync: SyncName,
    /// What made it start.
    pub trigger: Trigger,
    /// When it started.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// What it counted.
    pub figures: Figures,
    /// The directories of which it sent most, the first the most.
    pub heaviest: Vec<HeavyDirectory>,
    /// The snapshot it made, or the one that holds all that it found.
    pub snapshot: Option<SnapshotName>,
    /// Why it did not end well, as a sentence with its remedy.
    pub error: Option<String>,
    /// Warnings of a run that ended well.
    pub warnings: Vec<String>,
}

impl RunRecord {
    /// Whether it found nothing new, and made no snapshot: the one that holds all of it is older.
    #[must_use]
    pub fn is_unchanged(&self) -> bool {
        // Names have milliseconds.
        self.snapshot.is_some_and(|name| name.time().as_millisecond() < self.started.as_millisecond())
    }
}
