//! `Run`: queue, and tell how it goes.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use super::asking::{Doors, PACE};
use super::wire::{Gone, Line};
use crate::daemon::messages::ask::{Accepted, Ask, RequestEnd, Urgency};
use crate::formats::text::obstacle_sentences;
use crate::formats::wire::{
    AcceptedSync, CallError, Mode, ObstacleEntry, RunEnd, RunEntry, RunProgress, StatusReply, SyncProblem,
};
use crate::model::{Obstacle, Status, SyncName};

/// Queues runs; with `more`, tells how they go until all have ended. A client that leaves does not stop them.
pub(crate) async fn follow_runs(syncs: Vec<SyncName>, force: bool, doors: &Doors, line: &mut Line) -> Result<(), Gone> {
    let urgency = if force { Urgency::Forced } else { Urgency::Asked };
    let room = doors.configuration.borrow().syncs.len().max(1);
    let (ends, mut ended) = mpsc::channel(room);
    let accepted = match doors.beg(|answer| Ask::Run { syncs, urgency, answer, ends }).await {
        Ok(accepted) => accepted.iter().map(entry).collect::<Vec<_>>(),
        Err(error) => return line.replies.fail(&error).await,
    };
    let mut end = RunEnd { accepted, runs: Vec::new(), dropped: Vec::new() };
    if line.replies.mode != Mode::More {
        return line.replies.end(&end).await;
    }
    let asked: Vec<String> = end.accepted.iter().filter(|sync| sync.queued).map(|sync| sync.sync.clone()).collect();
    let mut shown = progress(doors, &asked);
    line.replies.go_on(&RunProgress { accepted: end.accepted.clone(), ..shown.clone() }).await?;
    let mut changes = doors.status.clone();
    while end.runs.len() + end.dropped.len() < asked.len() {
        tokio::select! {
            next = ended.recv() => match next {
                Some(RequestEnd::Ran(record)) => {
                    let entry = RunEntry::in_history(&record);
                    end.runs.push(entry.clone());
                    line.replies.go_on(&RunProgress { ended: vec![entry], ..progress(doors, &asked) }).await?;
                }
                Some(RequestEnd::Dropped { sync, obstacles }) => {
                    end.dropped.push(SyncProblem { message: sentence(&sync, &obstacles), sync: sync.to_string() });
                }
                // An end that leaves some out would look as if all were well.
                None => return line.replies.fail(&CallError::Stopping).await,
            },
            // Ends are told at once, progress a few times a second.
            () = change(&mut changes) => {
                let now = progress(doors, &asked);
                if now != shown {
                    line.replies.go_on(&now).await?;
                    shown = now;
                }
            }
            () = line.incoming.left() => return Err(Gone),
        }
    }
    line.replies.end(&end).await
}

async fn change(changes: &mut watch::Receiver<Arc<Status>>) {
    sleep(PACE).await;
    if changes.changed().await.is_err() {
        // The dispatcher has ended; the ends of the runs tell that better.
        std::future::pending::<()>().await;
    }
}

fn entry(accepted: &Accepted) -> AcceptedSync {
    AcceptedSync {
        sync: accepted.sync.to_string(),
        queued: accepted.obstacles.is_empty(),
        obstacles: accepted.obstacles.iter().map(|obstacle| ObstacleEntry::new(obstacle, &accepted.sync)).collect(),
    }
}

fn progress(doors: &Doors, asked: &[String]) -> RunProgress {
    let status = doors.status_now();
    let StatusReply { running, queue, .. } = StatusReply::new(&status, std::process::id(), &[]);
    RunProgress {
        accepted: Vec::new(),
        running: running.into_iter().filter(|run| asked.contains(&run.sync)).collect(),
        queue: queue.into_iter().filter(|sync| asked.contains(sync)).collect(),
        ended: Vec::new(),
    }
}

fn sentence(sync: &SyncName, obstacles: &[Obstacle]) -> String {
    if obstacles.is_empty() {
        return "it was taken out of the queue".into();
    }
    obstacle_sentences(obstacles, sync)
}
