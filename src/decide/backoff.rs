//! How long to wait after a failure.

use std::time::Duration;

use crate::model::Remedy;

const FIRST: Duration = Duration::from_secs(30);

/// The longest wait between two attempts.
pub const LONGEST: Duration = Duration::from_hours(1);

/// How long to wait after the `failures`th failure in a row: from 30 s, doubling, up to an hour, and up to a quarter
/// less, as `jitter` has it, so that many syncs to one drive do not come back in step. What only a person can mend
/// is looked at once an hour.
#[must_use]
pub fn wait(failures: u32, remedy: Remedy, jitter: u16) -> Duration {
    let full = match remedy {
        Remedy::TryAgain | Remedy::WaitForChange => {
            let doublings = failures.saturating_sub(1).min(16);
            FIRST.saturating_mul(1 << doublings).min(LONGEST)
        }
        Remedy::AskPerson => LONGEST,
    };
    full.saturating_sub((full / 4).mul_f64(f64::from(jitter) / f64::from(u16::MAX)))
}

/// How long to wait after the `skips`th run in a row that found an obstacle which no look shows, such as a lock: from
/// two seconds, doubling, up to five minutes.
#[must_use]
pub fn wait_for_obstacle(skips: u32) -> Duration {
    let doublings = skips.saturating_sub(1).min(16);
    Duration::from_secs(2).saturating_mul(1 << doublings).min(Duration::from_mins(5))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grows_from_half_a_minute_to_an_hour() {
        let waits: Vec<_> = (1..=10).map(|n| wait(n, Remedy::TryAgain, 0).as_secs()).collect();
        assert_eq!(waits, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]);
        assert_eq!(wait(u32::MAX, Remedy::TryAgain, 0), LONGEST);
    }

    #[test]
    fn a_lock_is_tried_again_soon() {
        let waits: Vec<_> = (1..=9).map(|n| wait_for_obstacle(n).as_secs()).collect();
        assert_eq!(waits, [2, 4, 8, 16, 32, 64, 128, 256, 300]);
    }

    #[test]
    fn jitter_takes_away_at_most_a_quarter() {
        assert_eq!(wait(1, Remedy::WaitForChange, u16::MAX).as_millis(), 22_500);
        assert_eq!(wait(1, Remedy::AskPerson, 0), LONGEST);
    }
}
