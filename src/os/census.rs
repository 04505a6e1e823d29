//! The files of one tree and their sizes, beside those of another: all of them, or a sample.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use super::directory::{Directory, DirectoryError, Kind, Reach};
use super::tree::kind;

/// Files that two trees have in common.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Census {
    /// How many.
    pub files: u64,
    /// Those of them that are cut down in the newer one.
    pub cut_down: Vec<PathBuf>,
}

/// Compares the sizes of the files that lie in both trees. What cannot be looked at is passed over: the copy tells of
/// it.
pub fn census(old: &Directory, new: &Directory, is_cut: impl Fn(u64, u64) -> bool) -> Result<Census, DirectoryError> {
    let mut seen = Census::default();
    let mut todo = vec![PathBuf::new()];
    while let Some(below) = todo.pop() {
        let both = (old.open_below(&below, Reach::SameMount), new.open_below(&below, Reach::AnyMount));
        let (Ok(before), Ok(now)) = both else { continue };
        for entry in before.entries(usize::MAX)? {
            match kind(&before, &entry)? {
                Kind::Directory => todo.push(below.join(&entry.name)),
                Kind::File => {
                    let sizes = (before.file_size(&entry.name), now.file_size(&entry.name));
                    if let (Ok(Some(was)), Ok(Some(is))) = sizes {
                        seen.files = seen.files.saturating_add(1);
                        if is_cut(was, is) {
                            seen.cut_down.push(below.join(&entry.name));
                        }
                    }
                }
                Kind::Nothing | Kind::Link | Kind::Special => {}
            }
        }
    }
    Ok(seen)
}

/// So many entries of a directory are listed for a sample.
const LISTED: usize = 10_000;
/// So many files of one directory may be in it.
const OF_ONE: usize = 200;
/// From so many directories it is taken, if there are as many: what cuts files down often does it to whole directories.
const FROM: usize = 200;
/// So many directories are looked at.
const DIRECTORIES: usize = 2000;

/// The part of a tree below one of the directories at its top.
#[derive(Debug, Default)]
struct Part {
    /// Directories not looked at yet.
    ahead: Vec<PathBuf>,
    /// Files found, by directory.
    found: VecDeque<Vec<PathBuf>>,
}

impl Part {
    /// Takes a file, each time from the next directory.
    fn take(&mut self) -> Option<PathBuf> {
        let mut files = self.found.pop_front()?;
        let file = files.pop();
        if !files.is_empty() {
            self.found.push_back(files);
        }
        file
    }
}

/// Some files of a tree with their sizes: so many, or all of a smaller one. What lies in each of the directories at the
/// top has an equal share, and of that each of the directories below, so that the largest does not hide the others.
pub fn sample(top: &Directory, most: usize) -> Result<Vec<(PathBuf, u64)>, DirectoryError> {
    let mut parts = candidates(top, most)?;
    let mut chosen = Vec::new();
    while chosen.len() < most {
        let room = most.saturating_sub(chosen.len());
        let before = chosen.len();
        chosen.extend(parts.iter_mut().filter_map(Part::take).take(room));
        if chosen.len() == before {
            break;
        }
    }
    chosen.sort_unstable();
    let sizes = sizes(top, chosen.iter().map(PathBuf::as_path));
    Ok(chosen.into_iter().zip(sizes).filter_map(|(path, size)| Some((path, size?))).collect())
}

/// The files from which so many are taken.
fn candidates(top: &Directory, most: usize) -> Result<Vec<Part>, DirectoryError> {
    let (found, mut ahead) = look(top, Path::new(""))?;
    fastrand::shuffle(&mut ahead);
    let (mut files, mut seen) = (found.len(), 1_usize);
    let mut parts = vec![Part { ahead: Vec::new(), found: VecDeque::from([found]) }];
    parts.extend(ahead.into_iter().map(|directory| Part { ahead: vec![directory], found: VecDeque::new() }));
    while parts.iter().any(|part| !part.ahead.is_empty()) {
        for part in parts.iter_mut().filter(|part| !part.ahead.is_empty()) {
            if (files >= most && seen >= FROM) || seen >= DIRECTORIES {
                return Ok(parts);
            }
            seen = seen.saturating_add(1);
            let below = part.ahead.swap_remove(fastrand::usize(..part.ahead.len()));
            let (found, deeper) = look(top, &below)?;
            files = files.saturating_add(found.len());
            part.ahead.extend(deeper);
            if !found.is_empty() {
                part.found.push_back(found);
            }
        }
    }
    Ok(parts)
}

/// Some files of a directory in random order, and the directories in it.
fn look(top: &Directory, below: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), DirectoryError> {
    let Ok(directory) = top.open_below(below, Reach::AnyMount) else { return Ok(Default::default()) };
    let (mut files, mut deeper) = (Vec::new(), Vec::new());
    for entry in directory.entries(LISTED)? {
        match kind(&directory, &entry)? {
            Kind::Directory => deeper.push(below.join(&entry.name)),
            Kind::File => files.push(below.join(&entry.name)),
            Kind::Nothing | Kind::Link | Kind::Special => {}
        }
    }
    fastrand::shuffle(&mut files);
    files.truncate(OF_ONE);
    Ok((files, deeper))
}

/// The sizes of these files in another tree; nothing where they are none there.
#[must_use]
pub fn sizes<'a>(top: &Directory, files: impl IntoIterator<Item = &'a Path>) -> Vec<Option<u64>> {
    let mut last: Option<(&Path, Option<Directory>)> = None;
    let mut size = |file: &'a Path| {
        let parent = file.parent().unwrap_or(Path::new(""));
        if last.as_ref().is_none_or(|(known, _)| *known != parent) {
            last = Some((parent, top.open_below(parent, Reach::AnyMount).ok()));
        }
        let directory = last.as_ref().and_then(|(_, directory)| directory.as_ref())?;
        directory.file_size(file.file_name()?).ok().flatten()
    };
    files.into_iter().map(&mut size).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;

    use super::*;

    #[test]
    fn a_sample_is_all_of_a_small_tree_and_of_a_large_one_something_of_each_part() {
        let place = tempfile::tempdir().unwrap();
        let write = |name: String| {
            let path = place.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "four").unwrap();
        };
        (0..3).for_each(|number| write(format!("top {number}")));
        (0..60).for_each(|number| write(format!("many/{}/{number}", number % 20)));
        (0..9).for_each(|number| write(format!("few/{number}")));
        let top = Directory::open_root(place.path()).unwrap();
        let all = sample(&top, 1000).unwrap();
        let paths: BTreeMap<_, _> = all.iter().cloned().collect();
        assert_eq!((all.len(), paths.len()), (72, 72));
        assert_eq!(paths.get(Path::new("many/3/43")), Some(&4));
        for _ in 0..20 {
            let some = sample(&top, 30).unwrap();
            let of = |part: &str| some.iter().filter(|(path, _)| path.starts_with(part)).count();
            assert_eq!((some.len(), of("few")), (30, 9), "{some:?}");
            let directories: BTreeSet<_> = some.iter().map(|(path, _)| path.parent().unwrap()).collect();
            assert_eq!(directories.len(), 20, "each of `many`, but for two or three, one file: {some:?}");
        }
    }

    #[test]
    fn sizes_are_those_of_regular_files_only() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir_all(place.path().join("a/directory")).unwrap();
        fs::write(place.path().join("a/file"), "four").unwrap();
        std::os::unix::fs::symlink("file", place.path().join("a/link")).unwrap();
        std::os::unix::fs::symlink("a", place.path().join("b")).unwrap();
        let top = Directory::open_root(place.path()).unwrap();
        let asked = ["a/file", "a/link", "a/directory", "a/gone", "gone/file", "b/file", "a/file"].map(Path::new);
        assert_eq!(sizes(&top, asked), [Some(4), None, None, None, None, None, Some(4)]);
    }
}
