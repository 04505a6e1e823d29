//! Where rsync runs: on a thread that was split off before the run confined itself, and that is confined to both ends
//! of the copy. Where this process may make mounts, which is root's, rsync has a root of its own
//! ([`apart`](super::apart)), and none of the rights that let it out; Landlock lies around it in any case.

use std::cell::OnceCell;
use std::ffi::OsString;
use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{JoinHandle, ScopedJoinHandle};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs};

use super::apart::{Apart, ApartError, SCRATCH, Trees};
use super::confine::{ConfineError, Confinement, WhatIsRead, confine_copy};
use super::directory::{Directory, DirectoryError, Reach};
use super::process::{ProcessError, ReadyChild, Running};
use super::{environment, pulse};
use crate::model::{Confined, Walls};
use crate::os::causes::chain;

/// The name of the list that rsync reads.
const LIST: &str = "list";

/// What root's rsync needs: it reads all, and keeps owners, modes, device nodes and the rights of files.
const RIGHTS: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::MKNOD)
    .union(CapabilitySet::SETFCAP);

/// Why rsync was not started.
#[derive(Debug, thiserror::Error)]
pub enum EnclosureError {
    /// There is no thread for it.
    #[error("start the thread that starts rsync")]
    Thread(#[source] std::io::Error),
    /// That thread has broken.
    #[error("start rsync: the thread that starts it has ended")]
    Ended,
    /// It could not be confined.
    #[error(transparent)]
    Confine(#[from] ConfineError),
    /// A right could not be given up.
    #[error("take rights from rsync that it does not need")]
    Rights(#[source] Errno),
    /// There is no root of its own.
    #[error(transparent)]
    Apart(#[from] ApartError),
    /// Where it is to work, or what it is to read, could not be given to it.
    #[error(transparent)]
    Place(#[from] DirectoryError),
    /// Where it is to work is not what was proven.
    #[error("start rsync in {}: another directory is there now", .0.display())]
    Moved(PathBuf),
    /// It could not be started.
    #[error(transparent)]
    Process(#[from] ProcessError),
}

/// What a copy is made of.
#[derive(Debug)]
pub struct Bounds {
    /// What is read, if it is here.
    source: Option<OwnedFd>,
    /// What is written, if it is here.
    destination: Option<OwnedFd>,
    /// The programs that are started, and where sockets lie that they need.
    needed: Vec<PathBuf>,
    reading: WhatIsRead,
}

impl Bounds {
    /// A copy between these, by these programs.
    pub fn new(
        (source, destination): (Option<&Directory>, Option<&Directory>),
        needed: Vec<PathBuf>,
        reading: WhatIsRead,
    ) -> Result<Self, EnclosureError> {
        let share = |directory: &Directory| directory.as_fd().try_clone_to_owned();
        let source = source.map(share).transpose().map_err(EnclosureError::Thread)?;
        let destination = destination.map(share).transpose().map_err(EnclosureError::Thread)?;
        Ok(Self { source, destination, needed, reading })
    }
}

/// Where a child works below the destination, and what it reads beside its ends.
#[derive(Debug)]
pub struct Workplace {
    /// The directory, relative to the destination, and what tells it from another.
    pub directory: Option<(PathBuf, (u32, u32), u64)>,
    /// The content of the list.
    pub list: Option<Vec<u8>>,
}

/// A child to be started, and where.
type Order = (ReadyChild, Option<Workplace>);
type Answer = Result<Running, EnclosureError>;
/// Where orders come from, and answers go to.
type Counter = (Receiver<Order>, SyncSender<Answer>);
/// What holds rsync, and why it has no root of its own though this process may make mounts.
type Opened = Result<(Walls, Option<ApartError>), EnclosureError>;

/// Where rsync runs.
#[derive(Debug)]
pub struct Enclosure {
    orders: Option<SyncSender<Order>>,
    answers: Receiver<Answer>,
    open: Option<SyncSender<Option<OwnedFd>>>,
    /// What is read, if that is another directory than the one that was told first.
    turned: Option<OwnedFd>,
    opened: Receiver<Opened>,
    walls: OnceCell<Walls>,
    keeper: Option<JoinHandle<()>>,
}

impl Enclosure {
    /// Splits off the thread that is to build it. It must be called before the thread confines itself, and passes on
    /// what confines that already.
    pub fn split_off(bounds: Bounds) -> Result<Self, EnclosureError> {
        let (orders, ordered) = sync_channel::<Order>(1);
        let (answer, answers) = sync_channel(1);
        let (open, to_open) = sync_channel::<Option<OwnedFd>>(1);
        let (tell, opened) = sync_channel(1);
        let name = pulse::helper(pulse::this_thread());
        let helper = name.clone();
        let keep = move || {
            if let Ok(turned) = to_open.recv() {
                let bounds = Bounds { source: turned.or(bounds.source), ..bounds };
                keep(&bounds, &helper, &tell, (ordered, answer));
            }
        };
        let keeper = std::thread::Builder::new().name(name).spawn(keep).map_err(EnclosureError::Thread)?;
        Ok(Self {
            orders: Some(orders),
            answers,
            open: Some(open),
            turned: None,
            opened,
            walls: OnceCell::new(),
            keeper: Some(keeper),
        })
    }

    /// Turns it to another directory that is read, as long as it is not built.
    pub fn turn_to(&mut self, source: &Directory) -> Result<(), EnclosureError> {
        self.turned = Some(source.as_fd().try_clone_to_owned().map_err(EnclosureError::Thread)?);
        Ok(())
    }

    /// Builds it around what both ends are now, with all that is mounted below them, if that is not done. Tells what
    /// holds rsync; and why not more, if it tells so for the first time.
    pub fn open(&self) -> Result<(Walls, Option<ApartError>), EnclosureError> {
        if let Some(walls) = self.walls.get() {
            return Ok((*walls, None));
        }
        let open = self.open.as_ref().ok_or(EnclosureError::Ended)?;
        let turned = self.turned.as_ref().map(OwnedFd::try_clone).transpose().map_err(EnclosureError::Thread)?;
        open.send(turned).map_err(|_| EnclosureError::Ended)?;
        let (walls, why) = self.opened.recv().map_err(|_| EnclosureError::Ended)??;
        let _first = self.walls.set(walls);
        Ok((walls, why))
    }

    /// What holds rsync, once it is built.
    #[must_use]
    pub fn walls(&self) -> Option<Walls> {
        self.walls.get().copied()
    }

    /// The path by which rsync finds its list.
    #[must_use]
    pub fn list() -> OsString {
        Path::new(SCRATCH).join(LIST).into()
    }

    /// Starts a child in it. One with a root of its own works at the place that is told.
    pub fn start_child(&self, child: ReadyChild, workplace: Option<Workplace>) -> Answer {
        let orders = self.orders.as_ref().ok_or(EnclosureError::Ended)?;
        orders.send((child, workplace)).map_err(|_| EnclosureError::Ended)?;
        self.answers.recv().map_err(|_| EnclosureError::Ended)?
    }
}

impl Drop for Enclosure {
    /// When it is gone nothing of it holds a drive.
    fn drop(&mut self) {
        (self.orders, self.open) = (None, None);
        if let Some(keeper) = self.keeper.take() {
            let _broken = keeper.join();
        }
    }
}

/// What would hold a copy that this process made now, by trying it.
#[must_use]
pub fn tried() -> Confined {
    let bounds = Bounds { source: None, destination: None, needed: Vec::new(), reading: WhatIsRead::TheseAlone };
    let is_root = environment::is_root();
    match Enclosure::split_off(bounds).and_then(|enclosure| enclosure.open()) {
        Ok((walls, why)) => Confined { walls, is_root, why: why.map(|why| format!("could not {}", chain(&why))) },
        Err(error) => Confined { walls: Walls::None, is_root, why: Some(format!("could not {}", chain(&error))) },
    }
}

/// Whether this thread may make mounts.
fn may_mount() -> bool {
    capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN))
}

/// Serves with a root of its own if that can be had, or without.
fn keep(bounds: &Bounds, name: &str, tell: &SyncSender<Opened>, counter: Counter) {
    // Whoever follows links reads what lies anywhere.
    if bounds.reading == WhatIsRead::Everything || !may_mount() {
        return serve(bounds, None, (tell, None), counter);
    }
    // On a thread of its own, which is of no use any more if that fails half way. If there is no thread for it, whoever
    // waits hears that nobody answers.
    let tried = std::thread::scope(|scope| {
        let live = move || live_apart(bounds, name, tell, counter);
        std::thread::Builder::new().name(name.into()).spawn_scoped(scope, live).map(ScopedJoinHandle::join)
    });
    if let Ok(Ok(Err((why, counter)))) = tried {
        serve(bounds, None, (tell, Some(why)), counter);
    }
}

/// Makes the root, and takes it down in the end. A second thread serves in it, which gives up what it needs no more.
fn live_apart(
    bounds: &Bounds,
    name: &str,
    tell: &SyncSender<Opened>,
    counter: Counter,
) -> Result<(), (ApartError, Counter)> {
    let trees = Trees {
        source: bounds.source.as_ref().map(AsFd::as_fd),
        destination: bounds.destination.as_ref().map(AsFd::as_fd),
        needed: &bounds.needed,
    };
    let apart = match Apart::enter(&trees) {
        Ok(apart) => apart,
        Err(why) => return Err((why, counter)),
    };
    std::thread::scope(|scope| {
        let inside = || serve(bounds, Some(&apart), (tell, None), counter);
        let _serving = std::thread::Builder::new().name(name.into()).spawn_scoped(scope, inside);
    });
    apart.leave();
    Ok(())
}

/// Confines this thread and starts what is ordered.
fn serve(
    bounds: &Bounds,
    apart: Option<&Apart>,
    (tell, why): (&SyncSender<Opened>, Option<ApartError>),
    (ordered, answer): Counter,
) {
    let walls = match confine(bounds, apart) {
        Ok(walls) => walls,
        Err(error) => return drop(tell.send(Err(error))),
    };
    let _gone = tell.send(Ok((walls, why)));
    for (child, workplace) in ordered {
        if answer.send(work(apart, child, workplace)).is_err() {
            break;
        }
    }
}

/// Confines the calling thread, for good.
fn confine(bounds: &Bounds, apart: Option<&Apart>) -> Result<Walls, EnclosureError> {
    let ends = match apart {
        Some(apart) => (
            apart.source.as_ref().map(AsFd::as_fd),
            apart.destination.as_ref().map(AsFd::as_fd),
            Some(apart.scratch.as_fd()),
        ),
        None => (bounds.source.as_ref().map(AsFd::as_fd), bounds.destination.as_ref().map(AsFd::as_fd), None),
    };
    set_no_new_privs(true).map_err(EnclosureError::Rights)?;
    let before = capabilities(None).map_err(EnclosureError::Rights)?;
    let kept = |set: CapabilitySet| set & RIGHTS;
    let fewer = CapabilitySets {
        effective: kept(before.effective),
        permitted: kept(before.permitted),
        inheritable: kept(before.inheritable),
    };
    if fewer != before {
        // Root's program gets no more than the thread had that started it, since that may get no new ones.
        set_capabilities(None, fewer).map_err(EnclosureError::Rights)?;
    }
    let confined = confine_copy(ends, &bounds.needed, bounds.reading)?;
    Ok(match (apart, confined) {
        (Some(_), _) => Walls::Apart,
        (None, Confinement::Full) => Walls::Landlock,
        (None, Confinement::None) => Walls::None,
    })
}

fn work(apart: Option<&Apart>, child: ReadyChild, workplace: Option<Workplace>) -> Answer {
    if let (Some(apart), Some(workplace)) = (apart, workplace) {
        if let Some(list) = workplace.list {
            leave_list(&apart.scratch, &list)?;
        }
        if let (Some((below, device, inode)), Some(destination)) = (workplace.directory, &apart.destination) {
            let directory = destination.open_below(&below, Reach::AnyMount)?;
            let found = directory.identity()?;
            if (found.device, found.inode) != (device, inode) {
                return Err(EnclosureError::Moved(below));
            }
            let entered = rustix::process::fchdir(&directory);
            entered.map_err(|cause| DirectoryError::Open(directory.path().to_owned(), cause))?;
        }
    }
    Ok(child.start()?)
}

fn leave_list(scratch: &Directory, list: &[u8]) -> Result<(), DirectoryError> {
    scratch.remove_file(LIST)?;
    let fail = |cause: Errno| DirectoryError::Write(scratch.path_of(LIST), cause);
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(scratch, LIST, flags, Mode::RUSR).map_err(fail)?;
    File::from(file).write_all(list).map_err(|error| fail(Errno::from_io_error(&error).unwrap_or(Errno::IO)))
}
