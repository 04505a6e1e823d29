//! The commit at a destination on this machine: a finished copy gets its name at one stroke.

use std::ffi::OsStr;
use std::path::Path;

use crate::backup::failure::{failure, of_btrfs, of_directory};
use crate::backup::snapshots::deeds::directory_of_snapshots;
use crate::backup::snapshots::listing;
use crate::model::layout::{self, STAGING};
use crate::model::{FailureKind, NotDone, SnapshotName, Step};
use crate::os::btrfs::{self, ReadOnly, Role};
use crate::os::directory::{Directory, Reach};

/// Makes the read-only snapshot of `staging` under a hidden name, flushes it, and makes sure that it is what it must
/// be.
pub(crate) fn take_snapshot(destination: &Directory, name: SnapshotName) -> Result<(), NotDone> {
    let fail = |error| of_directory(Step::Commit, &error);
    let fail_of_btrfs = |error| of_btrfs(Step::Commit, &error);
    let staging = destination.open_below(Path::new(STAGING), Reach::SameMount).map_err(fail)?;
    if let Some(below) = btrfs::one_below(&staging).map_err(fail_of_btrfs)? {
        let what = format!("{} is a subvolume of its own, which snapshots of `{STAGING}` show empty", below.display());
        return Err(failure(Step::Commit, FailureKind::Hostile, what));
    }
    let snapshots = directory_of_snapshots(destination).map_err(fail)?;
    let hidden = layout::in_progress(name);
    btrfs::snapshot(&staging, &snapshots, OsStr::new(&hidden)).map_err(fail_of_btrfs)?;
    destination.flush_filesystem().map_err(|error| of_directory(Step::Flush, &error))?;
    let made = snapshots.open_below(Path::new(&hidden), Reach::SameMount).map_err(fail)?;
    let role = btrfs::role(&made).map_err(fail)?;
    let protection = btrfs::is_read_only(&made).map_err(fail_of_btrfs)?;
    let parent = btrfs::facts(&staging).map_err(fail_of_btrfs)?;
    let child = btrfs::facts(&made).map_err(fail_of_btrfs)?;
    if role == Role::Subvolume && protection == ReadOnly::Yes && child.parent_uuid == parent.uuid {
        Ok(())
    } else {
        let what = format!("{} is not a read-only snapshot of `{STAGING}`", snapshots.path_of(&hidden).display());
        Err(failure(Step::Commit, FailureKind::Other, what))
    }
}

/// Finished snapshots that somebody made writable, as sentences: what is in them may not be what was copied.
pub(crate) fn writable(destination: &Directory) -> Vec<String> {
    let complete = listing::entries(destination).ok().flatten().unwrap_or_default().complete;
    let below = complete.iter().map(layout::in_snapshots);
    let opened = below.filter_map(|below| destination.open_below(&below, Reach::SameMount).ok());
    let writable = opened.filter(|snapshot| matches!(btrfs::is_read_only(snapshot), Ok(ReadOnly::No)));
    let told = |path: &Path| {
        let path = path.display();
        format!("{path} can be written and may have been changed: `btrfs property set -ts {path} ro true` protects it")
    };
    writable.map(|snapshot| told(snapshot.path())).collect()
}

/// Whether no snapshot of btrfs of this name can be written.
pub(crate) fn is_protected(destination: &Directory, name: SnapshotName) -> bool {
    let snapshot = destination.open_below(&layout::in_snapshots(name), Reach::SameMount);
    snapshot.is_ok_and(|snapshot| !matches!(btrfs::is_read_only(&snapshot), Ok(ReadOnly::No)))
}

/// Gives the finished copy its name. From here on it is complete, whatever happens.
pub(crate) fn give_name(destination: &Directory, name: SnapshotName) -> Result<(), NotDone> {
    let fail = |error| of_directory(Step::Commit, &error);
    let snapshots = directory_of_snapshots(destination).map_err(fail)?;
    snapshots.rename_to_free(&layout::in_progress(name), &name.to_string()).map_err(fail)?;
    snapshots.flush().map_err(fail)
}
