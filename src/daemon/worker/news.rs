//! What a run tells while it works.

use tokio::sync::mpsc::Sender;

use crate::daemon::job::{Job, WorkerNews};
use crate::model::{Conclusion, Failure, FailureKind, Figures, Progress, RunId, RunReport, Step, SyncName};

/// Tells how far a run is. News of progress may be lost when nobody takes it; the end may not.
pub(super) struct Telling {
    run: RunId,
    sync: SyncName,
    news: Sender<WorkerNews>,
    step: Step,
    report: Option<Box<RunReport>>,
}

impl Telling {
    /// For this job.
    pub(super) fn new(job: &Job, news: Sender<WorkerNews>) -> Self {
        // What is told if the thread ends without a word of its own.
        let report = RunReport {
            run: job.run.clone(),
            sync: job.sync.name.clone(),
            conclusion: Conclusion::Failed(Failure {
                at: Step::Prove,
                kind: FailureKind::Other,
                detail: "the run ended without a result".into(),
            }),
            figures: Figures::default(),
            snapshot: None,
            warnings: Vec::new(),
        };
        let report = Some(Box::new(report));
        Self { run: job.run.clone(), sync: job.sync.name.clone(), news, step: Step::Prove, report }
    }

    /// A step begins.
    pub(super) fn step(&mut self, step: Step) {
        self.step = step;
        tracing::debug!(nbkp.sync = %self.sync, nbkp.run = %self.run, "{}: {}", self.sync, step.as_str());
        self.progress(Progress { step, percent: None, bytes: 0, rate: 0, eta_seconds: None });
    }

    /// The step under way.
    pub(super) fn now(&self) -> Step {
        self.step
    }

    /// The copy went on.
    pub(super) fn progress(&self, progress: Progress) {
        let news = WorkerNews::Progress { run: self.run.clone(), sync: self.sync.clone(), progress };
        let _nobody_takes_it = self.news.try_send(news);
    }

    /// The run ended so.
    pub(super) fn ended(&mut self, report: RunReport) {
        self.report = Some(Box::new(report));
    }
}

/// The end is told exactly once, when the run is gone with all that it held, whatever made it go.
impl Drop for Telling {
    fn drop(&mut self) {
        if let Some(report) = self.report.take() {
            let _nobody_listens = self.news.blocking_send(WorkerNews::Ended(report));
        }
    }
}
