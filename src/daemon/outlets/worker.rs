//! Runs: each on a thread of its own, from the proof of both ends to the last word about the outcome.
//!
//! A run is plain synchronous code: what it does is what it says, line by line. It needs a thread to itself, since it
//! confines that thread, and all that it starts, to writing beneath the destination.

use tokio::sync::mpsc::Sender;

use crate::backup::job::Job;
use crate::backup::news::{Telling, WorkerNews};
use crate::backup::run;
use crate::backup::session::stop;
use crate::model::Interruption;
use crate::os::ssh::SshPlace;

/// A run under way.
#[derive(Debug)]
pub struct Worker {
    teller: stop::Teller,
}

impl Worker {
    /// Tells the run to stop, without waiting for it. rsync gets TERM and ten seconds; being told a second time with
    /// [`Interruption::Stopping`] ends it at once. Once the copy has its name it is too late, and the run ends well.
    pub fn stop(&mut self, why: Interruption) {
        self.teller.tell(why);
    }
}

/// Starts a run; what belongs to its connections lies at `place`. Exactly one `WorkerNews::Ended` follows, when nothing
/// of the run is left.
pub fn start_run(job: Job, place: SshPlace, news: Sender<WorkerNews>) -> std::io::Result<Worker> {
    let (teller, stops) = stop::pair()?;
    std::thread::Builder::new()
        .name(format!("run-{}", job.sync.name))
        .spawn(move || {
            let outlet = Box::new(move |piece: WorkerNews| match piece {
                // Progress that nobody takes is told anew soon.
                WorkerNews::Progress { .. } => drop(news.try_send(piece)),
                // Nobody listens any more when the daemon has ended.
                WorkerNews::Ended(_) => drop(news.blocking_send(piece)),
            });
            let telling = Telling::new(&job, outlet);
            run::run(&job, &place, stops, telling);
        })
        .map(|_detached| Worker { teller })
}
