//! Backups that happen by themselves when drives and networks come within reach.
//!
//! A house with six floors; imports point down only. `docs/ARCHITECTURE.md` tells the plan, `tests/architecture.rs`
//! holds it.

pub mod backup;
pub mod ctl;
pub mod daemon;
pub mod decide;
pub mod formats;
pub mod model;
pub mod os;
