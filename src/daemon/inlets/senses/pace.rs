//! How often a look is taken in a storm.

use std::time::Duration;

use tokio::time::Instant;

/// In a storm a look is taken this often.
const EVERY: Duration = Duration::from_millis(200);

/// So many looks may be taken at once before that: what comes singly does not wait.
const AT_ONCE: u32 = 8;

/// Lets the first looks through at once, and paces those that follow.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// When the looks so far are paid for, at one each [`EVERY`].
    paid_at: Option<Instant>,
}

impl Pace {
    /// Waits until a look may be taken, and takes it.
    pub(crate) async fn take(&mut self) {
        let now = Instant::now();
        let paid_at = self.paid_at.map_or(now, |paid_at| paid_at.max(now));
        self.paid_at = Some(paid_at + EVERY);
        let ahead = paid_at.duration_since(now);
        let rest = ahead.saturating_sub(EVERY.saturating_mul(AT_ONCE - 1));
        if !rest.is_zero() {
            tokio::time::sleep(rest).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_few_looks_are_free_and_a_storm_is_paced() {
        let mut pace = Pace::default();
        let started = Instant::now();
        for _ in 0..AT_ONCE {
            pace.take().await;
        }
        assert_eq!(started.elapsed(), Duration::ZERO);
        for _ in 0..10 {
            pace.take().await;
        }
        assert_eq!(started.elapsed(), EVERY * 10);
        tokio::time::sleep(EVERY).await;
        let later = Instant::now();
        pace.take().await;
        assert_eq!(later.elapsed(), Duration::ZERO, "what comes singly does not wait");
    }
}
