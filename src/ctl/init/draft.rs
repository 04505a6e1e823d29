//! What comes into the configuration, checked before anything is written.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::answers::{Answers, LeavesOut};
use super::places::Vicinity;
use super::start::Start;
use super::vacancy::vacancy;
use crate::ctl::command_error::CommandError;
use crate::decide::setup::{Drafted, Planner, Proposal, SyncWish, left_out, mount_of};
use crate::formats::config::Mistakes;
use crate::formats::config::extend::{self, ExtendError};
use crate::model::{Additions, Configuration, Filter, SyncName, Vacancy};
use crate::os::ssh::SshPlace;

/// What comes into the configuration.
pub(super) struct Draft {
    /// The syncs that were asked for, in their order.
    pub syncs: Vec<Drafted>,
    /// What is new.
    pub additions: Additions,
    /// The whole text with it.
    pub text: String,
    /// The lines that are new.
    pub lines: String,
    /// What the whole says.
    pub configuration: Configuration,
    /// What lies where the copies of a new sync are to be.
    pub vacancies: BTreeMap<SyncName, Vacancy>,
    /// The sources that lie on the filesystem of their copies.
    pub beside: Vec<PathBuf>,
}

impl Draft {
    /// Makes it of the answers. The mistakes are those that the daemon would find in it.
    pub fn new(start: &Start<'_>, answers: &Answers, looks: &Vicinity) -> Result<Result<Self, Mistakes>, CommandError> {
        let mut planner = Planner::new(start.configuration.clone(), &looks.home);
        let mut syncs = Vec::new();
        // A server is asked once for each name.
        let (seen, ssh) = (RefCell::new(BTreeMap::new()), SshPlace::new(start.paths.runtime_dir()));
        let seen_at = |name: &SyncName| {
            *seen.borrow_mut().entry(name.clone()).or_insert_with(|| vacancy(&answers.target, name, &ssh))
        };
        for source in &answers.sources {
            let filters: Vec<Filter> = proposals(answers, &source.path, looks).iter().map(Proposal::filter).collect();
            let drafted = planner.take_in(SyncWish {
                source: &source.place,
                path: &source.path,
                destination: &answers.target.place,
                snapshots: answers.snapshots,
                filters,
                name: answers.name.clone(),
                vacancy: &seen_at,
            });
            syncs.push(drafted.map_err(|error| CommandError::Usage(error.to_string()))?);
        }
        let additions = planner.additions();
        let old = start.file.as_deref().unwrap_or_default();
        match extend::extend(old, &additions, &start.context) {
            Ok(extended) => Ok(Ok(Self {
                lines: extend::added_lines(&additions, &start.context.home),
                additions,
                text: extended.text,
                configuration: extended.configuration,
                vacancies: syncs.iter().filter_map(new_name).map(|name| (name.clone(), seen_at(name))).collect(),
                beside: beside(answers, looks),
                syncs,
            })),
            Err(ExtendError::Mistakes(mistakes)) => Ok(Err(mistakes)),
            Err(ExtendError::Rigid(lines)) => {
                let file = start.paths.config.display();
                Err(CommandError::Failed(format!("{file}: {}\n\n{lines}", ExtendError::Rigid(String::new()))))
            }
        }
    }

    /// The names of the syncs that were asked for.
    pub fn names(&self) -> Vec<SyncName> {
        let name = |drafted: &Drafted| match drafted {
            Drafted::New(name) | Drafted::Already(name) => name.clone(),
        };
        self.syncs.iter().map(name).collect()
    }
}

/// What is left out of a source.
fn proposals(answers: &Answers, source: &Path, looks: &Vicinity) -> Vec<Proposal> {
    let copies = answers.target.at.as_deref();
    let all = left_out(source, &looks.home, copies);
    match answers.leaves_out {
        LeavesOut::Proposed => all,
        // Copies of the copies would fill any drive.
        LeavesOut::Nothing if copies.is_some_and(|copies| copies.starts_with(source)) => {
            all.into_iter().take(1).collect()
        }
        LeavesOut::Nothing => Vec::new(),
    }
}

/// A broken disk takes what lies beside its copies, and these.
fn beside(answers: &Answers, looks: &Vicinity) -> Vec<PathBuf> {
    let device = |path: &Path| mount_of(path, &looks.mounts).map(|mount| mount.device);
    let copies = answers.target.at.as_deref().and_then(device);
    let paths = answers.sources.iter().map(|source| &source.path);
    paths.filter(|path| copies.is_some() && device(path) == copies).cloned().collect()
}

fn new_name(drafted: &Drafted) -> Option<&SyncName> {
    match drafted {
        Drafted::New(name) => Some(name),
        Drafted::Already(_) => None,
    }
}
