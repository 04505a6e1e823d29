//! rsync: its arguments, its output, its complaints, its exit codes.

pub mod arguments;
pub mod chosen;
pub mod comparing;
pub mod complaints;
pub mod exit;
mod folded;
mod grievance;
pub mod output;
pub mod pace;
pub mod restoring;
pub mod rules;
pub mod version;
