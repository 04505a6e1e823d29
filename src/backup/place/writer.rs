//! Who writes a destination. Two machines with one configuration would replace each other's files there, each in good
//! order.

use crate::backup::job::Job;
use crate::backup::place::source::CopySource;
use crate::model::{HoldReason, NotDone, Writer};
use crate::os::{clock, machine};

/// This machine, as the one that copies this source, from now on.
pub(crate) fn ours(source: &CopySource) -> Writer {
    let id = machine::writer(source.id().map_or("", |id| id.0.as_str()));
    Writer { id, since: clock::now().wall, host: machine::host_name() }
}

/// Whether a writer is this machine with this source, or was, or is one that a person approved.
pub(crate) fn is_known(job: &Job, ours: &Writer, found: &Writer) -> bool {
    found.id == ours.id || job.writers.contains(&found.id)
}

/// Why a run is held at a destination that this writer has, if it is.
pub(crate) fn hold(job: &Job, ours: &Writer, found: Option<Writer>) -> Option<HoldReason> {
    let writer = found.filter(|found| !is_known(job, ours, found))?;
    Some(HoldReason::ForeignWriter { writer, here: ours.host.clone() })
}

/// The same, as the end of a run.
pub(crate) fn guard(job: &Job, ours: &Writer, found: Option<Writer>) -> Result<(), NotDone> {
    hold(job, ours, found).map_or(Ok(()), |reason| Err(NotDone::Held(reason)))
}
