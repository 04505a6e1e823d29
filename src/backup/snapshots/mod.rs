//! The finished copies of a destination: what lies there, what is done about it here and at a server, how one is made
//! complete, which of them go.

pub mod commit;
pub mod deeds;
pub mod listing;
pub mod log;
pub mod mirror;
pub mod prune;
pub mod sent;
