//! Durations and sizes as people write them: `15m`, `1h30m`, `5M`.

use std::fmt::Write as _;
use std::time::Duration;

/// Why a text is not a duration or a size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QuantityError {
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
    /// A number is missing where one is needed.
    #[error("there is no number before {0:?}")]
    NoNumber(String),
    /// A number is followed by no unit.
    #[error("there is no unit behind {0}")]
    NoUnit(String),
    /// The unit is none of ours.
    #[error("{0:?} is not a unit")]
    Unit(String),
    /// A fraction.
    #[error("it holds a fraction; use a smaller unit")]
    Fraction,
    /// The parts do not go from the largest unit to the smallest, each at most once.
    #[error("its parts must go from the largest unit to the smallest")]
    Order,
    /// More than can be counted, or longer than a hundred years.
    #[error("it is too large")]
    TooLarge,
}

/// Units of time in milliseconds, largest first.
const UNITS: [(&str, u64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

/// A hundred years: what is added to a date must stay a date.
const LONGEST: u64 = 36_525 * 86_400_000;

/// Reads a duration: one or several numbers with units `w d h m s ms`, largest first, such as `90s` or `1h30m`.
///
/// ```
/// use std::time::Duration;
///
/// use nbkp::formats::duration::{format, parse};
///
/// assert_eq!(parse("1h30m"), Ok(Duration::from_mins(90)));
/// assert_eq!(format(Duration::from_mins(90)), "1h30m");
/// assert!(parse("30m1h").is_err());
/// ```
pub fn parse(text: &str) -> Result<Duration, QuantityError> {
    let mut rest = text.trim();
    let mut total: u64 = 0;
    let mut smallest = u64::MAX;
    if rest.is_empty() {
        return Err(QuantityError::Empty);
    }
    while !rest.is_empty() {
        let (number, unit, after) = part(rest)?;
        let Some((_, scale)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(QuantityError::Unit(unit.to_owned()));
        };
        if *scale >= smallest {
            return Err(QuantityError::Order);
        }
        smallest = *scale;
        let milliseconds = number.checked_mul(*scale).and_then(|part| total.checked_add(part));
        total = milliseconds.filter(|sum| *sum <= LONGEST).ok_or(QuantityError::TooLarge)?;
        rest = after.trim_start();
    }
    Ok(Duration::from_millis(total))
}

/// The number and the unit at the beginning of a text, and what follows them.
fn part(text: &str) -> Result<(u64, &str, &str), QuantityError> {
    let (digits, rest) = leading(text, |c| c.is_ascii_digit());
    if rest.starts_with(['.', ',']) {
        return Err(QuantityError::Fraction);
    }
    if digits.is_empty() {
        return Err(QuantityError::NoNumber(rest.chars().take(16).collect()));
    }
    let number = digits.parse().map_err(|_| QuantityError::TooLarge)?;
    let (unit, after) = leading(rest, |c| !c.is_ascii_digit() && !c.is_whitespace());
    if unit.is_empty() {
        return Err(QuantityError::NoUnit(digits.to_owned()));
    }
    Ok((number, unit, after))
}

/// Divides a text behind its leading characters of one kind.
fn leading(text: &str, kind: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !kind(c)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// Writes a duration so that [`parse`] reads the same one, to the millisecond: `90m` as `1h30m`, `28d` as `28d`.
#[must_use]
pub fn format(duration: Duration) -> String {
    let mut rest = u64::try_from(duration.as_millis()).unwrap_or(LONGEST).min(LONGEST);
    let mut text = String::new();
    // Days are not gathered into weeks: people say "28 days" as often as "4 weeks", and never "4 weeks and 2 days".
    for (name, scale) in UNITS.iter().skip(1) {
        let (count, left) = (rest / scale, rest % scale);
        rest = left;
        if count > 0 {
            let _ = write!(text, "{count}{name}");
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// Units of size as rsync reads them, largest first: a bare letter and `KiB` count in 1024, `KB` in 1000.
const SIZES: [(&str, u64); 12] = [
    ("T", 1 << 40),
    ("G", 1 << 30),
    ("M", 1 << 20),
    ("K", 1 << 10),
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
];

/// Reads a size in bytes: a number, with or without a unit, such as `2M` or `500`.
pub fn parse_size(text: &str) -> Result<u64, QuantityError> {
    let text = text.trim();
    let (digits, rest) = leading(text, |c| c.is_ascii_digit());
    if text.is_empty() {
        return Err(QuantityError::Empty);
    }
    if digits.is_empty() {
        return Err(QuantityError::NoNumber(rest.chars().take(16).collect()));
    }
    if rest.starts_with(['.', ',']) {
        return Err(QuantityError::Fraction);
    }
    let unit = rest.trim_start();
    let scale = match SIZES.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)) {
        Some((_, scale)) => *scale,
        None if unit.is_empty() || unit.eq_ignore_ascii_case("B") => 1,
        None => return Err(QuantityError::Unit(unit.to_owned())),
    };
    let number: u64 = digits.parse().map_err(|_| QuantityError::TooLarge)?;
    number.checked_mul(scale).ok_or(QuantityError::TooLarge)
}

/// Writes a size so that [`parse_size`] reads the same one, in the largest unit that divides it.
#[must_use]
pub fn format_size(bytes: u64) -> String {
    let letters = SIZES.iter().take(4);
    match letters.into_iter().find(|(_, scale)| bytes > 0 && bytes.is_multiple_of(*scale)) {
        Some((name, scale)) => format!("{}{name}", bytes / scale),
        None => bytes.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("0s", 0),
            ("90s", 90),
            ("15m", 900),
            ("2h", 7_200),
            ("7d", 604_800),
            ("4w", 2_419_200),
            ("1h30m", 5_400),
            ("1h 30m", 5_400),
            (" 1w2d3h4m5s ", 788_645),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse("1s500ms"), Ok(Duration::from_millis(1_500)));
    }

    #[test]
    fn what_is_no_duration_is_refused_with_the_reason() {
        for (text, reason) in [
            ("", QuantityError::Empty),
            ("  ", QuantityError::Empty),
            ("5", QuantityError::NoUnit("5".to_owned())),
            ("h", QuantityError::NoNumber("h".to_owned())),
            ("-5m", QuantityError::NoNumber("-5m".to_owned())),
            ("5y", QuantityError::Unit("y".to_owned())),
            ("5M", QuantityError::Unit("M".to_owned())),
            ("1.5h", QuantityError::Fraction),
            ("30m1h", QuantityError::Order),
            ("1m1m", QuantityError::Order),
            ("99999999999999999999s", QuantityError::TooLarge),
            ("9999999999w", QuantityError::TooLarge),
            ("5000w5000w", QuantityError::Order),
        ] {
            assert_eq!(parse(text), Err(reason), "{text:?}");
        }
    }

    #[test]
    fn sizes_are_read_as_rsync_reads_them() {
        for (text, bytes) in [
            ("500", 500),
            ("500B", 500),
            ("2M", 2 * 1024 * 1024),
            ("2m", 2 * 1024 * 1024),
            ("1 GiB", 1024 * 1024 * 1024),
            ("5MB", 5_000_000),
            ("1T", 1 << 40),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "M", "1.5M", "5X", "-1", "99999999999T"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_are_written_without_weeks() {
        for (seconds, text) in [(0, "0s"), (5_400, "1h30m"), (2_419_200, "28d"), (90, "1m30s")] {
            assert_eq!(format(Duration::from_secs(seconds)), text);
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(milliseconds in 0..=LONGEST, bytes: u64) {
            let duration = Duration::from_millis(milliseconds);
            prop_assert_eq!(parse(&format(duration)), Ok(duration));
            prop_assert_eq!(parse_size(&format_size(bytes)), Ok(bytes));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,20}") {
            let _ = parse(&text);
            let _ = parse_size(&text);
        }
    }
}
