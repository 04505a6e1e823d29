//! The rule for polkit, before the engine that polkit itself uses, and before the real polkitd and udisksd.
#![expect(clippy::disallowed_methods, reason = "tests start programs, read the environment and watch the time")]
#![expect(clippy::unwrap_used, reason = "all of this is a test, and fails by panicking")]

mod engine;
#[path = "../mini/host.rs"]
mod mini;
mod real;
#[path = "../common/required.rs"]
mod required;
