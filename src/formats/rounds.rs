//! How far the checks of a sync are, as the ledger keeps it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{CheckRound, CheckRounds};

/// How far the checks of a sync are.
#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
pub(super) struct RoundsEntry {
    finished: Option<String>,
    under_way: Option<RoundEntry>,
}

#[derive(Serialize, Deserialize)]
struct RoundEntry {
    began: String,
    read: u8,
    files: u64,
    bytes: u64,
    damaged: u64,
}

impl RoundsEntry {
    /// What it says; `None` if one of its times is none.
    pub(super) fn read(self) -> Option<CheckRounds> {
        let time = |text: &String| text.parse::<Timestamp>().ok();
        let under_way = match self.under_way {
            Some(RoundEntry { began, read, files, bytes, damaged }) => {
                Some(CheckRound { began: time(&began)?, read, files, bytes, damaged })
            }
            None => None,
        };
        let finished = match &self.finished {
            Some(text) => Some(time(text)?),
            None => None,
        };
        Some(CheckRounds { finished, under_way })
    }
}

impl From<&CheckRounds> for RoundsEntry {
    fn from(rounds: &CheckRounds) -> Self {
        let under_way = |round: &CheckRound| RoundEntry {
            began: round.began.to_string(),
            read: round.read,
            files: round.files,
            bytes: round.bytes,
            damaged: round.damaged,
        };
        Self {
            finished: rounds.finished.as_ref().map(ToString::to_string),
            under_way: rounds.under_way.as_ref().map(under_way),
        }
    }
}
