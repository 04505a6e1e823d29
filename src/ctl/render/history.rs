//! The runs of the past.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::page::{Page, Tone, outcome_tone};
use super::table::{Column, Row, table};
use super::tallies::tallies;
use crate::ctl::output::Detail;
use crate::ctl::render::runs::{NOTHING_NEW, took};
use crate::formats::text::{grouped, size};
use crate::formats::wire::{HistoryReply, RunEntry, VERIFY};
use crate::model::{Now, Outcome};

/// The runs as a table, newest first, and the sums if there are any.
#[must_use]
pub fn history(history: &HistoryReply, now: &Now, detail: Detail, room: Option<usize>) -> String {
    let mut page = Page::default();
    if history.runs.is_empty() {
        page.line("there are no runs yet");
    } else {
        let mut columns = vec![
            Column::Words("STARTED"),
            Column::Names("SYNC"),
            Column::Asides("TRIGGER"),
            Column::Words("OUTCOME"),
            Column::Numbers("FILES"),
            Column::Numbers("BYTES"),
            Column::Numbers("DURATION"),
        ];
        if detail == Detail::Full {
            columns.extend([Column::Notes("DELETED"), Column::Notes("RUN"), Column::Notes("SNAPSHOT")]);
        }
        columns.push(Column::Notes("NOTE"));
        let rows = history.runs.iter().map(|run| row(run, &now.zone, detail));
        page.block(&table(&columns, &rows.collect::<Vec<_>>(), room));
    }
    if let Some(stats) = history.stats.as_ref().filter(|stats| !stats.is_empty()) {
        page.gap();
        page.block(&tallies(stats, history.sources.as_deref().unwrap_or_default(), now, room));
    }
    page.finish()
}

fn row(run: &RunEntry, zone: &TimeZone, detail: Detail) -> Row {
    let mut cells = vec![
        local(run.started.0, zone),
        run.sync.clone().unwrap_or_default(),
        run.trigger.to_string(),
        outcome(run),
        grouped(run.files_transferred),
        size(run.bytes_transferred),
        took(run).unwrap_or_else(|| "-".into()),
    ];
    if detail == Detail::Full {
        cells.extend([grouped(run.files_deleted), run.id.clone(), run.snapshot.clone().unwrap_or_default()]);
    }
    let remarks = run.unchanged.unwrap_or(false).then_some(NOTHING_NEW).into_iter();
    let note = || remarks.chain(run.warnings.iter().map(String::as_str)).collect::<Vec<_>>().join("; ");
    cells.push(run.error.clone().unwrap_or_else(note));
    // A table of good runs is read more easily without colour.
    let tone = if run.outcome.is(Outcome::Ok) { Tone::Plain } else { outcome_tone(&run.outcome) };
    Row { cells, tone }
}

/// How it ended; of a check, what it was, too: it made no copy.
fn outcome(run: &RunEntry) -> String {
    match (run.kind.as_deref(), run.damaged) {
        (None, _) => run.outcome.to_string(),
        (Some(VERIFY), Some(1..)) => "damaged".to_owned(),
        (Some(VERIFY), _) if run.outcome.is(Outcome::Ok) => "verified".to_owned(),
        (Some(VERIFY), _) if run.outcome.is(Outcome::Skipped) => "unproven".to_owned(),
        (Some(kind), _) => format!("{kind} {}", run.outcome),
    }
}

/// A moment as the clock on the wall shows it.
#[must_use]
pub fn local(moment: Timestamp, zone: &TimeZone) -> String {
    moment.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string()
}

#[cfg(test)]
mod tests {
    use super::super::page::plain;
    use super::*;
    use crate::formats::wire::{Moment, SyncTally};
    use crate::model::{BootTime, Trigger};

    fn now() -> Now {
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        Now { boot: BootTime::default(), wall: "2026-11-22T17:30:00Z".parse().unwrap(), zone }
    }

    fn run(outcome: Outcome, error: Option<&str>) -> RunEntry {
        RunEntry {
            kind: None,
            unchanged: None,
            damaged: None,
            sync: Some("mail".into()),
            id: "r".into(),
            outcome: outcome.into(),
            started: Moment("2026-11-22T16:00:00Z".parse().unwrap()),
            finished: Moment("2026-11-22T16:01:05Z".parse().unwrap()),
            trigger: Trigger::Drive.into(),
            files_transferred: 1204,
            bytes_transferred: 1536,
            error: error.map(Into::into),
            files_deleted: 0,
            entries: 0,
            snapshot: None,
            warnings: vec!["2 files vanished".into()],
        }
    }

    #[test]
    fn each_run_is_a_row_in_local_time_and_sums_follow() {
        let tally = SyncTally { sync: "mail".into(), runs: 2, ok: 1, failed: 1, ..SyncTally::default() };
        let same = RunEntry { unchanged: Some(true), ..run(Outcome::Ok, None) };
        let runs = vec![run(Outcome::Failed, Some("no space")), run(Outcome::Ok, None), same];
        let reply = HistoryReply { runs, stats: Some(vec![tally]), sources: None };
        let expected = "\
STARTED              SYNC  TRIGGER  OUTCOME  FILES    BYTES   DURATION  NOTE
2026-11-22 17:00:00  mail  drive    failed   1,204  1.5 KiB  1 min 5 s  no space
2026-11-22 17:00:00  mail  drive    ok       1,204  1.5 KiB  1 min 5 s  2 files vanished
2026-11-22 17:00:00  mail  drive    ok       1,204  1.5 KiB  1 min 5 s  nothing new, so no snapshot; 2 files vanished

mail  2 runs: 1 ok, 1 failed
    sent       no files, 0 B
    duration   - on average, - at the most
    success    50 % of the runs made their copy
    data     none was copied so far
";
        assert_eq!(plain(&history(&reply, &now(), Detail::Usual, None)), expected);
        let check = |outcome, damaged| RunEntry { kind: Some(VERIFY.into()), damaged, ..run(outcome, None) };
        assert_eq!(super::outcome(&check(Outcome::Ok, Some(0))), "verified");
        assert_eq!(super::outcome(&check(Outcome::Failed, Some(2))), "damaged");
        assert_eq!(super::outcome(&check(Outcome::Failed, Some(0))), "verify failed");
        assert_eq!(super::outcome(&check(Outcome::Skipped, Some(0))), "unproven");
        let nothing = HistoryReply { runs: vec![], stats: Some(vec![]), sources: None };
        assert_eq!(history(&nothing, &now(), Detail::Usual, None), "there are no runs yet\n");
    }
}
