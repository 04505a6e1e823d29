//! The door of the daemon.

fn main() {}
