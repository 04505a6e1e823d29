//! The finished copies of a destination: what is there, how one gets its name, which of them go.

pub mod commit;
pub mod prune;
pub mod recover;
pub mod shelf;
