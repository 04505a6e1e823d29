//! The clocks. Everything else is given the time as an argument.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rustix::time::{ClockId, clock_gettime};

use crate::model::{BootTime, Now};

/// This moment.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this file owns the clocks")]
pub fn now() -> Now {
    Now { boot: boot(), wall: Timestamp::now(), zone: TimeZone::system() }
}

/// The time since boot, suspend included.
#[must_use]
pub fn boot() -> BootTime {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or_default();
    BootTime(Duration::new(seconds, nanoseconds))
}

/// Does nothing for so long. Only for threads of their own, which wait for what tells nobody when it is ready.
pub fn wait(length: Duration) {
    std::thread::sleep(length);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_go_forward_and_agree_with_the_kernel() {
        let first = now();
        let second = now();
        assert!(second.boot >= first.boot);
        assert!(second.wall >= first.wall);
        let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
        let uptime: f64 = uptime.split_whitespace().next().unwrap().parse().unwrap();
        assert!((second.boot.0.as_secs_f64() - uptime).abs() < 5.0, "{} and {uptime}", second.boot.0.as_secs_f64());
    }
}
