//! What earlier copies left at a destination, where copies of another kind are wanted by now.

use std::fmt;
use std::path::Path;

use super::Outcome;
use super::layout::{LATEST, SNAPSHOTS};

/// What a destination holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holding {
    /// Finished copies in `snapshots`.
    Snapshots,
    /// The files of a copy without history.
    Mirror,
}

/// What the log of a destination says of earlier copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Past {
    /// Of none, or of such as were held.
    #[default]
    Unknown,
    /// That some were begun, and none was made.
    Begun,
    /// That the last one that was made has no history.
    Mirror,
    /// That the last one that was made is a snapshot.
    Snapshots,
}

impl Past {
    /// By how the runs ended and whether they made a snapshot, oldest first.
    pub fn of(runs: impl DoubleEndedIterator<Item = (Outcome, bool)>) -> Self {
        let mut past = Self::Unknown;
        for (outcome, made_snapshot) in runs.rev() {
            match outcome {
                Outcome::Ok if made_snapshot => return Self::Snapshots,
                Outcome::Ok => return Self::Mirror,
                Outcome::Interrupted | Outcome::Failed => past = Self::Begun,
                Outcome::Skipped | Outcome::Held => {}
            }
        }
        past
    }
}

impl Holding {
    /// What a person can do about it, at this destination.
    #[must_use]
    pub fn remedy(self, path: &Path) -> String {
        let choose = "let `destination` name another directory, or set `snapshots` back";
        match self {
            Self::Snapshots => format!(
                "{choose}; where the snapshots are needed no more, move `{SNAPSHOTS}` and `{LATEST}` away from {}",
                path.display()
            ),
            Self::Mirror => format!("{choose}; or move these files away from {}", path.display()),
        }
    }
}

impl fmt::Display for Holding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Snapshots => {
                "holds snapshots, and `snapshots = \"none\"` would put a copy without history beside them"
            }
            Self::Mirror => "holds a copy without history, which would stay beside the snapshots and take its room",
        })
    }
}
