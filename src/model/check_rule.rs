//! How often and how much copies are read back by themselves.

use std::time::Duration;

use jiff::Timestamp;

/// How large a part of the files of a copy a check reads, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SampleShare(u8);

impl SampleShare {
    /// Every file.
    pub const ALL: Self = Self(100);

    /// This many percent, of 1 to 100.
    #[must_use]
    pub fn percent(percent: u8) -> Option<Self> {
        (1..=100).contains(&percent).then_some(Self(percent))
    }

    /// In percent.
    #[must_use]
    pub fn as_percent(self) -> u8 {
        self.0
    }
}

/// How often copies are read back by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CheckRule {
    /// How long after one round the next begins.
    pub every: Duration,
    /// How much of the copy a round reads.
    pub share: SampleShare,
}

/// How far the checks of a sync are that are made by themselves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckRounds {
    /// When the last round was over.
    pub finished: Option<Timestamp>,
    /// The round that was begun and is not over.
    pub under_way: Option<CheckRound>,
}

/// A round that was begun: it is read in slices, so that it goes on where it was when something else came first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckRound {
    /// When it began.
    pub began: Timestamp,
    /// How many hundredths of the copy were read.
    pub read: u8,
    /// How many files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many of them are damaged.
    pub damaged: u64,
}
