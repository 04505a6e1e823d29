//! `History`: the runs of the past, and sums over them.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Date;
use tokio::sync::oneshot;

use crate::daemon::outlets::keeper::{HistoryQuestion, KeeperQuestion};
use crate::daemon::serving::asking::Doors;
use crate::daemon::serving::wire::{Gone, Line};
use crate::decide::chains::{Delivery, Spread, Success, Successes, arrivals, spreads};
use crate::formats::wire::{
    CallError, DayEntry, Flow, HeavyEntry, HistoryLimit, HistoryReply, Moment, RunEntry, SourceCopies, SyncTally,
    reply_frame,
};
use crate::model::{
    CheckRecord, Configuration, DaySum, Days, HeavyDirectory, Outcome, RunRecord, Status, SyncName, add_runs,
};
use crate::os::clock;
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
    let asked = match stats {
        Stats::Wanted => past(sync.clone(), doors).await,
        // Only what is shown is read.
        Stats::Unwanted => runs(sync.clone(), limit, doors).await.map(|records| (records, None)),
    };
    let asked = match asked {
        Ok((records, past)) => checks(sync, limit, doors).await.map(|checks| (records, checks, past)),
        Err(error) => Err(error),
    };
    match asked {
        Ok((records, checks, past)) => {
            let is_empty =
                records.is_empty() && checks.is_empty() && past.as_ref().is_none_or(|past| past.days.is_empty());
            // A sync that left the configuration has a past all the same.
            if let Some(error) = unknown.filter(|_| is_empty) {
                return line.replies.fail(&error).await;
            }
            // All that history holds are many megabytes: nobody else waits until they are written as text.
            let frame = tokio::task::spawn_blocking(move || frame(&records, &checks, limit, past));
            match frame.await {
                Ok(frame) => line.replies.send(&frame).await,
                Err(_) => line.replies.fail(&CallError::Stopping).await,
            }
        }
        Err(error) => line.replies.fail(&error).await,
    }
}

/// What sums are made of, beside the runs.
#[derive(Debug)]
struct Past {
    asked: Option<SyncName>,
    days: Days,
    /// All runs, which tell how old the data is that went through several syncs; none if those of all were asked for.
    all: Vec<RunRecord>,
    configuration: Arc<Configuration>,
    status: Arc<Status>,
}

async fn runs(sync: Option<SyncName>, limit: usize, doors: &Doors) -> Result<Vec<RunRecord>, CallError> {
    let (answer, answered) = oneshot::channel();
    ask(KeeperQuestion::Runs(HistoryQuestion { sync, limit, answer }), answered, doors).await
}

async fn checks(sync: Option<SyncName>, limit: usize, doors: &Doors) -> Result<Vec<CheckRecord>, CallError> {
    let (answer, answered) = oneshot::channel();
    ask(KeeperQuestion::Checks(sync, limit, answer), answered, doors).await
}

async fn ask<T>(
    question: KeeperQuestion,
    answered: oneshot::Receiver<Result<T, String>>,
    doors: &Doors,
) -> Result<T, CallError> {
    doors.history.send(question).await.map_err(|_| CallError::Stopping)?;
    answered.await.map_err(|_| CallError::Stopping)?.map_err(|message| CallError::Failed { message })
}

async fn past(sync: Option<SyncName>, doors: &Doors) -> Result<(Vec<RunRecord>, Option<Past>), CallError> {
    let all = runs(None, usize::try_from(RUNS).unwrap_or(usize::MAX), doors).await?;
    let (answer, answered) = oneshot::channel();
    let days = ask(KeeperQuestion::Days(sync.clone(), answer), answered, doors).await?;
    let (records, all) = match &sync {
        Some(asked) => (all.iter().filter(|record| record.sync.answers_to(asked)).cloned().collect(), all),
        None => (all, Vec::new()),
    };
    let (configuration, status) = (doors.configuration_now(), doors.status_now());
    Ok((records, Some(Past { asked: sync, days, all, configuration, status })))
}

fn frame(records: &[RunRecord], checks: &[CheckRecord], limit: usize, past: Option<Past>) -> Vec<u8> {
    let runs = together(records, checks).take(limit).collect();
    let (stats, sources) = past.map(|past| sums(records, past)).unzip();
    reply_frame(&HistoryReply { runs, stats, sources }, Flow::Ends)
}

/// Runs and checks, each of them in the order in which they were recorded, the newest first.
fn together(records: &[RunRecord], checks: &[CheckRecord]) -> impl Iterator<Item = RunEntry> {
    let (mut records, mut checks) = (records.iter().peekable(), checks.iter().peekable());
    std::iter::from_fn(move || {
        let is_later = |check: &CheckRecord, run: &RunRecord| check.finished > run.finished;
        match (records.peek(), checks.peek()) {
            (Some(run), Some(check)) if is_later(check, run) => checks.next().map(RunEntry::of_check),
            (None, _) => checks.next().map(RunEntry::of_check),
            (Some(_), _) => records.next().map(RunEntry::in_history),
        }
    })
}

/// The sums of each sync, and where the copies of each source are.
fn sums(records: &[RunRecord], past: Past) -> (Vec<SyncTally>, Vec<SourceCopies>) {
    let Past { asked, mut days, all, configuration, status } = past;
    // What a sync copied before it led elsewhere is in history, and no copy that is there.
    let begins_anew: BTreeSet<&SyncName> =
        status.syncs.iter().filter(|sync| sync.last_success.is_none()).map(|sync| &sync.name).collect();
    let mut successes = successes(if asked.is_none() { records } else { &all });
    successes.retain(|sync, _| !begins_anew.contains(sync));
    let arrivals = arrivals(&configuration.syncs, &successes);
    add_runs(&mut days, records, &clock::now().zone);
    let mut newest: BTreeMap<&SyncName, &RunRecord> = BTreeMap::new();
    let is_copy = |record: &&RunRecord| record.outcome == Outcome::Ok && !begins_anew.contains(&record.sync);
    for record in records.iter().filter(is_copy) {
        newest.entry(&record.sync).or_insert(record);
    }
    let weights = weights(records);
    let tally = |(sync, days): (&SyncName, &BTreeMap<Date, DaySum>)| SyncTally {
        last_success: newest.get(sync).map(|record| Moment(record.finished)),
        size: newest.get(sync).map(|record| record.figures.size).filter(|size| *size > 0),
        heaviest: weights.get(sync).map(heaviest).unwrap_or_default(),
        bygone: (!configuration.syncs.contains_key(sync)).then_some(true),
        ..tally(sync, days, arrivals.get(sync))
    };
    let stats = days.iter().map(tally).collect();
    let away = status.volumes.iter().filter(|volume| volume.path.is_none()).map(|volume| volume.name.clone());
    let spreads = spreads(&configuration.syncs, &configuration.volumes, &arrivals, &away.collect());
    let concerns = |spread: &&Spread<'_>| {
        asked.as_ref().is_none_or(|asked| spread.syncs.iter().any(|sync| sync.answers_to(asked)))
    };
    (stats, spreads.iter().filter(concerns).map(source).collect())
}

fn successes(records: &[RunRecord]) -> Successes {
    let mut successes = Successes::new();
    for record in records.iter().filter(|record| record.outcome == Outcome::Ok) {
        let success = Success { started: record.started, finished: record.finished };
        successes.entry(record.sync.clone()).or_default().push(success);
    }
    successes
}

fn tally(sync: &SyncName, days: &BTreeMap<Date, DaySum>, arrival: Option<&Delivery>) -> SyncTally {
    let mut whole = DaySum::default();
    for day in days.values() {
        whole.merge(day);
    }
    let slowest = days.iter().filter(|(_, day)| day.ok > 0).max_by_key(|(_, day)| day.longest);
    SyncTally {
        sync: sync.to_string(),
        runs: whole.runs(),
        ok: whole.ok,
        failed: whole.failed,
        interrupted: whole.interrupted,
        held: whole.held,
        files_transferred: whole.files,
        bytes_transferred: whole.bytes,
        mean_seconds: whole.lasted.as_secs().checked_div(whole.ok),
        unchanged: Some(whole.unchanged),
        slowest_seconds: slowest.map(|(_, day)| day.longest.as_secs()),
        slowest_day: slowest.map(|(date, _)| date.to_string()),
        data_of: arrival.and_then(|arrival| arrival.data_of).map(Moment),
        through: arrival.map_or_else(Vec::new, |arrival| words(&arrival.through)),
        days: days.iter().map(|(date, day)| entry(*date, day)).collect(),
        last_success: None,
        size: None,
        heaviest: Vec::new(),
        bygone: None,
    }
}

/// The bytes that runs sent of directories, as far as each counts them among its heaviest.
fn weights(records: &[RunRecord]) -> BTreeMap<&SyncName, BTreeMap<&str, u64>> {
    let mut weights: BTreeMap<&SyncName, BTreeMap<&str, u64>> = BTreeMap::new();
    for (record, heavy) in records.iter().flat_map(|record| record.heaviest.iter().map(move |heavy| (record, heavy))) {
        let sum = weights.entry(&record.sync).or_default().entry(&heavy.directory).or_default();
        *sum = sum.saturating_add(heavy.bytes);
    }
    weights
}

/// The directories of which most was sent, the first the most.
fn heaviest(weights: &BTreeMap<&str, u64>) -> Vec<HeavyEntry> {
    let mut all: Vec<_> = weights.iter().collect();
    all.sort_by_key(|(_, bytes)| Reverse(*bytes));
    all.truncate(HeavyDirectory::MOST);
    all.into_iter().map(|(directory, bytes)| HeavyEntry { directory: (*directory).to_owned(), bytes: *bytes }).collect()
}

fn entry(date: Date, day: &DaySum) -> DayEntry {
    DayEntry {
        day: date.to_string(),
        ok: day.ok,
        unchanged: day.unchanged,
        partial: Some(day.partial),
        failed: day.failed,
        interrupted: day.interrupted,
        held: day.held,
        skipped: day.skipped,
        bytes: day.bytes,
        size: day.size,
        milliseconds: milliseconds(day.lasted),
    }
}

fn milliseconds(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

fn source(spread: &Spread<'_>) -> SourceCopies {
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    SourceCopies {
        source: spread.source.to_string(),
        syncs: spread.syncs.iter().map(ToString::to_string).collect(),
        copied: spread.copied.iter().map(ToString::to_string).collect(),
        media: count(spread.media),
        off_site: count(spread.off_site),
        newest: spread.newest.map(Moment),
        oldest: spread.oldest.map(Moment),
    }
}

fn words(names: &BTreeSet<SyncName>) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}
