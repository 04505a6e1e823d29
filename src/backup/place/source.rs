//! What a run reads: here or at a server.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::backup::failure::failure;
use crate::backup::job::Job;
use crate::backup::place::look::{self, FarSource};
use crate::backup::place::pinned::HereSource;
use crate::backup::place::submounts::Submounts;
use crate::backup::session::stop::Stops;
use crate::formats::rsync::arguments::slash;
use crate::formats::rsync::chosen::follows_links;
use crate::formats::rsync::rules;
use crate::formats::ssh::calls::ReadEnd;
use crate::model::{End, FailureKind, Honours, NotDone, Obstacle, Privileges, RsyncSettings, SentinelId, Step, Sync};
use crate::os::directory::Directory;
use crate::os::{guards, rules_file, tree};

/// What a run reads.
#[derive(Debug)]
pub(crate) enum CopySource {
    /// A directory of this machine.
    Here(Box<HereSource>),
    /// A directory of a server.
    There(Box<FarSource>),
}

impl CopySource {
    /// Whether it is still the one that was proven. Tells what is mounted below it; `None` if nobody knows.
    pub(crate) fn prove_again(&self, job: &Job, stops: &mut Stops) -> Result<Option<Submounts>, NotDone> {
        match self {
            Self::Here(source) => source.prove_again(job).map(|()| Submounts::here(&source.data)),
            Self::There(source) => source.prove_again(job, stops),
        }
    }

    /// Whether what gives a file power is copied to this directory, or to one of another machine: not from where it
    /// counts for nothing to where it would count and everybody can get at it.
    pub(crate) fn privileges(&self, destination: Option<&Directory>) -> Privileges {
        let honoured = match self {
            Self::Here(source) => source.data.honours(),
            // Whoever owns a server owns what is on it.
            Self::There(_) => Honours::Nothing,
        };
        privileges(honoured, destination)
    }

    /// The id that its sentinel carries.
    pub(crate) fn id(&self) -> Option<&SentinelId> {
        match self {
            Self::Here(source) => source.id(),
            Self::There(source) => source.id.as_ref(),
        }
    }

    /// What was mounted below it when it was proven first.
    pub(crate) fn submounts(&self) -> Option<Submounts> {
        match self {
            Self::Here(source) => Submounts::here(&source.data),
            Self::There(source) => source.submounts.clone(),
        }
    }

    /// Which of these paths are directories in it, for rsync with these settings.
    pub(crate) fn directories(
        &self,
        paths: &BTreeSet<PathBuf>,
        settings: &RsyncSettings,
        stops: &mut Stops,
    ) -> Result<BTreeSet<PathBuf>, NotDone> {
        let follows = follows_links(settings);
        match self {
            Self::Here(source) => Ok(tree::directories(&source.data, paths, follows)),
            Self::There(source) => {
                let ReadEnd { end, data } = &source.end;
                look::directories(&source.server, (end, End::Source, data), (paths, follows), stops)
            }
        }
    }

    /// What is read, as a person would write it.
    pub(crate) fn shown(&self) -> OsString {
        match self {
            Self::Here(source) => slash(source.data.path()),
            Self::There(source) => source.server.shown(&source.at),
        }
    }
}

/// The same for a source on a mount that honours this.
pub(crate) fn privileges(honoured: Honours, destination: Option<&Directory>) -> Privileges {
    let is_harmless = |destination: &Directory| {
        destination.honours() == Honours::Nothing
            || destination.real_path().is_some_and(|path| guards::is_behind_private(&path))
    };
    if honoured == Honours::All || destination.is_some_and(is_harmless) {
        Privileges::Copied
    } else {
        Privileges::LeftOut
    }
}

/// Where the destination lies inside the source, if it does: a drive may be mounted anywhere. The other way round a
/// copy would write over what it reads. Both paths are of one machine, without links.
pub(crate) fn nested(source: &Path, destination: &Path) -> Result<Option<PathBuf>, NotDone> {
    let below = |inner: &Path, outer: &Path| {
        let below = inner.strip_prefix(outer).ok()?;
        Some(below.to_owned()).filter(|below| !below.as_os_str().is_empty())
    };
    if source == destination || below(source, destination).is_some() {
        let reason = "it is a part of the destination, where the copy would write over it".into();
        let obstacle = Obstacle::DirectoryMissing { end: End::Source, path: source.to_owned(), reason };
        return Err(NotDone::Skipped(vec![obstacle]));
    }
    Ok(below(destination, source))
}

/// The sync with all its rules one by one. Files of rules are on this machine, wherever rsync runs, and what is in them
/// is read once for a run.
pub(crate) fn inlined(sync: &Sync) -> Result<Sync, NotDone> {
    let read = |file: &Path| rules_file::read_rules(file).map_err(|error| error.to_string());
    let filters = rules::flat(&sync.filters, sync.filter_file.as_deref(), &read)
        .map_err(|error| failure(Step::Copy, FailureKind::Usage, error.to_string()))?;
    Ok(Sync { filters, filter_file: None, ..sync.clone() })
}
