//! What earlier copies left at a destination, where copies of another kind are wanted by now.

use std::fmt;
use std::path::Path;

use super::layout::{LATEST, SNAPSHOTS};

/// What a destination holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holding {
    /// Finished copies in `snapshots`.
    Snapshots,
    /// The files of a copy without history.
    Mirror,
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
