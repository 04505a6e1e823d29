//! Lines that fit on a screen: broken between words, with what goes on below what began.

use anstream::adapter::strip_str;

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
    let marked = text.chars().nth(spaces).is_some_and(|mark| MARKS.contains(mark));
    spaces.saturating_add(if marked { 2 } else { 4 })
}

/// How wide a line is on a screen.
#[must_use]
pub fn width(line: &str) -> usize {
    plain(line).trim_end_matches('\n').chars().count()
}

/// A name that is at most so wide, without its middle if it is wider: beginning and end tell most.
#[must_use]
pub fn elided(name: &str, columns: usize) -> String {
    let all = name.chars().count();
    if all <= columns {
        return name.to_owned();
    }
    let kept = columns.saturating_sub(1);
    let end = kept / 2;
    let beginning = name.chars().take(kept.saturating_sub(end));
    beginning.chain(['…']).chain(name.chars().skip(all.saturating_sub(end))).collect()
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
    }
}
