//! What is known at the start: what people decided, how the runs of the past went, what is still open.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::daemon::outlets::keeper;
use crate::daemon::world::{Beginnings, Initiative};
use crate::model::{Configuration, Held, Ledger, RunRecord, SyncName};
use crate::os::causes::chain;
use crate::os::environment::Paths;
use crate::os::history::{HistoryStore, LastRuns};
use crate::os::state_dir::{self, StateDir};
use crate::os::{clock, held};

/// What is known at the start.
#[derive(Debug, Default)]
pub(crate) struct Inheritance {
    /// What people decided and what was seen before.
    pub(crate) ledger: Ledger,
    /// The drives that a dead daemon left open.
    pub(crate) held: Vec<Held>,
    /// What history knows of each sync.
    pub(crate) past: BTreeMap<SyncName, LastRuns>,
    /// The runs that died with a daemon.
    pub(crate) died: Vec<RunRecord>,
    /// What could not be read.
    pub(crate) troubles: Vec<String>,
}

impl Inheritance {
    /// Takes over what a dead daemon left: what it kept is mended or begun anew, its unfinished runs are closed, and
    /// what it opened is to be closed.
    pub(crate) fn taken_over(state: &StateDir) -> Self {
        let mut troubles = Vec::new();
        let ledger = state.ledger().unwrap_or_else(|error| {
            troubles.push(format!(
                "could not {}; holds, pauses and approvals are forgotten: give them again",
                chain(&error)
            ));
            Ledger::default()
        });
        let (past, died) = remember(state.path(), &mut troubles);
        let (held, faults) = held::all(state.path());
        troubles.extend(faults.iter().map(|fault| format!("could not {}", chain(fault))));
        Self { ledger, held, past, died, troubles }
    }

    /// The same as far as it can be read, and left as it is. What is wrong with it is for those to tell who test it.
    pub(crate) fn seen(state_dir: &Path) -> Self {
        let past = HistoryStore::look(state_dir).and_then(|mut history| history.past().ok());
        Self {
            ledger: state_dir::read_ledger(state_dir).unwrap_or_default(),
            past: past.unwrap_or_default(),
            ..Self::default()
        }
    }

    /// What a world is made of that remembers this.
    pub(crate) fn beginnings(
        self,
        initiative: Initiative,
        paths: &Paths,
        configuration: Arc<Configuration>,
    ) -> Beginnings {
        let Self { ledger, held, past, .. } = self;
        let (config_file, seed) = (paths.config.clone(), fastrand::u64(..));
        Beginnings { initiative, config_file, configuration, ledger, held, past, seed }
    }
}

/// What history knows. Backups do not depend on it: trouble is shown, and the past is taken to be empty.
fn remember(state_dir: &Path, troubles: &mut Vec<String>) -> (BTreeMap<SyncName, LastRuns>, Vec<RunRecord>) {
    let read = HistoryStore::open(state_dir, clock::now().wall).and_then(|mut history| {
        let died = history.close_unfinished()?;
        let past = history.past()?;
        troubles.extend(history.put_aside.as_deref().map(keeper::begun_anew));
        Ok((past, died))
    });
    read.unwrap_or_else(|error| {
        troubles.push(format!("could not {}", chain(&error)));
        Default::default()
    })
}
