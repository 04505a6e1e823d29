//! The names below a directory, one after the other as the filesystem tells them: through no link, into no other mount.

use std::ffi::OsStr;
use std::mem::MaybeUninit;
use std::ops::ControlFlow;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{FileType, RawDir};

use super::directory::{Directory, DirectoryError, Errno, Kind, Reach};

/// So long a path is opened from where it begins; what lies deeper is opened from there.
const LONG: usize = 1024;
/// So many directories that cannot be read are named.
const NAMED: usize = 10;

/// What could not be looked into.
#[derive(Debug, Default)]
pub struct UnreadPlaces {
    /// Why, of the first ones.
    pub first: Vec<DirectoryError>,
    /// How many they are.
    pub count: u64,
}

impl UnreadPlaces {
    fn add(&mut self, error: DirectoryError) {
        self.count = self.count.saturating_add(1);
        if self.first.len() < NAMED {
            self.first.push(error);
        }
    }
}

/// An entry on the way of a walk.
#[derive(Debug, Clone, Copy)]
pub struct PassedName<'a> {
    /// The directory that it is in, open.
    pub directory: &'a Directory,
    /// Where that is, below the top; empty for the top.
    pub parent: &'a Path,
    /// Its name.
    pub name: &'a OsStr,
    /// What it is; `None` where the filesystem does not tell without a look.
    pub kind: Option<Kind>,
}

/// Whether a walk goes into a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// It does.
    Into,
    /// It does not.
    Past,
}

/// A directory that is open while anything below it is still to be looked at.
#[derive(Debug)]
struct Base {
    directory: Directory,
    /// Where it is, below the top.
    path: PathBuf,
}

/// Tells every name below a directory, until whoever hears it has enough. What vanishes meanwhile is passed over.
pub fn walk(
    top: Directory,
    hear: &mut dyn FnMut(PassedName<'_>) -> ControlFlow<(), Way>,
) -> Result<UnreadPlaces, DirectoryError> {
    let mut unread = UnreadPlaces::default();
    let mut buffer = vec![MaybeUninit::uninit(); 64 << 10];
    let top = Rc::new(Base { directory: top, path: PathBuf::new() });
    let mut ahead = vec![(Rc::clone(&top), PathBuf::new())];
    while let Some((base, below)) = ahead.pop() {
        let directory = match base.directory.open_below(&below, Reach::SameMount) {
            Ok(directory) => directory,
            Err(error) if below.as_os_str().is_empty() => return Err(error),
            Err(error) => {
                match error.cause() {
                    Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV => {}
                    _ => unread.add(error),
                }
                continue;
            }
        };
        let path = base.path.join(&below);
        // The descriptor is kept only where paths become too long.
        let is_deep = below.as_os_str().len() > LONG;
        let mut deeper = Vec::new();
        let mut listing = RawDir::new(directory.as_fd(), &mut buffer);
        while let Some(entry) = listing.next() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(cause) => {
                    unread.add(DirectoryError::List(directory.path().to_owned(), cause));
                    break;
                }
            };
            let bytes = entry.file_name().to_bytes();
            if bytes == b"." || bytes == b".." {
                continue;
            }
            let name = OsStr::from_bytes(bytes);
            let kind = match entry.file_type() {
                FileType::Unknown => directory.kind_of(name).ok(),
                FileType::Directory => Some(Kind::Directory),
                FileType::RegularFile => Some(Kind::File),
                FileType::Symlink => Some(Kind::Link),
                FileType::Fifo | FileType::Socket | FileType::CharacterDevice | FileType::BlockDevice => {
                    Some(Kind::Special)
                }
            };
            match hear(PassedName { directory: &directory, parent: &path, name, kind }) {
                ControlFlow::Break(()) => return Ok(unread),
                ControlFlow::Continue(Way::Into) if kind == Some(Kind::Directory) => deeper.push(name.to_owned()),
                ControlFlow::Continue(Way::Into | Way::Past) => {}
            }
        }
        deeper.reverse();
        if is_deep {
            let base = Rc::new(Base { directory, path });
            ahead.extend(deeper.into_iter().map(|name| (Rc::clone(&base), PathBuf::from(name))));
        } else {
            ahead.extend(deeper.into_iter().map(|name| (Rc::clone(&base), below.join(name))));
        }
    }
    Ok(unread)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn names(top: &Path) -> (Vec<PathBuf>, u64) {
        let mut found = Vec::new();
        let unread = walk(Directory::open_root(top).unwrap(), &mut |seen| {
            found.push(seen.parent.join(seen.name));
            ControlFlow::Continue(if seen.name == "past" { Way::Past } else { Way::Into })
        });
        found.sort();
        (found, unread.unwrap().count)
    }

    #[test]
    fn every_name_is_told_once_and_no_link_leads_away() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        fs::create_dir_all(at("a/b")).unwrap();
        fs::create_dir_all(at("past/hidden")).unwrap();
        fs::write(at("a/b/file"), "x").unwrap();
        let odd = OsStr::from_bytes(b"odd\xff\n");
        fs::write(place.path().join(odd), "x").unwrap();
        symlink("/etc", at("link")).unwrap();
        let plain = ["a", "a/b", "a/b/file", "link"].map(PathBuf::from);
        let expected = [&plain[..], &[PathBuf::from(odd), PathBuf::from("past")]].concat();
        assert_eq!(names(place.path()), (expected, 0));
    }

    #[test]
    fn what_lies_deeper_than_a_path_can_be_long_is_told_too() {
        let place = tempfile::tempdir().unwrap();
        let name = "d".repeat(200);
        let mut directory = Directory::open_root(place.path()).unwrap();
        for _ in 0..40 {
            directory.create_directory(&name, 0o755).unwrap();
            directory = directory.open_below(Path::new(&name), Reach::SameMount).unwrap();
        }
        let (found, unread) = names(place.path());
        assert_eq!((found.len(), unread), (40, 0));
        assert!(found.iter().any(|path| path.as_os_str().len() > 8000));
        super::super::tree::remove_within(&Directory::open_root(place.path()).unwrap(), OsStr::new(&name)).unwrap();
    }
}
