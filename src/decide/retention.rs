//! Which snapshots stay, and why.
//!
//! A rule keeps the newest snapshot of each of the N most recent periods that hold one, so that a machine that is often
//! away loses no history to empty days; what any rule keeps, stays.
//!
//! Each rule is asked twice: about the good snapshots, so that none of them gives way to a worse one, and about all, so
//! that a history of partial ones does not go at one stroke when the first good one comes. What the log at a
//! destination says of a snapshot can thus keep others, and makes none go that would stay without it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::model::{KeepReason, KeepRules, Retention, SnapshotName, Standing};

/// A complete snapshot at a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub name: SnapshotName,
    /// What the log at the destination says about it.
    pub standing: Standing,
}

/// What happens to one snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Its name.
    pub name: SnapshotName,
    /// Whether it stays.
    pub verdict: Fate,
}

/// Whether a snapshot stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It stays, for these reasons; never none.
    Keep(BTreeSet<KeepReason>),
    /// It goes.
    Prune(PruneReason),
}

/// Why a snapshot goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PruneReason {
    /// No rule wants it.
    Unwanted,
    /// Some of its files could not be read, and there is a newer good one.
    Partial,
    /// Something was wrong while it was made, and there is a newer good one.
    Suspect,
}

impl fmt::Display for PruneReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unwanted => "no rule of `keep` wants it",
            Self::Partial => "some of its files could not be read, and a newer complete one is there",
            Self::Suspect => "it is suspect, and a newer good one is there",
        })
    }
}

/// What happens to each snapshot, oldest first, each name once. The calendar is that of `zone`.
///
/// ```
/// use jiff::tz::TimeZone;
/// use nbkp::decide::retention::{Candidate, Fate, plan};
/// use nbkp::model::{KeepRules, Retention, Standing};
///
/// let names = ["2026-11-20T08:00:00.000Z", "2026-11-21T08:00:00.000Z", "2026-11-21T20:00:00.000Z"];
/// let snapshots = names.map(|name| Candidate { name: name.parse().unwrap(), standing: Standing::Good });
/// let daily = Retention::Rules(KeepRules { daily: 2, ..KeepRules::default() });
/// let decisions = plan(&snapshots, daily, &TimeZone::UTC, "2026-11-22T08:00:00Z".parse().unwrap());
/// let stays: Vec<bool> = decisions.iter().map(|one| matches!(one.verdict, Fate::Keep(_))).collect();
/// assert_eq!(stays, [true, false, true]);
/// ```
#[must_use]
pub fn plan(snapshots: &[Candidate], keep: Retention, zone: &TimeZone, now: Timestamp) -> Vec<Decision> {
    let snapshots: BTreeMap<SnapshotName, Standing> = snapshots.iter().map(|c| (c.name, c.standing)).collect();
    let future = |name: &SnapshotName| name.is_ahead_of(now);
    let good: Vec<SnapshotName> = (snapshots.iter().rev())
        .filter(|(name, standing)| **standing == Standing::Good && !future(name))
        .map(|(name, _)| *name)
        .collect();
    let newest_good = good.first().copied();
    let mut wanted = match keep {
        Retention::All => BTreeMap::new(),
        Retention::Rules(rules) => {
            let all: Vec<SnapshotName> = snapshots.keys().rev().filter(|name| !future(name)).copied().collect();
            let mut both = wanted(&good, rules, zone);
            for (name, reasons) in wanted(&all, rules, zone) {
                both.entry(name).or_default().extend(reasons);
            }
            both
        }
    };
    if let Some(newest) = newest_good {
        wanted.entry(newest).or_default().insert(KeepReason::Newest);
    }
    let decide = |(name, standing): (SnapshotName, Standing)| {
        let mut reasons = wanted.get(&name).cloned().unwrap_or_default();
        if future(&name) {
            reasons.insert(KeepReason::Future);
        } else if keep == Retention::All {
            reasons.insert(KeepReason::All);
        }
        let verdict = match standing {
            _ if !reasons.is_empty() => Fate::Keep(reasons),
            Standing::Good => Fate::Prune(PruneReason::Unwanted),
            Standing::Partial | Standing::Suspect if newest_good.is_none_or(|newest| newest < name) => {
                Fate::Keep(BTreeSet::from([KeepReason::NothingBetter]))
            }
            Standing::Partial => Fate::Prune(PruneReason::Partial),
            Standing::Suspect => Fate::Prune(PruneReason::Suspect),
        };
        Decision { name, verdict }
    };
    snapshots.into_iter().map(decide).collect()
}

/// What the rules want of these snapshots, which are newest first.
fn wanted(
    newest_first: &[SnapshotName],
    rules: KeepRules,
    zone: &TimeZone,
) -> BTreeMap<SnapshotName, BTreeSet<KeepReason>> {
    let mut wanted: BTreeMap<SnapshotName, BTreeSet<KeepReason>> = BTreeMap::new();
    let local: Vec<_> = newest_first.iter().map(|name| (*name, name.time().to_zoned(zone.clone()))).collect();
    for (name, _) in local.iter().take(limit(rules.last)) {
        wanted.entry(*name).or_default().insert(KeepReason::Last);
    }
    for (count, reason, period) in calendar_rules(rules) {
        let mut periods = BTreeSet::new();
        for (name, time) in &local {
            if periods.len() >= limit(count) {
                break;
            }
            // The first that is met in a period is its newest.
            if periods.insert(period(time)) {
                wanted.entry(*name).or_default().insert(reason);
            }
        }
    }
    wanted
}

/// The rules that go by the calendar: how many periods each keeps, its reason, and the period of a moment.
pub(super) fn calendar_rules(rules: KeepRules) -> [(u32, KeepReason, PeriodOf); 5] {
    [
        (rules.hourly, KeepReason::Hourly, hour),
        (rules.daily, KeepReason::Daily, day),
        (rules.weekly, KeepReason::Weekly, week),
        (rules.monthly, KeepReason::Monthly, month),
        (rules.yearly, KeepReason::Yearly, year),
    ]
}

fn limit(count: u32) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// What tells one period from another of its kind.
pub(super) type Period = (i64, i64);

/// The period in which a moment lies.
pub(super) type PeriodOf = fn(&Zoned) -> Period;

/// An hour is counted as it passes, not as the clock shows it: where the clock is set back, the hour that it shows
/// twice is two hours. Zones off by half an hour still begin their hours when the clock shows a full one.
fn hour(time: &Zoned) -> Period {
    let offset = i64::from(time.offset().seconds());
    (time.timestamp().as_second().saturating_add(offset).div_euclid(3600), offset)
}

fn day(time: &Zoned) -> Period {
    (i64::from(time.year()), i64::from(time.day_of_year()))
}

/// Weeks go from Monday to Sunday (ISO 8601); the days around New Year may belong to a week of the other year.
fn week(time: &Zoned) -> Period {
    let week = time.date().iso_week_date();
    (i64::from(week.year()), i64::from(week.week()))
}

fn month(time: &Zoned) -> Period {
    (i64::from(time.year()), i64::from(time.month()))
}

fn year(time: &Zoned) -> Period {
    (i64::from(time.year()), 0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> SnapshotName {
        let text = if text.len() == 10 { format!("{text}T12:00:00.000Z") } else { format!("{text}:00.000Z") };
        text.parse().expect("the name of a snapshot")
    }

    fn good(names: &[&str]) -> Vec<Candidate> {
        names.iter().map(|text| Candidate { name: name(text), standing: Standing::Good }).collect()
    }

    /// Zones as POSIX rules, so that no database of zones is needed.
    const UTC: &str = "UTC0";
    const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";
    const KOLKATA: &str = "IST-5:30";
    const TOKYO: &str = "JST-9";
    const ST_JOHNS: &str = "NST3:30NDT,M3.2.0,M11.1.0";

    fn zone(rule: &str) -> TimeZone {
        TimeZone::posix(rule).expect("a time zone")
    }

    fn now() -> Timestamp {
        "2030-01-01T00:00:00Z".parse().expect("a time")
    }

    /// The reasons for what stays, as `name: reason reason`, oldest first.
    fn kept(decisions: &[Decision]) -> Vec<String> {
        let line = |decision: &Decision| match &decision.verdict {
            Fate::Keep(reasons) => {
                let reasons: Vec<_> = reasons.iter().map(ToString::to_string).collect();
                Some(format!("{}: {}", decision.name.time().strftime("%FT%R"), reasons.join(" ")))
            }
            Fate::Prune(_) => None,
        };
        decisions.iter().filter_map(line).collect()
    }

    fn check(snapshots: &[Candidate], keep: KeepRules, zone_name: &str, expected: &[&str]) {
        assert_eq!(kept(&plan(snapshots, Retention::Rules(keep), &zone(zone_name), now())), expected);
    }

    #[test]
    fn a_rule_keeps_the_newest_of_each_period_that_holds_one() {
        let snapshots =
            good(&["2026-01-01", "2026-03-01T08:00", "2026-03-01T20:00", "2026-03-09", "2026-11-20", "2026-11-22"]);
        check(
            &snapshots,
            KeepRules { daily: 3, ..KeepRules::default() },
            UTC,
            &["2026-03-09T12:00: daily", "2026-11-20T12:00: daily", "2026-11-22T12:00: daily newest"],
        );
        check(
            &snapshots,
            KeepRules { monthly: 9, ..KeepRules::default() },
            UTC,
            &["2026-01-01T12:00: monthly", "2026-03-09T12:00: monthly", "2026-11-22T12:00: monthly newest"],
        );
    }

    #[test]
    fn what_any_rule_keeps_stays() {
        let snapshots = good(&["2025-12-31", "2026-11-20", "2026-11-21", "2026-11-22"]);
        let keep = KeepRules { last: 1, daily: 2, yearly: 2, ..KeepRules::default() };
        check(
            &snapshots,
            keep,
            UTC,
            &["2025-12-31T12:00: yearly", "2026-11-21T12:00: daily", "2026-11-22T12:00: last daily yearly newest"],
        );
    }

    #[test]
    fn days_are_those_of_the_local_calendar() {
        // 23:30 in Berlin on the 21st, and half past midnight on the 22nd; in UTC both are on the 21st.
        let snapshots = good(&["2026-11-21T22:30", "2026-11-21T23:30"]);
        let keep = KeepRules { daily: 2, ..KeepRules::default() };
        check(&snapshots, keep, BERLIN, &["2026-11-21T22:30: daily", "2026-11-21T23:30: daily newest"]);
        check(&snapshots, keep, UTC, &["2026-11-21T23:30: daily newest"]);
        // In Tokyo both are on the 22nd: a machine that travels may merge days, never lose the newest.
        check(&snapshots, keep, TOKYO, &["2026-11-21T23:30: daily newest"]);
    }

    #[test]
    fn an_hour_that_the_clock_shows_twice_is_two_hours() {
        // Berlin, 25 October 2026: 02:30 summer time is 00:30 UTC, 02:30 winter time is 01:30 UTC.
        let snapshots = good(&["2026-10-25T00:10", "2026-10-25T00:30", "2026-10-25T01:30"]);
        let keep = KeepRules { hourly: 5, ..KeepRules::default() };
        check(&snapshots, keep, BERLIN, &["2026-10-25T00:30: hourly", "2026-10-25T01:30: hourly newest"]);
        // And that day, 25 hours long, is one day.
        let keep = KeepRules { daily: 5, ..KeepRules::default() };
        let ends = good(&["2026-10-24T22:00", "2026-10-25T22:59"]);
        check(&ends, keep, BERLIN, &["2026-10-25T22:59: daily newest"]);
    }

    #[test]
    fn hours_begin_when_the_clock_shows_a_full_one() {
        // Kolkata is 5:30 ahead: 10:29 and 10:31 UTC are 15:59 and 16:01 there.
        let snapshots = good(&["2026-05-01T10:29", "2026-05-01T10:31", "2026-05-01T11:01"]);
        let keep = KeepRules { hourly: 5, ..KeepRules::default() };
        check(&snapshots, keep, KOLKATA, &["2026-05-01T10:29: hourly", "2026-05-01T11:01: hourly newest"]);
    }

    #[test]
    fn weeks_go_from_monday_to_sunday_across_the_year() {
        // Monday 29 December 2025 to Sunday 4 January 2026 is one week.
        let snapshots = good(&["2025-12-28", "2025-12-29", "2026-01-04", "2026-01-05"]);
        let keep = KeepRules { weekly: 9, ..KeepRules::default() };
        check(
            &snapshots,
            keep,
            UTC,
            &["2025-12-28T12:00: weekly", "2026-01-04T12:00: weekly", "2026-01-05T12:00: weekly newest"],
        );
    }

    #[test]
    fn good_ones_give_way_to_no_worse_and_others_stay_while_nothing_better_is_there() {
        let mut snapshots = good(&["2026-11-18", "2026-11-20"]);
        for (day, standing) in [
            ("2026-11-19", Standing::Partial),
            ("2026-11-21", Standing::Suspect),
            ("2026-11-22", Standing::Partial),
            ("2026-11-23", Standing::Partial),
        ] {
            snapshots.push(Candidate { name: name(day), standing });
        }
        let decisions =
            plan(&snapshots, Retention::Rules(KeepRules { last: 2, ..KeepRules::default() }), &zone(UTC), now());
        assert_eq!(
            kept(&decisions),
            [
                "2026-11-18T12:00: last",
                "2026-11-20T12:00: last newest",
                "2026-11-21T12:00: nothing-better",
                "2026-11-22T12:00: last",
                "2026-11-23T12:00: last",
            ]
        );
        assert_eq!(decisions[1].verdict, Fate::Prune(PruneReason::Partial));
    }

    #[test]
    fn why_a_snapshot_goes_is_its_own_reason() {
        let standings = [Standing::Good, Standing::Partial, Standing::Suspect, Standing::Good];
        let days = ["2026-11-18", "2026-11-19", "2026-11-20", "2026-11-21"];
        let snapshots = days.into_iter().zip(standings).map(|(day, standing)| Candidate { name: name(day), standing });
        let keep = Retention::Rules(KeepRules { last: 1, ..KeepRules::default() });
        let decisions = plan(&snapshots.collect::<Vec<_>>(), keep, &zone(UTC), now());
        let reasons: Vec<_> = decisions.into_iter().map(|decision| decision.verdict).collect();
        assert_eq!(
            reasons.get(..3),
            Some([PruneReason::Unwanted, PruneReason::Partial, PruneReason::Suspect].map(Fate::Prune).as_slice())
        );
        let words = [PruneReason::Partial, PruneReason::Suspect].map(|reason| reason.to_string());
        assert!(words[0].contains("could not be read") && words[1].contains("suspect"), "{words:?}");
    }

    #[test]
    fn a_history_of_partial_ones_outlives_the_first_good_one() {
        let days = ["2026-11-18", "2026-11-19", "2026-11-20", "2026-11-21"];
        let mut snapshots: Vec<_> =
            days.into_iter().map(|day| Candidate { name: name(day), standing: Standing::Partial }).collect();
        snapshots.extend(good(&["2026-11-22"]));
        check(
            &snapshots,
            KeepRules { daily: 3, ..KeepRules::default() },
            UTC,
            &["2026-11-20T12:00: daily", "2026-11-21T12:00: daily", "2026-11-22T12:00: daily newest"],
        );
    }

    #[test]
    fn a_clock_far_ahead_makes_nothing_vanish() {
        let snapshots = good(&["2026-11-20", "2026-11-21", "2099-01-01"]);
        let keep = Retention::Rules(KeepRules { last: 1, ..KeepRules::default() });
        assert_eq!(
            kept(&plan(&snapshots, keep, &zone(UTC), now())),
            ["2026-11-21T12:00: last newest", "2099-01-01T12:00: future"]
        );
    }

    #[test]
    fn without_rules_all_stay() {
        let decisions = plan(&good(&["2026-11-20", "2026-11-21"]), Retention::All, &zone(UTC), now());
        assert_eq!(kept(&decisions), ["2026-11-20T12:00: all", "2026-11-21T12:00: newest all"]);
        assert_eq!(plan(&[], Retention::All, &zone(UTC), now()), []);
    }

    fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
        let standing =
            prop_oneof![4 => Just(Standing::Good), 1 => Just(Standing::Partial), 1 => Just(Standing::Suspect)];
        // Around `now` (1,893,456,000) and the years before it, dense enough that periods hold several.
        let minute = prop_oneof![31_500_000_i64..31_558_000, 31_557_000_i64..31_558_000];
        let candidate = (minute, standing).prop_map(|(minute, standing)| {
            let time = Timestamp::from_second(minute * 60).expect("a time");
            Candidate { name: SnapshotName::next(time, None), standing }
        });
        // The log at a destination has one word on each snapshot.
        let unique = |list: Vec<Candidate>| {
            let by_name: BTreeMap<_, _> = list.into_iter().map(|c| (c.name, c)).collect();
            by_name.into_values().collect::<Vec<_>>()
        };
        prop::collection::vec(candidate, 0..40).prop_map(unique)
    }

    fn keeps() -> impl Strategy<Value = Retention> {
        let count = || prop_oneof![Just(0_u32), 0_u32..8];
        let rules = (count(), count(), count(), count(), count(), count());
        let rules = rules.prop_map(|(last, hourly, daily, weekly, monthly, yearly)| {
            Retention::Rules(KeepRules { last, hourly, daily, weekly, monthly, yearly })
        });
        prop_oneof![9 => rules, 1 => Just(Retention::All)]
    }

    fn zones() -> impl Strategy<Value = TimeZone> {
        prop::sample::select(vec![UTC, BERLIN, KOLKATA, ST_JOHNS]).prop_map(zone)
    }

    fn stays(decisions: &[Decision], name: SnapshotName) -> bool {
        decisions.iter().any(|d| d.name == name && matches!(d.verdict, Fate::Keep(_)))
    }

    proptest! {
        #[test]
        fn the_newest_good_one_and_those_of_the_future_always_stay(
            snapshots in candidates(), keep in keeps(), zone in zones(),
        ) {
            let decisions = plan(&snapshots, keep, &zone, now());
            prop_assert_eq!(decisions.len(), snapshots.len());
            let good = snapshots.iter().filter(|c| c.standing == Standing::Good && !c.name.is_ahead_of(now()));
            let newest = good.map(|c| c.name).max();
            for candidate in &snapshots {
                let must = candidate.name.is_ahead_of(now())
                    || Some(candidate.name) >= newest
                    || keep == Retention::All;
                prop_assert!(!must || stays(&decisions, candidate.name));
            }
        }

        #[test]
        fn never_fewer_good_ones_stay_than_a_rule_asks(snapshots in candidates(), keep in keeps(), zone in zones()) {
            let decisions = plan(&snapshots, keep, &zone, now());
            let good = snapshots.iter().filter(|c| c.standing == Standing::Good && !c.name.is_ahead_of(now()));
            let good: Vec<_> = good.collect();
            let staying = good.iter().filter(|c| stays(&decisions, c.name)).count();
            if let Retention::Rules(rules) = keep {
                prop_assert!(staying >= good.len().min(limit(rules.last)));
                let days: BTreeSet<_> = good.iter().map(|c| day(&c.name.time().to_zoned(zone.clone()))).collect();
                prop_assert!(staying >= days.len().min(limit(rules.daily)));
            }
        }

        #[test]
        fn what_the_log_says_makes_none_go(snapshots in candidates(), keep in keeps(), zone in zones()) {
            let decisions = plan(&snapshots, keep, &zone, now());
            let all_good: Vec<_> = snapshots.iter().map(|c| Candidate { standing: Standing::Good, ..*c }).collect();
            for decision in plan(&all_good, keep, &zone, now()) {
                prop_assert!(matches!(decision.verdict, Fate::Prune(_)) || stays(&decisions, decision.name));
            }
        }

        #[test]
        fn what_stayed_stays_next_time(snapshots in candidates(), keep in keeps(), zone in zones()) {
            let decisions = plan(&snapshots, keep, &zone, now());
            let left: Vec<_> = snapshots.iter().copied().filter(|c| stays(&decisions, c.name)).collect();
            let again = plan(&left, keep, &zone, now());
            prop_assert!(again.iter().all(|d| matches!(d.verdict, Fate::Keep(_))));
        }

        #[test]
        fn the_order_of_the_list_does_not_matter(
            (sorted, shuffled) in candidates().prop_flat_map(|list| (Just(list.clone()), Just(list).prop_shuffle())),
            keep in keeps(), zone in zones(),
        ) {
            prop_assert_eq!(plan(&sorted, keep, &zone, now()), plan(&shuffled, keep, &zone, now()));
        }
    }
}
