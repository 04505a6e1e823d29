//! What holds a run until a person approves.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use jiff::Timestamp;

use super::{ObstacleCode, PathSet, SnapshotName, SyncName};

/// So many paths are named.
const NAMED: usize = 5;

/// What a guard saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HoldReason {
    /// The run would have deleted more than the guard allows.
    Deletions {
        /// The entries that it would have deleted.
        paths: PathSet,
        /// How many entries the destination held before.
        before: u64,
        /// The allowed share in percent.
        allowed_percent: u8,
        /// The snapshot that it was compared with; what lies at the destination itself if none.
        against: Option<SnapshotName>,
    },
    /// The run would have cut down more files than the guard allows.
    CutDown {
        /// Which.
        paths: PathSet,
        /// How many there are.
        of: u64,
        /// The allowed share in percent.
        allowed_percent: u8,
        /// The snapshot that it was compared with; what lies at the destination itself if none.
        against: Option<SnapshotName>,
    },
    /// Something that was mounted below the source at the last good run is not mounted now.
    SourceIncomplete {
        /// Where, below the source.
        missing: BTreeSet<PathBuf>,
    },
    /// Another machine, or this one with another source, writes the destination.
    ForeignWriter {
        /// Who.
        writer: Writer,
        /// What this machine is called.
        here: String,
    },
}

/// Who writes a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    /// What tells the machine and its source from others. Nothing can be learnt from it.
    pub id: String,
    /// Since when.
    pub since: Timestamp,
    /// What the machine is called.
    pub host: String,
}

/// What a sync is held for. It is a question: each time when a copy is wanted the same look is taken, and the hold
/// falls if there is no reason any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingHold {
    /// What was seen, by the last look.
    pub reason: HoldReason,
    /// Since when something like it is seen.
    pub since: Timestamp,
    /// When the last look ended.
    pub looked: Timestamp,
}

impl HoldReason {
    /// Whether it asks the same question as another, whatever the numbers in it.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }
}

impl HoldReason {
    /// The code of the contract.
    #[must_use]
    pub fn code(&self) -> ObstacleCode {
        match self {
            Self::Deletions { .. } | Self::CutDown { .. } => ObstacleCode::Held,
            Self::SourceIncomplete { .. } => ObstacleCode::SourceIncomplete,
            Self::ForeignWriter { .. } => ObstacleCode::ForeignWriter,
        }
    }

    /// What a person can do about it.
    #[must_use]
    pub fn advice(&self, sync: &SyncName) -> String {
        match self {
            Self::Deletions { .. } | Self::CutDown { .. } => {
                format!("look with `nbkpctl diff {sync}`, then `nbkpctl approve {sync}`")
            }
            Self::ForeignWriter { .. } => format!(
                "if this one has taken its place (the system is new, the disk was moved, or the source is another one \
                 now), run `nbkpctl approve {sync}`; if both are in use, give each a `destination` of its own"
            ),
            Self::SourceIncomplete { .. } => {
                format!(
                    "mount it; if it is gone for good, look with `nbkpctl diff {sync}`, then `nbkpctl approve {sync}`"
                )
            }
        }
    }
}

/// What a copy is compared with.
fn place(against: Option<SnapshotName>) -> String {
    against.map_or_else(|| "at the destination".to_owned(), |name| format!("of the snapshot {name}"))
}

/// The first few of some paths.
fn listed(paths: &BTreeSet<PathBuf>) -> String {
    let mut named: Vec<_> = paths.iter().take(NAMED).map(|path| format!("`{}`", path.display())).collect();
    match paths.len().saturating_sub(NAMED) {
        0 => {}
        more => named.push(format!("{more} more")),
    }
    named.join(", ")
}

impl fmt::Display for HoldReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ForeignWriter { writer: Writer { since, host, .. }, here } => {
                let who = if host == here {
                    format!("a machine that is called `{host}`, too, or this one with another source,")
                } else {
                    format!("another machine, `{host}`,")
                };
                write!(f, "{who} has written to the destination since {since:.0}, and this one (`{here}`) never has")
            }
            Self::SourceIncomplete { missing } => write!(
                f,
                "the source is incomplete: what was mounted below it at {} at the last good run is not mounted now, \
                 and its files would leave the copy",
                listed(missing)
            ),
            Self::Deletions { paths, before, allowed_percent: 0, against } => write!(
                f,
                "it would delete {} of {before} files {}, and none may go without a word: either `guard` allows none, \
                 or no copy was made there before",
                paths.count(),
                place(*against)
            ),
            Self::Deletions { paths, before, allowed_percent, against } => write!(
                f,
                "it would delete {} of {before} files {}, more than the {allowed_percent} % that `guard` allows",
                paths.count(),
                place(*against)
            ),
            Self::CutDown { paths, of, allowed_percent, against } => write!(
                f,
                "it would cut {} of {of} files {} to nothing or to less than a tenth, more than the \
                 {allowed_percent} % that `guard` allows",
                paths.count(),
                place(*against)
            ),
        }
    }
}
