//! What people ask for beside runs, done at a server.

use std::ffi::OsString;

use crate::backup::errands::prepare::{missing_source, unsupported};
use crate::backup::job::RemoteEnd;
use crate::backup::place::there::{FarDestination, Intent, root, word};
use crate::backup::session::stop::{self, Stops};
use crate::backup::session::{SHORT, Server, Stoppable, failure as trouble};
use crate::backup::snapshots::recover::{self, Deed, candidates};
use crate::decide::retention::Candidate;
use crate::formats::sentinel;
use crate::formats::ssh::answers;
use crate::formats::ssh::script::{self, Marks};
use crate::model::{Conclusion, End, SentinelId, SnapshotName, Step, Sync};
use crate::os::ssh::SshPlace;

/// A destination with snapshots at a server, connected and looked at.
#[derive(Debug)]
pub struct Far {
    server: Server,
    destination: FarDestination,
    stops: Stops,
}

impl Far {
    /// Connects and looks. Its sentinels must be the ones that are expected.
    pub fn open(sync: &Sync, end: &RemoteEnd, place: &SshPlace) -> Result<Self, Conclusion> {
        let (server, mut stops) = connect(sync, (end, End::Destination), place)?;
        let wanted = (end, &sync.destination, sync.snapshots);
        let destination = FarDestination::prove(&server, wanted, (Intent::List, ""), &mut stops)?;
        Ok(Self { server, destination, stops })
    }

    /// Where a snapshot of this name lies, for people.
    #[must_use]
    pub fn shown(&self, name: &str) -> String {
        format!("{}:{}", self.server.host(), self.destination.at.join("snapshots").join(name).display())
    }

    /// The complete snapshots, oldest first, with what the log says of them.
    #[must_use]
    pub fn snapshots(&self) -> Vec<Candidate> {
        let look = &self.destination.look;
        look.shelf.as_ref().map(|shelf| candidates(&shelf.complete, &look.log)).unwrap_or_default()
    }

    /// Deletes these snapshots under the lock of the destination, which proves itself again. Returns what could not be
    /// deleted, as sentences.
    pub fn delete(&mut self, names: &[SnapshotName]) -> Result<Vec<String>, Conclusion> {
        let deeds: Vec<Deed> = names.iter().map(|name| Deed::Discard(name.to_string())).collect();
        let words = &self.destination.words;
        recover::tidy(&self.server, words, "".as_ref(), (Step::Prune, &deeds), &mut self.stops)
    }
}

/// What was made at one end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Made {
    /// What is new.
    pub made: Vec<String>,
    /// What was there already.
    pub already: Vec<String>,
    /// How many entries lie where the first run makes all equal to the source.
    pub holds: Option<String>,
    /// What could not be made.
    pub problem: Option<String>,
}

/// Makes what one end needs: sentinels with these ids, directories, the staging subvolume.
pub fn prepare(
    sync: &Sync,
    (end, which): (&RemoteEnd, End),
    (volume, id): (&SentinelId, &SentinelId),
    place: &SshPlace,
) -> Result<Made, Conclusion> {
    let (server, mut stops) = connect(sync, (end, which), place)?;
    let (directory, kind) = match which {
        End::Source => (&sync.source.subdir, "none"),
        End::Destination => (&sync.destination.subdir, word(sync.snapshots)),
    };
    let words: [OsString; 6] = [
        root(end),
        directory.as_path().into(),
        if which == End::Source { "src".into() } else { "dst".into() },
        kind.into(),
        volume.0.clone().into(),
        id.0.clone().into(),
    ];
    let said = server.ask(script::PREPARE, &words, (Stoppable::Yes, SHORT), &mut stops)?;
    let host = server.host();
    let mut report = Made::default();
    let (mut found, mut beside, mut lacks) = (Vec::new(), Vec::new(), String::new());
    for (word, text) in answers::lines(&said.output) {
        let text_shown = answers::shown(text);
        match word {
            "made" => report.made.push(at_host(host, &text_shown)),
            "found" => {
                found.extend_from_slice(text);
                found.push(b'\n');
            }
            "already" => {
                // What was found stands before what it was found in.
                if let Err(error) = sentinel::parse(&std::mem::take(&mut found)) {
                    let what = "remove it if it is not yours, and try again";
                    report.problem.get_or_insert(format!("{host}:{text_shown}: {error}; {what}"));
                } else {
                    report.already.push(at_host(host, &text_shown));
                }
            }
            "beside" => beside.push(text_shown),
            "absent" => {
                let names: Vec<_> = beside.iter().map(String::as_str).collect();
                report.problem = Some(missing_source(&format!("{host}:{text_shown}"), &names));
            }
            "lacks" => lacks = text_shown,
            "lacking" => report.problem = Some(unsupported(&format!("{host}:{text_shown}"), &lacks)),
            "holds" => report.holds = Some(text_shown),
            _ => {}
        }
    }
    if let Some(word) = answers::last_word(&said.output) {
        report.problem = Some(format!("{host}: {}", word.text));
    } else if said.code != 0 {
        return Err(trouble::gave_up(host, Step::Prove, &said));
    }
    Ok(report)
}

/// `the directory /srv/x` is `the directory nas:/srv/x`.
fn at_host(host: &str, text: &str) -> String {
    match text.split_once('/') {
        Some((before, path)) => format!("{before}{host}:/{path}"),
        None => text.to_owned(),
    }
}

fn connect(sync: &Sync, (end, which): (&RemoteEnd, End), place: &SshPlace) -> Result<(Server, Stops), Conclusion> {
    // Nobody stops an errand: each of its steps has a deadline.
    let (_teller, mut stops) = stop::pair().map_err(|cause| trouble::local(&cause))?;
    let volume = &sync.place(which).volume;
    let marks = Marks::new("errand", sync.name.as_str());
    let server = Server::reach((end, which), volume, marks, place, &mut stops)?;
    Ok((server, stops))
}
