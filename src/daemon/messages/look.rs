//! A look that is asked for, and what it found.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::{BlockDevice, Configuration, Containers, SyncName, SyncSight, VolumeName, VolumeSight};

/// A look that is asked for.
#[derive(Debug, Clone)]
pub struct LookRequest {
    /// What there is to look at.
    pub configuration: Arc<Configuration>,
    /// The LUKS containers in which the filesystems lay that drives are named by.
    pub containers: Arc<Containers>,
    /// What may have changed.
    pub scope: Scope,
}

/// What may have changed since the last look; several things at once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope(BTreeSet<Part>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Everything,
    Blocks,
    Mounts,
    Sync(SyncName),
    Volume(VolumeName),
}

impl Scope {
    /// Anything at all.
    #[must_use]
    pub fn everything() -> Self {
        Self([Part::Everything].into())
    }

    /// Block devices, and mounts.
    #[must_use]
    pub fn blocks() -> Self {
        Self([Part::Blocks].into())
    }

    /// The mount table.
    #[must_use]
    pub fn mounts() -> Self {
        Self([Part::Mounts].into())
    }

    /// What lies at the ends of these syncs.
    #[must_use]
    pub fn syncs(names: impl IntoIterator<Item = SyncName>) -> Self {
        Self(names.into_iter().map(Part::Sync).collect())
    }

    pub(crate) fn volume(name: VolumeName) -> Self {
        Self([Part::Volume(name)].into())
    }

    /// Whether block devices changed, as they tell it.
    pub(crate) fn has_blocks(&self) -> bool {
        self.0.contains(&Part::Blocks)
    }

    /// Both of these.
    pub fn join(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Whether nothing changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether single syncs are named.
    pub(crate) fn names_syncs(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Sync(_)))
    }

    pub(crate) fn has(&self, part: &Part) -> bool {
        self.0.contains(part)
    }
}

/// What a look found. It holds only what was looked at anew; the rest is as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// What was looked at.
    pub configuration: Arc<Configuration>,
    /// What made it.
    pub cause: LookCause,
    /// The volumes that were looked at.
    pub volumes: BTreeMap<VolumeName, VolumeSight>,
    /// The syncs of which at least one end was looked at.
    pub syncs: BTreeMap<SyncName, SyncSight>,
    /// All devices that are plugged in.
    pub devices: Vec<BlockDevice>,
    /// What could not be looked at, as sentences.
    pub degraded: Vec<String>,
}

/// What made an observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LookCause {
    /// A request, which this answers. Each is answered once.
    Asked,
    /// A volume that was silent answers again.
    Belated,
}
