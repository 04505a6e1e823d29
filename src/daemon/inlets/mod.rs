//! What the daemon takes in: looks, answers of servers, what is sensed, keyrings, the configuration file.

pub mod keyring;
pub mod observer;
pub mod prober;
pub mod reader;
pub mod senses;
