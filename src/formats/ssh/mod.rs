//! ssh: its arguments, its complaints, and what is said to a shell at the other end.

pub mod answers;
pub mod arguments;
pub mod complaints;
pub mod hops;
pub mod quote;
pub mod script;
