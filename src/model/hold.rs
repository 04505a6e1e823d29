//! What holds a run until a person approves.

use std::fmt;

use jiff::Timestamp;

/// What a guard saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HoldReason {
    /// The run would have deleted more than the guard allows.
    Deletions {
        /// How many entries it would have deleted.
        deletions: u64,
        /// How many entries the destination held before.
        before: u64,
        /// The allowed share in percent.
        allowed_percent: u8,
    },
    /// The run would have cut down more files than the guard allows.
    CutDown {
        /// How many files.
        files: u64,
        /// How many there are.
        of: u64,
        /// The allowed share in percent.
        allowed_percent: u8,
    },
}

/// What a sync is held for. It is a question: each time when a copy is wanted the same look is taken, and the hold falls
/// if there is no reason any more.
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

impl fmt::Display for HoldReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deletions { deletions, before, allowed_percent } => write!(
                f,
                "it would delete {deletions} of {before} files at the destination, more than the {allowed_percent} % \
                 that \
                 `guard` allows"
            ),
            Self::CutDown { files, of, allowed_percent } => write!(
                f,
                "it would cut {files} of {of} files to nothing or to less than a tenth, more than the \
                 {allowed_percent} % that `guard` allows"
            ),
        }
    }
}
