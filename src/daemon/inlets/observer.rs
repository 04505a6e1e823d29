//! Looks: from devices, mounts and sentinels to sights.
//!
//! One look is taken at a time. What was seen is remembered together with what it was found by, so that an event
//! costs only the volumes and syncs that it can concern. Whatever touches a volume happens on a thread that may be
//! left behind: a filesystem that does not answer silences its own volume, and nothing else.

mod memory;

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::time::Duration;

use memory::{LookMemory, Task};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use crate::daemon::messages::look::{LookCause, LookRequest, Observation, Scope};
use crate::model::{Absence, BlockDevice, DriveUuid, Mount, VolumeName, VolumeSight};
use crate::os::disks::{self, DisksError};
use crate::os::luks::Headers;
use crate::os::mounts::{self, MountsError};
use crate::os::probe::{MountContext, Probed, probe};
use crate::os::unclean::UncleanMounts;

/// How long a volume may take to answer. A disk that slept needs some seconds, and is known once it runs.
pub const LONGEST_PROBE: Duration = Duration::from_secs(5);

/// Takes looks until nobody asks for them any more.
pub async fn take_looks(mut requests: mpsc::Receiver<LookRequest>, answers: mpsc::Sender<Observation>) {
    let (late, mut answering) = mpsc::channel(16);
    let mut observer = Observer { memory: LookMemory::default(), late, unclean: UncleanMounts::default() };
    loop {
        let observation = tokio::select! {
            request = requests.recv() => match request {
                Some(request) => observer.look(&request, LookCause::Asked).await,
                None => return,
            },
            Some((volume, task)) = answering.recv() => match observer.memory.answers_again(&volume, &task) {
                Some((configuration, containers)) => {
                    let request = LookRequest { configuration, containers, scope: Scope::volume(volume) };
                    observer.look(&request, LookCause::Belated).await
                }
                None => continue,
            },
        };
        if answers.send(observation).await.is_err() {
            return;
        }
    }
}

struct Observer {
    memory: LookMemory,
    /// How a thread that was left behind says that it goes on: with the volume and what it was to do there.
    late: mpsc::Sender<(VolumeName, Task)>,
    unclean: UncleanMounts,
}

impl Observer {
    async fn look(&mut self, request: &LookRequest, cause: LookCause) -> Observation {
        self.memory.begin(request);
        let (known, headers) = (self.memory.known_devices(&request.scope), self.memory.headers());
        let unclean = std::mem::take(&mut self.unclean);
        match on_thread(move || Gathered::now(known, headers, unclean)).await {
            Ok(gathered) => {
                self.memory.keep(gathered.headers, gathered.unclean.found());
                self.unclean = gathered.unclean;
                self.memory.gathered(gathered.mounts, gathered.devices);
            }
            Err(error) => self.memory.blind(&error),
        }
        let tasks = self.memory.tasks(&request.scope);
        self.work(tasks).await;
        self.memory.observation(request, cause)
    }

    /// Does the tasks one after another. Who does not answer in time is left behind with its thread, and a fresh one
    /// goes on with the rest.
    async fn work(&mut self, tasks: Vec<(VolumeName, Task)>) {
        let mut rest: VecDeque<_> = tasks.into();
        while let Some((volume, task)) = rest.front().cloned() {
            let (results_in, mut results) = mpsc::channel(64);
            let (batch, mounts, late) = (rest.clone(), self.memory.mounts(), self.late.clone());
            if let Err(error) = spawn(move || work_through(batch, &mounts, &results_in, &late)) {
                let why = format!("no thread for a look could be started: {error}");
                let sight = VolumeSight::Absent(Absence::Unreadable(task.probe.root.clone(), why));
                self.memory.decided(&volume, sight);
                rest.pop_front();
                continue;
            }
            while let Ok(Some(probed)) = timeout(LONGEST_PROBE, results.recv()).await {
                self.memory.probed(rest.pop_front(), probed);
            }
            // All are done, or one is silent. A result may have come in the very last moment.
            results.close();
            let remaining = rest.len();
            while let Ok(probed) = results.try_recv() {
                self.memory.probed(rest.pop_front(), probed);
            }
            if rest.len() == remaining
                && let Some((volume, task)) = rest.pop_front()
            {
                self.memory.silent(volume, task);
            }
        }
    }
}

/// The work of a thread. Nobody listens to it any more after it was silent for too long; then it says that it is back,
/// and ends.
fn work_through(
    tasks: VecDeque<(VolumeName, Task)>,
    mounts: &[Mount],
    results: &mpsc::Sender<Probed>,
    late: &mpsc::Sender<(VolumeName, Task)>,
) {
    let surroundings = MountContext::new(mounts);
    for (volume, task) in tasks {
        let probed = probe(&task.probe, &surroundings);
        if results.blocking_send(probed).is_err() {
            // Where nobody is left to hear this either, the daemon stops.
            let _ = late.blocking_send((volume, task));
            return;
        }
    }
}

/// What the machine looks like at one moment.
struct Gathered {
    mounts: Result<Vec<Mount>, MountsError>,
    devices: Result<Vec<BlockDevice>, DisksError>,
    headers: Headers,
    unclean: UncleanMounts,
}

impl Gathered {
    /// Mounts always, devices unless they are known. Devices first: a drive that is plugged in and mounted between
    /// the two is not mounted yet, and its mount makes for another look.
    fn now(
        known: Option<Vec<BlockDevice>>,
        (mut headers, wanted): (Headers, BTreeSet<DriveUuid>),
        mut unclean: UncleanMounts,
    ) -> Self {
        let devices = known.map_or_else(
            || {
                let mut devices = disks::enumerate()?;
                headers.mark(&mut devices, &wanted);
                Ok(devices)
            },
            Ok,
        );
        let mounts = mounts::read();
        if let (Ok(devices), Ok(mounts)) = (&devices, &mounts) {
            unclean.take_in(devices, mounts);
        }
        Self { mounts, devices, headers, unclean }
    }
}

/// Runs this on a thread of its own, so that nothing else waits for it. Not tokio's threads for blocking work: those
/// keep a daemon that wants to stop waiting for one that hangs.
async fn on_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let (done, result) = oneshot::channel();
    spawn(move || {
        // Nobody waits for the result when the daemon stops.
        let _ = done.send(work());
    })?;
    result.await.map_err(io::Error::other)
}

fn spawn(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name("nbkp-look".into()).spawn(work).map(drop)
}
