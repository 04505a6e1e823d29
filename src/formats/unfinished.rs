//! A restore that has not brought all back, as the ledger keeps it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::formats::path_entry::PathEntry;
use crate::model::{RestoreKey, UnfinishedRestore};

/// A restore that has not brought all back.
#[derive(Serialize, Deserialize)]
pub(super) struct RestoreEntry {
    place: PathEntry,
    since: String,
    command: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origin: Option<PathEntry>,
    syncs: BTreeSet<String>,
}

impl RestoreEntry {
    /// Which it is, and what is known of it; `None` if its time or one of its syncs is none.
    pub(super) fn read(self) -> Option<(RestoreKey, UnfinishedRestore)> {
        let Self { place, since, command, origin, syncs } = self;
        let syncs = syncs.iter().map(|name| name.parse().ok()).collect::<Option<_>>()?;
        let restore = UnfinishedRestore { since: since.parse().ok()?, origin: origin.map(Into::into), syncs };
        Some((RestoreKey { place: place.into(), command }, restore))
    }

    /// How it is written.
    pub(super) fn written(key: &RestoreKey, restore: &UnfinishedRestore) -> Self {
        let UnfinishedRestore { since, origin, syncs } = restore;
        Self {
            place: (&key.place).into(),
            since: since.to_string(),
            command: key.command.clone(),
            origin: origin.as_ref().map(Into::into),
            syncs: syncs.iter().map(ToString::to_string).collect(),
        }
    }
}
