//! What a run reads whose destination is at a server: here, or there, too.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::backup::failure::failure;
use crate::backup::job::{Job, JobEnd, LocalEnd, RemoteEnd};
use crate::backup::place::here as ends;
use crate::backup::place::here::HereSource;
use crate::backup::place::there::{FarDestination, FarSource, transfer};
use crate::backup::place::way::{Far, Way};
use crate::backup::session::Server;
use crate::backup::session::stop::Stops;
use crate::model::{Conclusion, End, FailureKind, Filter, Obstacle, Step, Sync};

/// What a run reads.
pub(crate) enum Source<'a> {
    /// A directory of this machine.
    Here(HereSource, &'a LocalEnd),
    /// A directory of the same server.
    There(FarSource, &'a RemoteEnd),
}

impl<'a> Source<'a> {
    /// Proves one on this machine; `None` if it is at the server.
    pub(crate) fn here(job: &'a Job) -> Result<Option<Self>, Conclusion> {
        match &job.source {
            JobEnd::There(_) => Ok(None),
            JobEnd::Here(end) => match ends::prove_source(job, end) {
                Ok(source) => Ok(Some(Self::Here(source, end))),
                Err(obstacle) => Err(Conclusion::Skipped(vec![obstacle])),
            },
        }
    }

    /// Proves one at the server.
    pub(crate) fn there(job: &'a Job, server: &Server, stops: &mut Stops) -> Result<Self, Conclusion> {
        match &job.source {
            JobEnd::There(end) => Ok(Self::There(FarSource::prove(server, job, end, stops)?, end)),
            JobEnd::Here(_) => Self::here(job)?.ok_or_else(|| Conclusion::Skipped(Vec::new())),
        }
    }

    /// The way to what is written of the destination, which really lies there.
    pub(crate) fn way<'s>(
        &'s self,
        server: &'s Server,
        (destination, at): ([OsString; 9], PathBuf),
        into: &'s str,
    ) -> Way<'s> {
        match self {
            Self::Here(source, _) => {
                Way::Push(&source.data, Far { server, words: transfer(None, Some(destination)), at, into })
            }
            Self::There(source, _) => {
                Way::There(Far { server, words: transfer(Some(source), Some(destination)), at, into })
            }
        }
    }
}

/// Where the destination lies inside the source, if both are on one server and it does; it may not be the other way.
pub(crate) fn nested(source: &Source<'_>, destination: &FarDestination) -> Result<Option<PathBuf>, Conclusion> {
    let Source::There(source, _) = source else { return Ok(None) };
    let below = |inner: &Path, outer: &Path| inner.strip_prefix(outer).ok().map(Path::to_owned);
    if below(&source.at, &destination.at).is_some() {
        let reason = "it is a part of the destination, where the copy would write over it".into();
        let obstacle = Obstacle::DirectoryMissing { end: End::Source, path: source.at.clone(), reason };
        return Err(Conclusion::Skipped(vec![obstacle]));
    }
    Ok(below(&destination.at, &source.at))
}

/// Files of rules are on this machine. Where rsync runs at the server, it is given the rules in them one by one.
pub(crate) fn inlined(sync: &Sync, source: &Source<'_>) -> Result<Sync, Conclusion> {
    let mut sync = sync.clone();
    let Source::There(..) = source else { return Ok(sync) };
    let mut rules = Vec::new();
    let from_file = sync.filter_file.take().map(Filter::Merge);
    for filter in std::mem::take(&mut sync.filters).into_iter().chain(from_file) {
        let Filter::Merge(file) = filter else {
            rules.push(filter);
            continue;
        };
        let text = std::fs::read_to_string(&file).map_err(|error| {
            failure(Step::Copy, FailureKind::Usage, format!("could not read the rules in {}: {error}", file.display()))
        })?;
        let lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with(['#', ';']));
        rules.extend(lines.map(|line| Filter::Rule(line.to_owned())));
    }
    sync.filters = rules;
    Ok(sync)
}
