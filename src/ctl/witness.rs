//! The witness of a restore without a daemon: the daemon of this machine, whose runs may copy what is restored to.

use std::collections::BTreeSet;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use crate::backup::restore::witness::Witness;
use crate::ctl::client::Connection;
use crate::ctl::command_error::CommandError;
use crate::formats::wire::{CallError, Request, RestoreAwaited};
use crate::model::{RestoreEnding, StandIn, SyncName};
use crate::os::entry;
use crate::os::environment::Paths;

/// Who tells the runs of this machine to wait for a restore.
#[derive(Debug)]
pub(super) struct MachineWitness {
    way: Way,
    /// The command that goes on with it.
    command: String,
    /// What could not be told to whom, for a person.
    pub(super) doubt: Option<String>,
}

/// Where the daemon is.
#[derive(Debug)]
enum Way {
    /// At this socket; it may be another one by the time that the restore has ended.
    There(Connection, PathBuf),
    /// In this process.
    Here(Connection),
    /// There is no configuration, so that there are no runs.
    NoRuns,
    /// It could not be reached.
    None,
}

impl MachineWitness {
    /// Connects to the daemon of this machine, or to one of our own if there is a configuration.
    pub(super) fn called(
        paths: Option<&Paths>,
        command: String,
        alone: impl FnOnce(&Paths, StandIn) -> Result<UnixStream, (u8, String)>,
    ) -> Self {
        let of = |way, doubt| Self { way, command, doubt };
        let Some(paths) = paths else { return of(Way::NoRuns, None) };
        match Connection::open(&paths.socket) {
            Ok(connection) => of(Way::There(connection, paths.socket.clone()), None),
            Err(CommandError::NotRunning(_)) if entry::look_at(&paths.config).is_none() => of(Way::NoRuns, None),
            Err(CommandError::NotRunning(_)) => match alone(paths, StandIn::Works) {
                Ok(stream) => of(Way::Here(Connection::over(stream)), None),
                Err((_, why)) => of(Way::None, Some(nobody_waits(&why))),
            },
            Err(error) => of(Way::None, Some(nobody_waits(&error.sentence()))),
        }
    }

    fn connection(&mut self) -> Option<&mut Connection> {
        match &mut self.way {
            Way::There(connection, _) | Way::Here(connection) => Some(connection),
            Way::NoRuns | Way::None => None,
        }
    }

    fn begin(&mut self, place: &Path) -> Result<BTreeSet<SyncName>, CommandError> {
        let command = self.command.clone();
        let Some(connection) = self.connection() else { return Ok(BTreeSet::new()) };
        let to = place.to_str().ok_or_else(|| {
            CommandError::Failed(format!("the name {} is no UTF-8, which messages cannot carry", place.display()))
        })?;
        let awaited: RestoreAwaited =
            connection.ask(&Request::RestoreBegins { to: to.to_owned(), command })?.decode()?;
        Ok(awaited.syncs.iter().filter_map(|name| name.parse().ok()).collect())
    }

    fn end(&mut self, place: &Path, ending: RestoreEnding) -> Result<(), CommandError> {
        let to = place.to_string_lossy().into_owned();
        let Some(connection) = self.connection() else { return Ok(()) };
        connection.ask(&Request::RestoreEnds { to, ending }).map(drop)
    }

    /// A daemon that was started anew meanwhile knows that this was begun, and not who does it.
    fn end_at_another(&mut self, place: &Path, ending: RestoreEnding) -> Result<(), CommandError> {
        if let Way::There(connection, socket) = &mut self.way {
            *connection = Connection::open(socket)?;
            self.begin(place)?;
            self.end(place, ending)?;
        }
        Ok(())
    }
}

impl Witness for MachineWitness {
    fn begins(&mut self, place: &Path) -> Result<BTreeSet<SyncName>, String> {
        match self.begin(place) {
            Ok(waiting) => Ok(waiting),
            // It is in reach, and could not write down what would keep the copies from harm.
            Err(CommandError::Refused(CallError::Failed { message })) => Err(message),
            Err(error) => {
                self.doubt = Some(nobody_waits(&error.sentence()));
                Ok(BTreeSet::new())
            }
        }
    }

    fn ends(&mut self, place: &Path, ending: RestoreEnding) {
        let ended = self.end(place, ending).or_else(|_| self.end_at_another(place, ending));
        // What was begun and is not whole needs no word.
        if let (Err(error), RestoreEnding::Whole) = (ended, ending) {
            self.doubt = Some(format!(
                "nbkpd could not be told that all is back ({}): what waits for it goes on once the same is said again",
                first_line(&error.sentence())
            ));
        }
    }
}

fn nobody_waits(why: &str) -> String {
    format!(
        "no backup of this machine could be told to wait for this ({}); should one copy what is restored to, run \
         `nbkpctl pause` until all is back",
        first_line(why)
    )
}

/// The mistakes of a configuration are many lines.
fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
