//! `doctor`: everything is tested by the daemon, from where it is; without one by this process.

use std::os::unix::net::UnixStream;
use std::path::Path;

use crate::ctl::client::Connection;
use crate::ctl::command_error::{CommandError, Exit};
use crate::ctl::company::{Company, told_by};
use crate::ctl::config;
use crate::ctl::output::{Form, Output};
use crate::ctl::render;
use crate::decide::diagnosis::daemon;
use crate::formats::config::Colour;
use crate::formats::json;
use crate::formats::wire::{Diagnosis, Request};
use crate::model::{Area, Examined, Flaw, Severity, StandIn};
use crate::os::environment::Paths;
use crate::os::service;

/// Tests everything, and tells what a person could mend.
pub fn doctor(
    paths: &Paths,
    output: &mut Output,
    alone: impl FnOnce(&Paths, StandIn) -> Result<UnixStream, (u8, String)>,
) -> Result<Exit, CommandError> {
    let diagnosis = match Connection::open(&paths.socket) {
        Ok(connection) => {
            let diagnosis = asked(connection)?;
            let first = daemon::version(&diagnosis.version, env!("CARGO_PKG_VERSION"), &service::command("restart"));
            diagnosis.behind(&first)
        }
        Err(CommandError::NotRunning(socket)) => without_daemon(paths, &socket, alone)?,
        Err(problem) => return Err(problem),
    };
    match output.form() {
        Form::Json => output.print_json(&json::text(&diagnosis))?,
        Form::Text => output.print(&render::doctor::diagnosis(&diagnosis, output.detail()))?,
    }
    if diagnosis.has(Flaw::ConfigurationRefused) {
        show_mistakes(paths, output);
        return Ok(Exit::Usage);
    }
    Ok(if diagnosis.count(Severity::Error) > 0 { Exit::Failed } else { Exit::Fine })
}

fn asked(mut connection: Connection) -> Result<Diagnosis, CommandError> {
    Ok(connection.ask(&Request::Doctor)?.decode()?)
}

/// Does the same tests in this process, which changes nothing. What keeps it from that is a finding, too.
fn without_daemon(
    paths: &Paths,
    socket: &Path,
    alone: impl FnOnce(&Paths, StandIn) -> Result<UnixStream, (u8, String)>,
) -> Result<Diagnosis, CommandError> {
    let rest = match unusable(paths) {
        Some(refused) => Diagnosis::new(&[refused]),
        None => match alone(paths, StandIn::Looks) {
            Ok(stream) => asked(Connection::over(stream)).map_err(|problem| told_by(Company::Own, problem))?,
            Err((_, sentence)) => Diagnosis::new(&[cannot_begin(&sentence)]),
        },
    };
    Ok(rest.behind(&daemon::not_running(socket, &service::command("enable --now"))))
}

/// The configuration file, if it cannot be used.
fn unusable(paths: &Paths) -> Option<Examined> {
    let why = match config::read_configuration(paths) {
        Ok(Ok(_)) => return None,
        Ok(Err(mistakes)) => mistakes.summary(),
        Err(problem) => problem.sentence(),
    };
    let file = paths.config.display();
    let fix = format!("correct it: `nbkpctl config check {file}` shows each mistake");
    let finding = Flaw::ConfigurationRefused.error(format!("{file} cannot be used: {why}"), fix);
    Some(Area::Daemon.examined("configuration", finding))
}

fn cannot_begin(sentence: &str) -> Examined {
    let fix = "mend that first, then run `nbkpctl doctor` again: nothing else could be tested";
    Area::State.examined("directory", Flaw::StateUnusable.error(sentence, fix))
}

/// With their carets, as `config check` shows them.
fn show_mistakes(paths: &Paths, output: &mut Output) {
    if output.form() == Form::Text
        && let Ok(Err(mistakes)) = config::read_configuration(paths)
    {
        output.complain_at_length(&mistakes.render(Colour::Styled));
    }
}
