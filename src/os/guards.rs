//! To whom files are open, and where nobody can write.

use std::fs::Metadata;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Group, Uid, User};
use rustix::fs::{IFlags, Mode, OFlags, fstat, ioctl_getflags, open};
use rustix::io::Errno;

use super::causes::words;
use crate::model::{BarePoint, FileKind, FileSight, Guarded, OthersRights, Owner};

/// How the file or directory at a path stands; links are followed.
#[must_use]
pub fn inspect(path: &Path) -> FileSight {
    match std::fs::metadata(path) {
        Ok(found) => {
            let owner = match found.uid() {
                uid if uid == rustix::process::geteuid().as_raw() => Owner::Us,
                0 => Owner::Root,
                uid => Owner::Other(uid),
            };
            let kind = if found.is_dir() { FileKind::Directory } else { FileKind::Other };
            FileSight::There(Guarded { kind, owner, mode: found.mode() & 0o7777 })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => FileSight::Missing,
        Err(error) => FileSight::Unseen(error.to_string()),
    }
}

/// Groups whose members are as good as root, by the customs of distributions.
const GROUPS_OF_ROOT: [&str; 5] = ["root", "wheel", "sudo", "admin", "staff"];

/// Whether this user is root, or as good as root: whoever owns `/`; and whoever stands for all that a namespace of
/// users does not know, root among them (`user_namespaces(7)`).
fn is_root(uid: u32) -> bool {
    let unknown = || {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let is_whole = read("/proc/self/uid_map").split_whitespace().nth(2) == Some("4294967295");
        !is_whole && read("/proc/sys/kernel/overflowuid").trim().parse() == Ok(uid)
    };
    uid == 0 || std::fs::metadata("/").is_ok_and(|root| root.uid() == uid) || unknown()
}

fn is_ours(found: &Metadata) -> bool {
    found.uid() == rustix::process::geteuid().as_raw() || is_root(found.uid())
}

/// Whether only the owner is in this group, as in the groups that each user has for himself; or only who is as good as
/// root.
fn is_private(found: &Metadata) -> bool {
    let group = Group::from_gid(Gid::from_raw(found.gid())).ok().flatten();
    let owner = User::from_uid(Uid::from_raw(found.uid())).ok().flatten();
    group.is_some_and(|group| {
        let is_of_owner =
            owner.is_some_and(|owner| group.name == owner.name && group.mem.iter().all(|it| *it == owner.name));
        is_of_owner || GROUPS_OF_ROOT.contains(&group.name.as_str())
    })
}

/// Whether somebody who is neither root nor us may write to a directory of ours or root's.
fn is_writable_to_others(found: &Metadata) -> bool {
    found.mode() & 0o002 != 0 || (found.mode() & 0o020 != 0 && !is_private(found))
}

/// Whether a person who is neither root nor us could put a program into a directory.
#[must_use]
pub fn is_open_to_users(directory: &Path) -> bool {
    let Ok(found) = std::fs::metadata(directory) else { return false };
    !is_ours(&found) || is_writable_to_others(&found) || prove_way(directory).is_err()
}

/// Whether nobody but us and root comes to a directory, because of one that it lies in.
#[must_use]
pub fn is_behind_private(directory: &Path) -> bool {
    let is_private = |around: &Path| match inspect(around) {
        FileSight::There(guarded) => !guarded.is_readable_to_others(),
        FileSight::Missing | FileSight::Unseen(_) => false,
    };
    directory.ancestors().skip(1).any(is_private)
}

/// Takes rights of others from a file or directory that is ours. A link is not followed, and nothing is given: whoever
/// could swap what is at this path gains nothing by it.
pub fn take_rights(path: &Path, takes: OthersRights) -> Result<(), RightsError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = open(path, flags, Mode::empty()).map_err(|errno| match errno {
        Errno::LOOP => RightsError::Link,
        other => RightsError::Refused(other),
    })?;
    let found = fstat(&file).map_err(RightsError::Refused)?;
    if found.st_uid != rustix::process::geteuid().as_raw() {
        return Err(RightsError::OfAnother);
    }
    let bits = match takes {
        OthersRights::Write => 0o022,
        OthersRights::All => 0o077,
    };
    let left = Mode::from_raw_mode(found.st_mode & 0o7777 & !bits);
    rustix::fs::fchmod(&file, left).map_err(RightsError::Refused)
}

/// Why others have kept their rights to something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RightsError {
    /// It leads elsewhere.
    #[error("it is a symbolic link, which is not followed")]
    Link,
    /// Whose it is, is not ours to say.
    #[error("it belongs to another user")]
    OfAnother,
    /// The kernel says no.
    #[error("{}", words(*.0))]
    Refused(Errno),
}

/// Why a directory is not ours alone.
#[derive(Debug, thiserror::Error)]
pub enum Exposure {
    /// It leads elsewhere, or is a file.
    #[error("it is a symbolic link or no directory")]
    NoDirectory,
    /// It belongs to somebody else, root included.
    #[error("it belongs to another user")]
    OfAnother,
    /// Others may put files into it.
    #[error("others may write to it; `chmod go-w` mends that")]
    Open,
    /// Others could put another one in its place, because they may write to this one.
    #[error("others may put another directory in its place, because they may write to {}; `chmod go-w {}` mends that",
            .0.display(), .0.display())]
    OnTheWay(PathBuf),
    /// The same, because this one is theirs.
    #[error("others may put another directory in its place, because {} belongs to another user", .0.display())]
    InTheirs(PathBuf),
    /// It cannot be looked at.
    #[error("it could not be looked at: {0}")]
    Unseen(#[from] io::Error),
}

/// Fails unless a directory is a real one and ours, and nobody but us and root may put or swap anything in it or on the
/// way to it.
pub fn prove_ours(directory: &Path) -> Result<(), Exposure> {
    let found = std::fs::symlink_metadata(directory)?;
    if !found.is_dir() {
        return Err(Exposure::NoDirectory);
    }
    prove_own(&found)?;
    prove_way(directory)
}

/// Fails unless what this tells of is ours, and nobody else may write to it.
pub fn prove_own(found: &Metadata) -> Result<(), Exposure> {
    match (found.uid() == rustix::process::geteuid().as_raw(), found.mode() & 0o022) {
        (false, _) => Err(Exposure::OfAnother),
        (true, 0) => Ok(()),
        (true, _) => Err(Exposure::Open),
    }
}

/// Fails if somebody but us and root could put something else in the place of what is at a path: as it is written, and
/// as its links have it. In a directory with the sticky bit others may make files, but not replace ours.
pub fn prove_way(path: &Path) -> Result<(), Exposure> {
    let written = std::path::absolute(path)?;
    let real = written.canonicalize()?;
    for around in written.ancestors().chain(real.ancestors()).filter(|around| *around != written && *around != real) {
        let Ok(found) = std::fs::metadata(around) else { continue };
        if !is_ours(&found) {
            return Err(Exposure::InTheirs(around.into()));
        }
        if found.mode() & 0o1000 == 0 && is_writable_to_others(&found) {
            return Err(Exposure::OnTheWay(around.into()));
        }
    }
    Ok(())
}

/// Whether something could be made in a directory, by what its filesystem says (`chattr(1)`). Where it cannot be told,
/// it could.
#[must_use]
pub fn bare_point(directory: &Path) -> BarePoint {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let found = open(directory, flags, Mode::empty()).and_then(|directory| ioctl_getflags(&directory));
    if found.is_ok_and(|flags| flags.contains(IFlags::IMMUTABLE)) { BarePoint::Immutable } else { BarePoint::Open }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn it_is_told_who_may_use_a_file() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("key");
        assert_eq!(inspect(&path), FileSight::Missing);
        fs::write(&path, "").unwrap();
        for (mode, open, readable) in [
            (0o600, false, false),
            (0o640, false, true),
            (0o620, true, true),
            (0o602, true, true),
            (0o1606, true, true),
        ] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let FileSight::There(guarded) = inspect(&path) else { panic!("{mode:o}") };
            assert_eq!((guarded.owner, guarded.is_open_to_others()), (Owner::Us, open), "{mode:o}");
            assert_eq!(guarded.is_readable_to_others(), readable, "{mode:o}");
        }
        // Others may make files in such a directory, but neither replace nor take away ours.
        fs::set_permissions(root.path(), Permissions::from_mode(0o1777)).unwrap();
        assert!(matches!(inspect(root.path()), FileSight::There(guarded) if !guarded.is_open_to_others()));
        assert!(matches!(inspect(&path.join("below")), FileSight::Unseen(_)));
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            assert!(matches!(inspect(&path), FileSight::There(guarded) if guarded.is_open_to_others()));
        }
    }

    #[test]
    fn rights_are_taken_from_what_is_ours_and_from_nothing_else() {
        let root = tempfile::tempdir().unwrap();
        let [path, link] = ["file", "link"].map(|name| root.path().join(name));
        fs::write(&path, "").unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let mode = || fs::metadata(&path).unwrap().mode() & 0o7777;
        for (before, takes, after) in [
            (0o666, OthersRights::Write, 0o644),
            (0o1777, OthersRights::All, 0o1700),
            (0o400, OthersRights::All, 0o400),
        ] {
            fs::set_permissions(&path, Permissions::from_mode(before)).unwrap();
            assert_eq!(take_rights(&link, takes), Err(RightsError::Link), "it leads elsewhere");
            assert_eq!(mode(), before);
            take_rights(&path, takes).unwrap();
            assert_eq!(mode(), after, "{before:o}");
        }
        if rustix::process::geteuid().is_root() {
            fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
            std::os::unix::fs::chown(&path, Some(65_534), None).unwrap();
            assert_eq!(take_rights(&path, OthersRights::All), Err(RightsError::OfAnother));
            assert_eq!(mode(), 0o666);
        }
    }

    #[test]
    fn a_directory_is_ours_only_if_nobody_else_could_swap_it() {
        let root = tempfile::tempdir().unwrap();
        let [around, own] = ["around", "around/own"].map(|name| root.path().join(name));
        fs::create_dir_all(&own).unwrap();
        std::os::unix::fs::symlink(&around, root.path().join("link")).unwrap();
        let through_link = root.path().join("link/own");
        let set = |path: &Path, mode| fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        let told = |path: &Path| prove_ours(path).map_err(|exposure| exposure.to_string());
        for (mode_around, mode, why) in [
            (0o755, 0o755, None),
            (0o1777, 0o700, None),
            (0o755, 0o775, Some("others may write to it")),
            (0o755, 0o1777, Some("others may write to it")),
            (0o777, 0o700, Some("`chmod go-w ")),
            (0o775, 0o700, None),
        ] {
            set(&around, mode_around);
            set(&own, mode);
            for path in [&own, &through_link] {
                let told = told(path);
                let is_right = why.map_or(told.is_ok(), |why| told.as_ref().is_err_and(|told| told.contains(why)));
                assert!(is_right, "{mode_around:o} {mode:o} {}: {told:?}", path.display());
            }
        }
        assert!(matches!(prove_ours(&root.path().join("link")), Err(Exposure::NoDirectory)));
        assert!(matches!(prove_ours(&root.path().join("none")), Err(Exposure::Unseen(_))));
        if rustix::process::geteuid().is_root() {
            set(&around, 0o755);
            std::os::unix::fs::chown(&around, Some(65_534), None).unwrap();
            assert!(matches!(prove_ours(&own), Err(Exposure::InTheirs(way)) if way == around));
            assert!(matches!(prove_ours(&around), Err(Exposure::OfAnother)));
        }
    }

    #[test]
    fn programs_are_not_taken_from_where_a_user_could_put_them() {
        let root = tempfile::tempdir().unwrap();
        let own = rustix::process::getegid().as_raw();
        for (mode, group, is_open) in [
            (0o755, own, false),
            (0o775, own, false),
            (0o2775, 50, false),
            (0o2775, 100, true),
            (0o775, 4321, true),
            (0o1777, own, true),
            (0o755, 4321, false),
        ] {
            if group != own && std::os::unix::fs::chown(root.path(), None, Some(group)).is_err() {
                continue;
            }
            fs::set_permissions(root.path(), Permissions::from_mode(mode)).unwrap();
            assert_eq!(is_open_to_users(root.path()), is_open, "{mode:o} {group}");
            let _back = std::os::unix::fs::chown(root.path(), None, Some(own));
        }
        let below = root.path().join("below");
        fs::create_dir(&below).unwrap();
        fs::set_permissions(root.path(), Permissions::from_mode(0o777)).unwrap();
        assert!(is_open_to_users(&below), "others may put another one in its place");
        if rustix::process::geteuid().is_root() {
            fs::set_permissions(root.path(), Permissions::from_mode(0o755)).unwrap();
            std::os::unix::fs::chown(root.path(), Some(65_534), None).unwrap();
            assert!(is_open_to_users(root.path()));
        }
        assert!(!is_open_to_users(&root.path().join("none")));
    }

    #[test]
    fn a_usual_directory_is_open() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(bare_point(root.path()), BarePoint::Open);
        assert_eq!(bare_point(&root.path().join("none")), BarePoint::Open);
    }
}
