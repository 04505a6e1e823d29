//! Keeps history and ledger: it writes what the dispatcher hands it, on a thread that may wait for a slow disk.
//!
//! A state directory that cannot be written stops no backup: what is to be kept stays in memory, is shown from there,
//! and is written with the next thing that can be.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use crate::daemon::messages::event::Record;
use crate::model::{CheckRecord, Days, Ledger, RunRecord, SyncName};
use crate::os::causes::chain;
use crate::os::clock;
use crate::os::history::{Entry, HistoryError, HistoryStore};
use crate::os::state_dir::{self, StateDirError};

/// How many entries wait in memory for a state directory that cannot be written.
const WAITING: usize = 10_000;

/// The beginning of a run that is shorter than this is written together with its end: one flush instead of two.
const SHORT_RUN: Duration = Duration::from_millis(400);

/// How soon a write is tried again that failed.
const AGAIN: Duration = Duration::from_mins(5);

/// A question to the keeper.
#[derive(Debug)]
pub enum KeeperQuestion {
    /// What the history says.
    Runs(HistoryQuestion),
    /// The newest checks of one sync, or of all; so many at the most.
    Checks(Option<SyncName>, usize, oneshot::Sender<Result<Vec<CheckRecord>, String>>),
    /// The sums by day of what it has forgotten; those of one sync, or of all.
    Days(Option<SyncName>, oneshot::Sender<Result<Days, String>>),
    /// Whether all that was decided so far is on the disk, or why not.
    Kept(oneshot::Sender<Result<(), String>>),
}

/// A question about the history.
#[derive(Debug)]
pub struct HistoryQuestion {
    /// Of one sync, or of all.
    pub sync: Option<SyncName>,
    /// How many runs at the most.
    pub limit: usize,
    /// The way back: the newest runs first, or why they cannot be read.
    pub answer: oneshot::Sender<Result<Vec<RunRecord>, String>>,
}

/// What is yet to be written.
#[derive(Debug, Default)]
struct Waiting {
    entries: Vec<Entry>,
    ledger: Option<Box<Ledger>>,
}

/// Writes and answers until nobody can send any more; then writes what is left.
pub async fn keep_records(
    state_dir: PathBuf,
    mut orders: mpsc::Receiver<Record>,
    mut questions: mpsc::Receiver<KeeperQuestion>,
    trouble: watch::Sender<Option<String>>,
) {
    let mut waiting = Waiting::default();
    let mut again = Instant::now();
    loop {
        tokio::select! {
            order = orders.recv() => {
                let last = order.is_none();
                waiting.take(order);
                // All that has come meanwhile is written in one go.
                while let Ok(order) = orders.try_recv() {
                    waiting.take(Some(order));
                }
                if !last && waiting.is_only_beginnings() {
                    again = Instant::now() + SHORT_RUN;
                    continue;
                }
                waiting = write(&state_dir, waiting, &trouble).await;
                again = Instant::now() + AGAIN;
                if last {
                    return;
                }
            }
            Some(question) = questions.recv() => match question {
                KeeperQuestion::Runs(question) => answer(&state_dir, question, &waiting, &trouble).await,
                KeeperQuestion::Days(sync, answer) => tell_days(&state_dir, sync, answer).await,
                KeeperQuestion::Checks(sync, limit, answer) => {
                    tell_checks(&state_dir, (sync, limit), &waiting, answer).await;
                }
                KeeperQuestion::Kept(answer) => {
                    // What was decided before the question is among these.
                    while let Ok(order) = orders.try_recv() {
                        waiting.take(Some(order));
                    }
                    if waiting.ledger.is_some() {
                        waiting = write(&state_dir, waiting, &trouble).await;
                        again = Instant::now() + AGAIN;
                    }
                    let why = || trouble.borrow().clone().unwrap_or_default();
                    // Whoever asked may have left.
                    let _ = answer.send(if waiting.ledger.is_none() { Ok(()) } else { Err(why()) });
                }
            },
            () = sleep_until(again), if !waiting.is_empty() => {
                waiting = write(&state_dir, waiting, &trouble).await;
                again = Instant::now() + AGAIN;
            }
        }
    }
}

/// Writes nothing, and answers from the history as it stands, until nobody can send any more.
pub async fn show_records(
    state_dir: PathBuf,
    mut orders: mpsc::Receiver<Record>,
    mut questions: mpsc::Receiver<KeeperQuestion>,
) {
    loop {
        tokio::select! {
            order = orders.recv() => if order.is_none() {
                return;
            },
            Some(question) = questions.recv() => {
                let HistoryQuestion { sync, limit, answer } = match question {
                    KeeperQuestion::Runs(question) => question,
                    KeeperQuestion::Days(sync, answer) => {
                        tell_days(&state_dir, sync, answer).await;
                        continue;
                    }
                    KeeperQuestion::Checks(sync, limit, answer) => {
                        tell_checks(&state_dir, (sync, limit), &Waiting::default(), answer).await;
                        continue;
                    }
                    KeeperQuestion::Kept(answer) => {
                        // Nothing is decided by who only looks.
                        let _ = answer.send(Ok(()));
                        continue;
                    }
                };
                let state_dir = state_dir.clone();
                let read = tokio::task::spawn_blocking(move || match HistoryStore::look(&state_dir) {
                    None => Ok(Vec::new()),
                    Some(mut history) => {
                        history.recent(sync.as_ref(), limit).map_err(|error| format!("could not {}", chain(&error)))
                    }
                });
                // Whoever asked may have left.
                let _ = answer.send(read.await.unwrap_or_else(|_| Err("the daemon is ending".into())));
            }
        }
    }
}

impl Waiting {
    fn take(&mut self, order: Option<Record>) {
        match order {
            Some(Record::Run(entry)) => self.entries.push(entry),
            Some(Record::Ledger(ledger)) => self.ledger = Some(ledger),
            None => {}
        }
        if self.entries.len() > WAITING {
            self.entries.remove(0);
        }
    }

    fn is_only_beginnings(&self) -> bool {
        self.ledger.is_none() && self.entries.iter().all(|entry| matches!(entry, Entry::Began { .. }))
    }

    fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.ledger.is_none()
    }
}

#[derive(Debug, thiserror::Error)]
enum KeepError {
    #[error(transparent)]
    History(#[from] HistoryError),
    #[error(transparent)]
    Ledger(#[from] StateDirError),
}

async fn write(state_dir: &Path, waiting: Waiting, trouble: &watch::Sender<Option<String>>) -> Waiting {
    if waiting.is_empty() {
        return waiting;
    }
    let state_dir = state_dir.to_owned();
    let written = tokio::task::spawn_blocking(move || {
        let mut waiting = waiting;
        let result = write_now(&state_dir, &mut waiting);
        (waiting, result)
    });
    // The blocking thread ends early only when the whole process does.
    let Ok((waiting, result)) = written.await else { return Waiting::default() };
    let sentence = match result {
        Ok(put_aside) => put_aside.as_deref().map(begun_anew),
        Err(error) => Some(format!("could not {}; runs are remembered in memory meanwhile", chain(&error))),
    };
    trouble.send_if_modified(|known| {
        let changed = *known != sentence;
        known.clone_from(&sentence);
        changed
    });
    waiting
}

/// What a person is told of a history that was put aside.
#[must_use]
pub fn begun_anew(aside: &Path) -> String {
    format!("the history was broken or newer than this version; it was begun anew, the old one is {}", aside.display())
}

/// Writes what waits. Tells where a history was put that could not be used.
fn write_now(state_dir: &Path, waiting: &mut Waiting) -> Result<Option<PathBuf>, KeepError> {
    // What people decided matters more than statistics.
    if let Some(ledger) = &waiting.ledger {
        state_dir::write_ledger(state_dir, ledger)?;
        waiting.ledger = None;
    }
    if waiting.entries.is_empty() {
        return Ok(None);
    }
    let mut history = HistoryStore::open(state_dir, clock::now().wall)?;
    history.write(&waiting.entries)?;
    waiting.entries.clear();
    Ok(history.put_aside)
}

/// Answers from the history as it stands: what waits in memory is too young to be among these.
async fn tell_days(state_dir: &Path, sync: Option<SyncName>, answer: oneshot::Sender<Result<Days, String>>) {
    let state_dir = state_dir.to_owned();
    let read = tokio::task::spawn_blocking(move || match HistoryStore::look(&state_dir) {
        None => Ok(Days::new()),
        Some(mut history) => history.days(sync.as_ref()).map_err(|error| format!("could not {}", chain(&error))),
    });
    // Whoever asked may have left.
    let _ = answer.send(read.await.unwrap_or_else(|_| Err("the daemon is ending".into())));
}

/// Answers with the newest checks, those first that wait in memory.
async fn tell_checks(
    state_dir: &Path,
    (sync, limit): (Option<SyncName>, usize),
    waiting: &Waiting,
    answer: oneshot::Sender<Result<Vec<CheckRecord>, String>>,
) {
    let mut records: Vec<CheckRecord> = waiting
        .entries
        .iter()
        .rev()
        .filter_map(|entry| match entry {
            Entry::Checked(record) => Some((**record).clone()),
            Entry::Began { .. } | Entry::Ended(_) | Entry::Forgotten(_) | Entry::Recalled(_) => None,
        })
        .filter(|record| sync.as_ref().is_none_or(|sync| record.sync.answers_to(sync)))
        .collect();
    let state_dir = state_dir.to_owned();
    let read = tokio::task::spawn_blocking(move || match HistoryStore::look(&state_dir) {
        None => Ok(Vec::new()),
        Some(mut history) => {
            history.checks(sync.as_ref(), limit).map_err(|error| format!("could not {}", chain(&error)))
        }
    });
    let written = read.await.unwrap_or_else(|_| Err("the daemon is ending".into()));
    // Whoever asked may have left.
    let _ = answer.send(written.map(|written| {
        records.extend(written);
        records.truncate(limit);
        records
    }));
}

async fn answer(
    state_dir: &Path,
    question: HistoryQuestion,
    waiting: &Waiting,
    trouble: &watch::Sender<Option<String>>,
) {
    let HistoryQuestion { sync, limit, answer } = question;
    let mut records: Vec<RunRecord> = waiting
        .entries
        .iter()
        .rev()
        .filter_map(|entry| match entry {
            Entry::Ended(record) => Some((**record).clone()),
            Entry::Began { .. } | Entry::Checked(_) | Entry::Forgotten(_) | Entry::Recalled(_) => None,
        })
        .filter(|record| sync.as_ref().is_none_or(|sync| record.sync.answers_to(sync)))
        .collect();
    let state_dir = state_dir.to_owned();
    let read = tokio::task::spawn_blocking(move || {
        let mut history = HistoryStore::open(&state_dir, clock::now().wall)?;
        let records = history.recent(sync.as_ref(), limit)?;
        Ok::<_, HistoryError>((records, history.put_aside))
    });
    let result = match read.await {
        Ok(Ok((written, put_aside))) => {
            if let Some(aside) = put_aside {
                trouble.send_replace(Some(begun_anew(&aside)));
            }
            records.extend(written);
            records.truncate(limit);
            Ok(records)
        }
        // What is in memory is better than nothing.
        Ok(Err(_)) if !records.is_empty() => Ok(records),
        Ok(Err(error)) => Err(format!("could not {}", chain(&error))),
        Err(_) => Err("the daemon is ending".into()),
    };
    // Whoever asked may have left.
    let _ = answer.send(result);
}
