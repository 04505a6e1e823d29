//! Proving copies: they are read back, and compared with the source and with each other.

mod course;
mod ends;
mod findings;

pub(crate) use course::{CheckProgress, check_copy};
