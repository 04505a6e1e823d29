//! What a snapshot weighs: what deleting it would free, and what is new in it.

use std::collections::HashMap;
use std::ops::ControlFlow;

use rustix::fs::{AtFlags, FileType, Statx, StatxFlags, statx};

use super::directory::{Directory, DirectoryError};
use super::walk::{Way, walk};

/// What a block of `statx` is (statx(2)).
const BLOCK: u64 = 512;

/// The files of a snapshot, each by its number with the moment of its last change.
pub type Inhabitants = HashMap<u64, (i64, u32)>;

/// What a walk through a snapshot comes to. A snapshot of which something cannot be read has no weight.
type Weighed<T> = Result<Option<T>, DirectoryError>;

/// What deleting a snapshot of hard links would free: its directories, and the files of which it holds every name.
pub fn freed(snapshot: Directory) -> Weighed<u64> {
    let mut shared: HashMap<u64, u32> = HashMap::new();
    let mut freed: u64 = 0;
    let weighed = each(snapshot, &mut |seen| {
        let (bytes, names) = (seen.stx_blocks.saturating_mul(BLOCK), seen.stx_nlink);
        // A directory has further links, of which each is its own.
        if names > 1 && kind(seen) != FileType::Directory {
            let left = shared.entry(seen.stx_ino).or_insert(names);
            *left = left.saturating_sub(1);
            if *left > 0 {
                return;
            }
            shared.remove(&seen.stx_ino);
        }
        freed = freed.saturating_add(bytes);
    })?;
    Ok(weighed.then_some(freed))
}

/// What a snapshot of btrfs holds that the one before it does not, by whole files; and what the next one is compared
/// with. A file keeps its number in all snapshots of one subvolume, and its last change until it is changed.
pub fn news(snapshot: Directory, before: Option<&Inhabitants>) -> Weighed<(Option<u64>, Inhabitants)> {
    let mut inhabitants = Inhabitants::new();
    let mut new: u64 = 0;
    let weighed = each(snapshot, &mut |seen| {
        if kind(seen) != FileType::RegularFile {
            return;
        }
        let changed = (seen.stx_ctime.tv_sec, seen.stx_ctime.tv_nsec);
        let is_known = before.is_some_and(|before| before.get(&seen.stx_ino) == Some(&changed));
        // Of one with several names only the first is counted.
        if inhabitants.insert(seen.stx_ino, changed).is_none() && !is_known {
            new = new.saturating_add(seen.stx_blocks.saturating_mul(BLOCK));
        }
    })?;
    Ok(weighed.then_some((before.map(|_| new), inhabitants)))
}

fn kind(seen: &Statx) -> FileType {
    FileType::from_raw_mode(u32::from(seen.stx_mode))
}

/// Looks at everything below a directory; whether all of it could be seen.
fn each(top: Directory, hear: &mut dyn FnMut(&Statx)) -> Result<bool, DirectoryError> {
    let mut is_whole = true;
    let unread = walk(top, &mut |passed| {
        match statx(passed.directory, passed.name, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::BASIC_STATS) {
            Ok(seen) => hear(&seen),
            Err(_) => is_whole = false,
        }
        ControlFlow::Continue(Way::Into)
    })?;
    Ok(is_whole && unread.count == 0)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn file(place: &Path, kilobytes: usize) {
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, vec![7; kilobytes << 10]).unwrap();
        fs::File::open(place).unwrap().sync_all().unwrap();
    }

    fn weight(place: &Path) -> u64 {
        freed(Directory::open_root(place).unwrap()).unwrap().unwrap()
    }

    #[test]
    fn a_file_is_freed_with_the_last_of_its_names_and_not_before() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        let empty = |name: &str| {
            fs::create_dir_all(at(name).join("d")).unwrap();
            weight(&at(name))
        };
        let bare = empty("none");
        file(&at("one/d/own"), 64);
        file(&at("one/d/common"), 128);
        fs::create_dir_all(at("two/d")).unwrap();
        fs::hard_link(at("one/d/common"), at("two/d/common")).unwrap();
        // Both of its names are in one snapshot.
        file(&at("two/d/twice"), 32);
        fs::hard_link(at("two/d/twice"), at("two/d/again")).unwrap();
        let blocks = |kilobytes: u64| bare + (kilobytes << 10);
        let near = |found: u64, wanted: u64| assert!(found.abs_diff(wanted) <= 16 << 10, "{found}, not {wanted}");
        near(weight(&at("one")), blocks(64));
        near(weight(&at("two")), blocks(32));
        fs::remove_dir_all(at("one")).unwrap();
        near(weight(&at("two")), blocks(32 + 128));
    }

    #[test]
    fn what_changed_since_the_one_before_is_new() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        file(&at("same"), 64);
        file(&at("other"), 32);
        let look =
            |before: Option<&Inhabitants>| news(Directory::open_root(root.path()).unwrap(), before).unwrap().unwrap();
        let (first, before) = look(None);
        assert_eq!((first, before.len()), (None, 2));
        assert_eq!(look(Some(&before)).0, Some(0));
        file(&at("added"), 16);
        fs::hard_link(at("added"), at("added again")).unwrap();
        std::os::unix::fs::chown(at("other"), None, None).unwrap();
        fs::write(at("other"), vec![8; 32 << 10]).unwrap();
        fs::File::open(at("other")).unwrap().sync_all().unwrap();
        let (new, after) = look(Some(&before));
        assert_eq!((new.map(|new| new >> 10), after.len()), (Some(48), 3));
    }
}
