//! The one check that is under way at most, as the dispatcher has it.

use tokio::sync::mpsc;

use crate::backup::check::order::{CheckEnding, CheckOrder, CheckTelling, EndedCheck};
use crate::daemon::outlets::checker::{Checker, start_check};
use crate::model::Interruption;
use crate::os::ssh::SshPlace;

/// The check under way, and what it tells.
#[derive(Debug)]
pub(super) struct CheckDesk {
    checker: Option<Checker>,
    told: mpsc::Receiver<CheckTelling>,
    to_told: mpsc::Sender<CheckTelling>,
}

impl CheckDesk {
    pub(super) fn new() -> Self {
        let (to_told, told) = mpsc::channel(16);
        Self { checker: None, told, to_told }
    }

    /// What the check tells next.
    pub(super) async fn hear(&mut self) -> Option<CheckTelling> {
        self.told.recv().await
    }

    /// Begins a check; says how it ended, if no thread could be started.
    pub(super) fn start(&mut self, order: CheckOrder, ssh: &SshPlace) -> Option<CheckTelling> {
        let (run, sync) = (order.run.clone(), order.seen.sync.name.clone());
        match start_check(order, ssh.clone(), self.to_told.clone()) {
            Ok(checker) => {
                self.checker = Some(checker);
                None
            }
            Err(error) => {
                let end = CheckEnding::Failed(format!("could not start a thread for the check: {error}"));
                Some(CheckTelling::Ended(Box::new(EndedCheck { run, sync, end })))
            }
        }
    }

    pub(super) fn stop(&self, why: Interruption) {
        if let Some(checker) = &self.checker {
            checker.stop(why);
        }
    }

    pub(super) fn ended(&mut self) {
        self.checker = None;
    }
}
