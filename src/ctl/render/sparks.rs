//! Rows of numbers as rows of small bars, and the days that they are made of.

use jiff::ToSpan as _;
use jiff::civil::Date;

use crate::formats::wire::DayEntry;

/// The bars, the lowest first.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// What stands where there is no number.
const NOTHING: char = '·';

/// Numbers as bars; where there is none, a dot. The highest bar is the largest number, and none is lower than zero.
#[must_use]
pub fn sparks(numbers: &[Option<u64>]) -> String {
    let most = numbers.iter().flatten().copied().max().unwrap_or_default();
    let bar = |number: u64| {
        let level = u128::from(number) * 7 / u128::from(most.max(1));
        usize::try_from(level).ok().and_then(|level| BARS.get(level).copied()).unwrap_or(NOTHING)
    };
    numbers.iter().map(|number| number.map_or(NOTHING, bar)).collect()
}

/// The last so many days up to this one, oldest first: those without a run have no entry.
#[must_use]
pub fn calendar(days: &[DayEntry], last: Date, count: usize) -> Vec<(Date, Option<&DayEntry>)> {
    let mut dates: Vec<Date> = Vec::with_capacity(count);
    let mut date = last;
    for _ in 0..count {
        dates.push(date);
        match date.checked_sub(1.day()) {
            Ok(before) => date = before,
            Err(_) => break,
        }
    }
    // Days are ordered by their names, which are dates.
    let entry = |date: Date| {
        let name = date.to_string();
        days.binary_search_by(|day| day.day.as_str().cmp(&name)).ok().and_then(|at| days.get(at))
    };
    dates.into_iter().rev().map(|date| (date, entry(date))).collect()
}

/// The days in at most so many groups of equal length, oldest first, with what each comes to; the last one is whole.
#[must_use]
pub fn grouped_days<T>(
    days: &[(Date, Option<&DayEntry>)],
    groups: usize,
    sum: impl Fn(&[(Date, Option<&DayEntry>)]) -> T,
) -> Vec<T> {
    let length = days.len().div_ceil(groups.max(1)).max(1);
    let mut sums: Vec<T> = days.rchunks(length).map(sum).collect();
    sums.reverse();
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_bars_and_gaps_are_dots() {
        assert_eq!(sparks(&[Some(0), Some(7), None, Some(14)]), "▁▄·█");
        assert_eq!(sparks(&[Some(0), Some(0)]), "▁▁");
        assert_eq!(sparks(&[Some(u64::MAX), Some(u64::MAX / 2)]), "█▄");
        assert_eq!(sparks(&[]), "");
    }

    #[test]
    fn the_calendar_has_every_day_and_groups_of_them() {
        let entry = |day: &str, ok| DayEntry { day: day.into(), ok, ..DayEntry::default() };
        let days = [entry("2026-02-27", 2), entry("2026-03-01", 3)];
        let calendar = calendar(&days, "2026-03-02".parse().unwrap(), 5);
        let found: Vec<_> = calendar.iter().map(|(date, day)| (date.day(), day.map(|day| day.ok))).collect();
        assert_eq!(found, [(26, None), (27, Some(2)), (28, None), (1, Some(3)), (2, None)]);
        let sums =
            |groups| grouped_days(&calendar, groups, |days| days.iter().filter_map(|day| day.1).map(|d| d.ok).sum());
        let (two, all): (Vec<u64>, Vec<u64>) = (sums(2), sums(9));
        assert_eq!((two, all), (vec![2, 3], vec![0, 2, 0, 3, 0]));
    }
}
