//! What snapshots on this machine weigh: what deleting each of them would free, or what is new in it.

use std::collections::BTreeMap;
use std::path::Path;

use crate::backup::place::copies::HereCopies;
use crate::model::layout;
use crate::model::{SnapshotKind, SnapshotName};
use crate::os::directory::{Directory, Reach};
use crate::os::{btrfs, weight};

/// What a snapshot weighs, as far as it can be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct SnapshotWeight {
    /// What deleting it alone would free.
    pub(super) frees: Option<u64>,
    /// Where that is not known: what it holds that the one before it does not.
    pub(super) new: Option<u64>,
}

/// What each of these weighs, which are oldest first. One that cannot be read has no weight.
pub(super) fn weights(
    copies: &HereCopies,
    kind: SnapshotKind,
    oldest_first: &[SnapshotName],
) -> BTreeMap<SnapshotName, SnapshotWeight> {
    let mut weights = BTreeMap::new();
    let mut before = None;
    for name in oldest_first {
        let path = layout::in_snapshots(name.to_string());
        let Ok(snapshot) = copies.directory.open_below(Path::new(&path), Reach::SameMount) else { continue };
        let weight = match kind {
            SnapshotKind::None => continue,
            SnapshotKind::HardLink => SnapshotWeight { frees: weight::freed(snapshot).ok().flatten(), new: None },
            SnapshotKind::Btrfs => of_subvolume(snapshot, &mut before),
        };
        weights.insert(*name, weight);
    }
    weights
}

/// btrfs itself knows, where it keeps account; otherwise the snapshot is compared with the one before it.
fn of_subvolume(snapshot: Directory, before: &mut Option<weight::Inhabitants>) -> SnapshotWeight {
    if let Some(frees) = btrfs::exclusive(&snapshot) {
        return SnapshotWeight { frees: Some(frees), new: None };
    }
    let (new, inhabitants) = weight::news(snapshot, before.as_ref()).ok().flatten().unzip();
    *before = inhabitants;
    SnapshotWeight { frees: None, new: new.flatten() }
}
