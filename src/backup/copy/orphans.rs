//! What a killed rsync was writing, `.name.XXXXXX` beside `name`: a drive was pulled, or its machine lost power. Others
//! give their files such names, too. So it counts as that only beside a file that was not finished.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::backup::place::way::HereTarget;
use crate::formats::rsync::arguments::Manner;
use crate::formats::rsync::output::{OutputLine, unescaped};
use crate::model::RsyncOptions;
use crate::model::layout::PARTIAL;
use crate::os::directory::{Directory, DirectoryError, Kind, Reach};
use crate::os::tree;

/// Times of one file that are so close, in seconds, are one time: FAT keeps every second one.
const CLOSE: u64 = 2;

/// The file that rsync would write under this name.
fn written_for(name: &OsStr) -> Option<&OsStr> {
    let (of, [dot, random @ ..]) = name.as_bytes().strip_prefix(b".")?.split_last_chunk::<7>()?;
    let is_one = !of.is_empty() && *dot == b'.' && random.iter().all(u8::is_ascii_alphanumeric);
    is_one.then(|| OsStr::from_bytes(of))
}

/// The files that a call sent, by the hashes of their paths: there may be millions.
#[derive(Debug, Default)]
pub(crate) struct Sent(BTreeSet<u64>);

impl Sent {
    /// Takes what a line of rsync's output says.
    pub(crate) fn hear(&mut self, said: &OutputLine) {
        if let OutputLine::Changed(item) = said
            && item.how.get(..2).is_some_and(|how| matches!(how, "<f" | ">f"))
        {
            self.0.insert(hash(Path::new(OsStr::from_bytes(&unescaped(&item.name)))));
        }
    }

    /// Whether rsync was writing this when it was killed: the file was sent anew.
    pub(crate) fn was_begun_as(&self, path: &Path) -> bool {
        let file = path.file_name().and_then(written_for).map(|name| path.with_file_name(name));
        file.is_some_and(|file| self.0.contains(&hash(&file)))
    }
}

fn hash(path: &Path) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish()
}

/// Makes what a killed rsync was writing the beginning of its file, or removes it where that is no use, before it takes
/// the room of the whole file. The file is one of the source, and not like it at the destination.
pub(crate) fn take_up(source: &Directory, target: &Directory, options: &RsyncOptions) -> Result<(), DirectoryError> {
    let found = tree::find(target, Reach::AnyMount, &|name, kind| kind == Kind::File && written_for(name).is_some())?;
    for path in found {
        let (Some(name), Some(parent)) = (path.file_name(), path.parent()) else { continue };
        let Some(file) = written_for(name) else { continue };
        let (Ok(from), Ok(to)) =
            (source.open_below(parent, Reach::AnyMount), target.open_below(parent, Reach::AnyMount))
        else {
            continue;
        };
        if from.kind_of(name)? == Kind::Nothing && is_unfinished((&from, &to), (file, name))? {
            let kept = Path::new(PARTIAL).join(file);
            let is_used = *options == RsyncOptions::Default && to.kind_of(&kept)? == Kind::Nothing;
            if is_used {
                to.create_directory(PARTIAL, 0o700)?;
                to.rename_to_free(name, &kept)?;
            } else {
                to.remove_file(name)?;
            }
        }
    }
    Ok(())
}

fn is_unfinished(
    (from, to): (&Directory, &Directory),
    (file, begun): (&OsStr, &OsStr),
) -> Result<bool, DirectoryError> {
    let Some((size, time)) = from.file_stamp(file)? else { return Ok(false) };
    let is_whole = to.file_stamp(file)?.is_some_and(|(found, then)| found == size && then.abs_diff(time) <= CLOSE);
    Ok(!is_whole && to.file_size(begun)?.is_some_and(|begun| begun <= size))
}

/// Removes what rsync kept of a file, as the beginning of it, that will never be whole.
pub(crate) fn forget_beginning(target: &HereTarget<'_>, manner: &Manner, path: &Path) -> Result<(), DirectoryError> {
    let (Some(name), Some(parent)) = (path.file_name(), path.parent()) else { return Ok(()) };
    let parent = target.directory.open_below(parent, Reach::SameMount)?;
    match manner {
        Manner::InPlace | Manner::Link { .. } => parent.remove_file(name).map(drop),
        Manner::Replace(_) => {
            if parent.kind_of(PARTIAL)? == Kind::Directory {
                parent.open_below(Path::new(PARTIAL), Reach::SameMount)?.remove_file(name)?;
                // It stays if another file was begun there.
                let _stays = parent.remove_directory(PARTIAL);
            }
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::rsync::output::Item;

    #[test]
    fn what_a_killed_rsync_was_writing_is_known_by_its_name_and_its_file() {
        let mut sent = Sent::default();
        for (how, name) in [(">f+++++++++", "sub/big"), ("<f.st......", "other"), (".f..t......", "same")] {
            sent.hear(&OutputLine::Changed(Item { how: how.into(), bytes: 1, name: name.into() }));
        }
        for begun in ["sub/.big.aB3xZ9", ".other.abcdef"] {
            assert!(sent.was_begun_as(Path::new(begun)), "{begun}");
        }
        for other in
            [".big.aB3xZ9", "sub/big.aB3xZ9", "sub/.big.aB3xZ", "sub/.big.aB3-Z9", ".same.abcdef", "..abcdef", ""]
        {
            assert!(!sent.was_begun_as(Path::new(other)), "{other}");
        }
    }

    #[test]
    fn what_was_begun_is_taken_up_and_files_of_such_names_stay() {
        let place = tempfile::tempdir().unwrap();
        let write = |path: &str, content: &str| {
            let path = place.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        };
        for path in ["from/sub/big", "from/twice", "from/whole", "from/small", "from/.kept.abcdef", "from/kept"] {
            write(path, "the whole file");
        }
        let begun = ["sub/.big.aB3xZ9", ".twice.aaaaaa", ".twice.bbbbbb"];
        let others = [".whole.abcdef", ".kept.abcdef", ".gone.abcdef", "whole"];
        for name in begun.iter().chain(&others) {
            write(&format!("to/{name}"), "the whole");
        }
        write("to/.small.abcdef", "more than the whole file");
        std::fs::copy(place.path().join("from/whole"), place.path().join("to/whole")).unwrap();
        let open = |name| Directory::open_root(&place.path().join(name)).unwrap();
        take_up(&open("from"), &open("to"), &RsyncOptions::Default).unwrap();
        let is_there = |name: &str| place.path().join("to").join(name).exists();
        assert!(!begun.iter().any(|name| is_there(name)));
        assert!(others.iter().all(|name| is_there(name)) && is_there(".small.abcdef"));
        assert!(is_there("sub/.rsync-partial/big") && is_there(".rsync-partial/twice"));
    }
}
