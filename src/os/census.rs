//! The files of one tree and their sizes, beside those of another: all of them, or a sample.

use std::mem;
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
/// So many files of one directory are in it.
const OF_ONE: usize = 200;
/// So many directories are looked at.
const DIRECTORIES: usize = 2000;

/// Some files of a tree with their sizes: so many, or all of a smaller one. What lies in each of the directories at the
/// top has an equal share, so that the largest does not hide the others.
pub fn sample(top: &Directory, most: usize) -> Result<Vec<(PathBuf, u64)>, DirectoryError> {
    let (mut files, mut groups) = (Vec::new(), vec![vec![PathBuf::new()]]);
    let mut seen = 0_usize;
    while !groups.is_empty() {
        for mut group in mem::take(&mut groups) {
            if files.len() >= most || seen >= DIRECTORIES {
                return Ok(files);
            }
            seen = seen.saturating_add(1);
            let below = group.swap_remove(fastrand::usize(..group.len()));
            let room = most.saturating_sub(files.len()).min(OF_ONE);
            let deeper = look(top, &below, room, &mut files)?;
            if below.as_os_str().is_empty() {
                groups.extend(deeper.into_iter().map(|directory| vec![directory]));
            } else {
                group.extend(deeper);
            }
            if !group.is_empty() {
                groups.push(group);
            }
        }
    }
    Ok(files)
}

/// Adds some files of a directory, taken at random, and tells the directories in it.
fn look(
    top: &Directory,
    below: &Path,
    most: usize,
    files: &mut Vec<(PathBuf, u64)>,
) -> Result<Vec<PathBuf>, DirectoryError> {
    let Ok(directory) = top.open_below(below, Reach::AnyMount) else { return Ok(Vec::new()) };
    let (mut names, mut deeper) = (Vec::new(), Vec::new());
    for entry in directory.entries(LISTED)? {
        match kind(&directory, &entry)? {
            Kind::Directory => deeper.push(below.join(&entry.name)),
            Kind::File => names.push(entry.name),
            Kind::Nothing | Kind::Link | Kind::Special => {}
        }
    }
    while names.len() > most {
        names.swap_remove(fastrand::usize(..names.len()));
    }
    for name in names {
        let size = directory.file_size(&name).ok().flatten();
        files.extend(size.map(|size| (below.join(&name), size)));
    }
    Ok(deeper)
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
    use std::collections::BTreeMap;
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
