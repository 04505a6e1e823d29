//! Days of a sync: what its runs of one day come to.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{Outcome, RunRecord, SyncName};

/// The runs of one day of a sync, summed up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DaySum {
    /// Successes.
    pub ok: u64,
    /// Those of the successes that found nothing new.
    pub unchanged: u64,
    /// Those of the successes that lack files which could not be read.
    pub partial: u64,
    /// Runs that failed.
    pub failed: u64,
    /// Runs that were interrupted.
    pub interrupted: u64,
    /// Runs that were held.
    pub held: u64,
    /// Runs that were skipped though somebody asked for them.
    pub skipped: u64,
    /// Files that were sent.
    pub files: u64,
    /// Bytes that were sent.
    pub bytes: u64,
    /// The size of the source in a success; the largest of the day. Zero if none tells.
    pub size: u64,
    /// How long all successes took together.
    pub lasted: Duration,
    /// How long the longest of them took.
    pub longest: Duration,
}

impl DaySum {
    /// Adds a run.
    pub fn add(&mut self, run: &RunRecord) {
        self.merge(&Self::of(run));
    }

    /// A day with this run alone.
    fn of(run: &RunRecord) -> Self {
        let took = Duration::try_from(run.finished.duration_since(run.started)).unwrap_or_default();
        let figures = &run.figures;
        let mut day = Self { files: figures.files_transferred, bytes: figures.bytes_transferred, ..Self::default() };
        match run.outcome {
            Outcome::Ok => {
                let is_unchanged = figures.files_transferred == 0 && figures.deletions == 0;
                day = Self { ok: 1, unchanged: is_unchanged.into(), size: figures.size, ..day };
                day.partial = (figures.unreadable > 0).into();
                day = Self { lasted: took, longest: took, ..day };
            }
            Outcome::Failed => day.failed = 1,
            Outcome::Interrupted => day.interrupted = 1,
            Outcome::Held => day.held = 1,
            Outcome::Skipped => day.skipped = 1,
        }
        day
    }

    /// Adds what another sum of the same day holds.
    pub fn merge(&mut self, other: &Self) {
        for (sum, more) in [
            (&mut self.ok, other.ok),
            (&mut self.unchanged, other.unchanged),
            (&mut self.partial, other.partial),
            (&mut self.failed, other.failed),
            (&mut self.interrupted, other.interrupted),
            (&mut self.held, other.held),
            (&mut self.skipped, other.skipped),
            (&mut self.files, other.files),
            (&mut self.bytes, other.bytes),
        ] {
            *sum = sum.saturating_add(more);
        }
        self.size = self.size.max(other.size);
        self.lasted = self.lasted.saturating_add(other.lasted);
        self.longest = self.longest.max(other.longest);
    }

    /// How many runs it holds.
    #[must_use]
    pub fn runs(&self) -> u64 {
        [self.failed, self.interrupted, self.held, self.skipped].into_iter().fold(self.ok, u64::saturating_add)
    }
}

/// The days of syncs.
pub type Days = BTreeMap<SyncName, BTreeMap<Date, DaySum>>;

/// Adds runs to the days on which they started, by the calendar of a zone.
pub fn add_runs(days: &mut Days, runs: &[RunRecord], zone: &TimeZone) {
    for run in runs {
        let date = run.started.to_zoned(zone.clone()).date();
        days.entry(run.sync.clone()).or_default().entry(date).or_default().add(run);
    }
}
