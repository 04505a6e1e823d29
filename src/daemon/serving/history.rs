//! `History`: the runs of the past, and sums over them.

use std::collections::BTreeMap;

use tokio::sync::oneshot;

use crate::daemon::outlets::keeper::{HistoryQuestion, KeeperQuestion};
use crate::daemon::serving::asking::Doors;
use crate::daemon::serving::wire::{Gone, Line};
use crate::formats::wire::{CallError, Flow, HistoryLimit, HistoryReply, Moment, RunEntry, SyncTally, reply_frame};
use crate::model::{Outcome, RunRecord, SyncName};
use crate::os::history::RUNS;

/// Whether sums are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stats {
    Wanted,
    Unwanted,
}

/// Tells the newest runs, and the sums over all that history holds if they are wanted.
pub(super) async fn tell_history(
    sync: Option<SyncName>,
    limit: HistoryLimit,
    stats: Stats,
    doors: &Doors,
    line: &mut Line,
) -> Result<(), Gone> {
    let unknown = doors.know(sync.as_slice()).err();
    let limit = usize::try_from(limit.0).unwrap_or(usize::MAX);
    let all = usize::try_from(RUNS).unwrap_or(usize::MAX);
    let (answer, answered) = oneshot::channel();
    let question = HistoryQuestion { sync, limit: if stats == Stats::Wanted { all } else { limit }, answer };
    if doors.history.send(KeeperQuestion::Runs(question)).await.is_err() {
        return line.replies.fail(&CallError::Stopping).await;
    }
    match answered.await {
        Ok(Ok(records)) => {
            // A sync that left the configuration has a past all the same.
            if let Some(error) = unknown.filter(|_| records.is_empty()) {
                return line.replies.fail(&error).await;
            }
            // All that history holds are many megabytes: nobody else waits until they are written as text.
            let frame = tokio::task::spawn_blocking(move || frame(&records, limit, stats));
            match frame.await {
                Ok(frame) => line.replies.send(&frame).await,
                Err(_) => line.replies.fail(&CallError::Stopping).await,
            }
        }
        Ok(Err(message)) => line.replies.fail(&CallError::Failed { message }).await,
        Err(_) => line.replies.fail(&CallError::Stopping).await,
    }
}

fn frame(records: &[RunRecord], limit: usize, stats: Stats) -> Vec<u8> {
    let stats = match stats {
        Stats::Wanted => Some(tallies(records)),
        Stats::Unwanted => None,
    };
    let runs = records.iter().take(limit).map(RunEntry::in_history).collect();
    reply_frame(&HistoryReply { runs, stats }, Flow::Ends)
}

fn tallies(records: &[RunRecord]) -> Vec<SyncTally> {
    let mut tallies: BTreeMap<&SyncName, (SyncTally, u64)> = BTreeMap::new();
    for record in records {
        let (tally, seconds) = tallies.entry(&record.sync).or_default();
        tally.sync = record.sync.to_string();
        tally.runs += 1;
        tally.files_transferred += record.figures.files_transferred;
        tally.bytes_transferred += record.figures.bytes_transferred;
        match record.outcome {
            Outcome::Ok => {
                tally.ok += 1;
                let took = record.finished.duration_since(record.started).as_secs();
                *seconds += u64::try_from(took).unwrap_or(0);
                tally.last_success = tally.last_success.max(Some(Moment(record.finished)));
            }
            Outcome::Failed => tally.failed += 1,
            Outcome::Interrupted => tally.interrupted += 1,
            Outcome::Held => tally.held += 1,
            Outcome::Skipped => {}
        }
    }
    let finished = tallies.into_values().map(|(tally, seconds)| {
        let mean_seconds = seconds.checked_div(tally.ok);
        SyncTally { mean_seconds, ..tally }
    });
    finished.collect()
}
