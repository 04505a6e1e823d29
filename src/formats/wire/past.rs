//! The reply of `History`.

use serde::{Deserialize, Serialize};

use super::{Moment, RunEntry};

/// `History`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryReply {
    /// The runs, newest first.
    pub runs: Vec<RunEntry>,
    /// Sums by sync, if they were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stats: Option<Vec<SyncTally>>,
    /// Where the copies of each source are, if sums were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sources: Option<Vec<SourceCopies>>,
}

/// Sums over the runs of a sync.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncTally {
    /// The sync.
    pub sync: String,
    /// How many runs history holds.
    pub runs: u64,
    /// How many were successes.
    pub ok: u64,
    /// How many failed.
    pub failed: u64,
    /// How many were interrupted.
    pub interrupted: u64,
    /// How many were held.
    pub held: u64,
    /// Files sent in all.
    pub files_transferred: u64,
    /// Bytes sent in all.
    pub bytes_transferred: u64,
    /// The mean duration of a success, in seconds.
    pub mean_seconds: Option<u64>,
    /// When the last success ended.
    pub last_success: Option<Moment>,
    /// Successes that found nothing new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unchanged: Option<u64>,
    /// The size of the source, as the last success found it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// How long the longest success took, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slowest_seconds: Option<u64>,
    /// The day on which it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slowest_day: Option<String>,
    /// From when the data at its destination is: through the syncs that fill its source, if there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_of: Option<Moment>,
    /// The syncs that fill its source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub through: Vec<String>,
    /// The directories of which its newest runs sent most, the first the most; an older daemon does not tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub heaviest: Vec<HeavyEntry>,
    /// True of one that the configuration has no longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bygone: Option<bool>,
    /// Its days on which it ran, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub days: Vec<DayEntry>,
}

/// A directory of a source, and what was sent of the files right in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeavyEntry {
    /// Its path below the source; `.` is the source itself.
    pub directory: String,
    /// Bytes of file data.
    pub bytes: u64,
}

/// What the runs of one day of a sync come to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayEntry {
    /// The day on which they started: `2026-11-22`.
    pub day: String,
    /// How many were successes.
    pub ok: u64,
    /// How many of these found nothing new.
    pub unchanged: u64,
    /// How many of these lack files that could not be read; an older daemon does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partial: Option<u64>,
    /// How many failed.
    pub failed: u64,
    /// How many were interrupted.
    pub interrupted: u64,
    /// How many were held.
    pub held: u64,
    /// How many were skipped.
    pub skipped: u64,
    /// Bytes sent.
    pub bytes: u64,
    /// The size of the source; 0 if no run tells.
    pub size: u64,
    /// How long its successes took together, in milliseconds.
    pub milliseconds: u64,
}

/// Where the copies of a source are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceCopies {
    /// The source: `volume:subdir`.
    pub source: String,
    /// The syncs that copy it, or what they copied of it.
    pub syncs: Vec<String>,
    /// Those of them that have a copy.
    pub copied: Vec<String>,
    /// On how many media it is, itself counted.
    pub media: u64,
    /// How many copies are off-site: at a server, or on a drive that is not plugged in.
    pub off_site: u64,
    /// From when the newest data is.
    pub newest: Option<Moment>,
    /// From when the data of the copy is that is most behind.
    pub oldest: Option<Moment>,
}
