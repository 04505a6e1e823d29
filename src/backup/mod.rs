//! Floor 4: what happens to bytes and drives. Plain synchronous code, for a worker thread of the daemon as for the
//! client.

pub(crate) mod check;
pub(crate) mod copy;
pub mod drives;
pub mod errands;
pub(crate) mod failure;
pub mod job;
pub(crate) mod mirrors;
pub mod news;
pub(crate) mod place;
pub(crate) mod program;
pub(crate) mod restore;
pub(crate) mod run;
pub(crate) mod session;
pub mod snapshots;
