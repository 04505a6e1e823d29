//! Floor 5: the client. It blocks, starts in milliseconds and knows no tokio.

pub mod args;
mod bars;
mod called;
mod checks;
mod client;
mod command_error;
mod company;
mod config;
pub mod demo;
mod doctor;
mod find;
mod fold;
mod formatting;
mod graph;
mod init;
pub mod options;
mod orders;
mod output;
pub mod pages;
mod passphrases;
mod polkit;
mod previews;
mod reminders;
mod render;
mod report;
mod reports;
mod restores;
mod runs;
mod script;
mod simulate;
mod watch;
mod witness;

use std::os::unix::net::UnixStream;
use std::process::ExitCode;

use args::{Arguments, Command, Conversation};
use called::paths_of;
use client::Connection;
use command_error::{CommandError, Exit};
use company::{Company, connect, told_by};
use options::{DrivesCommand, RestoreOptions};
use output::Output;
use runs::Patience;

use crate::formats::text::printable;
use crate::formats::wire::{HistoryLimit, Request};
use crate::model::{Pruning, StandIn, Weighing};
use crate::os::environment::{self, Paths};
use crate::os::socket;

/// Does what the command line asks for. `alone` opens a conversation with a daemon that lives in this process, for
/// commands that need none to run; it gives an exit code and a sentence if that is not possible.
pub fn perform(
    arguments: Arguments,
    alone: impl FnOnce(&Paths, StandIn) -> Result<UnixStream, (u8, String)>,
) -> ExitCode {
    let mut output = Output::new(&arguments.common);

    obey(arguments, &mut output, alone).unwrap_or_else(|problem| {
        if !problem.is_silent() {
            tell(&problem, &mut output);
        }
        problem.exit().into()
    })
}

fn tell(problem: &CommandError, output: &mut Output) {
    let text = problem.sentence();
    let lines: Vec<_> = text.lines().map(printable).collect();
    match lines.as_slice() {
        [line] => output.complain(line),
        // The mistakes of a configuration come with a heading of their own.
        lines => output.complain_at_length(&format!("{}\n", lines.join("\n"))),
    }
    // With `sudo` a person asks root's daemon, and mostly means their own.
    let is_elsewhere = matches!(
        problem,
        CommandError::NotRunning(_)
            | CommandError::Alone(..)
            | CommandError::ConfigFile(_)
            | CommandError::Environment(_)
    );
    if is_elsewhere && environment::is_root() {
        for user in socket::answering_users() {
            output.complain(&printable(&format!("nbkpd of user {user} runs: ask it as {user}, without `sudo`")));
        }
    }
}

fn obey(
    arguments: Arguments,
    output: &mut Output,
    alone: impl FnOnce(&Paths, StandIn) -> Result<UnixStream, (u8, String)>,
) -> Result<ExitCode, CommandError> {
    let Arguments { common, command } = arguments;
    let ended = match command {
        Command::Demo(arguments) => return Ok(demo::demo(&arguments)),
        Command::Config(command) => config::config(command, &common, output),
        Command::Graph { format } => graph::graph(&common, format, output),
        Command::Init(options) => init::init(&options, &paths_of(&common)?, output, alone),
        Command::Script(options) => script::script(&options, &common, output),
        Command::Completions { shell } => pages::completions(shell, output),
        Command::Man { command } => pages::manual(command.as_deref(), output),
        Command::Conversation(Conversation::Drives { about: Some(DrivesCommand::Polkit { volume }) }) => {
            polkit::polkit(&common, volume.as_ref(), output)
        }
        Command::Conversation(Conversation::Drives { about: Some(DrivesCommand::Format(options)) }) => {
            formatting::format(&options, &common, output)
        }
        Command::Conversation(Conversation::Restore(RestoreOptions {
            from: Some(from),
            paths: entries,
            at,
            to,
            dry_run,
            force,
        })) => {
            let options = RestoreOptions { from: None, paths: entries, at, to, dry_run, force };
            restores::restore_from(&from, (output, paths_of(&common).ok().as_ref()), &options, alone)
        }
        Command::Report(options) => report::report(&options, &paths_of(&common)?, output, alone),
        Command::Overdue => reminders::remind(&paths_of(&common)?, output, alone),
        Command::Doctor { fix } => doctor::doctor(&paths_of(&common)?, fix.into(), output, alone),
        Command::Conversation(command) => {
            let paths = paths_of(&common)?;
            match (connect(&command, &paths, output, alone), &command) {
                // What a first configuration is written from is not known by a daemon, which there is none without one.
                (Err(CommandError::Alone(..)), Conversation::Drives { .. }) => reports::drives_without_daemon(output),
                (connected, _) => {
                    let (connection, company) = connected?;
                    converse(command, connection, company, output).map_err(|problem| told_by(company, problem))
                }
            }
        }
    };
    ended.map(ExitCode::from)
}

fn converse(
    command: Conversation,
    mut connection: Connection,
    company: Company,
    output: &mut Output,
) -> Result<Exit, CommandError> {
    let connection = &mut connection;
    match command {
        Conversation::Status { syncs, check: true, .. } => reports::check_status(connection, output, syncs),
        Conversation::Status { syncs, watch: false, .. } => reports::status(connection, output, syncs),
        Conversation::Status { syncs, watch: true, .. } => watch::follow_status(connection, output, syncs),
        Conversation::Why { sync } => reports::why(connection, output, sync),
        Conversation::Scan => reports::scan(connection, output),
        Conversation::List => reports::list(connection, output),
        Conversation::Run(options) if options.dry_run => previews::dry_run(connection, output, options),
        Conversation::Run(options) => {
            // Nobody else would do what is only queued.
            let patience = match company {
                Company::Own => Patience::Stays,
                Company::Daemon if options.wait => Patience::Watches,
                Company::Daemon => Patience::Leaves,
            };
            runs::request_runs(connection, output, &options, patience)
        }
        Conversation::Cancel { syncs } => orders::cancel(connection, output, syncs),
        Conversation::Pause { length } => orders::pause(connection, output, length),
        Conversation::Resume => orders::resume(connection, output),
        Conversation::Simulate { event } => simulate::simulate(connection, output, event),
        Conversation::Hold { volume, length } => orders::hold(connection, output, volume, length),
        Conversation::Release { volume } => orders::release(connection, output, volume),
        Conversation::Mount { volume } => orders::mount(connection, output, volume),
        Conversation::Unmount { volume } => orders::close(connection, output, &Request::Unmount { volume }),
        Conversation::Eject { volume } => orders::close(connection, output, &Request::Eject { volume }),
        Conversation::Approve { sync } => orders::approve(connection, output, sync),
        Conversation::Diff { sync, between } => previews::diff(connection, output, sync, between.as_deref()),
        Conversation::History { sync, stats, limit } => {
            reports::show_history(connection, output, &Request::History { sync, limit: HistoryLimit(limit), stats })
        }
        Conversation::Snapshots { sync, sizes } => {
            let weighing = if sizes { Weighing::Wanted } else { Weighing::Unwanted };
            reports::snapshots(connection, output, sync, weighing)
        }
        Conversation::Prune { syncs, dry_run } => {
            reports::prune(connection, output, syncs, if dry_run { Pruning::Pretended } else { Pruning::Real })
        }
        Conversation::Versions { path } => restores::versions(connection, output, &path),
        Conversation::Find(options) => find::find(connection, output, options),
        Conversation::Restore(options) => restores::restore(connection, output, &options),
        Conversation::Verify(options) => checks::verify(connection, output, options),
        Conversation::Prepare { syncs } => reports::prepare(connection, output, syncs),
        Conversation::Drives { .. } => reports::drives(connection, output),
    }
}
