//! Does what was answered: the file, the service, what both ends need.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::answers::Answers;
use super::done::SetUpDone;
use super::draft::Draft;
use super::start::Start;
use super::tell;
use crate::ctl::called::called;
use crate::ctl::client::Connection;
use crate::ctl::command_error::{CommandError, Exit};
use crate::ctl::company::{Company, told_by};
use crate::ctl::options::InitOptions;
use crate::ctl::output::{Detail, Form, Output};
use crate::ctl::render;
use crate::decide::setup::Drafted;
use crate::formats::set_up::{SetUp, SetUpService, SetUpSync};
use crate::formats::text::printable;
use crate::formats::wire::{Listing, Prepared, Request, StatusReply};
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
    let mut deeds = SetUpDone { service, trouble, company: None, opened: None, prepared: Vec::new(), problem: None };
    deeds.problem = prepare_ends(draft, start, (answers, output), &mut deeds, alone).err();
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
    let is_fine = deeds.is_ready() && deeds.trouble.is_none();
    match deeds.problem {
        Some(problem) => Err(problem),
        None => Ok(if is_fine { Exit::Fine } else { Exit::Failed }),
    }
}

fn write(draft: &Draft, start: &Start<'_>) -> Result<(), CommandError> {
    let replaced = config_file::replace(&start.paths.config, start.file.as_deref(), draft.text.as_bytes());
    replaced.map_err(|error| match &error {
        ReplaceError::Changed(_) => {
            let client = called("nbkpctl", start.paths);
            CommandError::Failed(format!("{error}, so that nothing was written; call `{client} init` again"))
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
        Err(
            error @ (UnitError::Stuck(_)
            | UnitError::NoProgram
            | UnitError::Exposed(_)
            | UnitError::Write(_)
            | UnitError::Refused(..)),
        ) => (SetUpService::NotEnabled, trouble(&error)),
    }
}

/// Has both ends of all syncs prepared: by the daemon that runs, or in this process. What is done is noted at once: it
/// stays done where the next step does not work.
fn prepare_ends(
    draft: &Draft,
    start: &Start<'_>,
    (answers, output): (&Answers, &mut Output),
    deeds: &mut SetUpDone,
    alone: impl FnOnce(&Paths, StandIn) -> Result<UnixStream, (u8, String)>,
) -> Result<(), CommandError> {
    let names = draft.names();
    let (mut connection, company) = match Connection::open(&start.paths.socket) {
        Ok(mut connection) => {
            of_the_same_configuration(&mut connection, start)?;
            deeds.company = Some(Company::Daemon);
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
    deeds.company = Some(company);
    deeds.opened = open(&mut connection, draft, answers, output);
    // Nobody has seen what lies there but who looked before the file was written.
    let reply = connection
        .ask(&Request::Prepare { syncs: names, only_free: Intruding::Refused })
        .map_err(|problem| told_by(company, problem))?;
    let prepared: Prepared = reply.decode()?;
    deeds.prepared = prepared.syncs;
    Ok(())
}

/// A daemon with another configuration may know syncs by the same names, which are others.
fn of_the_same_configuration(connection: &mut Connection, start: &Start<'_>) -> Result<(), CommandError> {
    let status: StatusReply = connection.ask(&Request::Status { syncs: Vec::new() })?.decode()?;
    let theirs = PathBuf::from(status.daemon.config);
    let ours = environment::absolute(&start.paths.config)?;
    let real = |path: &Path| files::leads_to(path).unwrap_or_else(|_| path.to_owned());
    // A path that does not begin at the root is found by nobody else.
    if theirs.is_absolute() && real(&theirs) == real(&ours) {
        return Ok(());
    }
    Err(CommandError::OtherConfiguration { theirs, ours })
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
            let (file, client) = (start.paths.config.display(), called("nbkpctl", start.paths));
            return Err(CommandError::Failed(format!(
                "nbkpd runs, and does not take in {file}; `{client} status` tells what it reads, then `{client} \
                 prepare` does the rest"
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

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;
    use crate::ctl::args::Common;
    use crate::ctl::init::answers::LeavesOut;
    use crate::ctl::init::places::CopyTarget;
    use crate::formats::config::{Context, parse};
    use crate::formats::wire::{DoneReply, Flow, reply_frame};
    use crate::model::{Additions, Cipher, FoundDrive, SnapshotKind, Subdir};

    const CONFIGURATION: &str = "[volumes.laptop]\npath = \"~\"\n\n[volumes.usb]\n\
         drive = \"2d577679-a7b6-429d-8250-3d0d80e034df\"\nmount = true\n\n\
         [syncs.documents]\nsource = \"laptop:documents\"\ndestination = \"usb\"\n";

    #[test]
    fn what_was_opened_is_not_forgotten_when_the_next_request_fails() {
        let paths = Paths {
            config: "/c.toml".into(),
            socket: "/no/such/socket".into(),
            state_dir: "/d".into(),
            home: "/home/a".into(),
        };
        let context = Context { file: paths.config.clone(), home: paths.home.clone() };
        let configuration = parse(CONFIGURATION, &context).unwrap();
        let start = Start { paths: &paths, file: None, configuration: configuration.clone(), context };
        let drive = FoundDrive {
            uuid: "2d577679-a7b6-429d-8250-3d0d80e034df".parse().unwrap(),
            inside: None,
            label: None,
            encryption: Cipher::Luks,
            mounter: Mounter::Daemon,
        };
        let answers = Answers {
            sources: Vec::new(),
            target: CopyTarget {
                place: FoundPlace::OnDrive(drive, Subdir::default()),
                shown: String::new(),
                family: None,
                fs_type: None,
                at: None,
                there: None,
                free: None,
            },
            snapshots: SnapshotKind::HardLink,
            name: None,
            leaves_out: LeavesOut::Nothing,
        };
        let draft = Draft {
            syncs: vec![Drafted::New("documents".parse().unwrap())],
            additions: Additions::default(),
            text: String::new(),
            lines: String::new(),
            configuration,
            vacancies: std::collections::BTreeMap::new(),
            beside: Vec::new(),
        };
        // It opens the drive, and goes away.
        let daemon = |_: &Paths, _| {
            let (ours, mut theirs) = UnixStream::pair().unwrap();
            std::thread::spawn(move || {
                assert!(theirs.read(&mut [0; 512]).unwrap() > 0);
                theirs.write_all(&reply_frame(&DoneReply {}, Flow::Ends)).unwrap();
            });
            Ok(ours)
        };
        let (service, prepared) = (SetUpService::Left, Vec::new());
        let mut deeds = SetUpDone { service, trouble: None, company: None, opened: None, prepared, problem: None };
        let mut output = Output::new(&Common::default());
        deeds.problem = prepare_ends(&draft, &start, (&answers, &mut output), &mut deeds, daemon).err();
        assert!(!deeds.is_ready() && deeds.company == Some(Company::Own));
        let next = tell::next(&draft, &answers, &deeds, &start).join("\n");
        assert!(next.contains("`usb` was opened for this, and stays open until `nbkpctl --config /c.toml"), "{next}");
    }
}
