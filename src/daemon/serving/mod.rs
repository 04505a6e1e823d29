//! Serves the control socket: the answers come from the dispatcher, the history and those who run errands.

mod absent;
mod answers;
mod asking;
mod checking;
pub mod doctor;
mod errands;
mod history;
mod listener;
pub mod orders;
mod restoring;
mod runs;
mod why;
mod wire;
mod witness;

pub use asking::Doors;
pub use listener::{converse, serve};
