//! The daemon's work without a daemon, for one client: the same world, proofs, locks and guards, behind one end of a
//! socket pair. It starts nothing by itself, and ends with its client; one that only looks changes nothing either.

use std::os::unix::net::UnixStream as Pair;

use tokio::net::UnixStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::daemon::dispatcher::Dispatcher;
use crate::daemon::fatal::Fatal;
use crate::daemon::messages::order::Ending;
use crate::daemon::outlets::caller::LAST_CALLS;
use crate::daemon::serving as server;
use crate::daemon::start::inheritance::Inheritance;
use crate::daemon::start::{Foundation, lay_foundation};
use crate::daemon::world::Initiative;
use crate::model::StandIn;
use crate::os::environment::Paths;
use crate::os::state_dir::{self, StateDir};

/// A daemon for one client.
#[derive(Debug)]
pub struct Alone {
    thread: std::thread::JoinHandle<Result<(), Fatal>>,
}

impl Alone {
    /// Sets one up and returns the client's end. One that works takes the lock of the state directory, so that it never
    /// works beside a daemon; one that looks begins only if no other works, and disturbs none that starts meanwhile.
    pub fn start(paths: &Paths, stand_in: StandIn) -> Result<(Self, Pair), Fatal> {
        let paths = paths.clone().rooted()?;
        let (ours, theirs) = Pair::pair().map_err(|error| Fatal::Machine("make a socket pair", error))?;
        ours.set_nonblocking(true).map_err(|error| Fatal::Machine("make a socket pair", error))?;
        let state = match stand_in {
            StandIn::Works => Some(StateDir::open(&paths.state_dir)?),
            StandIn::Looks => {
                state_dir::check(&paths.state_dir)?;
                None
            }
        };
        // What is wrong with the configuration is told before the client asks anything.
        let (ready, started) = std::sync::mpsc::sync_channel(1);
        let thread = std::thread::Builder::new()
            .name("nbkpd".into())
            .spawn(move || live(&paths, state.as_ref(), ours, &ready))
            .map_err(|error| Fatal::Machine("start a thread", error))?;
        match started.recv() {
            Ok(()) => Ok((Self { thread }, theirs)),
            Err(_) => Err(Self { thread }.finish().err().unwrap_or(Fatal::TaskEnded("event loop"))),
        }
    }

    /// Waits until what runs has ended, which a client that has left brings about.
    pub fn finish(self) -> Result<(), Fatal> {
        self.thread.join().unwrap_or(Err(Fatal::TaskEnded("event loop")))
    }
}

/// With the state directory in hand everything that is asked for is done; without it, it is only looked at.
fn live(
    paths: &Paths,
    state: Option<&StateDir>,
    client: Pair,
    ready: &std::sync::mpsc::SyncSender<()>,
) -> Result<(), Fatal> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Fatal::Machine("start the event loop", error))?;
    runtime.block_on(async {
        let foundation = match state {
            Some(state) => lay_foundation(paths, Initiative::OnRequest, || Inheritance::taken_over(state))?,
            None => lay_foundation(paths, Initiative::Never, || Inheritance::seen(&paths.state_dir))?,
        };
        let client = UnixStream::from_std(client).map_err(|error| Fatal::Machine("use a socket pair", error))?;
        // The other side waits for this word and for nothing else.
        let _ = ready.send(());
        serve_one(foundation, client).await
    })
}

async fn serve_one(foundation: Foundation, client: UnixStream) -> Result<(), Fatal> {
    let Foundation { world, channels, reporter, doors, endings, mut tasks, keeper, caller, ssh } = foundation;
    listen_for_signals(endings.clone(), &mut tasks)?;
    tasks.spawn(async move {
        server::converse(client, doors).await;
        // The dispatcher may have ended before.
        let _ = endings.send(Ending::Abandoned).await;
    });
    let ended = Dispatcher::new(world, channels, reporter, None, ssh).run().await;
    tasks.abort_all();
    // What ended is written down before the process ends.
    let _ = keeper.await;
    let _ = timeout(LAST_CALLS, caller).await;
    ended
}

/// A person who presses Ctrl-C or closes the terminal stops the run cleanly: what is copied so far is kept for the
/// next.
fn listen_for_signals(endings: mpsc::Sender<Ending>, tasks: &mut tokio::task::JoinSet<()>) -> Result<(), Fatal> {
    let fail = |error| Fatal::Machine("listen for signals", error);
    let mut interrupt = signal(SignalKind::interrupt()).map_err(fail)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(fail)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(fail)?;
    tasks.spawn(async move {
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hang_up.recv() => {}
            }
            if endings.send(Ending::Signal).await.is_err() {
                return;
            }
        }
    });
    Ok(())
}
