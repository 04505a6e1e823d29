//! Doctor: everything that backups depend on is tested from where the daemon is. Each neighbour is asked on a thread of
//! its own, with a deadline, so that one that does not answer costs its own test and no other.

mod buses;
mod drives;
mod files;
mod premises;
mod servers;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout, timeout_at};

use crate::daemon::messages::ask::Ask;
use crate::daemon::outlets::keeper::{HistoryQuestion, KeeperQuestion};
use crate::daemon::serving::doctor::premises::{A_LOOK, Premises};
use crate::daemon::world::Initiative;
use crate::decide::diagnosis::{daemon, state, syncs, unanswered, volumes};
use crate::model::{Area, Configuration, Examined, RunRecord, Status};
use crate::os::environment::Paths;
use crate::os::{clock, enclosure, mounts};

/// How long all that is looked at in the filesystem may take.
const FILES: Duration = Duration::from_secs(15);

/// How long all that is asked of one bus may take. Each question has a deadline of its own, and these add up.
const BUSES: Duration = Duration::from_mins(1);

/// How long all that is asked of servers may take. Each has a deadline of its own.
const SERVERS: Duration = Duration::from_mins(1);

/// How many runs of the past are looked at.
const RUNS: usize = 500;

/// What a test needs to know beside what it sees.
#[derive(Debug, Clone)]
pub struct Ground {
    /// Where everything is.
    paths: Paths,
    /// Whether this is the daemon, or one request in its place.
    initiative: Initiative,
    /// The state of everything.
    status: watch::Receiver<Arc<Status>>,
    /// The configuration in force.
    configuration: watch::Receiver<Arc<Configuration>>,
    /// To the keeper of history.
    history: mpsc::Sender<KeeperQuestion>,
}

impl Ground {
    /// What these know.
    #[must_use]
    pub fn new(
        paths: &Paths,
        initiative: Initiative,
        status: &watch::Receiver<Arc<Status>>,
        configuration: &watch::Receiver<Arc<Configuration>>,
        history: &mpsc::Sender<KeeperQuestion>,
    ) -> Self {
        let (status, configuration) = (status.clone(), configuration.clone());
        Self { paths: paths.clone(), initiative, status, configuration, history: history.clone() }
    }

    /// The way to who keeps history and ledger.
    pub(crate) fn keeper(&self) -> mpsc::Sender<KeeperQuestion> {
        self.history.clone()
    }
}

/// Tests everything.
pub(crate) async fn examine(ground: &Ground, asks: &mpsc::Sender<Ask>, place: OwnedSemaphorePermit) -> Vec<Examined> {
    // What is told further down is to be how it stands now. Who is late is told as it was.
    let _ = timeout(A_LOOK, told(asks, |answer| Ask::Scan { answer })).await;
    let devices = timeout(A_LOOK, told(asks, |answer| Ask::Devices { answer })).await;
    let status = Arc::clone(&ground.status.borrow());
    let configuration = Arc::clone(&ground.configuration.borrow());
    let ground_of = (ground.paths.clone(), ground.initiative);
    let seen = timeout(A_LOOK, told(asks, |answer| Ask::Prospects { syncs: Vec::new(), answer })).await;
    let seen = seen.ok().flatten().and_then(Result::ok).unwrap_or_default();
    let known = Arc::new(Premises::new(ground_of, status, configuration, devices.ok().flatten(), seen, place));
    let started = [
        Test::start(&known, Area::Daemon, "configuration", files::daemon),
        Test::start(&known, Area::Daemon, "session", buses::lingering),
        Test::start(&known, Area::Daemon, "mounts", |known| {
            daemon::mounts(&mounts::view(), &known.configuration).into_iter().collect()
        }),
        Test::start(&known, Area::Daemon, "confinement", |_| vec![daemon::walls(&enclosure::tried())]),
        Test::start(&known, Area::State, "directory", files::state),
        Test::start(&known, Area::State, "history", files::history_file),
        Test::start(&known, Area::State, "ledger", files::ledger),
        Test::start(&known, Area::Tools, "programs", files::programs),
        Test::start(&known, Area::Tools, "files", files::files),
        Test::start(&known, Area::Neighbours, "services", buses::neighbours),
        Test::start(&known, Area::Credentials, "passphrases", buses::passphrases),
        Test::start(&known, Area::Drives, "left open", files::left_open),
        Test::start(&known, Area::Drives, "absent", drives::absent),
        Test::start(&known, Area::Drives, "udisks2 and polkit", drives::drives),
        Test::start(&known, Area::Volumes, "mount points", files::mount_points),
        Test::start(&known, Area::Volumes, "history", files::destinations),
        Test::start(&known, Area::Volumes, "sessions", servers::sessions).within(SERVERS),
        Test::start(&known, Area::Volumes, "hands", servers::hands).within(SERVERS),
        Test::start(&known, Area::Syncs, "links", servers::links),
    ];
    let mut examined = vec![daemon::work(&known.configuration)];
    if known.initiative == Initiative::Own {
        examined.push(daemon::degraded(&known.status.degraded));
    }
    examined.push(state::clock(&known.status, clock::now().wall));
    examined.extend(known.status.volumes.iter().map(|volume| volumes::volume(volume, &known.configuration)));
    for test in started {
        examined.extend(test.end().await);
    }
    // Last: a history that is broken is put aside by whoever reads it, and would not be found any more.
    let recent = timeout(FILES, recent(&ground.history)).await.ok().flatten().unwrap_or_default();
    examined.extend(syncs::syncs(&known.status, &recent));
    // Within an area everything stays in its order.
    examined.sort_by_key(|thing| thing.area);
    examined
}

/// What the dispatcher answers; nothing if it ends.
async fn told<T>(asks: &mpsc::Sender<Ask>, ask: impl FnOnce(oneshot::Sender<T>) -> Ask) -> Option<T> {
    let (answer, answered) = oneshot::channel();
    asks.send(ask(answer)).await.ok()?;
    answered.await.ok()
}

async fn recent(history: &mpsc::Sender<KeeperQuestion>) -> Option<Vec<RunRecord>> {
    let (answer, answered) = oneshot::channel();
    history.send(KeeperQuestion::Runs(HistoryQuestion { sync: None, limit: RUNS, answer })).await.ok()?;
    // What is wrong with the history is tested on its own.
    answered.await.ok()?.ok()
}

/// A test under way, on its own thread.
struct Test {
    area: Area,
    subject: &'static str,
    limit: Duration,
    begun: Instant,
    result: oneshot::Receiver<Vec<Examined>>,
}

impl Test {
    fn start(known: &Arc<Premises>, area: Area, subject: &'static str, test: fn(&Premises) -> Vec<Examined>) -> Self {
        let (done, result) = oneshot::channel();
        let known = Arc::clone(known);
        // Left behind if it is late; without a thread there is no result either.
        let _thread = std::thread::Builder::new().name("doctor".into()).spawn(move || {
            let _ = done.send(test(&known));
        });
        let limit = match area {
            Area::Neighbours | Area::Credentials | Area::Drives => BUSES,
            Area::Daemon | Area::State | Area::Tools | Area::Volumes | Area::Syncs => FILES,
        };
        Self { area, subject, limit, begun: Instant::now(), result }
    }

    /// Gives it another limit.
    fn within(self, limit: Duration) -> Self {
        Self { limit, ..self }
    }

    async fn end(self) -> Vec<Examined> {
        match timeout_at(self.begun + self.limit, self.result).await {
            Ok(Ok(examined)) => examined,
            Ok(Err(_)) | Err(_) => vec![unanswered(self.area, self.subject, self.limit.as_secs())],
        }
    }
}
