//! What was made at both ends of syncs.

use super::page::{Page, Tone, paint};
use crate::ctl::output::Detail;
use crate::formats::text::printable;
use crate::formats::wire::Prepared;

/// What was made, what was there, and what could not be made.
#[must_use]
pub fn prepared(prepared: &Prepared, detail: Detail) -> String {
    let mut page = Page::default();
    for sync in &prepared.syncs {
        let state = match (sync.problems.is_empty(), sync.made.is_empty()) {
            (true, false) => paint(Tone::Good, "prepared"),
            (true, true) => "was prepared already".to_owned(),
            (false, _) => paint(Tone::Bad, "not prepared"),
        };
        page.line(format!("{}: {state}", paint(Tone::Title, printable(&sync.sync))));
        if detail != Detail::Brief {
            for sentence in &sync.made {
                page.line(format!("  {} {}", paint(Tone::Good, "+"), printable(sentence)));
            }
            for sentence in &sync.already {
                page.line(format!("  = {}", printable(sentence)));
            }
        }
        for sentence in &sync.problems {
            page.line(format!("  {} {}", paint(Tone::Bad, "✗"), printable(sentence)));
        }
    }
    page.finish()
}

#[cfg(test)]
mod tests {
    use super::super::page::plain;
    use super::*;
    use crate::formats::wire::PreparedSync;

    #[test]
    fn each_sync_tells_what_became_of_it() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let sync = |name: &str, made: &[&str], already: &[&str], problems: &[&str]| PreparedSync {
            sync: name.into(),
            made: words(made),
            already: words(already),
            problems: words(problems),
        };
        let reply = Prepared {
            syncs: vec![
                sync("a", &["created /m/a"], &["/h has a sentinel"], &[]),
                sync("b", &[], &[], &["drive `usb` is not plugged in; plug it in"]),
                sync("c", &[], &[], &[]),
            ],
        };
        let expected = "\
a: prepared
  + created /m/a
  = /h has a sentinel
b: not prepared
  ✗ drive `usb` is not plugged in; plug it in
c: was prepared already
";
        assert_eq!(plain(&prepared(&reply, Detail::Usual)), expected);
    }
}
