//! What keeps people free: how data flows, the plain script, and what comes from the Python tool. All without a daemon.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "all of this is a test: it fails by panicking, and starts what a person would"
)]

mod graph;
#[path = "../common/required.rs"]
mod required;
mod room;
mod script;
#[path = "../common/shell.rs"]
mod shell;
#[path = "../attacks/sshd.rs"]
mod sshd;
