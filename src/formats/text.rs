//! Words for people: sizes, spans of time, close names, and text that cannot harm a terminal.

use std::borrow::Cow;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::model::{CheckProof, CheckSums, Obstacle, SyncName};

/// The text with everything escaped that a terminal would obey rather than show: control characters, and the marks
/// that reorder or hide text. File names of drives and of other people may hold any of them.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unsafe) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_unsafe(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    Cow::Owned(shown)
}

/// Whether a terminal would obey a character rather than show it.
pub(in crate::formats) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            // Marks of direction, separators of lines and paragraphs, and characters without width.
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        )
}

/// A number of bytes with a binary unit and at most one decimal: `0 B`, `1.5 KiB`, `340 MiB`.
#[must_use]
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let mut whole = bytes;
    let mut rest = 0;
    let mut unit = "B";
    for name in UNITS {
        if whole < 1024 {
            break;
        }
        rest = whole % 1024;
        whole /= 1024;
        unit = name;
    }
    if whole < 100 { format!("{whole}.{} {unit}", rest * 10 / 1024) } else { format!("{whole} {unit}") }
}

/// A span of time in the unit that a person would use: `9 s`, `3 min`, `2 h`, `4 days`.
#[must_use]
pub fn span(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// How long a run took, to the second: `34 ms`, `0.4 s`, `12 s`, `3 min 5 s`, `2 h 4 min`.
#[must_use]
pub fn stopwatch(length: Duration) -> String {
    let seconds = length.as_secs();
    match seconds {
        0 if length < Duration::from_millis(100) => format!("{} ms", length.as_millis()),
        0..10 => format!("{seconds}.{} s", length.subsec_millis() / 100),
        10..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
    }
}

/// Where a moment lies, seen from now: `just now`, `3 min ago`, `in 2 h`.
#[must_use]
pub fn relative(moment: Timestamp, now: Timestamp) -> String {
    let distance = now.duration_since(moment);
    let length = distance.unsigned_abs();
    if length < Duration::from_secs(1) {
        "just now".to_owned()
    } else if distance.is_negative() {
        format!("in {}", span(length))
    } else {
        format!("{} ago", span(length))
    }
}

/// A moment as the clock on the wall shows it: `2026-11-22 18:30:00`.
#[must_use]
pub fn wall_time(moment: Timestamp, zone: &TimeZone) -> String {
    moment.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// The text with its moments to the second, `2026-11-22T17:30:00Z`, as the clock on the wall shows them. Names of
/// snapshots, which have milliseconds, stay.
#[must_use]
pub fn in_local_time(text: &str, zone: &TimeZone) -> String {
    let local = |word: &str| {
        let word = word.trim_end_matches([':', ';', ',', '.', ')']);
        let moment: Timestamp = Some(word).filter(|word| word.len() == 20 && word.ends_with('Z'))?.parse().ok()?;
        Some((word.len(), wall_time(moment, zone)))
    };
    text.split_inclusive([' ', '\n']).fold(String::with_capacity(text.len()), |mut shown, word| {
        match local(word.trim_end()) {
            Some((length, moment)) => shown.extend([moment.as_str(), word.get(length..).unwrap_or_default()]),
            None => shown.push_str(word),
        }
        shown
    })
}

/// A count with its noun: `no files`, `1 file`, `1,204 files`.
#[must_use]
pub fn count(number: u64, noun: &str) -> String {
    match number {
        0 => format!("no {noun}s"),
        1 => format!("1 {noun}"),
        _ => format!("{} {noun}s", grouped(number)),
    }
}

/// A number with commas between groups of three digits.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// Names as a person lists them: `a`, `a and b`, `a, b and c`, each in back quotes.
#[must_use]
pub fn listed<'a>(names: impl IntoIterator<Item = &'a str>, word: &str) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    let mut text = String::new();
    for (at, name) in names.iter().enumerate() {
        let between = match names.len() - at {
            _ if at == 0 => String::new(),
            1 => format!(" {word} "),
            _ => ", ".to_owned(),
        };
        // Writing to a string cannot fail.
        let _ = write!(text, "{between}`{name}`");
    }
    text
}

/// Those of the candidates that someone who typed `asked` may have meant, closest first; at most three.
pub fn closest<'a>(asked: &str, candidates: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let allowed = (asked.chars().count() / 3).max(1);
    let mut near: Vec<(usize, &str)> = candidates
        .into_iter()
        .filter_map(|candidate| {
            let is_longer = candidate.len() > asked.len() && candidate.starts_with(asked);
            let distance = if is_longer { 1 } else { strsim::levenshtein(asked, candidate) };
            (distance <= allowed).then_some((distance, candidate))
        })
        .collect();
    near.sort_unstable();
    near.truncate(3);
    near.into_iter().map(|(_, candidate)| candidate).collect()
}

/// An argument vector as one would type it in a shell; bytes that are no text are shown as their replacement.
#[must_use]
pub fn shell_words(words: &[OsString]) -> String {
    let quoted = words.iter().map(|word| {
        let text = word.to_string_lossy();
        shlex::try_quote(&text).map_or_else(|_| text.clone().into_owned(), Cow::into_owned)
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// Obstacles, each with what to do about it.
#[must_use]
pub fn obstacle_sentences(obstacles: &[Obstacle], sync: &SyncName) -> String {
    let each: Vec<_> = obstacles.iter().map(|obstacle| format!("{obstacle} ({})", obstacle.hint(sync))).collect();
    each.join("; ")
}

/// What helps where files of the source of a sync are in doubt: nobody but a person can tell which is right.
#[must_use]
pub fn doubt_remedy(sync: &str) -> String {
    format!(
        "`nbkpctl verify {sync}` names them, and `nbkpctl restore FILE --to DIR` gets what the copies hold, to \
         compare: put it back, or `touch` the file if the source is right"
    )
}

/// What is wrong with what a check has read, and what to do; `None` if nothing is.
#[must_use]
pub fn check_sentence(sync: &SyncName, sums: &CheckSums) -> Option<String> {
    let are = |number: u64| if number == 1 { "is" } else { "are" };
    match sums.proof() {
        CheckProof::Sound => None,
        CheckProof::Damaged => {
            let (what, are) = (count(sums.damaged, "file"), are(sums.damaged));
            Some(format!(
                "{what} of the copy {are} damaged; the next run writes anew what the source has: `nbkpctl run {sync}`"
            ))
        }
        CheckProof::Doubted => Some(format!(
            "{} of the source, of the same size and time as before, {} not what the copies hold, which agree: perhaps \
             the source is what is damaged; {}",
            count(sums.doubtful, "file"),
            are(sums.doubtful),
            doubt_remedy(sync.as_str())
        )),
        // There was nothing to prove.
        CheckProof::Nothing if sums.files == 0 && sums.passed_over == 0 => None,
        CheckProof::Nothing if sums.files == 0 => Some(format!(
            "no file was read, so nothing is proven: `nbkpctl verify {sync}` tells more ({} may not be read)",
            grouped(sums.passed_over)
        )),
        CheckProof::Nothing => Some(format!(
            "{} could be read back, and compared with nothing, so nothing is proven: `nbkpctl verify {sync}` tells why",
            count(sums.files, "file")
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        assert_eq!(printable("plain name é 写"), "plain name é 写");
        assert_eq!(printable("a\x1b[31mb\nc\x07"), "a\\u{1b}[31mb\\nc\\u{7}");
        assert_eq!(printable("gpj\u{202e}exe"), "gpj\\u{202e}exe");
        assert_eq!(printable("\u{9b}2J"), "\\u{9b}2J");
    }

    #[test]
    fn a_check_is_told_as_what_it_proves() {
        let told = |files, compared, damaged, doubtful| {
            let sums = CheckSums { files, compared, damaged, doubtful, passed_over: 3, ..CheckSums::default() };
            check_sentence(&"documents".parse().unwrap(), &sums)
        };
        assert_eq!(told(9, 1, 0, 0), None);
        assert_eq!(check_sentence(&"documents".parse().unwrap(), &CheckSums::default()), None, "an empty copy");
        for (sentence, start) in [
            (told(9, 9, 1, 1), "1 file of the copy is damaged; the next run"),
            (
                told(9, 9, 0, 2),
                "2 files of the source, of the same size and time as before, are not what the copies hold",
            ),
            (told(9, 0, 0, 0), "9 files could be read back, and compared with nothing, so nothing is proven"),
            (told(0, 0, 0, 0), "no file was read, so nothing is proven: `nbkpctl verify documents` tells more (3 may"),
        ] {
            assert!(sentence.as_ref().is_some_and(|it| it.starts_with(start)), "{sentence:?}");
        }
    }

    #[test]
    fn sizes_read_well() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (104_857_600, "100 MiB"),
            (u64::MAX, "15.9 EiB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn moments_are_told_from_now() {
        let now: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
        for (moment, text) in [
            ("2026-11-22T12:00:00Z", "just now"),
            ("2026-11-22T11:59:51Z", "9 s ago"),
            ("2026-11-22T11:57:00Z", "3 min ago"),
            ("2026-11-22T10:00:00Z", "2 h ago"),
            ("2026-11-13T12:00:00Z", "9 days ago"),
            ("2026-11-22T12:57:30Z", "in 57 min"),
        ] {
            assert_eq!(relative(moment.parse().unwrap(), now), text);
        }
        assert_eq!(stopwatch(Duration::from_millis(34)), "34 ms");
        assert_eq!(stopwatch(Duration::from_millis(432)), "0.4 s");
        assert_eq!(stopwatch(Duration::from_secs(185)), "3 min 5 s");
    }

    #[test]
    fn moments_in_sentences_are_told_in_local_time() {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        for (text, shown) in [
            ("the next comes at 2026-11-22T23:30:00Z: no space\n", "the next comes at 2026-11-23 00:30:00: no space\n"),
            ("2026-11-22T17:30:00Z", "2026-11-22 18:30:00"),
            ("snapshots/2026-11-22T17:30:00.000Z", "snapshots/2026-11-22T17:30:00.000Z"),
            ("/media/2026-11-22T17:30:00Z", "/media/2026-11-22T17:30:00Z"),
            ("ääääääääääääääääääZ  Z", "ääääääääääääääääääZ  Z"),
        ] {
            assert_eq!(in_local_time(text, &zone), shown);
        }
    }

    #[test]
    fn counts_and_lists_read_well() {
        assert_eq!(count(0, "file"), "no files");
        assert_eq!(count(1, "file"), "1 file");
        assert_eq!(count(1_204_567, "file"), "1,204,567 files");
        assert_eq!(listed(["a"], "and"), "`a`");
        assert_eq!(listed(["a", "b", "c"], "or"), "`a`, `b` or `c`");
    }

    #[test]
    fn close_names_are_found() {
        let names = ["documents", "photos", "photos@blue", "music"];
        assert_eq!(closest("document", names), ["documents"]);
        assert_eq!(closest("photo", names), ["photos", "photos@blue"]);
        assert!(closest("zebra", names).is_empty());
        assert_eq!(closest("kitten", ["sitten", "sittin", "sitting"]), ["sitten", "sittin"]);
        assert!(closest("", ["abc"]).len() == 1, "whoever typed nothing began with anything");
    }
}
