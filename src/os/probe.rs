//! Probes of volumes and of the ends of syncs: what is really there, without changing anything.
//!
//! Any call in here may hang on a filesystem that does not answer: whoever probes does it on a thread of its own.
//! Below the root of a volume no symbolic link is followed, since a stranger may have written the drive.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, ResolveFlags, StatVfs, StatVfsMountFlags, Statx, StatxFlags, fstatvfs, open,
    openat2, readlinkat, statx,
};
use rustix::io::Errno;

use crate::decide::presence::MountTree;
use crate::formats::sentinel;
use crate::model::layout;
use crate::model::{
    Absence, Access, EndFault, EndKind, EndProbe, EndSight, Hardware, Mount, MountId, PresentVolume, SentinelFault,
    SentinelId, SnapshotKind, Unclean, VolumeSight,
};
use crate::os::causes::words;
use crate::os::copies;
use crate::os::directory::Directory;

/// A volume to look at, and the ends of syncs on it.
#[derive(Debug, Clone)]
pub struct VolumeProbe {
    /// Its root.
    pub root: PathBuf,
    /// What must be behind the root, for a drive.
    pub drive: Option<DriveMount>,
    /// Where else the drive is mounted: a part of it, such as a subvolume, may be what was prepared.
    pub others: Vec<(PathBuf, MountId)>,
    /// The ends to look at.
    pub ends: Vec<Arc<EndProbe>>,
}

/// The mounted drive that a volume is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriveMount {
    /// The mount that the root must lie on.
    pub mount: MountId,
    /// The number of the block device.
    pub device: (u32, u32),
    /// The sequence number of the medium.
    pub disk_seq: Option<u64>,
    /// The hardware.
    pub hardware: Option<Hardware>,
    /// Why its filesystem should be checked.
    pub unclean: Option<Unclean>,
}

/// What was found of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probed {
    /// How the volume stands.
    pub sight: VolumeSight,
    /// Its root without symbolic links, if it could be opened.
    pub real_root: Option<PathBuf>,
    /// How the ends stand, in the order in which they were asked for.
    pub ends: Vec<EndSight>,
}

/// The mounts as a probe needs them.
#[derive(Debug)]
pub struct MountContext<'a> {
    tree: MountTree<'a>,
    mounts: BTreeMap<MountId, &'a Mount>,
    automounts: Vec<&'a Path>,
}

impl<'a> MountContext<'a> {
    /// The mounts of this table.
    #[must_use]
    pub fn new(mounts: &'a [Mount]) -> Self {
        let automounts = mounts.iter().filter(|mount| mount.fs_type == AUTOFS).map(|mount| mount.point.as_path());
        Self {
            tree: MountTree::new(mounts),
            mounts: mounts.iter().map(|mount| (mount.id, mount)).collect(),
            automounts: automounts.collect(),
        }
    }

    /// Whether touching this path would make the system mount something, which may take for ever.
    fn is_automount(&self, path: &Path) -> bool {
        self.automounts.iter().any(|point| path.starts_with(point))
            && self.tree.mount_of(path).is_some_and(|mount| mount.fs_type == AUTOFS)
    }

    fn fs_type(&self, mount: MountId) -> String {
        self.mounts.get(&mount).map_or_else(|| "unknown".into(), |mount| mount.fs_type.clone())
    }
}

pub(super) const AUTOFS: &str = "autofs";
const UNMOUNTED_AUTOFS: &str = "it is an automount point that nothing is mounted on now";

/// The root directory of a subvolume of btrfs has this inode number, and nothing else has.
const SUBVOLUME_INODE: u64 = 256;

/// Sentinels are at most this long, in bytes.
const SENTINEL_LIMIT: u64 = 4096;

/// Looks at a volume and at the ends of syncs on it: where its root is or, if it is not proven there, at the first of
/// its other mounts where it is.
#[must_use]
pub fn probe(volume: &VolumeProbe, surroundings: &MountContext<'_>) -> Probed {
    let first = probe_at(volume, surroundings);
    if !matches!(first.sight, VolumeSight::NotProven { fault: SentinelFault::Missing, .. }) {
        return first;
    }
    let mut others = volume.others.iter().filter_map(|(root, mount)| {
        let drive = volume.drive.clone().map(|drive| DriveMount { mount: *mount, ..drive });
        let elsewhere = VolumeProbe { root: root.clone(), drive, others: Vec::new(), ends: volume.ends.clone() };
        Some(probe_at(&elsewhere, surroundings)).filter(|probed| matches!(probed.sight, VolumeSight::Present(_)))
    });
    others.next().unwrap_or(first)
}

fn probe_at(volume: &VolumeProbe, surroundings: &MountContext<'_>) -> Probed {
    let (root, mount) = match open_root(volume, surroundings) {
        Ok(opened) => opened,
        Err(absence) => return unseen(volume, VolumeSight::Absent(absence), None),
    };
    let real_root = std::fs::read_link(format!("/proc/self/fd/{}", root.as_raw_fd())).ok();
    let space = match fstatvfs(&root) {
        Ok(space) => space,
        Err(error) => return unseen(volume, VolumeSight::Absent(unreadable(&volume.root, error)), real_root),
    };
    let id = match read_sentinel(root.as_fd(), layout::VOLUME_SENTINEL) {
        Ok((id, _)) => id,
        Err(fault) => {
            return unseen(volume, VolumeSight::NotProven { root: volume.root.clone(), fault }, real_root);
        }
    };
    let drive = volume.drive.as_ref();
    let present = PresentVolume {
        root: volume.root.clone(),
        mount,
        access: access(&space),
        fs_type: surroundings.fs_type(mount),
        disk_seq: drive.and_then(|drive| drive.disk_seq),
        hardware: drive.and_then(|drive| drive.hardware.clone()),
        device: drive.map(|drive| drive.device),
        unclean: drive.and_then(|drive| drive.unclean.clone()),
        id,
    };
    let opened = Opened { root, path: &volume.root, real: real_root.as_deref(), mount, space, surroundings };
    let ends = volume.ends.iter().map(|end| opened.end(end)).collect();
    Probed { sight: VolumeSight::Present(present), real_root, ends }
}

fn unseen(volume: &VolumeProbe, sight: VolumeSight, real_root: Option<PathBuf>) -> Probed {
    Probed { sight, real_root, ends: volume.ends.iter().map(|_| EndSight::Unseen).collect() }
}

fn open_root(volume: &VolumeProbe, surroundings: &MountContext<'_>) -> Result<(OwnedFd, MountId), Absence> {
    let path = &volume.root;
    if surroundings.is_automount(path) {
        return Err(Absence::Unreadable(path.clone(), UNMOUNTED_AUTOFS.into()));
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = open(path, flags, Mode::empty()).map_err(|error| unreadable(path, error))?;
    let facts = statx(&root, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).map_err(|error| unreadable(path, error))?;
    let mount = MountId(facts.stx_mnt_id);
    match &volume.drive {
        Some(drive) if drive.mount != mount => {
            Err(Absence::Unreadable(path.clone(), "what is mounted there changed during the look".into()))
        }
        Some(_) | None => Ok((root, mount)),
    }
}

fn unreadable(path: &Path, error: Errno) -> Absence {
    match error {
        Errno::NOENT => Absence::NoDirectory(path.to_owned()),
        _ => Absence::Unreadable(path.to_owned(), words(error)),
    }
}

fn access(space: &StatVfs) -> Access {
    if space.f_flag.contains(StatVfsMountFlags::RDONLY) { Access::ReadOnly } else { Access::ReadWrite }
}

/// A volume whose root is open and proven.
struct Opened<'a> {
    root: OwnedFd,
    path: &'a Path,
    real: Option<&'a Path>,
    mount: MountId,
    space: StatVfs,
    surroundings: &'a MountContext<'a>,
}

impl Opened<'_> {
    fn end(&self, end: &EndProbe) -> EndSight {
        let path = self.path.join(end.subdir.as_path());
        let real = self.real.map(|root| root.join(end.subdir.as_path()));
        if self.surroundings.is_automount(real.as_ref().unwrap_or(&path)) {
            return EndSight::Faulty(vec![EndFault::NoDirectory(path, UNMOUNTED_AUTOFS.into())]);
        }
        let subdir = if end.subdir.is_root() { Path::new(".") } else { end.subdir.as_path() };
        let directory = match beneath(self.root.as_fd(), subdir, OFlags::PATH | OFlags::DIRECTORY) {
            Ok(directory) => directory,
            Err(error) => return EndSight::Faulty(vec![EndFault::NoDirectory(path, words(error))]),
        };
        let name = match end.kind {
            EndKind::Source | EndKind::SourceOfSnapshots => layout::SOURCE_SENTINEL,
            EndKind::Destination(_) => layout::DESTINATION_SENTINEL,
        };
        let (id, mount, mut faults) = match read_sentinel(directory.as_fd(), name) {
            Ok((id, mount)) => (id, Some(mount), Vec::new()),
            Err(fault) => (None, None, vec![EndFault::Sentinel(path.join(name), fault)]),
        };
        match end.kind {
            EndKind::Source => {}
            EndKind::SourceOfSnapshots => faults.extend(latest_fault(directory.as_fd(), &path)),
            EndKind::Destination(kind) => {
                let mount = mount.or_else(|| mount_id(directory.as_fd())).unwrap_or(self.mount);
                faults.extend(self.destination_faults(directory.as_fd(), &path, kind, mount));
            }
        }
        if faults.is_empty() { EndSight::Ready { id } } else { EndSight::Faulty(faults) }
    }

    fn destination_faults(
        &self,
        directory: BorrowedFd<'_>,
        path: &Path,
        kind: SnapshotKind,
        mount: MountId,
    ) -> Vec<EndFault> {
        let mut faults = Vec::new();
        // A thousand destinations on one filesystem need not ask for its space a thousand times.
        let full =
            if mount == self.mount { is_full(&self.space) } else { fstatvfs(directory).is_ok_and(|s| is_full(&s)) };
        if full {
            faults.push(EndFault::NoSpace(path.to_owned()));
        }
        let other = Directory::open_root(path).ok().and_then(|opened| copies::of_another_kind(&opened, kind));
        faults.extend(other.map(|holds| EndFault::OtherLayout { path: path.to_owned(), holds }));
        if kind == SnapshotKind::Btrfs {
            let fs_type = self.surroundings.fs_type(mount);
            if fs_type != "btrfs" {
                faults.push(EndFault::NotBtrfs { path: path.to_owned(), fs_type });
            } else if !facts(directory, Path::new(layout::STAGING)).is_ok_and(|facts| is_subvolume(&facts)) {
                faults.push(EndFault::NoStaging(path.join(layout::STAGING)));
            }
        }
        faults
    }
}

/// A filesystem that does not count its inodes, such as btrfs, says it has none at all.
fn is_full(space: &StatVfs) -> bool {
    space.f_bavail == 0 || (space.f_files > 0 && space.f_favail == 0)
}

fn is_subvolume(facts: &Statx) -> bool {
    file_type(facts) == FileType::Directory && facts.stx_ino == SUBVOLUME_INODE
}

fn file_type(facts: &Statx) -> FileType {
    FileType::from_raw_mode(facts.stx_mode.into())
}

/// `latest` of a destination with snapshots leads to a complete one; before the first it leads to `/dev/null`.
fn latest_fault(directory: BorrowedFd<'_>, path: &Path) -> Option<EndFault> {
    let target = readlinkat(directory, layout::LATEST, Vec::new()).ok();
    let target = target.as_ref().map(|target| Path::new(std::ffi::OsStr::from_bytes(target.to_bytes())));
    let complete = target.and_then(layout::named_snapshot).is_some();
    let there = || target.is_some_and(|target| beneath(directory, target, OFlags::PATH | OFlags::DIRECTORY).is_ok());
    if complete && there() { None } else { Some(EndFault::NoSnapshotYet(path.to_owned())) }
}

/// The id in a sentinel, and the mount that it lies on.
fn read_sentinel(directory: BorrowedFd<'_>, name: &str) -> Result<(Option<SentinelId>, MountId), SentinelFault> {
    let unusable = |error: Errno| match error {
        Errno::NOENT => SentinelFault::Missing,
        other => SentinelFault::Unusable(words(other)),
    };
    let found = facts(directory, Path::new(name)).map_err(unusable)?;
    fit(&found)?;
    let mount = MountId(found.stx_mnt_id);
    // Most sentinels are empty, and need not be opened.
    if found.stx_size == 0 {
        return Ok((None, mount));
    }
    // What is opened may be another file than the one just seen, hence without blocking, and proven once more.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY;
    let file = beneath(directory, Path::new(name), flags).map_err(unusable)?;
    let found = statx(&file, "", AtFlags::EMPTY_PATH, WANTED).map_err(unusable)?;
    fit(&found)?;
    // As long as the longest one and a byte, which tells a longer one.
    let mut buffer = [0; 4097];
    let length = rustix::io::read(&file, &mut buffer).map_err(unusable)?;
    let content = buffer.get(..length).unwrap_or_default();
    let id = sentinel::id(content).map_err(|error| SentinelFault::Unusable(error.to_string()))?;
    Ok((id, mount))
}

fn fit(found: &Statx) -> Result<(), SentinelFault> {
    if file_type(found) != FileType::RegularFile {
        return Err(SentinelFault::Unusable("it is not a regular file".into()));
    }
    if found.stx_size > SENTINEL_LIMIT {
        return Err(SentinelFault::Unusable(format!("it is longer than {SENTINEL_LIMIT} bytes")));
    }
    Ok(())
}

const WANTED: StatxFlags = StatxFlags::TYPE.union(StatxFlags::SIZE).union(StatxFlags::INO).union(StatxFlags::MNT_ID);

/// Facts of an entry of this directory; a symbolic link is itself.
fn facts(directory: BorrowedFd<'_>, name: &Path) -> Result<Statx, Errno> {
    statx(directory, name, AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT, WANTED)
}

fn mount_id(directory: BorrowedFd<'_>) -> Option<MountId> {
    statx(directory, "", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID).ok().map(|facts| MountId(facts.stx_mnt_id))
}

fn beneath(directory: BorrowedFd<'_>, path: &Path, flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    openat2(directory, path, flags | OFlags::CLOEXEC, Mode::empty(), resolve)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, mkfifoat};

    use super::*;
    use crate::os::mounts;

    fn volume() -> tempfile::TempDir {
        let volume = tempfile::tempdir().unwrap();
        fs::write(volume.path().join(".nbkp-vol"), "").unwrap();
        volume
    }

    fn looked_at(root: &Path, subdir: &str, kind: EndKind) -> (VolumeSight, EndSight) {
        let mounts = mounts::read().unwrap();
        let end = EndProbe { sync: "documents".parse().unwrap(), subdir: subdir.parse().unwrap(), kind };
        let volume = VolumeProbe { root: root.to_owned(), drive: None, others: Vec::new(), ends: vec![Arc::new(end)] };
        let mut probed = probe(&volume, &MountContext::new(&mounts));
        assert_eq!(probed.ends.len(), 1);
        (probed.sight, probed.ends.remove(0))
    }

    fn fault(root: &Path) -> SentinelFault {
        match looked_at(root, "", EndKind::Source) {
            (VolumeSight::NotProven { fault, .. }, EndSight::Unseen) => fault,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_volume_with_its_sentinels_is_present() {
        let volume = volume();
        fs::create_dir(volume.path().join("a")).unwrap();
        fs::write(volume.path().join("a/.nbkp-src"), "id = \"2d577679-a7b6\"\n").unwrap();
        let (sight, end) = looked_at(volume.path(), "a", EndKind::Source);
        let VolumeSight::Present(present) = sight else { panic!("{sight:?}") };
        assert_eq!((present.access, present.id, present.device), (Access::ReadWrite, None, None));
        assert_ne!(present.fs_type, "unknown");
        assert_eq!(end, EndSight::Ready { id: Some(SentinelId("2d577679-a7b6".into())) });
    }

    #[test]
    fn a_root_that_is_not_there_or_no_directory() {
        let volume = volume();
        let gone = volume.path().join("gone");
        let absent = |absence| (VolumeSight::Absent(absence), EndSight::Unseen);
        assert_eq!(looked_at(&gone, "", EndKind::Source), absent(Absence::NoDirectory(gone.clone())));
        let file = volume.path().join(".nbkp-vol");
        let why = "it is not a directory".to_owned();
        assert_eq!(looked_at(&file, "", EndKind::Source), absent(Absence::Unreadable(file.clone(), why)));
    }

    #[test]
    fn what_is_no_sentinel() {
        let volume = volume();
        let path = volume.path().join(".nbkp-vol");
        let regular = SentinelFault::Unusable("it is not a regular file".into());
        fs::remove_file(&path).unwrap();
        assert_eq!(fault(volume.path()), SentinelFault::Missing);
        symlink("/etc/hostname", &path).unwrap();
        assert_eq!(fault(volume.path()), regular, "a link");
        fs::remove_file(&path).unwrap();
        mkfifoat(CWD, &path, Mode::RWXU).unwrap();
        assert_eq!(fault(volume.path()), regular, "a pipe, which must not block either");
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert_eq!(fault(volume.path()), regular, "a directory");
        fs::remove_dir(&path).unwrap();
        fs::File::create(&path).unwrap().set_len(10 << 30).unwrap();
        assert_eq!(fault(volume.path()), SentinelFault::Unusable("it is longer than 4096 bytes".into()));
        fs::write(&path, "hello").unwrap();
        assert!(matches!(fault(volume.path()), SentinelFault::Unusable(_)), "other content");
    }

    #[test]
    fn no_link_is_followed_below_the_root() {
        let volume = volume();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join(".nbkp-dst"), "").unwrap();
        symlink(elsewhere.path(), volume.path().join("a")).unwrap();
        let (_, end) = looked_at(volume.path(), "a", EndKind::Destination(SnapshotKind::None));
        let why = "a symbolic link is on the way, which is not followed".into();
        assert_eq!(end, EndSight::Faulty(vec![EndFault::NoDirectory(volume.path().join("a"), why)]));
    }

    #[test]
    fn all_faults_of_a_destination_are_told() {
        let volume = volume();
        fs::create_dir(volume.path().join("a")).unwrap();
        let (sight, end) = looked_at(volume.path(), "a", EndKind::Destination(SnapshotKind::Btrfs));
        let VolumeSight::Present(PresentVolume { fs_type, .. }) = sight else { panic!("{sight:?}") };
        let path = volume.path().join("a");
        let sentinel = EndFault::Sentinel(path.join(".nbkp-dst"), SentinelFault::Missing);
        let second = if fs_type == "btrfs" {
            EndFault::NoStaging(path.join("staging"))
        } else {
            EndFault::NotBtrfs { path, fs_type }
        };
        assert_eq!(end, EndSight::Faulty(vec![sentinel, second]));
    }

    #[test]
    fn a_source_of_snapshots_needs_a_complete_one() {
        let volume = volume();
        let root = volume.path();
        fs::write(root.join(".nbkp-src"), "").unwrap();
        let none_yet = EndSight::Faulty(vec![EndFault::NoSnapshotYet(root.to_owned())]);
        let see = || looked_at(root, "", EndKind::SourceOfSnapshots).1;
        let name = "snapshots/2026-11-22T17:30:00.000Z";
        fs::create_dir_all(root.join(name)).unwrap();
        fs::create_dir_all(root.join("snapshots/.inprogress-x")).unwrap();
        assert_eq!(see(), none_yet, "no latest");
        for bad in
            ["/dev/null", "snapshots/2026-11-23T17:30:00.000Z", "snapshots/.inprogress-x", "/", "snapshots", "../.."]
        {
            symlink(bad, root.join("latest")).unwrap();
            assert_eq!(see(), none_yet, "{bad}");
            fs::remove_file(root.join("latest")).unwrap();
        }
        symlink(name, root.join("latest")).unwrap();
        assert_eq!(see(), EndSight::Ready { id: None });
    }
}
