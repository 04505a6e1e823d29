//! What the runs of the past come to: numbers, and their course as small bars.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;

use super::page::{Page, Tone, paint};
use super::sparks::{calendar, grouped_days, sparks};
use super::table::{Column, Row, table};
use crate::ctl::fold::elided;
use crate::formats::text::{count, grouped, listed, printable, relative, size, span};
use crate::formats::wire::{DayEntry, Moment, SourceCopies, SyncTally};
use crate::model::Now;

/// So many days the bars show at most, and so many bars there are at most.
const DAYS: usize = 360;
const SPARKS: usize = 30;
/// So wide is a directory at most.
const WIDEST: usize = 50;

/// The days of a calendar.
type CalendarDay<'a> = (Date, Option<&'a DayEntry>);

/// Each sync with its numbers, then where the copies of each source are.
#[must_use]
pub fn tallies(stats: &[SyncTally], sources: &[SourceCopies], now: &Now, room: Option<usize>) -> String {
    let mut page = Page::default();
    for tally in stats {
        page.gap();
        block(tally, now, &mut page);
    }
    if !sources.is_empty() {
        page.gap();
        page.block(&copies(sources, now, room));
    }
    page.finish()
}

fn block(tally: &SyncTally, now: &Now, page: &mut Page) {
    let title = paint(Tone::Title, printable(&tally.sync));
    let bygone = if tally.bygone == Some(true) { ", not in the configuration any more" } else { "" };
    page.line(format!("{title}  {}{bygone}", outcomes(tally)));
    let days = shown_days(tally, now);
    let bars = |of: &dyn Fn(&[CalendarDay<'_>]) -> Option<u64>| sparks(&grouped_days(&days, SPARKS, of));
    let mut line = |name: &str, bars: String, text: String| {
        let bars = paint(Tone::Busy, bars);
        page.line(format!("    {name:<9}{bars}  {text}"));
    };
    if let Some(found) = tally.size {
        line("size", bars(&newest_size), format!("{}{}", size(found), growth(&days, found)));
    }
    if tally.ok > 0 {
        let rate = rate(tally).map_or_else(String::new, |rate| format!(", {}/s", size(rate)));
        let sent = format!("{}, {}{rate}", count(tally.files_transferred, "file"), size(tally.bytes_transferred));
        line("sent", bars(&|days| sum(days, |day| day.bytes)), sent);
        for (at, heavy) in tally.heaviest.iter().enumerate() {
            let name = if at == 0 { "most of" } else { "" };
            let directory = elided(&printable(&heavy.directory), WIDEST);
            line(name, String::new(), format!("{directory}  {}", size(heavy.bytes)));
        }
        line("duration", bars(&mean), durations(tally));
    }
    line("success", bars(&success), success_share(tally).unwrap_or_else(|| "no run has come to an end".to_owned()));
    page.line(format!("    {:<9}{}", "data", data(tally, now)));
}

fn outcomes(tally: &SyncTally) -> String {
    let since = tally.days.first().map_or_else(String::new, |day| format!(" since {}", printable(&day.day)));
    let mut parts = vec![format!("{} ok", grouped(tally.ok))];
    let more = [
        (tally.unchanged.unwrap_or_default(), "of them without news"),
        (tally.failed, "failed"),
        (tally.interrupted, "interrupted"),
        (tally.held, "held"),
    ];
    parts
        .extend(more.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{} {what}", grouped(*count))));
    format!("{}{since}: {}", count(tally.runs, "run"), parts.join(", "))
}

/// The days from the first run on, as far as they are shown.
fn shown_days<'a>(tally: &'a SyncTally, now: &Now) -> Vec<CalendarDay<'a>> {
    let today = now.wall.to_zoned(now.zone.clone()).date();
    let all = calendar(&tally.days, today, DAYS);
    all.into_iter().skip_while(|(_, day)| day.is_none()).collect()
}

fn sum(days: &[CalendarDay<'_>], what: impl Fn(&DayEntry) -> u64) -> Option<u64> {
    days.iter().filter_map(|(_, day)| day.map(&what)).reduce(u64::saturating_add)
}

fn newest_size(days: &[CalendarDay<'_>]) -> Option<u64> {
    days.iter().rev().filter_map(|(_, day)| day.map(|day| day.size)).find(|size| *size > 0)
}

fn mean(days: &[CalendarDay<'_>]) -> Option<u64> {
    sum(days, |day| day.milliseconds)?.checked_div(sum(days, |day| day.ok)?)
}

fn success(days: &[CalendarDay<'_>]) -> Option<u64> {
    let ended = sum(days, |day| day.ok.saturating_add(day.failed).saturating_add(day.interrupted))?;
    sum(days, |day| day.ok)?.saturating_mul(100).checked_div(ended)
}

/// By how much it grew in the last days, and in how many.
fn growth(days: &[CalendarDay<'_>], now: u64) -> String {
    let month = days.len().saturating_sub(31);
    let before = days
        .iter()
        .enumerate()
        .skip(month)
        .find_map(|(at, (_, day))| day.filter(|day| day.size > 0).map(|day| (days.len() - 1 - at, day.size)));
    match before {
        Some((ago, was)) if ago > 0 => {
            let sign = if was <= now { '+' } else { '−' };
            let ago = u64::try_from(ago).unwrap_or_default();
            format!(", {sign}{} in {}", size(now.abs_diff(was)), count(ago, "day"))
        }
        Some(_) | None => String::new(),
    }
}

/// Bytes a second, where the runs were long enough to tell.
fn rate(tally: &SyncTally) -> Option<u64> {
    let milliseconds = tally.days.iter().map(|day| day.milliseconds).fold(0, u64::saturating_add);
    let bytes = tally.bytes_transferred.saturating_mul(1000);
    (milliseconds >= 10_000).then(|| bytes.checked_div(milliseconds))?
}

fn durations(tally: &SyncTally) -> String {
    let of =
        |seconds: Option<u64>| seconds.map_or_else(|| "-".to_owned(), |seconds| span(Duration::from_secs(seconds)));
    let day = tally.slowest_day.as_deref().map_or_else(String::new, |day| format!(" on {}", printable(day)));
    format!("{} on average, {} at the most{day}", of(tally.mean_seconds), of(tally.slowest_seconds))
}

/// The share of what came to an end, of which a hold and a skip are none.
#[must_use]
pub fn success_share(tally: &SyncTally) -> Option<String> {
    let ended = tally.ok.saturating_add(tally.failed).saturating_add(tally.interrupted);
    let percent = tally.ok.saturating_mul(100).checked_div(ended)?;
    Some(format!("{percent} % of the runs made their copy"))
}

/// From when the data is, and when it came; or that there is none.
#[must_use]
pub fn data(tally: &SyncTally, now: &Now) -> String {
    let Some(Moment(arrived)) = tally.last_success else { return "none was copied so far".to_owned() };
    let of = match tally.data_of {
        Some(Moment(of)) => format!("of {}", clock_time(of, now)),
        None if tally.bygone == Some(true) => return format!("arrived {}", relative(arrived, now.wall)),
        None => "of a time that history does not reach back to".to_owned(),
    };
    let through = if tally.through.is_empty() {
        String::new()
    } else {
        format!(", through {}", listed(tally.through.iter().map(String::as_str), "and"))
    };
    printable(&format!("{of}, arrived {}{through}", relative(arrived, now.wall))).into_owned()
}

/// A moment as one speaks of it: `today 18:02`, `Tuesday 18:02`, `2026-11-03 18:02`.
#[must_use]
pub fn clock_time(moment: Timestamp, now: &Now) -> String {
    let (then, today) = (moment.to_zoned(now.zone.clone()), now.wall.to_zoned(now.zone.clone()).date());
    let days = today.since(then.date()).map_or(i32::MAX, |span| span.get_days());
    match days {
        0 => then.strftime("today %H:%M").to_string(),
        1..7 => then.strftime("%A %H:%M").to_string(),
        _ => then.strftime("%Y-%m-%d %H:%M").to_string(),
    }
}

fn copies(sources: &[SourceCopies], now: &Now, room: Option<usize>) -> String {
    let columns = [
        Column::Names("SOURCE"),
        Column::Numbers("COPIES"),
        Column::Numbers("MEDIA"),
        Column::Numbers("OFF-SITE"),
        Column::Words("NEWEST DATA"),
        Column::Words("OLDEST DATA"),
    ];
    let age = |moment: Option<Moment>| moment.map_or_else(|| "none".to_owned(), |at| relative(at.0, now.wall));
    let rows = sources.iter().map(|source| Row {
        cells: vec![
            source.source.clone(),
            format!("{} of {}", source.copied.len(), source.syncs.len()),
            source.media.to_string(),
            source.off_site.to_string(),
            age(source.newest),
            age(source.oldest),
        ],
        tone: if source.copied.is_empty() { Tone::Bad } else { Tone::Plain },
    });
    table(&columns, &rows.collect::<Vec<_>>(), room)
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;

    use super::super::page::plain;
    use super::*;
    use crate::formats::wire::HeavyEntry;
    use crate::model::BootTime;

    fn now() -> Now {
        Now {
            boot: BootTime::default(),
            wall: "2026-11-22T17:30:00Z".parse().unwrap(),
            zone: TimeZone::fixed(jiff::tz::offset(0)),
        }
    }

    fn moment(text: &str) -> Moment {
        Moment(text.parse().unwrap())
    }

    fn heavy(directory: &str, bytes: u64) -> HeavyEntry {
        HeavyEntry { directory: directory.into(), bytes }
    }

    fn day(name: &str, ok: u64, failed: u64, bytes: u64, size: u64) -> DayEntry {
        DayEntry { day: name.into(), ok, failed, bytes, size, milliseconds: ok * 6_000, ..DayEntry::default() }
    }

    #[test]
    fn the_course_of_a_sync_is_told_in_bars_and_numbers() {
        let mail = SyncTally {
            sync: "mail".into(),
            runs: 5,
            ok: 4,
            failed: 1,
            files_transferred: 1204,
            bytes_transferred: 3 << 20,
            mean_seconds: Some(6),
            last_success: Some(moment("2026-11-22T14:30:00Z")),
            unchanged: Some(1),
            size: Some(6 << 20),
            slowest_seconds: Some(125),
            slowest_day: Some("2026-11-20".into()),
            data_of: Some(moment("2026-11-17T18:02:00Z")),
            through: vec!["home".into()],
            heaviest: vec![heavy("sent\u{1b}/2026", 2 << 20), heavy(&"deep/".repeat(20), 4096)],
            days: vec![
                day("2026-11-19", 1, 0, 1 << 20, 4 << 20),
                day("2026-11-20", 2, 0, 2 << 20, 5 << 20),
                day("2026-11-22", 1, 1, 0, 6 << 20),
            ],
            ..SyncTally::default()
        };
        let gone = SyncTally { sync: "old".into(), runs: 1, held: 1, bygone: Some(true), ..SyncTally::default() };
        let source = SourceCopies {
            source: "laptop:mail".into(),
            syncs: vec!["home".into(), "mail".into()],
            copied: vec!["mail".into()],
            media: 2,
            off_site: 1,
            newest: Some(moment("2026-11-17T18:02:00Z")),
            oldest: None,
        };
        let expected = "\
mail  5 runs since 2026-11-19: 4 ok, 1 of them without news, 1 failed
    size     ▅▆·█  6.0 MiB, +2.0 MiB in 3 days
    sent     ▄█·▁  1,204 files, 3.0 MiB, 128 KiB/s
    most of    sent\\u{1b}/2026  2.0 MiB
               deep/deep/deep/deep/deep/…eep/deep/deep/deep/deep/  4.0 KiB
    duration ██·█  6 s on average, 2 min at the most on 2026-11-20
    success  ██·▄  80 % of the runs made their copy
    data     of Tuesday 18:02, arrived 3 h ago, through `home`

old  1 run: 0 ok, 1 held, not in the configuration any more
    success    no run has come to an end
    data     none was copied so far

SOURCE       COPIES  MEDIA  OFF-SITE  NEWEST DATA  OLDEST DATA
laptop:mail  1 of 2      2         1  4 days ago   none
";
        let text = plain(&tallies(&[mail, gone], &[source], &now(), Some(80)));
        assert_eq!(text, expected);
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }

    #[test]
    fn moments_are_told_as_one_speaks_of_them() {
        let told = |text: &str| clock_time(text.parse().unwrap(), &now());
        assert_eq!(told("2026-11-22T00:02:00Z"), "today 00:02");
        assert_eq!(told("2026-11-16T18:02:00Z"), "Monday 18:02");
        assert_eq!(told("2026-11-15T18:02:00Z"), "2026-11-15 18:02");
        assert_eq!(told("2026-11-23T18:02:00Z"), "2026-11-23 18:02");
    }
}
