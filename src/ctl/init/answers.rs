//! What a person wants, as far as options say it.

use super::places::{self, CopyTarget, Source, Vicinity};
use super::start::Start;
use crate::ctl::command_error::CommandError;
use crate::ctl::options::InitOptions;
use crate::model::{SnapshotKind, SyncName};

/// What a person wants.
pub(super) struct Answers {
    /// What is copied.
    pub sources: Vec<Source>,
    /// Where the copies go.
    pub target: CopyTarget,
    /// How earlier versions are kept.
    pub snapshots: SnapshotKind,
    /// The name, if one was given.
    pub name: Option<SyncName>,
    /// Whether what is proposed is left out.
    pub leaves_out: LeavesOut,
}

/// Whether what is proposed is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LeavesOut {
    /// It is.
    Proposed,
    /// Only the copies themselves are.
    Nothing,
}

/// The answers, from the options alone.
pub(super) fn answered(options: &InitOptions, start: &Start<'_>, looks: &Vicinity) -> Result<Answers, CommandError> {
    let missing = |what: &str| CommandError::Usage(format!("with --yes nothing is asked; name {what}"));
    if options.source.is_empty() {
        return Err(missing("what is copied with --source DIR"));
    }
    let to = options.destination.as_deref();
    let to = to.ok_or_else(|| missing("where the copies go with --destination DIR, HOST:DIR or UUID"))?;
    let sources = sources(options, start, looks)?;
    let target = places::target(to, start, looks)?;
    let snapshots = options.snapshots.map(SnapshotKind::from).or(target.best_kind()).ok_or_else(|| {
        CommandError::Usage(format!(
            "{} is not open, so that nobody knows what it can hold; open it, or choose with --snapshots",
            target.shown
        ))
    })?;
    target.must_hold(snapshots)?;
    Ok(Answers { sources, target, snapshots, name: options.name.clone(), leaves_out: LeavesOut::Proposed })
}

/// The sources that the options name.
pub(super) fn sources(options: &InitOptions, start: &Start<'_>, looks: &Vicinity) -> Result<Vec<Source>, CommandError> {
    if options.source.len() > 1 && options.name.is_some() {
        let why = "--name is for one source; leave it out, and each sync is called like its directory";
        return Err(CommandError::Usage(why.to_owned()));
    }
    options.source.iter().map(|path| places::source(path, start, looks)).collect()
}
