//! What tests do with a shell, and how they wait.

use std::process::{Command, Output};
use std::time::{Duration, Instant};

/// Runs a command that must succeed, and returns what it said.
#[expect(clippy::disallowed_methods, reason = "tests start real tools")]
pub fn sh(script: &str) -> String {
    let Output { status, stdout, stderr } = Command::new("sh").args(["-ec", script]).output().unwrap();
    assert!(status.success(), "{script}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8_lossy(&stdout).trim().to_owned()
}

/// Waits until this is so; `None` from `condition` for not yet.
#[expect(clippy::disallowed_methods, reason = "tests watch the clock")]
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "not within 30 s: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
