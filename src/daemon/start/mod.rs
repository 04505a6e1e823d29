//! Sets the house up: paths, lock, history, socket, ears, tasks; and takes it down again.

pub mod alone;
mod inheritance;

use std::path::PathBuf;
use std::sync::Arc;

use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use crate::daemon::dispatcher::Dispatcher;
use crate::daemon::dispatcher::channels::Channels;
use crate::daemon::fatal::Fatal;
use crate::daemon::inlets::senses::{self, SenseInputs};
use crate::daemon::inlets::{keyring, observer, prober, reader};
use crate::daemon::messages::ask::Ask;
use crate::daemon::messages::call::Call;
use crate::daemon::messages::event::{Notice, Record};
use crate::daemon::messages::order::{Ending, Reread};
use crate::daemon::messages::sensed::Activity;
use crate::daemon::outlets::caller::{self, LAST_CALLS};
use crate::daemon::outlets::keeper::{self, KeeperQuestion};
use crate::daemon::outlets::notifier::{self, Board};
use crate::daemon::outlets::reporter::Reporter;
use crate::daemon::outlets::textfile;
use crate::daemon::serving as server;
use crate::daemon::serving::doctor::Ground;
use crate::daemon::serving::{Doors, orders as errands};
use crate::daemon::start::inheritance::Inheritance;
use crate::daemon::world::{Initiative, World};
use crate::decide::diagnosis;
use crate::model::{Configuration, RunRecord, Status};
use crate::os::bus::Bus;
use crate::os::ears::Ears;
use crate::os::environment::{self, PathOptions, Paths};
use crate::os::ssh::SshPlace;
use crate::os::state_dir::StateDir;
use crate::os::{clock, enclosure, power, socket};

/// Runs the daemon until it is told to end; `options` say where its files are.
pub fn run_daemon(options: &PathOptions) -> Result<(), Fatal> {
    let paths = environment::paths(options)?.rooted()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Fatal::Machine("start the event loop", error))?;
    let result = runtime.block_on(live(&paths));
    // What may still wait for a dead disk must not keep the process.
    runtime.shutdown_background();
    result
}

async fn live(paths: &Paths) -> Result<(), Fatal> {
    let state = StateDir::open(&paths.state_dir)?;
    let mut foundation = lay_foundation(paths, Initiative::Own, || Inheritance::taken_over(&state))?;
    let door = socket::open(&paths.socket)?;
    let listener = door.listener.try_clone().and_then(UnixListener::from_std);
    let listener = listener.map_err(|error| Fatal::Machine("listen on the socket", error))?;
    let ears = Ears::start(Some(&paths.config))?;
    foundation.tasks.spawn(server::serve(listener, foundation.doors.clone()));
    listen_for_signals(&mut foundation)?;
    let (keeper, caller) = (foundation.keeper, foundation.caller);
    let dispatcher =
        Dispatcher::new(foundation.world, foundation.channels, foundation.reporter, Some(ears), foundation.ssh);
    let ended = dispatcher.run().await;
    foundation.tasks.abort_all();
    // The dispatcher is gone, so that the keeper writes what is left and ends. So does the caller, if it can soon.
    let _ = keeper.await;
    let _ = timeout(LAST_CALLS, caller).await;
    ended
}

/// What the daemon and its one-request stand-in have in common.
#[derive(Debug)]
pub(crate) struct Foundation {
    pub(crate) world: World,
    pub(crate) channels: Channels,
    pub(crate) reporter: Reporter,
    pub(crate) doors: Doors,
    pub(crate) endings: mpsc::Sender<Ending>,
    pub(crate) tasks: JoinSet<()>,
    pub(crate) keeper: JoinHandle<()>,
    pub(crate) caller: JoinHandle<()>,
    pub(crate) ssh: SshPlace,
}

/// Reads the configuration and, if that can be used, the past; and starts the tasks around the dispatcher.
pub(crate) fn lay_foundation(
    paths: &Paths,
    initiative: Initiative,
    inheritance: impl FnOnce() -> Inheritance,
) -> Result<Foundation, Fatal> {
    let read = reader::read_file(&paths.config, &paths.home);
    let configuration = read.map_err(|unreadable| Fatal::Configuration(unreadable.report()))?;
    let now = clock::now();
    let mut inheritance = inheritance();
    let (died, troubles) = (std::mem::take(&mut inheritance.died), std::mem::take(&mut inheritance.troubles));
    let world = World::new(inheritance.beginnings(initiative, paths, Arc::clone(&configuration)), &now);
    let reporter = start_reporter(died)?;
    let mut tasks = JoinSet::new();
    let (looks, look_requests) = mpsc::channel(1);
    let (observations, looked) = mpsc::channel(4);
    tasks.spawn(observer::take_looks(look_requests, observations));
    let (inquiries, inquired) = mpsc::channel(4096);
    let (reports, answers) = mpsc::channel(64);
    let ssh = SshPlace::new(paths.runtime_dir());
    tasks.spawn(prober::ask_servers(inquired, reports, ssh.clone()));
    let (to_sensed, sensed) = mpsc::channel(16);
    let (sense, again) = mpsc::channel(1);
    let (read, orders) = mpsc::channel(1);
    let (read_configurations, configurations) = mpsc::channel(1);
    tasks.spawn(reader::read_configurations(paths.config.clone(), paths.home.clone(), orders, read_configurations));
    let (keep, kept) = mpsc::channel(1024);
    let (history, questions) = mpsc::channel(16);
    let (trouble, keeping) = watch::channel(None);
    let keeper = start_keeper(initiative, paths.state_dir.clone(), kept, (questions, trouble));
    let (to_asks, asks) = mpsc::channel(64);
    let (status, shown) = watch::channel(Arc::new(world.status(&now)));
    let (configuration, in_force) = watch::channel(configuration);
    let (activity, seen) = watch::channel(Activity::default());
    let surroundings = SenseInputs {
        bus: Bus::System,
        supplies: power::SUPPLIES.into(),
        configuration: in_force.clone(),
        activity: seen,
        again,
    };
    tasks.spawn(senses::listen(surroundings, to_sensed));
    let Tellers { board, calls, missing, caller } =
        start_tellers(initiative, &mut tasks, (&shown, &in_force), &to_asks);
    let (errands, orders) = mpsc::channel(16);
    let ground = Ground::new(paths, initiative, &shown, &in_force, &history);
    tasks.spawn(errands::run(orders, to_asks.clone(), ssh.clone(), ground));
    let (endings, to_end) = mpsc::channel(4);
    let (keyring_wanted, keyring) = start_keyring_listener(&mut tasks);
    let channels = Channels {
        unconfined: diagnosis::daemon::confinement(&enclosure::tried()),
        looks,
        looked,
        inquiries,
        answers,
        sense,
        activity,
        sensed,
        asks,
        keep,
        lost: (!troubles.is_empty()).then(|| troubles.join("; ")),
        keeping,
        configurations,
        read,
        board,
        calls,
        missing,
        status,
        configuration,
        endings: to_end,
        state_dir: paths.state_dir.clone(),
        keyring_wanted,
        keyring,
    };
    let doors = Doors { asks: to_asks, status: shown, configuration: in_force, history, errands };
    Ok(Foundation { world, channels, reporter, doors, endings, tasks, keeper, caller, ssh })
}

/// Starts what tells the journal, of these runs first, which died with their daemon.
fn start_reporter(died: Vec<RunRecord>) -> Result<Reporter, Fatal> {
    let mut reporter = Reporter::start().map_err(|error| Fatal::Machine("start a thread", error))?;
    for record in died {
        reporter.tell(Notice::RunEnded(Box::new(record)));
    }
    Ok(reporter)
}

/// Starts what hears that a keyring came, or was unlocked, while somebody waits for one.
fn start_keyring_listener(tasks: &mut JoinSet<()>) -> (watch::Sender<bool>, mpsc::Receiver<()>) {
    let (keyring_wanted, wanted) = watch::channel(false);
    let (changes, keyring) = mpsc::channel(1);
    tasks.spawn(keyring::listen_to_keyrings(wanted, changes));
    (keyring_wanted, keyring)
}

/// What tells the person at the desk, and other programs, how backups stand.
struct Tellers {
    board: Board,
    calls: mpsc::Sender<Call>,
    missing: mpsc::Receiver<(&'static str, Option<String>)>,
    caller: JoinHandle<()>,
}

/// Starts it; metrics are written only where this is the daemon.
fn start_tellers(
    initiative: Initiative,
    tasks: &mut JoinSet<()>,
    (status, configuration): (&watch::Receiver<Arc<Status>>, &watch::Receiver<Arc<Configuration>>),
    asks: &mpsc::Sender<Ask>,
) -> Tellers {
    let (board, mail) = notifier::board();
    tasks.spawn(notifier::show_announcements(mail, configuration.clone(), asks.clone()));
    let (calls, ordered) = mpsc::channel(64);
    let (to_missing, missing) = mpsc::channel(8);
    let caller = tokio::spawn(caller::make_calls(ordered, to_missing.clone()));
    if initiative == Initiative::Own {
        tasks.spawn(textfile::write_metrics(status.clone(), configuration.clone(), to_missing));
    }
    Tellers { board, calls, missing, caller }
}

/// Starts what keeps history and ledger; where nothing may be changed, it only answers.
fn start_keeper(
    initiative: Initiative,
    state_dir: PathBuf,
    orders: mpsc::Receiver<Record>,
    (questions, trouble): (mpsc::Receiver<KeeperQuestion>, watch::Sender<Option<String>>),
) -> JoinHandle<()> {
    match initiative {
        Initiative::Own | Initiative::OnRequest => {
            tokio::spawn(keeper::keep_records(state_dir, orders, questions, trouble))
        }
        Initiative::Never => tokio::spawn(keeper::show_records(state_dir, orders, questions)),
    }
}

/// TERM and INT end the daemon, a second one at once; HUP reads the configuration anew.
fn listen_for_signals(foundation: &mut Foundation) -> Result<(), Fatal> {
    let fail = |error| Fatal::Machine("listen for signals", error);
    let mut terminate = signal(SignalKind::terminate()).map_err(fail)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(fail)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(fail)?;
    let (endings, read) = (foundation.endings.clone(), foundation.channels.read.clone());
    foundation.tasks.spawn(async move {
        loop {
            let sent = tokio::select! {
                _ = terminate.recv() => endings.send(Ending::Signal).await.is_ok(),
                _ = interrupt.recv() => endings.send(Ending::Signal).await.is_ok(),
                // Where one waits already, the file will be read anyway; whoever ends the daemon never waits for it.
                _ = hang_up.recv() => !matches!(read.try_send(Reread::Now), Err(TrySendError::Closed(_))),
            };
            if !sent {
                return;
            }
        }
    });
    Ok(())
}
