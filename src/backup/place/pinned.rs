//! One end of a job on this machine: opened, proven to be the right one, and held by descriptor.
//!
//! The look that made the job is old by now. What is proven here is what is used, and it is proven again before
//! anything is promoted.

use std::os::fd::OwnedFd;
use std::path::Path;

use crate::backup::failure::words;
use crate::backup::job::{Job, Layout, LocalEnd};
use crate::formats::{sentinel, writer};
use crate::model::layout::{self, LATEST, LOCK, OWN, STAGING, named_snapshot};
use crate::model::{
    Absence, Access, End, Interruption, Keeping, Letters, NotDone, Obstacle, Place, SentinelFault, SentinelId,
    SnapshotKind, Unmounted, Writer,
};
use crate::os::btrfs::{self, Role};
use crate::os::directory::{Directory, DirectoryError, Errno, Identity, Reach};
use crate::os::files::{self, Hold, ReadError};
use crate::os::machine::{self, DeviceState};

/// One end, pinned.
#[derive(Debug)]
pub(crate) struct Pinned {
    /// The directory of the sync.
    pub(crate) directory: Directory,
    root: Identity,
    identity: Identity,
    /// The id that its sentinel carries.
    id: Option<SentinelId>,
    wanted: LocalEnd,
}

/// What is read, if it is on this machine.
#[derive(Debug)]
pub(crate) struct HereSource {
    /// Where the source proved itself.
    pinned: Pinned,
    /// What is copied: the source itself, or the snapshot that its `latest` named.
    pub(crate) data: Directory,
    /// Keeps the snapshot that is read from being pruned.
    reading: Option<OwnedFd>,
}

impl HereSource {
    /// Opens and proves a source.
    pub(crate) fn prove(job: &Job, end: &LocalEnd) -> Result<Self, Obstacle> {
        readable(end, pin(job, end, End::Source)?)
    }

    /// The same, for who reads it and has nobody wait for that: it may be pruned meanwhile.
    pub(crate) fn let_go(mut self) -> Self {
        self.reading = None;
        self
    }

    /// The same place as a hook left it: what it mounted there is what counts.
    pub(crate) fn anew(&self, job: &Job) -> Result<Self, NotDone> {
        Self::prove(job, &self.pinned.wanted).map_err(|obstacle| {
            if matches!(obstacle, Obstacle::VolumeAbsent { .. } | Obstacle::NotMounted { .. }) {
                NotDone::Interrupted(Interruption::SourceLost(obstacle.to_string()))
            } else {
                NotDone::Skipped(vec![obstacle])
            }
        })
    }

    /// The id that its sentinel carries.
    pub(crate) fn id(&self) -> Option<&SentinelId> {
        self.pinned.id.as_ref()
    }

    /// Whether it is still the one that was proven.
    pub(crate) fn prove_again(&self, job: &Job) -> Result<(), NotDone> {
        let lost = |what| NotDone::Interrupted(Interruption::SourceLost(what));
        pinned_again(job, &self.pinned, End::Source).map_err(lost)
    }
}

impl Pinned {
    /// Opens and proves a destination.
    pub(crate) fn destination(job: &Job, end: &LocalEnd) -> Result<Self, Obstacle> {
        pin(job, end, End::Destination).and_then(|pinned| writable(job, end, pinned))
    }

    /// Whether the destination is still the one that was proven.
    pub(crate) fn prove_again(&self, job: &Job) -> Result<(), NotDone> {
        let lost = |what| NotDone::Interrupted(Interruption::DestinationLost(what));
        pinned_again(job, self, End::Destination).map_err(lost)
    }

    /// Whether names that differ only in capital letters are two there, by its sentinel.
    pub(crate) fn letters(&self) -> Letters {
        files::letters(&self.directory, layout::DESTINATION_SENTINEL)
    }

    /// What its filesystem keeps, as far as an earlier run left it to be seen.
    pub(crate) fn keeping(&self) -> Keeping {
        let own = self.directory.open_below(Path::new(OWN), Reach::SameMount);
        Keeping { names: self.letters(), ..own.map(|own| files::kept(&own, LOCK)).unwrap_or_default() }
    }

    /// Who writes it, if it tells.
    pub(crate) fn writer(&self) -> Option<Writer> {
        let own = self.directory.open_below(Path::new(OWN), Reach::SameMount).ok()?;
        writer_in(&own)
    }

    /// The sequence number of its medium, for a drive that has one.
    pub(crate) fn medium(&self) -> Option<u64> {
        self.wanted.drive.as_ref()?.disk_seq
    }
}

/// Who writes the destination that this directory of ours is in, if it tells.
pub(crate) fn writer_in(own: &Directory) -> Option<Writer> {
    writer::named(&files::read_small(own, LOCK, writer::LIMIT).ok()?)
}

/// Both by its path and against what was pinned. Says what is wrong.
fn pinned_again(job: &Job, pinned: &Pinned, end: End) -> Result<(), String> {
    let wanted = &pinned.wanted;
    let now = pin(job, wanted, end).map_err(|obstacle| obstacle.to_string())?;
    if now.root != pinned.root || now.identity != pinned.identity {
        return Err(format!("{} is another directory than before", pinned.directory.path().display()));
    }
    // The path may lead to the right place while the pinned directory was emptied by other means.
    check_sentinel(&pinned.directory, end, wanted).map(drop).map_err(|obstacle| obstacle.to_string())
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
            Errno::NOENT => Absence::NoDirectory(wanted.root.clone()),
            cause => Absence::Unreadable(wanted.root.clone(), words(cause)),
        })
    })?;
    let unreadable = |error: DirectoryError| absent(Absence::Unreadable(wanted.root.clone(), words(error.cause())));
    let identity = root.identity().map_err(unreadable)?;
    if wanted.mount.is_some_and(|wanted| identity.mount != wanted) {
        return Err(match &wanted.drive {
            Some(drive) => Obstacle::NotMounted {
                end,
                volume: volume.clone(),
                device: format!("/dev/block/{}:{}", drive.device.0, drive.device.1).into(),
                how: Unmounted::Plainly,
            },
            None => absent(Absence::Unreadable(wanted.root.clone(), "another filesystem is mounted there".into())),
        });
    }
    sentinel(&root, layout::VOLUME_SENTINEL, end, wanted.volume_id.as_ref())?;
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
    let id = check_sentinel(&directory, end, wanted)?;
    let pinned = directory.identity().map_err(missing)?;
    Ok(Pinned { directory, root: identity, identity: pinned, id, wanted: wanted.clone() })
}

fn check_sentinel(directory: &Directory, end: End, wanted: &LocalEnd) -> Result<Option<SentinelId>, Obstacle> {
    sentinel(directory, layout::sentinel(end), end, wanted.end_id.as_ref())
}

fn sentinel(
    directory: &Directory,
    name: &str,
    end: End,
    id: Option<&SentinelId>,
) -> Result<Option<SentinelId>, Obstacle> {
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
    let found = sentinel::id(&bytes).map_err(|error| fault(SentinelFault::Unusable(error.to_string())))?;
    match id {
        Some(id) if found.as_ref() != Some(id) => Err(Obstacle::SentinelMismatch { end, path }),
        Some(_) | None => Ok(found),
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
            Ok(HereSource { pinned, data, reading: None })
        }
        Layout::Snapshots => {
            let reading = read_lock(directory)?;
            let path = directory.path_of(LATEST);
            let target = directory.link_target(LATEST).map_err(|error| missing(&path, words(error.cause())))?;
            let below = match target {
                None => return Err(Obstacle::NoSnapshotYet { path: directory.path().to_owned() }),
                Some(target) if target == Path::new(layout::NOWHERE) => {
                    return Err(Obstacle::NoSnapshotYet { path: directory.path().to_owned() });
                }
                Some(target) => target,
            };
            if named_snapshot(&below).is_none() {
                return Err(missing(&path, "it does not point to a snapshot beside it".into()));
            }
            let data = directory.open_below(&below, Reach::SameMount);
            let data = data.map_err(|error| missing(&directory.path_of(&below), words(error.cause())))?;
            Ok(HereSource { pinned, data, reading })
        }
    }
}

/// Keeps everybody from pruning what is read, for as long as it is held.
pub(crate) fn read_lock(directory: &Directory) -> Result<Option<OwnedFd>, Obstacle> {
    let Ok(own) = directory.open_below(Path::new(OWN), Reach::SameMount) else { return Ok(None) };
    match files::lock(&own, LOCK, Hold::Together) {
        Ok(Some(lock)) => Ok(Some(lock)),
        Ok(None) => Err(Obstacle::LockTaken { path: own.path_of(LOCK) }),
        // Without a lock file nobody prunes; with one that may not be read, another user's backups are only read.
        Err(_) => Ok(None),
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
