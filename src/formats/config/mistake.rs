//! Mistakes in a configuration file: where, what, and what to do; all of them at once.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde::Serialize;

/// How many mistakes a summary tells.
const SUMMARISED: usize = 3;

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Mistake {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// The place in the text, in bytes.
    #[serde(skip)]
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// All mistakes of one file, in the order of their places; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistakes {
    file: PathBuf,
    text: String,
    list: Vec<Mistake>,
}

/// What is most likely not meant in one file, in the order of the places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warnings {
    file: PathBuf,
    text: String,
    list: Vec<Mistake>,
}

impl Warnings {
    /// The warnings about this text, in the order of their places, each once.
    pub(super) fn new(file: &Path, text: &str, found: Vec<RawMistake>) -> Self {
        Self { file: file.to_owned(), text: text.to_owned(), list: placed(text, found) }
    }

    /// Each of them, for machines.
    #[must_use]
    pub fn to_list(&self) -> &[Mistake] {
        &self.list
    }

    /// All of them for people, like mistakes.
    #[must_use]
    pub fn render(&self, colour: Colour) -> String {
        rendered(&self.list, &self.text, &self.file.display().to_string(), (&Level::WARNING, colour))
    }
}

/// Whether mistakes are shown in colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Colour {
    /// With escape codes for a terminal.
    Styled,
    /// As text only.
    Plain,
}

impl Mistakes {
    /// The mistakes of this text, in the order of their places, each once.
    pub(in crate::formats) fn new(file: &Path, text: &str, found: Vec<RawMistake>) -> Self {
        Self { file: file.to_owned(), text: text.to_owned(), list: placed(text, found) }
    }

    /// Each of them, for machines.
    #[must_use]
    pub fn to_list(&self) -> &[Mistake] {
        &self.list
    }

    /// The first few of them and the number of the others, in one line.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut summary = String::new();
        for (place, mistake) in self.list.iter().take(SUMMARISED).enumerate() {
            let gap = if place == 0 { "" } else { "; " };
            let _ = write!(summary, "{gap}line {}: {}", mistake.line, mistake.message);
            if let Some(help) = &mistake.help {
                let _ = write!(summary, " ({help})");
            }
        }
        let others = self.list.len().saturating_sub(SUMMARISED);
        if others > 0 {
            let _ = write!(summary, "; and {others} more");
        }
        summary
    }

    /// All of them for people: each with its file, line and column, a caret under the place, and the help.
    #[must_use]
    pub fn render(&self, colour: Colour) -> String {
        let file = self.file.display().to_string();
        let mut text = rendered(&self.list, &self.text, &file, (&Level::ERROR, colour));
        let _ = match self.list.len() {
            1 => writeln!(text, "1 mistake in {file}"),
            count => writeln!(text, "{count} mistakes in {file}"),
        };
        text
    }
}

/// What was found in a text, in the order of the places, each once.
fn placed(text: &str, mut found: Vec<RawMistake>) -> Vec<Mistake> {
    found.sort_by(|a, b| (a.span.start, a.span.end, &a.message).cmp(&(b.span.start, b.span.end, &b.message)));
    found.dedup();
    let lines = Lines::of(text);
    found.into_iter().map(|found| lines.placed(found)).collect()
}

/// Each with its file, line and column, a caret under the place, and the help.
fn rendered(list: &[Mistake], text: &str, file: &str, (level, colour): (&Level<'_>, Colour)) -> String {
    let renderer = match colour {
        Colour::Styled => Renderer::styled(),
        Colour::Plain => Renderer::plain(),
    };
    let lines = Lines::of(text);
    let mut shown = String::new();
    for mistake in list {
        // Only the one line is shown, so that a mistake in a long file costs no more than in a short one.
        let (start, line) = lines.line(mistake.line);
        let from = mistake.span.start.saturating_sub(start).min(line.len());
        let to = mistake.span.end.saturating_sub(start).clamp(from, line.len());
        let snippet = Snippet::source(line)
            .line_start(mistake.line)
            .path(file)
            .annotation(AnnotationKind::Primary.span(from..to));
        let mut group = level.clone().primary_title(mistake.message.as_str()).element(snippet);
        if let Some(help) = &mistake.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        shown.push_str(&renderer.render(&[group]));
        shown.push_str("\n\n");
    }
    shown
}

impl std::fmt::Display for Mistakes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.summary())
    }
}

impl std::error::Error for Mistakes {}

/// A mistake as it is found, before its line is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::formats) struct RawMistake {
    /// The place in the text, in bytes.
    pub span: Range<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// The lines of a text and where they begin.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn of(text: &'a str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, starts }
    }

    /// Where a line begins, and its text without the end of line.
    fn line(&self, number: usize) -> (usize, &'a str) {
        let start = self.starts.get(number.saturating_sub(1)).copied().unwrap_or(self.text.len());
        let line = self.text.get(start..).and_then(|rest| rest.split('\n').next()).unwrap_or_default();
        (start, line.strip_suffix('\r').unwrap_or(line))
    }

    fn placed(&self, found: RawMistake) -> Mistake {
        // The parser of TOML may point into a character or behind the end.
        let start = boundary(self.text, found.span.start);
        let end = boundary(self.text, found.span.end).max(start);
        let number = self.starts.partition_point(|line| *line <= start);
        let (line_start, _) = self.line(number);
        let column = self.text.get(line_start..start).map_or(0, |before| before.chars().count()) + 1;
        Mistake { line: number, column, span: start..end, message: found.message, help: found.help }
    }
}

/// The nearest place at or before `at` where a character begins.
fn boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at = at.saturating_sub(1);
    }
    at
}

/// A text of the file as it is put into a message: short, and without control characters.
pub(in crate::formats) fn quoted(text: &str) -> String {
    let mut short: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    short = short.replace("\\\"", "\"").replace("\\'", "'");
    if text.chars().nth(60).is_some() {
        short.push('…');
    }
    format!("`{short}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str, span: Range<usize>) -> Mistakes {
        let found =
            RawMistake { span, message: "no volume `ubs`".to_owned(), help: Some("did you mean `usb`?".to_owned()) };
        Mistakes::new(Path::new("config.toml"), text, vec![found])
    }

    #[test]
    fn a_mistake_is_shown_with_place_caret_and_help() {
        let shown = mistakes("a = 1\n\tdest = \"ubs\"\n", 13..18).render(Colour::Plain);
        let expected = "\
error: no volume `ubs`
 --> config.toml:2:8
  |
2 |     dest = \"ubs\"
  |             ^^^
  |
  = help: did you mean `usb`?

1 mistake in config.toml
";
        assert!(shown.contains("--> config.toml:2:"), "{shown}");
        assert!(shown.contains("= help: did you mean `usb`?"), "{shown}");
        assert_eq!(shown.lines().count(), expected.lines().count(), "{shown}");
    }

    #[test]
    fn lines_and_characters_are_counted_from_one() {
        for (text, at, line, column) in [
            ("", 0, 1, 1),
            ("abc", 0, 1, 1),
            ("äöü = 1", 6, 1, 4),
            ("a\nb\r\nc", 5, 3, 1),
            ("a\n", 9, 2, 1),
            ("ä", 1, 1, 1),
        ] {
            let mistakes = mistakes(text, at..at + 1);
            let first = &mistakes.to_list()[0];
            assert_eq!((first.line, first.column), (line, column), "{text:?}");
            assert!(mistakes.render(Colour::Plain).contains("no volume"));
        }
    }

    #[test]
    fn one_line_tells_the_first_few_and_counts_the_others() {
        let mut many = mistakes("x", 0..1);
        let one = "line 1: no volume `ubs` (did you mean `usb`?)";
        assert_eq!(many.summary(), one);
        many.list = vec![many.list[0].clone(); 5];
        assert_eq!(many.summary(), format!("{one}; {one}; {one}; and 2 more"));
    }

    #[test]
    fn values_are_quoted_short_and_without_control_characters() {
        assert_eq!(quoted("a\nb\u{1b}[2J"), "`a\\nb\\u{1b}[2J`");
        assert_eq!(quoted(&"x".repeat(100)).chars().count(), 63);
        assert_eq!(quoted("it's \"x\""), "`it's \"x\"`");
    }
}
