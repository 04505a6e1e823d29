//! Floor 4: the daemon. It owns time, tasks and the one world.

pub mod alone;
pub mod ask;
pub mod channels;
pub mod dispatcher;
pub mod drives;
pub mod errand;
pub mod errands;
pub mod job;
pub mod keeper;
pub mod keyring;
mod memory;
pub mod notifier;
pub mod observer;
pub mod prober;
pub mod reader;
pub mod reporter;
pub mod senses;
pub mod server;
pub mod start;
pub mod unlock;
pub mod worker;
pub mod world;

pub use start::Fatal;
