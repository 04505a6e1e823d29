//! Listens to the desktop's keyring for as long as a drive waits for it.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use crate::os::secrets::Listening;

/// How soon it is tried again to listen where that did not work, for want of a session.
const AGAIN: Duration = Duration::from_mins(1);

/// Tells whenever a keyring came or changed while somebody waits for one. Full means that it is known already.
pub async fn listen_to_keyrings(mut wanted: watch::Receiver<bool>, changes: mpsc::Sender<()>) {
    while wanted.wait_for(|wanted| *wanted).await.is_ok() {
        let Ok(mut listening) = Listening::start().await else {
            sleep(AGAIN).await;
            continue;
        };
        loop {
            tokio::select! {
                heard = listening.changed() => match heard {
                    Ok(()) => drop(changes.try_send(())),
                    Err(_) => break,
                },
                // The daemon ends, or nobody waits any more.
                _ = wanted.wait_for(|wanted| !wanted) => break,
            }
        }
    }
}
