//! Setting up: what is proposed to a person, and what their answers make of a configuration.

mod additions;
mod drives;
mod kinds;
mod left_out;
mod names;

pub use additions::{Drafted, Planner, SyncWish, Unplanned};
pub use drives::{
    MachineSeen, SpotOnDrive, drive_at, is_eligible, mount_of, place_on_drive, presence, used_mount, with_uuid,
};
pub use kinds::{family, is_misfit, kind_for, losses};
pub use left_out::{Proposal, left_out};

#[cfg(test)]
mod tests;
