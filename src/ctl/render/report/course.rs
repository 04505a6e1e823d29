//! Size and duration over time, as bars.

use std::time::Duration;

use jiff::civil::Date;

use super::markup::Markup;
use crate::ctl::render::sparks::{calendar, grouped_days};
use crate::ctl::render::tallies::success_share;
use crate::formats::report::ReportFacts;
use crate::formats::text::{count, grouped, size, span, stopwatch};
use crate::formats::wire::{DayEntry, SyncTally};
use crate::model::Now;

/// So many bars there are at most.
const BARS: usize = 90;
/// How high the highest bar is, in hundredths of the drawing.
const HEIGHT: u64 = 100;

type CourseDay<'a> = (Date, Option<&'a DayEntry>);

/// The course of each sync over the days that were asked for.
pub fn course(page: &mut Markup, facts: &ReportFacts, now: &Now) {
    let days = usize::try_from(facts.days).unwrap_or(usize::MAX).min(3_660);
    let today = now.wall.to_zoned(now.zone.clone()).date();
    let stats = facts.history.stats.as_deref().unwrap_or_default();
    let mut nothing = true;
    for tally in stats.iter().filter(|tally| tally.bygone != Some(true)) {
        let days = calendar(&tally.days, today, days);
        if days.iter().any(|(_, day)| day.is_some_and(|day| day.ok > 0)) {
            nothing = false;
            course_of(page, tally, &days);
        }
    }
    if nothing {
        let days = count(u64::from(facts.days), "day");
        page.leaf("p", &[], &format!("No copy was made in the last {days}."));
    }
}

fn course_of(page: &mut Markup, tally: &SyncTally, days: &[CourseDay<'_>]) {
    let sizes = grouped_days(days, BARS, |days| {
        days.iter().rev().find_map(|(_, day)| day.map(|day| day.size)).filter(|size| *size > 0)
    });
    let durations = grouped_days(days, BARS, mean_duration);
    page.leaf("h3", &[], &tally.sync);
    page.nest("p", &[], |page| page.text(&numbers(tally)));
    page.nest("div", &[("class", "charts")], |page| {
        let ends = [days.first(), days.last()].map(|day| day.map_or_else(String::new, |(date, _)| date.to_string()));
        let newest = sizes.iter().rev().flatten().next().copied().unwrap_or_default();
        let oldest = sizes.iter().flatten().next().copied().unwrap_or_default();
        let sign = if newest < oldest { '−' } else { '+' };
        let grown = format!("Size: {}, {sign}{} in this time", size(newest), size(newest.abs_diff(oldest)));
        if newest > 0 {
            bars(page, &grown, &sizes, &size(sizes.iter().flatten().copied().max().unwrap_or_default()), &ends);
        }
        let longest = Duration::from_millis(durations.iter().flatten().copied().max().unwrap_or_default());
        let title = format!("Duration of a copy, each day's mean: {} at the most", stopwatch(longest));
        bars(page, &title, &durations, &stopwatch(longest), &ends);
    });
}

/// The mean duration of a success on these days, in milliseconds.
fn mean_duration(days: &[CourseDay<'_>]) -> Option<u64> {
    let sum = |of: fn(&DayEntry) -> u64| days.iter().filter_map(|(_, day)| day.map(of)).fold(0, u64::saturating_add);
    sum(|day| day.milliseconds).checked_div(sum(|day| day.ok))
}

fn numbers(tally: &SyncTally) -> String {
    let seconds = |seconds: Option<u64>| seconds.map(|seconds| span(Duration::from_secs(seconds)));
    let mut parts = vec![format!(
        "{} in all, {} and {} sent",
        count(tally.runs, "run"),
        count(tally.files_transferred, "file"),
        size(tally.bytes_transferred)
    )];
    parts.extend(success_share(tally));
    parts.extend(seconds(tally.mean_seconds).map(|mean| format!("{mean} on average")));
    if let (Some(slowest), Some(day)) = (seconds(tally.slowest_seconds), &tally.slowest_day) {
        parts.push(format!("the slowest took {slowest} on {day}"));
    }
    if tally.failed > 0 {
        parts.push(format!("{} failed", grouped(tally.failed)));
    }
    format!("{}.", parts.join("; "))
}

fn bars(page: &mut Markup, title: &str, values: &[Option<u64>], most: &str, ends: &[String; 2]) {
    let highest = values.iter().flatten().copied().max().unwrap_or_default().max(1);
    let slot = 100_000_u64.checked_div(u64::try_from(values.len()).unwrap_or(1)).unwrap_or_default();
    page.nest("figure", &[("class", "bars")], |page| {
        page.leaf("figcaption", &[], title);
        let label = format!("{title}. From {} to {}, at the most {most}.", ends[0], ends[1]);
        page.nest("svg", &[("role", "img"), ("aria-label", &label)], |page| {
            for (at, value) in (0_u64..).zip(values) {
                let Some(value) = value else { continue };
                let height = u128::from(*value) * u128::from(HEIGHT) / u128::from(highest);
                let height = u64::try_from(height).unwrap_or(HEIGHT).max(2);
                let x = thousandths(slot.saturating_mul(at));
                let (y, height) = (format!("{}%", HEIGHT.saturating_sub(height)), format!("{height}%"));
                let width = thousandths(slot.saturating_mul(4) / 5);
                page.shape("rect", &[("x", &x), ("y", &y), ("width", &width), ("height", &height)]);
            }
        });
        page.nest("div", &[("class", "axis"), ("aria-hidden", "true")], |page| {
            page.leaf("span", &[], &ends[0]);
            page.leaf("span", &[], &ends[1]);
        });
    });
}

/// Thousandths of a percent as a percentage.
fn thousandths(number: u64) -> String {
    format!("{}.{:03}%", number / 1000, number % 1000)
}
