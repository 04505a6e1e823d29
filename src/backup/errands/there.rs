//! What people ask for beside runs, done at a server.

use std::rc::Rc;

use crate::backup::errands::made::{Made, missing_source, unsupported};
use crate::backup::job::RemoteEnd;
use crate::backup::place::look::{FarDestination, root};
use crate::backup::session::stop::{self, Stops};
use crate::backup::session::{SHORT, Session, Stoppable, failure as trouble};
use crate::backup::snapshots::listing::candidates;
use crate::backup::snapshots::sent;
use crate::decide::retention::Candidate;
use crate::formats::log;
use crate::formats::sentinel;
use crate::formats::ssh::answers;
use crate::formats::ssh::calls::{Intent, PrepareCall};
use crate::formats::ssh::script::Marks;
use crate::model::layout;
use crate::model::{End, NotDone, SentinelId, SnapshotKind, SnapshotName, Step, Sync, TidyDeed};
use crate::os::ssh::SshPlace;

/// A destination with snapshots at a server, connected and looked at.
#[derive(Debug)]
pub struct FarSnapshots {
    destination: FarDestination,
    stops: Stops,
}

impl FarSnapshots {
    /// Connects and looks. Its sentinels must be the ones that are expected.
    pub fn open(sync: &Sync, end: &RemoteEnd, place: &SshPlace) -> Result<Self, NotDone> {
        let (server, mut stops) = connect(sync, (end, End::Destination), place)?;
        let wanted = (end, &sync.destination, sync.snapshots);
        let destination = FarDestination::prove(Rc::new(server), wanted, Intent::List, &mut stops)?;
        Ok(Self { destination, stops })
    }

    /// Where a snapshot of this name lies, for people.
    #[must_use]
    pub fn shown(&self, name: &str) -> String {
        format!("{}:{}", self.destination.server.host(), self.destination.at.join(layout::in_snapshots(name)).display())
    }

    /// The complete snapshots, oldest first, with what the log says of them.
    #[must_use]
    pub fn snapshots(&self) -> Vec<Candidate> {
        let look = &self.destination.look;
        look.entries.as_ref().map(|entries| candidates(&entries.complete, &log::records(&look.log))).unwrap_or_default()
    }

    /// Deletes these snapshots under the lock of the destination, which proves itself again. Returns what could not be
    /// deleted, as sentences.
    pub fn delete(&mut self, names: &[SnapshotName]) -> Result<Vec<String>, NotDone> {
        let deeds: Vec<TidyDeed> = names.iter().map(|name| TidyDeed::Discard(name.to_string())).collect();
        if deeds.is_empty() {
            return Ok(Vec::new());
        }
        let Self { destination, stops } = self;
        let done = sent::carry_out(&destination.server, (&destination.end, None), (Step::Prune, &deeds), stops)?;
        Ok(done.warnings)
    }
}

/// Makes what one end needs: sentinels with these ids, directories, the staging subvolume.
pub fn prepare(
    sync: &Sync,
    (end, which): (&RemoteEnd, End),
    (volume_id, end_id): (&SentinelId, &SentinelId),
    place: &SshPlace,
) -> Result<Made, NotDone> {
    let (server, mut stops) = connect(sync, (end, which), place)?;
    let (directory, kind) = match which {
        End::Source => (&sync.source.subdir, SnapshotKind::None),
        End::Destination => (&sync.destination.subdir, sync.snapshots),
    };
    let (root, directory) = (&root(end), directory.as_path());
    let call = PrepareCall { root, directory, end: which, kind, volume_id, end_id };
    let said = server.ask(&call.call(), (Stoppable::Yes, SHORT), &mut stops)?;
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
                if let Err(error) = sentinel::id(&std::mem::take(&mut found)) {
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
            "holds" => report.holds = Some((sync.destination.to_string(), text_shown)),
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

fn connect(sync: &Sync, (end, which): (&RemoteEnd, End), place: &SshPlace) -> Result<(Session, Stops), NotDone> {
    // Nobody stops an errand: each of its steps has a deadline.
    let (_teller, mut stops) = stop::pair().map_err(|cause| trouble::local(&cause))?;
    let volume = &sync.place(which).volume;
    let marks = Marks::new("errand", sync.name.as_str());
    let server = Session::reach((end, which), volume, marks, place, &mut stops)?;
    Ok((server, stops))
}
