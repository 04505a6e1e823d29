//! Lines that fit on a screen: broken between words, with what goes on below what began.

use anstream::adapter::strip_str;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// The text without escape codes.
fn plain(text: &str) -> String {
    strip_str(text).to_string()
}

/// What stands before a line's text and is not part of it.
const MARKS: &str = "→✗✓○▶…✋!·+=-";

/// The text with no line wider than this, unless a single word is.
#[must_use]
pub fn folded(text: &str, columns: usize) -> String {
    let mut folded = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        // A command is to be copied as it is.
        if width(line) <= columns || plain(line).starts_with("  $ ") {
            folded.push_str(line);
        } else {
            fold(line, columns, &mut folded);
        }
    }
    folded
}

fn fold(line: &str, columns: usize, folded: &mut String) {
    let hanging = " ".repeat(indent(line).min(columns / 2));
    let (mut at, mut gap) = (0_usize, String::new());
    for word in line.split_inclusive(' ') {
        let bare = word.trim_end_matches(' ');
        let wide = width(bare);
        if wide > 0 && at > hanging.len() && at.saturating_add(gap.len()).saturating_add(wide) > columns {
            folded.extend(["\n", &hanging]);
            at = hanging.len();
        } else {
            folded.push_str(&gap);
            at = at.saturating_add(gap.len());
        }
        folded.push_str(bare);
        at = at.saturating_add(wide);
        " ".repeat(word.len().saturating_sub(bare.len())).clone_into(&mut gap);
    }
}

/// Where the text of a line begins.
fn indent(line: &str) -> usize {
    let text = plain(line);
    let spaces = text.chars().take_while(|char| *char == ' ').count();
    let mark = text.chars().nth(spaces).filter(|mark| MARKS.contains(*mark));
    spaces.saturating_add(mark.map_or(4, |mark| wide(mark).saturating_add(1)))
}

/// How wide a line is on a screen. Signs of Chinese, Japanese and Korean take two columns, accents that stand alone
/// none.
#[must_use]
pub fn width(line: &str) -> usize {
    plain(line).trim_end_matches('\n').width()
}

fn wide(sign: char) -> usize {
    sign.width().unwrap_or_default()
}

/// How many rows of a screen of so many columns a line takes.
#[must_use]
pub fn rows(line: &str, columns: usize) -> usize {
    let (mut rows, mut at) = (1_usize, 0_usize);
    for wide in plain(line).chars().map(wide) {
        // A sign is not broken in two.
        if at.saturating_add(wide) > columns {
            (rows, at) = (rows.saturating_add(1), 0);
        }
        at = at.saturating_add(wide);
    }
    rows
}

/// A name that is at most so wide, without its middle if it is wider: beginning and end tell most.
#[must_use]
pub fn elided(name: &str, columns: usize) -> String {
    if name.width() <= columns {
        return name.to_owned();
    }
    let kept = columns.saturating_sub(1);
    let end = kept / 2;
    let beginning: String = fitting(name.chars(), kept.saturating_sub(end)).collect();
    let end: Vec<char> = fitting(name.chars().rev(), end).collect();
    beginning.chars().chain(['…']).chain(end.into_iter().rev()).collect()
}

/// The first of these signs that fit into so many columns.
fn fitting(signs: impl Iterator<Item = char>, columns: usize) -> impl Iterator<Item = char> {
    let mut at = 0_usize;
    signs.take_while(move |sign| {
        at = at.saturating_add(wide(*sign));
        at <= columns
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_broken_between_words_and_hang_below_their_text() {
        let text = "  → plug it in, or look where it is\nshort\n";
        assert_eq!(folded(text, 20), "  → plug it in, or\n    look where it is\nshort\n");
        let painted = "    \u{1b}[31mno space is left at /media\u{1b}[0m";
        assert_eq!(plain(&folded(painted, 20)), "    no space is left\n        at /media");
        assert_eq!(
            folded("abcdef /very/long/path/that/nobody/breaks b", 10),
            "abcdef\n    /very/long/path/that/nobody/breaks\n    b"
        );
        assert_eq!(folded("  $ rsync -a --delete a b c d\n", 10), "  $ rsync -a --delete a b c d\n");
    }

    #[test]
    fn names_lose_their_middle() {
        assert_eq!(elided("documents", 9), "documents");
        assert_eq!(elided("documents", 8), "docu…nts");
        assert_eq!(elided("documents", 1), "…");
        assert_eq!(elided("写真と書類", 10), "写真と書類");
        assert_eq!(elided("写真と書類", 9), "写真…書類");
        assert_eq!(elided("写真と書類", 8), "写真…類");
        assert_eq!(elided("e\u{301}te\u{301}", 3), "e\u{301}te\u{301}");
    }

    #[test]
    fn signs_that_take_two_columns_are_counted_so() {
        assert_eq!((width("写真\n"), width("\u{1b}[31mé\u{1b}[0m"), width("e\u{301}")), (4, 1, 1));
        assert_eq!(folded("写真 と 書類 を 保存", 9), "写真 と\n    書類\n    を\n    保存");
        assert_eq!(folded("  ✋ a bb cc", 10), "  ✋ a bb\n     cc");
        assert_eq!((rows("写真と", 6), rows("写真と", 5), rows("abc", 1), rows("", 4)), (1, 2, 3, 1));
        assert_eq!(rows("写", usize::MAX), 1);
    }
}
