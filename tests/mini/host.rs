//! A mini host: namespaces of its own with a real udevd.

use std::process::Command;
use std::time::{Duration, Instant};

const INSIDE: &str = "NBKP_TEST_INSIDE";

/// Runs a scenario of this test binary in a mini host: the binary is started again there, with only this test.
pub fn host(test: &str, scenario: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        set_up();
        scenario();
        return;
    }
    let able = Command::new("unshare").args(["--mount", "--net", "--pid", "--fork", "true"]).output();
    if !able.is_ok_and(|output| output.status.success()) {
        let why = format!("{test} did not run: it needs root and unshare(1) for namespaces of its own");
        assert!(!crate::required::all_must_run(), "{why}");
        println!("{why}");
        return;
    }
    // Some of these tests are about what hangs: if they do, they fail.
    let status = Command::new("timeout")
        .args([
            "--signal=KILL",
            "120",
            "unshare",
            "--mount",
            "--net",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
        ])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        // Where a session bus of the mini host would be.
        .env("DBUS_SESSION_BUS_ADDRESS", "unix:path=/run/user-bus")
        .status()
        .unwrap();
    assert!(status.success(), "{test} failed on the mini host");
}

fn set_up() {
    sh("mount --make-rprivate / && mount -t tmpfs tmpfs /run && mount -t sysfs sysfs /sys && ip link set lo up");
    sh("/usr/lib/systemd/systemd-udevd --daemon && udevadm trigger --subsystem-match=block && udevadm settle");
}

/// Runs a line of shell that must succeed, and gives its output without the last newline.
pub fn sh(line: &str) -> String {
    let output = Command::new("sh").args(["-ec", line]).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// Waits until this is so; `None` from `condition` for not yet.
pub fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "not within 20 s: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
