//! Changes of the configuration file, through inotify on the directories that lead to it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init, remove_watch};

/// Why the configuration file is not watched.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WatchError {
    /// The path has no absolute form.
    #[error("find the directory of {0}")]
    Path(PathBuf, #[source] io::Error),
    /// The kernel gave no inotify instance (`fs.inotify.max_user_instances`).
    #[error("start to watch directories")]
    Start(#[source] io::Error),
    /// A directory cannot be watched.
    #[error("watch the directory {0}")]
    Directory(PathBuf, #[source] io::Error),
}

/// Whether what was heard may concern the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileEvent {
    /// It may have changed, come or gone.
    Change,
    /// Other files changed.
    Nothing,
}

/// A watch on a file by its name, so that it survives being replaced, deleted and made again.
#[derive(Debug)]
pub(crate) struct ConfigWatch {
    inotify: OwnedFd,
    file: PathBuf,
    /// The names to listen for, by the watch descriptor of their directory.
    names: BTreeMap<i32, BTreeSet<OsString>>,
}

/// Links may lead in circles; the kernel gives up after as many.
const MOST_LINKS: usize = 40;

impl ConfigWatch {
    /// A watch on this file, which need not exist, nor its directory.
    pub(crate) fn new(file: &Path) -> Result<Self, WatchError> {
        let file = std::path::absolute(file).map_err(|error| WatchError::Path(file.to_owned(), error))?;
        let inotify = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(|e| WatchError::Start(e.into()))?;
        let mut watch = Self { inotify, file, names: BTreeMap::new() };
        watch.renew()?;
        Ok(watch)
    }

    /// Takes all that is waiting, and follows the file to where it is now.
    pub(crate) fn heard(&mut self) -> FileEvent {
        let mut heard = FileEvent::Nothing;
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(self.inotify.as_fd(), &mut buffer);
        while let Ok(event) = reader.next() {
            let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()));
            if concerns(&self.names, event.wd(), event.events(), name) {
                heard = FileEvent::Change;
            }
        }
        if heard == FileEvent::Change {
            // A directory on the way that cannot be watched now is reached again through the ones that can.
            let _ = self.renew();
        }
        heard
    }

    /// Watches what leads to the file now. Directories may come while this goes on, hence a second look; a change
    /// in between is not lost, since the file is read after it was heard.
    fn renew(&mut self) -> Result<(), WatchError> {
        let mut result = Ok(());
        for _ in 0..3 {
            let way = way_to(&self.file);
            let mut names: BTreeMap<i32, BTreeSet<OsString>> = BTreeMap::new();
            result = Ok(());
            for (directory, name) in &way {
                match add_watch(&self.inotify, directory, events()) {
                    Ok(descriptor) => {
                        names.entry(descriptor).or_default().insert(name.clone());
                    }
                    Err(error) => result = Err(WatchError::Directory(directory.clone(), error.into())),
                }
            }
            for gone in self.names.keys().filter(|descriptor| !names.contains_key(descriptor)) {
                // It is gone already where its directory was deleted.
                let _ = remove_watch(&self.inotify, *gone);
            }
            self.names = names;
            if way_to(&self.file) == way {
                break;
            }
        }
        result
    }
}

impl AsFd for ConfigWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.inotify.as_fd()
    }
}

fn concerns(names: &BTreeMap<i32, BTreeSet<OsString>>, watch: i32, events: ReadFlags, name: Option<&OsStr>) -> bool {
    let itself = ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF | ReadFlags::UNMOUNT | ReadFlags::IGNORED;
    let listened = || names.get(&watch).is_some_and(|names| name.is_some_and(|name| names.contains(name)));
    // The watch of a directory that was left says IGNORED too, once, and is known no more.
    events.contains(ReadFlags::QUEUE_OVERFLOW)
        || (events.intersects(itself) && names.contains_key(&watch))
        || listened()
}

fn events() -> WatchFlags {
    WatchFlags::CLOSE_WRITE
        | WatchFlags::MOVED_TO
        | WatchFlags::MOVED_FROM
        | WatchFlags::CREATE
        | WatchFlags::DELETE
        | WatchFlags::ATTRIB
        | WatchFlags::DELETE_SELF
        | WatchFlags::MOVE_SELF
        | WatchFlags::ONLYDIR
}

/// The directories and names on which it depends what the file is: its own, each symbolic link on the way, and the
/// first name that is missing.
fn way_to(file: &Path) -> Vec<(PathBuf, OsString)> {
    let mut way = Vec::new();
    let mut links = 0;
    let mut current = PathBuf::from("/");
    let mut rest: VecDeque<OsString> = parts(file);
    while let Some(part) = rest.pop_front() {
        if part == ".." {
            current.pop();
            continue;
        }
        let next = current.join(&part);
        let link = std::fs::read_link(&next);
        let exists = link.is_ok() || next.symlink_metadata().is_ok();
        if link.is_ok() || !exists || rest.is_empty() {
            way.push((current.clone(), part));
        }
        match link {
            Ok(target) if links < MOST_LINKS => {
                links += 1;
                if target.is_absolute() {
                    current = PathBuf::from("/");
                }
                for part in parts(&target).into_iter().rev() {
                    rest.push_front(part);
                }
            }
            Ok(_) => break,
            Err(_) if exists => current = next,
            Err(_) => break,
        }
    }
    way
}

fn parts(path: &Path) -> VecDeque<OsString> {
    let part = |component: Component<'_>| match component {
        Component::Normal(_) | Component::ParentDir => Some(component.as_os_str().to_owned()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(part).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn directory() -> tempfile::TempDir {
        tempfile::tempdir().unwrap()
    }

    fn way(file: &Path, below: &Path) -> Vec<String> {
        let below = below.canonicalize().unwrap();
        way_to(file)
            .into_iter()
            .map(|(directory, name)| {
                let directory = directory.strip_prefix(&below).unwrap();
                format!("{} {}", directory.display(), name.display())
            })
            .collect()
    }

    #[test]
    fn the_way_to_a_file_has_its_links_and_ends_where_something_is_missing() {
        let temp = directory();
        let base = temp.path().canonicalize().unwrap();
        assert_eq!(way(&base.join("a/b/config"), &base), [" a"]);
        fs::create_dir_all(base.join("a/b")).unwrap();
        assert_eq!(way(&base.join("a/b/config"), &base), ["a/b config"]);
        fs::create_dir_all(base.join("store/1")).unwrap();
        fs::write(base.join("store/1/config"), "").unwrap();
        symlink("../../store/now/config", base.join("a/b/config")).unwrap();
        assert_eq!(way(&base.join("a/b/config"), &base), ["a/b config", "store now"]);
        symlink(base.join("store/1"), base.join("store/now")).unwrap();
        assert_eq!(way(&base.join("a/b/config"), &base), ["a/b config", "store now", "store/1 config"]);
        symlink("round", base.join("round")).unwrap();
        assert!(way(&base.join("round"), &base).len() <= MOST_LINKS + 1);
    }

    /// inotify tells at once, before the call that changes something returns, so nothing is waited for here.
    fn check(watch: &mut ConfigWatch, expected: FileEvent, what: &str) {
        assert_eq!(watch.heard(), expected, "{what}");
        assert_eq!(watch.heard(), FileEvent::Nothing, "{what}: told once");
    }

    #[test]
    fn writing_replacing_and_deleting_are_heard_and_other_files_are_not() {
        let temp = directory();
        let file = temp.path().join("config.toml");
        fs::write(&file, "a").unwrap();
        let mut watch = ConfigWatch::new(&file).unwrap();
        check(&mut watch, FileEvent::Nothing, "nothing happened");
        fs::write(temp.path().join("other"), "a").unwrap();
        check(&mut watch, FileEvent::Nothing, "another file");
        fs::write(&file, "b").unwrap();
        check(&mut watch, FileEvent::Change, "written");
        fs::rename(temp.path().join("other"), &file).unwrap();
        check(&mut watch, FileEvent::Change, "replaced");
        fs::remove_file(&file).unwrap();
        check(&mut watch, FileEvent::Change, "deleted");
    }

    #[test]
    fn a_directory_that_comes_later_or_is_replaced_is_followed() {
        let temp = directory();
        let file = temp.path().join("a/b/config.toml");
        let mut watch = ConfigWatch::new(&file).unwrap();
        fs::create_dir(temp.path().join("a")).unwrap();
        check(&mut watch, FileEvent::Change, "a part of the way");
        fs::create_dir(temp.path().join("a/b")).unwrap();
        check(&mut watch, FileEvent::Change, "the rest of the way");
        fs::write(&file, "a").unwrap();
        check(&mut watch, FileEvent::Change, "the file");
        fs::rename(temp.path().join("a/b"), temp.path().join("a/old")).unwrap();
        check(&mut watch, FileEvent::Change, "the directory moves away");
        fs::write(temp.path().join("a/old/config.toml"), "b").unwrap();
        check(&mut watch, FileEvent::Nothing, "the old directory does not matter any more");
        fs::create_dir(temp.path().join("a/b")).unwrap();
        check(&mut watch, FileEvent::Change, "another in its place");
        fs::remove_dir(temp.path().join("a/b")).unwrap();
        check(&mut watch, FileEvent::Change, "deleted");
    }

    #[test]
    fn the_target_of_a_link_is_followed() {
        let temp = directory();
        fs::create_dir(temp.path().join("store")).unwrap();
        for name in ["one", "two"] {
            fs::write(temp.path().join("store").join(name), name).unwrap();
        }
        let file = temp.path().join("config.toml");
        symlink("store/one", &file).unwrap();
        let mut watch = ConfigWatch::new(&file).unwrap();
        fs::write(temp.path().join("store/one"), "new").unwrap();
        check(&mut watch, FileEvent::Change, "the target");
        fs::write(temp.path().join("store/two"), "new").unwrap();
        check(&mut watch, FileEvent::Nothing, "another target");
        symlink("store/two", temp.path().join("next")).unwrap();
        fs::rename(temp.path().join("next"), &file).unwrap();
        check(&mut watch, FileEvent::Change, "the link");
        fs::write(temp.path().join("store/two"), "newer").unwrap();
        check(&mut watch, FileEvent::Change, "the new target");
    }

    #[test]
    fn an_overflow_counts_as_a_change() {
        assert!(concerns(&BTreeMap::new(), -1, ReadFlags::QUEUE_OVERFLOW, None));
        assert!(!concerns(&BTreeMap::new(), 1, ReadFlags::IGNORED, None), "of a watch that was left");
    }
}
