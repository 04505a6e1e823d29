//! The name of a snapshot. An entry with such a name is complete, by definition.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::model::words;

/// Why a text is not the name of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotNameError;

impl fmt::Display for SnapshotNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a snapshot is named by UTC time with milliseconds, such as `2026-11-22T17:30:00.000Z`")
    }
}

impl std::error::Error for SnapshotNameError {}

/// UTC time as RFC 3339 with milliseconds: `2026-11-22T17:30:00.000Z`. Their order in time is their order as text.
///
/// ```
/// use nbkp::model::SnapshotName;
///
/// let noon: SnapshotName = "2026-11-22T12:00:00.000Z".parse().unwrap();
/// // The clock was set back to eleven; the next name comes after noon all the same.
/// let next = SnapshotName::next("2026-11-22T11:00:00Z".parse().unwrap(), Some(noon));
/// assert_eq!(next.to_string(), "2026-11-22T12:00:00.001Z");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotName(Timestamp);

impl SnapshotName {
    /// The name for a snapshot made now: the time, or one millisecond after the newest that exists, so that names
    /// strictly increase even when the clock was set back.
    #[must_use]
    pub fn next(now: Timestamp, newest: Option<Self>) -> Self {
        let now = Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now);
        match newest {
            Some(Self(newest)) if newest >= now => Self(newest.checked_add(Duration::from_millis(1)).unwrap_or(newest)),
            Some(_) | None => Self(now),
        }
    }

    /// Whether it names a moment that has not come yet: it was made while a clock was wrong. Small differences between
    /// the clocks of two machines do not count.
    #[must_use]
    pub fn is_ahead_of(self, now: Timestamp) -> bool {
        self.0.duration_since(now) > SignedDuration::from_mins(5)
    }

    /// The moment it names.
    #[must_use]
    pub fn time(self) -> Timestamp {
        self.0
    }
}

/// How far a complete snapshot can be trusted as a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// All that was asked for is in it.
    Good,
    /// Some files could not be read and are missing from it.
    Partial,
    /// Something about it is wrong.
    Suspect,
}

words!(Standing {
    Good = "good",
    Partial = "partial",
    Suspect = "suspect",
});

/// Why a snapshot stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeepReason {
    /// It is one of the N newest.
    Last,
    /// It is the newest of its hour.
    Hourly,
    /// It is the newest of its day.
    Daily,
    /// It is the newest of its week.
    Weekly,
    /// It is the newest of its month.
    Monthly,
    /// It is the newest of its year.
    Yearly,
    /// It is the newest good one, which stays whatever the rules say.
    Newest,
    /// It is not good, but there is no newer one that is.
    NothingBetter,
    /// All are kept.
    All,
    /// Its name lies in the future: the clock was wrong then, or is now. A person has to look.
    Future,
}

words!(KeepReason {
    Last = "last",
    Hourly = "hourly",
    Daily = "daily",
    Weekly = "weekly",
    Monthly = "monthly",
    Yearly = "yearly",
    Newest = "newest",
    NothingBetter = "nothing-better",
    All = "all",
    Future = "future",
});

/// Whether it is told what snapshots weigh, for which each is walked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weighing {
    /// It is.
    Wanted,
    /// It is not.
    Unwanted,
}

/// Whether pruning is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pruning {
    /// It is.
    Real,
    /// It is only told what would go.
    Pretended,
}

impl FromStr for SnapshotName {
    type Err = SnapshotNameError;

    fn from_str(text: &str) -> Result<Self, SnapshotNameError> {
        let time: Timestamp = text.parse().map_err(|_| SnapshotNameError)?;
        let name = Self(time);
        // Only the one spelling is a name: no other zone, no fewer digits, no lower case.
        if name.to_string() == text { Ok(name) } else { Err(SnapshotNameError) }
    }
}

impl fmt::Display for SnapshotName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_one_spelling_is_a_name() {
        for good in ["2026-11-22T17:30:00.000Z", "1999-12-31T23:59:59.999Z"] {
            assert_eq!(good.parse::<SnapshotName>().map(|n| n.to_string()).as_deref(), Ok(good));
        }
        for bad in [
            "",
            ".",
            "..",
            "latest",
            "lost+found",
            "2026-11-22T17:30:00Z",
            "2026-11-22T17:30:00.0000Z",
            "2026-11-22T17:30:00.000z",
            "2026-11-22T18:30:00.000+01:00",
            ".inprogress-2026-11-22T17:30:00.000Z",
            "2026-02-30T00:00:00.000Z",
            "-2026-11-22T17:30:00.000Z",
        ] {
            assert!(bad.parse::<SnapshotName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn names_strictly_increase_though_the_clock_steps_back() {
        let newest: SnapshotName = "2026-11-22T17:30:00.000Z".parse().expect("a name");
        let earlier: Timestamp = "2026-11-22T16:00:00Z".parse().expect("a time");
        assert_eq!(SnapshotName::next(earlier, Some(newest)).to_string(), "2026-11-22T17:30:00.001Z");
        assert_eq!(SnapshotName::next(newest.time(), Some(newest)).to_string(), "2026-11-22T17:30:00.001Z");
        assert_eq!(SnapshotName::next(earlier, None).to_string(), "2026-11-22T16:00:00.000Z");
    }
}
