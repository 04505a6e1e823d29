//! The mount table of this process.

use std::io;
use std::path::{Path, PathBuf};

use crate::formats::mountinfo::{self, Propagation};
use crate::model::{Mount, MountId, MountView};

/// Why the mount table is not known.
#[derive(Debug, thiserror::Error)]
pub enum MountsError {
    /// The file could not be read.
    #[error("read the mount table {TABLE}")]
    Read(#[source] io::Error),
}

/// Where the kernel shows the mounts that this process can see.
pub(crate) const TABLE: &str = "/proc/self/mountinfo";

/// The mounts that this process can see, in the order of the table.
pub fn read() -> Result<Vec<Mount>, MountsError> {
    std::fs::read(TABLE).map(|bytes| mountinfo::mounts(&bytes)).map_err(MountsError::Read)
}

/// Where drives are mounted: by desktops, by udisks2, by hand.
const PLACES: [&str; 3] = ["/run/media", "/media", "/mnt"];

/// How the mounts of this process are related to those of the machine, whose first process has all of them.
#[must_use]
pub fn view() -> MountView {
    let read = |process: &str| std::fs::read(format!("/proc/{process}/mountinfo"));
    match (read("self"), read("1")) {
        (Ok(ours), Ok(theirs)) if !ours.is_empty() && !theirs.is_empty() => {
            relation(&mountinfo::propagation(&ours), &mountinfo::propagation(&theirs))
        }
        (Ok(_), Ok(_)) => MountView::Unknown("the mount table of process 1 is not shown".into()),
        (Err(error), _) | (_, Err(error)) => MountView::Unknown(format!("could not read mount tables: {error}")),
    }
}

type Table = [(MountId, PathBuf, Propagation)];

/// No two namespaces have a mount in common: each copy of one has an id of its own.
fn relation(ours: &Table, theirs: &Table) -> MountView {
    if ours.iter().any(|(id, ..)| theirs.iter().any(|(other, ..)| other == id)) {
        return MountView::Same;
    }
    let apart: Vec<_> =
        PLACES.iter().map(Path::new).filter(|place| !receives(ours, place)).map(PathBuf::from).collect();
    if apart.is_empty() { MountView::Follows } else { MountView::Apart(apart) }
}

/// Whether what is mounted below a place elsewhere appears here: by the mount that the place is on.
fn receives(table: &Table, place: &Path) -> bool {
    let around = table.iter().filter(|(_, point, _)| place.starts_with(point));
    let nearest = around.max_by_key(|(_, point, _)| point.components().count());
    nearest.is_some_and(|(.., propagation)| *propagation == Propagation::Receives)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn table(mounts: &[(u64, &str, Propagation)]) -> Vec<(MountId, PathBuf, Propagation)> {
        mounts.iter().map(|(id, point, propagation)| (MountId(*id), (*point).into(), *propagation)).collect()
    }

    #[test]
    fn another_namespace_follows_or_is_apart() {
        let machine = table(&[(1, "/", Propagation::Receives), (2, "/run", Propagation::Receives)]);
        let slave = table(&[(11, "/", Propagation::Receives), (12, "/run", Propagation::Receives)]);
        let mixed = table(&[(11, "/", Propagation::Receives), (12, "/run", Propagation::Private)]);
        let private = table(&[(11, "/", Propagation::Private)]);
        assert_eq!(relation(&machine, &machine), MountView::Same);
        assert_eq!(relation(&slave, &machine), MountView::Follows);
        assert_eq!(relation(&mixed, &machine), MountView::Apart(vec!["/run/media".into()]));
        let all = PLACES.map(PathBuf::from).to_vec();
        assert_eq!(relation(&private, &machine), MountView::Apart(all));
    }

    #[test]
    fn the_table_of_this_process_has_proc_in_it() {
        let mounts = super::read().expect("a table");
        assert!(mounts.iter().any(|mount| mount.point == Path::new("/proc") && mount.fs_type == "proc"));
    }
}
