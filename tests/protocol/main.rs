//! The socket, spoken to by clients that keep the rules and by such that do not, with the real server behind it.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test starts programs and watches the clock, and fails by panicking"
)]

mod calls;
mod crowd;
mod description;
mod golden;
mod limits;
#[path = "../common/required.rs"]
mod required;
mod rig;
mod runs;
mod strangers;
