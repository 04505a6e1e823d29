//! Getting files back: which copies hold them, and bringing one to its place. Nothing here writes into a copy.

pub mod aim;
pub mod bare;
pub mod between;
pub mod course;
pub mod fetch;
pub mod find;
pub mod giving;
pub mod holdings;
pub mod naming;
pub mod origin;
pub mod sought;
pub mod versions;
pub mod witness;
