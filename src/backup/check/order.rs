//! A check that the daemon makes by itself: what it is given, and what it tells.

use crate::backup::check::course::CheckProgress;
use crate::backup::job::SyncAsSeen;
use crate::model::{CheckReport, RunId, SampleShare, SyncName};

/// A slice of a copy is to be read back.
#[derive(Debug, Clone)]
pub struct CheckOrder {
    /// Its id.
    pub run: RunId,
    /// The sync whose copy it is.
    pub seen: SyncAsSeen,
    /// How much of it is read.
    pub share: SampleShare,
    /// Where that begins, in hundredths.
    pub turn: u8,
}

/// What a check tells.
#[derive(Debug, Clone)]
pub enum CheckTelling {
    /// How far it is.
    Progress(RunId, CheckProgress),
    /// It ended; told exactly once.
    Ended(Box<EndedCheck>),
}

/// How a check ended.
#[derive(Debug, Clone)]
pub struct EndedCheck {
    /// Its id.
    pub run: RunId,
    /// The sync.
    pub sync: SyncName,
    /// What came of it.
    pub end: CheckEnding,
}

/// What came of a check.
#[derive(Debug, Clone)]
pub enum CheckEnding {
    /// All of the slice was read.
    Read(Box<CheckReport>),
    /// It was told to stop.
    Stopped,
    /// It could not be made: why, and what to do.
    Failed(String),
}
