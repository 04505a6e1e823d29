//! Deeds carried out at a destination on this machine. Each may be cut short at any point and done again.

use std::ffi::OsStr;
use std::path::Path;

use crate::backup::failure::{could_not, of_directory};
use crate::backup::session::stop::Stops;
use crate::model::layout::{self, LATEST, NEW_LATEST, NOWHERE, SNAPSHOTS, STAGING};
use crate::model::{NotDone, SnapshotName, Step, TidyDeed};
use crate::os::btrfs::{self, BtrfsError, Role};
use crate::os::directory::{Directory, DirectoryError, Errno, Kind, Reach};
use crate::os::tree;

/// Carries out deeds in their order. Returns what could not be done and stands in nobody's way, as sentences.
pub(crate) fn carry_out(
    destination: &Directory,
    (at, deeds): (Step, &[TidyDeed]),
    stops: &mut Stops,
) -> Result<Vec<String>, NotDone> {
    let fail = |error: DirectoryError| of_directory(at, &error);
    let mut warnings = Vec::new();
    for deed in deeds {
        match deed {
            TidyDeed::MakeDirectory => drop(destination.create_directory(SNAPSHOTS, 0o755).map_err(fail)?),
            TidyDeed::Discard(name) => {
                stops.check()?;
                warnings.extend(discard_all(destination, [name.clone()]).map_err(fail)?);
            }
            TidyDeed::KeepAsBasis(name) => {
                let snapshots = directory_of_snapshots(destination).map_err(fail)?;
                snapshots.rename_to_free(&layout::in_progress(name), &layout::stale(name)).map_err(fail)?;
            }
            TidyDeed::Relieve(newest) => {
                let done = relieve(destination, *newest);
                warnings.extend(done.err().map(|why| format!("no room was made in {STAGING}: {}", could_not(&why))));
            }
            TidyDeed::RemoveLink(name) => drop(destination.remove_file(name).map_err(fail)?),
            TidyDeed::PointLatest(newest) => point_latest(destination, *newest).map_err(fail)?,
        }
    }
    Ok(warnings)
}

/// Deletes entries of `snapshots`. Returns what could not be deleted, as sentences.
pub(crate) fn discard_all(
    destination: &Directory,
    names: impl IntoIterator<Item = String>,
) -> Result<Vec<String>, DirectoryError> {
    let snapshots = directory_of_snapshots(destination)?;
    let failed = |name: String| {
        let why = discard(&snapshots, &name).err()?;
        Some(format!("{name} was not deleted: {why}"))
    };
    Ok(names.into_iter().filter_map(failed).collect())
}

/// The directory `snapshots` of a destination.
pub(crate) fn directory_of_snapshots(destination: &Directory) -> Result<Directory, DirectoryError> {
    destination.open_below(Path::new(SNAPSHOTS), Reach::SameMount)
}

/// Makes `latest` point to a snapshot, or to nothing.
pub(crate) fn point_latest(destination: &Directory, name: Option<SnapshotName>) -> Result<(), DirectoryError> {
    let target = name.map_or_else(|| NOWHERE.into(), layout::in_snapshots);
    destination.replace_link(LATEST, &target, NEW_LATEST)?;
    destination.flush()
}

/// Puts an entry out of sight at one stroke and then deletes it, so that none is ever half there; what is out of sight
/// is deleted to its end.
fn discard(snapshots: &Directory, name: &str) -> Result<(), String> {
    if name.starts_with(layout::TRASH) {
        return destroy(snapshots, name);
    }
    let trash = layout::trash(name);
    match snapshots.rename_to_free(name, &trash) {
        Ok(()) => {}
        // One of the same name is there already, half deleted.
        Err(error) if error.cause() == Errno::EXIST => {
            destroy(snapshots, &trash)?;
            snapshots.rename_to_free(name, &trash).map_err(|error| could_not(&error))?;
        }
        Err(error) => return Err(could_not(&error)),
    }
    snapshots.flush().map_err(|error| could_not(&error))?;
    destroy(snapshots, &trash)
}

/// Deletes an entry of `snapshots`, a subvolume or a tree. Says what went wrong.
fn destroy(snapshots: &Directory, name: &str) -> Result<(), String> {
    let opened = match snapshots.kind_of(name).map_err(|error| could_not(&error))? {
        Kind::Directory => snapshots.open_below(Path::new(name), Reach::SameMount),
        Kind::Nothing | Kind::File | Kind::Link | Kind::Special => {
            return snapshots.remove_file(name).map(drop).map_err(|error| could_not(&error));
        }
    };
    let name = OsStr::new(name);
    let subvolume = match opened {
        Ok(directory) if btrfs::role(&directory).is_ok_and(|role| role == Role::Subvolume) => directory,
        Ok(_) | Err(_) => return tree::remove(snapshots, name).map_err(|error| could_not(&error)),
    };
    match btrfs::delete(snapshots, name) {
        Ok(()) => Ok(()),
        Err(BtrfsError::Delete(_, Errno::PERM | Errno::ACCESS | Errno::ROFS)) => {
            // Its owner must make it writable first, and may then still not delete it where the filesystem is mounted
            // without `user_subvol_rm_allowed`; but he may empty it, and remove it as an empty directory.
            btrfs::make_writable(&subvolume).map_err(|error| could_not(&error))?;
            drop(subvolume);
            btrfs::delete(snapshots, name).or_else(|_| {
                tree::remove(snapshots, name).map_err(|error| {
                    format!("{} (mount the filesystem with `user_subvol_rm_allowed`)", could_not(&error))
                })
            })
        }
        Err(error) => Err(could_not(&error)),
    }
}

/// Takes out of `staging` what no finished copy holds, and has the filesystem give the space back.
fn relieve(destination: &Directory, newest: Option<SnapshotName>) -> Result<(), DirectoryError> {
    match newest {
        Some(newest) => {
            let staging = destination.open_below(Path::new(STAGING), Reach::SameMount)?;
            let newest = destination.open_below(&layout::in_snapshots(newest), Reach::SameMount)?;
            tree::remove_extra(&newest, &staging)?;
        }
        None => tree::remove_within(destination, OsStr::new(STAGING))?,
    }
    // Each descriptor is told once of writes that were lost (`syncfs(2)`), and that of the run is asked at its end.
    destination.open_below(Path::new(""), Reach::SameMount)?.flush_filesystem()
}
