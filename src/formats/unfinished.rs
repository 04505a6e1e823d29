//! A restore that has not brought all back, as the ledger keeps it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::formats::path_entry::PathEntry;
use crate::model::UnfinishedRestore;

/// A restore that has not brought all back.
#[derive(Serialize, Deserialize)]
pub(super) struct RestoreEntry {
    place: PathEntry,
    since: String,
    command: String,
    syncs: BTreeSet<String>,
}

impl RestoreEntry {
    /// Where it goes, and what it is; `None` if its time or one of its syncs is none.
    pub(super) fn read(self) -> Option<(PathBuf, UnfinishedRestore)> {
        let Self { place, since, command, syncs } = self;
        let syncs = syncs.iter().map(|name| name.parse().ok()).collect::<Option<_>>()?;
        Some((place.into(), UnfinishedRestore { since: since.parse().ok()?, command, syncs }))
    }

    /// How it is written.
    pub(super) fn written(place: &PathBuf, restore: &UnfinishedRestore) -> Self {
        let UnfinishedRestore { since, command, syncs } = restore;
        Self {
            place: place.into(),
            since: since.to_string(),
            command: command.clone(),
            syncs: syncs.iter().map(ToString::to_string).collect(),
        }
    }
}
