//! What `status` tells of a drive that was never used and is not found: a wrong UUID looks like one that lies in a
//! drawer.

use tokio::sync::{mpsc, oneshot};

use crate::daemon::messages::ask::Ask;
use crate::decide::strangers::{self, Plugged, Suspicion};
use crate::formats::wire::StatusReply;
use crate::model::{Configuration, DriveUuid, Status, VolumeName};
use crate::os::{disks, mounts};

/// Adds to the hints of the drives that were never used what is most likely wrong with their UUIDs.
pub(crate) async fn tell_absent(
    reply: &mut StatusReply,
    status: &Status,
    configuration: &Configuration,
    asks: &mpsc::Sender<Ask>,
) {
    let absent: Vec<(VolumeName, DriveUuid)> = never_found(status, configuration);
    if absent.is_empty() {
        return;
    }
    let (answer, answered) = oneshot::channel();
    if asks.send(Ask::KnownDevices { answer }).await.is_err() {
        return;
    }
    let Ok((devices, containers)) = answered.await else { return };
    let seen = tokio::task::spawn_blocking(|| (disks::other_uuids(), mounts::read())).await;
    let Ok((Ok(others), Ok(mounts))) = seen else { return };
    let plugged = Plugged { devices: &devices, others: &others, mounts: &mounts };
    let claimed = strangers::claimed(configuration);
    for (name, uuid) in &absent {
        if let Some(suspicion) = strangers::suspicion(uuid, &plugged, &containers, &claimed) {
            hint(reply, name, &suspicion);
        }
    }
}

/// The drives that are not there and from or to which nothing was ever copied.
fn never_found(status: &Status, configuration: &Configuration) -> Vec<(VolumeName, DriveUuid)> {
    let is_absent = |name: &VolumeName| {
        status.volumes.iter().any(|volume| volume.name == *name && volume.path.is_none() && volume.user.is_some())
    };
    let was_used = |name: &VolumeName| {
        let copied = status.syncs.iter().filter(|sync| sync.last_success.is_some());
        copied.filter_map(|sync| configuration.syncs.get(&sync.name)).any(|sync| sync.uses(name))
    };
    let drives = configuration.drives_here().filter(|(name, _)| is_absent(name) && !was_used(name));
    drives.map(|(name, drive)| (name.clone(), drive.uuid.clone())).collect()
}

fn hint(reply: &mut StatusReply, name: &VolumeName, suspicion: &Suspicion) {
    let Suspicion { message, fix } = suspicion;
    let named = format!("`{name}`");
    let of_volume = reply.volumes.iter_mut().filter(|volume| volume.name == name.as_str());
    let obstacles = of_volume.flat_map(|volume| &mut volume.obstacles);
    let all = obstacles.chain(reply.syncs.iter_mut().flat_map(|sync| &mut sync.obstacles));
    let absent =
        all.filter(|obstacle| obstacle.code.as_str().ends_with("-volume-absent") && obstacle.message.contains(&named));
    for obstacle in absent {
        obstacle.hint = format!("{}; {message}: {fix} in [volumes.{name}]", obstacle.hint);
    }
}
