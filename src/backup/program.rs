//! A program of the user, run to its end.

use std::ffi::OsString;
use std::time::Duration;

use crate::backup::failure::{failure, of_process};
use crate::backup::session::stop::Stops;
use crate::formats::rsync::output::Lines;
use crate::model::{FailureKind, HookCommand, NotDone, Obstacle, Step};
use crate::os::deadline::Deadline;
use crate::os::process::{Ended, Launch, Leftovers, ProcessError, Running, Stream, Wanted};
use crate::os::programs;

/// The exit code by which `before` says that it is not the time (`EX_TEMPFAIL` of `sysexits.h`).
const NOT_NOW: i32 = 75;

/// A program of the user that is to be run.
pub(crate) struct UsersProgram<'a> {
    /// Its key among the hooks.
    pub(crate) hook: &'static str,
    /// The program and its arguments.
    pub(crate) command: &'a HookCommand,
    /// The step to which it belongs.
    pub(crate) step: Step,
    /// What it is told, beside what reaches the desktop.
    pub(crate) variables: Vec<(&'static str, OsString)>,
    /// How long it may take.
    pub(crate) limit: Option<Duration>,
}

impl UsersProgram<'_> {
    /// Runs it to its end. Whoever starts it says how; `None` if nobody could.
    pub(crate) fn run(
        self,
        start: impl FnOnce(Launch) -> Option<Result<Running, ProcessError>>,
        stops: &mut Stops,
    ) -> Result<(), NotDone> {
        let Self { hook, command, step, variables, limit } = self;
        let say = |what: String| failure(step, FailureKind::Hook, what);
        let name = format!("the hook `{hook}` ({})", command.program);
        let Some(program) = programs::find_program(&command.program) else {
            return Err(say(format!("{name} was not found")));
        };
        let mut environment = programs::session_environment();
        environment.extend(variables.into_iter().map(|(name, value)| (name.to_owned(), value)));
        let launch = Launch {
            program,
            arguments: command.arguments.iter().map(OsString::from).collect(),
            environment,
            input: None,
            leftovers: Leftovers::Leave,
        };
        let mut running = match start(launch) {
            Some(begun) => begun.map_err(|error| of_process(step, &error))?,
            None => return Err(say(format!("{name} could not be started"))),
        };
        let deadline = limit.map(Deadline::after);
        if let Some(deadline) = deadline {
            running = running.reminded(deadline);
        }
        let is_late = || deadline.is_some_and(Deadline::has_passed);
        let mut last = String::new();
        let mut lines = Lines::default();
        let mut keep =
            |line: &[u8]| last = String::from_utf8_lossy(line).chars().filter(|c| !c.is_control()).take(500).collect();
        let bell = stops.bell.share().map_err(|cause| say(format!("{name} could not be listened to: {cause}")))?;
        let heard = |stream: Stream, bytes: &[u8]| match stream {
            Stream::Output => {}
            Stream::Errors => lines.feed(bytes, &mut keep),
        };
        let wanted = || if is_late() { Wanted::Kill } else { stops.wanted() };
        let ended = running.listen(&bell, heard, wanted).map_err(|error| of_process(step, &error))?;
        lines.finish(&mut keep);
        let told = if last.is_empty() { String::new() } else { format!(": {last}") };
        match ended {
            Ended::Code(0) => Ok(()),
            Ended::Code(NOT_NOW) if step == Step::Before => {
                Err(NotDone::Skipped(vec![Obstacle::PutOff { program: command.program.clone(), said: last }]))
            }
            Ended::Code(code) => Err(say(format!("{name} ended with code {code}{told}"))),
            Ended::Signal(_) if is_late() => {
                let seconds = limit.unwrap_or_default().as_secs();
                Err(say(format!("{name} was ended: it took more than {seconds} s{told}")))
            }
            Ended::Signal(signal) => {
                stops.check()?;
                Err(say(format!("{name} was killed by signal {signal}{told}")))
            }
        }
    }
}

/// Without what ends a line, and what no service manager takes in a variable.
pub(crate) fn in_one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
