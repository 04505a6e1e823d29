//! What can happen, and what is done about it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use crate::backup::check::order::{CheckOrder, CheckTelling};
use crate::backup::drives::order::{DriveNews, DriveOrder};
use crate::backup::job::Job;
use crate::backup::news::WorkerNews;
use crate::daemon::messages::ask::Ask;
use crate::daemon::messages::call::Call;
use crate::daemon::messages::look::Observation;
use crate::daemon::messages::probe::{ProbeOrder, ProbeReport};
use crate::model::{
    Announcement, ChangeExtent, CheckRecord, Configuration, DamagedFile, DriveName, HostFault, Interruption, Ledger,
    Left, LocationName, NetworkSight, Obstacle, OpeningTrouble, Outcome, PowerSight, RunId, RunRecord, SampleShare,
    SyncName, Trigger, Unclean, VolumeName,
};
use crate::os::history::Entry;

/// What can happen. The set is closed: whatever the daemon reacts to is one of these.
#[derive(Debug)]
pub enum Event {
    /// A look was taken.
    Looked(Box<Observation>),
    /// A server was asked how it stands.
    Probed(Box<ProbeReport>),
    /// The network is another one.
    Network(Box<NetworkSight>, ChangeExtent),
    /// Something about the network changed that may matter for who is within reach.
    RoutesChanged(ChangeExtent),
    /// The power supply is another one.
    Power(PowerSight),
    /// The machine is about to go to sleep, and waits for a moment to be told that it may.
    GoingToSleep,
    /// The machine woke.
    Woke,
    /// A worker says something.
    News(WorkerNews),
    /// A check says something.
    Check(CheckTelling),
    /// A client asks something.
    Asked(Ask),
    /// The configuration file was read anew.
    Configured(Result<Arc<Configuration>, String>),
    /// The alarm went off.
    Deadline,
    /// The wall clock was set.
    ClockJumped,
    /// An order about a drive was carried out.
    Drive(DriveNews),
    /// A keyring came, or was unlocked.
    KeyringChanged,
    /// A neighbour works no longer, or again; the sentence says what is missing.
    Degraded(&'static str, Option<String>),
    /// A signal or the service manager asks the daemon to end.
    Stop,
    /// The client for whom the daemon's work is done without a daemon has left.
    Abandoned,
}

/// What is to be done about an event.
#[derive(Debug)]
pub enum Effect {
    /// Ask a server how it stands.
    Probe(Box<ProbeOrder>),
    /// Look at network and power again.
    Sense,
    /// Nothing runs any more: the machine may sleep.
    LetSleep,
    /// Start a run.
    Start(Box<Job>),
    /// Open or close a drive.
    Drive(Box<DriveOrder>),
    /// Read a copy back.
    Check(Box<CheckOrder>),
    /// Stop that.
    StopCheck(Interruption),
    /// Stop a run.
    StopRun(SyncName, Interruption),
    /// Write something down.
    Record(Record),
    /// Wake at this moment; never, if there is none.
    Alarm(Option<Timestamp>),
    /// Tell journal and service manager.
    Tell(Notice),
    /// Tell a program outside.
    Call(Call),
    /// Tell the person at the desk.
    Announce(Announcement),
    /// Nothing runs any more, and the daemon was asked to end.
    Finish,
}

/// What is to be written down.
#[derive(Debug, Clone)]
pub enum Record {
    /// A run began or ended.
    Run(Entry),
    /// People decided something, or something was seen for the first time.
    Ledger(Box<Ledger>),
}

/// What is worth a line in the journal.
#[derive(Debug, Clone)]
pub enum Notice {
    /// A run begins.
    RunStarted {
        /// The run.
        run: RunId,
        /// Its sync.
        sync: SyncName,
        /// What made it start.
        trigger: Trigger,
    },
    /// A run ended.
    RunEnded(Box<RunRecord>),
    /// A run that was left behind has ended after all.
    Returned(RunId, SyncName, Outcome),
    /// Copies of a sync are read back from now on, so much of them.
    CheckStarted(RunId, SyncName, SampleShare),
    /// They were.
    CheckEnded(Box<CheckRecord>),
    /// Files of a copy are damaged.
    Damaged(SyncName, Vec<DamagedFile>),
    /// Files of a source differ from all copies, which agree.
    SourceDoubted(SyncName, Vec<PathBuf>),
    /// A volume came within reach; with a filesystem that should be checked.
    VolumeCame(VolumeName, PathBuf, Option<Unclean>),
    /// A volume went out of reach.
    VolumeWent(VolumeName),
    /// The configuration was read anew.
    ConfigurationInForce {
        /// How many syncs it holds.
        syncs: usize,
    },
    /// The configuration file has mistakes; the old one stays in force.
    ConfigurationRefused(String),
    /// The locations that are recognised are others now.
    Located(BTreeSet<LocationName>),
    /// A host cannot be used, and only a person can mend that.
    HostFault(HostFault),
    /// A copy is older than `max-age`.
    Overdue(SyncName),
    /// A drive could not be opened.
    NotOpened(OpeningTrouble, DriveName),
    /// A drive is plugged in, and must not be used as it is.
    Unusable(VolumeName, Obstacle),
    /// How a drive was left behind.
    Left(DriveName, Left),
    /// A neighbour works no longer.
    Degraded(String),
}
