//! Proving copies: they are read back, and compared with the source and with each other.

mod course;
mod ends;
mod findings;
pub mod order;

pub use course::CheckProgress;
pub(crate) use course::check_copy;
