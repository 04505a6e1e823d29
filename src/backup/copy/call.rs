//! How rsync is started for each way that a copy goes.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::backup::copy::plan::CopyPlan;
use crate::backup::failure::{could_not, failure, of_directory, of_process};
use crate::backup::place::approach::Origin;
use crate::backup::place::way::{CopyWay, HereTarget, Target};
use crate::formats::rsync::arguments::{CopyMode, Passage, RsyncCall, WHERE_IT_WORKS, arguments, slash};
use crate::formats::rsync::chosen::follows_links;
use crate::formats::ssh::arguments::SHARED_HOST;
use crate::formats::ssh::calls::SeenThere;
use crate::formats::ssh::script;
use crate::model::{FailureKind, Guard, NotDone, PathSet, Precedent, Privileges, SnapshotKind, Step, Sync, Walls};
use crate::os::apart::{DESTINATION, SOURCE};
use crate::os::causes::chain;
use crate::os::enclosure::{Enclosure, EnclosureError, Workplace};
use crate::os::files;
use crate::os::passed::Passed;
use crate::os::process::{self, Launch, Leftovers, Running};

/// All that a copy needs.
pub(crate) struct Copying<'a> {
    /// rsync itself, as it is shown to people if it runs at a server.
    pub(crate) rsync: &'a Path,
    /// The sync.
    pub(crate) sync: &'a Sync,
    /// The deletions that a person approved.
    pub(crate) approved: Option<&'a PathSet>,
    /// The same for files that are cut down.
    pub(crate) approved_cuts: Option<&'a PathSet>,
    /// Between which places.
    pub(crate) way: CopyWay<'a>,
    /// What is written.
    pub(crate) target: &'a Target<'a>,
    /// Where the destination of the sync lies inside what is read, if it does.
    pub(crate) nested: Option<&'a Path>,
    /// Whether what gives a file power is copied.
    pub(crate) privileges: Privileges,
    /// What the destination was before.
    pub(crate) past: Precedent,
    /// Where rsync runs.
    pub(crate) enclosure: &'a Enclosure,
}

impl<'a> Copying<'a> {
    /// A copy of what is read to this place.
    pub(crate) fn new(origin: &'a Origin<'_>, target: &'a Target<'a>) -> Self {
        let Origin { job, source, rsync, sync, nested, privileges, .. } = origin;
        let outlook = if follows_links(&sync.rsync) { SeenThere::Everything } else { SeenThere::Ends };
        let way = CopyWay::between(source, target, outlook);
        let (approved, approved_cuts) = (job.approved.as_ref(), job.approved_cuts.as_ref());
        let (nested, privileges) = (nested.as_deref(), *privileges);
        let past = Precedent::default();
        let enclosure = &origin.enclosure;
        Self { rsync, sync, approved, approved_cuts, way, target, nested, privileges, past, enclosure }
    }

    /// How much may be deleted. Before its first copy, what lies in a mirror is nobody's copy: none of it may go
    /// without a word.
    pub(crate) fn guard(&self) -> Guard {
        match (self.sync.guard, self.sync.snapshots, self.past) {
            (Guard::MaxDelete(_), SnapshotKind::None, Precedent::Unknown | Precedent::Snapshots) => Guard::MaxDelete(0),
            (guard @ (Guard::Off | Guard::MaxDelete(_)), _, _) => guard,
        }
    }

    /// What is written, if it is on this machine.
    fn target_here(&self) -> Option<&'a HereTarget<'a>> {
        match &self.way {
            CopyWay::Here(_, target) | CopyWay::Pull(_, target) => Some(target),
            CopyWay::Push(..) | CopyWay::There(_) => None,
        }
    }

    /// What entries are named relative to.
    pub(crate) fn roots(&self) -> Vec<PathBuf> {
        let mut roots = self.way.roots();
        if self.enclosure.walls() == Some(Walls::Apart) {
            roots.push(SOURCE.into());
            roots.extend(self.target_here().map(|target| Path::new(DESTINATION).join(&target.below)));
        }
        roots
    }
}

/// Starts rsync where it comes to nothing but source and destination, whatever becomes of them meanwhile.
pub(crate) fn start(copying: &Copying<'_>, plan: &CopyPlan, effect: CopyMode) -> Result<Running, NotDone> {
    let target = copying.target_here();
    let fail = |error: EnclosureError| match &error {
        EnclosureError::Process(error) => of_process(Step::Copy, error),
        EnclosureError::Place(error) => of_directory(Step::Copy, error),
        EnclosureError::Thread(_) => failure(Step::Copy, FailureKind::Resource, could_not(&error)),
        EnclosureError::Moved(_) => failure(Step::Copy, FailureKind::Hostile, could_not(&error)),
        EnclosureError::Ended | EnclosureError::Confine(_) | EnclosureError::Rights(_) | EnclosureError::Apart(_) => {
            failure(Step::Copy, FailureKind::Other, could_not(&error))
        }
    };
    let (walls, why) = copying.enclosure.open().map_err(fail)?;
    if let Some(why) = why {
        tracing::debug!(nbkp.sync = %copying.sync.name, "could not {}", chain(&why));
    }
    // What is passed is dropped once rsync has it.
    let (launch, _passed) = launch(copying, plan, effect).map_err(|cause| not_started(&cause))?;
    if walls != Walls::Apart {
        let child = process::made_ready(launch, target.map(|target| &target.directory));
        return copying.enclosure.start_child(child, None).map_err(fail);
    }
    let directory = target.map(|target| {
        let found = target.directory.identity().map_err(|error| of_directory(Step::Copy, &error))?;
        Ok((target.below.clone(), found.device, found.inode))
    });
    let list = (!plan.veil.only.is_empty()).then(|| list(plan));
    let workplace = Workplace { directory: directory.transpose()?, list };
    copying.enclosure.start_child(process::made_ready(launch, None), Some(workplace)).map_err(fail)
}

/// Why rsync does not run.
pub(crate) fn not_started(cause: &std::io::Error) -> NotDone {
    failure(Step::Copy, FailureKind::Resource, format!("could not start rsync: {cause}"))
}

/// The call as it is started, and what it inherits.
fn launch(copying: &Copying<'_>, plan: &CopyPlan, effect: CopyMode) -> std::io::Result<(Launch, Vec<Passed>)> {
    let is_apart = copying.enclosure.walls() == Some(Walls::Apart);
    let source = copying.way.source().filter(|_| !is_apart).map(Passed::new).transpose()?;
    let remote = OsString::from(format!("{SHARED_HOST}:./"));
    let here = source.as_ref().map_or_else(|| slash(Path::new(SOURCE)), Passed::operand);
    let is_listed = match &copying.way {
        CopyWay::Here(..) | CopyWay::Push(..) | CopyWay::Pull(..) => !plan.veil.only.is_empty(),
        CopyWay::There(_) => false,
    };
    let list = (is_listed && !is_apart).then(|| Passed::new(&files::in_memory(&list(plan))?)).transpose()?;
    let listed = list.as_ref().map(Passed::path).or_else(|| is_listed.then(Enclosure::list));
    let listed = listed.as_deref();
    let (program, arguments, input) = match &copying.way {
        CopyWay::Here(_, target) => {
            let arguments = words(copying, plan, (effect, listed), &here, OsStr::new(target.into));
            (copying.rsync.to_owned(), arguments, target.lock.map(OwnedFd::try_clone).transpose()?)
        }
        CopyWay::Push(_, far) => {
            let into = OsString::from(format!("{SHARED_HOST}:{}", far.into));
            (copying.rsync.to_owned(), words(copying, plan, (effect, listed), &here, &into), None)
        }
        CopyWay::Pull(_, target) => {
            let arguments = words(copying, plan, (effect, listed), &remote, OsStr::new(target.into));
            (copying.rsync.to_owned(), arguments, target.lock.map(OwnedFd::try_clone).transpose()?)
        }
        CopyWay::There(far) => {
            let mut all = far.call.words.clone();
            // What `transfer.sh` opened as its seventh descriptor is the source.
            let source = OsStr::new("/proc/self/fd/7/");
            all.extend(words(copying, plan, (effect, None), source, OsStr::new(far.into)));
            let (ssh, arguments) = far.server.shell();
            (ssh, arguments, Some(files::in_memory(&script::timed(far.call.script, &all))?))
        }
    };
    let environment = environment();
    let passed = source.into_iter().chain(list).collect();
    Ok((Launch { program, arguments, environment, input, leftovers: Leftovers::End }, passed))
}

/// What alone is copied, as a file that rsync reads.
fn list(plan: &CopyPlan) -> Vec<u8> {
    let paths = plan.veil.only.iter().flat_map(|path| [path.as_os_str().as_bytes(), b"\0"]);
    paths.collect::<Vec<_>>().concat()
}

/// Its messages are read as they are in no language, and it finds no `~/.popt`, whose aliases would change what the
/// arguments mean.
fn environment() -> Vec<(String, OsString)> {
    let fixed = [("LC_ALL", "C"), ("HOME", "/dev/null")];
    fixed.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

/// The arguments of a call as a person would write them: between these operands.
pub(crate) fn shown(
    copying: &Copying<'_>,
    plan: &CopyPlan,
    effect: CopyMode,
    source: &OsStr,
    destination: &OsStr,
) -> Vec<OsString> {
    let ends = (source, destination, Path::new(WHERE_IT_WORKS));
    between(copying, plan, (effect, None, Passage::None), ends)
}

fn words(
    copying: &Copying<'_>,
    plan: &CopyPlan,
    (effect, list): (CopyMode, Option<&OsStr>),
    source: &OsStr,
    destination: &OsStr,
) -> Vec<OsString> {
    let through = match &copying.way {
        CopyWay::Here(..) | CopyWay::There(_) => None,
        CopyWay::Push(_, far) | CopyWay::Pull(far, _) => {
            Some((far.server.remote_shell(), far.server.rsync_path(&far.call)))
        }
    };
    let passage = match &through {
        None => Passage::None,
        Some((shell, server)) => Passage::Network { shell, server },
    };
    let apart = copying.target_here().filter(|_| copying.enclosure.walls() == Some(Walls::Apart));
    let works_in = apart.map_or_else(|| WHERE_IT_WORKS.into(), |target| Path::new(DESTINATION).join(&target.below));
    between(copying, plan, (effect, list, passage), (source, destination, &works_in))
}

fn between(
    copying: &Copying<'_>,
    plan: &CopyPlan,
    (effect, list, passage): (CopyMode, Option<&OsStr>, Passage<'_>),
    (source, destination, works_in): (&OsStr, &OsStr, &Path),
) -> Vec<OsString> {
    arguments(&RsyncCall {
        passage,
        settings: &copying.sync.rsync,
        mounts: copying.sync.mounts,
        filters: &copying.sync.filters,
        nested: copying.nested,
        spared: &plan.spared,
        veil: &plan.veil,
        list,
        manner: &plan.manner,
        comparison: plan.comparison,
        keeping: plan.keeping,
        privileges: copying.privileges,
        effect,
        works_in,
        source,
        destination,
    })
}
