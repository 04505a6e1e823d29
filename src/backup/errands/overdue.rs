//! The hook `overdue`: a program that is told of a copy which is older than it may be, without any run.

use std::ffi::OsString;
use std::time::Duration;

use crate::backup::program::{UsersProgram, in_one_line};
use crate::backup::session::stop;
use crate::model::{HookCommand, NotDone, Outcome, Place, Step, SyncName};
use crate::os::process;

/// How long the program may take.
const LIMIT: Duration = Duration::from_mins(1);

/// A copy that is overdue, and the program that is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverdueCall {
    /// The program.
    pub command: HookCommand,
    /// The sync.
    pub sync: SyncName,
    /// Where it reads, as the configuration has it: it may be out of reach.
    pub source: Place,
    /// Where it writes.
    pub destination: Place,
    /// How its last run ended, if there was one.
    pub outcome: Option<Outcome>,
    /// Since when, and what stands in the way.
    pub reason: String,
}

/// Runs the program. Says what went wrong with it.
pub fn tell_of_overdue(call: &OverdueCall) -> Result<(), String> {
    let OverdueCall { command, sync, source, destination, outcome, reason } = call;
    let empty = OsString::new;
    let variables = vec![
        ("NBKP_HOOK", "overdue".into()),
        ("NBKP_SYNC", sync.as_str().into()),
        ("NBKP_RUN", empty()),
        ("NBKP_TRIGGER", empty()),
        ("NBKP_SOURCE", source.to_string().into()),
        ("NBKP_DESTINATION", destination.to_string().into()),
        ("NBKP_OUTCOME", outcome.map(Outcome::as_str).unwrap_or_default().into()),
        ("NBKP_SNAPSHOT", empty()),
        ("NBKP_ERROR", in_one_line(reason).into()),
        ("NBKP_FILES", empty()),
        ("NBKP_BYTES", empty()),
        ("NBKP_SECONDS", empty()),
    ];
    let (_nobody_stops_it, mut stops) = stop::pair().map_err(|cause| format!("could not listen to it: {cause}"))?;
    let program = UsersProgram { hook: "overdue", command, step: Step::After, variables, limit: Some(LIMIT) };
    program.run(|launch| Some(process::start_for_user(launch)), &mut stops).map_err(|problem| match problem {
        NotDone::Failed(failure) => failure.detail,
        NotDone::Skipped(_) | NotDone::Interrupted(_) | NotDone::Held(_) => "it did not end by itself".to_owned(),
    })
}
