//! Servers: what a run does at the other end of a connection.

mod course;
pub mod errands;
mod far;
mod recover;
mod source;
mod trouble;
mod view;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::stop::Stops;
use super::way::slash;
use crate::daemon::job::{Job, RemoteEnd};
use crate::formats::ssh::answers;
use crate::formats::ssh::script::{self, Marks};
use crate::model::{Absence, Conclusion, End, Interruption, Obstacle, Step, VolumeName};
use crate::os::machine;
use crate::os::process::Wanted;
use crate::os::ssh::shared::Shared;
use crate::os::ssh::{NoAnswer, Said, SshPlace};

use recover::Deed;

pub(super) use far::{FarSource, transfer};
pub(super) use trouble::refused;
pub(super) use view::View;

/// How long a look or a note may take.
const SHORT: Duration = Duration::from_mins(1);
/// How long flushing or deleting may take: a slow drive needs minutes. A connection that breaks is noticed without it.
const LONG: Duration = Duration::from_hours(4);

/// A server, connected for one run.
#[derive(Debug)]
pub(super) struct Server {
    shared: Shared,
    marks: Marks,
}

/// Whether a person's patience ends what is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stoppable {
    /// It can be done again at any time.
    Yes,
    /// It is short, and half of it is worse than all: only a second order to stop ends it.
    No,
}

impl Server {
    /// Connects by the first way that leads there. It must be called before the thread confines itself.
    pub(super) fn connect(
        job: &Job,
        (end, which): (&RemoteEnd, End),
        place: &SshPlace,
        stops: &mut Stops,
    ) -> Result<Self, Conclusion> {
        let volume = &job.sync.place(which).volume;
        let client = format!("{:016x}-{}", machine::fingerprint(), job.sync.name);
        Self::reach((end, which), volume, Marks::new(&client, job.run.as_str()), place, stops)
    }

    /// The same for an errand, which ends nobody's processes.
    pub(super) fn reach(
        (end, which): (&RemoteEnd, End),
        volume: &VolumeName,
        marks: Marks,
        place: &SshPlace,
        stops: &mut Stops,
    ) -> Result<Self, Conclusion> {
        let bell = stops.bell.share().map_err(|cause| trouble::local(&cause))?;
        let mut first = None;
        for route in &end.routes {
            stops.check()?;
            match Shared::open(route, place, &bell, || stops.wanted()) {
                Ok(shared) => return Ok(Self { shared, marks }),
                Err(fault) => {
                    tracing::debug!(endpoint = %route.endpoint.name, "could not connect: {fault}");
                    first.get_or_insert(fault);
                }
            }
        }
        stops.check()?;
        let absence = first.map_or(Absence::Elsewhere, Absence::Host);
        Err(Conclusion::Skipped(vec![Obstacle::VolumeAbsent { end: which, volume: volume.clone(), absence }]))
    }

    /// The host, as the configuration names it.
    pub(super) fn host(&self) -> &str {
        &self.shared.route().endpoint.host
    }

    /// A directory there, as rsync and a person write it.
    pub(super) fn shown(&self, path: &Path) -> OsString {
        let mut shown = OsString::from(format!("{}:", self.host()));
        shown.push(slash(path));
        shown
    }

    /// Runs one of our scripts there.
    pub(super) fn ask(
        &self,
        script: &str,
        arguments: &[OsString],
        (stoppable, deadline): (Stoppable, Duration),
        stops: &mut Stops,
    ) -> Result<Said, Conclusion> {
        let bell = stops.bell.share().map_err(|cause| trouble::local(&cause))?;
        let answer =
            self.shared.ask((script, arguments), &self.marks, deadline, &bell, || match (stops.wanted(), stoppable) {
                (Wanted::End, Stoppable::No) => Wanted::GoOn,
                (wanted, _) => wanted,
            });
        answer.map_err(|why| {
            let stopped = if why == NoAnswer::CalledOff { stops.check().err() } else { None };
            let fault = why.told(self.shared.route());
            stopped.unwrap_or(Conclusion::Interrupted(Interruption::Network(fault.to_string())))
        })
    }

    /// What rsync is given as `-e`.
    pub(super) fn remote_shell(&self) -> OsString {
        self.shared.remote_shell()
    }

    /// What rsync is given as `--rsync-path`: `transfer.sh` with these words.
    pub(super) fn rsync_path(&self, words: &[OsString]) -> OsString {
        script::line(script::TRANSFER, words, &self.marks)
    }

    /// The program and the arguments that run a script there, which comes to their standard input.
    pub(super) fn shell(&self) -> (PathBuf, Vec<OsString>) {
        self.shared.command(&script::command(Some(&self.marks)))
    }

    /// The run, as it is noted at the destination.
    pub(super) fn token(&self) -> &OsStr {
        OsStr::new(self.marks.run())
    }

    /// Whose processes are ours.
    pub(super) fn client(&self) -> &OsStr {
        OsStr::new(self.marks.client())
    }
}

/// Puts the shelf of a destination in order, under its lock. Returns what could not be done and stands in nobody's way.
/// An empty token is that of an errand, which a run may be followed by.
fn tidy(
    server: &Server,
    destination: &[OsString],
    token: &OsStr,
    (at, deeds): (Step, &[Deed]),
    stops: &mut Stops,
) -> Result<Vec<String>, Conclusion> {
    if deeds.is_empty() {
        return Ok(Vec::new());
    }
    let mut words = destination.to_vec();
    words.push(token.to_owned());
    words.extend(recover::words(deeds));
    let said = server.ask(script::TIDY, &words, (Stoppable::Yes, LONG), stops)?;
    if let Some(word) = answers::last_word(&said.output) {
        return Err(trouble::ended(server.host(), at, &word));
    }
    if said.code != 0 {
        return Err(trouble::gave_up(server.host(), at, &said));
    }
    let warnings = answers::lines(&said.output).filter(|(word, _)| *word == "warn");
    Ok(warnings.map(|(_, text)| format!("{}: {}", server.host(), answers::shown(text))).collect())
}
