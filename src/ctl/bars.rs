//! Progress: a bar for each run on a terminal, a line for each change elsewhere.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::ctl::command_error::CommandError;
use crate::ctl::fold::elided;
use crate::ctl::output::{Detail, Form, Output};
use crate::ctl::render::status::{progress, step};
use crate::formats::text::printable;
use crate::formats::wire::{RunningEntry, Term};
use crate::model::Step;

/// How the progress of runs is shown.
#[derive(Debug)]
pub enum ProgressView {
    /// Not at all.
    Hidden,
    /// As bars, by sync.
    Bars {
        /// The place where they are drawn.
        place: MultiProgress,
        /// Those that are shown.
        bars: BTreeMap<String, ProgressBar>,
    },
    /// As lines: the step of each sync that was told last.
    Lines(BTreeMap<String, Term<Step>>),
}

impl ProgressView {
    /// As fits where the command speaks.
    #[must_use]
    pub fn new(output: &Output) -> Self {
        match (output.form(), output.detail()) {
            (Form::Json, _) | (Form::Text, Detail::Brief) => Self::Hidden,
            (Form::Text, Detail::Usual | Detail::Full) if std::io::stderr().is_terminal() => {
                Self::Bars { place: MultiProgress::new(), bars: BTreeMap::new() }
            }
            (Form::Text, Detail::Usual | Detail::Full) => Self::Lines(BTreeMap::new()),
        }
    }

    /// Shows how far the runs are that are under way.
    pub fn show(&mut self, running: &[RunningEntry], output: &mut Output) -> Result<(), CommandError> {
        match self {
            Self::Hidden => Ok(()),
            Self::Bars { place, bars } => {
                draw(place, bars, running);
                Ok(())
            }
            Self::Lines(told) => tell(told, running, output),
        }
    }

    /// Prints text above the bars, if there are any.
    pub fn print(&self, text: &str, output: &mut Output) -> Result<(), CommandError> {
        match self {
            Self::Bars { place, .. } => place.suspend(|| output.print(text)),
            Self::Hidden | Self::Lines(_) => output.print(text),
        }
    }

    /// Takes the bars away.
    pub fn finish(self) {
        if let Self::Bars { place, .. } = self {
            // A terminal that is gone needs no cleaning.
            let _ = place.clear();
        }
    }
}

fn draw(place: &MultiProgress, bars: &mut BTreeMap<String, ProgressBar>, running: &[RunningEntry]) {
    bars.retain(|sync, bar| {
        let goes_on = running.iter().any(|run| run.sync == *sync);
        if !goes_on {
            bar.finish_and_clear();
            place.remove(bar);
        }
        goes_on
    });
    for run in running {
        let bar = bars
            .entry(run.sync.clone())
            .or_insert_with(|| place.add(ProgressBar::new(100).with_style(style()).with_message(told(run))));
        // Behind the copy there are only steps that take no percentage.
        bar.set_position(run.percent.map_or(if run.step.is(Step::Copy) { 0 } else { bar.position() }, u64::from));
        bar.set_message(told(run));
    }
}

/// One line, whatever the width: what does not fit is cut off at its end, where it tells least.
fn told(run: &RunningEntry) -> String {
    format!("{}: {}", elided(&printable(&run.sync), 24), progress(run))
}

fn style() -> ProgressStyle {
    // A template that is wrong would only look worse.
    ProgressStyle::with_template("{bar:12} {wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn tell(
    told: &mut BTreeMap<String, Term<Step>>,
    running: &[RunningEntry],
    output: &mut Output,
) -> Result<(), CommandError> {
    for run in running {
        let before = told.insert(run.sync.clone(), run.step.clone());
        let is_new = before.as_ref() != Some(&run.step);
        // The copy is what takes time; the other steps are for those who want to know all.
        if is_new && (run.step.is(Step::Copy) || output.detail() == Detail::Full) {
            output.print(&format!("{}: {}\n", printable(&run.sync), step(&run.step)))?;
        }
    }
    Ok(())
}
