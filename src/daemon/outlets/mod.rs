//! What the daemon does: runs, drives, history, the journal, notifications.

pub mod keeper;
pub mod notifier;
pub mod opener;
pub mod reporter;
pub mod worker;
