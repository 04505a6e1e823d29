//! What is told of checks.

use serde::{Deserialize, Serialize};

use super::SyncProblem;
use crate::model::{CheckReport, Flawed};

/// How far a check is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckNews {
    /// The sync.
    pub sync: String,
    /// Files that were read.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What checks found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckEnd {
    /// The copies that were read.
    pub checked: Vec<CheckedCopy>,
    /// Syncs whose copies were not.
    pub problems: Vec<SyncProblem>,
}

/// What was found in a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckedCopy {
    /// The sync.
    pub sync: String,
    /// The snapshot, where there is more than one copy.
    pub snapshot: Option<String>,
    /// Files that were read.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many of them were compared with the source.
    pub compared_with_source: u64,
    /// How many more were compared with another copy.
    pub compared_with_copies: u64,
    /// The damaged ones.
    pub damaged: Vec<DamagedEntry>,
    /// Files whose source differs from copies that agree.
    pub doubtful: Vec<String>,
    /// What else a person may want to know.
    pub remarks: Vec<String>,
}

/// A file that is damaged in a copy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DamagedEntry {
    /// Its path below the copy.
    pub path: String,
    /// What is wrong with it.
    pub reason: String,
    /// The snapshots that hold it.
    pub snapshots: Vec<String>,
}

impl From<&CheckReport> for CheckedCopy {
    fn from(report: &CheckReport) -> Self {
        let damaged = report.damaged.iter().map(|file| DamagedEntry {
            path: file.path.display().to_string(),
            reason: match &file.flaw {
                Flawed::Altered => "its content is another one, though size and time are the same".into(),
                Flawed::Broken(why) => format!("it cannot be read back: {why}"),
            },
            snapshots: file.snapshots.iter().map(ToString::to_string).collect(),
        });
        Self {
            sync: report.sync.to_string(),
            snapshot: report.snapshot.map(|name| name.to_string()),
            files: report.files,
            bytes: report.bytes,
            compared_with_source: report.with_source,
            compared_with_copies: report.with_copies,
            damaged: damaged.collect(),
            doubtful: report.doubtful.iter().map(|path| path.display().to_string()).collect(),
            remarks: report.remarks.clone(),
        }
    }
}
