//! Writes the metrics for Prometheus' node exporter, whole, whenever they have changed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::sleep;

use crate::formats::metrics;
use crate::model::{Configuration, Status};
use crate::os::causes::chain;
use crate::os::files;

/// How often the file is written at the most.
const PACE: Duration = Duration::from_secs(1);

/// The name of what is missing where the file cannot be written.
const TEXTFILE: &str = "textfile";

/// Writes until it is aborted.
pub async fn write_metrics(
    mut status: watch::Receiver<Arc<Status>>,
    mut configuration: watch::Receiver<Arc<Configuration>>,
    troubles: mpsc::Sender<(&'static str, Option<String>)>,
) {
    let mut written = None;
    loop {
        let file = configuration.borrow_and_update().monitoring.textfile.clone();
        let text = metrics::metrics(&status.borrow_and_update(), env!("CARGO_PKG_VERSION"));
        let wanted = file.map(|file| (file, text));
        if wanted != written {
            let trouble = match wanted.clone() {
                Some((file, text)) => write(file, text).await.err(),
                None => None,
            };
            written = wanted.filter(|_| trouble.is_none());
            // The dispatcher is there, or all of this ends.
            let _ = troubles.send((TEXTFILE, trouble)).await;
        }
        sleep(PACE).await;
        let goes_on = tokio::select! {
            changed = status.changed() => changed.is_ok(),
            changed = configuration.changed() => changed.is_ok(),
        };
        if !goes_on {
            return;
        }
    }
}

async fn write(file: PathBuf, text: String) -> Result<(), String> {
    let shown = file.display().to_string();
    let put = move || files::publish(Path::new(&file), text.as_bytes());
    match tokio::task::spawn_blocking(put).await {
        Ok(Ok(())) | Err(_) => Ok(()),
        Ok(Err(error)) => Err(format!("could not write the metrics to {shown}: could not {}", chain(&error))),
    }
}
