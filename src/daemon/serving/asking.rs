//! What every call needs: the ways into the daemon, and its answers and refusals as the wire tells them.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::daemon::messages::ask::{Ask, Refusal};
use crate::daemon::messages::errand::ErrandOrder;
use crate::daemon::outlets::keeper::KeeperQuestion;
use crate::formats::similar::closest;
use crate::formats::wire::CallError;
use crate::model::{Configuration, Status, SyncName, SyncStatus};

/// How often a client that watches is told of changes at the most.
pub(crate) const PACE: Duration = Duration::from_millis(250);

/// How long it may take to write down what a person decided.
const LONGEST_WRITE: Duration = Duration::from_secs(15);

/// The ways from a client into the daemon.
#[derive(Debug, Clone)]
pub struct Doors {
    /// To the dispatcher.
    pub asks: mpsc::Sender<Ask>,
    /// The state of everything.
    pub status: watch::Receiver<Arc<Status>>,
    /// The configuration in force.
    pub configuration: watch::Receiver<Arc<Configuration>>,
    /// To the keeper of history and ledger.
    pub history: mpsc::Sender<KeeperQuestion>,
    /// To those who run errands.
    pub errands: mpsc::Sender<ErrandOrder>,
}

impl Doors {
    /// Asks the dispatcher.
    pub(crate) async fn ask<T>(&self, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Result<T, CallError> {
        let (answer, answered) = oneshot::channel();
        self.asks.send(ask(answer)).await.map_err(|_| CallError::Stopping)?;
        answered.await.map_err(|_| CallError::Stopping)
    }

    /// Asks the dispatcher for what it may refuse.
    pub(crate) async fn beg<T>(
        &self,
        ask: impl FnOnce(oneshot::Sender<Result<T, Refusal>>) -> Ask,
    ) -> Result<T, CallError> {
        Ok(self.ask(ask).await??)
    }

    /// What a person decided is acknowledged once it is on the disk.
    pub(crate) async fn kept<T>(&self, decided: Result<T, CallError>) -> Result<T, CallError> {
        let decided = decided?;
        match written_down(&self.history).await {
            Ok(()) => Ok(decided),
            Err(Unwritten::Stopping) => Err(CallError::Stopping),
            Err(Unwritten::Because(why)) => {
                let message = format!(
                    "this is in force, but only until nbkpd ends, as it could not be written down: {why}; make room in \
                     the state directory or make it writable (`nbkpctl doctor` tests it), and say it again"
                );
                Err(CallError::Failed { message })
            }
        }
    }

    /// The state of everything now.
    pub(crate) fn status_now(&self) -> Arc<Status> {
        Arc::clone(&self.status.borrow())
    }

    /// An error if one of these syncs is not known.
    pub(crate) fn know(&self, syncs: &[SyncName]) -> Result<(), CallError> {
        let status = self.status_now();
        syncs.iter().try_for_each(|sync| known(&status, sync).map(drop))
    }

    /// The configuration in force now.
    pub(crate) fn configuration_now(&self) -> Arc<Configuration> {
        Arc::clone(&self.configuration.borrow())
    }
}

/// Why what was decided is not on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unwritten {
    /// The daemon ends.
    Stopping,
    /// It could not be written, for this reason.
    Because(String),
}

/// Waits until all that was decided so far is on the disk.
pub(crate) async fn written_down(history: &mpsc::Sender<KeeperQuestion>) -> Result<(), Unwritten> {
    let (answer, answered) = oneshot::channel();
    let asking = async {
        history.send(KeeperQuestion::Kept(answer)).await.ok()?;
        answered.await.ok()
    };
    match timeout(LONGEST_WRITE, asking).await {
        Ok(None) => Err(Unwritten::Stopping),
        Ok(Some(Ok(()))) => Ok(()),
        Ok(Some(Err(why))) => Err(Unwritten::Because(why)),
        Err(_) => Err(Unwritten::Because("the state directory does not answer".into())),
    }
}

/// The first sync that a name means; an error that tells which one may be meant, if there is none.
pub(crate) fn known<'a>(status: &'a Status, asked: &SyncName) -> Result<&'a SyncStatus, CallError> {
    status.syncs.iter().find(|sync| sync.name.answers_to(asked)).ok_or_else(|| {
        let similar = closest(asked.as_str(), status.syncs.iter().map(|sync| sync.name.as_str()));
        CallError::UnknownSync {
            sync: asked.to_string(),
            similar: similar.map(ToOwned::to_owned).into_iter().collect(),
        }
    })
}

impl From<Refusal> for CallError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::UnknownSync(sync, similar) => {
                Self::UnknownSync { sync: sync.to_string(), similar: similar.iter().map(ToString::to_string).collect() }
            }
            Refusal::UnknownVolume(volume, similar) => Self::UnknownVolume {
                volume: volume.to_string(),
                similar: similar.iter().map(ToString::to_string).collect(),
            },
            Refusal::NoDrive(volume, drives) => {
                Self::NoDrive { volume: volume.to_string(), drives: drives.iter().map(ToString::to_string).collect() }
            }
            Refusal::UnknownLocation(location, known) => Self::UnknownLocation {
                location: location.to_string(),
                known: known.iter().map(ToString::to_string).collect(),
            },
            Refusal::Failed(message) => Self::Failed { message },
            Refusal::Stopping => Self::Stopping,
        }
    }
}
