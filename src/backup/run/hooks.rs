//! The user's commands around a run.
//!
//! They are not confined: what they may do is the user's affair. So they are started by a thread that was there before
//! the run confined itself, and where the unit of the daemon lays limits on it, in a unit of their own; the run listens
//! to them like to rsync.

use std::ffi::OsString;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use crate::backup::job::Job;
use crate::backup::program::{UsersProgram, in_one_line};
use crate::backup::session::stop::Stops;
use crate::decide::obstacles;
use crate::model::{Conclusion, Figures, HookCommand, Hooks, Interruption, NotDone, Obstacle, SnapshotName, Step};
use crate::os::process::{self, Launch, ProcessError, Running};

/// How long the hook of a run may take that was told to stop.
const BRIEF: Duration = Duration::from_mins(1);
/// The same where the daemon ends or the machine goes to sleep: neither waits for long.
const AT_ONCE: Duration = Duration::from_secs(4);

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
        if hooks.named().next().is_none() {
            return Self(None);
        }
        let (orders, ordered) = sync_channel::<Launch>(1);
        let (answer, answers) = sync_channel(1);
        // It ends with the last order, which is when the run drops its end.
        let thread = std::thread::Builder::new().name("hooks".into()).spawn(move || {
            for launch in ordered {
                if answer.send(process::start_for_user(launch)).is_err() {
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
    /// Its key.
    pub(crate) hook: &'static str,
    /// The step it belongs to.
    pub(crate) step: Step,
    /// How the run ended, for those that come after.
    pub(crate) ending: Option<CourseEnd<'a>>,
}

/// How a run ended, as its hook is told.
pub(crate) struct CourseEnd<'a> {
    pub(crate) conclusion: &'a Conclusion,
    pub(crate) figures: Figures,
    /// The snapshot that was made.
    pub(crate) snapshot: Option<SnapshotName>,
    /// How long it took, in seconds.
    pub(crate) seconds: u64,
}

/// The hook that follows such an end, if there is one. Where `before` has run, what it did is to be undone, also if the
/// run could not be after all.
pub(crate) fn following<'a>(
    hooks: &'a Hooks,
    conclusion: &Conclusion,
    before: Before,
) -> Option<(&'static str, &'a HookCommand)> {
    let (key, hook) = match conclusion {
        Conclusion::Ok => ("after", &hooks.after),
        Conclusion::Failed(_) | Conclusion::Held(_) => ("failed", &hooks.failed),
        Conclusion::Interrupted(_) => ("interrupted", &hooks.interrupted),
        Conclusion::Skipped(_) if before == Before::HasRun => ("interrupted", &hooks.interrupted),
        Conclusion::Skipped(_) => return None,
    };
    Some((key, hook.as_ref()?))
}

/// Whether the hook `before` of a run has run, and said yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    ToCome,
    HasRun,
}

/// Whether these obstacles may be gone once the hook `before` of a run has run: it may mount the source.
pub(crate) fn may_mend(job: &Job, found: &[Obstacle]) -> bool {
    job.sync.hooks.before.is_some() && job.source.may_be_mounted() && found.iter().all(obstacles::may_be_mounted)
}

/// How long a hook may take behind a run that was told to stop for this reason.
pub(crate) fn patience(why: &Interruption) -> Duration {
    match why {
        Interruption::Stopping | Interruption::Suspend => AT_ONCE,
        Interruption::SourceLost(_)
        | Interruption::DestinationLost(_)
        | Interruption::Cancelled
        | Interruption::DriveHeld
        | Interruption::Network(_)
        | Interruption::Still(_)
        | Interruption::Killed => BRIEF,
    }
}

/// Runs a hook to its end, for so long at most.
pub(crate) fn run(
    starter: &Starter,
    command: &HookCommand,
    job: &Job,
    (occasion, limit): (&HookMoment<'_>, Option<Duration>),
    stops: &mut Stops,
) -> Result<(), NotDone> {
    let variables = variables(job, occasion);
    UsersProgram { hook: occasion.hook, command, step: occasion.step, variables, limit }
        .run(|launch| starter.start(launch), stops)
}

fn variables(job: &Job, occasion: &HookMoment<'_>) -> Vec<(&'static str, OsString)> {
    let mut variables: Vec<(&'static str, OsString)> = vec![
        ("NBKP_HOOK", occasion.hook.into()),
        ("NBKP_SYNC", job.sync.name.as_str().into()),
        ("NBKP_RUN", job.run.as_str().into()),
        ("NBKP_TRIGGER", job.trigger.as_str().into()),
        ("NBKP_SOURCE", job.source.shown().join(job.sync.source.subdir.as_path()).into()),
        ("NBKP_DESTINATION", job.destination.shown().join(job.sync.destination.subdir.as_path()).into()),
    ];
    if let Some(CourseEnd { conclusion, figures, snapshot, seconds }) = &occasion.ending {
        variables.extend([
            ("NBKP_OUTCOME", conclusion.outcome().as_str().into()),
            ("NBKP_SNAPSHOT", snapshot.map(|name| name.to_string()).unwrap_or_default().into()),
            ("NBKP_ERROR", in_one_line(&conclusion.error().unwrap_or_default()).into()),
            ("NBKP_FILES", figures.files_transferred.to_string().into()),
            ("NBKP_BYTES", figures.bytes_transferred.to_string().into()),
            ("NBKP_SECONDS", seconds.to_string().into()),
        ]);
    }
    variables
}
