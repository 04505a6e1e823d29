//! In whose hands the ends of syncs at servers are.

use std::rc::Rc;

use crate::backup::job::{JobEnd, SyncAsSeen};
use crate::backup::place::look::{FarDestination, FarSource};
use crate::backup::session::stop::Stops;
use crate::backup::session::{SHORT, Session};
use crate::formats::ssh::calls::Intent;
use crate::formats::ssh::hands::{hands, hands_call};
use crate::model::{End, Hands, NotDone, Step};
use crate::os::ssh::SshPlace;

/// Whose one end of a sync is, and at which host, if it is at a server and can be proven.
pub(crate) fn whose(
    seen: &SyncAsSeen,
    which: End,
    ssh: &SshPlace,
    stops: &mut Stops,
) -> Result<Option<(String, Hands)>, NotDone> {
    let Some(job) = &seen.job else { return Ok(None) };
    let end = match which {
        End::Source => &job.source,
        End::Destination => &job.destination,
    };
    let JobEnd::There(end) = end else { return Ok(None) };
    let server = Rc::new(Session::for_errand(&seen.sync, (end, which), ssh, stops)?);
    let proven = match which {
        End::Source => FarSource::prove(Rc::clone(&server), job, end, stops)?.end.end,
        End::Destination => {
            let wanted = (end, &seen.sync.destination, seen.sync.snapshots);
            FarDestination::prove(Rc::clone(&server), wanted, Intent::List, stops)?.end
        }
    };
    let answer = server.told(&hands_call(&proven, which), (Step::Prove, SHORT), stops)?;
    Ok(hands(&answer).map(|hands| (server.host().to_owned(), hands)))
}
