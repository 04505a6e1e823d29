//! Servers: what a run does at the other end of a connection.

pub mod failure;
pub mod stop;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::backup::job::{Job, RemoteEnd};
use crate::backup::session::failure as trouble;
use crate::backup::session::stop::Stops;
use crate::formats::rsync::arguments::slash;
use crate::formats::ssh::answers;
use crate::formats::ssh::calls::ScriptCall;
use crate::formats::ssh::complaints;
use crate::formats::ssh::script::{self, Marks};
use crate::model::{Absence, End, Interruption, NotDone, Obstacle, Step, Sync, VolumeName};
use crate::os::machine;
use crate::os::process::Wanted;
use crate::os::ssh::shared::Shared;
use crate::os::ssh::{NoAnswer, Said, SshPlace};

/// How long a look or a note may take.
pub(crate) const SHORT: Duration = Duration::from_mins(1);
/// How long flushing or deleting may take: a slow drive needs minutes. A connection that breaks is noticed without it.
pub(crate) const LONG: Duration = Duration::from_hours(4);

/// A server, connected for one run.
#[derive(Debug)]
pub(crate) struct Session {
    shared: Shared,
    marks: Marks,
}

/// Whether a person's patience ends what is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stoppable {
    /// It can be done again at any time.
    Yes,
    /// It is short, and half of it is worse than all: only a second order to stop ends it.
    No,
}

impl Session {
    /// Connects by the first way that leads there. It must be called before the thread confines itself.
    pub(crate) fn connect(
        job: &Job,
        (end, which): (&RemoteEnd, End),
        place: &SshPlace,
        stops: &mut Stops,
    ) -> Result<Self, NotDone> {
        let volume = &job.sync.place(which).volume;
        let client = format!("{:016x}-{}", machine::fingerprint(), job.sync.name);
        Self::reach((end, which), volume, Marks::new(&client, job.run.as_str()), place, stops)
    }

    /// The same for an errand, which ends nobody's processes.
    pub(crate) fn for_errand(
        sync: &Sync,
        (end, which): (&RemoteEnd, End),
        place: &SshPlace,
        stops: &mut Stops,
    ) -> Result<Self, NotDone> {
        let marks = Marks::new("errand", sync.name.as_str());
        Self::reach((end, which), &sync.place(which).volume, marks, place, stops)
    }

    fn reach(
        (end, which): (&RemoteEnd, End),
        volume: &VolumeName,
        marks: Marks,
        place: &SshPlace,
        stops: &mut Stops,
    ) -> Result<Self, NotDone> {
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
        Err(NotDone::Skipped(vec![Obstacle::VolumeAbsent { end: which, volume: volume.clone(), absence }]))
    }

    /// The host, as the configuration names it.
    pub(crate) fn host(&self) -> &str {
        &self.shared.route().endpoint.host
    }

    /// A directory there, as rsync and a person write it.
    pub(crate) fn shown(&self, path: &Path) -> OsString {
        let mut shown = OsString::from(format!("{}:", self.host()));
        shown.push(slash(path));
        shown
    }

    /// Runs one of our scripts there.
    pub(crate) fn ask(
        &self,
        call: &ScriptCall,
        (stoppable, deadline): (Stoppable, Duration),
        stops: &mut Stops,
    ) -> Result<Said, NotDone> {
        let bell = stops.bell.share().map_err(|cause| trouble::local(&cause))?;
        let answer = self.shared.ask((call.script, &call.words), &self.marks, deadline, &bell, || {
            match (stops.wanted(), stoppable) {
                (Wanted::End, Stoppable::No) => Wanted::GoOn,
                (wanted, _) => wanted,
            }
        });
        answer.map_err(|why| {
            if matches!(&why, NoAnswer::Ssh(words) if complaints::refuses_a_session(words)) {
                return trouble::one_session(self.host());
            }
            let stopped = if why == NoAnswer::CalledOff { stops.check().err() } else { None };
            let fault = why.told(self.shared.route());
            stopped.unwrap_or(NotDone::Interrupted(Interruption::Network(fault.to_string())))
        })
    }

    /// The answer of one of our scripts that came to its end.
    pub(crate) fn told(
        &self,
        call: &ScriptCall,
        (step, deadline): (Step, Duration),
        stops: &mut Stops,
    ) -> Result<Vec<u8>, NotDone> {
        let said = self.ask(call, (Stoppable::Yes, deadline), stops)?;
        match answers::last_word(&said.output) {
            Some(word) => Err(trouble::ended(self.host(), step, &word)),
            None if said.code != 0 => Err(trouble::gave_up(self.host(), step, &said)),
            None => Ok(said.output),
        }
    }

    /// What whoever goes through the connection needs of this machine.
    pub(crate) fn needed(&self) -> Vec<PathBuf> {
        self.shared.needed()
    }

    /// What rsync is given as `-e`.
    pub(crate) fn remote_shell(&self) -> OsString {
        self.shared.remote_shell()
    }

    /// What rsync is given as `--rsync-path`: a script that becomes rsync's other end.
    pub(crate) fn rsync_path(&self, call: &ScriptCall) -> OsString {
        script::line(call.script, &call.words, &self.marks)
    }

    /// The program and the arguments that run a script there, which comes to their standard input.
    pub(crate) fn shell(&self) -> (PathBuf, Vec<OsString>) {
        self.shared.command(&script::command(Some(&self.marks)))
    }

    /// The run, as it is noted at the destination.
    pub(crate) fn token(&self) -> &OsStr {
        OsStr::new(self.marks.run())
    }

    /// Whose processes are ours.
    pub(crate) fn client(&self) -> &OsStr {
        OsStr::new(self.marks.client())
    }
}
