//! Where a run writes, locked: here or at a server, with one set of methods.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::backup::failure::of_directory;
use crate::backup::job::Job;
use crate::backup::news::Telling;
use crate::backup::place::here::{self, HereDestination};
use crate::backup::place::look;
use crate::backup::place::marker::Earlier;
use crate::backup::place::publication::{Account, Publication, Published};
use crate::backup::place::there::{self, ThereDestination};
use crate::backup::place::way::{Spot, Target};
use crate::backup::session::stop::Stops;
use crate::backup::snapshots::sent::Answered;
use crate::backup::snapshots::{commit, deeds, listing};
use crate::decide::tidying::Remains;
use crate::formats::log::LogRecord;
use crate::model::{Conclusion, End, FreeSpace, Keeping, NotDone, Precedent, SnapshotName, Step, TidyDeed};
use crate::os::copies;

/// Where a run writes.
#[derive(Debug)]
pub(crate) enum Destination {
    /// A directory of this machine.
    Here(Box<HereDestination>),
    /// A directory of a server.
    There(Box<ThereDestination>),
}

impl Destination {
    /// Whether it is still the one that was proven. At a server each script proves it by itself.
    pub(crate) fn prove_again(&self, job: &Job) -> Result<(), NotDone> {
        match self {
            Self::Here(here) => here.pinned.prove_again(job),
            Self::There(_) => Ok(()),
        }
    }

    /// What an earlier run left among the snapshots.
    pub(crate) fn leftovers(&self) -> Result<Remains, NotDone> {
        match self {
            Self::Here(here) => listing::leftovers(&here.pinned.directory),
            Self::There(there) => Ok(there::leftovers(there.far())),
        }
    }

    /// What was left on its filesystem when it was looked at.
    pub(crate) fn free(&self) -> FreeSpace {
        match self {
            Self::Here(here) => listing::free(&here.pinned.directory),
            Self::There(there) => there.far().look.free,
        }
    }

    /// Carries out deeds in their order. Tells what could not be done and stands in nobody's way, and what is free
    /// since.
    pub(crate) fn tidy(&self, at: Step, deeds: &[TidyDeed], stops: &mut Stops) -> Result<Answered, NotDone> {
        if deeds.is_empty() {
            return Ok(Answered { warnings: Vec::new(), free: self.free() });
        }
        match self {
            Self::Here(here) => {
                let warnings = deeds::carry_out(&here.pinned.directory, (at, deeds), stops)?;
                Ok(Answered { warnings, free: self.free() })
            }
            Self::There(there) => there.carry_out((at, deeds), stops),
        }
    }

    /// What its filesystem keeps.
    pub(crate) fn keeping(&self) -> Keeping {
        match self {
            Self::Here(here) => here.keeping,
            Self::There(there) => there.far().look.keeping(),
        }
    }

    /// What its log says of earlier copies.
    pub(crate) fn past(&self) -> Precedent {
        match self {
            Self::Here(here) => copies::past(&here.pinned.directory),
            Self::There(there) => there.far().past(),
        }
    }

    /// Whether its filesystem can hold copies with history. At a server that is tried when it is prepared.
    pub(crate) fn supports_history(&self) -> Result<(), NotDone> {
        match self {
            Self::Here(here) => here.supports_history(),
            Self::There(_) => Ok(()),
        }
    }

    /// Notes that a copy is under way. Tells what an earlier one left.
    pub(crate) fn begin(&self) -> Result<Earlier, NotDone> {
        match self {
            Self::Here(here) => here.begin(),
            Self::There(there) => Ok(there.begin()),
        }
    }

    /// A place in it that is to be written, after a copy that left this.
    pub(crate) fn target(&self, spot: Spot, earlier: Earlier) -> Result<Target<'_>, NotDone> {
        match self {
            Self::Here(here) => here.target(spot, earlier).map(Target::Here),
            Self::There(there) => Ok(Target::There(there.target(spot))),
        }
    }

    /// A place in it, to be compared with.
    pub(crate) fn compared(&self, spot: Spot) -> Result<Target<'_>, NotDone> {
        match self {
            Self::Here(here) => here::compared(&here.pinned.directory, spot)
                .map(Target::Here)
                .map_err(|error| of_directory(Step::Copy, &error)),
            Self::There(there) => Ok(Target::There(there::compared(there.far(), spot))),
        }
    }

    /// Makes sure that the content of these bases is read from the device. At a server nothing can be told to forget.
    pub(crate) fn forget_bases(&self, bases: &[String]) -> Result<(), NotDone> {
        match self {
            Self::Here(here) => here.forget_bases(bases),
            Self::There(_) => Ok(()),
        }
    }

    /// The symbolic links in each of these entries of `snapshots`. One that cannot be looked through is left out.
    pub(crate) fn links(
        &self,
        names: &[String],
        stops: &mut Stops,
    ) -> Result<Vec<(String, BTreeSet<PathBuf>)>, NotDone> {
        match self {
            Self::Here(here) => here.links(names),
            Self::There(there) => there.links(names, stops),
        }
    }

    /// Which of these paths are directories in a new copy.
    pub(crate) fn directories(
        &self,
        new: SnapshotName,
        paths: &BTreeSet<PathBuf>,
        stops: &mut Stops,
    ) -> Result<BTreeSet<PathBuf>, NotDone> {
        match self {
            Self::Here(here) => here.directories(new, paths),
            Self::There(there) => {
                let far = there.far();
                let (place, _) = Spot::New(new).path();
                let asked = (&far.end, End::Destination, place.as_path());
                look::directories(&far.server, asked, (paths, false), stops)
            }
        }
    }

    /// What the log says of a snapshot, if it is among the last.
    pub(crate) fn record_of(&self, name: SnapshotName) -> Result<Option<LogRecord>, NotDone> {
        match self {
            Self::Here(here) => here.record_of(name),
            Self::There(there) => Ok(there.records().into_iter().rev().find(|record| record.snapshot == Some(name))),
        }
    }

    /// What the log says of snapshots.
    pub(crate) fn records(&self) -> Result<Vec<LogRecord>, String> {
        match self {
            Self::Here(here) => here.records(),
            Self::There(there) => Ok(there.records()),
        }
    }

    /// Whether nobody can have changed a snapshot since it was made. At a server it is told of when it is published.
    pub(crate) fn protects(&self, snapshot: SnapshotName) -> bool {
        match self {
            Self::Here(here) => commit::is_protected(&here.pinned.directory, snapshot),
            Self::There(_) => true,
        }
    }

    /// Flushes what was copied, makes it complete, and records it.
    pub(crate) fn publish(
        &self,
        publication: &Publication<'_>,
        telling: &mut Telling,
        stops: &mut Stops,
    ) -> Result<Published, NotDone> {
        match self {
            Self::Here(here) => here.publish(publication, telling, stops),
            Self::There(there) => there.publish(publication, telling, stops),
        }
    }

    /// Notes what a copy that was not finished is worth to the next. At a server that is done with the last word.
    pub(crate) fn settle(&self, job: &Job, earlier: Earlier, why: &NotDone, stops: &mut Stops) -> Option<String> {
        match self {
            Self::Here(here) => here.settle(job, earlier, why, stops),
            Self::There(_) => None,
        }
    }

    /// The last word about a run that did not come to its end: why, as its steps had it, and how it truly ended.
    pub(crate) fn close(&self, (why, truth): (&NotDone, &NotDone), account: Account<'_>, stops: &mut Stops) {
        match self {
            Self::Here(here) => here.record_end(&Conclusion::from(Err(truth.clone())), account),
            Self::There(there) => there.settle((why, truth), account, stops),
        }
    }
}
