//! What people see: pure functions from the replies of the daemon to text.
//!
//! Texts carry escape codes of colour, which are taken out later where there is none. What comes from elsewhere goes
//! through `printable` before it is painted.

pub mod checks;
pub mod doctor;
pub mod drives;
pub mod find;
pub mod history;
pub mod listing;
pub mod page;
pub mod prepare;
pub mod preview;
pub mod prune;
pub mod report;
pub mod restores;
pub mod runs;
pub mod simulate;
pub mod snapshots;
pub mod sparks;
pub mod status;
pub mod table;
pub mod tallies;
pub mod why;
