//! Runs to, from and on servers, against a real sshd on the loopback. They need root.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test that meets the unexpected fails"
)]

mod connect;
mod errands;
mod faults;
mod ground;
mod hosts;
mod judgement;
mod kills;
#[path = "../common/required.rs"]
mod required;
mod runs;
#[path = "../common/shell.rs"]
mod shell;
mod sshd;

/// Says why a test cannot run here; that is a failure where all must run.
fn needs_root() -> bool {
    let sshd = std::path::Path::new("/usr/sbin/sshd").exists();
    if rustix::process::geteuid().is_root() && sshd {
        return true;
    }
    assert!(!crate::required::all_must_run(), "this test needs root and sshd");
    eprintln!("skipped: this test needs root and sshd (`apt install openssh-server`)");
    false
}
