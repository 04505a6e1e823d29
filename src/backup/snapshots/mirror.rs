//! What is known of a copy without history: there is one, and each run changes it.

use std::path::Path;

use jiff::Timestamp;

use crate::backup::snapshots::log;
use crate::formats::log::LogRecord;
use crate::model::layout::{self, OWN};
use crate::model::{Outcome, SnapshotKind, Standing};
use crate::os::directory::{Directory, Kind, Reach};

/// How the runs of the past left a copy without history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MirrorPast {
    /// When the last run ended that came to its end; `None` if the log knows of none.
    pub(crate) made: Option<Timestamp>,
    /// How far it can be trusted since.
    pub(crate) standing: Standing,
    /// Whether runs that did not come to their end may have changed it behind that.
    pub(crate) is_mixed: bool,
}

impl MirrorPast {
    /// As a log tells it, in whatever order; nothing said is nothing bad. `is_marked` where a copy is noted there that
    /// was begun and not finished, of which no line need tell.
    pub(crate) fn of(records: &[LogRecord], is_marked: bool) -> Self {
        let whole = records.iter().filter(|record| record.outcome == Outcome::Ok).max_by_key(|record| record.started);
        let is_cut = |record: &LogRecord| match record.outcome {
            Outcome::Interrupted | Outcome::Failed => whole.is_none_or(|whole| whole.started < record.started),
            Outcome::Ok | Outcome::Skipped | Outcome::Held => false,
        };
        let is_mixed = is_marked || records.iter().any(is_cut);
        let standing = match whole {
            Some(whole) => whole.standing,
            // Nothing ever made it whole.
            None if is_mixed => Standing::Suspect,
            None => Standing::Good,
        };
        Self { made: whole.map(|whole| whole.finished), standing, is_mixed }
    }

    /// The same of a destination on this machine.
    pub(crate) fn at(destination: &Directory) -> Self {
        let own = destination.open_below(Path::new(OWN), Reach::SameMount);
        let records = own.as_ref().ok().and_then(|own| log::read(own).ok()).unwrap_or_default();
        let marker = layout::marker(SnapshotKind::None);
        let is_marked = own.is_ok_and(|own| own.kind_of(marker).is_ok_and(|kind| kind != Kind::Nothing));
        Self::of(&records, is_marked)
    }

    /// The same where it is known besides when a run last made it whole: a log that was lost or cut knows less.
    pub(crate) fn known_to(self, last_success: Option<Timestamp>) -> Self {
        match (self.made, last_success) {
            (None, Some(_)) => Self { made: last_success, standing: Standing::Good, ..self },
            (Some(_), _) | (None, None) => self,
        }
    }

    /// What a person is told of it who gets something out of it.
    pub(crate) fn remark(&self) -> Option<&'static str> {
        match (self.is_mixed, self.made) {
            (false, _) => None,
            (true, Some(_)) => Some(
                "runs behind that did not come to their end: what they had copied by then is in it, too, and where \
                 they were cut short a file may be wanting",
            ),
            (true, None) => Some("no run to this copy is known to have come to its end: it may lack anything"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(started: i64, outcome: Outcome, standing: Standing) -> LogRecord {
        let at = |second| Timestamp::from_second(second).unwrap();
        LogRecord {
            run: "20261122T173000.000Z-0001".parse().unwrap(),
            sync: "documents".parse().unwrap(),
            host: "eve".into(),
            writer: None,
            started: at(started),
            finished: at(started + 5),
            outcome,
            error: None,
            snapshot: None,
            standing,
            entries: 0,
            files: 0,
            bytes: 0,
            deletions: 0,
        }
    }

    #[test]
    fn it_is_of_the_last_run_that_came_to_its_end() {
        use Outcome::{Failed, Held, Interrupted, Ok, Skipped};
        let (good, partial) = (Standing::Good, Standing::Partial);
        for (runs, made, standing, is_mixed) in [
            (vec![], None, good, false),
            (vec![(1, Ok, good)], Some(6), good, false),
            (vec![(1, Ok, good), (9, Ok, partial), (20, Skipped, good), (30, Held, good)], Some(14), partial, false),
            (vec![(1, Ok, partial), (9, Failed, good)], Some(6), partial, true),
            (vec![(1, Ok, good), (9, Interrupted, good), (20, Held, good)], Some(6), good, true),
            // A server tells the last of each kind, in no order.
            (vec![(1, Interrupted, good), (9, Ok, good)], Some(14), good, false),
            (vec![(9, Interrupted, good), (1, Ok, good)], Some(6), good, true),
            (vec![(1, Failed, good)], None, Standing::Suspect, true),
        ] {
            let records: Vec<_> = runs.iter().map(|(at, outcome, how)| record(*at, *outcome, *how)).collect();
            let past = MirrorPast::of(&records, false);
            let made = made.map(|second| Timestamp::from_second(second).unwrap());
            assert_eq!(past, MirrorPast { made, standing, is_mixed }, "{runs:?}");
            assert_eq!(past.remark().is_some(), is_mixed);
            let known = past.known_to(Timestamp::from_second(40).ok());
            assert_eq!((known.made.is_some(), known.is_mixed), (true, is_mixed), "{runs:?}");
            assert!(!known.remark().unwrap_or_default().contains("no run"), "{runs:?}");
            assert_eq!(known == past, past.made.is_some(), "{runs:?}");
            assert!(MirrorPast::of(&records, true).is_mixed, "{runs:?}");
        }
    }
}
