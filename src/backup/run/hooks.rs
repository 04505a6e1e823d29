//! The user's commands around a run.
//!
//! They are not confined: what they may do is the user's affair. So they are started by a thread that was there before
//! the run confined itself; the run listens to them like to rsync.

use std::ffi::OsString;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::backup::failure::{failure, of_process};
use crate::backup::job::Job;
use crate::backup::session::stop::Stops;
use crate::formats::rsync::output::Lines;
use crate::model::{Conclusion, FailureKind, HookCommand, Hooks, NotDone, SnapshotName, Step};
use crate::os::process::{self, Ended, Launch, Leftovers, ProcessError, Running, Stream};
use crate::os::programs;

/// The thread that starts hooks; none if the sync has none.
pub(crate) struct Starter(Option<Counter>);

/// Where orders are given and answers taken.
struct Counter {
    orders: SyncSender<Launch>,
    answers: Receiver<Result<Running, ProcessError>>,
}

impl Starter {
    /// Must be called before the run confines itself.
    pub(crate) fn new(hooks: &Hooks) -> Self {
        if hooks.before.is_none() && hooks.after.is_none() && hooks.failed.is_none() {
            return Self(None);
        }
        let (orders, ordered) = sync_channel::<Launch>(1);
        let (answer, answers) = sync_channel(1);
        // It ends with the last order, which is when the run drops its end.
        let thread = std::thread::Builder::new().name("hooks".into()).spawn(move || {
            for launch in ordered {
                if answer.send(process::start(launch, None)).is_err() {
                    break;
                }
            }
        });
        Self(thread.ok().map(|_detached| Counter { orders, answers }))
    }

    fn start(&self, launch: Launch) -> Option<Result<Running, ProcessError>> {
        let counter = self.0.as_ref()?;
        counter.orders.send(launch).ok()?;
        counter.answers.recv().ok()
    }
}

/// What a hook is told about its run.
pub(crate) struct HookMoment<'a> {
    /// `before`, `after` or `failed`.
    pub(crate) hook: &'static str,
    /// The step it belongs to.
    pub(crate) step: Step,
    /// The outcome so far, for those that come after.
    pub(crate) outcome: Option<&'a Conclusion>,
    /// The snapshot that was made.
    pub(crate) snapshot: Option<SnapshotName>,
}

/// Runs a hook to its end.
pub(crate) fn run(
    starter: &Starter,
    command: &HookCommand,
    job: &Job,
    occasion: &HookMoment<'_>,
    stops: &mut Stops,
) -> Result<(), NotDone> {
    let say = |what: String| failure(occasion.step, FailureKind::Hook, what);
    let name = format!("the hook `{}` ({})", occasion.hook, command.program);
    let Some(program) = programs::find_program(&command.program) else {
        return Err(say(format!("{name} was not found")));
    };
    let launch = Launch {
        program,
        arguments: command.arguments.iter().map(OsString::from).collect(),
        environment: environment(job, occasion),
        input: None,
        leftovers: Leftovers::Leave,
    };
    let running = match starter.start(launch) {
        Some(begun) => begun.map_err(|error| of_process(occasion.step, &error))?,
        None => return Err(say(format!("{name} could not be started"))),
    };
    let mut last = String::new();
    let mut lines = Lines::default();
    let mut keep =
        |line: &[u8]| last = String::from_utf8_lossy(line).chars().filter(|c| !c.is_control()).take(500).collect();
    let bell = stops.bell.share().map_err(|cause| say(format!("{name} could not be listened to: {cause}")))?;
    let heard = |stream: Stream, bytes: &[u8]| match stream {
        Stream::Output => {}
        Stream::Errors => lines.feed(bytes, &mut keep),
    };
    let ended = running.listen(&bell, heard, || stops.wanted()).map_err(|error| of_process(occasion.step, &error))?;
    lines.finish(&mut keep);
    let told = if last.is_empty() { String::new() } else { format!(": {last}") };
    match ended {
        Ended::Code(0) => Ok(()),
        Ended::Code(code) => Err(say(format!("{name} ended with code {code}{told}"))),
        Ended::Signal(signal) => {
            stops.check()?;
            Err(say(format!("{name} was killed by signal {signal}{told}")))
        }
    }
}

fn environment(job: &Job, occasion: &HookMoment<'_>) -> Vec<(String, OsString)> {
    let mut variables = programs::session_environment();
    let mut add = |name: &str, value: OsString| variables.push((name.to_owned(), value));
    add("NBKP_HOOK", occasion.hook.into());
    add("NBKP_SYNC", job.sync.name.as_str().into());
    add("NBKP_RUN", job.run.as_str().into());
    add("NBKP_TRIGGER", job.trigger.as_str().into());
    add("NBKP_SOURCE", job.source.shown().join(job.sync.source.subdir.as_path()).into());
    add("NBKP_DESTINATION", job.destination.shown().join(job.sync.destination.subdir.as_path()).into());
    if let Some(conclusion) = occasion.outcome {
        add("NBKP_OUTCOME", conclusion.outcome().as_str().into());
    }
    if let Some(snapshot) = occasion.snapshot {
        add("NBKP_SNAPSHOT", snapshot.to_string().into());
    }
    variables
}
