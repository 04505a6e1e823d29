//! Has drives opened and closed: each order on a thread of its own, which may wait for a slow drive or a far server.

use std::path::PathBuf;

use tokio::sync::mpsc::Sender;

use crate::backup::drives;
use crate::backup::drives::order::{Closer, DriveNews, DriveOrder};
use crate::model::{Left, OpeningTrouble};
use crate::os::ssh::SshPlace;

/// Carries out an order. Exactly one piece of news follows, or is returned if no thread could be started.
#[must_use]
pub fn start_order(
    order: DriveOrder,
    state_dir: PathBuf,
    ssh: SshPlace,
    news: &Sender<DriveNews>,
) -> Option<DriveNews> {
    let volume = match &order {
        DriveOrder::Open(opening) => opening.volume.clone(),
        DriveOrder::Close(closing) => closing.volume.clone(),
    };
    let unstarted = match &order {
        DriveOrder::Open(_) => DriveNews::Opened(volume.clone(), Err(OpeningTrouble::Other("start a thread".into()))),
        DriveOrder::Close(_) => {
            DriveNews::Closed(volume.clone(), Left::Stuck("no thread could be started".into()), Closer::Us)
        }
    };
    let telling = news.clone();
    let thread = std::thread::Builder::new().name(format!("drive-{volume}")).spawn(move || {
        // Nobody listens any more when the daemon has ended.
        let _ = telling.blocking_send(drives::carry_out(order, &state_dir, &ssh));
    });
    thread.is_err().then_some(unstarted)
}
