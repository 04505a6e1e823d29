//! What rsync writes on its standard output: progress, items, statistics.
//!
//! Progress records end in a carriage return, items in a line feed, and one read brings both. Names are escaped by
//! rsync and stand last, behind a word of ours, so that no name can pass for something else.

use std::borrow::Cow;

use crate::formats::octal;
use crate::formats::rsync::folded::Folded;
use crate::formats::rsync::pace::RsyncProgress;
use crate::model::{Deleting, Figures, Named};

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
    Progress(RsyncProgress),
    /// An entry was deleted.
    Deleted(String),
    /// An entry was created or changed: how, as rsync itemises it (`--itemize-changes` in `rsync(1)`), and its name.
    Changed(Item),
    /// An entry is as it should be; told only where all names are asked for.
    Unchanged(Item),
    /// A device is not copied, since only root makes devices: its name.
    LeftOut(String),
    /// Nothing more is deleted, anywhere, since not all of the source could be looked at.
    GaveUpDeleting,
    /// A directory stays because it is not empty.
    KeptDirectory,
    /// A number of the closing statistics.
    Statistic(Statistic, u64),
    /// The number of entries of the source, and how many of them are regular files.
    Entries(u64, u64),
    /// Something that nothing follows from.
    Nothing,
}

impl OutputLine {
    /// The name of the entry that it tells to be deleted.
    #[must_use]
    pub fn deleted(&self) -> Option<&str> {
        if let Self::Deleted(name) = self { Some(name) } else { None }
    }

    /// The entry that it tells to be created or changed.
    #[must_use]
    pub fn changed(&self) -> Option<&Item> {
        if let Self::Changed(item) = self { Some(item) } else { None }
    }
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

    /// A name that became another one of a file may have changed in nothing else.
    fn is_unchanged(&self) -> bool {
        let is_joined = self.how.starts_with('h') && self.name.contains(" => ");
        !is_joined
            && self.how.get(2..).is_some_and(|changes| !changes.is_empty() && changes.bytes().all(|byte| byte == b' '))
    }

    /// Its name alone, as it is: without where a link points.
    fn own_name(&self) -> Vec<u8> {
        let name = match self.how.as_bytes() {
            [b'h', ..] => self.name.split_once(" => "),
            [_, b'L', ..] => self.name.split_once(" -> "),
            _ => None,
        };
        unescaped(name.map_or(self.name.as_str(), |(name, _)| name))
    }
}

/// A name as it is: rsync writes bytes that are not printable as `\#` and three octal digits.
#[must_use]
pub fn unescaped(shown: &str) -> Vec<u8> {
    let mut name = Vec::with_capacity(shown.len());
    let mut rest = shown.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let (byte, after) = rest.strip_prefix(b"\\#").and_then(octal::byte).unwrap_or((*first, tail));
        name.push(byte);
        rest = after;
    }
    name
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
    let text = escaped(line);
    let text = behind_progress(&text);
    if let Some(item) = text.strip_prefix("del.|") {
        return OutputLine::Deleted(name(item).0);
    }
    if let Some(item) = text.strip_prefix("send|").or_else(|| text.strip_prefix("recv|")) {
        let item = Item::read(item);
        return if item.is_unchanged() { OutputLine::Unchanged(item) } else { OutputLine::Changed(item) };
    }
    if let Some(name) = text.strip_prefix("skipping non-regular file \"") {
        return OutputLine::LeftOut(name.strip_suffix('"').unwrap_or(name).to_owned());
    }
    if text.starts_with("IO error encountered -- skipping file deletion") {
        return OutputLine::GaveUpDeleting;
    }
    if text.starts_with("cannot delete non-empty directory: ") {
        return OutputLine::KeptDirectory;
    }
    if text.starts_with(' ') {
        return progress(text).map_or(OutputLine::Nothing, OutputLine::Progress);
    }
    statistic(text).unwrap_or(OutputLine::Nothing)
}

/// A copy from a server does not end the last progress record before it tells of a deletion:
/// `  0   0%    0.00kB/s    0:00:00 (xfr#0, to-chk=0/3)del.|*deleting  |0|0|x`. No other line begins with a blank.
fn behind_progress(text: &str) -> &str {
    let behind = text.strip_prefix(' ').and_then(|rest| rest.split_once(')')).map(|(_, behind)| behind);
    behind.filter(|behind| !behind.trim().is_empty()).unwrap_or(text)
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

/// `     3000000  99%    1.38GB/s    0:00:00 (xfr#1, to-chk=4/6)`.
fn progress(text: &str) -> Option<RsyncProgress> {
    let mut words = text.split_ascii_whitespace();
    let bytes = words.next()?.parse().ok()?;
    words.next()?.strip_suffix('%')?.parse::<u8>().ok()?;
    let rate = words.next().and_then(rate)?;
    let seconds = words.next().and_then(seconds);
    let checked = words.find_map(|word| {
        let (left, of) = word.strip_prefix("to-chk=")?.strip_suffix(')')?.split_once('/')?;
        Some((left.parse().ok()?, of.parse().ok()?))
    });
    Some(RsyncProgress { bytes, rate, seconds, checked })
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
    /// Whether it deleted what it was allowed to.
    pub deleting: Deleting,
    /// Devices that were not copied.
    pub left_out: Named,
    /// The names that were told, where those count that differ only in capital letters.
    names: Option<Folded>,
}

impl Tally {
    /// One that looks for names that differ only in capital letters.
    #[must_use]
    pub fn of_names() -> Self {
        Self { names: Some(Folded::default()), ..Self::default() }
    }

    /// The names that another one beside them is the same as where capital letters do not count.
    #[must_use]
    pub fn same_names(&self) -> Named {
        self.names.as_ref().map(Folded::same).cloned().unwrap_or_default()
    }

    /// Keeps of what is told as deleted what is: where capital letters do not count, the copy of what was only renamed
    /// stays. What has no path is kept as it is.
    pub fn keep_deleted<T>(&self, told: &mut Vec<T>, path: impl Fn(&T) -> Option<Vec<u8>>) {
        if let Some(names) = &self.names {
            names.keep_others(told, path);
        }
    }

    /// Adds what a line said.
    pub fn add(&mut self, said: &OutputLine) {
        match said {
            OutputLine::Progress(_) | OutputLine::Nothing => {}
            OutputLine::Changed(item) | OutputLine::Unchanged(item) => {
                if let Some(names) = &mut self.names {
                    names.add(&item.own_name());
                }
            }
            OutputLine::LeftOut(name) => self.left_out.add(name.clone()),
            OutputLine::GaveUpDeleting => self.deleting = Deleting::GivenUp,
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
        assert_eq!((progress.bytes, progress.checked), (3_000_000, Some((4, 6))));
        assert_eq!((progress.rate, progress.seconds), (138 * (1 << 30) / 100, Some(3723)));
        let OutputLine::Progress(listing) = said(b" 1 1% 1.00kB/s 0:00:01 (xfr#1, ir-chk=4/6)") else { panic!() };
        assert_eq!(listing.checked, None, "more entries are still found");
        for odd in
            ["  1 2% ??:??", "   ", "  a b c", " 1 300% 1.0MB/s 0:00:01", "  99999999999999999999 1% 0.00kB/s 0:00:00"]
        {
            assert_eq!(said(odd.as_bytes()), OutputLine::Nothing, "{odd}");
        }
        let unsure = said(b"   1   2%    0.00kB/s   ??:??:??  ");
        assert!(matches!(unsure, OutputLine::Progress(RsyncProgress { seconds: None, rate: 0, .. })), "{unsure:?}");
    }

    fn changed(how: &str, bytes: u64, name: &str) -> OutputLine {
        OutputLine::Changed(Item { how: how.into(), bytes, name: name.into() })
    }

    #[test]
    fn names_cannot_pass_for_anything_else() {
        assert_eq!(said(b"send|>f+++++++++|2|45|a|b\\#012"), changed(">f+++++++++", 2, "a|b\\#012"));
        assert_eq!(said(b"del.|*deleting  |0|0|x/y/"), OutputLine::Deleted("x/y/".into()));
        let late = said(b"       0   0%    0.00kB/s    0:00:00 (xfr#0, to-chk=0/3)del.|*deleting  |0|0|a (b)/goes");
        assert_eq!(late, OutputLine::Deleted("a (b)/goes".into()));
        assert_eq!(said(b"send|>f|0|0|Number of files: 7"), changed(">f", 0, "Number of files: 7"));
    }

    #[test]
    fn what_rsync_left_undone_is_heard() {
        let mut tally = Tally::of_names();
        for line in [
            "skipping non-regular file \"null\"",
            "IO error encountered -- skipping file deletion",
            "send|.f         |5|0|README//",
            "send|.L         |1|0|l k// -> a",
            "send|>f+++++++++|4|47|Readme//",
            "send|cL+++++++++|1|0|L K// -> b",
        ] {
            tally.add(&said(line.as_bytes()));
        }
        assert_eq!((tally.left_out.examples.as_slice(), tally.deleting), (&["null".to_owned()][..], Deleting::GivenUp));
        assert_eq!(tally.same_names().examples, ["Readme", "L K"]);
        assert!(matches!(said(b"send|.d         |4096|0|.///"), OutputLine::Unchanged(_)));
        assert_eq!(Tally::default().same_names().count, 0);
    }

    #[test]
    fn escaped_names_are_read_as_they_are() {
        assert_eq!(unescaped("\\#303\\#274 \\#12 \\x"), "\u{fc} \\#12 \\x".as_bytes());
        assert_eq!(unescaped("\\#134#040"), b"\\#040");
        // rsync escapes `\#` only where three digits follow: these are names as they are, of other files.
        for own in ["\\#777", "a\\#+12", "\\#+56nbkp-dst", "x\\#+57y", "\\#01", "\\#"] {
            assert_eq!(unescaped(own), own.as_bytes());
        }
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
            assert_eq!(unescaped(escaped), bytes, "{escaped}");
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
