//! The last year of each sync as a calendar on a wall: a small month for each month, a shape for each day.

use std::collections::BTreeMap;

use jiff::ToSpan as _;
use jiff::civil::Date;

use super::markup::Markup;
use crate::formats::report::Facts;
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
pub fn year(page: &mut Markup, facts: &Facts, now: &Now) {
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
    shown.iter().for_each(|tally| calendar_of(page, tally, today));
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
    let days: BTreeMap<Date, &DayEntry> =
        tally.days.iter().filter_map(|day| Some((day.day.parse().ok()?, day))).collect();
    let months = months(today);
    let begin = months.first().copied().unwrap_or(today);
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
