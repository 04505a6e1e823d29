//! A destination whose copies are read: opened as the last look found it. Who deletes in it proves it first.

use std::path::Path;
use std::rc::Rc;

use crate::backup::failure::could_not;
use crate::backup::job::{RemoteEnd, SyncAsSeen, sentence};
use crate::backup::place::look::FarDestination;
use crate::backup::session::Session;
use crate::backup::session::stop::Stops;
use crate::backup::snapshots::listing::{candidates, snapshots_at};
use crate::backup::snapshots::mirror::MirrorPast;
use crate::backup::snapshots::sent;
use crate::decide::retention::Candidate;
use crate::formats::log;
use crate::formats::ssh::calls::Intent;
use crate::formats::text::obstacle_sentences;
use crate::model::layout::{LOCK, OWN};
use crate::model::{End, Keeping, NotDone, SnapshotKind, SnapshotName, Step, Sync, TidyDeed, VolumeSight};
use crate::os::directory::{Directory, Reach};
use crate::os::files;
use crate::os::ssh::SshPlace;

/// The copies of a sync.
#[derive(Debug)]
pub(crate) enum Copies {
    /// In a directory of this machine.
    Here(Box<HereCopies>),
    /// In a directory of a server.
    There(Box<FarCopies>),
}

/// A destination on this machine.
#[derive(Debug)]
pub(crate) struct HereCopies {
    /// The root of that.
    pub(crate) root: Directory,
    /// The destination.
    pub(crate) directory: Directory,
    finished: Vec<Candidate>,
    mirror: MirrorPast,
}

/// A destination at a server, connected and looked at. Its sentinels are the ones that are expected.
#[derive(Debug)]
pub(crate) struct FarCopies {
    /// The destination.
    pub(crate) destination: FarDestination,
}

impl Copies {
    /// Opens them; says why not, for a person.
    pub(crate) fn open(seen: &SyncAsSeen, ssh: &SshPlace, stops: &mut Stops) -> Result<Self, String> {
        match &seen.destination_server {
            None => HereCopies::open(seen).map(|here| Self::Here(Box::new(here))),
            Some(server) => {
                let far = FarCopies::open(&seen.sync, server, ssh, stops);
                far.map(|far| Self::There(Box::new(far))).map_err(|why| sentence(&why, &seen.sync.name))
            }
        }
    }

    /// The complete snapshots, oldest first, with what the log says of them.
    pub(crate) fn finished(&self) -> Vec<Candidate> {
        match self {
            Self::Here(here) => here.finished(),
            Self::There(far) => far.finished(),
        }
    }

    /// What is known of the one that there is where there is no history.
    pub(crate) fn mirror(&self) -> MirrorPast {
        match self {
            Self::Here(here) => here.mirror,
            Self::There(far) => {
                let look = &far.destination.look;
                MirrorPast::of(&log::records(&look.past), look.marker.is_some())
            }
        }
    }

    /// Where something below the destination lies, for people.
    pub(crate) fn shown(&self, below: &Path) -> String {
        match self {
            Self::Here(here) => here.directory.path_of(below).display().to_string(),
            Self::There(far) => {
                let FarDestination { server, at, .. } = &far.destination;
                format!("{}:{}", server.host(), at.join(below).display())
            }
        }
    }
}

impl HereCopies {
    fn open(seen: &SyncAsSeen) -> Result<Self, String> {
        let VolumeSight::Present(present) = &seen.destination else {
            return Err(obstacle_sentences(&seen.obstacles, &seen.sync.name));
        };
        let root = Directory::open_root(&present.root).map_err(|error| could_not(&error))?;
        let below: &Path = seen.sync.destination.subdir.as_path();
        let directory = root.open_below(below, Reach::SameMount).map_err(|error| could_not(&error))?;
        Self::at(root, directory)
    }

    /// What the filesystem keeps, as far as a run left it to be seen.
    pub(crate) fn keeping(&self) -> Keeping {
        let own = self.directory.open_below(Path::new(OWN), Reach::SameMount);
        own.map(|own| files::kept(&own, LOCK)).unwrap_or_default()
    }

    /// The complete snapshots, oldest first.
    pub(crate) fn finished(&self) -> Vec<Candidate> {
        self.finished.clone()
    }

    /// What is known of the one that there is where there is no history.
    pub(crate) fn mirror(&self) -> MirrorPast {
        self.mirror
    }

    /// What lies in this directory, wherever it comes from.
    pub(crate) fn at(root: Directory, directory: Directory) -> Result<Self, String> {
        let finished = snapshots_at(&directory).map_err(|error| could_not(&error))?;
        let mirror = MirrorPast::at(&directory);
        Ok(Self { root, directory, finished, mirror })
    }
}

impl FarCopies {
    fn open(sync: &Sync, end: &RemoteEnd, ssh: &SshPlace, stops: &mut Stops) -> Result<Self, NotDone> {
        let server = Session::for_errand(sync, (end, End::Destination), ssh, stops)?;
        let wanted = (end, &sync.destination, sync.snapshots);
        let destination = FarDestination::prove(Rc::new(server), wanted, Intent::List, stops)?;
        Ok(Self { destination })
    }

    fn finished(&self) -> Vec<Candidate> {
        let look = &self.destination.look;
        look.entries.as_ref().map(|entries| candidates(&entries.complete, &log::records(&look.log))).unwrap_or_default()
    }

    /// Deletes these snapshots under the lock of the destination, which proves itself again. Returns what could not be
    /// deleted, as sentences.
    pub(crate) fn delete(&self, names: &[SnapshotName], stops: &mut Stops) -> Result<Vec<String>, NotDone> {
        let deeds: Vec<TidyDeed> = names.iter().map(|name| TidyDeed::Discard(name.to_string())).collect();
        if deeds.is_empty() {
            return Ok(Vec::new());
        }
        let FarDestination { server, end, .. } = &self.destination;
        let done = sent::carry_out(server, (end, None), (Step::Prune, &deeds), stops)?;
        Ok(done.warnings)
    }
}

/// Whether the copies of a sync of this kind are snapshots.
pub(crate) fn have_history(kind: SnapshotKind) -> bool {
    match kind {
        SnapshotKind::None => false,
        SnapshotKind::HardLink | SnapshotKind::Btrfs => true,
    }
}
