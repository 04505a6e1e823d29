//! What rsync writes on its standard output: progress, items, statistics.
//!
//! Progress records end in a carriage return, items in a line feed, and one read brings both. Names are escaped by
//! rsync and stand last, behind a word of ours, so that no name can pass for something else.

use std::borrow::Cow;

use crate::model::{Figures, Progress, Step};

/// Splits a stream into lines and keeps no line longer than 64 KiB.
#[derive(Debug, Default)]
pub struct Lines {
    rest: Vec<u8>,
}

/// The longest line that is kept; the rest of a longer one is dropped.
const LONGEST: usize = 64 * 1024;

impl Lines {
    /// Takes a piece of the stream and tells of every line that it ends.
    pub fn feed(&mut self, bytes: &[u8], mut line: impl FnMut(&[u8])) {
        let mut pieces = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).peekable();
        while let Some(piece) = pieces.next() {
            let room = LONGEST.saturating_sub(self.rest.len());
            self.rest.extend_from_slice(piece.get(..room.min(piece.len())).unwrap_or_default());
            if pieces.peek().is_some() {
                if !self.rest.is_empty() {
                    line(&self.rest);
                }
                self.rest.clear();
            }
        }
    }

    /// Tells of the last line, if the stream did not end it.
    pub fn finish(&mut self, mut line: impl FnMut(&[u8])) {
        if !self.rest.is_empty() {
            line(&self.rest);
            self.rest.clear();
        }
    }
}

/// What one line says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputLine {
    /// How far the copy is.
    Progress(Progress),
    /// An entry was deleted.
    Deleted(String),
    /// An entry was created or changed: how, as rsync itemises it (`--itemize-changes` in `rsync(1)`), and its name.
    Changed(Item),
    /// A directory stays because it is not empty.
    KeptDirectory,
    /// A number of the closing statistics.
    Statistic(Statistic, u64),
    /// The number of entries of the source, and how many of them are regular files.
    Entries(u64, u64),
    /// Something that nothing follows from.
    Nothing,
}

/// An entry that was created or changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What about it was changed, as rsync itemises it (rsync(1), `--itemize-changes`).
    pub how: String,
    /// The bytes of file data that belong to it; 0 unless data was sent.
    pub bytes: u64,
    /// Its name, as rsync escapes it.
    pub name: String,
}

impl Item {
    fn read(item: &str) -> Self {
        let mut parts = item.split('|');
        let how = parts.next().unwrap_or_default().to_owned();
        let size = parts.next().and_then(|size| size.trim().parse().ok()).unwrap_or(0);
        let bytes = if how.starts_with(['<', '>']) { size } else { 0 };
        let (name, target) = name(item);
        Self { how, bytes, name: name + target }
    }
}

/// The closing statistics that are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Statistic {
    /// Entries that were not at the destination before.
    Created,
    /// Entries that were deleted there.
    Deleted,
    /// Regular files whose data was sent.
    Transferred,
    /// Bytes of all files.
    Size,
    /// Bytes of data that had to be sent.
    Literal,
}

/// The `--out-format` whose lines this file understands.
///
/// Two slashes end the name: no name holds them, but any may hold the arrow before the target of a link.
pub const ITEM_FORMAT: &str = "%o|%i|%l|%b|%n//%L";

/// What a line says.
#[must_use]
pub fn said(line: &[u8]) -> OutputLine {
    let text = &*escaped(line);
    if let Some(item) = text.strip_prefix("del.|") {
        return OutputLine::Deleted(name(item).0);
    }
    if let Some(item) = text.strip_prefix("send|").or_else(|| text.strip_prefix("recv|")) {
        return OutputLine::Changed(Item::read(item));
    }
    if text.starts_with("cannot delete non-empty directory: ") {
        return OutputLine::KeptDirectory;
    }
    if text.starts_with(' ') {
        return progress(text).map_or(OutputLine::Nothing, OutputLine::Progress);
    }
    statistic(text).unwrap_or(OutputLine::Nothing)
}

/// The name of an item, which follows the third bar, with a slash at its end if it is a directory, and where it points.
fn name(item: &str) -> (String, &str) {
    let whole = item.splitn(4, '|').nth(3).unwrap_or_default();
    match whole.split_once("//") {
        None => (whole.to_owned(), ""),
        Some((name, rest)) => match rest.strip_prefix('/') {
            Some(target) => (format!("{name}/"), target),
            None => (name.to_owned(), rest),
        },
    }
}

/// A line as text: what is not, is escaped as rsync escapes it.
fn escaped(line: &[u8]) -> Cow<'_, str> {
    let mut text = Cow::Borrowed("");
    for chunk in line.utf8_chunks() {
        text += chunk.valid();
        for byte in chunk.invalid() {
            text += Cow::Owned(format!("\\#{byte:03o}"));
        }
    }
    text
}

/// The bytes of a name that rsync escaped: `\#` and three octal digits are one of them.
#[must_use]
pub fn bytes_of_name(escaped: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.as_bytes();
    while let [first, behind @ ..] = rest {
        let digits = rest.strip_prefix(b"\\#").and_then(|digits| digits.get(..3));
        let code = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        if let (Some(code), Some(after)) = (code, rest.get(5..)) {
            bytes.push(code);
            rest = after;
        } else {
            bytes.push(*first);
            rest = behind;
        }
    }
    bytes
}

/// `     3000000  99%    1.38GB/s    0:00:00 (xfr#1, to-chk=4/6)`.
fn progress(text: &str) -> Option<Progress> {
    let mut words = text.split_ascii_whitespace();
    let bytes = words.next()?.parse().ok()?;
    let percent = words.next()?.strip_suffix('%')?.parse::<u8>().ok()?.min(100);
    let rate = words.next().and_then(rate)?;
    let eta_seconds = words.next().and_then(seconds);
    Some(Progress { step: Step::Copy, percent: Some(percent), bytes, rate, eta_seconds })
}

/// `1.38GB/s`, in steps of 1024.
fn rate(text: &str) -> Option<u64> {
    let text = text.strip_suffix("B/s")?;
    let (number, unit) = match text.strip_suffix(['k', 'M', 'G', 'T']) {
        Some(number) => (number, text.chars().last()?),
        None => (text, ' '),
    };
    let (whole, hundredths) = number.split_once('.').unwrap_or((number, "0"));
    let hundredths = format!("{hundredths:0<2}").get(..2)?.parse::<u64>().ok()?;
    let hundredfold = whole.parse::<u64>().ok()?.checked_mul(100)?.checked_add(hundredths)?;
    let factor = match unit {
        'k' => 1 << 10,
        'M' => 1 << 20,
        'G' => 1 << 30,
        'T' => 1 << 40,
        _ => 1,
    };
    Some(hundredfold.checked_mul(factor)? / 100)
}

/// `1:02:03`.
fn seconds(text: &str) -> Option<u64> {
    text.split(':').try_fold(0_u64, |sum, part| sum.checked_mul(60)?.checked_add(part.parse().ok()?))
}

fn statistic(text: &str) -> Option<OutputLine> {
    let (label, value) = text.split_once(": ")?;
    let mut words = value.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty());
    let number = words.next()?.parse().ok()?;
    let which = match label {
        "Number of files" => {
            let files = value.split_once("reg: ").and_then(|(_, rest)| {
                rest.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok())
            });
            return Some(OutputLine::Entries(number, files.unwrap_or(0)));
        }
        "Number of created files" => Statistic::Created,
        "Number of deleted files" => Statistic::Deleted,
        "Number of regular files transferred" => Statistic::Transferred,
        "Total file size" => Statistic::Size,
        "Literal data" => Statistic::Literal,
        _ => return None,
    };
    Some(OutputLine::Statistic(which, number))
}

/// What the output of one rsync adds up to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// What goes to history.
    pub figures: Figures,
    /// Entries that were not there before.
    pub created: u64,
    /// Regular files of the source.
    pub regular_files: u64,
    /// Directories that stay because they are not empty.
    pub kept_directories: u64,
    /// Entries that were reported as deleted, also in a dry run.
    pub deleted_items: u64,
}

impl Tally {
    /// Adds what a line said.
    pub fn add(&mut self, said: &OutputLine) {
        match said {
            OutputLine::Progress(_) | OutputLine::Changed(..) | OutputLine::Nothing => {}
            OutputLine::Deleted(_) => self.deleted_items = self.deleted_items.saturating_add(1),
            OutputLine::KeptDirectory => self.kept_directories = self.kept_directories.saturating_add(1),
            // rsync counts the directory that it copies, which is not an entry of it.
            OutputLine::Entries(all, files) => {
                self.figures.entries = all.saturating_sub(1);
                self.regular_files = *files;
            }
            OutputLine::Statistic(which, number) => match which {
                Statistic::Created => self.created = *number,
                Statistic::Deleted => self.figures.deletions = *number,
                Statistic::Transferred => self.figures.files_transferred = *number,
                Statistic::Size => self.figures.size = *number,
                Statistic::Literal => self.figures.bytes_transferred = *number,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let mut splitter = Lines::default();
        let mut seen = Vec::new();
        for piece in pieces {
            splitter.feed(piece, |line| seen.push(String::from_utf8_lossy(line).into_owned()));
        }
        splitter.finish(|line| seen.push(String::from_utf8_lossy(line).into_owned()));
        seen
    }

    #[test]
    fn records_and_items_come_in_any_pieces() {
        let whole: &[u8] = b"\r   32768   1%    0.00kB/s    0:00:00  \r 3000000  99%\nsend|>f+++++++++|2|45|f\nend";
        let once = lines(&[whole]);
        assert_eq!(once.len(), 4);
        for cut in 0..whole.len() {
            let (left, right) = whole.split_at(cut);
            assert_eq!(lines(&[left, right]), once, "{cut}");
        }
    }

    #[test]
    fn an_endless_line_costs_bounded_memory() {
        let long = vec![b'x'; 10 * LONGEST];
        let seen = lines(&[&long, &long, b"\nnext\n"]);
        assert_eq!(seen.iter().map(String::len).collect::<Vec<_>>(), [LONGEST, 4]);
    }

    #[test]
    fn progress_is_read_as_rsync_3_5_writes_it() {
        let line = "        3000000  99%    1.38GB/s    1:02:03 (xfr#1, to-chk=4/6)";
        let OutputLine::Progress(progress) = said(line.as_bytes()) else { panic!("{line}") };
        assert_eq!((progress.bytes, progress.percent), (3_000_000, Some(99)));
        assert_eq!((progress.rate, progress.eta_seconds), (138 * (1 << 30) / 100, Some(3723)));
        for odd in
            ["  1 2% ??:??", "   ", "  a b c", " 1 300% 1.0MB/s 0:00:01", "  99999999999999999999 1% 0.00kB/s 0:00:00"]
        {
            assert_eq!(said(odd.as_bytes()), OutputLine::Nothing, "{odd}");
        }
        let unsure = said(b"   1   2%    0.00kB/s   ??:??:??  ");
        assert!(matches!(unsure, OutputLine::Progress(Progress { eta_seconds: None, rate: 0, .. })), "{unsure:?}");
    }

    fn changed(how: &str, bytes: u64, name: &str) -> OutputLine {
        OutputLine::Changed(Item { how: how.into(), bytes, name: name.into() })
    }

    #[test]
    fn names_cannot_pass_for_anything_else() {
        assert_eq!(said(b"send|>f+++++++++|2|45|a|b\\#012"), changed(">f+++++++++", 2, "a|b\\#012"));
        assert_eq!(said(b"del.|*deleting  |0|0|x/y/"), OutputLine::Deleted("x/y/".into()));
        assert_eq!(said(b"send|>f|0|0|Number of files: 7"), changed(">f", 0, "Number of files: 7"));
    }

    #[test]
    fn a_name_ends_where_its_target_begins_and_is_bytes_again() {
        assert_eq!(said(b"del.|*deleting  |0|0|a -> b//"), OutputLine::Deleted("a -> b".into()));
        assert_eq!(said(b"del.|*deleting  |0|0|a///"), OutputLine::Deleted("a/".into()));
        assert_eq!(said(b"del.|*deleting  |0|0|a// -> b"), OutputLine::Deleted("a".into()));
        assert_eq!(said(b"send|cL+++++++++|1|0|a// -> b//c"), changed("cL+++++++++", 0, "a -> b//c"));
        // With `--8-bit-output`, or in another locale, names come as they are.
        assert_eq!(said(b"del.|*deleting  |0|0|\xc3\xa9\xff//"), OutputLine::Deleted("\u{e9}\\#377".into()));
        for (escaped, bytes) in [
            ("a\\#012b", &b"a\nb"[..]),
            ("\\#377", b"\xff"),
            ("\\#134#012", b"\\#012"),
            ("\\#12", b"\\#12"),
            ("\\#999", b"\\#999"),
            ("\u{e9}", b"\xc3\xa9"),
        ] {
            assert_eq!(bytes_of_name(escaped), bytes, "{escaped}");
        }
    }

    #[test]
    fn the_closing_statistics_add_up() {
        let mut tally = Tally::default();
        for line in [
            "Number of files: 10 (reg: 5, dir: 4, link: 1)",
            "Number of created files: 4 (reg: 2, dir: 1, link: 1)",
            "Number of deleted files: 3 (reg: 2, dir: 1)",
            "Number of regular files transferred: 2",
            "Total file size: 20000004 bytes",
            "Literal data: 5003744 bytes",
            "cannot delete non-empty directory: x",
            "total size is 0  speedup is 0.00",
        ] {
            tally.add(&said(line.as_bytes()));
        }
        assert_eq!((tally.figures.entries, tally.regular_files, tally.created), (9, 5, 4));
        assert_eq!((tally.figures.deletions, tally.figures.files_transferred), (3, 2));
        assert_eq!((tally.figures.size, tally.figures.bytes_transferred), (20_000_004, 5_003_744));
        assert_eq!(tally.kept_directories, 1);
        let mut empty = Tally::default();
        empty.add(&said(b"Number of files: 1 (dir: 1)"));
        assert_eq!((empty.figures.entries, empty.regular_files), (0, 0));
    }
}
