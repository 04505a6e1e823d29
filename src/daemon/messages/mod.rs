//! What is said between the inhabitants of the daemon, and nothing that acts.

pub mod ask;
pub mod call;
pub mod errand;
pub mod event;
pub mod look;
pub mod order;
pub mod probe;
pub mod sensed;
