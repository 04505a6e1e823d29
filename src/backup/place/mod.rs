//! One end of a sync, proven and held: here or at a server.

pub mod here;
pub mod marker;
pub mod source;
pub mod there;
pub mod way;
