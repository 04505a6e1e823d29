//! What was changed of drives, in the state directory: one file for each volume, written before the first change.

use std::path::{Path, PathBuf};

use crate::formats::held;
use crate::model::{Held, HeldAt, VolumeName};
use crate::os::directory::{Directory, DirectoryError};
use crate::os::files::{self, ReadError, Readers};
use crate::os::machine;

/// No file is larger, in bytes.
const LARGEST: u64 = 4096;
/// No more entries of the state directory are looked at.
const MOST: usize = 10_000;

/// The name of a file is that of its volume between these.
const BEFORE: &str = "drive-";
const BEHIND: &str = ".json";

fn file_name(volume: &VolumeName) -> String {
    format!("{BEFORE}{volume}{BEHIND}")
}

/// Writes down what is about to be changed, so that it outlives a power cut.
pub fn write(state_dir: &Path, held: &Held) -> Result<(), DirectoryError> {
    let directory = Directory::open_root(state_dir)?;
    files::write_durably(&directory, &file_name(&held.volume), &held::to_bytes(held), Readers::Owner)
}

/// What was changed of a volume and may last; `None` if nothing was.
pub fn find(state_dir: &Path, volume: &VolumeName) -> Result<Option<Held>, HeldFileError> {
    let directory = Directory::open_root(state_dir).map_err(HeldFileError::Directory)?;
    read_file(&directory, &file_name(volume))
}

/// Forgets a volume: nothing of it is changed any more.
pub fn forget(state_dir: &Path, volume: &VolumeName) -> Result<(), DirectoryError> {
    Directory::open_root(state_dir)?.remove_file(&file_name(volume)).map(drop)
}

/// All that was changed and not undone, and what of it could not be read. What an earlier boot of this machine left is
/// forgotten: no mount outlives it. Those of servers are kept until they are looked at there.
#[must_use]
pub fn all(state_dir: &Path) -> (Vec<Held>, Vec<HeldFileError>) {
    each(state_dir, |directory, name| directory.remove_file(name).map(drop))
}

/// The same to look at: nothing is forgotten.
#[must_use]
pub fn peek(state_dir: &Path) -> (Vec<Held>, Vec<HeldFileError>) {
    each(state_dir, |_, _| Ok(()))
}

fn each(
    state_dir: &Path,
    outlived: impl Fn(&Directory, &str) -> Result<(), DirectoryError>,
) -> (Vec<Held>, Vec<HeldFileError>) {
    let (mut held, mut faults) = (Vec::new(), Vec::new());
    let opened = Directory::open_root(state_dir).and_then(|it| it.entries(MOST).map(|entries| (it, entries)));
    let (directory, entries) = match opened {
        Ok(opened) => opened,
        Err(error) => return (held, vec![HeldFileError::Directory(error)]),
    };
    for entry in entries {
        let is_ours = |name: &&str| name.strip_prefix(BEFORE).is_some_and(|rest| rest.strip_suffix(BEHIND).is_some());
        let Some(name) = entry.name.to_str().filter(is_ours) else { continue };
        match read_file(&directory, name) {
            Ok(Some(found)) => held.push(found),
            Ok(None) => faults.extend(outlived(&directory, name).err().map(HeldFileError::Directory)),
            Err(fault) => faults.push(fault),
        }
    }
    (held, faults)
}

fn read_file(directory: &Directory, name: &str) -> Result<Option<Held>, HeldFileError> {
    let path = directory.path_of(name);
    let bytes = match files::read_small(directory, name, LARGEST) {
        Ok(bytes) => bytes,
        Err(ReadError::Missing) => return Ok(None),
        Err(error) => return Err(HeldFileError::Read(path, error)),
    };
    let held = held::from_bytes(&bytes).map_err(|error| HeldFileError::Understand(path, error))?;
    Ok(Some(held).filter(may_last))
}

/// Whether something of it may be left: no mount of this machine outlives a boot of it, and servers have their own.
fn may_last(held: &Held) -> bool {
    match &held.at {
        HeldAt::Here { boot, .. } => *boot == machine::boot_id(),
        HeldAt::There { .. } => true,
    }
}

/// Why it is not known what was changed.
#[derive(Debug, thiserror::Error)]
pub enum HeldFileError {
    /// The state directory cannot be used.
    #[error(transparent)]
    Directory(DirectoryError),
    /// A file cannot be read.
    #[error("use {}", .0.display())]
    Read(PathBuf, #[source] ReadError),
    /// A file makes no sense.
    #[error("understand {} (close the drive by hand and delete it)", .0.display())]
    Understand(PathBuf, #[source] held::HeldError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Undo;

    fn held(volume: &str, boot: Option<String>) -> Held {
        let uuid = "2d577679-a7b6-429d-8250-3d0d80e034df".parse().unwrap();
        let at = HeldAt::Here { device: (8, 1), disk_seq: Some(3), boot };
        Held { volume: volume.parse().unwrap(), uuid, at, undo: Undo::Unmount }
    }

    #[test]
    fn what_this_boot_changed_is_known_and_the_rest_is_forgotten() {
        let place = tempfile::tempdir().unwrap();
        let usb = held("usb", machine::boot_id());
        write(place.path(), &usb).unwrap();
        write(place.path(), &held("red", Some("another boot".into()))).unwrap();
        std::fs::write(place.path().join("drive-odd.json"), "{").unwrap();
        assert_eq!(find(place.path(), &usb.volume).unwrap(), Some(usb.clone()));
        let (found, faults) = peek(place.path());
        assert_eq!((found, faults.len()), (vec![usb.clone()], 1));
        assert!(place.path().join("drive-red.json").exists(), "a look forgets nothing");
        let (found, faults) = all(place.path());
        assert_eq!((found, faults.len()), (vec![usb.clone()], 1));
        assert!(!place.path().join("drive-red.json").exists());
        forget(place.path(), &usb.volume).unwrap();
        forget(place.path(), &usb.volume).unwrap();
        assert_eq!(find(place.path(), &usb.volume).unwrap(), None);
    }
}
