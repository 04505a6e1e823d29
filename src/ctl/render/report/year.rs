//! The last year of each sync as a calendar on a wall: a small month for each month, a shape for each day.

use std::collections::BTreeMap;

use jiff::ToSpan as _;
use jiff::civil::Date;

use super::markup::Markup;
use crate::formats::report::ReportFacts;
use crate::formats::text::{count, listed};
use crate::formats::wire::{DayEntry, SyncTally};
use crate::model::Now;

/// So many months are shown, this one included.
const MONTHS: i32 = 12;
/// From the edge of one day to that of the next.
const STEP: i32 = 13;
/// So many days that did not go well are told in words, the newest of them.
const TOLD: usize = 60;

/// What a day comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DayIs {
    /// Something was copied.
    Copied,
    /// The copy was complete already.
    Unchanged,
    /// Something was copied, and some other run did not go well.
    Mixed,
    /// What was copied lacks files that could not be read.
    Partial,
    /// No run got further than an interruption.
    Interrupted,
    /// A guard stopped all.
    Held,
    /// All runs failed.
    Failed,
    /// There was no run.
    Away,
}

/// What there is, each with its shape, its word, and what it means.
const KINDS: [(DayIs, &str, &str); 8] = [
    (DayIs::Copied, "copied", "copied"),
    (DayIs::Unchanged, "unchanged", "nothing new"),
    (DayIs::Mixed, "mixed", "copied, and another run went wrong"),
    (DayIs::Partial, "partial", "copied in part: files could not be read"),
    (DayIs::Interrupted, "interrupted", "interrupted"),
    (DayIs::Held, "held", "held"),
    (DayIs::Failed, "failed", "failed"),
    (DayIs::Away, "away", "no run"),
];

impl DayIs {
    /// What the sums of a day come to. A day is copied or unchanged only if nothing went wrong on it.
    #[must_use]
    pub fn of(day: Option<&DayEntry>) -> Self {
        let Some(day) = day else { return Self::Away };
        let wrong = [day.failed, day.held, day.interrupted].iter().any(|count| *count > 0);
        match (day.ok, wrong) {
            (0, _) if day.failed > 0 => Self::Failed,
            (0, _) if day.held > 0 => Self::Held,
            (0, _) if day.interrupted > 0 => Self::Interrupted,
            (0, _) => Self::Away,
            _ if day.partial.unwrap_or_default() > 0 => Self::Partial,
            (_, true) => Self::Mixed,
            (ok, false) if ok == day.unchanged => Self::Unchanged,
            (_, false) => Self::Copied,
        }
    }

    fn shape(self) -> &'static str {
        KINDS.iter().find(|(kind, ..)| *kind == self).map_or("away", |(_, shape, _)| shape)
    }

    fn word(self) -> &'static str {
        KINDS.iter().find(|(kind, ..)| *kind == self).map_or("no run", |(.., word)| word)
    }

    /// Whether a person may want to know of the day.
    fn is_told(self) -> bool {
        match self {
            Self::Mixed | Self::Partial | Self::Interrupted | Self::Held | Self::Failed => true,
            Self::Copied | Self::Unchanged | Self::Away => false,
        }
    }
}

/// The calendars, below what the shapes mean.
pub fn year(page: &mut Markup, facts: &ReportFacts, now: &Now) {
    page.nest("ul", &[("class", "legend"), ("aria-label", "What the shapes mean")], |page| {
        for (_, shape, word) in KINDS {
            page.nest("li", &[], |page| {
                page.nest("svg", &[("class", "day"), ("viewBox", "0 0 11 11"), ("aria-hidden", "true")], |page| {
                    page.shape("use", &[("href", &format!("#day-{shape}"))]);
                });
                page.text(word);
            });
        }
    });
    let today = now.wall.to_zoned(now.zone.clone()).date();
    let ours = facts.history.stats.iter().flatten();
    let (shown, bygone): (Vec<&SyncTally>, Vec<&SyncTally>) = ours.partition(|tally| tally.bygone != Some(true));
    for tally in &shown {
        calendar_of(page, tally, today);
    }
    let names = facts.status.syncs.iter().map(|sync| sync.name.as_str());
    let silent: Vec<_> = names.filter(|name| shown.iter().all(|tally| tally.sync != *name)).collect();
    for (names, what) in [
        (silent, "Of these history knows no run: "),
        (bygone.iter().map(|tally| tally.sync.as_str()).collect(), "These left the configuration: "),
    ] {
        if !names.is_empty() {
            page.nest("p", &[], |page| page.sentence(&format!("{what}{}.", listed(names, "and"))));
        }
    }
}

/// The first days of the months that are shown, oldest first.
fn months(today: Date) -> Vec<Date> {
    let first = today.first_of_month();
    (0..MONTHS).rev().filter_map(|back| first.checked_sub(back.months()).ok()).collect()
}

fn calendar_of(page: &mut Markup, tally: &SyncTally, today: Date) {
    let days = by_date(tally);
    let months = months(today);
    let each = each_day(&days, months.first().copied().unwrap_or(today), today);
    page.nest("figure", &[("class", "calendar")], |page| {
        page.nest("figcaption", &[], |page| {
            page.leaf("h3", &[], &tally.sync);
            page.text(&summary(&each));
        });
        page.nest("div", &[("class", "months")], |page| {
            for first in &months {
                let days = each.iter().filter(|(date, _)| date.first_of_month() == *first);
                month(page, *first, &days.copied().collect::<Vec<_>>());
            }
        });
        told(page, &each, &days);
    });
}

fn by_date(tally: &SyncTally) -> BTreeMap<Date, &DayEntry> {
    tally.days.iter().filter_map(|day| Some((day.day.parse().ok()?, day))).collect()
}

/// What each day comes to, from the first that history knows of up to this one.
fn each_day(days: &BTreeMap<Date, &DayEntry>, begin: Date, today: Date) -> Vec<(Date, DayIs)> {
    let known = days.keys().next().copied().unwrap_or(today).max(begin);
    let mut each = Vec::new();
    let mut date = known;
    while date <= today {
        each.push((date, DayIs::of(days.get(&date).copied())));
        match date.tomorrow() {
            Ok(next) => date = next,
            Err(_) => break,
        }
    }
    each
}

/// How many days came to what.
fn summary(days: &[(Date, DayIs)]) -> String {
    let number = |kind: DayIs| u64::try_from(days.iter().filter(|(_, is)| *is == kind).count()).unwrap_or(u64::MAX);
    let parts: Vec<String> = KINDS
        .iter()
        .filter(|(kind, ..)| number(*kind) > 0)
        .map(|(kind, _, word)| format!("{word} on {}", count(number(*kind), "day")))
        .collect();
    parts.join("; ")
}

fn month(page: &mut Markup, first: Date, days: &[(Date, DayIs)]) {
    let offset = i32::from(first.weekday().to_monday_zero_offset());
    let name = first.strftime("%B %Y").to_string();
    let label = if days.is_empty() { format!("{name}: not known") } else { format!("{name}: {}", summary(days)) };
    let attributes = [("class", "month"), ("viewBox", "0 0 91 91"), ("role", "img"), ("aria-label", label.as_str())];
    page.nest("div", &[], |page| {
        let short = first.strftime(if first.month() == 1 { "%b %Y" } else { "%b" }).to_string();
        page.leaf("div", &[("class", "name"), ("aria-hidden", "true")], &short);
        page.nest("svg", &attributes, |page| {
            for (date, is) in days {
                let place = offset.saturating_add(i32::from(date.day())).saturating_sub(1);
                let (x, y) = (place % 7 * STEP + 1, place / 7 * STEP + 1);
                let shape = format!("#day-{}", is.shape());
                let (x, y) = (x.to_string(), y.to_string());
                let attributes = [("href", shape.as_str()), ("x", x.as_str()), ("y", y.as_str())];
                if is.is_told() {
                    page.nest("use", &attributes, |page| {
                        page.leaf("title", &[], &format!("{}: {}", date.strftime("%-d %B"), is.word()));
                    });
                } else {
                    page.shape("use", &attributes);
                }
            }
        });
    });
}

/// The days that did not go well, in words.
fn told(page: &mut Markup, each: &[(Date, DayIs)], days: &BTreeMap<Date, &DayEntry>) {
    let wrong: Vec<&(Date, DayIs)> = each.iter().rev().filter(|(_, is)| is.is_told()).collect();
    if wrong.is_empty() {
        return;
    }
    page.nest("details", &[], |page| {
        let number = u64::try_from(wrong.len()).unwrap_or(u64::MAX);
        page.leaf("summary", &[], &format!("{} that did not go well", count(number, "day")));
        page.nest("ul", &[("class", "days")], |page| {
            for (date, is) in wrong.iter().take(TOLD) {
                let runs = days.get(date).map_or_else(String::new, |day| runs(day));
                page.leaf("li", &[], &format!("{}: {} ({runs})", date.strftime("%-d %B %Y"), is.word()));
            }
        });
        if wrong.len() > TOLD {
            page.nest("p", &[], |page| page.sentence("`nbkpctl history` tells of the rest."));
        }
    });
}

fn runs(day: &DayEntry) -> String {
    let parts = [
        (day.ok, "ok"),
        (day.partial.unwrap_or_default(), "of them partial"),
        (day.failed, "failed"),
        (day.interrupted, "interrupted"),
        (day.held, "held"),
    ];
    let told: Vec<String> =
        parts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
    told.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(name: &str) -> DayEntry {
        DayEntry { day: name.into(), ..DayEntry::default() }
    }

    #[test]
    fn a_day_is_well_only_if_nothing_went_wrong_on_it() {
        let ok = DayEntry { ok: 3, ..day("2026-11-22") };
        let check = |day: &DayEntry, expected: DayIs| assert_eq!(DayIs::of(Some(day)), expected, "{day:?}");
        check(&ok, DayIs::Copied);
        check(&DayEntry { unchanged: 2, ..ok.clone() }, DayIs::Copied);
        check(&DayEntry { unchanged: 3, ..ok.clone() }, DayIs::Unchanged);
        check(&DayEntry { failed: 1, ..ok.clone() }, DayIs::Mixed);
        check(&DayEntry { held: 1, ..ok.clone() }, DayIs::Mixed);
        check(&DayEntry { interrupted: 1, unchanged: 3, ..ok.clone() }, DayIs::Mixed);
        check(&DayEntry { partial: Some(1), ..ok.clone() }, DayIs::Partial);
        check(&DayEntry { partial: Some(1), failed: 2, ..ok }, DayIs::Partial);
        check(&DayEntry { failed: 1, interrupted: 1, held: 1, ..day("2026-11-22") }, DayIs::Failed);
        check(&DayEntry { interrupted: 1, held: 1, ..day("2026-11-22") }, DayIs::Held);
        check(&DayEntry { interrupted: 1, ..day("2026-11-22") }, DayIs::Interrupted);
        check(&DayEntry { skipped: 1, ..day("2026-11-22") }, DayIs::Away);
        assert_eq!(DayIs::of(None), DayIs::Away);
        let green: Vec<&str> = KINDS.iter().filter(|(kind, ..)| !kind.is_told()).map(|(_, shape, _)| *shape).collect();
        assert_eq!(green, ["copied", "unchanged", "away"]);
    }

    #[test]
    fn a_calendar_has_each_day_once_also_where_the_clock_is_set_and_in_leap_years() {
        let today: Date = "2028-10-30".parse().unwrap();
        let tally = SyncTally { days: vec![day("2020-01-01")], ..SyncTally::default() };
        let months = months(today);
        assert_eq!(
            (months.len(), months[0].to_string(), months[11].to_string()),
            (12, "2027-11-01".into(), "2028-10-01".into())
        );
        let each = each_day(&by_date(&tally), months[0], today);
        // 30 + 31 of 2027; 366 of 2028 without November, December and the 31st of October.
        assert_eq!(each.len(), 61 + 366 - 62);
        assert!(each.windows(2).all(|pair| pair[0].0.tomorrow().unwrap() == pair[1].0));
        for there in ["2028-02-29", "2028-03-26", "2028-10-29", "2028-10-30"] {
            assert_eq!(each.iter().filter(|(date, _)| date.to_string() == there).count(), 1, "{there}");
        }
        let mut page = Markup::default();
        let february: Vec<_> = each.iter().filter(|(date, _)| date.month() == 2).copied().collect();
        month(&mut page, months[3], &february);
        let html = page.finish();
        // The first was a Tuesday, the 29th too.
        assert_eq!((february.len(), html.matches("<use ").count()), (29, 29));
        assert!(html.contains("x=\"14\" y=\"1\"") && html.contains("x=\"14\" y=\"53\""), "{html}");
        assert!(html.contains("aria-label=\"February 2028: no run on 29 days\""), "{html}");
    }

    #[test]
    fn what_was_before_the_first_run_is_not_called_away() {
        let today: Date = "2026-11-22".parse().unwrap();
        let tally = SyncTally { days: vec![DayEntry { ok: 1, ..day("2026-11-20") }], ..SyncTally::default() };
        let each = each_day(&by_date(&tally), "2025-12-01".parse().unwrap(), today);
        assert_eq!(each.iter().map(|(_, is)| *is).collect::<Vec<_>>(), [DayIs::Copied, DayIs::Away, DayIs::Away]);
        assert_eq!(summary(&each), "copied on 1 day; no run on 2 days");
    }
}
