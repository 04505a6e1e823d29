//! What comes into the configuration, checked before anything is written.

use std::path::{Path, PathBuf};

use super::answers::{Answers, LeavesOut};
use super::places::{CopyTarget, Vicinity};
use super::start::Start;
use crate::ctl::command_error::CommandError;
use crate::decide::setup::{Drafted, Planner, Proposal, SyncWish, left_out, mount_of};
use crate::formats::config::Mistakes;
use crate::formats::config::extend::{self, ExtendError};
use crate::model::{Additions, Configuration, Filter, SyncName, layout};
use crate::os::entry;

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
    /// The sources that lie on the filesystem of their copies.
    pub beside: Vec<PathBuf>,
}

impl Draft {
    /// Makes it of the answers. The mistakes are those that the daemon would find in it.
    pub fn new(start: &Start<'_>, answers: &Answers, looks: &Vicinity) -> Result<Result<Self, Mistakes>, CommandError> {
        let mut planner = Planner::new(start.configuration.clone(), &looks.home);
        let mut syncs = Vec::new();
        for source in &answers.sources {
            let filters: Vec<Filter> = proposals(answers, &source.path, looks).iter().map(Proposal::filter).collect();
            let drafted = planner.take_in(SyncWish {
                source: &source.place,
                path: &source.path,
                destination: &answers.target.place,
                snapshots: answers.snapshots,
                filters,
                name: answers.name.clone(),
                occupied: &|name| is_occupied(&answers.target, name),
            });
            syncs.push(drafted.map_err(|error| CommandError::Usage(error.to_string()))?);
        }
        let additions = planner.additions();
        let old = start.file.as_deref().unwrap_or_default();
        match extend::extend(old, &additions, &start.context) {
            Ok(extended) => Ok(Ok(Self {
                syncs,
                lines: extend::added_lines(&additions, &looks.home),
                additions,
                text: extended.text,
                configuration: extended.configuration,
                beside: beside(answers, looks),
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

/// Whether something that is no destination of ours has this name there.
fn is_occupied(target: &CopyTarget, name: &SyncName) -> bool {
    let Some(place) = target.at.as_ref().map(|at| at.join(name.as_str())) else { return false };
    entry::look_at(&place).is_some() && entry::look_at(&place.join(layout::DESTINATION_SENTINEL)).is_none()
}
