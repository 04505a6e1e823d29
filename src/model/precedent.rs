//! What a destination was before a run, as far as its log tells.

use super::Outcome;

/// What the log of a destination says of earlier copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precedent {
    /// Of none, or of such as were held.
    #[default]
    Unknown,
    /// That some were begun, and none was made.
    Begun,
    /// That the last one that was made has no history.
    Mirror,
    /// That the last one that was made is a snapshot.
    Snapshots,
}

impl Precedent {
    /// By how the runs ended and whether they made a snapshot, oldest first.
    pub fn of(runs: impl DoubleEndedIterator<Item = (Outcome, bool)>) -> Self {
        let mut past = Self::Unknown;
        for (outcome, made_snapshot) in runs.rev() {
            match outcome {
                Outcome::Ok if made_snapshot => return Self::Snapshots,
                Outcome::Ok => return Self::Mirror,
                Outcome::Interrupted | Outcome::Failed => past = Self::Begun,
                Outcome::Skipped | Outcome::Held => {}
            }
        }
        past
    }
}
