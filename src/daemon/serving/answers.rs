//! What each request is answered with.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use tokio::time::sleep;

use crate::backup::errands::Pruning;
use crate::daemon::messages::ask::{Ask, Refusal};
use crate::daemon::messages::errand::Errand;
use crate::daemon::serving::errands::errand;
use crate::daemon::serving::history::{self, Stats};
use crate::daemon::serving::wire::{Gone, Line};
use crate::daemon::serving::{Doors, absent, runs, why};
use crate::formats::similar::closest;
use crate::formats::wire::{
    Approved, CallError, Cancelled, ClosedDrive, DESCRIPTION, Done, Drives, Flow, INTERFACE, InterfaceDescription,
    Listing, Mode, Mounted, Parameters, Request, SERVICE_DESCRIPTION, SERVICE_INTERFACE, ServiceInfo, StatusReply,
    reply_frame,
};
use crate::model::{Status, SyncName, VolumeName, WhenDone};

/// How often a client that watches is told of changes at the most.
pub(crate) const PACE: Duration = Duration::from_millis(250);

/// Answers one request.
pub(crate) async fn answer(
    request: Request,
    doors: &Doors,
    places: &Arc<Semaphore>,
    line: &mut Line,
) -> Result<(), Gone> {
    match request {
        Request::GetInfo => line.replies.end(&service_info()).await,
        Request::GetInterfaceDescription { interface } => describe(interface, line).await,
        Request::Ping => line.replies.end(&Done {}).await,
        Request::Status { syncs } => status(&syncs, doors, line).await,
        Request::Why { sync } => match known(doors, &sync) {
            Ok(status) => {
                let configuration = Arc::clone(&doors.configuration.borrow());
                line.replies.end(&why::why(&sync, &status, &configuration)).await
            }
            Err(error) => line.replies.fail(&error).await,
        },
        Request::List => {
            let listing = Listing::new(&doors.configuration.borrow());
            line.replies.end(&listing).await
        }
        Request::Drives => {
            let devices = ask(doors, |answer| Ask::Devices { answer }).await;
            let configuration = Arc::clone(&doors.configuration.borrow());
            reply(line, devices.map(|(devices, containers)| Drives::new(&devices, &containers, &configuration))).await
        }
        Request::Run { syncs, force } => runs::run(syncs, force, doors, line).await,
        Request::History { sync, limit, stats } => {
            let stats = if stats { Stats::Wanted } else { Stats::Unwanted };
            history::history(sync, limit, stats, doors, line).await
        }
        Request::Scan => done(doors, line, |answer| Ask::Scan { answer }).await,
        Request::Pause { length } => done(doors, line, |answer| Ask::Pause { length, answer }).await,
        Request::Resume => done(doors, line, |answer| Ask::Resume { answer }).await,
        Request::Hold { volume } => done_if_accepted(doors, line, |answer| Ask::Hold { volume, answer }).await,
        Request::Release { volume } => done_if_accepted(doors, line, |answer| Ask::Release { volume, answer }).await,
        Request::Mount { volume } => {
            let mounted = ask(doors, |answer| Ask::Mount { volume, answer }).await.and_then(accepted);
            reply(line, mounted.map(|path| Mounted { path: path.to_string_lossy().into_owned() })).await
        }
        Request::Unmount { volume } => close(volume, WhenDone::Lock, doors, line).await,
        Request::Eject { volume } => close(volume, WhenDone::PowerOff, doors, line).await,
        Request::Cancel { syncs } => {
            let cancelled = ask(doors, |answer| Ask::Cancel { syncs, answer }).await.and_then(accepted);
            let names = |names: Vec<SyncName>| names.iter().map(ToString::to_string).collect();
            reply(line, cancelled.map(|cancelled| Cancelled { cancelled: names(cancelled) })).await
        }
        Request::Approve { sync } => {
            let approved = ask(doors, |answer| Ask::Approve { sync, answer }).await.and_then(accepted);
            reply(line, approved.map(|approved| Approved { approved })).await
        }
        Request::Preview { syncs } => errand(Errand::Preview(syncs), doors, places, line).await,
        Request::Diff { sync } => errand(Errand::Preview(vec![sync]), doors, places, line).await,
        Request::Snapshots { syncs } => errand(Errand::Snapshots(syncs), doors, places, line).await,
        Request::Prune { syncs, dry_run } => {
            let pruning = if dry_run { Pruning::Pretended } else { Pruning::Real };
            errand(Errand::Prune(syncs, pruning), doors, places, line).await
        }
        Request::Prepare { syncs } => errand(Errand::Prepare(syncs), doors, places, line).await,
        Request::Doctor => errand(Errand::Doctor, doors, places, line).await,
    }
}

/// Passes a word to the dispatcher that it always accepts.
async fn done(doors: &Doors, line: &mut Line, word: impl FnOnce(oneshot::Sender<()>) -> Ask) -> Result<(), Gone> {
    let answered = ask(doors, word).await.map(|()| Done {});
    reply(line, answered).await
}

/// Passes a word to the dispatcher that it may refuse.
async fn done_if_accepted(
    doors: &Doors,
    line: &mut Line,
    word: impl FnOnce(oneshot::Sender<Result<(), Refusal>>) -> Ask,
) -> Result<(), Gone> {
    let answered = ask(doors, word).await.and_then(accepted).map(|()| Done {});
    reply(line, answered).await
}

async fn close(volume: VolumeName, then: WhenDone, doors: &Doors, line: &mut Line) -> Result<(), Gone> {
    let left = ask(doors, |answer| Ask::Unmount { volume, then, answer }).await.and_then(accepted);
    reply(line, left.map(|(drive, left)| ClosedDrive::new(&drive, &left))).await
}

fn service_info() -> ServiceInfo {
    ServiceInfo {
        vendor: "nbkp".into(),
        product: "nbkpd".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        url: "docs/protocol.md".into(),
        interfaces: vec![SERVICE_INTERFACE.into(), INTERFACE.into()],
    }
}

async fn describe(interface: String, line: &mut Line) -> Result<(), Gone> {
    let description = match interface.as_str() {
        INTERFACE => DESCRIPTION,
        SERVICE_INTERFACE => SERVICE_DESCRIPTION,
        _ => return line.replies.fail(&CallError::InterfaceNotFound { interface }).await,
    };
    line.replies.end(&InterfaceDescription { description: description.into() }).await
}

/// The state, if these syncs are known.
pub(crate) fn known(doors: &Doors, asked: &SyncName) -> Result<Arc<Status>, CallError> {
    let status = Arc::clone(&doors.status.borrow());
    if status.syncs.iter().any(|sync| sync.name.answers_to(asked)) {
        return Ok(status);
    }
    let similar = closest(asked.as_str(), status.syncs.iter().map(|sync| sync.name.as_str()));
    Err(CallError::UnknownSync {
        sync: asked.to_string(),
        similar: similar.map(ToOwned::to_owned).into_iter().collect(),
    })
}

async fn status(syncs: &[SyncName], doors: &Doors, line: &mut Line) -> Result<(), Gone> {
    if let Some(error) = syncs.iter().find_map(|sync| known(doors, sync).err()) {
        return line.replies.fail(&error).await;
    }
    let shown = |status: &Status| StatusReply::new(status, std::process::id(), syncs);
    let mut changes = doors.status.clone();
    if line.replies.mode != Mode::More {
        let status = Arc::clone(&changes.borrow());
        let configuration = Arc::clone(&doors.configuration.borrow());
        let mut reply = shown(&status);
        absent::tell(&mut reply, &status, &configuration, &doors.asks).await;
        return line.replies.end(&reply).await;
    }
    let mut sent = Vec::new();
    loop {
        let status = Arc::clone(&changes.borrow_and_update());
        let frame = reply_frame(&shown(&status), Flow::Continues);
        drop(status);
        // Much that changes concerns none of the syncs that were asked for.
        if frame != sent {
            line.replies.send(&frame).await?;
            sent = frame;
        }
        tokio::select! {
            // Changes in between are told together with the next one.
            () = sleep(PACE) => {}
            () = line.incoming.left() => return Err(Gone),
        }
        tokio::select! {
            next = changes.changed() => if next.is_err() {
                return line.replies.fail(&CallError::Stopping).await;
            },
            () = line.incoming.left() => return Err(Gone),
        }
    }
}

/// Asks the dispatcher.
pub(crate) async fn ask<T>(doors: &Doors, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, CallError> {
    let (answer, answered) = oneshot::channel();
    doors.asks.send(ask(answer)).await.map_err(|_| CallError::Stopping)?;
    answered.await.map_err(|_| CallError::Stopping)
}

pub(crate) fn accepted<T>(answer: Result<T, Refusal>) -> Result<T, CallError> {
    answer.map_err(call_error)
}

async fn reply<T: Parameters>(line: &mut Line, answer: Result<T, CallError>) -> Result<(), Gone> {
    match answer {
        Ok(answer) => line.replies.end(&answer).await,
        Err(error) => line.replies.fail(&error).await,
    }
}

pub(crate) fn call_error(refusal: Refusal) -> CallError {
    match refusal {
        Refusal::UnknownSync(sync, similar) => CallError::UnknownSync {
            sync: sync.to_string(),
            similar: similar.iter().map(ToString::to_string).collect(),
        },
        Refusal::UnknownVolume(volume, similar) => CallError::UnknownVolume {
            volume: volume.to_string(),
            similar: similar.iter().map(ToString::to_string).collect(),
        },
        Refusal::Failed(message) => CallError::Failed { message },
        Refusal::Stopping => CallError::Stopping,
    }
}
