//! The ways that a copy goes: on this machine, to a server, from one, and on one.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::backup::place::source::CopySource;
use crate::backup::session::Session;
use crate::decide::judge::Distance;
use crate::decide::tidying::Kept;
use crate::formats::ssh::calls::{ProvenEnd, ReadEnd, ScriptCall, SeenThere, TransferCall, Usage, WrittenEnd};
use crate::model::layout::{self, FIRST_COPY, STAGING};
use crate::model::{SnapshotKind, SnapshotName};
use crate::os::apart::{DESTINATION, SOURCE};
use crate::os::directory::Directory;

/// rsync may take so long for one call, in seconds; what lasts longer goes on with the next run. It bounds what a
/// broken connection leaves behind.
pub(crate) const MOST: u32 = 172_800;

/// All of a directory, as rsync is given the place in which it works.
const ALL: &str = "./";

/// A place in a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spot {
    /// The destination itself.
    Whole,
    /// Its writable subvolume.
    Staging,
    /// A new directory among the snapshots, to get this name.
    New(SnapshotName),
    /// A finished copy.
    Finished(SnapshotName),
    /// What is not there yet.
    FirstCopy,
}

impl Spot {
    /// What a new copy is judged by: what lies there, or the newest snapshot of it, or something that is not there.
    pub(crate) fn judged(kind: SnapshotKind, kept: &Kept, now: Timestamp) -> Self {
        match kind {
            SnapshotKind::None => Self::Whole,
            SnapshotKind::Btrfs => Self::Staging,
            SnapshotKind::HardLink => kept.judged_by(now).first().copied().map_or(Self::FirstCopy, Self::Finished),
        }
    }

    /// Where it lies in the destination, and what of that is meant.
    pub(crate) fn path(self) -> (PathBuf, &'static str) {
        match self {
            Self::Whole => (PathBuf::new(), ALL),
            Self::Staging => (STAGING.into(), ALL),
            Self::New(name) => (layout::in_snapshots(layout::in_progress(name)), ALL),
            Self::Finished(name) => (layout::in_snapshots(name), ALL),
            Self::FirstCopy => (PathBuf::new(), FIRST_COPY),
        }
    }
}

/// What is written, or compared.
#[derive(Debug)]
pub(crate) enum Target<'a> {
    /// A directory of this machine.
    Here(HereTarget<'a>),
    /// A directory of a server.
    There(FarTarget<'a>),
}

/// What is written on this machine.
#[derive(Debug)]
pub(crate) struct HereTarget<'a> {
    /// The directory.
    pub(crate) directory: Directory,
    /// Its path in the destination.
    pub(crate) below: PathBuf,
    /// What of it: all of it, but for a look at what is not there yet.
    pub(crate) into: &'static str,
    /// The lock, which rsync inherits as its standard input: if it outlives us, the lock does too. None to look only.
    pub(crate) lock: Option<&'a OwnedFd>,
}

/// What is written at a server.
#[derive(Debug)]
pub(crate) struct FarTarget<'a> {
    /// The connection.
    pub(crate) server: &'a Session,
    /// The destination.
    pub(crate) end: &'a ProvenEnd,
    /// Where that really lies.
    pub(crate) at: &'a Path,
    /// The directory in it.
    pub(crate) place: PathBuf,
    /// What of that: all of it, but for a look at what is not there yet.
    pub(crate) into: &'static str,
    /// Whether it is changed.
    pub(crate) usage: Usage<'a>,
}

/// Between which places a copy goes.
#[derive(Debug)]
pub(crate) enum CopyWay<'a> {
    /// From this machine to itself.
    Here(&'a Directory, &'a HereTarget<'a>),
    /// From this machine to a server.
    Push(&'a Directory, Far<'a>),
    /// From a server to this machine.
    Pull(Far<'a>, &'a HereTarget<'a>),
    /// On a server, where rsync runs.
    There(Far<'a>),
}

/// What is read or written at a server.
#[derive(Debug)]
pub(crate) struct Far<'a> {
    /// The connection.
    pub(crate) server: &'a Session,
    /// How rsync is started there.
    pub(crate) call: ScriptCall,
    /// Where what is read or written really lies there.
    pub(crate) at: PathBuf,
    /// Where it lies for an rsync that has a root of its own there.
    pub(crate) apart: PathBuf,
    /// What of the place is written.
    pub(crate) into: &'static str,
    /// What is read there, if it is.
    pub(crate) read: Option<&'a ReadEnd>,
}

impl<'a> CopyWay<'a> {
    /// From what is read to what is written.
    pub(crate) fn between(source: &'a CopySource, target: &'a Target<'a>, outlook: SeenThere) -> Self {
        let written = |far: &FarTarget<'a>| WrittenEnd { end: far.end, place: far.place.clone(), usage: far.usage };
        let lies = |far: &FarTarget<'a>| far.at.join(&far.place);
        let apart = |far: &FarTarget<'a>| Path::new(DESTINATION).join(&far.place);
        let transfer = |source, destination| TransferCall { most: MOST, source, destination, outlook }.call();
        match (source, target) {
            (CopySource::Here(source), Target::Here(target)) => Self::Here(&source.data, target),
            (CopySource::Here(source), Target::There(far)) => {
                let call = transfer(None, Some(written(far)));
                let (server, at, apart) = (far.server, lies(far), apart(far));
                Self::Push(&source.data, Far { server, call, at, apart, into: far.into, read: None })
            }
            (CopySource::There(source), Target::Here(target)) => {
                let call = transfer(Some(&source.end), None);
                let (server, at, read) = (&*source.server, source.at.clone(), Some(&source.end));
                Self::Pull(Far { server, call, at, apart: SOURCE.into(), into: ALL, read }, target)
            }
            (CopySource::There(source), Target::There(far)) => {
                let call = transfer(Some(&source.end), Some(written(far)));
                let read = Some(&source.end);
                let (server, at, apart) = (far.server, lies(far), apart(far));
                Self::There(Far { server, call, at, apart, into: far.into, read })
            }
        }
    }

    /// What is read, if it is on this machine.
    pub(crate) fn source(&self) -> Option<&'a Directory> {
        match self {
            Self::Here(source, _) | Self::Push(source, _) => Some(source),
            Self::Pull(..) | Self::There(_) => None,
        }
    }

    /// What entries are named relative to: rsync tells where they really lie.
    pub(crate) fn roots(&self) -> Vec<PathBuf> {
        match self {
            Self::Here(_, target) => target.directory.real_path().into_iter().collect(),
            Self::Push(_, far) => vec![far.at.clone(), far.apart.clone()],
            Self::There(far) => vec![far.at.clone(), far.apart.clone(), SOURCE.into()],
            Self::Pull(far, target) => {
                [far.at.clone(), far.apart.clone()].into_iter().chain(target.directory.real_path()).collect()
            }
        }
    }

    /// Between which machines it goes.
    pub(crate) fn distance(&self) -> Distance {
        match self {
            Self::Here(..) => Distance::Here,
            Self::Push(..) | Self::Pull(..) | Self::There(_) => Distance::Server,
        }
    }
}
