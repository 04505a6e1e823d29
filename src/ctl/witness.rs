//! The witness of a restore without a daemon: the daemon of this machine, whose runs may copy what is restored to.

use std::collections::BTreeSet;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use crate::backup::restore::witness::{Landing, Witness};
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
    /// What it was told of, and has not ended.
    begun: Vec<Landing>,
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
        let of = |way, doubt| Self { way, command, begun: Vec::new(), doubt };
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

    fn begin(&mut self, landing: &Landing) -> Result<BTreeSet<SyncName>, CommandError> {
        let command = self.command.clone();
        let Some(connection) = self.connection() else { return Ok(BTreeSet::new()) };
        let to = landing.place.to_str().ok_or_else(|| {
            let place = landing.place.display();
            CommandError::Failed(format!("the name {place} is no UTF-8, which messages cannot carry"))
        })?;
        let origin = landing.origin.to_str().map(ToOwned::to_owned);
        let awaited: RestoreAwaited =
            connection.ask(&Request::RestoreBegins { to: to.to_owned(), command, origin })?.decode()?;
        Ok(awaited.syncs.iter().filter_map(|name| name.parse().ok()).collect())
    }

    fn end(&mut self, landing: &Landing, ending: RestoreEnding) -> Result<(), CommandError> {
        let to = landing.place.to_string_lossy().into_owned();
        let origin = landing.origin.to_str().map(ToOwned::to_owned);
        let Some(connection) = self.connection() else { return Ok(()) };
        connection.ask(&Request::RestoreEnds { to, ending, origin }).map(drop)
    }

    /// A daemon that was started anew meanwhile knows that all of this was begun, and not who does it.
    fn end_at_another(&mut self, landing: &Landing, ending: RestoreEnding) -> Result<(), CommandError> {
        if let Way::There(connection, socket) = &mut self.way {
            *connection = Connection::open(socket)?;
            for begun in [std::slice::from_ref(landing), &self.begun.clone()].concat() {
                self.begin(&begun)?;
            }
            self.end(landing, ending)?;
        }
        Ok(())
    }
}

impl Witness for MachineWitness {
    fn begins(&mut self, landing: &Landing) -> Result<BTreeSet<SyncName>, String> {
        match self.begin(landing) {
            Ok(waiting) => {
                self.begun.push(landing.clone());
                Ok(waiting)
            }
            // It is in reach, and could not write down what would keep the copies from harm.
            Err(CommandError::Refused(CallError::Failed { message })) => Err(message),
            Err(error) => {
                self.doubt = Some(nobody_waits(&error.sentence()));
                Ok(BTreeSet::new())
            }
        }
    }

    fn ends(&mut self, landing: &Landing, ending: RestoreEnding) {
        // What comes there may be of another copy by now.
        self.begun.retain(|begun| begun.place != landing.place);
        let ended = self.end(landing, ending).or_else(|_| self.end_at_another(landing, ending));
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
