//! What each request is answered with.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::time::sleep;

use crate::daemon::messages::ask::Ask;
use crate::daemon::messages::errand::Errand;
use crate::daemon::serving::asking::{Doors, PACE, known};
use crate::daemon::serving::errands::errand;
use crate::daemon::serving::history::{Stats, tell_history};
use crate::daemon::serving::runs::follow_runs;
use crate::daemon::serving::wire::{Gone, Line};
use crate::daemon::serving::witness::{restore_begins, restore_ends};
use crate::daemon::serving::{absent, why};
use crate::formats::wire::{
    Approved, CallError, Cancelled, ClosedDrive, DESCRIPTION, DoneReply, Drives, Flow, ForecastReply, INTERFACE,
    InterfaceDescription, Listing, Mode, Moment, Mounted, Request, SERVICE_DESCRIPTION, SERVICE_INTERFACE, ServiceInfo,
    StatusReply, reply_frame, supposition,
};
use crate::model::{CheckWish, FindWish, RestoreWish, Status, SyncName, VolumeName, WhenDone};
use crate::os::service::process_id;

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
        Request::Ping => line.replies.end(&DoneReply {}).await,
        Request::Status { syncs } => status(&syncs, doors, line).await,
        Request::Why { sync } => {
            let status = doors.status_now();
            let why = known(&status, &sync).map(|found| why::why(found, &status, &doors.configuration_now()));
            line.replies.conclude(why).await
        }
        Request::List => line.replies.end(&Listing::new(&doors.configuration_now())).await,
        Request::Drives => drives(doors, line).await,
        Request::Run { syncs, force } => follow_runs(syncs, force, doors, line).await,
        Request::History { sync, limit, stats } => {
            let stats = if stats { Stats::Wanted } else { Stats::Unwanted };
            tell_history(sync, limit, stats, doors, line).await
        }
        Request::Scan => acknowledge(doors.ask(|answer| Ask::Scan { answer }).await, line).await,
        Request::Pause { seconds } => {
            acknowledge(doors.kept(doors.ask(|answer| Ask::Pause { length: seconds, answer }).await).await, line).await
        }
        Request::Resume => acknowledge(doors.kept(doors.ask(|answer| Ask::Resume { answer }).await).await, line).await,
        Request::Hold { volume, seconds: length } => {
            acknowledge(doors.kept(doors.beg(|answer| Ask::Hold { volume, length, answer }).await).await, line).await
        }
        Request::Release { volume } => {
            acknowledge(doors.kept(doors.beg(|answer| Ask::Release { volume, answer }).await).await, line).await
        }
        Request::Mount { volume } => mount(volume, doors, line).await,
        Request::Simulate { event, volume, location } => simulate((event, volume, location), doors, line).await,
        Request::Unmount { volume } => close(volume, WhenDone::Lock, doors, line).await,
        Request::Eject { volume } => close(volume, WhenDone::PowerOff, doors, line).await,
        Request::Cancel { syncs } => {
            let cancelled = doors.beg(|answer| Ask::Cancel { syncs, answer }).await;
            let names = |names: Vec<SyncName>| names.iter().map(ToString::to_string).collect();
            line.replies.conclude(cancelled.map(|cancelled| Cancelled { cancelled: names(cancelled) })).await
        }
        Request::Approve { sync } => {
            let approved = doors.kept(doors.beg(|answer| Ask::Approve { sync, answer }).await).await;
            line.replies.conclude(approved.map(|approved| Approved { approved })).await
        }
        Request::Preview { syncs } => errand(Errand::Preview(syncs), doors, places, line).await,
        Request::Diff { sync, older, newer } => match compared(sync, older, newer) {
            Ok(wanted) => errand(wanted, doors, places, line).await,
            Err(wrong) => line.replies.fail(&wrong).await,
        },
        Request::Snapshots { syncs, sizes } => errand(Errand::Snapshots(syncs, sizes), doors, places, line).await,
        Request::Prune { syncs, dry_run } => errand(Errand::Prune(syncs, dry_run), doors, places, line).await,
        Request::Prepare { syncs, only_free } => errand(Errand::Prepare(syncs, only_free), doors, places, line).await,
        Request::Versions { path } => errand(Errand::Versions(path), doors, places, line).await,
        Request::Find { pattern, deleted, syncs } => {
            let wish = FindWish { pattern, among: deleted, syncs };
            errand(Errand::Find(wish), doors, places, line).await
        }
        Request::Restore { paths, at, to, force, dry_run } => {
            let (at, to) = (at.map(|Moment(at)| at), to.map(PathBuf::from));
            let wish = RestoreWish { paths, at, to, existing: force, earnest: dry_run };
            errand(Errand::Restore(wish), doors, places, line).await
        }
        Request::Verify { syncs, sample, snapshot } => {
            errand(Errand::Verify(syncs, CheckWish { share: sample, snapshot }), doors, places, line).await
        }
        Request::RestoreBegins { to, command, origin } => restore_begins((to, command), origin, doors, line).await,
        Request::RestoreEnds { to, ending, origin } => restore_ends((to, origin), ending, doors, line).await,
        Request::Doctor => errand(Errand::Doctor, doors, places, line).await,
    }
}

/// What a difference is asked between: what is there and the source, or two snapshots.
fn compared(sync: SyncName, older: Option<Moment>, newer: Option<Moment>) -> Result<Errand, CallError> {
    let wrong = |parameter: &str| CallError::InvalidParameter { parameter: parameter.into() };
    match (older, newer) {
        (None, None) => Ok(Errand::Preview(vec![sync])),
        (Some(Moment(older)), Some(Moment(newer))) => Ok(Errand::Between(sync, [older, newer])),
        (Some(_), None) => Err(wrong("newer")),
        (None, Some(_)) => Err(wrong("older")),
    }
}

async fn drives(doors: &Doors, line: &mut Line) -> Result<(), Gone> {
    let devices = doors.ask(|answer| Ask::Devices { answer }).await;
    let configuration = doors.configuration_now();
    let drives = devices.map(|(devices, containers)| Drives::new(&devices, &containers, &configuration));
    line.replies.conclude(drives).await
}

async fn mount(volume: VolumeName, doors: &Doors, line: &mut Line) -> Result<(), Gone> {
    let mounted = doors.beg(|answer| Ask::Mount { volume, answer }).await;
    line.replies.conclude(mounted.map(|path| Mounted { path: path.to_string_lossy().into_owned() })).await
}

async fn simulate(
    (event, volume, location): (String, Option<String>, Option<String>),
    doors: &Doors,
    line: &mut Line,
) -> Result<(), Gone> {
    let forecast = match supposition(&event, volume.as_deref(), location.as_deref()) {
        Ok(what) => doors.beg(|answer| Ask::Simulate { what, answer }).await.map(ForecastReply::from),
        Err(wrong) => Err(wrong),
    };
    line.replies.conclude(forecast).await
}

/// Says that it is done, or why not.
async fn acknowledge(answer: Result<(), CallError>, line: &mut Line) -> Result<(), Gone> {
    line.replies.conclude(answer.map(|()| DoneReply {})).await
}

async fn close(volume: VolumeName, then: WhenDone, doors: &Doors, line: &mut Line) -> Result<(), Gone> {
    let left = doors.beg(|answer| Ask::Unmount { volume, then, answer }).await;
    line.replies.conclude(left.map(|(drive, left)| ClosedDrive::new(&drive, &left))).await
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

async fn status(syncs: &[SyncName], doors: &Doors, line: &mut Line) -> Result<(), Gone> {
    if let Err(error) = doors.know(syncs) {
        return line.replies.fail(&error).await;
    }
    let shown = |status: &Status| StatusReply::new(status, process_id(), syncs);
    let mut changes = doors.status.clone();
    if line.replies.mode != Mode::More {
        let status = Arc::clone(&changes.borrow());
        let configuration = Arc::clone(&doors.configuration.borrow());
        let mut reply = shown(&status);
        absent::tell_absent(&mut reply, &status, &configuration, &doors.asks).await;
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
