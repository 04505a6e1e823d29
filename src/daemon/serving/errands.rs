//! Errands on behalf of a client: their lines on the way, and their result.

use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};

use crate::daemon::messages::errand::{Errand, ErrandNews, ErrandOrder, ErrandResult};
use crate::daemon::serving::asking::Doors;
use crate::daemon::serving::wire::{Gone, Line};
use crate::formats::wire::{CallError, Mode};

/// How many errands are under way at once. Each has a thread, and a drive that does not answer may hold it for ever.
pub(crate) const ERRANDS: usize = 8;

/// Orders an errand and tells what comes of it. A client that leaves gets its connection's place back to others at
/// once; the errand keeps its own until it has ended, so that coming and going starts no more of them.
pub(super) async fn errand(
    errand: Errand,
    doors: &Doors,
    places: &Arc<Semaphore>,
    line: &mut Line,
) -> Result<(), Gone> {
    let Ok(place) = Arc::clone(places).try_acquire_owned() else {
        let message = format!(
            "{ERRANDS} previews, listings, restores, checks or tests are under way already, perhaps on a drive that \
             does not answer; try again when they have ended"
        );
        return line.replies.fail(&CallError::Failed { message }).await;
    };
    let (news, mut told) = mpsc::channel(64);
    if doors.errands.send(ErrandOrder { errand, news, place }).await.is_err() {
        return line.replies.fail(&CallError::Stopping).await;
    }
    if line.replies.mode == Mode::Oneway {
        return Ok(());
    }
    loop {
        let news = tokio::select! {
            news = told.recv() => news,
            () = line.incoming.left() => return Err(Gone),
        };
        match news {
            Some(ErrandNews::Line(told)) if line.replies.mode == Mode::More => line.replies.go_on(&told).await?,
            Some(ErrandNews::Restoring(told)) if line.replies.mode == Mode::More => line.replies.go_on(&told).await?,
            Some(ErrandNews::Finding(told)) if line.replies.mode == Mode::More => line.replies.go_on(&told).await?,
            Some(ErrandNews::Checking(told)) if line.replies.mode == Mode::More => line.replies.go_on(&told).await?,
            Some(ErrandNews::Line(_) | ErrandNews::Finding(_) | ErrandNews::Restoring(_) | ErrandNews::Checking(_)) => {
            }
            Some(ErrandNews::Done(result)) => {
                return match result {
                    ErrandResult::Prepared(prepared) => line.replies.end(&prepared).await,
                    ErrandResult::Previewed(previewed) => line.replies.end(&previewed).await,
                    ErrandResult::Snapshots(snapshots) => line.replies.end(&snapshots).await,
                    ErrandResult::Pruned(pruned) => line.replies.end(&pruned).await,
                    ErrandResult::Versions(versions) => line.replies.end(&versions).await,
                    ErrandResult::Found(end) => line.replies.end(&end).await,
                    ErrandResult::Restored(restored) => line.replies.end(&restored).await,
                    ErrandResult::Checked(checked) => line.replies.end(&checked).await,
                    ErrandResult::Diagnosed(diagnosis) => line.replies.end(&diagnosis).await,
                    ErrandResult::Refused(refusal) => line.replies.fail(&refusal.into()).await,
                };
            }
            None => return line.replies.fail(&CallError::Stopping).await,
        }
    }
}
