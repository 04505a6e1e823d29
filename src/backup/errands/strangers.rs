//! What lies in a directory that is to become a destination, and is neither ours nor begun by us.

use std::ffi::OsStr;
use std::path::Path;

use crate::model::layout::{self, LATEST, SNAPSHOTS, STAGING};
use crate::model::{MOST_INTRUDERS, SnapshotKind};
use crate::os::directory::{Directory, DirectoryError, Reach};

/// Our own entries in a destination are fewer than these.
const MOST_OF_OURS: usize = 100;

/// How many entries there are, up to [`MOST_INTRUDERS`].
pub(super) fn strangers(directory: &Directory, kind: SnapshotKind) -> Result<u64, DirectoryError> {
    let most = usize::try_from(MOST_INTRUDERS).unwrap_or(usize::MAX);
    let entries = directory.entries(most.saturating_add(MOST_OF_OURS))?;
    let is_strange = |name: &OsStr| {
        let name = name.as_encoded_bytes();
        // What is about to get a name of ours has a dot more before it.
        let name = name.strip_prefix(b".").filter(|name| name.starts_with(b".")).unwrap_or(name);
        !name.starts_with(layout::OWN.as_bytes())
    };
    let names = entries.iter().map(|entry| entry.name.as_os_str());
    let strange = names.filter(|name| is_strange(name) && !is_begun(directory, name, kind)).take(most).count();
    Ok(u64::try_from(strange).unwrap_or(u64::MAX))
}

/// Whether this is what we make first in a destination with snapshots, with nothing in it: whoever was cut off in the
/// middle left it.
fn is_begun(directory: &Directory, name: &OsStr, kind: SnapshotKind) -> bool {
    let is_empty = || {
        let below = directory.open_below(Path::new(name), Reach::SameMount);
        below.and_then(|below| below.entries(1)).is_ok_and(|entries| entries.is_empty())
    };
    let leads_nowhere =
        || directory.link_target(name).is_ok_and(|to| to.as_deref() == Some(Path::new(layout::NOWHERE)));
    match kind {
        SnapshotKind::None => false,
        SnapshotKind::Btrfs | SnapshotKind::HardLink if name == LATEST || name == layout::NEW_LATEST => leads_nowhere(),
        SnapshotKind::Btrfs | SnapshotKind::HardLink => (name == SNAPSHOTS || name == STAGING) && is_empty(),
    }
}
