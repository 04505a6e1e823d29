//! Deadlines.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// A moment after which something has lasted too long. It does not come nearer while the machine sleeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline(Duration);

impl Deadline {
    /// So long from now.
    #[must_use]
    pub fn after(length: Duration) -> Self {
        Self(monotonic().saturating_add(length))
    }

    /// Whether it has passed.
    #[must_use]
    pub fn has_passed(self) -> bool {
        self.left().is_zero()
    }

    /// How long it is until then.
    #[must_use]
    pub(super) fn left(self) -> Duration {
        self.0.saturating_sub(monotonic())
    }
}

/// The time since some moment, which stands still while the machine sleeps.
pub(super) fn monotonic() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or_default(), u32::try_from(now.tv_nsec).unwrap_or_default())
}
