//! Whether and when a copy is wanted.

use std::time::Duration;

use jiff::Timestamp;

use crate::model::{Every, Freshness, Outcome};

/// How far ahead of the clock a last success may lie before the clock, and not the success, is taken to be wrong.
const CLOCK_TOLERANCE: Duration = Duration::from_mins(1);

/// What is known of the past of a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Past {
    /// When the last success ended.
    pub last_success: Option<Timestamp>,
    /// How the last run ended.
    pub last_outcome: Option<Outcome>,
    /// When the last look was taken, of a sync that is held.
    pub looked: Option<Timestamp>,
    /// Since when the daemon has known of the sync, between these places.
    pub known_since: Option<Timestamp>,
    /// Since when both ends have been within reach without a break; `None` if they are not.
    pub in_reach_since: Option<Timestamp>,
}

/// Whether a copy is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Now, for this reason.
    Now(Want),
    /// From this moment on.
    At(Timestamp),
    /// When both ends come within reach the next time.
    NextAppearance,
}

/// Why a copy is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// There was never a success.
    NeverCopied,
    /// The last success is older than `every`.
    Old,
    /// The last attempt was cut short or failed.
    Unfinished,
    /// Both ends came within reach, and that is all it waits for (`every = "0s"`).
    Appeared,
    /// The last success lies in the future: the clock was set back.
    ClockSetBack,
}

impl Want {
    /// The reason as a sentence fragment.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NeverCopied => "never copied",
            Self::Old => "the last copy is older than `every`",
            Self::Unfinished => "the last attempt was not finished",
            Self::Appeared => "both ends came within reach",
            Self::ClockSetBack => "the last copy lies in the future: the clock was set back",
        }
    }
}

/// Whether a copy is wanted at `now`.
#[must_use]
pub fn due(every: Every, past: Past, now: Timestamp) -> Due {
    // A look at what is held counts as an attempt: the next one is taken when a copy would be wanted again.
    // A success lets go of what is held, so that a look is the later one, whatever the clock said.
    let Some(success) = past.looked.or(past.last_success) else {
        return Due::Now(Want::NeverCopied);
    };
    match past.last_outcome {
        Some(Outcome::Interrupted | Outcome::Failed) => return Due::Now(Want::Unfinished),
        Some(Outcome::Ok | Outcome::Skipped | Outcome::Held) | None => {}
    }
    if success.duration_since(now) > jiff::SignedDuration::try_from(CLOCK_TOLERANCE).unwrap_or_default() {
        return Due::Now(Want::ClockSetBack);
    }
    match every {
        Every::Interval(interval) => match success.checked_add(interval) {
            Ok(at) if at <= now => Due::Now(Want::Old),
            Ok(at) => Due::At(at),
            Err(_) => Due::NextAppearance,
        },
        Every::Appearance if past.in_reach_since.is_some_and(|since| since > success) => Due::Now(Want::Appeared),
        Every::Appearance => Due::NextAppearance,
    }
}

/// Since when a copy has been wanted that is wanted now; `None` if nobody knows.
#[must_use]
pub fn since(want: Want, every: Every, past: Past, last_run: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
    let paced = |from: Option<Timestamp>| match every {
        Every::Interval(interval) => from?.checked_add(interval).ok(),
        Every::Appearance => past.in_reach_since,
    };
    let since = match want {
        Want::NeverCopied => past.known_since,
        Want::Old => paced(past.looked.or(past.last_success)),
        Want::Appeared => past.in_reach_since,
        Want::Unfinished => last_run,
        Want::ClockSetBack => None,
    };
    since.filter(|since| *since <= now)
}

/// When there will have been no copy for `max_age`.
#[must_use]
pub fn overdue_at(past: Past, max_age: Option<Duration>) -> Option<Timestamp> {
    past.last_success.or(past.known_since)?.checked_add(max_age?).ok()
}

/// How old the last success is.
#[must_use]
pub fn freshness(last_success: Option<Timestamp>, overdue_at: Option<Timestamp>, now: Timestamp) -> Freshness {
    match last_success {
        _ if overdue_at.is_some_and(|at| at <= now) => Freshness::Overdue,
        None => Freshness::Never,
        Some(_) => Freshness::Fresh,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + minute * 60).expect("a time")
    }

    fn check(every: Every, success: Option<i64>, outcome: Option<Outcome>, since: Option<i64>, expected: Due) {
        let past = Past { in_reach_since: since.map(at), ..past(success, outcome) };
        assert_eq!(due(every, past, at(100)), expected, "{past:?}");
    }

    fn past(success: Option<i64>, outcome: Option<Outcome>) -> Past {
        let last_success = success.map(at);
        Past { last_success, last_outcome: outcome, looked: None, known_since: None, in_reach_since: None }
    }

    const HOURLY: Every = Every::Interval(Duration::from_hours(1));

    #[test]
    fn a_copy_is_wanted_when_never_made_or_old_or_unfinished() {
        check(HOURLY, None, None, None, Due::Now(Want::NeverCopied));
        check(HOURLY, None, Some(Outcome::Held), None, Due::Now(Want::NeverCopied));
        check(HOURLY, Some(40), Some(Outcome::Ok), None, Due::Now(Want::Old));
        check(HOURLY, Some(41), Some(Outcome::Ok), None, Due::At(at(101)));
        check(HOURLY, Some(41), Some(Outcome::Skipped), None, Due::At(at(101)));
        check(HOURLY, Some(99), Some(Outcome::Interrupted), None, Due::Now(Want::Unfinished));
        check(HOURLY, Some(99), Some(Outcome::Failed), None, Due::Now(Want::Unfinished));
    }

    #[test]
    fn a_success_in_the_future_does_not_keep_a_sync_from_running() {
        check(HOURLY, Some(5000), Some(Outcome::Ok), None, Due::Now(Want::ClockSetBack));
        check(HOURLY, Some(101), Some(Outcome::Ok), None, Due::At(at(161)));
    }

    #[test]
    fn without_an_interval_each_appearance_counts_once() {
        check(Every::Appearance, Some(90), Some(Outcome::Ok), Some(95), Due::Now(Want::Appeared));
        check(Every::Appearance, Some(96), Some(Outcome::Ok), Some(95), Due::NextAppearance);
        check(Every::Appearance, Some(90), Some(Outcome::Ok), None, Due::NextAppearance);
    }

    #[test]
    fn what_is_held_is_looked_at_again_when_a_copy_would_be_wanted() {
        let held = |every, looked, success: Option<i64>, since: Option<i64>| {
            let looked = Some(at(looked));
            let past = Past { looked, in_reach_since: since.map(at), ..past(success, Some(Outcome::Held)) };
            due(every, past, at(100))
        };
        assert_eq!(held(HOURLY, 41, None, None), Due::At(at(101)));
        assert_eq!(held(HOURLY, 41, Some(1), None), Due::At(at(101)));
        assert_eq!(held(HOURLY, 40, Some(1), None), Due::Now(Want::Old));
        assert_eq!(held(Every::Appearance, 90, Some(1), Some(80)), Due::NextAppearance);
        assert_eq!(held(Every::Appearance, 90, Some(1), Some(95)), Due::Now(Want::Appeared));
    }

    #[test]
    fn what_is_due_has_been_so_since_one_moment() {
        let past = Past { known_since: Some(at(3)), looked: None, ..past(Some(10), None) };
        let since = |want| since(want, HOURLY, past, Some(at(50)), at(100));
        assert_eq!(since(Want::NeverCopied), Some(at(3)));
        assert_eq!(since(Want::Old), Some(at(70)));
        assert_eq!(since(Want::Unfinished), Some(at(50)));
        assert_eq!(since(Want::ClockSetBack), None);
    }

    #[test]
    fn overdue_is_a_property_of_the_last_success_or_of_there_being_none() {
        let week = Some(Duration::from_hours(24 * 7));
        let stands = |success: Option<i64>, known: Option<i64>, max_age, now| {
            let past = Past { known_since: known.map(at), ..past(success, None) };
            freshness(past.last_success, overdue_at(past, max_age), at(now))
        };
        assert_eq!(stands(None, None, week, 1_000_000), Freshness::Never);
        assert_eq!(stands(Some(0), Some(0), None, 1_000_000), Freshness::Fresh);
        for (success, known) in [(Some(0), Some(-5000)), (None, Some(0))] {
            let before = if success.is_some() { Freshness::Fresh } else { Freshness::Never };
            assert_eq!(stands(success, known, week, 7 * 24 * 60 - 1), before);
            assert_eq!(stands(success, known, week, 7 * 24 * 60), Freshness::Overdue);
        }
    }
}
