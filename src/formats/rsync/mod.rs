//! rsync: its arguments, its output, its complaints, its exit codes.

pub mod arguments;
pub mod complaints;
pub mod exit;
pub mod output;
pub mod rules;
pub mod version;
