//! What the daemon does: runs, drives, history, the journal, notifications, and what other programs are told.

pub mod caller;
mod check_notices;
pub mod checker;
pub mod keeper;
mod message_id;
pub mod notifier;
pub mod opener;
pub mod reporter;
pub mod textfile;
pub mod worker;
