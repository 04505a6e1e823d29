//! Runs: each on a thread of its own, from the proof of both ends to the last word about the outcome.
//!
//! A run is plain synchronous code: what it does is what it says, line by line. It needs a thread to itself, since it
//! confines that thread, and all that it starts, to writing beneath the destination. A second thread feels its pulse: a
//! filesystem that does not answer holds whoever asks it, for as long as it likes.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use tokio::sync::mpsc::Sender;

use crate::backup::job::{Job, JobEnd};
use crate::backup::news::{Liveness, Telling, WorkerNews};
use crate::backup::run;
use crate::backup::session::stop;
use crate::model::{Interruption, RunId, SyncName};
use crate::os::mounts;
use crate::os::pulse::{self, ThreadNumber};
use crate::os::ssh::SshPlace;

/// How often a pulse is felt. Only these are counted, and not the time: a daemon that is frozen feels none.
const BEAT: Duration = Duration::from_secs(2);
/// After so many beats without a sign of life it is told; a disk that slept needs some seconds.
const STILL: u32 = 10;
/// So many beats a run has to end: rsync has ten seconds, and is killed then.
const HEARING: u32 = 6;
/// The same where it was told twice, or stood still before.
const HEARING_AT_ONCE: u32 = 2;

/// A run under way.
#[derive(Debug)]
pub struct Worker {
    teller: stop::Teller,
    /// Who feels the pulse hears of it, too.
    watch: SyncSender<Told>,
}

/// What is told to who feels the pulse.
#[derive(Debug)]
enum Told {
    /// That the run was told to stop.
    Stop,
    /// That nothing of it is left.
    Over,
}

/// Tells that a run is over, whatever made it go.
struct OverWithIt(SyncSender<Told>);

impl Drop for OverWithIt {
    fn drop(&mut self) {
        let _gone = self.0.send(Told::Over);
    }
}

impl Worker {
    /// Tells the run to stop, without waiting for it. rsync gets TERM and ten seconds; being told a second time with
    /// [`Interruption::Stopping`] ends it at once. Once the copy has its name it is too late, and the run ends well.
    pub fn stop(&mut self, why: Interruption) {
        self.teller.tell(why);
        // It was told often enough.
        let _full = self.watch.try_send(Told::Stop);
    }
}

/// Starts a run; what belongs to its connections lies at `place`. Exactly one `WorkerNews::Ended` follows, when nothing
/// of the run is left.
pub fn start_run(job: Job, place: SshPlace, news: Sender<WorkerNews>) -> std::io::Result<Worker> {
    let (teller, stops) = stop::pair()?;
    let (watch, told) = sync_channel(8);
    let over = OverWithIt(watch.clone());
    let (beginning, begun) = sync_channel::<(ThreadNumber, Vec<(u32, u32)>)>(1);
    let watcher = Watch { run: job.run.clone(), sync: job.sync.name.clone(), told, news: news.clone() };
    std::thread::Builder::new().name(format!("pulse-{}", job.sync.name)).spawn(move || {
        if let Ok((thread, drives)) = begun.recv() {
            watcher.feel(thread, &drives);
        }
    })?;
    std::thread::Builder::new()
        .name(format!("run-{}", job.sync.name))
        .spawn(move || {
            let _over = over;
            let _watched = beginning.send((pulse::this_thread(), drives(&job)));
            let outlet = Box::new(move |piece: WorkerNews| match piece {
                // Progress that nobody takes is told anew soon.
                WorkerNews::Progress { .. } | WorkerNews::Life { .. } => drop(news.try_send(piece)),
                // Nobody listens any more when the daemon has ended.
                WorkerNews::Ended(_) => drop(news.blocking_send(piece)),
            });
            let telling = Telling::new(&job, outlet);
            run::run(&job, &place, stops, telling);
        })
        .map(|_detached| Worker { teller, watch })
}

/// The devices of a run that nothing else keeps busy: those that the system is on have always something to do.
fn drives(job: &Job) -> Vec<(u32, u32)> {
    let mounts = mounts::read().unwrap_or_default();
    let system = mounts.iter().find(|mount| mount.point == std::path::Path::new("/")).map(|mount| mount.device);
    let device = |end: &JobEnd| match end {
        JobEnd::Here(end) => match &end.drive {
            Some(drive) => Some(drive.device),
            None => mounts.iter().find(|mount| Some(mount.id) == end.mount).map(|mount| mount.device),
        },
        JobEnd::There(_) => None,
    };
    [&job.source, &job.destination].into_iter().filter_map(device).filter(|device| Some(*device) != system).collect()
}

/// Who feels the pulse of a run.
struct Watch {
    run: RunId,
    sync: SyncName,
    /// What it is told.
    told: Receiver<Told>,
    news: Sender<WorkerNews>,
}

impl Watch {
    /// Until the run has ended.
    fn feel(self, thread: ThreadNumber, drives: &[(u32, u32)]) {
        let (mut last, mut still, mut told, mut unheeded, mut hearing) = (None, 0_u32, 0_u32, 0_u32, HEARING);
        loop {
            match self.told.recv_timeout(BEAT) {
                Ok(Told::Stop) => {
                    told += 1;
                    if told > 1 || still >= STILL {
                        hearing = HEARING_AT_ONCE;
                    }
                }
                Ok(Told::Over) | Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => {
                    let was_still = still >= STILL;
                    let now = pulse::feel(thread, drives);
                    let stands = matches!((&now, &last), (Some(now), Some(last)) if !now.beats_since(last));
                    still = if stands { still.saturating_add(1) } else { 0 };
                    // Beat by beat: who wakes up once a minute wakes up often enough since long ago.
                    last = now;
                    // Who still works on the way to its end is heard.
                    unheeded = unheeded.saturating_add(u32::from(told > 0 && stands));
                    if still >= STILL {
                        self.tell(Liveness::Still(BEAT.saturating_mul(still)));
                    } else if was_still {
                        self.tell(Liveness::Moves);
                    }
                    if unheeded >= hearing {
                        self.tell(Liveness::Deaf);
                    }
                }
            }
        }
    }

    fn tell(&self, life: Liveness) {
        // What nobody takes is told anew with the next beat.
        let _full = self.news.try_send(WorkerNews::Life { run: self.run.clone(), sync: self.sync.clone(), life });
    }
}
