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
    /// When the last round was over that proved something, and found nothing wrong.
    pub verified: Option<Timestamp>,
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
    /// What was read of them.
    pub sums: CheckSums,
}

/// What checks have read and found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CheckSums {
    /// Files that were read.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// How many of them were compared with another of the same name, size and time.
    pub compared: u64,
    /// Files and directories that were not read: they may not be, or cannot be asked for.
    pub passed_over: u64,
    /// How many files are damaged.
    pub damaged: u64,
    /// How many files of the source differ from all copies, which agree.
    pub doubtful: u64,
}

/// What is proven by what was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckProof {
    /// What was compared is the same.
    Sound,
    /// Files of the copy are damaged.
    Damaged,
    /// Files of the source differ from copies that agree.
    Doubted,
    /// Nothing: nothing could be read, or there was nothing to compare it with.
    Nothing,
}

impl CheckSums {
    /// What is proven by it. Damage that is known counts, whatever else is.
    #[must_use]
    pub fn proof(&self) -> CheckProof {
        match self {
            Self { damaged: 1.., .. } => CheckProof::Damaged,
            Self { doubtful: 1.., .. } => CheckProof::Doubted,
            Self { compared: 0, .. } => CheckProof::Nothing,
            Self { .. } => CheckProof::Sound,
        }
    }
}
