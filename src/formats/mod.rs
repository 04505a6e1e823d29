//! Floor 2: translation. Text and bytes into nouns and back, pure; serde lives here only.

pub mod announcement;
pub mod config;
pub mod duration;
pub mod fingerprint;
pub mod fstab;
pub mod held;
pub mod json;
pub mod kernel_log;
pub mod ledger;
pub mod log;
pub mod luks;
pub mod metrics;
pub mod mountinfo;
mod octal;
pub mod ping;
pub mod polkit;
pub mod reminded;
pub mod rsync;
pub mod sentinel;
pub mod similar;
pub mod ssh;
pub mod text;
pub mod trouble;
pub mod udisks;
pub mod when;
pub mod wire;
pub mod writer;
