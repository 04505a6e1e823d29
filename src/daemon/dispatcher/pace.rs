//! How often a look is taken in a storm of events.

use std::time::Duration;

use crate::model::BootTime;

/// In a storm of events a look is taken this often.
const PACE_OF_LOOKS: Duration = Duration::from_millis(200);

/// So many looks may be taken at once before that: single events, and the handful that a plug-in makes, do not wait.
const LOOKS_AT_ONCE: u32 = 32;

/// Lets the first looks through at once, and paces those that follow.
#[derive(Debug, Default)]
pub(super) struct LookPace {
    /// When the looks taken so far are paid for, at one every [`PACE_OF_LOOKS`].
    paid_at: BootTime,
}

impl LookPace {
    /// How long the next look has to wait, if it has to.
    pub(super) fn rest(&self, now: BootTime) -> Option<Duration> {
        let ahead = self.paid_at.since(now);
        let rest = ahead.saturating_sub(PACE_OF_LOOKS.saturating_mul(LOOKS_AT_ONCE - 1));
        (!rest.is_zero()).then_some(rest)
    }

    /// A look begins.
    pub(super) fn pay(&mut self, now: BootTime) {
        self.paid_at = self.paid_at.max(now).after(PACE_OF_LOOKS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handful_of_looks_is_free_and_a_storm_is_paced() {
        let mut pace = LookPace::default();
        let start = BootTime(Duration::from_hours(1));
        let mut now = start;
        let mut looks = 0_u32;
        while now.since(start) < Duration::from_secs(10) {
            if let Some(rest) = pace.rest(now) {
                assert!(rest <= PACE_OF_LOOKS, "what changed last is seen soon");
                now = now.after(rest);
            } else {
                pace.pay(now);
                looks += 1;
                assert!(looks > LOOKS_AT_ONCE || now == start, "the first few do not wait");
            }
        }
        assert!((50..=50 + LOOKS_AT_ONCE).contains(&looks), "{looks}");
    }
}
