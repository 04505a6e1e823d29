//! What a neighbour lacks, as the senses tell it.

use tokio::sync::{mpsc, watch};

use crate::daemon::messages::sensed::Sensed;

/// Tells how one neighbour is, once for each change.
#[derive(Debug)]
pub(crate) struct Shortage {
    neighbour: &'static str,
    told: Option<String>,
    to: mpsc::Sender<Sensed>,
}

impl Shortage {
    pub(crate) fn of(neighbour: &'static str, to: &mpsc::Sender<Sensed>) -> Self {
        Self { neighbour, told: None, to: to.clone() }
    }

    /// Whether something is missing.
    pub(crate) fn complains(&self) -> bool {
        self.told.is_some()
    }

    pub(crate) async fn tell(&mut self, sentence: Option<String>) -> Result<(), Unheard> {
        if self.told == sentence {
            return Ok(());
        }
        self.told.clone_from(&sentence);
        self.to.send(Sensed::Degraded(self.neighbour, sentence)).await.map_err(|_| Unheard)
    }
}

/// Nobody listens any more.
#[derive(Debug)]
pub(crate) struct Unheard;

impl<T> From<mpsc::error::SendError<T>> for Unheard {
    fn from(_: mpsc::error::SendError<T>) -> Self {
        Self
    }
}

impl From<watch::error::RecvError> for Unheard {
    fn from(_: watch::error::RecvError) -> Self {
        Self
    }
}
