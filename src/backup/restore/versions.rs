//! The versions of an entry, over all copies that are within reach.

use crate::backup::job::SyncAsSeen;
use crate::backup::restore::holdings::Holdings;
use crate::backup::restore::sought::{SoughtEntry, sought};
use crate::backup::session::stop::Stops;
use crate::decide::versions::{Version, distinct};
use crate::formats::wire::{Moment, UnreachedCopies, VersionEntry, Versions};
use crate::model::HeldEntry;
use crate::os::entry;
use crate::os::ssh::SshPlace;

/// The versions, the one that was changed last first, and the copies that are out of reach.
pub(crate) fn versions(text: &str, all: &[SyncAsSeen], ssh: &SshPlace, stops: &mut Stops) -> Result<Versions, String> {
    let sought = sought(text, all)?;
    let now = sought.iter().find_map(SoughtEntry::in_place).and_then(|path| entry::look_at(&path));
    let (found, unreached) = everywhere(&sought, ssh, stops);
    let held: Vec<HeldEntry> = found.iter().flat_map(|(_, holdings)| holdings.held.clone()).collect();
    let versions = distinct(held, now.as_ref()).into_iter().filter_map(|version| shown(&version, &found)).collect();
    Ok(Versions { path: text.to_owned(), versions, unreached })
}

/// What the copies of all these syncs hold, and those that cannot be looked at.
pub(crate) fn everywhere<'a, 'b>(
    sought: &'b [SoughtEntry<'a>],
    ssh: &SshPlace,
    stops: &mut Stops,
) -> (Vec<(&'b SoughtEntry<'a>, Holdings)>, Vec<UnreachedCopies>) {
    let (mut found, mut unreached) = (Vec::new(), Vec::new());
    for entry in sought {
        match Holdings::gather(entry, ssh, stops) {
            Ok(holdings) => found.push((entry, holdings)),
            Err(message) => unreached.push(UnreachedCopies {
                sync: entry.seen.sync.name.to_string(),
                message,
                last_success: entry.seen.last_success.map(Moment),
            }),
        }
    }
    (found, unreached)
}

fn shown(version: &Version, found: &[(&SoughtEntry<'_>, Holdings)]) -> Option<VersionEntry> {
    let best = version.copies.first()?;
    let (_, holdings) = found.iter().find(|(sought, _)| sought.seen.sync.name == best.sync)?;
    let made = |copies: &mut dyn Iterator<Item = jiff::Timestamp>| copies.min().map(Moment);
    Some(VersionEntry {
        modified: Moment(version.state.modified),
        size: version.state.size,
        kind: version.state.kind.into(),
        sync: best.sync.to_string(),
        snapshot: best.snapshot.map(|name| name.to_string()),
        path: holdings.shown(best),
        copies: u64::try_from(version.copies.len()).unwrap_or(u64::MAX),
        oldest: made(&mut version.copies.iter().filter_map(|copy| copy.made)),
        newest: best.made.map(Moment),
        now: version.is_now,
    })
}
