//! From a job to its two ends: proven first, then locked, or only looked at.
//!
//! The look that made the job is old by now. What is proven here is what is used, and it is proven again before
//! anything is promoted.

use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::rc::Rc;

use crate::backup::failure::of_directory;
use crate::backup::job::{Job, JobEnd, RemoteEnd};
use crate::backup::place::destination::Destination;
use crate::backup::place::here::{self, HereDestination};
use crate::backup::place::look::{FarDestination, FarSource};
use crate::backup::place::pinned::{HereSource, Pinned};
use crate::backup::place::source::{CopySource, inlined, nested};
use crate::backup::place::submounts::Submounts;
use crate::backup::place::there::{self, ThereDestination};
use crate::backup::place::way::{Spot, Target};
use crate::backup::place::writer;
use crate::backup::session::Session;
use crate::backup::session::stop::Stops;
use crate::backup::snapshots::listing;
use crate::decide::tidying::Remains;
use crate::formats::ssh::calls::Intent;
use crate::model::{End, Keeping, MountsBelow, NotDone, Obstacle, Past, Privileges, Step, Sync, Writer};
use crate::os::confine::{ConfineError, Confinement, confine_to_nothing, confine_writes};
use crate::os::copies;
use crate::os::programs;
use crate::os::ssh::SshPlace;

/// Both ends, with nothing touched yet: a source that is proven, and a destination that is or is connected to.
#[derive(Debug)]
pub(crate) struct Approach<'j> {
    job: &'j Job,
    source: CopySource,
    destination: Bare<'j>,
}

#[derive(Debug)]
enum Bare<'j> {
    Here(Box<Pinned>),
    There(Rc<Session>, &'j RemoteEnd),
}

/// What is read, and how rsync is called for it.
#[derive(Debug)]
pub(crate) struct Origin<'j> {
    /// The job.
    pub(crate) job: &'j Job,
    /// What is read.
    pub(crate) source: CopySource,
    /// rsync itself, as it is shown to people if it runs at a server.
    pub(crate) rsync: PathBuf,
    /// The sync, with all its rules.
    pub(crate) sync: Sync,
    /// Where the destination lies inside what is read, if it does.
    pub(crate) nested: Option<PathBuf>,
    /// Whether what gives a file power is copied.
    pub(crate) privileges: Privileges,
}

/// A destination that is only looked at.
#[derive(Debug)]
pub(crate) enum Seen {
    /// A directory of this machine.
    Here(Box<Pinned>),
    /// A directory of a server.
    There(Box<FarDestination>),
}

impl<'j> Approach<'j> {
    /// Opens and proves both ends; all that stands in the way of those on this machine is told at once, and no server
    /// is connected to before. It must be called before the thread confines itself.
    pub(crate) fn prove(job: &'j Job, place: &SshPlace, stops: &mut Stops) -> Result<Self, NotDone> {
        let skipped = |obstacle: Obstacle| NotDone::Skipped(vec![obstacle]);
        let (source, destination) = match (&job.source, &job.destination) {
            (JobEnd::Here(source), JobEnd::Here(destination)) => {
                match (HereSource::prove(job, source), Pinned::destination(job, destination)) {
                    (Ok(source), Ok(destination)) => {
                        (CopySource::Here(Box::new(source)), Bare::Here(Box::new(destination)))
                    }
                    (source, destination) => {
                        return Err(NotDone::Skipped(source.err().into_iter().chain(destination.err()).collect()));
                    }
                }
            }
            (JobEnd::There(source), JobEnd::Here(destination)) => {
                let destination = Pinned::destination(job, destination).map_err(skipped)?;
                let server = Rc::new(Session::connect(job, (source, End::Source), place, stops)?);
                let source = FarSource::prove(server, job, source, stops)?;
                (CopySource::There(Box::new(source)), Bare::Here(Box::new(destination)))
            }
            (JobEnd::Here(source), JobEnd::There(destination)) => {
                let source = HereSource::prove(job, source).map_err(skipped)?;
                let server = Rc::new(Session::connect(job, (destination, End::Destination), place, stops)?);
                (CopySource::Here(Box::new(source)), Bare::There(server, destination))
            }
            (JobEnd::There(source), JobEnd::There(destination)) => {
                let server = Rc::new(Session::connect(job, (destination, End::Destination), place, stops)?);
                let source = FarSource::prove(Rc::clone(&server), job, source, stops)?;
                (CopySource::There(Box::new(source)), Bare::There(server, destination))
            }
        };
        Ok(Self { job, source, destination })
    }

    /// Confines the thread, for good, to writing below the destination, or nowhere if that is at a server.
    pub(crate) fn confine(&self) -> Result<Confinement, ConfineError> {
        match &self.destination {
            Bare::Here(pinned) => confine_writes(pinned.directory.as_fd()),
            Bare::There(..) => confine_to_nothing(),
        }
    }

    /// Takes the lock of the destination.
    pub(crate) fn lock(self, stops: &mut Stops) -> Result<(Origin<'j>, Destination), NotDone> {
        let Self { job, source, destination } = self;
        match destination {
            Bare::Here(pinned) => {
                let origin = Origin::to_here(job, source, &pinned)?;
                let here = HereDestination::lock(*pinned, job, &writer::ours(&origin.source))?;
                Ok((origin, Destination::Here(Box::new(here))))
            }
            Bare::There(server, end) => {
                let there = ThereDestination::lock(server, job, (end, &writer::ours(&source)), stops)?;
                let origin = Origin::to_server(job, source, there.far())?;
                Ok((origin, Destination::There(Box::new(there))))
            }
        }
    }

    /// Leaves the destination as it is.
    pub(crate) fn look(self, stops: &mut Stops) -> Result<(Origin<'j>, Seen), NotDone> {
        let Self { job, source, destination } = self;
        match destination {
            Bare::Here(pinned) => Ok((Origin::to_here(job, source, &pinned)?, Seen::Here(pinned))),
            Bare::There(server, end) => {
                let wanted = (end, &job.sync.destination, job.sync.snapshots);
                let far = FarDestination::prove(server, wanted, Intent::List, stops)?;
                Ok((Origin::to_server(job, source, &far)?, Seen::There(Box::new(far))))
            }
        }
    }
}

impl<'j> Origin<'j> {
    /// What is read as the hook `before` left it, for a destination that is locked already.
    pub(crate) fn anew(&self, destination: &Destination, stops: &mut Stops) -> Result<Option<Self>, NotDone> {
        match &self.source {
            CopySource::Here(source) => {
                let source = CopySource::Here(Box::new(source.anew(self.job)?));
                match destination {
                    Destination::Here(here) => Self::to_here(self.job, source, &here.pinned).map(Some),
                    Destination::There(there) => Self::to_server(self.job, source, there.far()).map(Some),
                }
            }
            // A hook of this machine mounts nothing there.
            CopySource::There(source) => source.prove_again(self.job, stops).map(|_| None),
        }
    }

    /// Whether what is read is still what was proven, with all that was mounted below it.
    pub(crate) fn still_whole(&self, before: Option<&Submounts>, stops: &mut Stops) -> Result<(), NotDone> {
        match (before, self.source.prove_again(self.job, stops)?) {
            (Some(before), Some(now)) if self.job.sync.mounts == MountsBelow::Copied => before.still_there(&now),
            (_, _) => Ok(()),
        }
    }

    fn to_here(job: &'j Job, source: CopySource, destination: &Pinned) -> Result<Self, NotDone> {
        let nested = match &source {
            CopySource::Here(source) => match (source.data.real_path(), destination.directory.real_path()) {
                (Some(source), Some(destination)) => nested(&source, &destination)?,
                (Some(_) | None, _) => None,
            },
            CopySource::There(_) => None,
        };
        let (rsync, sync) = (rsync_here()?, inlined(&job.sync)?);
        let privileges = source.privileges(Some(&destination.directory));
        Ok(Self { job, source, rsync, sync, nested, privileges })
    }

    fn to_server(job: &'j Job, source: CopySource, destination: &FarDestination) -> Result<Self, NotDone> {
        match &source {
            CopySource::Here(_) => {
                let (rsync, sync) = (rsync_here()?, inlined(&job.sync)?);
                let privileges = source.privileges(None);
                Ok(Self { job, source, rsync, sync, nested: None, privileges })
            }
            CopySource::There(far) => {
                let (nested, sync) = (nested(&far.at, &destination.at)?, inlined(&job.sync)?);
                // What one account of a server may do there is not ours to judge.
                Ok(Self { job, source, rsync: "rsync".into(), sync, nested, privileges: Privileges::Copied })
            }
        }
    }
}

impl Seen {
    /// What lies there.
    pub(crate) fn leftovers(&self) -> Result<Remains, NotDone> {
        match self {
            Self::Here(pinned) => listing::leftovers(&pinned.directory),
            Self::There(far) => Ok(there::leftovers(far)),
        }
    }

    /// What its filesystem keeps, as far as an earlier run left it to be seen.
    pub(crate) fn keeping(&self) -> Keeping {
        match self {
            Self::Here(pinned) => pinned.keeping(),
            Self::There(far) => far.look.keeping(),
        }
    }

    /// What its log says of earlier copies.
    pub(crate) fn past(&self) -> Past {
        match self {
            Self::Here(pinned) => copies::past(&pinned.directory),
            Self::There(far) => far.past(),
        }
    }

    /// Who writes it, if it tells.
    pub(crate) fn writer(&self) -> Option<Writer> {
        match self {
            Self::Here(pinned) => pinned.writer(),
            Self::There(far) => far.look.writer.clone(),
        }
    }

    /// A place in it, to be compared with.
    pub(crate) fn compared(&self, spot: Spot) -> Result<Target<'_>, NotDone> {
        match self {
            Self::Here(pinned) => here::compared(&pinned.directory, spot)
                .map(Target::Here)
                .map_err(|error| of_directory(Step::Copy, &error)),
            Self::There(far) => Ok(Target::There(there::compared(far, spot))),
        }
    }
}

/// rsync of this machine.
fn rsync_here() -> Result<PathBuf, NotDone> {
    let missing = Obstacle::ToolMissing { tool: "rsync".into(), server: None };
    programs::find_program("rsync").ok_or(NotDone::Skipped(vec![missing]))
}
