//! The time, as an argument.

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};

/// Time since boot, suspend included (`CLOCK_BOOTTIME`): for waiting and for back-off, since nobody can set it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct BootTime(pub Duration);

impl BootTime {
    /// The moment `by` later.
    #[must_use]
    pub fn after(self, by: Duration) -> Self {
        Self(self.0.saturating_add(by))
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// One moment on both clocks, and the zone in which people read it.
#[derive(Debug, Clone)]
pub struct Now {
    /// Time since boot, suspend included.
    pub boot: BootTime,
    /// Wall time: for due times and for names, since it survives a reboot.
    pub wall: Timestamp,
    /// The local time zone: for `hours` and for calendar buckets.
    pub zone: TimeZone,
}
