//! What a person is reminded of, for programs; and when of what, as the state directory keeps it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::formats::wire::Moment;

/// The version of the file.
const VERSION: u32 = 1;

/// When a person was reminded of what.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reminded(pub BTreeMap<String, Timestamp>);

#[derive(Serialize, Deserialize)]
struct Page {
    version: u32,
    reminded: BTreeMap<String, Moment>,
}

/// What a person should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reminder {
    /// The sync; absent for the daemon itself.
    pub sync: Option<String>,
    /// What it is.
    pub message: String,
    /// Whether it was told now, beside being printed: once a day at most.
    pub told: bool,
}

/// All that a person should know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reminders {
    /// `running`, or `dead`.
    pub daemon: &'static str,
    /// What it is.
    pub reminders: Vec<Reminder>,
}

impl Reminded {
    /// What a file says. What makes no sense, or is of a newer version, is as if nobody had been reminded.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let page = serde_json::from_slice::<Page>(bytes).ok().filter(|page| page.version == VERSION);
        let known = page.into_iter().flat_map(|page| page.reminded);
        Self(known.map(|(what, when)| (what, when.0)).collect())
    }

    /// The file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let reminded = self.0.iter().map(|(what, when)| (what.clone(), Moment(*when))).collect();
        let page = Page { version: VERSION, reminded };
        // Our own types always have a JSON text.
        serde_json::to_vec(&page).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_was_written_and_nonsense_as_nothing() {
        let known = Reminded([("sync photos".to_owned(), "2026-11-22T12:00:00Z".parse().unwrap())].into());
        assert_eq!(Reminded::from_bytes(&known.to_bytes()), known);
        for text in ["", "{", "{\"version\":2,\"reminded\":{}}", "{\"version\":1,\"reminded\":{\"a\":5}}"] {
            assert_eq!(Reminded::from_bytes(text.as_bytes()), Reminded::default(), "{text}");
        }
    }
}
