//! With whom a command speaks: the daemon that runs, or one in this process.

use std::os::unix::net::UnixStream;

use crate::ctl::args::{Conversation, WithoutDaemon};
use crate::ctl::client::Connection;
use crate::ctl::command_error::CommandError;
use crate::ctl::output::{Form, Output};
use crate::model::StandIn;
use crate::os::environment::Paths;

/// With whom a command speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Company {
    /// The daemon that runs.
    Daemon,
    /// One that lives in this process, and ends with it.
    Own,
}

/// Connects to the daemon; where none runs, to one of our own if the command can do its work with it.
pub(super) fn connect(
    command: &Conversation,
    paths: &Paths,
    output: &mut Output,
    alone: impl FnOnce(&Paths, StandIn) -> Result<UnixStream, (u8, String)>,
) -> Result<(Connection, Company), CommandError> {
    match Connection::open(&paths.socket) {
        Err(CommandError::NotRunning(_)) if command.alone() != WithoutDaemon::Nothing => {
            let stream =
                alone(paths, StandIn::Works).map_err(|(code, sentence)| CommandError::Alone(code, sentence))?;
            if output.form() == Form::Text && command.alone() == WithoutDaemon::Works {
                output.remark("nbkpd is not running; this process does the work");
            }
            Ok((Connection::over(stream), Company::Own))
        }
        opened => opened.map(|connection| (connection, Company::Daemon)),
    }
}

/// A daemon of our own goes away only when a signal stops this process.
pub(super) fn told_by(company: Company, problem: CommandError) -> CommandError {
    match (company, problem) {
        (Company::Own, CommandError::Vanished | CommandError::VanishedAmid) => CommandError::Stopped,
        (Company::Own | Company::Daemon, problem) => problem,
    }
}
