//! Getting files back: which copies hold them, and bringing one to its place. Nothing here writes into a copy.

pub mod aim;
pub mod bare;
pub mod fetch;
pub mod giving;
pub mod holdings;
pub mod sought;
pub mod versions;
