//! What people ask for beside runs: prepare, preview, snapshots, prune, and a hook without a run. Each may wait for a
//! slow drive, and confines its thread where it writes.

pub mod hands;
pub mod listing;
pub mod made;
pub mod overdue;
pub mod prepare;
pub mod preview;
mod strangers;
pub mod there;
mod weights;
