//! The line in the lock file of a destination that says who writes there.

use std::fmt;

use crate::formats::text::printable;
use crate::model::Writer;

/// The most bytes of it that are read.
pub const LIMIT: u64 = 512;
/// The most characters of a name that are shown.
const NAME: usize = 64;
/// What the line begins with.
const WORD: &str = "written-by";

/// The line, as it is written: without a line feed.
#[derive(Debug)]
pub struct WriterLine<'a>(pub &'a Writer);

impl fmt::Display for WriterLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Writer { id, since, host } = self.0;
        write!(f, "{WORD} {id} {since:.0} {host}")
    }
}

/// The writer that a lock file names; `None` if it names none that this version knows. It lies on a drive: what it says
/// may hold a run, and never lets one pass that would be held.
#[must_use]
pub fn named(bytes: &[u8]) -> Option<Writer> {
    let text = String::from_utf8_lossy(bytes);
    let mut parts = text.lines().next()?.splitn(4, ' ');
    let (word, id, since, host) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_id = id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let host = printable(host).chars().take(NAME).collect();
    (word == WORD && is_id).then_some(())?;
    Some(Writer { id: id.to_owned(), since: since.parse().ok()?, host })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_back_and_nothing_else_is_one() {
        let writer = Writer {
            id: "0123456789abcdef".into(),
            since: "2026-11-22T17:30:00Z".parse().unwrap(),
            host: "ada's laptop".into(),
        };
        let line = WriterLine(&writer).to_string();
        assert_eq!(line, "written-by 0123456789abcdef 2026-11-22T17:30:00Z ada's laptop");
        assert_eq!(named(format!("{line}\nmore").as_bytes()), Some(writer));
        for cut in 0..line.len() - "ada's laptop".len() {
            assert_eq!(named(&line.as_bytes()[..cut]), None, "cut at {cut}");
        }
        for other in ["", "\n", "written-by 0123456789abcdeg 2026-11-22T17:30:00Z x", "author 0123456789abcdef x y"] {
            assert_eq!(named(other.as_bytes()), None, "{other}");
        }
        let hostile = format!("{}\x1b[2J{}", line, "x".repeat(500));
        let host = named(hostile.as_bytes()).unwrap().host;
        assert!(host.chars().count() == 64 && !host.contains('\x1b'), "{host:?}");
    }
}
