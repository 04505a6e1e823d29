//! To whom files are open, and where nobody can write.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{IFlags, Mode, OFlags, ioctl_getflags, open};

use crate::model::{BarePoint, FileKind, FileSight, Guarded, Owner};

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
    fn a_usual_directory_is_open() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(bare_point(root.path()), BarePoint::Open);
        assert_eq!(bare_point(&root.path().join("none")), BarePoint::Open);
    }
}
