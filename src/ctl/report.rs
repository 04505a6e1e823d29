//! `report`: how everything stands, on one page.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

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
use crate::formats::wire::{Diagnosis, HistoryLimit, Mode, Moment, Request};
use crate::model::{Now, StandIn, Weighing};
use crate::os::causes::chain;
use crate::os::directory::Directory;
use crate::os::environment::Paths;
use crate::os::files::{self, Readers};
use crate::os::{clock, machine, service, viewer};

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
    files::write_durably(&directory, &name, text.as_bytes(), Readers::Owner).map_err(failed)?;
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
    match Connection::open(&paths.socket) {
        Ok(connection) => {
            // What takes longest is under way while the rest is asked for.
            let mut tester = Connection::open(&paths.socket)?;
            tester.send(&Request::Doctor, Mode::Once)?;
            let first = |diagnosis: Diagnosis| {
                let versions = (diagnosis.version.clone(), env!("CARGO_PKG_VERSION"));
                diagnosis.behind(&daemon::version(&versions.0, versions.1, &service::command("restart")))
            };
            asked(days, None, connection, || Ok(first(tester.next()?.decode()?)))
        }
        Err(CommandError::NotRunning(socket)) => {
            let dead = format!("nbkpd is not running: start it with `{}`", service::command("enable --now"));
            let stream = alone(paths, StandIn::Looks).map_err(|(code, why)| CommandError::Alone(code, why))?;
            let mut connection = Connection::over(stream);
            let own = |problem| told_by(Company::Own, problem);
            // The copies that are there are looked at once.
            connection.ask(&Request::Scan).map_err(own)?;
            let diagnosis: Diagnosis = connection.ask(&Request::Doctor).map_err(own)?.decode()?;
            let first = daemon::not_running(&socket, &service::command("enable --now"));
            asked(days, Some(dead), connection, || Ok(diagnosis.behind(&first))).map_err(own)
        }
        Err(problem) => Err(problem),
    }
}

fn asked(
    days: u32,
    dead: Option<String>,
    mut connection: Connection,
    diagnosis: impl FnOnce() -> Result<Diagnosis, CommandError>,
) -> Result<ReportFacts, CommandError> {
    let connection = &mut connection;
    let list = connection.ask(&Request::List)?.decode()?;
    let snapshots = connection.ask(&Request::Snapshots { syncs: Vec::new(), sizes: Weighing::Unwanted })?.decode()?;
    let question = Request::History { sync: None, limit: HistoryLimit(RUNS), stats: true };
    let history = connection.ask(&question)?.decode()?;
    let status = connection.ask(&Request::Status { syncs: Vec::new() })?.decode()?;
    let doctor = diagnosis()?;
    let (made, machine) = (Moment(clock::now().wall), machine::host_name());
    Ok(ReportFacts { made, machine, days, dead, status, list, history, snapshots, doctor })
}
