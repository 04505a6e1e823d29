//! ssh: its arguments, its complaints, and what is said to a shell at the other end.

pub mod answers;
pub mod arguments;
pub mod calls;
pub mod compare;
pub mod complaints;
pub mod contents;
pub mod drive;
pub mod find;
pub mod hands;
pub mod hops;
pub mod hosts;
pub mod links;
mod option;
pub mod presence;
pub mod probe;
pub mod quote;
pub mod script;
pub mod settings;
pub mod site;
pub mod sizes;
pub mod states;
pub mod traps;
