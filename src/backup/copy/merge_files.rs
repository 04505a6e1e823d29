//! Files of rules in each directory (`dir-merge`), which rsync opens and reads: a pipe of such a name would make it
//! wait for ever, and anybody who may write in the source can put one there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::backup::copy::call::Copying;
use crate::backup::copy::plan::Restraint;
use crate::backup::failure::{failure, of_directory};
use crate::backup::place::look;
use crate::backup::place::way::{CopyWay, Target};
use crate::backup::session::stop::Stops;
use crate::formats::rsync::rules;
use crate::formats::ssh::calls::ReadEnd;
use crate::model::{Complaints, End, FailureKind, NotDone, Plight, Step};
use crate::os::directory::Directory;
use crate::os::tree;

/// Things that are no files where rsync would read rules: the directories that they lie in are passed over.
#[derive(Debug, Default)]
pub(crate) struct Traps(BTreeMap<PathBuf, End>);

impl Traps {
    /// Looks for them at both ends, if there can be any. A new directory holds none.
    pub(crate) fn find(copying: &Copying<'_>, restraint: Restraint, stops: &mut Stops) -> Result<Self, NotDone> {
        let names = rules::per_directory(&copying.sync.filters);
        if names.is_empty() {
            return Ok(Self::default());
        }
        let here = |end: &Directory| tree::no_files(end, &names).map_err(|error| of_directory(Step::Copy, &error));
        let of_source = match &copying.way {
            CopyWay::Here(source, _) | CopyWay::Push(source, _) => here(source)?,
            CopyWay::Pull(far, _) | CopyWay::There(far) => match far.read {
                Some(ReadEnd { end, data }) => look::no_files(far.server, (end, End::Source, data), &names, stops)?,
                None => BTreeSet::new(),
            },
        };
        let of_destination = match (restraint, copying.target) {
            (Restraint::NewDirectory, _) => BTreeSet::new(),
            (Restraint::CopyFirst, Target::Here(target)) => here(&target.directory)?,
            (Restraint::CopyFirst, Target::There(far)) => {
                look::no_files(far.server, (far.end, End::Destination, &far.place), &names, stops)?
            }
        };
        let of = |end: End| move |trap: PathBuf| (trap, end);
        let traps: BTreeMap<_, _> = of_destination
            .into_iter()
            .map(of(End::Destination))
            .chain(of_source.into_iter().map(of(End::Source)))
            .collect();
        match traps.iter().find(|(trap, _)| directory(trap).as_os_str().is_empty()) {
            None => Ok(Self(traps)),
            Some((trap, end)) => {
                let trap = trap.display();
                let what = format!("`{trap}` of the {end}, in which rsync looks for rules, is no file: remove it");
                Err(failure(Step::Copy, FailureKind::Usage, what))
            }
        }
    }

    /// The directories that they lie in.
    pub(crate) fn directories(&self) -> impl Iterator<Item = PathBuf> {
        self.0.keys().map(|trap| directory(trap).to_owned())
    }

    /// Tells of them.
    pub(crate) fn tell(&self, complaints: &mut Complaints) {
        for (trap, end) in &self.0 {
            let what = format!("{} of the {end}: it is no file, and rsync looks for rules in it", trap.display());
            complaints.entries.entry(Plight::Unreadable).or_default().add(what);
        }
        complaints.obscured.paths.extend(self.directories());
    }
}

fn directory(trap: &Path) -> &Path {
    trap.parent().unwrap_or(Path::new(""))
}
