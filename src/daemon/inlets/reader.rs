//! Reads the configuration file when it has changed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::daemon::messages::order::Reread;
use crate::formats::config::{self, Context};
use crate::model::Configuration;
use crate::os::causes::chain;
use crate::os::config_file::{self, ConfigFileError};

/// How long a changed file must be quiet before it is read: a file that is half written may well be valid, with fewer
/// syncs in it.
const QUIET: Duration = Duration::from_millis(500);

/// Reads the file each time it is told to, and sends what it says.
pub async fn read_configurations(
    file: PathBuf,
    home: PathBuf,
    mut orders: mpsc::Receiver<Reread>,
    read: mpsc::Sender<Result<Arc<Configuration>, String>>,
) {
    while let Some(order) = orders.recv().await {
        if order == Reread::WhenQuiet {
            wait_for_quiet(&mut orders).await;
        }
        let (path, home) = (file.clone(), home.clone());
        // The file may lie on a mount that does not answer.
        let Ok(result) = tokio::task::spawn_blocking(move || read_file(&path, &home)).await else { return };
        let result = result.map_err(|unreadable| unreadable.sentence());
        if read.send(result).await.is_err() {
            return;
        }
    }
}

async fn wait_for_quiet(orders: &mut mpsc::Receiver<Reread>) {
    while let Ok(Some(order)) = timeout(QUIET, orders.recv()).await {
        if order == Reread::Now {
            return;
        }
    }
}

/// Why there is no configuration.
#[derive(Debug)]
pub enum Unreadable {
    /// The file could not be read.
    File(ConfigFileError),
    /// It has mistakes.
    Mistakes(config::Mistakes),
}

impl Unreadable {
    /// One line for `status`.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::File(error) => format!("could not {}", chain(error)),
            Self::Mistakes(mistakes) => mistakes.summary(),
        }
    }

    /// All that is wrong, for a terminal or a log.
    #[must_use]
    pub fn report(&self) -> String {
        match self {
            Self::File(error) => format!("could not {}", chain(error)),
            Self::Mistakes(mistakes) => mistakes.render(config::Colour::Plain),
        }
    }
}

/// Reads and checks the configuration file.
pub fn read_file(file: &Path, home: &Path) -> Result<Arc<Configuration>, Unreadable> {
    let read = config_file::read(file).map_err(Unreadable::File)?;
    let context = Context { file: file.into(), home: home.into() };
    let configuration = config::parse_bytes(&read.bytes, &context).map_err(Unreadable::Mistakes)?;
    match read.distrust {
        Some(distrust) if configuration.names_programs() => {
            Err(Unreadable::File(ConfigFileError::Untrusted(file.into(), distrust)))
        }
        Some(_) | None => Ok(Arc::new(configuration)),
    }
}
