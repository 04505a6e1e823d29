//! What a run tells while it works.

use std::time::Duration;

use crate::backup::job::Job;
use crate::model::{Conclusion, Failure, FailureKind, Progress, RunId, RunReport, Step, SyncName};

/// What a run says, or is said of it.
#[derive(Debug, Clone)]
pub enum WorkerNews {
    /// How far a run is.
    Progress {
        /// The run.
        run: RunId,
        /// Its sync.
        sync: SyncName,
        /// How far it is.
        progress: Progress,
    },
    /// Whether it gets on; told when it does not, and when it does again.
    Life {
        /// The run.
        run: RunId,
        /// Its sync.
        sync: SyncName,
        /// Whether it gets on.
        life: Liveness,
    },
    /// A run ended; nothing of it is left behind.
    Ended(Box<RunReport>),
}

/// Whether a run gets on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// It does.
    Moves,
    /// Nothing of it has moved for so long.
    Still(Duration),
    /// It was told to stop, and does not.
    Deaf,
}

/// Where the news of a run goes. It must not wait for a piece of progress, and must not lose the end.
pub type Outlet = Box<dyn Fn(WorkerNews) + Send>;

/// Tells how far a run is. News of progress may be lost when nobody takes it; the end may not.
pub(crate) struct Telling {
    run: RunId,
    sync: SyncName,
    news: Outlet,
    step: Step,
    report: Option<Box<RunReport>>,
}

impl Telling {
    /// For this job.
    pub(crate) fn new(job: &Job, news: Outlet) -> Self {
        // What is told if the thread ends without a word of its own.
        let detail = "the run ended without a result".into();
        let failure = Failure { at: Step::Prove, kind: FailureKind::Other, detail };
        let report = RunReport::bare(job.run.clone(), job.sync.name.clone(), Conclusion::Failed(failure));
        let report = Some(Box::new(report));
        Self { run: job.run.clone(), sync: job.sync.name.clone(), news, step: Step::Prove, report }
    }

    /// A step begins.
    pub(crate) fn step(&mut self, step: Step) {
        self.step = step;
        tracing::debug!(nbkp.sync = %self.sync, nbkp.run = %self.run, "{}: {}", self.sync, step.as_str());
        self.progress(Progress { step, percent: None, bytes: 0, rate: 0, eta_seconds: None });
    }

    /// The copy went on.
    pub(crate) fn progress(&self, progress: Progress) {
        let news = WorkerNews::Progress { run: self.run.clone(), sync: self.sync.clone(), progress };
        (self.news)(news);
    }

    /// The run ended so.
    pub(crate) fn ended(&mut self, report: RunReport) {
        self.report = Some(Box::new(report));
    }
}

/// The end is told exactly once, when the run is gone with all that it held, whatever made it go.
impl Drop for Telling {
    fn drop(&mut self) {
        if let Some(report) = self.report.take() {
            (self.news)(WorkerNews::Ended(report));
        }
    }
}
