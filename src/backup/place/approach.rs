//! From a job to its two ends: proven first, then locked, or only looked at.
//!
//! The look that made the job is old by now. What is proven here is what is used, and it is proven again before
//! anything is promoted.

use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::rc::Rc;

use crate::backup::failure::{could_not, failure, of_directory};
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
use crate::formats::rsync::chosen::follows_links;
use crate::formats::ssh::calls::Intent;
use crate::model::{
    End, FailureKind, Keeping, MountsBelow, NotDone, Obstacle, Precedent, Privileges, Step, Sync, Writer,
};
use crate::os::confine::{WhatIsRead, confine_to_nothing, confine_writes};
use crate::os::copies;
use crate::os::enclosure::{Bounds, Enclosure, EnclosureError};
use crate::os::programs;
use crate::os::ssh::SshPlace;

/// Both ends, with nothing touched yet: a source that is proven, and a destination that is or is connected to.
#[derive(Debug)]
pub(crate) struct Approach<'j> {
    job: &'j Job,
    source: CopySource,
    destination: Bare<'j>,
    enclosure: Option<Enclosure>,
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
    /// Where rsync runs.
    pub(crate) enclosure: Enclosure,
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
        Ok(Self { job, source, destination, enclosure: None })
    }

    /// Splits off what is to be the enclosure of rsync, and confines the thread, for good, to writing below the
    /// destination, or nowhere if that is at a server. Nothing can be locked or looked at before.
    pub(crate) fn confine(&mut self) -> Result<(), NotDone> {
        let fail = |error: &dyn std::error::Error| failure(Step::Prove, FailureKind::Other, could_not(error));
        self.enclosure = Some(self.bounds().and_then(Enclosure::split_off).map_err(|error| fail(&error))?);
        match &self.destination {
            Bare::Here(pinned) => confine_writes(pinned.directory.as_fd()),
            Bare::There(..) => confine_to_nothing(),
        }
        .map(drop)
        .map_err(|error| fail(&error))
    }

    /// What rsync comes to.
    fn bounds(&self) -> Result<Bounds, EnclosureError> {
        let (source, of_source) = match &self.source {
            CopySource::Here(source) => (Some(&source.data), Vec::new()),
            CopySource::There(source) => (None, source.server.needed()),
        };
        let (destination, of_destination) = match &self.destination {
            Bare::Here(pinned) => (Some(&pinned.directory), Vec::new()),
            Bare::There(server, _) => (None, server.needed()),
        };
        let reading = if follows_links(&self.job.sync.rsync) { WhatIsRead::Everything } else { WhatIsRead::TheseAlone };
        let needed = programs::find_program("rsync").into_iter().chain(of_source).chain(of_destination).collect();
        Bounds::new((source, destination), needed, reading)
    }

    /// Takes the lock of the destination.
    pub(crate) fn lock(self, stops: &mut Stops) -> Result<(Origin<'j>, Destination), NotDone> {
        let Self { job, source, destination, enclosure } = self;
        let from = (job, source, enclosure.ok_or_else(unconfined)?);
        match destination {
            Bare::Here(pinned) => {
                let origin = Origin::to_here(from, &pinned)?;
                let here = HereDestination::lock(*pinned, job, &writer::ours(&origin.source))?;
                Ok((origin, Destination::Here(Box::new(here))))
            }
            Bare::There(server, end) => {
                let there = ThereDestination::lock(server, job, (end, &writer::ours(&from.1)), stops)?;
                let origin = Origin::to_server(from, there.far())?;
                Ok((origin, Destination::There(Box::new(there))))
            }
        }
    }

    /// Leaves the destination as it is.
    pub(crate) fn look(self, stops: &mut Stops) -> Result<(Origin<'j>, Seen), NotDone> {
        let Self { job, source, destination, enclosure } = self;
        let from = (job, source, enclosure.ok_or_else(unconfined)?);
        match destination {
            Bare::Here(pinned) => Ok((Origin::to_here(from, &pinned)?, Seen::Here(pinned))),
            Bare::There(server, end) => {
                let wanted = (end, &job.sync.destination, job.sync.snapshots);
                let far = FarDestination::prove(server, wanted, Intent::List, stops)?;
                Ok((Origin::to_server(from, &far)?, Seen::There(Box::new(far))))
            }
        }
    }
}

impl<'j> Origin<'j> {
    /// Takes what is read as the hook `before` left it, for a destination that is locked already.
    pub(crate) fn renew(&mut self, destination: &Destination, stops: &mut Stops) -> Result<(), NotDone> {
        match &self.source {
            CopySource::Here(source) => {
                let source = source.anew(self.job)?;
                let turned = self.enclosure.turn_to(&source.data);
                turned.map_err(|error| failure(Step::Prove, FailureKind::Resource, could_not(&error)))?;
                let source = CopySource::Here(Box::new(source));
                let manner = match destination {
                    Destination::Here(here) => CallTraits::to_here(self.job, &source, &here.pinned),
                    Destination::There(there) => CallTraits::to_server(self.job, &source, there.far()),
                }?;
                let CallTraits { rsync, sync, nested, privileges } = manner;
                (self.source, self.rsync, self.sync) = (source, rsync, sync);
                (self.nested, self.privileges) = (nested, privileges);
                Ok(())
            }
            // A hook of this machine mounts nothing there.
            CopySource::There(source) => source.prove_again(self.job, stops).map(drop),
        }
    }

    /// Whether what is read is still what was proven, with all that was mounted below it.
    pub(crate) fn still_whole(&self, before: Option<&Submounts>, stops: &mut Stops) -> Result<(), NotDone> {
        match (before, self.source.prove_again(self.job, stops)?) {
            (Some(before), Some(now)) if self.job.sync.mounts == MountsBelow::Copied => before.still_there(&now),
            (_, _) => Ok(()),
        }
    }

    fn to_here((job, source, enclosure): From<'j>, destination: &Pinned) -> Result<Self, NotDone> {
        let CallTraits { rsync, sync, nested, privileges } = CallTraits::to_here(job, &source, destination)?;
        Ok(Self { job, source, rsync, sync, nested, privileges, enclosure })
    }

    fn to_server((job, source, enclosure): From<'j>, destination: &FarDestination) -> Result<Self, NotDone> {
        let CallTraits { rsync, sync, nested, privileges } = CallTraits::to_server(job, &source, destination)?;
        Ok(Self { job, source, rsync, sync, nested, privileges, enclosure })
    }
}

/// How rsync is called for what is read.
struct CallTraits {
    rsync: PathBuf,
    sync: Sync,
    nested: Option<PathBuf>,
    privileges: Privileges,
}

impl CallTraits {
    fn to_here(job: &Job, source: &CopySource, destination: &Pinned) -> Result<Self, NotDone> {
        let nested = match source {
            CopySource::Here(source) => match (source.data.real_path(), destination.directory.real_path()) {
                (Some(source), Some(destination)) => nested(&source, &destination)?,
                (Some(_) | None, _) => None,
            },
            CopySource::There(_) => None,
        };
        let (rsync, sync) = (rsync_here()?, inlined(&job.sync)?);
        Ok(Self { rsync, sync, nested, privileges: source.privileges(Some(&destination.directory)) })
    }

    fn to_server(job: &Job, source: &CopySource, destination: &FarDestination) -> Result<Self, NotDone> {
        match source {
            CopySource::Here(_) => {
                let (rsync, sync) = (rsync_here()?, inlined(&job.sync)?);
                Ok(Self { rsync, sync, nested: None, privileges: source.privileges(None) })
            }
            CopySource::There(far) => {
                let (nested, sync) = (nested(&far.at, &destination.at)?, inlined(&job.sync)?);
                // What one account of a server may do there is not ours to judge.
                Ok(Self { rsync: "rsync".into(), sync, nested, privileges: Privileges::Copied })
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
    pub(crate) fn past(&self) -> Precedent {
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

/// The job, what is read, and where rsync runs.
type From<'j> = (&'j Job, CopySource, Enclosure);

fn unconfined() -> NotDone {
    failure(Step::Prove, FailureKind::Other, "could not start rsync: nothing confines it yet")
}

/// rsync of this machine.
fn rsync_here() -> Result<PathBuf, NotDone> {
    let missing = Obstacle::ToolMissing { tool: "rsync".into(), server: None };
    programs::find_program("rsync").ok_or(NotDone::Skipped(vec![missing]))
}
