//! What was seen of the machine, judged: what a person could mend, and how.
//!
//! Each function takes what was seen of one thing and gives how it stands. What is said was seen; what could not be
//! seen is said to be so.

pub mod credentials;
pub mod daemon;
pub mod drives;
pub mod hands;
pub mod neighbours;
pub mod state;
pub mod syncs;
#[cfg(test)]
mod tests;
pub mod tools;
pub mod volumes;

use std::path::Path;

use crate::model::{Area, Examined, Flaw, Guarded, Mend, OthersRights, Owner};

/// How something becomes ours alone: by `chmod`, or, where it belongs to another user, whose it stays, by `instead`.
#[must_use]
fn alone(guarded: &Guarded, mode: &str, shown: impl std::fmt::Display, instead: &str) -> String {
    match guarded.owner {
        Owner::Us | Owner::Root => format!("run `chmod {mode} {shown}`"),
        Owner::Other(uid) => format!("it belongs to the user with the number {uid}, whose it stays: {instead}"),
    }
}

/// What makes something of ours ours alone.
fn mend(guarded: &Guarded, path: &Path, takes: OthersRights) -> Option<Mend> {
    (guarded.owner == Owner::Us).then(|| Mend { path: path.to_owned(), takes })
}

/// Something was asked and has not answered in time.
#[must_use]
pub fn unanswered(area: Area, subject: &str, seconds: u64) -> Examined {
    let finding = Flaw::NoAnswer.warning(
        format!("nothing is known of it: there was no answer within {seconds} s"),
        "check what does not answer (a dead mount, bus or disk: `dmesg` may tell), then run `nbkpctl doctor` again",
    );
    area.examined(subject, finding)
}
