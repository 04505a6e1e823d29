//! Moments of the past, as people write them: `yesterday 18:00`, `3d`, `2026-11-20`, the name of a snapshot.

use jiff::civil::{Date, DateTime, Time};
use jiff::{SignedDuration, Timestamp, ToSpan as _};

use super::duration;
use crate::model::Now;

/// What can be written.
const FORMS: &str =
    "write it like `yesterday 18:00`, `3d`, `2026-11-20`, `2026-11-20 18:00`, or as a snapshot is called";

/// The moment that a text means. A day without a time means its end; a length of time, so long ago.
pub fn parse(text: &str, now: &Now) -> Result<Timestamp, String> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let found = match words.as_slice() {
        ["now"] => Some(now.wall),
        [word] | [word, "ago"] if duration::parse(word).is_ok() => ago(word, now),
        [one] => one.parse().ok().or_else(|| day(one, now).and_then(|day| local(end_of(day), now))).or_else(|| {
            let moment = one.parse::<DateTime>().ok().filter(|_| one.contains(['T', 't']));
            moment.or_else(|| time(one).map(|time| today(now).to_datetime(time))).and_then(|moment| local(moment, now))
        }),
        [first, second] => {
            let moment = day(first, now).zip(time(second)).map(|(day, time)| day.to_datetime(time));
            moment.and_then(|moment| local(moment, now))
        }
        _ => None,
    };
    found.ok_or_else(|| format!("`{text}` is no moment; {FORMS}"))
}

fn ago(word: &str, now: &Now) -> Option<Timestamp> {
    let length = SignedDuration::try_from(duration::parse(word).ok()?).ok()?;
    now.wall.checked_sub(length).ok()
}

fn today(now: &Now) -> Date {
    now.wall.to_zoned(now.zone.clone()).date()
}

fn day(word: &str, now: &Now) -> Option<Date> {
    match word {
        "today" => Some(today(now)),
        "yesterday" => today(now).checked_sub(1.day()).ok(),
        // `2026-11-20T18:00` would be read as its day.
        _ if word.len() == 10 => word.parse().ok(),
        _ => None,
    }
}

/// `18:00` or `18:00:30`.
fn time(word: &str) -> Option<Time> {
    let numbers: Vec<i8> = word.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    match numbers.as_slice() {
        [hour, minute] => Time::new(*hour, *minute, 0, 0).ok(),
        [hour, minute, second] => Time::new(*hour, *minute, *second, 0).ok(),
        _ => None,
    }
}

fn end_of(day: Date) -> DateTime {
    day.to_datetime(Time::MAX)
}

fn local(moment: DateTime, now: &Now) -> Option<Timestamp> {
    moment.to_zoned(now.zone.clone()).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::BootTime;

    #[test]
    fn people_write_moments_in_many_ways() {
        let now = Now {
            boot: BootTime(Duration::ZERO),
            wall: "2026-11-22T17:30:00Z".parse().unwrap(),
            zone: jiff::tz::TimeZone::fixed(jiff::tz::offset(1)),
        };
        for (text, meant) in [
            ("now", "2026-11-22T17:30:00Z"),
            ("3d", "2026-11-19T17:30:00Z"),
            ("1h30m ago", "2026-11-22T16:00:00Z"),
            ("yesterday 18:00", "2026-11-21T17:00:00Z"),
            ("yesterday", "2026-11-21T22:59:59.999999999Z"),
            ("today", "2026-11-22T22:59:59.999999999Z"),
            ("today 07:05:09", "2026-11-22T06:05:09Z"),
            ("09:15", "2026-11-22T08:15:00Z"),
            ("2026-11-20", "2026-11-20T22:59:59.999999999Z"),
            ("2026-11-20 18:00", "2026-11-20T17:00:00Z"),
            ("2026-11-20T18:00", "2026-11-20T17:00:00Z"),
            ("2026-11-20T18:00:00.000Z", "2026-11-20T18:00:00Z"),
            ("2026-11-20T18:00:00+02:00", "2026-11-20T16:00:00Z"),
        ] {
            assert_eq!(parse(text, &now), Ok(meant.parse().unwrap()), "{text}");
        }
        for text in ["", "soon", "3", "25:00", "2026-13-01", "tomorrow", "2026-11-20 noon", "yesterday 18:00 sharp"] {
            assert!(parse(text, &now).is_err_and(|why| why.contains("is no moment")), "{text}");
        }
    }
}
