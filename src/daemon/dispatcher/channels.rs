//! The channels between the dispatcher and everybody else.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::daemon::messages::ask::Ask;
use crate::daemon::messages::call::Call;
use crate::daemon::messages::event::Record;
use crate::daemon::messages::look::{LookRequest, Observation};
use crate::daemon::messages::order::{Ending, Reread};
use crate::daemon::messages::probe::{ProbeOrder, ProbeReport};
use crate::daemon::messages::sensed::{Activity, Sensed};
use crate::daemon::outlets::notifier::Board;
use crate::model::{Configuration, Status};

/// The dispatcher's ends of them.
#[derive(Debug)]
pub struct Channels {
    /// To the observer.
    pub looks: mpsc::Sender<LookRequest>,
    /// From the observer.
    pub looked: mpsc::Receiver<Observation>,
    /// To the prober.
    pub inquiries: mpsc::Sender<ProbeOrder>,
    /// From the prober.
    pub answers: mpsc::Receiver<ProbeReport>,
    /// To the senses: they are to look again. One order that waits is enough.
    pub sense: mpsc::Sender<()>,
    /// To the senses: what is under way.
    pub activity: watch::Sender<Activity>,
    /// From the senses.
    pub sensed: mpsc::Receiver<Sensed>,
    /// From clients.
    pub asks: mpsc::Receiver<Ask>,
    /// To the keeper.
    pub keep: mpsc::Sender<Record>,
    /// What of the past could not be read at the start, which stays true until the next.
    pub lost: Option<String>,
    /// What holds rsync less than it should be held, which stays true until the next start.
    pub unconfined: Option<String>,
    /// From the keeper: what it cannot keep, and why.
    pub keeping: watch::Receiver<Option<String>>,
    /// From the reader of the configuration file.
    pub configurations: mpsc::Receiver<Result<Arc<Configuration>, String>>,
    /// To the reader of the configuration file: it is to be read.
    pub read: mpsc::Sender<Reread>,
    /// To the notifier.
    pub board: Board,
    /// To the caller.
    pub calls: mpsc::Sender<Call>,
    /// From the outlets: what of a neighbour is missing, or that nothing is.
    pub missing: mpsc::Receiver<(&'static str, Option<String>)>,
    /// To all who show the state.
    pub status: watch::Sender<Arc<Status>>,
    /// To all who use the configuration.
    pub configuration: watch::Sender<Arc<Configuration>>,
    /// Orders from outside to end.
    pub endings: mpsc::Receiver<Ending>,
    /// Where it is written down what was opened.
    pub state_dir: PathBuf,
    /// To who listens to keyrings: whether somebody waits for one.
    pub keyring_wanted: watch::Sender<bool>,
    /// From who listens to keyrings: one came, or was unlocked.
    pub keyring: mpsc::Receiver<()>,
}
