//! How rsync is started for each way that a copy goes.

use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::backup::copy::plan::CopyPlan;
use crate::backup::failure::{could_not, failure, of_process};
use crate::backup::place::approach::Origin;
use crate::backup::place::way::{CopyWay, Target};
use crate::formats::rsync::arguments::{CopyMode, Passage, RsyncCall, arguments};
use crate::formats::rsync::chosen::follows_links;
use crate::formats::ssh::arguments::SHARED_HOST;
use crate::formats::ssh::script;
use crate::model::{FailureKind, Guard, NotDone, Past, PathSet, Privileges, SnapshotKind, Step, Sync};
use crate::os::confine::confine_reads;
use crate::os::directory::Directory;
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
    pub(crate) past: Past,
}

impl<'a> Copying<'a> {
    /// A copy of what is read to this place.
    pub(crate) fn new(origin: &'a Origin<'_>, target: &'a Target<'a>) -> Self {
        let Origin { job, source, rsync, sync, nested, privileges } = origin;
        let way = CopyWay::between(source, target);
        let (approved, approved_cuts) = (job.approved.as_ref(), job.approved_cuts.as_ref());
        let (nested, privileges) = (nested.as_deref(), *privileges);
        let past = Past::default();
        Self { rsync, sync, approved, approved_cuts, way, target, nested, privileges, past }
    }

    /// How much may be deleted. Before its first copy, what lies in a mirror is nobody's copy: none of it may go
    /// without a word.
    pub(crate) fn guard(&self) -> Guard {
        match (self.sync.guard, self.sync.snapshots, self.past) {
            (Guard::MaxDelete(_), SnapshotKind::None, Past::Unknown | Past::Snapshots) => Guard::MaxDelete(0),
            (guard @ (Guard::Off | Guard::MaxDelete(_)), _, _) => guard,
        }
    }
}

/// Starts rsync where it reads nothing but source and destination, whatever becomes of them meanwhile, unless a person
/// has links followed out of them.
pub(crate) fn start(copying: &Copying<'_>, plan: &CopyPlan, effect: CopyMode) -> Result<Running, NotDone> {
    let (source, target) = match &copying.way {
        CopyWay::Here(source, target) => (Some(*source), Some(*target)),
        CopyWay::Push(source, _) => (Some(*source), None),
        CopyWay::Pull(_, target) => (None, Some(*target)),
        // It is ssh that is started here.
        CopyWay::There(_) => (None, None),
    };
    // What is passed is dropped once rsync has it.
    let (launch, _passed) = launch(copying, plan, effect).map_err(|cause| not_started(&cause))?;
    let program = launch.program.clone();
    let call = || process::start(launch, target.map(|target| &target.directory));
    if follows_links(&copying.sync.rsync) {
        return call().map_err(|error| of_process(Step::Copy, &error));
    }
    let roots: Vec<_> =
        source.into_iter().chain(target.map(|target| target.destination)).map(Directory::as_fd).collect();
    // On a thread of its own, since it is confined for good.
    let begun = std::thread::scope(|scope| scope.spawn(|| confine_reads(&program, roots).map(|_| call())).join());
    let begun = begun.map_err(|_| failure(Step::Copy, FailureKind::Other, "what starts rsync has broken"))?;
    let begun = begun.map_err(|error| failure(Step::Copy, FailureKind::Other, could_not(&error)))?;
    begun.map_err(|error| of_process(Step::Copy, &error))
}

/// Why rsync does not run.
pub(crate) fn not_started(cause: &std::io::Error) -> NotDone {
    failure(Step::Copy, FailureKind::Resource, format!("could not start rsync: {cause}"))
}

/// The call as it is started, and what it inherits.
fn launch(copying: &Copying<'_>, plan: &CopyPlan, effect: CopyMode) -> std::io::Result<(Launch, Vec<Passed>)> {
    let source = copying.way.source().map(Passed::new).transpose()?;
    let remote = OsString::from(format!("{SHARED_HOST}:./"));
    let here = source.as_ref().map(Passed::operand).unwrap_or_default();
    let list = match &copying.way {
        CopyWay::Here(..) | CopyWay::Push(..) | CopyWay::Pull(..) if !plan.veil.only.is_empty() => Some(list(plan)?),
        CopyWay::Here(..) | CopyWay::Push(..) | CopyWay::Pull(..) | CopyWay::There(_) => None,
    };
    let listed = list.as_ref().map(Passed::path);
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
fn list(plan: &CopyPlan) -> std::io::Result<Passed> {
    let paths = plan.veil.only.iter().flat_map(|path| [path.as_os_str().as_bytes(), b"\0"]);
    Passed::new(&files::in_memory(&paths.collect::<Vec<_>>().concat())?)
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
    between(copying, plan, (effect, None, Passage::None), source, destination)
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
    between(copying, plan, (effect, list, passage), source, destination)
}

fn between(
    copying: &Copying<'_>,
    plan: &CopyPlan,
    (effect, list, passage): (CopyMode, Option<&OsStr>, Passage<'_>),
    source: &OsStr,
    destination: &OsStr,
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
        source,
        destination,
    })
}
