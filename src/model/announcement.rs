//! What a person at the desk is told.

use std::time::Duration;

use super::{DriveName, Failure, Notify, Obstacle, OpeningTrouble, SyncName, Unclean, VolumeName};

/// Something to tell, and what it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// What it is about.
    pub subject: Subject,
    /// What there is to say.
    pub matter: Matter,
}

/// What an announcement is about. Each subject has one notification at the most: a newer one takes its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A sync.
    Sync(SyncName),
    /// A drive, for as long as it is plugged in.
    Drive(VolumeName),
    /// What is overdue at a destination.
    Overdue(VolumeName),
    /// What is damaged in the copies of a sync.
    Damage(SyncName),
}

/// What there is to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Matter {
    /// These syncs start by themselves after this time, unless the drive is held.
    Starting {
        /// The syncs.
        syncs: Vec<SyncName>,
        /// The time until the first of them starts.
        after: Duration,
    },
    /// A hold lies on the drive.
    OnHold,
    /// All that was to be done is done.
    Done(Deeds),
    /// The drive may be pulled out: everything is written, and nothing of it is in use.
    SafeToRemove(Deeds),
    /// A run failed.
    Failed(Failure),
    /// The drive could not be opened; it is tried again, and later at longer intervals.
    NotOpened(DriveName, OpeningTrouble),
    /// The filesystem of the drive should be checked; it is used all the same.
    Unclean(Unclean),
    /// The drive is plugged in, and must not be used as it is, for this reason; a sync that uses it.
    Unusable(Obstacle, SyncName),
    /// A person has to approve something before a run can start; never empty.
    Held(Vec<Obstacle>),
    /// There have been no copies of these syncs for longer than their `max-age`.
    Overdue {
        /// The syncs.
        syncs: Vec<SyncName>,
        /// The age of the oldest copy; `None` if one of them was never copied.
        age: Option<Duration>,
        /// What they wait for.
        waits_for: Option<Obstacle>,
        /// Another volume of their group that has fresh copies of all of them: then it is only the turn of this one.
        fresh_at: Option<VolumeName>,
    },
    /// So many files of its copies are damaged, and so many of its source differ from copies that agree.
    Damaged(u64, u64),
    /// What was said before is so no longer.
    Withdrawn,
}

impl Matter {
    /// Whether it is still worth telling when somebody hears of it later.
    #[must_use]
    pub fn lasts(&self) -> bool {
        match self {
            Self::Failed(_)
            | Self::Held(_)
            | Self::Damaged(..)
            | Self::Overdue { .. }
            | Self::NotOpened(..)
            | Self::Unclean(_)
            | Self::Unusable(..) => true,
            Self::Starting { .. } | Self::OnHold | Self::Done(_) | Self::SafeToRemove(_) | Self::Withdrawn => false,
        }
    }

    /// The same after so long.
    #[must_use]
    pub fn after(&self, length: Duration) -> Self {
        match self {
            Self::Overdue { age, .. } => {
                let mut later = self.clone();
                if let Self::Overdue { age: told, .. } = &mut later {
                    *told = age.map(|age| age.saturating_add(length));
                }
                later
            }
            Self::Starting { .. }
            | Self::OnHold
            | Self::Done(_)
            | Self::SafeToRemove(_)
            | Self::Failed(_)
            | Self::Held(_)
            | Self::Damaged(..)
            | Self::NotOpened(..)
            | Self::Unclean(_)
            | Self::Unusable(..)
            | Self::Withdrawn => self.clone(),
        }
    }
}

/// What was copied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Deeds {
    /// The syncs.
    pub syncs: Vec<SyncName>,
    /// How many files.
    pub files: u64,
    /// How many bytes.
    pub bytes: u64,
}

impl Notify {
    /// Whether a person who chose this wants to be told.
    #[must_use]
    pub fn wants(self, matter: &Matter) -> bool {
        match matter {
            Matter::Starting { .. } | Matter::OnHold | Matter::Done(_) | Matter::SafeToRemove(_) => self == Self::All,
            Matter::Failed(_)
            | Matter::NotOpened(..)
            | Matter::Unclean(_)
            | Matter::Unusable(..)
            | Matter::Held(_)
            | Matter::Damaged(..)
            | Matter::Overdue { .. } => self != Self::None,
            Matter::Withdrawn => false,
        }
    }
}

/// An announcement as a desktop shows it. The texts are plain: what a server would take for markup is not escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// One line.
    pub summary: String,
    /// Some sentences.
    pub body: String,
    /// How much it matters.
    pub weight: Weight,
    /// What a person can press.
    pub button: Option<Button>,
}

/// How much a notification matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// Good to know; it need not be kept. It tells nothing any more after this time, if there is one.
    Passing(Option<Duration>),
    /// It should be read some day.
    Standing,
    /// It should be seen.
    Pressing,
}

/// What a person can press.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Button {
    /// Keep hands off the drive.
    Hold,
}

#[cfg(test)]
mod tests {
    use crate::model::{FailureKind, HoldReason, PathSet, StandingHold, Step};

    use super::*;

    #[test]
    fn each_choice_tells_what_it_says() {
        let reason =
            HoldReason::Deletions { paths: PathSet::default(), before: 10, allowed_percent: 25, against: None };
        let since = jiff::Timestamp::UNIX_EPOCH;
        let deletions = StandingHold { reason, since, looked: since };
        let failure = Failure { at: Step::Copy, kind: FailureKind::Io, detail: String::new() };
        let news = [
            Matter::Starting { syncs: Vec::new(), after: Duration::from_secs(10) },
            Matter::OnHold,
            Matter::Done(Deeds::default()),
            Matter::SafeToRemove(Deeds::default()),
        ];
        let problems = [
            Matter::Failed(failure),
            Matter::Held(vec![Obstacle::Held(deletions)]),
            Matter::Overdue { syncs: Vec::new(), age: None, waits_for: None, fresh_at: None },
        ];
        assert!(news.iter().all(|matter| Notify::All.wants(matter) && !Notify::Problems.wants(matter)));
        assert!(problems.iter().all(|matter| Notify::All.wants(matter) && Notify::Problems.wants(matter)));
        assert!(!news.iter().chain(&problems).any(|matter| Notify::None.wants(matter)));
    }
}
