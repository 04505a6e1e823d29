//! Does what was answered: the file, the service, what both ends need.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::answers::Answers;
use super::done::SetUpDone;
use super::draft::Draft;
use super::start::Start;
use super::tell;
use crate::ctl::client::Connection;
use crate::ctl::command_error::{CommandError, Exit};
use crate::ctl::company::{Company, told_by};
use crate::ctl::options::InitOptions;
use crate::ctl::output::{Detail, Form, Output};
use crate::ctl::render;
use crate::decide::setup::Drafted;
use crate::formats::set_up::{SetUp, SetUpService, SetUpSync};
use crate::formats::text::printable;
use crate::formats::wire::{Listing, Prepared, PreparedSync, Request, StatusReply};
use crate::model::{FoundPlace, Intruding, Mounter, StandIn, SyncName, VolumeName};
use crate::os::config_file::{self, ReplaceError};
use crate::os::deadline::Deadline;
use crate::os::environment::{self, Paths};
use crate::os::unit::{self, UnitError, UnitState};
use crate::os::{clock, files};

/// How long a daemon that runs may take to read the file anew.
const RELOAD: Duration = Duration::from_secs(15);
/// How often it is asked meanwhile.
const BETWEEN: Duration = Duration::from_millis(100);

/// Does it, and tells what was done and what is next.
pub(super) fn set_up(
    draft: &Draft,
    start: &Start<'_>,
    answers: &Answers,
    options: &InitOptions,
    output: &mut Output,
    alone: impl FnOnce(&Paths, StandIn) -> Result<UnixStream, (u8, String)>,
) -> Result<Exit, CommandError> {
    if !draft.additions.is_empty() {
        write(draft, start)?;
        if output.form() == Form::Text {
            output.confirm(&format!("{} is written", start.paths.config.display()))?;
        }
    }
    let (service, trouble) = enabled(start.paths, options, output);
    if let Some(trouble) = &trouble {
        output.complain(trouble);
    }
    let prepared = prepared(draft, start, (answers, output), alone);
    let (ends, problem) = match prepared {
        Ok(ends) => (ends, None),
        Err(problem) => (Ends::default(), Some(problem)),
    };
    let Ends { company, opened, prepared } = ends;
    let is_ready = problem.is_none() && prepared.iter().all(|sync| sync.problems.is_empty());
    let deeds = SetUpDone { service, trouble, company, opened, prepared, is_ready };
    let next = tell::next(draft, answers, &deeds, start);
    match output.form() {
        Form::Json => output.print_json(&as_a_whole(draft, start, &deeds, &next).json())?,
        Form::Text => {
            let reply = Prepared { syncs: deeds.prepared.clone() };
            output.print(&render::prepare::prepared(&reply, output.detail()))?;
            if output.detail() != Detail::Brief {
                output.print(&tell::end(draft, &next, &deeds))?;
            }
        }
    }
    match problem {
        Some(problem) => Err(problem),
        None => Ok(if deeds.is_ready && deeds.trouble.is_none() { Exit::Fine } else { Exit::Failed }),
    }
}

fn write(draft: &Draft, start: &Start<'_>) -> Result<(), CommandError> {
    let replaced = config_file::replace(&start.paths.config, start.file.as_deref(), draft.text.as_bytes());
    replaced.map_err(|error| match &error {
        ReplaceError::Changed(_) => {
            CommandError::Failed(format!("{error}, so that nothing was written; call `nbkpctl init` again"))
        }
        ReplaceError::Nameless(_) => CommandError::Usage(error.to_string()),
        ReplaceError::Write(_) => CommandError::Failed(crate::os::causes::chain(&error)),
    })
}

/// Enables the service, unless that is not wanted or the paths are those of another daemon; with why it does not run,
/// if it should, and what to do.
fn enabled(paths: &Paths, options: &InitOptions, output: &mut Output) -> (SetUpService, Option<String>) {
    if options.no_enable {
        return (SetUpService::Left, None);
    }
    if !environment::are_usual(paths) {
        output.remark("the service was left alone, since it reads another configuration");
        return (SetUpService::Left, None);
    }
    let trouble = |error: &UnitError| Some(format!("the service was not started: {error}; {}", error.remedy()));
    match unit::enable() {
        Ok(UnitState::WasOn) => (SetUpService::WasOn, None),
        Ok(UnitState::IsOn { written }) => {
            if let Some(file) = written {
                output.remark(&format!("{} was written: the service of nbkpd", file.display()));
            }
            (SetUpService::Enabled, None)
        }
        Err(error @ (UnitError::NoManager | UnitError::Silent(_))) => (SetUpService::NoManager, trouble(&error)),
        Err(error @ (UnitError::NoProgram | UnitError::Exposed(_) | UnitError::Write(_) | UnitError::Refused(..))) => {
            (SetUpService::NotEnabled, trouble(&error))
        }
    }
}

/// What was done at both ends.
#[derive(Default)]
struct Ends {
    company: Option<Company>,
    opened: Option<VolumeName>,
    prepared: Vec<PreparedSync>,
}

/// Has both ends of all syncs prepared: by the daemon that runs, or in this process.
fn prepared(
    draft: &Draft,
    start: &Start<'_>,
    (answers, output): (&Answers, &mut Output),
    alone: impl FnOnce(&Paths, StandIn) -> Result<UnixStream, (u8, String)>,
) -> Result<Ends, CommandError> {
    let names = draft.names();
    let (mut connection, company) = match Connection::open(&start.paths.socket) {
        Ok(mut connection) => {
            of_the_same_configuration(&mut connection, start)?;
            until_known(&mut connection, &names, start)?;
            (connection, Company::Daemon)
        }
        Err(CommandError::NotRunning(_)) => {
            let stream = alone(start.paths, StandIn::Works);
            let stream = stream.map_err(|(code, sentence)| CommandError::Alone(code, sentence))?;
            (Connection::over(stream), Company::Own)
        }
        Err(problem) => return Err(problem),
    };
    let opened = open(&mut connection, draft, answers, output);
    // Nobody has seen what lies there but who looked before the file was written.
    let reply = connection
        .ask(&Request::Prepare { syncs: names, only_free: Intruding::Refused })
        .map_err(|problem| told_by(company, problem))?;
    let prepared: Prepared = reply.decode()?;
    Ok(Ends { company: Some(company), opened, prepared: prepared.syncs })
}

/// A daemon with another configuration may know syncs by the same names, which are others.
fn of_the_same_configuration(connection: &mut Connection, start: &Start<'_>) -> Result<(), CommandError> {
    let status: StatusReply = connection.ask(&Request::Status { syncs: Vec::new() })?.decode()?;
    let theirs = PathBuf::from(status.daemon.config);
    let ours = environment::absolute(&start.paths.config)?;
    let real = |path: &Path| files::leads_to(path).unwrap_or_else(|_| path.to_owned());
    // What it calls by a path that does not begin at the root lies where it was started.
    if theirs.is_relative() || real(&theirs) == real(&ours) {
        return Ok(());
    }
    Err(CommandError::Failed(format!(
        "nbkpd runs with another configuration, {}, so that it was asked to prepare nothing; stop it, or give another \
         one for {} a place of its own by --socket and --state-dir, and call the same command again with these",
        theirs.display(),
        ours.display()
    )))
}

/// The daemon hears that the file changed, and reads it by itself.
fn until_known(connection: &mut Connection, names: &[SyncName], start: &Start<'_>) -> Result<(), CommandError> {
    let deadline = Deadline::after(RELOAD);
    loop {
        let known: Listing = connection.ask(&Request::List)?.decode()?;
        let is_known = |name: &SyncName| known.syncs.iter().any(|sync| sync.name == name.as_str());
        if names.iter().all(is_known) {
            return Ok(());
        }
        if deadline.has_passed() {
            let file = start.paths.config.display();
            return Err(CommandError::Failed(format!(
                "nbkpd runs, and does not take in {file}; `nbkpctl status` tells what it reads, then `nbkpctl prepare` \
                 does the rest"
            )));
        }
        clock::wait(BETWEEN);
    }
}

/// A drive that is closed is opened for this. Where that does not work, it is told, and the rest is done.
fn open(connection: &mut Connection, draft: &Draft, answers: &Answers, output: &mut Output) -> Option<VolumeName> {
    let FoundPlace::OnDrive(drive, _) = &answers.target.place else { return None };
    if answers.target.at.is_some() || drive.mounter == Mounter::Others {
        return None;
    }
    let volume = draft.configuration.syncs.get(draft.names().first()?)?.destination.volume.clone();
    match connection.ask(&Request::Mount { volume: volume.clone() }) {
        Ok(_) => Some(volume),
        Err(problem) => {
            output.complain(&printable(&problem.sentence()));
            None
        }
    }
}

fn as_a_whole(draft: &Draft, start: &Start<'_>, deeds: &SetUpDone, next: &[String]) -> SetUp {
    let sync = |drafted: &Drafted| {
        let (name, new) = match drafted {
            Drafted::New(name) => (name, true),
            Drafted::Already(name) => (name, false),
        };
        let sync = draft.configuration.syncs.get(name)?;
        Some(SetUpSync {
            name: name.to_string(),
            new,
            source: sync.source.to_string(),
            destination: sync.destination.to_string(),
            snapshots: sync.snapshots.to_string(),
        })
    };
    SetUp {
        config: start.paths.config.display().to_string(),
        changed: !draft.additions.is_empty(),
        added: draft.lines.clone(),
        syncs: draft.syncs.iter().filter_map(sync).collect(),
        prepared: deeds.prepared.clone(),
        service: deeds.service,
        service_problem: deeds.trouble.clone(),
        next: next.to_vec(),
    }
}
