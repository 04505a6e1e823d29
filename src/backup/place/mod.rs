//! Both ends of a sync, proven and held: each of them here or at a server.

pub mod approach;
pub mod copies;
pub mod destination;
pub mod here;
pub mod look;
pub mod marker;
pub mod pinned;
pub mod publication;
pub mod source;
pub mod submounts;
pub mod there;
pub mod way;
pub mod writer;
