//! The way to a directory that a person names: through links of theirs and of root, and of nobody else. Who may swap a
//! directory on the way for a link would else say where root writes.

use std::ffi::OsString;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, openat2, readlinkat};

use super::directory::{Directory, DirectoryError, Errno, Reach};
use crate::model::Earnest;

/// So many links lead to one place at most, as for the kernel.
const LINKS: usize = 40;

/// Why a directory was not reached.
#[derive(Debug, thiserror::Error)]
pub enum ApproachError {
    /// A link of somebody else leads there.
    #[error(
        "go to {}: {} is a symbolic link of another user (to {}); name the directory itself",
        .to.display(), .link.display(), .target.display()
    )]
    Foreign {
        /// The path that was named.
        to: PathBuf,
        /// The link.
        link: PathBuf,
        /// Where it leads.
        target: PathBuf,
    },
    /// It could not be opened or made.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
}

/// Opens this directory, an absolute path, and makes what is missing of it; who only pretends gets the innermost one
/// that is there, and what is missing below that.
pub fn approach(to: &Path, earnest: Earnest) -> Result<(Directory, PathBuf), ApproachError> {
    let root = Directory::open_root(Path::new("/"))?;
    let real = resolved(&root, to)?;
    let mut there = real.as_path();
    // A link that comes to be on the way now is followed no more.
    let mut directory = loop {
        match (root.open_below(there, Reach::AnyMount), there.parent()) {
            (Ok(directory), _) => break directory,
            (Err(error), Some(parent)) if error.cause() == Errno::NOENT => there = parent,
            (Err(error), _) => return Err(error.into()),
        }
    };
    let missing = real.strip_prefix(there).unwrap_or(Path::new("")).to_owned();
    match earnest {
        Earnest::Pretended => Ok((directory, missing)),
        Earnest::Real => {
            for name in &missing {
                directory.create_directory(name, 0o777)?;
                directory = directory.open_below(Path::new(name), Reach::SameMount)?;
            }
            Ok((directory, PathBuf::new()))
        }
    }
}

/// The same path below the root, in which no part is a link.
fn resolved(root: &Directory, to: &Path) -> Result<PathBuf, ApproachError> {
    let own = rustix::process::geteuid();
    let parts =
        |path: &Path| -> Vec<PathBuf> { path.components().rev().map(|part| PathBuf::from(part.as_os_str())).collect() };
    let (mut real, mut ahead, mut links) = (PathBuf::new(), parts(to), 0);
    while let Some(part) = ahead.pop() {
        match part.components().next() {
            Some(Component::RootDir | Component::Prefix(_)) => real = PathBuf::new(),
            Some(Component::ParentDir) => drop(real.pop()),
            Some(Component::CurDir) | None => {}
            Some(Component::Normal(name)) => {
                let next = real.join(name);
                let fail = |cause| DirectoryError::Look(root.path_of(&next), cause);
                let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
                let entry = match openat2(root.as_fd(), &next, flags, Mode::empty(), resolve) {
                    Ok(entry) => entry,
                    Err(Errno::NOENT) => {
                        real = next;
                        continue;
                    }
                    Err(cause) => return Err(fail(cause).into()),
                };
                let seen = fstat(&entry).map_err(fail)?;
                if FileType::from_raw_mode(seen.st_mode) != FileType::Symlink {
                    real = next;
                    continue;
                }
                let target = readlinkat(&entry, "", Vec::new()).map_err(fail)?;
                let target = PathBuf::from(OsString::from_vec(target.into_bytes()));
                if seen.st_uid != 0 && seen.st_uid != own.as_raw() {
                    return Err(ApproachError::Foreign { to: to.to_owned(), link: root.path_of(&next), target });
                }
                links += 1;
                if links > LINKS {
                    return Err(fail(Errno::LOOP).into());
                }
                ahead.extend(parts(&target));
            }
        }
    }
    Ok(real)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{lchown, symlink};

    use super::*;

    fn reached(to: &Path, earnest: Earnest) -> Result<(PathBuf, PathBuf), String> {
        let (directory, missing) = approach(to, earnest).map_err(|error| error.to_string())?;
        Ok((directory.real_path().unwrap(), missing))
    }

    #[test]
    fn own_links_lead_there_and_what_is_missing_is_made() {
        let place = tempfile::tempdir().unwrap();
        let top = place.path().canonicalize().unwrap();
        fs::create_dir_all(top.join("a/b")).unwrap();
        symlink(top.join("a"), top.join("absolute")).unwrap();
        symlink("../a/./b/..", top.join("a/relative")).unwrap();
        symlink("circle", top.join("circle")).unwrap();
        fs::write(top.join("file"), "").unwrap();
        let missing = |to: &str| reached(&top.join(to), Earnest::Pretended).unwrap();
        assert_eq!(missing("absolute/b/../b"), (top.join("a/b"), PathBuf::new()));
        assert_eq!(missing("absolute/relative/new/x"), (top.join("a"), "new/x".into()));
        assert!(!top.join("a/new").exists());
        let made = reached(&top.join("a/relative/new/x"), Earnest::Real);
        assert_eq!(made, Ok((top.join("a/new/x"), PathBuf::new())));
        for wrong in ["circle/x", "file/x", "file"] {
            assert!(reached(&top.join(wrong), Earnest::Real).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_link_of_somebody_else_leads_nowhere() {
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let place = tempfile::tempdir().unwrap();
        let link = place.path().join("link");
        symlink("/etc", &link).unwrap();
        lchown(&link, Some(65534), None).unwrap();
        let refused = reached(&link.join("new"), Earnest::Real).unwrap_err();
        assert!(refused.contains("is a symbolic link of another user (to /etc)"), "{refused}");
        assert!(!Path::new("/etc/new").exists());
    }
}
