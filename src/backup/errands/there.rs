//! What people ask for beside runs, done at a server.

use crate::backup::errands::made::{Made, missing_source, unsupported};
use crate::backup::job::RemoteEnd;
use crate::backup::place::look::root;
use crate::backup::session::stop;
use crate::backup::session::{SHORT, Session, Stoppable, failure as trouble};
use crate::formats::sentinel;
use crate::formats::ssh::answers;
use crate::formats::ssh::calls::PrepareCall;
use crate::model::{End, Intruding, NotDone, SentinelId, SnapshotKind, Step, Sync};
use crate::os::ssh::SshPlace;

/// Makes what one end needs: sentinels with these ids, directories, the staging subvolume.
pub fn prepare(
    sync: &Sync,
    (end, which): (&RemoteEnd, End),
    (volume_id, end_id): (&SentinelId, &SentinelId),
    intruding: Intruding,
    place: &SshPlace,
) -> Result<Made, NotDone> {
    // Nobody stops an errand: each of its steps has a deadline.
    let (_teller, mut stops) = stop::pair().map_err(|cause| trouble::local(&cause))?;
    let server = Session::for_errand(sync, (end, which), place, &mut stops)?;
    let (directory, kind) = match which {
        End::Source => (&sync.source.subdir, SnapshotKind::None),
        End::Destination => (&sync.destination.subdir, sync.snapshots),
    };
    let (root, directory) = (&root(end), directory.as_path());
    let call = PrepareCall { root, directory, end: which, kind, volume_id, end_id, intruding };
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
            "holds" => report.holds = Some((sync.destination.to_string(), text_shown.parse().unwrap_or_default())),
            "taken" => report.taken = Some((sync.destination.to_string(), text_shown.parse().unwrap_or_default())),
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
