//! What the copies of a sync hold under a name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::backup::failure::could_not;
use crate::backup::job::{SyncAsSeen, sentence};
use crate::backup::place::copies::{Copies, HereCopies, have_history};
use crate::backup::restore::sought::SoughtEntry;
use crate::backup::session::LONG;
use crate::backup::session::stop::Stops;
use crate::backup::snapshots::listing::doubted;
use crate::backup::snapshots::mirror::MirrorPast;
use crate::decide::retention::Candidate;
use crate::formats::ssh::states::{StatesCall, states};
use crate::model::{CopyId, HeldEntry, Remoteness, Standing, Step, SyncName, layout};
use crate::os::entry;
use crate::os::ssh::SshPlace;

/// So many copies are asked for in one script.
const ASKED: usize = 2_000;

/// The copies of a sync, opened, and what each of them holds under a name.
#[derive(Debug)]
pub(crate) struct Holdings {
    /// The copies.
    pub(crate) copies: Copies,
    /// The entry, below each of them; empty for all.
    pub(crate) below: PathBuf,
    /// Those that have it, and how it is there.
    pub(crate) held: Vec<HeldEntry>,
}

impl Holdings {
    /// Looks into every copy of a sync; says why not, for a person.
    pub(crate) fn gather(sought: &SoughtEntry<'_>, ssh: &SshPlace, stops: &mut Stops) -> Result<Self, String> {
        let SoughtEntry { seen, below } = sought;
        let copies = Copies::open(seen, ssh, stops)?;
        let all = ids(seen, &copies);
        match copies {
            Copies::Here(here) => Self::here(here, &all, below),
            Copies::There(far) => {
                let places: Vec<PathBuf> = all.iter().map(place).collect();
                let end = &far.destination.end;
                let mut told = BTreeMap::new();
                for places in places.chunks(ASKED) {
                    let call = StatesCall { end, path: below, copies: places }.call();
                    let answer = far.destination.server.told(&call, (Step::Prove, LONG), stops);
                    told.extend(states(&answer.map_err(|why| sentence(&why, &seen.sync.name))?));
                }
                let held = all.into_iter().filter_map(|copy| {
                    let state = told.remove(&place(&copy))?;
                    Some(HeldEntry { copy, state })
                });
                Ok(Self { held: held.collect(), copies: Copies::There(far), below: below.clone() })
            }
        }
    }

    /// The same of copies on this machine.
    pub(crate) fn here(here: Box<HereCopies>, all: &[CopyId], below: &Path) -> Result<Self, String> {
        let mut held = Vec::new();
        for copy in all {
            let state =
                entry::entry_state(&here.directory, &place(copy).join(below)).map_err(|error| could_not(&error))?;
            held.extend(state.map(|state| HeldEntry { copy: copy.clone(), state }));
        }
        Ok(Self { copies: Copies::Here(here), below: below.to_owned(), held })
    }

    /// What a person is told who gets something out of a copy that runs have changed since it was whole.
    pub(crate) fn remark(&self, copy: &CopyId) -> Option<String> {
        let past = || self.copies.mirror().known_to(copy.made);
        copy.snapshot.is_none().then(|| past().remark()).flatten().map(ToOwned::to_owned)
    }

    /// Whether it is the newest snapshot of its destination.
    pub(crate) fn is_newest(&self, copy: &CopyId) -> bool {
        copy.snapshot.is_some() && self.copies.finished().last().map(|newest| newest.name) == copy.snapshot
    }

    /// Where the entry lies in a copy, for people.
    pub(crate) fn shown(&self, copy: &CopyId) -> String {
        self.copies.shown(&place(copy).join(&self.below)).trim_end_matches('/').to_owned()
    }
}

/// Where a copy lies below its destination; empty for all of that.
pub(crate) fn place(copy: &CopyId) -> PathBuf {
    copy.snapshot.map(layout::in_snapshots).unwrap_or_default()
}

/// Every copy of a sync.
pub(crate) fn ids(seen: &SyncAsSeen, copies: &Copies) -> Vec<CopyId> {
    let remoteness = match copies {
        Copies::Here(_) => Remoteness::Here,
        Copies::There(_) => Remoteness::Server,
    };
    let (name, damage) = (&seen.sync.name, &seen.damage);
    if have_history(seen.sync.snapshots) {
        return snapshots(name, doubted(copies.finished(), &damage.snapshots), remoteness);
    }
    let MirrorPast { made, standing, .. } = copies.mirror().known_to(seen.last_success);
    let standing = if damage.paths.is_empty() { standing } else { Standing::Suspect };
    vec![CopyId { sync: name.clone(), snapshot: None, made, standing, remoteness }]
}

/// Every finished snapshot at a destination.
pub(crate) fn snapshots(sync: &SyncName, finished: Vec<Candidate>, remoteness: Remoteness) -> Vec<CopyId> {
    let copy = |Candidate { name, standing }: Candidate| CopyId {
        sync: sync.clone(),
        snapshot: Some(name),
        made: Some(name.time()),
        standing,
        remoteness,
    };
    finished.into_iter().map(copy).collect()
}
