//! Both ends of a sync whose destination is at a server, for a look at what a run would do.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::backup::copy::call::Copying;
use crate::backup::job::{Job, RemoteEnd};
use crate::backup::place::source::{Source, inlined, nested};
use crate::backup::place::there::{FarDestination, Intent, looking};
use crate::backup::run::rsync_here;
use crate::backup::session::Server;
use crate::backup::session::stop::Stops;
use crate::backup::snapshots::recover;
use crate::formats::rsync::arguments::slash;
use crate::model::{Conclusion, End, Keeping, SnapshotKind, Sync};
use crate::os::clock;
use crate::os::ssh::SshPlace;

/// Both ends, proven.
pub(crate) struct View<'a> {
    server: Server,
    source: Source<'a>,
    destination: FarDestination,
    sync: Sync,
    rsync: PathBuf,
    nested: Option<PathBuf>,
    /// What the source is compared with, below the destination, and what of that.
    against: (String, &'static str),
}

impl<'a> View<'a> {
    /// Connects and looks. It must be called before the thread confines itself.
    pub(crate) fn open(job: &'a Job, end: &RemoteEnd, place: &SshPlace, stops: &mut Stops) -> Result<Self, Conclusion> {
        let here = Source::here(job)?;
        let server = Server::connect(job, (end, End::Destination), place, stops)?;
        let source = here.map_or_else(|| Source::there(job, &server, stops), Ok)?;
        let wanted = (end, &job.sync.destination, job.sync.snapshots);
        let destination = FarDestination::prove(&server, wanted, (Intent::List, ""), stops)?;
        let rsync = match &source {
            Source::Here(..) => rsync_here()?,
            Source::There(..) => "rsync".into(),
        };
        let (nested, sync) = (nested(&source, &destination)?, inlined(&job.sync, &source)?);
        let against = match job.sync.snapshots {
            SnapshotKind::None => (String::new(), "./"),
            SnapshotKind::Btrfs => ("staging".to_owned(), "./"),
            SnapshotKind::HardLink => {
                let now = clock::now().wall;
                let (_, kept) = recover::recover(&destination.look, job.sync.snapshots, now);
                match kept.newest(now) {
                    Some(newest) => (format!("snapshots/{newest}"), "./"),
                    None => (String::new(), "./.first-copy/"),
                }
            }
        };
        Ok(Self { server, source, destination, sync, rsync, nested, against })
    }

    /// All that a copy needs that only looks.
    pub(crate) fn copying<'s>(&'s self, job: &Job) -> Copying<'s> {
        let (below, into) = &self.against;
        let way =
            self.source.way(&self.server, (looking(&self.destination, below), self.destination.at.join(below)), into);
        Copying { rsync: &self.rsync, sync: &self.sync, approved: job.approved, way, nested: self.nested.as_deref() }
    }

    /// What the filesystem of the destination keeps, as far as an earlier run left it to be seen.
    pub(crate) fn kept(&self) -> Keeping {
        self.destination.look.keeping()
    }

    /// What is read and written, as a person would write it: at the server itself, if both are there.
    pub(crate) fn shown(&self) -> (OsString, OsString) {
        let (below, into) = &self.against;
        let destination = self.destination.at.join(below).join(into);
        match &self.source {
            Source::Here(source, _) => (slash(source.data.path()), self.server.shown(&destination)),
            Source::There(source, _) => (slash(&source.at), slash(&destination)),
        }
    }
}
