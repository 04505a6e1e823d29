//! Both ends of a job: opened, proven to be the right ones, and held by descriptor.
//!
//! The look that made the job is old by now. What is proven here is what is used, and it is proven again before
//! anything is promoted.

use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use crate::daemon::job::{Job, JobEnd, Layout};
use crate::daemon::worker::trouble::words;
use crate::formats::sentinel;
use crate::model::{
    Absence, Access, End, Obstacle, SentinelFault, SentinelId, SnapshotKind, SnapshotName, Subdir, VolumeName,
};
use crate::os::btrfs::{self, Role};
use crate::os::directory::{Directory, DirectoryError, Identity, Reach};
use crate::os::files::{self, Hold, ReadError};
use crate::os::machine::{self, DeviceState};

/// The directory in a destination that holds what is ours.
pub(super) const OWN: &str = ".nbkp";
/// The lock in it.
pub(super) const LOCK: &str = "lock";
/// The writable subvolume of a destination with btrfs snapshots.
pub(super) const STAGING: &str = "staging";
/// The directory of the finished copies.
pub(super) const SNAPSHOTS: &str = "snapshots";
/// The link to the newest of them.
pub(super) const LATEST: &str = "latest";

/// One end, pinned.
#[derive(Debug)]
pub(super) struct Pinned {
    /// The directory of the sync.
    pub(super) directory: Directory,
    root: Identity,
    identity: Identity,
}

/// Both ends, pinned.
#[derive(Debug)]
pub(super) struct Ends {
    /// Where the source proved itself.
    source: Pinned,
    /// What is copied: the source itself, or the snapshot that its `latest` named.
    pub(super) data: Directory,
    /// Keeps the snapshot that is read from being pruned.
    _reading: Option<OwnedFd>,
    /// Where the copy goes.
    pub(super) destination: Pinned,
    /// Where that lies inside what is copied, relative to it, if it does: a drive may be mounted anywhere.
    pub(super) nested: Option<PathBuf>,
}

/// Opens and proves both ends; all that stands in the way of either is told.
pub(super) fn prove(job: &Job) -> Result<Ends, Vec<Obstacle>> {
    let source = pin(job, End::Source).and_then(|pinned| readable(job, pinned));
    let destination = pin(job, End::Destination).and_then(|pinned| writable(job, pinned));
    match (source, destination) {
        (Ok((source, data, reading)), Ok(destination)) => {
            if inside(&destination.directory, &data).is_some() {
                let reason = "it is a part of the destination, where the copy would write over it".into();
                let (end, path) = (End::Source, data.path().to_owned());
                return Err(vec![Obstacle::DirectoryMissing { end, path, reason }]);
            }
            let nested = inside(&data, &destination.directory);
            Ok(Ends { source, data, _reading: reading, destination, nested })
        }
        (source, destination) => Err(source.err().into_iter().chain(destination.err()).collect()),
    }
}

/// Where the second lies inside the first, if it does and is not the same.
fn inside(outer: &Directory, inner: &Directory) -> Option<PathBuf> {
    let (outer, inner) = (outer.real_path()?, inner.real_path()?);
    let below = inner.strip_prefix(&outer).ok()?;
    (!below.as_os_str().is_empty()).then(|| below.to_owned())
}

/// Proves one end again, both by its path and against what was pinned. Says what is wrong.
pub(super) fn prove_again(job: &Job, ends: &Ends, end: End) -> Result<(), String> {
    let pinned = match end {
        End::Source => &ends.source,
        End::Destination => &ends.destination,
    };
    let now = pin(job, end).map_err(|obstacle| obstacle.to_string())?;
    if now.root != pinned.root || now.identity != pinned.identity {
        return Err(format!("{} is another directory than before", pinned.directory.path().display()));
    }
    // The path may lead to the right place while the pinned directory was emptied by other means.
    check_sentinel(&pinned.directory, end, side(job, end).0).map_err(|obstacle| obstacle.to_string())
}

fn side(job: &Job, end: End) -> (&JobEnd, &Subdir, &VolumeName) {
    match end {
        End::Source => (&job.source, &job.sync.source.subdir, &job.sync.source.volume),
        End::Destination => (&job.destination, &job.sync.destination.subdir, &job.sync.destination.volume),
    }
}

fn pin(job: &Job, end: End) -> Result<Pinned, Obstacle> {
    let (wanted, subdir, volume) = side(job, end);
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
                device: PathBuf::from(format!("/dev/block/{}:{}", drive.device.0, drive.device.1)),
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

fn check_sentinel(directory: &Directory, end: End, wanted: &JobEnd) -> Result<(), Obstacle> {
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
fn readable(job: &Job, pinned: Pinned) -> Result<(Pinned, Directory, Option<OwnedFd>), Obstacle> {
    let missing =
        |path: &Path, reason: String| Obstacle::DirectoryMissing { end: End::Source, path: path.into(), reason };
    let directory = &pinned.directory;
    match job.source.layout {
        Layout::Plain => {
            let data = directory.open_below(Path::new(""), Reach::AnyMount);
            let data = data.map_err(|error| missing(directory.path(), words(error.cause())))?;
            Ok((pinned, data, None))
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
            Ok((pinned, data, reading))
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
pub(super) fn named_snapshot(target: &Path) -> Option<SnapshotName> {
    let mut parts = target.components();
    match (parts.next(), parts.next(), parts.next()) {
        (Some(Component::Normal(first)), Some(Component::Normal(name)), None) if first == SNAPSHOTS => {
            name.to_str()?.parse().ok()
        }
        _ => None,
    }
}

fn writable(job: &Job, pinned: Pinned) -> Result<Pinned, Obstacle> {
    if job.destination.access == Access::ReadOnly {
        return Err(Obstacle::ReadOnly {
            volume: job.sync.destination.volume.clone(),
            root: job.destination.root.clone(),
        });
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
                    Ok(Role::Foreign) => format!("it is on {}", job.destination.fs_type),
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
