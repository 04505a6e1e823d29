//! Deeds sent to a server, where a script carries them out under the lock of the destination.

use std::ffi::OsStr;

use crate::backup::session::stop::Stops;
use crate::backup::session::{LONG, Session, Stoppable, failure as trouble};
use crate::formats::ssh::answers;
use crate::formats::ssh::calls::{ProvenEnd, TidyCall};
use crate::model::{FreeSpace, NotDone, Step, TidyDeed};

/// What came of it.
#[derive(Debug)]
pub(crate) struct Answered {
    /// What could not be done and stands in nobody's way, as sentences.
    pub(crate) warnings: Vec<String>,
    /// What is left on the filesystem since.
    pub(crate) free: FreeSpace,
}

/// Has deeds carried out in their order. Without a run it is a person's order.
pub(crate) fn carry_out(
    server: &Session,
    (end, run): (&ProvenEnd, Option<&OsStr>),
    (at, deeds): (Step, &[TidyDeed]),
    stops: &mut Stops,
) -> Result<Answered, NotDone> {
    let said = server.ask(&TidyCall { end, run, deeds }.call(), (Stoppable::Yes, LONG), stops)?;
    if let Some(word) = answers::last_word(&said.output) {
        return Err(trouble::ended(server.host(), at, &word));
    }
    if said.code != 0 {
        return Err(trouble::gave_up(server.host(), at, &said));
    }
    let warnings = answers::lines(&said.output).filter(|(word, _)| *word == "warn");
    let warnings = warnings.map(|(_, text)| format!("{}: {}", server.host(), answers::shown(text))).collect();
    Ok(Answered { warnings, free: answers::free(&said.output) })
}
