//! The commit: a finished copy gets its name at one stroke, and `latest` moves to it.

use std::ffi::OsStr;
use std::path::Path;

use crate::backup::failure::{failure, of_btrfs, of_directory};
use crate::backup::snapshots::shelf::{Shelf, point_latest};
use crate::model::layout::{self, LATEST, STAGING};
use crate::model::{Conclusion, FailureKind, SnapshotName, Step};
use crate::os::btrfs::{self, ReadOnly, Role};
use crate::os::directory::{Directory, Reach};

/// Makes the read-only snapshot of `staging` under a hidden name, flushes it, and makes sure that it is what it must be.
pub(crate) fn take_snapshot(destination: &Directory, shelf: &Shelf, name: SnapshotName) -> Result<(), Conclusion> {
    let at = Step::Commit;
    let staging =
        destination.open_below(Path::new(STAGING), Reach::SameMount).map_err(|error| of_directory(at, &error))?;
    let hidden = layout::in_progress(name);
    btrfs::snapshot(&staging, &shelf.directory, OsStr::new(&hidden)).map_err(|error| of_btrfs(at, &error))?;
    destination.flush_filesystem().map_err(|error| of_directory(Step::Flush, &error))?;
    let made =
        shelf.directory.open_below(Path::new(&hidden), Reach::SameMount).map_err(|error| of_directory(at, &error))?;
    let role = btrfs::role(&made).map_err(|error| of_directory(at, &error))?;
    let protection = btrfs::is_read_only(&made).map_err(|error| of_btrfs(at, &error))?;
    let parent = btrfs::facts(&staging).map_err(|error| of_btrfs(at, &error))?;
    let child = btrfs::facts(&made).map_err(|error| of_btrfs(at, &error))?;
    if role == Role::Subvolume && protection == ReadOnly::Yes && child.parent_uuid == parent.uuid {
        Ok(())
    } else {
        let what = format!("{} is not a read-only snapshot of `{STAGING}`", shelf.directory.path_of(&hidden).display());
        Err(failure(at, FailureKind::Other, what))
    }
}

/// Gives the finished copy its name. From here on it is complete, whatever happens.
pub(crate) fn publish(shelf: &Shelf, name: SnapshotName) -> Result<(), Conclusion> {
    let hidden = layout::in_progress(name);
    let fail = |error| of_directory(Step::Commit, &error);
    shelf.directory.rename_to_free(&hidden, &name.to_string()).map_err(fail)?;
    shelf.directory.flush().map_err(fail)
}

/// Moves `latest` to the finished copy. It can always be told again from the names, so that a failure harms nothing.
pub(crate) fn move_latest(destination: &Directory, name: SnapshotName) -> Result<(), String> {
    point_latest(destination, name).map_err(|error| {
        format!("`{LATEST}` was not moved to {name}: {}; the next run does it", crate::backup::failure::told(&error))
    })
}
