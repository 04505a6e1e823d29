//! What would happen: an event that is only supposed, and what the daemon would do about it.

use std::time::Duration;

use super::{LocationName, SyncName, VolumeName, words};

/// An event that is only supposed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Supposition {
    /// The drive of this volume is plugged in.
    Plug(VolumeName),
    /// It is pulled out.
    Unplug(VolumeName),
    /// The machine joins a network of this location.
    Join(LocationName),
    /// It leaves every network.
    Leave,
    /// It goes to sleep.
    Sleep,
    /// Every way out is paid for by volume.
    Metered,
    /// None is.
    Unmetered,
}

/// What the daemon would do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Forecast {
    /// What had to be assumed, as sentences.
    pub assumed: Vec<String>,
    /// Each sync: first those that would start, in their order.
    pub syncs: Vec<Foreseen>,
}

/// What would become of one sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreseen {
    /// The sync.
    pub sync: SyncName,
    /// What would become of it.
    pub fate: Consequence,
    /// How long it would wait before it starts, where that is known.
    pub after: Option<Duration>,
    /// Why, as sentences.
    pub reasons: Vec<String>,
}

/// What would become of a sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Consequence {
    /// It would start.
    Starts,
    /// It runs, and would be interrupted.
    Interrupted,
    /// It runs, and would go on.
    GoesOn,
    /// Nothing would become of it.
    Stays,
}

words!(Consequence {
    Starts = "would-start",
    Interrupted = "would-be-interrupted",
    GoesOn = "would-go-on",
    Stays = "would-stay",
});
