//! What a script is written from.

use std::path::Path;

use crate::model::{Configuration, End, Sync};

/// What a script is written from.
#[derive(Debug)]
pub struct Recipe<'a> {
    /// The configuration.
    pub configuration: &'a Configuration,
    /// The syncs, in the order in which they run, with their rules one by one.
    pub syncs: Vec<Sync>,
    /// Where the script lies, for paths that begin there.
    pub standpoint: Standpoint<'a>,
    /// The configuration file, as people know it.
    pub origin: &'a Path,
    /// The version of the program that writes it.
    pub version: &'a str,
}

/// Where a script lies, and which paths in it begin there.
#[derive(Debug, Clone, Copy, Default)]
pub struct Standpoint<'a> {
    /// The directory of the script, for sources.
    pub source: Option<&'a Path>,
    /// The same for destinations.
    pub destination: Option<&'a Path>,
}

impl Standpoint<'_> {
    /// Whether any path begins there.
    #[must_use]
    pub fn is_used(&self) -> bool {
        self.source.is_some() || self.destination.is_some()
    }

    /// The directory from which paths of this end are told, if it is not the root.
    pub(super) fn of(&self, end: End) -> Option<&Path> {
        match end {
            End::Source => self.source,
            End::Destination => self.destination,
        }
    }
}
