//! Floor 5: the daemon. It owns time, tasks and the one world.

pub mod dispatcher;
pub mod fatal;
pub mod inlets;
pub mod messages;
pub mod outlets;
pub mod serving;
pub mod start;
pub mod world;
