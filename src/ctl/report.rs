//! `report`: how everything stands, on one page.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::ctl::client::Connection;
use crate::ctl::command_error::{CommandError, Exit};
use crate::ctl::company::{Company, told_by};
use crate::ctl::options::ReportOptions;
use crate::ctl::output::{Form, Output};
use crate::ctl::render;
use crate::ctl::script::place_of;
use crate::decide::diagnosis::daemon;
use crate::formats::json;
use crate::formats::report::ReportFacts;
use crate::formats::text::printable;
use crate::formats::wire::{
    Diagnosis, HistoryLimit, Listing, Mode, Moment, Reply, Request, Snapshots, SyncEntry, SyncProblem,
};
use crate::model::{Area, BootTime, Flaw, Now, SnapshotKind, StandIn, Weighing};
use crate::os::causes::chain;
use crate::os::directory::Directory;
use crate::os::environment::Paths;
use crate::os::files::{self, Readers};
use crate::os::{clock, machine, service, viewer};

/// So long is waited for what looks at drives and servers: the rest of the page is worth more than no page.
const PATIENCE: Duration = Duration::from_mins(1);
/// So many runs are told one by one, in the JSON.
const RUNS: u32 = 200;

/// Asks for everything and writes the page.
pub fn report(
    options: &ReportOptions,
    paths: &Paths,
    output: &mut Output,
    alone: impl FnOnce(&Paths, StandIn) -> Result<UnixStream, (u8, String)>,
) -> Result<Exit, CommandError> {
    if options.open && output.form() == Form::Json {
        return Err(CommandError::Usage("a browser shows the page and no JSON: leave out --open or --json".into()));
    }
    // A place that cannot be written is known before anything is asked.
    let target = target(options, paths)?;
    let facts = facts(options.days, paths, alone)?;
    let now = Now { wall: facts.made.0, ..clock::now() };
    let text = match output.form() {
        Form::Json => json::text(&facts) + "\n",
        Form::Text => render::report::page(&facts, &now),
    };
    let Some(Target { directory, name, file }) = target else {
        return output.print_unchanged(text.as_bytes()).map(|()| Exit::Fine);
    };
    files::hand_over(&directory, &name, text.as_bytes(), Readers::Owner).map_err(failed)?;
    if let Some(why) = &facts.dead {
        output.remark(why);
    }
    if options.open {
        viewer::show(&file).map_err(|error| {
            CommandError::Failed(format!("{} is written, but could not {}", printable_path(&file), chain(&error)))
        })?;
    }
    output.confirm(&format!("{} is written", printable_path(&file)))?;
    Ok(Exit::Fine)
}

fn failed<E: std::error::Error>(error: E) -> CommandError {
    CommandError::Failed(format!("could not {}", chain(&error)))
}

fn printable_path(file: &Path) -> String {
    printable(&file.display().to_string()).into_owned()
}

/// Where the page goes.
struct Target {
    directory: Directory,
    name: String,
    file: PathBuf,
}

/// The file that was named; for a browser, without one, a file that goes with the session. `None` for standard output.
fn target(options: &ReportOptions, paths: &Paths) -> Result<Option<Target>, CommandError> {
    let file = match &options.output {
        Some(file) if file == Path::new("-") && options.open => {
            let why = "a browser shows a file and no standard output: name one with -o, or leave it out";
            return Err(CommandError::Usage(why.into()));
        }
        Some(file) if file != Path::new("-") => file.clone(),
        None if options.open => {
            let directory = paths.runtime_dir();
            crate::os::socket::prove_directory(&directory).map_err(failed)?;
            directory.join("report.html")
        }
        Some(_) | None => return Ok(None),
    };
    let (directory, name) = place_of(&file)?;
    let file = directory.join(&name);
    Ok(Some(Target { directory: Directory::open_root(&directory).map_err(failed)?, name, file }))
}

/// Asks the daemon; where none answers, one in this process that only looks.
fn facts(
    days: u32,
    paths: &Paths,
    alone: impl FnOnce(&Paths, StandIn) -> Result<UnixStream, (u8, String)>,
) -> Result<ReportFacts, CommandError> {
    let snapshots = Request::Snapshots { syncs: Vec::new(), sizes: Weighing::Unwanted };
    let until = clock::boot().after(PATIENCE);
    match Connection::open(&paths.socket) {
        Ok(mut connection) => {
            // What takes longest is under way while the rest is asked for.
            let aside = |request: &Request| {
                let mut other = Connection::open(&paths.socket)?;
                other.send(request, Mode::Once).map(|()| other)
            };
            let (mut tester, mut lister) = (aside(&Request::Doctor)?, aside(&snapshots)?);
            asked(days, None, &mut connection, |_, list| {
                let seen = told_until(until, &mut lister)?.map_or_else(|| Ok(silent_places(list)), |it| it.decode())?;
                let found = told_until(until, &mut tester)?.map_or_else(|| Ok(silent_doctor()), |it| it.decode())?;
                let first = daemon::version(&found.version, env!("CARGO_PKG_VERSION"), &service::command("restart"));
                Ok((seen, found.behind(&first)))
            })
        }
        Err(CommandError::NotRunning(socket)) => {
            let dead = format!("nbkpd is not running: start it with `{}`", service::command("enable --now"));
            let stream = alone(paths, StandIn::Looks).map_err(|(code, why)| CommandError::Alone(code, why))?;
            let first = daemon::not_running(&socket, &service::command("enable --now"));
            let mut alone = Connection::over(stream);
            let told = looked_at(&mut alone, until).and_then(|()| {
                asked(days, Some(dead), &mut alone, |alone, list| {
                    // It answers one question after the other: behind one that it cannot answer there is no next.
                    let seen = asked_until(until, alone, &snapshots)?;
                    let found = seen.as_ref().map(|_| asked_until(until, alone, &Request::Doctor)).transpose()?;
                    let seen = seen.map_or_else(|| Ok(silent_places(list)), |it| it.decode())?;
                    let found = match found {
                        Some(Some(reply)) => reply.decode()?,
                        Some(None) => silent_doctor(),
                        None => untested("nothing was tested: the snapshots have taken all the time that there was"),
                    };
                    Ok((seen, found.behind(&first)))
                })
            });
            told.map_err(|problem| told_by(Company::Own, problem))
        }
        Err(problem) => Err(problem),
    }
}

/// Has one that only looks see once which copies are there.
fn looked_at(alone: &mut Connection, until: BootTime) -> Result<(), CommandError> {
    let silent = || CommandError::Failed("something that is looked at does not answer: `nbkpctl doctor`".to_owned());
    asked_until(until, alone, &Request::Scan)?.map(|_| ()).ok_or_else(silent)
}

fn asked_until(until: BootTime, connection: &mut Connection, request: &Request) -> Result<Option<Reply>, CommandError> {
    connection.send(request, Mode::Once)?;
    told_until(until, connection)
}

/// The next reply; `None` if there is none by then.
fn told_until(until: BootTime, connection: &mut Connection) -> Result<Option<Reply>, CommandError> {
    // A socket knows no time limit of nothing.
    connection.next_within(until.since(clock::boot()).max(Duration::from_millis(1)))
}

/// Asks for what is known at once; `slow` for what has to be looked at.
fn asked(
    days: u32,
    dead: Option<String>,
    connection: &mut Connection,
    slow: impl FnOnce(&mut Connection, &Listing) -> Result<(Snapshots, Diagnosis), CommandError>,
) -> Result<ReportFacts, CommandError> {
    let list: Listing = connection.ask(&Request::List)?.decode()?;
    let question = Request::History { sync: None, limit: HistoryLimit(RUNS), stats: true };
    let history = connection.ask(&question)?.decode()?;
    let status = connection.ask(&Request::Status { syncs: Vec::new() })?.decode()?;
    let (snapshots, doctor) = slow(connection, &list)?;
    let (made, machine) = (Moment(clock::now().wall), machine::host_name());
    Ok(ReportFacts { made, machine, days, dead, status, list, history, snapshots, doctor })
}

/// What is told of snapshots where one of their places answers nobody.
fn silent_places(list: &Listing) -> Snapshots {
    let message = format!("a place of snapshots has not answered within {} s", PATIENCE.as_secs());
    let with_history = list.syncs.iter().filter(|sync| !sync.snapshots.is(SnapshotKind::None));
    let problem = |sync: &SyncEntry| SyncProblem { sync: sync.name.clone(), message: message.clone() };
    Snapshots { snapshots: Vec::new(), problems: with_history.map(problem).collect() }
}

/// What is told where something that `doctor` asks answers nobody.
fn silent_doctor() -> Diagnosis {
    untested(format!("the tests have not come to an end within {} s: something does not answer", PATIENCE.as_secs()))
}

/// What is told where not all was tested.
fn untested(what: impl Into<String>) -> Diagnosis {
    let fix = "run `nbkpctl doctor`, and look for a drive, a mount or a server that hangs";
    Diagnosis::new(&[Area::Daemon.examined("doctor", Flaw::Degraded.error(what, fix))])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Severity;

    #[test]
    fn what_does_not_answer_is_told_and_is_an_error() {
        let text = r#"{"parameters":{"syncs":[
            {"name":"a","source":"x:","destination":"y:","enabled":true,"snapshots":"none"},
            {"name":"b","source":"x:","destination":"y:b","enabled":true,"snapshots":"btrfs"}],
            "volumes":[],"groups":[],"locations":[]}}"#;
        let list = Reply::read(text.as_bytes()).unwrap().unwrap().decode().unwrap();
        let told = silent_places(&list);
        assert_eq!(told.problems.iter().map(|problem| problem.sync.as_str()).collect::<Vec<_>>(), ["b"]);
        assert_eq!(silent_doctor().count(Severity::Error), 1);
    }
}
