//! What people ask for beside runs: prepare, preview, snapshots, prune, doctor. Each on a thread of its own, which may
//! wait for a slow drive, and which confines itself where it writes.

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::backup::errands::preview::{self, Change, Preview};
use crate::backup::errands::{listing, prepare};
use crate::backup::job::{SyncAsSeen, sentence};
use crate::backup::restore::between::{ComparedCopies, between};
use crate::backup::session::stop;
use crate::daemon::messages::ask::{Ask, Refusal};
use crate::daemon::messages::errand::{Errand, ErrandNews, ErrandOrder, ErrandResult};
use crate::daemon::serving::doctor::{self, Ground};
use crate::daemon::serving::witness::Messenger;
use crate::daemon::serving::{checking, restoring};
use crate::formats::rsync::output::OutputLine;
use crate::formats::text::{obstacle_sentences, shell_words};
use crate::formats::wire::{
    Diagnosis, DiffSummary, Prepared, PreviewEnd, PreviewLine, PreviewLineKind, Pruned, Snapshots, SyncProblem, Term,
};
use crate::model::{Interruption, Intruding, Pruning, SyncName, Weighing};
use crate::os::ssh::SshPlace;

/// Runs errands until nobody can order any more.
pub async fn run(mut orders: mpsc::Receiver<ErrandOrder>, asks: mpsc::Sender<Ask>, ssh: SshPlace, ground: Ground) {
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(order) => {
                    under_way.spawn(go(order, asks.clone(), ssh.clone(), ground.clone()));
                }
                None => return,
            },
            Some(_) = under_way.join_next() => {}
        }
    }
}

async fn go(order: ErrandOrder, asks: mpsc::Sender<Ask>, ssh: SshPlace, ground: Ground) {
    // The place is held to the end; by what a doctor leaves behind beyond that.
    let ErrandOrder { errand, news, place } = order;
    let lines = news.clone();
    let done = match errand {
        Errand::Doctor => Ok(ErrandResult::Diagnosed(Diagnosis::new(&doctor::examine(&ground, &asks, place).await))),
        Errand::Prepare(syncs, intruding) => prepare_all((syncs, intruding), &asks, ssh).await,
        Errand::Preview(syncs) => {
            let work = move |found: Vec<SyncAsSeen>| ErrandResult::Previewed(previewed(&found, &lines, &ssh));
            at(syncs, &asks, work).await
        }
        Errand::Between(sync, moments) => {
            let work = move |found: Vec<SyncAsSeen>| ErrandResult::Previewed(compared(&found, moments, &lines, &ssh));
            at(vec![sync], &asks, work).await
        }
        Errand::Snapshots(syncs, weighing) => {
            at(syncs, &asks, move |found| ErrandResult::Snapshots(listed(&found, weighing, &ssh))).await
        }
        Errand::Prune(syncs, pruning) => {
            at(syncs, &asks, move |found| ErrandResult::Pruned(pruned(found, pruning, &ssh))).await
        }
        Errand::Versions(path) => in_all(&asks, move |all| restoring::version_answer(&path, &all, &ssh)).await,
        Errand::Verify(syncs, wish) => {
            let keeper = asks.clone();
            let work = move |found: Vec<SyncAsSeen>| checking::checked(&found, wish, &ssh, (&lines, &keeper));
            at(syncs, &asks, work).await
        }
        Errand::Find(wish) => match prospects(wish.syncs.clone(), &asks).await {
            Ok(_) => in_all(&asks, move |all| restoring::found(&wish, &all, &ssh, &lines)).await,
            Err(unknown) => Err(unknown),
        },
        Errand::Restore(wish) => match restoring::leaving(&lines) {
            Ok(stops) => {
                let messenger = Messenger::sent(asks.clone(), ground.keeper());
                in_all(&asks, move |all| restoring::restored(&wish, &all, &ssh, &messenger, (&lines, stops))).await
            }
            Err(refused) => Err(refused),
        },
    };
    // Whoever ordered may have left.
    let _ = news.send(ErrandNews::Done(done.unwrap_or_else(ErrandResult::Refused))).await;
}

/// Does a piece of work at these syncs, or at all if there are none, on a thread of its own.
async fn at(
    syncs: Vec<SyncName>,
    asks: &mpsc::Sender<Ask>,
    work: impl FnOnce(Vec<SyncAsSeen>) -> ErrandResult + Send + 'static,
) -> Result<ErrandResult, Refusal> {
    let found = prospects(syncs, asks).await?;
    on_a_thread(move || work(found)).await
}

/// The same at all syncs, for work that may turn out not to be possible.
async fn in_all(
    asks: &mpsc::Sender<Ask>,
    work: impl FnOnce(Vec<SyncAsSeen>) -> Result<ErrandResult, Refusal> + Send + 'static,
) -> Result<ErrandResult, Refusal> {
    let found = prospects(Vec::new(), asks).await?;
    on_a_thread(move || work(found)).await?
}

async fn prepare_all(
    (syncs, intruding): (Vec<SyncName>, Intruding),
    asks: &mpsc::Sender<Ask>,
    ssh: SshPlace,
) -> Result<ErrandResult, Refusal> {
    let found = prospects(syncs, asks).await?;
    let syncs: Vec<SyncName> = found.iter().map(|prospect| prospect.sync.name.clone()).collect();
    let prepare = move || found.iter().map(|prospect| prepare::prepare(prospect, intruding, &ssh)).collect();
    let result = ErrandResult::Prepared(Prepared { syncs: on_a_thread(prepare).await? });
    let (answer, answered) = oneshot::channel();
    // What was prepared is there, whether or not the daemon is still up to look at it.
    if asks.send(Ask::Prepared { syncs, answer }).await.is_ok() {
        let _ = answered.await;
    }
    Ok(result)
}

async fn prospects(syncs: Vec<SyncName>, asks: &mpsc::Sender<Ask>) -> Result<Vec<SyncAsSeen>, Refusal> {
    let (answer, answered) = oneshot::channel();
    let asked = asks.send(Ask::Prospects { syncs, answer }).await;
    asked.map_err(|_| Refusal::Stopping)?;
    answered.await.map_err(|_| Refusal::Stopping)?
}

async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
    let (done, result) = oneshot::channel();
    let thread = std::thread::Builder::new().name("errand".into()).spawn(move || {
        let _ = done.send(work());
    });
    thread.map_err(|error| Refusal::Failed(format!("could not start a thread: {error}; try again")))?;
    result.await.map_err(|_| Refusal::Stopping)
}

fn problem(prospect: &SyncAsSeen, message: String) -> SyncProblem {
    SyncProblem { sync: prospect.sync.name.to_string(), message }
}

fn previewed(prospects: &[SyncAsSeen], news: &mpsc::Sender<ErrandNews>, ssh: &SshPlace) -> PreviewEnd {
    let mut end = PreviewEnd { syncs: Vec::new(), problems: Vec::new() };
    for prospect in prospects {
        let name = &prospect.sync.name;
        let Some(job) = &prospect.job else {
            end.problems.push(problem(prospect, obstacle_sentences(&prospect.obstacles, name)));
            continue;
        };
        match preview::preview(job, ssh) {
            Ok(found) => {
                for line in lines(prospect, &found) {
                    // A client that has left needs no lines.
                    let _ = news.blocking_send(ErrandNews::Line(line));
                }
                end.syncs.push(summary(prospect, &found));
            }
            Err(conclusion) => end.problems.push(problem(prospect, sentence(&conclusion, name))),
        }
    }
    end
}

/// The command, the changes and what would follow, line by line.
fn lines(prospect: &SyncAsSeen, found: &Preview) -> Vec<PreviewLine> {
    let line = |kind, text| PreviewLine { sync: prospect.sync.name.to_string(), kind: Term::Known(kind), text };
    let mut lines = vec![line(PreviewLineKind::Command, shell_words(&found.command))];
    lines.extend(found.changes.iter().map(|change| line(PreviewLineKind::Change, change.to_string())));
    if found.unlisted > 0 {
        lines.push(line(PreviewLineKind::Note, format!("{} more changes are not listed", found.unlisted)));
    }
    lines.extend(found.hold.iter().map(|hold| line(PreviewLineKind::Note, format!("the run would be held: {hold}"))));
    lines.extend(found.warnings.iter().map(|warning| line(PreviewLineKind::Note, warning.clone())));
    lines.extend(found.then.iter().map(|action| line(PreviewLineKind::Action, action.clone())));
    lines
}

fn summary(prospect: &SyncAsSeen, found: &Preview) -> DiffSummary {
    let mut sums = DiffSummary { sync: prospect.sync.name.to_string(), ..DiffSummary::default() };
    found.changes.iter().for_each(|change| add(&mut sums, change));
    sums
}

fn add(sums: &mut DiffSummary, change: &Change) {
    let Change::Copy(item) = change else {
        sums.deleted += 1;
        return;
    };
    sums.bytes = sums.bytes.saturating_add(item.bytes);
    if item.how.contains('+') {
        sums.created += 1;
    } else if item.how.starts_with(['<', '>', 'c']) {
        sums.changed += 1;
    } else {
        sums.attributes += 1;
    }
}

/// What differs between the copies of two moments, line by line, and the sums.
fn compared(
    prospects: &[SyncAsSeen],
    [older, newer]: [Timestamp; 2],
    news: &mpsc::Sender<ErrandNews>,
    ssh: &SshPlace,
) -> PreviewEnd {
    let mut end = PreviewEnd { syncs: Vec::new(), problems: Vec::new() };
    for prospect in prospects {
        let sync = prospect.sync.name.to_string();
        let line = |kind, text| PreviewLine { sync: sync.clone(), kind: Term::Known(kind), text };
        let mut sums = DiffSummary { sync: sync.clone(), ..DiffSummary::default() };
        let stops = stop::pair();
        let Ok((teller, mut stops)) = stops else {
            end.problems.push(problem(prospect, "could not start; try again".into()));
            continue;
        };
        let mut hear = |said: &OutputLine| {
            let Some(change) = Change::of(said) else { return };
            add(&mut sums, &change);
            if news.blocking_send(ErrandNews::Line(line(PreviewLineKind::Change, change.to_string()))).is_err() {
                teller.tell(Interruption::Cancelled);
            }
        };
        match between(prospect, (older, newer), ssh, (&mut stops, &mut hear)) {
            Ok(ComparedCopies { older, newer, notes }) => {
                for note in notes {
                    // A client that has left needs no lines.
                    let _ = news.blocking_send(ErrandNews::Line(line(PreviewLineKind::Note, note)));
                }
                end.syncs.push(DiffSummary { between: Some([older.to_string(), newer.to_string()]), ..sums });
            }
            Err(message) => end.problems.push(problem(prospect, message)),
        }
    }
    end
}

fn listed(prospects: &[SyncAsSeen], weighing: Weighing, ssh: &SshPlace) -> Snapshots {
    let mut listed = Snapshots { snapshots: Vec::new(), problems: Vec::new() };
    for prospect in prospects {
        match listing::list(prospect, weighing, ssh) {
            Ok(entries) => listed.snapshots.extend(entries),
            Err(message) => listed.problems.push(problem(prospect, message)),
        }
    }
    listed
}

/// Each destination is pruned on a thread of its own, which confines itself to it for good.
fn pruned(prospects: Vec<SyncAsSeen>, pruning: Pruning, ssh: &SshPlace) -> Pruned {
    let mut sum = Pruned { pruned: Vec::new(), problems: Vec::new() };
    for prospect in prospects {
        let sync = prospect.sync.name.to_string();
        let ssh = ssh.clone();
        let thread = std::thread::Builder::new()
            .name(format!("prune-{sync}"))
            .spawn(move || listing::prune(&prospect, pruning, &ssh))
            .and_then(|thread| thread.join().map_err(|_| std::io::Error::other("its thread ended unexpectedly")));
        match thread {
            Ok((pruned, problems)) => {
                sum.pruned.extend(pruned);
                sum.problems.extend(problems.into_iter().map(|message| SyncProblem { sync: sync.clone(), message }));
            }
            Err(error) => sum.problems.push(SyncProblem { sync, message: format!("could not prune: {error}") }),
        }
    }
    sum
}
