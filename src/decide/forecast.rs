//! When snapshots will go, if copies go on to be made as often as the last ones were.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::decide::retention::{Candidate, Fate, Period, PeriodOf, calendar_rules, plan};
use crate::model::{KeepReason, KeepRules, Retention, SnapshotName, Standing};

/// So many of the newest snapshots tell how often one is made.
const PACE_OF: usize = 9;

/// So many moments ahead are looked at for one rule. What would go later has no moment.
const AHEAD: u32 = 5_000;

/// When no rule will want each snapshot any more, about. Those that go with the next prune have no moment, and neither
/// have those that stay for ever, or whose moment is too far ahead to tell.
#[must_use]
pub fn departures(
    snapshots: &[Candidate],
    keep: Retention,
    zone: &TimeZone,
    now: Timestamp,
) -> BTreeMap<SnapshotName, Timestamp> {
    let Retention::Rules(rules) = keep else { return BTreeMap::new() };
    let past = |snapshot: &&Candidate| !snapshot.name.is_ahead_of(now);
    let mut all: Vec<SnapshotName> = snapshots.iter().filter(past).map(|snapshot| snapshot.name).collect();
    all.sort_unstable_by(|one, other| other.cmp(one));
    let mut good: Vec<SnapshotName> =
        snapshots.iter().filter(past).filter(|one| one.standing == Standing::Good).map(|one| one.name).collect();
    good.sort_unstable_by(|one, other| other.cmp(one));
    let Some(course) = Course::of(&all, now) else { return BTreeMap::new() };
    let mut ends: BTreeMap<SnapshotName, Option<Timestamp>> = BTreeMap::new();
    let lists = if good == all { vec![&all] } else { vec![&all, &good] };
    for list in lists {
        for (name, end) in ends_by_rules(list, rules, zone, &course) {
            let known = ends.entry(name).or_insert(end);
            // What one rule keeps for longer than can be told, stays that long.
            *known = known.and_then(|known| Some(known.max(end?)));
        }
    }
    let next = course.moment(1);
    let mut departures = BTreeMap::new();
    for decision in plan(snapshots, keep, zone, now) {
        let Fate::Keep(reasons) = decision.verdict else { continue };
        if reasons.contains(&KeepReason::Future) || reasons.contains(&KeepReason::All) {
            continue;
        }
        // The newest good one, and one without a better, go when the next is made.
        if let Some(end) = ends.get(&decision.name).copied().unwrap_or(next) {
            departures.insert(decision.name, end);
        }
    }
    departures
}

/// How snapshots go on to be made.
struct Course {
    first: Timestamp,
    pace: Duration,
}

impl Course {
    /// At the usual pace of the newest ones; one that is due by it is made now.
    fn of(newest_first: &[SnapshotName], now: Timestamp) -> Option<Self> {
        let newest: Vec<Timestamp> = newest_first.iter().take(PACE_OF).map(|name| name.time()).collect();
        let gaps = newest.iter().zip(newest.iter().skip(1)).map(|(newer, older)| newer.duration_since(*older));
        let mut gaps: Vec<Duration> = gaps.map(jiff::SignedDuration::unsigned_abs).collect();
        gaps.sort_unstable();
        let pace = gaps.get(gaps.len() / 2).copied()?.max(Duration::from_mins(1));
        let first = newest.first()?.checked_add(pace).ok()?.max(now);
        Some(Self { first, pace })
    }

    /// When so many more will have been made, beginning with one; `None` beyond all calendars.
    fn moment(&self, number: u32) -> Option<Timestamp> {
        self.first.checked_add(self.pace.saturating_mul(number.saturating_sub(1))).ok()
    }

    /// When each of so many periods will have its first snapshot, beginning with the first that is not `current`.
    fn openings(
        &self,
        (count, period, length): (u32, PeriodOf, Duration),
        current: Period,
        zone: &TimeZone,
    ) -> Vec<Timestamp> {
        let mut openings = Vec::new();
        // Within a period nothing happens: it is enough to look as often as its end has to be known.
        let stride = (length / 32).as_secs().checked_div(self.pace.as_secs()).unwrap_or(1).max(1);
        let stride = u32::try_from(stride).unwrap_or(u32::MAX);
        let mut current = current;
        for step in 0..AHEAD {
            let wanted = usize::try_from(count).unwrap_or(usize::MAX);
            let Some(moment) = self.moment(step.saturating_mul(stride).saturating_add(1)) else { break };
            if openings.len() >= wanted {
                break;
            }
            let now = period(&moment.to_zoned(zone.clone()));
            if now != current {
                openings.push(moment);
                current = now;
            }
        }
        openings
    }
}

/// How long a period is at the least.
fn shortest(reason: KeepReason) -> Duration {
    let days = match reason {
        KeepReason::Hourly => return Duration::from_hours(1),
        KeepReason::Weekly => 7,
        KeepReason::Monthly => 28,
        KeepReason::Yearly => 365,
        KeepReason::Daily
        | KeepReason::Last
        | KeepReason::Newest
        | KeepReason::NothingBetter
        | KeepReason::All
        | KeepReason::Future => 1,
    };
    Duration::from_hours(days * 24)
}

/// When the last of the rules lets go of each of these snapshots that one of them keeps; `None` if that is too far off.
fn ends_by_rules(
    newest_first: &[SnapshotName],
    rules: KeepRules,
    zone: &TimeZone,
    course: &Course,
) -> BTreeMap<SnapshotName, Option<Timestamp>> {
    let mut ends: BTreeMap<SnapshotName, Option<Timestamp>> = BTreeMap::new();
    let mut add = |name: SnapshotName, end: Option<Timestamp>| {
        let known = ends.entry(name).or_insert(end);
        *known = known.and_then(|known| Some(known.max(end?)));
    };
    for (name, ahead) in newest_first.iter().zip((1..=rules.last).rev()) {
        add(*name, course.moment(ahead));
    }
    let local: Vec<(SnapshotName, Zoned)> =
        newest_first.iter().map(|name| (*name, name.time().to_zoned(zone.clone()))).collect();
    for (count, reason, period) in calendar_rules(rules) {
        let mut kept: Vec<(SnapshotName, Period)> = local.iter().map(|(name, time)| (*name, period(time))).collect();
        // The first that is met in a period is its newest.
        kept.dedup_by_key(|(_, period)| *period);
        let Some((newest, current)) = kept.first().copied().filter(|_| count > 0) else { continue };
        let openings = course.openings((count, period, shortest(reason)), current, zone);
        for ((name, _), left) in kept.iter().zip((0..usize::try_from(count).unwrap_or(usize::MAX)).rev()) {
            let next = course.moment(1).filter(|next| period(&next.to_zoned(zone.clone())) == current);
            let end = openings.get(left).copied();
            // Another one takes the place of the newest while its period lasts.
            add(*name, if *name == newest { next.or(end) } else { end });
        }
    }
    ends
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn name(text: &str) -> SnapshotName {
        format!("{text}:00.000Z").parse().unwrap()
    }

    fn zone() -> TimeZone {
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
    }

    /// When each snapshot goes if one is made at each beat and pruned behind each, by the rules themselves.
    fn lived_through(
        start: &[Candidate],
        keep: Retention,
        beat: Duration,
        beats: u32,
    ) -> BTreeMap<SnapshotName, Timestamp> {
        let mut there = start.to_vec();
        let mut gone = BTreeMap::new();
        let newest = start.iter().map(|one| one.name).max().unwrap().time();
        for number in 1..=beats {
            let now = newest + beat * number;
            there.push(Candidate { name: SnapshotName::next(now, None), standing: Standing::Good });
            let pruned: BTreeSet<SnapshotName> = plan(&there, keep, &zone(), now)
                .into_iter()
                .filter(|decision| matches!(decision.verdict, Fate::Prune(_)))
                .map(|decision| decision.name)
                .collect();
            there.retain(|one| !pruned.contains(&one.name));
            gone.extend(
                pruned.into_iter().filter(|name| start.iter().any(|one| one.name == *name)).map(|name| (name, now)),
            );
        }
        gone
    }

    #[test]
    fn what_is_foretold_is_what_the_rules_do_when_time_goes_by() {
        let beat = Duration::from_hours(6);
        for (rules, first) in [
            (KeepRules { last: 3, daily: 4, ..KeepRules::default() }, "2026-03-20T05:00"),
            (KeepRules { hourly: 2, daily: 3, weekly: 2, monthly: 2, ..KeepRules::default() }, "2026-09-01T23:00"),
            (KeepRules { weekly: 3, ..KeepRules::default() }, "2026-12-01T11:00"),
        ] {
            let keep = Retention::Rules(rules);
            let mut there: Vec<Candidate> = Vec::new();
            for number in 0..240 {
                let time = name(first).time() + beat * number;
                let standing = if number % 7 == 3 { Standing::Partial } else { Standing::Good };
                there.push(Candidate { name: SnapshotName::next(time, None), standing });
                let decisions = plan(&there, keep, &zone(), time);
                there.retain(|one| {
                    decisions.iter().any(|other| other.name == one.name && matches!(other.verdict, Fate::Keep(_)))
                });
            }
            let dense = there.last().unwrap().name.time();
            // The pace is read from the newest ones, of which rules for long periods leave no neighbours.
            let course = Course { first: dense + beat, pace: beat };
            let all: Vec<SnapshotName> = there.iter().rev().map(|one| one.name).collect();
            let told = ends_by_rules(&all, rules, &zone(), &course);
            let real = lived_through(&there, keep, beat, 4 * 120);
            let good = there.iter().filter(|one| one.standing == Standing::Good);
            let mut compared = 0;
            for snapshot in good {
                let (Some(Some(told)), Some(real)) = (told.get(&snapshot.name), real.get(&snapshot.name)) else {
                    continue;
                };
                compared += 1;
                let off = told.duration_since(*real).unsigned_abs();
                assert!(off <= Duration::from_hours(24), "{}: told {told}, was {real}", snapshot.name);
            }
            assert!(compared >= 2, "{compared} compared for {rules:?}");
        }
    }

    #[test]
    fn the_pace_is_that_of_the_newest_and_a_drive_in_a_drawer_is_waited_for() {
        let daily = ["2026-11-01T12:00", "2026-11-18T12:00", "2026-11-19T12:00", "2026-11-20T12:00"];
        let snapshots = daily.map(|text| Candidate { name: name(text), standing: Standing::Good });
        let keep = Retention::Rules(KeepRules { last: 2, ..KeepRules::default() });
        let told = |now: &str| departures(&snapshots, keep, &zone(), now.parse().unwrap());
        let moment = |text: &str| text.parse::<Timestamp>().unwrap();
        let expected =
            |one: &str, two: &str| BTreeMap::from([(name(daily[2]), moment(one)), (name(daily[3]), moment(two))]);
        assert_eq!(told("2026-11-20T13:00:00Z"), expected("2026-11-21T12:00:00Z", "2026-11-22T12:00:00Z"));
        assert_eq!(told("2026-12-24T13:00:00Z"), expected("2026-12-24T13:00:00Z", "2026-12-25T13:00:00Z"));
    }

    #[test]
    fn what_stays_for_ever_and_what_is_alone_have_no_moment() {
        let one = [Candidate { name: name("2026-11-20T12:00"), standing: Standing::Good }];
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        let rules = Retention::Rules(KeepRules { daily: 3, ..KeepRules::default() });
        assert_eq!(departures(&one, rules, &zone(), now), BTreeMap::new());
        let more = [one[0], Candidate { name: name("2026-11-20T18:00"), ..one[0] }];
        assert_eq!(departures(&more, Retention::All, &zone(), now), BTreeMap::new());
        let ahead = [more[0], more[1], Candidate { name: name("2027-01-01T00:00"), ..one[0] }];
        let told = departures(&ahead, rules, &zone(), now);
        assert_eq!(told.keys().map(ToString::to_string).collect::<Vec<_>>(), ["2026-11-20T18:00:00.000Z"]);
    }
}
