//! Floor 4: what happens to bytes and drives. Plain synchronous code, for a worker thread of the daemon as for the client.

pub mod copy;
pub mod drives;
pub mod errands;
pub(crate) mod failure;
pub mod job;
pub mod news;
pub mod place;
pub mod run;
pub mod session;
pub mod snapshots;
