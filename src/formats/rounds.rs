//! How far the checks of a sync are, as the ledger keeps it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{CheckRound, CheckRounds, CheckSums};

/// How far the checks of a sync are.
#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
pub(super) struct RoundsEntry {
    finished: Option<String>,
    verified: Option<String>,
    under_way: Option<RoundEntry>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct RoundEntry {
    began: String,
    read: u8,
    files: u64,
    bytes: u64,
    compared: u64,
    passed_over: u64,
    damaged: u64,
    doubtful: u64,
}

impl RoundsEntry {
    /// What it says; `None` if one of its times is none.
    pub(super) fn read(self) -> Option<CheckRounds> {
        let time = |text: &String| text.parse::<Timestamp>().ok();
        let under_way = match self.under_way {
            Some(RoundEntry { began, read, files, bytes, compared, passed_over, damaged, doubtful }) => {
                let sums = CheckSums { files, bytes, compared, passed_over, damaged, doubtful };
                Some(CheckRound { began: time(&began)?, read, sums })
            }
            None => None,
        };
        let moment = |text: Option<String>| match text {
            Some(text) => time(&text).map(Some),
            None => Some(None),
        };
        Some(CheckRounds { finished: moment(self.finished)?, verified: moment(self.verified)?, under_way })
    }
}

impl From<&CheckRounds> for RoundsEntry {
    fn from(rounds: &CheckRounds) -> Self {
        let under_way = |round: &CheckRound| {
            let CheckSums { files, bytes, compared, passed_over, damaged, doubtful } = round.sums;
            let (began, read) = (round.began.to_string(), round.read);
            RoundEntry { began, read, files, bytes, compared, passed_over, damaged, doubtful }
        };
        Self {
            finished: rounds.finished.as_ref().map(ToString::to_string),
            verified: rounds.verified.as_ref().map(ToString::to_string),
            under_way: rounds.under_way.as_ref().map(under_way),
        }
    }
}
