//! Both ends of a job: opened, proven to be the right ones, and held by descriptor.
//!
//! The look that made the job is old by now. What is proven here is what is used, and it is proven again before
//! anything is promoted.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use crate::backup::failure::words;
use crate::backup::job::{Job, JobEnd, Layout, LocalEnd};
use crate::backup::layout::{LATEST, LOCK, OWN, SNAPSHOTS, STAGING};
use crate::backup::place::there::{FarSource, transfer};
use crate::backup::place::way::{Far, Target, Way};
use crate::backup::session::Server;
use crate::backup::session::stop::Stops;
use crate::formats::rsync::arguments::slash;
use crate::formats::sentinel;
use crate::model::{
    Absence, Access, Conclusion, End, Interruption, Keeping, Letters, Obstacle, Place, SentinelFault, SentinelId,
    SnapshotKind, SnapshotName,
};
use crate::os::btrfs::{self, Role};
use crate::os::directory::{Directory, DirectoryError, Identity, Reach};
use crate::os::files::{self, Hold, ReadError};
use crate::os::machine::{self, DeviceState};
use crate::os::ssh::SshPlace;

/// One end, pinned.
#[derive(Debug)]
pub(crate) struct Pinned {
    /// The directory of the sync.
    pub(crate) directory: Directory,
    root: Identity,
    identity: Identity,
}

/// What is read, if it is on this machine.
#[derive(Debug)]
pub(crate) struct HereSource {
    /// Where the source proved itself.
    pinned: Pinned,
    /// What is copied: the source itself, or the snapshot that its `latest` named.
    pub(crate) data: Directory,
    /// Keeps the snapshot that is read from being pruned.
    _reading: Option<OwnedFd>,
}

/// What is read.
#[derive(Debug)]
pub(crate) enum Source {
    /// A directory of this machine.
    Here(Box<HereSource>),
    /// A directory of a server, with the connection to it.
    There(Box<(Server, FarSource)>),
}

/// Both ends, pinned.
#[derive(Debug)]
pub(crate) struct Ends {
    /// What is read.
    pub(crate) source: Source,
    /// Where the copy goes.
    pub(crate) destination: Pinned,
    /// Where that lies inside what is copied, relative to it, if it does: a drive may be mounted anywhere.
    pub(crate) nested: Option<PathBuf>,
}

impl Ends {
    /// The way to what is written of the destination.
    pub(crate) fn way<'a>(&'a self, target: Target<'a>) -> Way<'a> {
        match &self.source {
            Source::Here(source) => Way::Here(&source.data, target),
            Source::There(source) => {
                let (server, far) = source.as_ref();
                Way::Pull(Far { server, words: transfer(Some(far), None), at: far.at.clone(), into: "./" }, target)
            }
        }
    }
}

impl Ends {
    /// Whether names that differ only in capital letters are two at the destination, by its sentinel.
    pub(crate) fn letters(&self) -> Letters {
        files::letters(&self.destination.directory, ".nbkp-dst")
    }

    /// What the filesystem of the destination keeps, as far as an earlier run left it to be seen.
    pub(crate) fn kept(&self) -> Keeping {
        let own = self.destination.directory.open_below(Path::new(OWN), Reach::SameMount);
        Keeping { names: self.letters(), ..own.map(|own| files::kept(&own, LOCK)).unwrap_or_default() }
    }

    /// What is read, as a person would write it.
    pub(crate) fn shown_source(&self) -> OsString {
        match &self.source {
            Source::Here(source) => slash(source.data.path()),
            Source::There(source) => {
                let (server, far) = source.as_ref();
                server.shown(&far.at)
            }
        }
    }
}

/// Opens and proves both ends of a copy to this machine; all that stands in the way of either is told. A server is
/// connected to if the source is there, and not before the destination is proven.
pub(crate) fn prove(
    job: &Job,
    destination: &LocalEnd,
    place: &SshPlace,
    stops: &mut Stops,
) -> Result<Ends, Conclusion> {
    let destination = pin(job, destination, End::Destination).and_then(|pinned| writable(job, destination, pinned));
    match &job.source {
        JobEnd::There(end) => {
            let destination = destination.map_err(|obstacle| Conclusion::Skipped(vec![obstacle]))?;
            let server = Server::connect(job, (end, End::Source), place, stops)?;
            let far = FarSource::prove(&server, job, end, stops)?;
            Ok(Ends { source: Source::There(Box::new((server, far))), destination, nested: None })
        }
        JobEnd::Here(end) => match (prove_source(job, end), destination) {
            (Ok(source), Ok(destination)) => {
                if inside(&destination.directory, &source.data).is_some() {
                    let reason = "it is a part of the destination, where the copy would write over it".into();
                    let (end, path) = (End::Source, source.data.path().to_owned());
                    return Err(Conclusion::Skipped(vec![Obstacle::DirectoryMissing { end, path, reason }]));
                }
                let nested = inside(&source.data, &destination.directory);
                Ok(Ends { source: Source::Here(Box::new(source)), destination, nested })
            }
            (source, destination) => {
                Err(Conclusion::Skipped(source.err().into_iter().chain(destination.err()).collect()))
            }
        },
    }
}

/// Opens and proves a source on this machine.
pub(crate) fn prove_source(job: &Job, end: &LocalEnd) -> Result<HereSource, Obstacle> {
    let pinned = pin(job, end, End::Source)?;
    readable(end, pinned)
}

/// Where the second lies inside the first, if it does and is not the same.
fn inside(outer: &Directory, inner: &Directory) -> Option<PathBuf> {
    let (outer, inner) = (outer.real_path()?, inner.real_path()?);
    let below = inner.strip_prefix(&outer).ok()?;
    (!below.as_os_str().is_empty()).then(|| below.to_owned())
}

/// Proves one end again.
pub(crate) fn prove_again(job: &Job, ends: &Ends, end: End, stops: &mut Stops) -> Result<(), Conclusion> {
    match (end, &ends.source, &job.source, &job.destination) {
        (End::Source, Source::Here(source), JobEnd::Here(wanted), _) => source.prove_again(job, wanted),
        (End::Source, Source::There(source), JobEnd::There(wanted), _) => {
            let (server, far) = source.as_ref();
            far.prove_again(server, job, wanted, stops)
        }
        (End::Destination, _, _, JobEnd::Here(wanted)) => {
            let lost = |what| Conclusion::Interrupted(Interruption::DestinationLost(what));
            pinned_again(job, wanted, &ends.destination, end).map_err(lost)
        }
        (End::Source | End::Destination, ..) => Ok(()),
    }
}

impl HereSource {
    /// Proves it again.
    pub(crate) fn prove_again(&self, job: &Job, end: &LocalEnd) -> Result<(), Conclusion> {
        let lost = |what| Conclusion::Interrupted(Interruption::SourceLost(what));
        pinned_again(job, end, &self.pinned, End::Source).map_err(lost)
    }
}

/// Both by its path and against what was pinned. Says what is wrong.
fn pinned_again(job: &Job, wanted: &LocalEnd, pinned: &Pinned, end: End) -> Result<(), String> {
    let now = pin(job, wanted, end).map_err(|obstacle| obstacle.to_string())?;
    if now.root != pinned.root || now.identity != pinned.identity {
        return Err(format!("{} is another directory than before", pinned.directory.path().display()));
    }
    // The path may lead to the right place while the pinned directory was emptied by other means.
    check_sentinel(&pinned.directory, end, wanted).map_err(|obstacle| obstacle.to_string())
}

fn pin(job: &Job, wanted: &LocalEnd, end: End) -> Result<Pinned, Obstacle> {
    let Place { volume, subdir } = job.sync.place(end);
    let absent = |absence| Obstacle::VolumeAbsent { end, volume: volume.clone(), absence };
    if let Some(drive) = &wanted.drive {
        match machine::device_state(drive.device) {
            DeviceState::Gone => return Err(absent(Absence::NotPlugged)),
            DeviceState::Present(number) => {
                if drive.disk_seq.is_some() && number.is_some() && number != drive.disk_seq {
                    return Err(absent(Absence::NotPlugged));
                }
            }
        }
    }
    let root = Directory::open_root(&wanted.root).map_err(|error| {
        absent(match error.cause() {
            crate::os::directory::Errno::NOENT => Absence::NoDirectory(wanted.root.clone()),
            cause => Absence::Unreadable(wanted.root.clone(), words(cause)),
        })
    })?;
    let unreadable = |error: DirectoryError| absent(Absence::Unreadable(wanted.root.clone(), words(error.cause())));
    let identity = root.identity().map_err(unreadable)?;
    if identity.mount != wanted.mount {
        return Err(match &wanted.drive {
            Some(drive) => Obstacle::NotMounted {
                end,
                volume: volume.clone(),
                device: format!("/dev/block/{}:{}", drive.device.0, drive.device.1).into(),
                let_go: false,
            },
            None => absent(Absence::Unreadable(wanted.root.clone(), "another filesystem is mounted there".into())),
        });
    }
    sentinel(&root, ".nbkp-vol", end, wanted.volume_id.as_ref())?;
    let reach = match end {
        End::Source => Reach::AnyMount,
        End::Destination => Reach::SameMount,
    };
    let missing = |error: DirectoryError| Obstacle::DirectoryMissing {
        end,
        path: wanted.root.join(subdir.as_path()),
        reason: words(error.cause()),
    };
    let directory = root.open_below(subdir.as_path(), reach).map_err(missing)?;
    check_sentinel(&directory, end, wanted)?;
    let pinned = directory.identity().map_err(missing)?;
    Ok(Pinned { directory, root: identity, identity: pinned })
}

fn check_sentinel(directory: &Directory, end: End, wanted: &LocalEnd) -> Result<(), Obstacle> {
    let name = match end {
        End::Source => ".nbkp-src",
        End::Destination => ".nbkp-dst",
    };
    sentinel(directory, name, end, wanted.end_id.as_ref())
}

fn sentinel(directory: &Directory, name: &str, end: End, id: Option<&SentinelId>) -> Result<(), Obstacle> {
    let path = directory.path_of(name);
    let fault = |fault| Obstacle::Sentinel { end, path: path.clone(), fault };
    let bytes = files::read_small(directory, name, sentinel::LIMIT).map_err(|error| {
        fault(match error {
            ReadError::Missing => SentinelFault::Missing,
            ReadError::NotRegular => SentinelFault::Unusable("it is not a regular file".into()),
            ReadError::TooLarge(limit) => SentinelFault::Unusable(format!("it is larger than {limit} bytes")),
            ReadError::Kernel(cause) => SentinelFault::Unusable(words(cause)),
        })
    })?;
    let found = sentinel::parse(&bytes).map_err(|error| fault(SentinelFault::Unusable(error.to_string())))?;
    match id {
        Some(id) if found.as_ref() != Some(id) => Err(Obstacle::SentinelMismatch { end, path }),
        Some(_) | None => Ok(()),
    }
}

/// What is read at the source. A destination with snapshots is read through its `latest`, resolved once; readers share
/// its lock, so that nobody prunes what they read.
fn readable(end: &LocalEnd, pinned: Pinned) -> Result<HereSource, Obstacle> {
    let missing =
        |path: &Path, reason: String| Obstacle::DirectoryMissing { end: End::Source, path: path.into(), reason };
    let directory = &pinned.directory;
    match end.layout {
        Layout::Plain => {
            let data = directory.open_below(Path::new(""), Reach::AnyMount);
            let data = data.map_err(|error| missing(directory.path(), words(error.cause())))?;
            Ok(HereSource { pinned, data, _reading: None })
        }
        Layout::Snapshots => {
            let reading = read_lock(directory)?;
            let path = directory.path_of(LATEST);
            let target = directory.link_target(LATEST).map_err(|error| missing(&path, words(error.cause())))?;
            let below = match target {
                None => return Err(Obstacle::NoSnapshotYet { path: directory.path().to_owned() }),
                Some(target) if target == Path::new("/dev/null") => {
                    return Err(Obstacle::NoSnapshotYet { path: directory.path().to_owned() });
                }
                Some(target) => target,
            };
            if named_snapshot(&below).is_none() {
                return Err(missing(&path, "it does not point to a snapshot beside it".into()));
            }
            let data = directory.open_below(&below, Reach::SameMount);
            let data = data.map_err(|error| missing(&directory.path_of(&below), words(error.cause())))?;
            Ok(HereSource { pinned, data, _reading: reading })
        }
    }
}

fn read_lock(directory: &Directory) -> Result<Option<OwnedFd>, Obstacle> {
    let Ok(own) = directory.open_below(Path::new(OWN), Reach::SameMount) else { return Ok(None) };
    match files::lock(&own, LOCK, Hold::Together) {
        Ok(Some(lock)) => Ok(Some(lock)),
        Ok(None) => Err(Obstacle::LockTaken { path: own.path_of(LOCK) }),
        // Without a lock file nobody prunes; with one that may not be read, another user's backups are only read.
        Err(_) => Ok(None),
    }
}

/// The name of the snapshot that `latest` points to, if it points to one beside it.
pub(crate) fn named_snapshot(target: &Path) -> Option<SnapshotName> {
    let mut parts = target.components();
    match (parts.next(), parts.next(), parts.next()) {
        (Some(Component::Normal(first)), Some(Component::Normal(name)), None) if first == SNAPSHOTS => {
            name.to_str()?.parse().ok()
        }
        _ => None,
    }
}

fn writable(job: &Job, end: &LocalEnd, pinned: Pinned) -> Result<Pinned, Obstacle> {
    if end.access == Access::ReadOnly {
        return Err(Obstacle::ReadOnly { volume: job.sync.destination.volume.clone(), root: end.root.clone() });
    }
    match job.sync.snapshots {
        SnapshotKind::None | SnapshotKind::HardLink => Ok(pinned),
        SnapshotKind::Btrfs => {
            let directory = &pinned.directory;
            let found = match directory.open_below(Path::new(STAGING), Reach::SameMount) {
                Err(error) => words(error.cause()),
                Ok(staging) => match btrfs::role(&staging) {
                    Ok(Role::Subvolume) => return Ok(pinned),
                    Ok(Role::Directory) => "it is an ordinary directory".into(),
                    Ok(Role::Foreign) => format!("it is on {}", end.fs_type),
                    Err(error) => words(error.cause()),
                },
            };
            Err(Obstacle::NotBtrfs { path: directory.path_of(STAGING), found })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latest_names_a_snapshot_beside_it_or_nothing() {
        assert!(named_snapshot(Path::new("snapshots/2026-11-22T17:30:00.000Z")).is_some());
        for other in [
            "/dev/null",
            "snapshots",
            "snapshots/..",
            "snapshots/latest",
            "../snapshots/2026-11-22T17:30:00.000Z",
            "/snapshots/2026-11-22T17:30:00.000Z",
            "snapshots/2026-11-22T17:30:00.000Z/sub",
        ] {
            assert_eq!(named_snapshot(Path::new(other)), None, "{other}");
        }
    }
}
