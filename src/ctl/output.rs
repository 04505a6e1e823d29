//! Where a command speaks: standard output for what was asked, standard error for everything else.

use std::borrow::Cow;
use std::io::{self, Write as _};

use anstream::adapter::strip_str;
use anstream::{AutoStream, ColorChoice};

use crate::ctl::args::{Common, When};
use crate::ctl::command_error::CommandError;
use crate::ctl::fold::folded;
use crate::os::{environment, terminal};

/// For whom a command speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// How much a command tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Only what was asked for.
    Brief,
    /// What most people want to know.
    Usual,
    /// All.
    Full,
}

/// The voice of a command. Texts come with the escape codes of colour; they are taken out where there is none.
#[derive(Debug)]
pub struct Output {
    stdout: AutoStream<io::Stdout>,
    stderr: AutoStream<io::Stderr>,
    form: Form,
    detail: Detail,
    /// How many columns there are for a line; `None` where nobody reads it on a screen.
    room: Option<usize>,
    lost: Lost,
}

/// What becomes of the command when its output cannot be written.
#[derive(Debug)]
enum Lost {
    /// It ends.
    EndsIt,
    /// Nothing, as it brings work to its end; the first error is told then.
    IsKept(Option<io::Error>),
}

impl Output {
    /// As the command line wants it.
    #[must_use]
    pub fn new(common: &Common) -> Self {
        let choice = match common.color {
            When::Always => ColorChoice::AlwaysAnsi,
            When::Never => ColorChoice::Never,
            When::Auto if environment::no_colour() => ColorChoice::Never,
            When::Auto => ColorChoice::Auto,
        };
        Self {
            stdout: AutoStream::new(io::stdout(), choice),
            stderr: AutoStream::new(io::stderr(), choice),
            form: if common.json { Form::Json } else { Form::Text },
            detail: match (common.quiet, common.verbose) {
                (true, _) => Detail::Brief,
                (false, true) => Detail::Full,
                (false, false) => Detail::Usual,
            },
            room: environment::columns().or_else(terminal::columns),
            lost: Lost::EndsIt,
        }
    }

    /// How many columns there are for a line; `None` where nobody reads it on a screen.
    #[must_use]
    pub fn room(&self) -> Option<usize> {
        self.room
    }

    fn fitting<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.room.map_or(Cow::Borrowed(text), |room| Cow::Owned(folded(text, room)))
    }

    /// From now on an output that takes nothing (a full disk, a pipe that nobody reads) does not end the command: what
    /// it began goes on.
    pub fn go_on_unheard(&mut self) {
        self.lost = Lost::IsKept(None);
    }

    /// Tells at the end of the work what could not be printed meanwhile.
    pub fn unheard(&mut self) -> Result<(), CommandError> {
        match std::mem::replace(&mut self.lost, Lost::EndsIt) {
            Lost::IsKept(Some(error)) => Err(CommandError::Output(error)),
            Lost::IsKept(None) | Lost::EndsIt => Ok(()),
        }
    }

    fn written(&mut self, done: io::Result<()>) -> Result<(), CommandError> {
        match (done, &mut self.lost) {
            (Ok(()), _) => Ok(()),
            (Err(error), Lost::EndsIt) => Err(CommandError::Output(error)),
            (Err(error), Lost::IsKept(first)) => {
                first.get_or_insert(error);
                Ok(())
            }
        }
    }

    /// For whom it speaks.
    #[must_use]
    pub fn form(&self) -> Form {
        self.form
    }

    /// How much it tells.
    #[must_use]
    pub fn detail(&self) -> Detail {
        self.detail
    }

    /// Prints what was asked for, folded to fit on a screen; nothing if it is empty.
    pub fn print(&mut self, text: &str) -> Result<(), CommandError> {
        let text = self.fitting(text).into_owned();
        self.print_as_it_is(&text)
    }

    /// Prints what is for a file or a program as much as for people.
    pub fn print_as_it_is(&mut self, text: &str) -> Result<(), CommandError> {
        let done = self.stdout.write_all(text.as_bytes()).and_then(|()| self.stdout.flush());
        self.written(done)
    }

    /// Prints bytes that are not for a terminal: scripts and manual pages.
    pub fn print_unchanged(&mut self, bytes: &[u8]) -> Result<(), CommandError> {
        let mut stdout = self.stdout.as_inner();
        stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(CommandError::Output)
    }

    /// Draws lines from the upper left corner of the terminal, and clears the rest of it.
    pub fn draw(&mut self, lines: &[&str]) -> Result<(), CommandError> {
        // Without colour the usual way would take the movements of the cursor out, too.
        let is_plain = self.stdout.current_choice() == ColorChoice::Never;
        let mut screen = String::from("\u{1b}[H");
        for line in lines {
            let text = if is_plain { strip_str(line).to_string() } else { (*line).to_owned() };
            screen.extend([text.as_str(), "\u{1b}[K\n"]);
        }
        screen.push_str("\u{1b}[J");
        let mut terminal = self.stdout.as_inner();
        terminal.write_all(screen.as_bytes()).and_then(|()| terminal.flush()).map_err(CommandError::Output)
    }

    /// Prints a JSON document on a line of its own.
    pub fn print_json(&mut self, document: &str) -> Result<(), CommandError> {
        self.print_as_it_is(&format!("{document}\n"))
    }

    /// Prints a sentence that says that all went well, unless only what was asked for is wanted.
    pub fn confirm(&mut self, sentence: &str) -> Result<(), CommandError> {
        if self.detail == Detail::Brief { Ok(()) } else { self.print(&format!("{sentence}\n")) }
    }

    /// Tells something beside the answer, unless only that is wanted.
    pub fn remark(&mut self, sentence: &str) {
        if self.detail != Detail::Brief {
            self.complain(sentence);
        }
    }

    /// Tells what went wrong. If even that cannot be told, the exit code still does.
    pub fn complain(&mut self, sentence: &str) {
        let line = format!("nbkpctl: {sentence}\n");
        let _ = self.stderr.write_all(self.fitting(&line).as_bytes());
    }

    /// Prints text of several lines on standard error.
    pub fn complain_at_length(&mut self, text: &str) {
        let _ = self.stderr.write_all(text.as_bytes());
    }
}
