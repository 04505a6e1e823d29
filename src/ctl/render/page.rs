//! Lines of text, and the colours of words.

use std::fmt::Display;

use crate::formats::text::printable;
use crate::formats::wire::{ObstacleEntry, Term};
use crate::model::Outcome;

/// What a word means, as a colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// Nothing in particular.
    Plain,
    /// The name of what is told about.
    Title,
    /// Well done.
    Good,
    /// Under way.
    Busy,
    /// Someone may want to know.
    Notice,
    /// Someone should know.
    Bad,
    /// Of less interest.
    Faint,
}

/// A word in a tone.
#[must_use]
pub fn paint(tone: Tone, word: impl Display) -> String {
    let code = match tone {
        Tone::Plain => return word.to_string(),
        Tone::Title => 1,
        Tone::Good => 32,
        Tone::Busy => 36,
        Tone::Notice => 33,
        Tone::Bad => 31,
        Tone::Faint => 2,
    };
    format!("\u{1b}[{code}m{word}\u{1b}[0m")
}

/// The tone of an outcome of a run.
#[must_use]
pub fn outcome_tone(outcome: &Term<Outcome>) -> Tone {
    match outcome {
        Term::Known(Outcome::Ok) => Tone::Good,
        Term::Known(Outcome::Failed | Outcome::Held) => Tone::Bad,
        Term::Known(Outcome::Interrupted) => Tone::Notice,
        Term::Known(Outcome::Skipped) | Term::Other(_) => Tone::Plain,
    }
}

/// Text that grows line by line.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
}

impl Page {
    /// Adds a line.
    pub fn line(&mut self, line: impl AsRef<str>) {
        self.text.push_str(line.as_ref().trim_end());
        self.text.push('\n');
    }

    /// Adds an empty line between what was and what comes.
    pub fn gap(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    /// Adds lines that are complete.
    pub fn block(&mut self, block: &str) {
        self.text.push_str(block);
    }

    /// Adds an obstacle with what to do about it.
    pub fn obstacle(&mut self, indent: &str, obstacle: &ObstacleEntry) {
        self.line(format!("{indent}{}", printable(&obstacle.message)));
        self.hint(indent, &obstacle.hint);
    }

    /// Adds what to do about the line above, if there is anything.
    pub fn hint(&mut self, indent: &str, hint: &str) {
        if !hint.is_empty() {
            self.line(format!("{indent}  {}", paint(Tone::Faint, format!("→ {}", printable(hint)))));
        }
    }

    /// The text.
    #[must_use]
    pub fn finish(self) -> String {
        self.text
    }
}

/// The text without escape codes.
#[cfg(test)]
#[must_use]
pub fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}
