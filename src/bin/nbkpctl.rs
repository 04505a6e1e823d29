//! The door of the client.

fn main() {}
