//! The replies about versions and what is given back.

use serde::{Deserialize, Serialize};

use super::{Moment, Term};
use crate::model::EntryKind;

/// `Versions`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// What was asked for.
    pub path: String,
    /// The versions, the one that was changed last first.
    pub versions: Vec<VersionEntry>,
    /// The copies that could not be looked at.
    pub unreached: Vec<UnreachedCopies>,
}

/// One version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionEntry {
    /// When it was changed last.
    pub modified: Moment,
    /// Its size in bytes; that of a directory says nothing.
    pub size: u64,
    /// What it is.
    pub kind: Term<EntryKind>,
    /// The sync of the copy from which it is had best.
    pub sync: String,
    /// The snapshot, where there is more than one copy.
    pub snapshot: Option<String>,
    /// Where it lies there.
    pub path: String,
    /// How many copies hold it.
    pub copies: u64,
    /// When the first of them was made.
    pub oldest: Option<Moment>,
    /// When the one was made from which it is had best.
    pub newest: Option<Moment>,
    /// Whether it is like that in its place.
    pub now: bool,
}

/// Copies that could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreachedCopies {
    /// Their sync.
    pub sync: String,
    /// Why, and what to do.
    pub message: String,
    /// When its last good run ended: so old is what lies there.
    pub last_success: Option<Moment>,
}

/// `Find`, while it goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindNews {
    /// What was found.
    #[serde(default)]
    pub found: Vec<FoundEntry>,
    /// The sync whose copies are looked through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<String>,
    /// The copy, where there is more than one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    /// How many names were looked at here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<u64>,
}

/// `Find`, at its end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindEnd {
    /// How many were found.
    pub count: u64,
    /// Of how many it could not be told whether the source has them.
    #[serde(default)]
    pub unsure: u64,
    /// The copies that could not be looked through.
    pub unreached: Vec<UnreachedCopies>,
    /// What else is wanting.
    #[serde(default)]
    pub remarks: Vec<String>,
}

/// A name in the copies, with the newest copy that has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FoundEntry {
    /// Where it is or was, as `versions` and `restore` take it.
    pub name: String,
    /// When it was changed last.
    pub modified: Option<Moment>,
    /// Its size in bytes; that of a directory says nothing.
    pub size: Option<u64>,
    /// What it is.
    pub kind: Option<Term<EntryKind>>,
    /// The sync of the copy.
    pub sync: String,
    /// The snapshot, where there is more than one copy.
    pub snapshot: Option<String>,
    /// Where it lies there.
    pub path: String,
    /// When that copy was made.
    pub made: Option<Moment>,
    /// When the first copy of this sync was made that has it no more; only where that was asked.
    pub gone: Option<Moment>,
}

/// `Restore`, while it goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreNews {
    /// What is given back.
    pub path: String,
    /// An entry that comes, or would come: how, as rsync itemises it, and its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<String>,
    /// How much is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<u8>,
    /// Bytes so far.
    #[serde(default)]
    pub bytes: u64,
    /// Bytes a second.
    #[serde(default)]
    pub rate: u64,
    /// Seconds that are left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_seconds: Option<u64>,
}

/// `Restore`, at its end.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreEnd {
    /// What was given back.
    pub restored: Vec<RestoredEntry>,
    /// What was not.
    pub problems: Vec<RestoreProblem>,
}

/// `Restore` in one piece, for those who read no streams.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WholeRestore {
    /// How it ended.
    #[serde(flatten)]
    pub end: RestoreEnd,
    /// What would come, as rsync itemises it; only of a dry run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<String>,
}

/// Something that was not given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreProblem {
    /// What was asked for.
    pub path: String,
    /// Why not, and what to do.
    pub message: String,
}

/// Something that was given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoredEntry {
    /// What was asked for.
    pub path: String,
    /// Where it came to.
    pub to: String,
    /// The sync of the copy.
    pub sync: String,
    /// The snapshot, where there is more than one copy.
    pub snapshot: Option<String>,
    /// When the copy was made.
    pub made: Option<Moment>,
    /// Where it lies in the copy.
    pub from: String,
    /// Files that were written.
    pub files: u64,
    /// Bytes that were written.
    pub bytes: u64,
    /// Files that were there already, as the copy has them.
    pub same: u64,
    /// Files that stay although the copy has others: the first thousand.
    pub kept: Vec<String>,
    /// How many they are.
    pub kept_count: u64,
    /// What is wanting.
    pub missing: Vec<String>,
    /// What else a person may want to know.
    pub remarks: Vec<String>,
}

/// A destination that was found on a drive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BareCopies {
    /// Where it is.
    pub path: String,
    /// The sync that wrote it last.
    pub sync: String,
    /// Its snapshots, oldest first.
    pub snapshots: Vec<String>,
    /// When the newest copy was made.
    pub newest: Option<Moment>,
    /// What else a person may want to know of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
}

/// What was found on a drive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BareListing {
    /// The destinations.
    pub copies: Vec<BareCopies>,
}
