//! Runs against real neighbours: rsync, ext4 and btrfs on loop devices, Landlock. They need root.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::wildcard_enum_match_arm,
    reason = "a test that meets the unexpected fails"
)]

mod cuts;
mod ends;
mod faults;
mod filesystems;
mod guard;
mod hooks;
mod judgement;
mod kills;
mod links;
mod mirror;
#[path = "../common/required.rs"]
mod required;
mod rig;
mod submounts;
mod subvolumes;
mod unchanged;
mod writers;

/// Says why a test cannot run here; that is a failure where all must run.
fn needs_root() -> bool {
    if rustix::process::geteuid().is_root() {
        return true;
    }
    assert!(!crate::required::all_must_run(), "this test needs root");
    eprintln!("skipped: this test needs root");
    false
}
