//! Floor 3: hands and ears. It alone touches the machine; one neighbour a file.

pub mod account;
pub mod btrfs;
pub mod clock;
pub mod config_file;
mod config_watch;
pub mod confine;
pub mod directory;
pub mod disks;
pub mod ears;
pub mod environment;
pub mod files;
pub mod history;
pub mod journal;
pub mod machine;
pub mod mounts;
pub mod notifications;
pub mod probe;
pub mod process;
pub mod service;
pub mod socket;
pub mod state_dir;
mod sys;
pub mod terminal;
pub mod tree;
