//! How a run ends: what the log is told, what the truth is, and the hooks around it.

use crate::backup::failure::failure;
use crate::backup::place::here::Ends;
use crate::backup::run::hooks::{self, Occasion};
use crate::backup::run::record::{self, Account};
use crate::backup::run::{Course, Site};
use crate::model::{Conclusion, FailureKind, Interruption, SnapshotName, Standing, Step};

impl Course<'_> {
    /// Writes the end of the run to the log; one that went well is only warned of what went wrong with that.
    pub(crate) fn record(&mut self, site: &Site<'_>, conclusion: &Conclusion) -> Result<(), String> {
        if *conclusion == Conclusion::Ok {
            self.telling.step(Step::Record);
        }
        record::append(&site.own, &self.account(self.snapshot).ended(conclusion))
    }

    /// A snapshot that is not good is said to be so before it has its name, lest it be taken for good if this process
    /// ends here. Until its last line the log tells of a run that was cut short.
    pub(crate) fn record_standing(&self, site: &Site<'_>, name: SnapshotName) -> Result<(), Conclusion> {
        if self.standing == Standing::Good {
            return Ok(());
        }
        let line = self.account(Some(name)).ended(&Conclusion::Interrupted(Interruption::Killed));
        record::append(&site.own, &line).map_err(|why| {
            let what = format!("some files could not be read, and {why}, which must tell so");
            failure(Step::Record, FailureKind::Other, what)
        })
    }

    pub(crate) fn account(&self, snapshot: Option<SnapshotName>) -> Account<'_> {
        let Self { job, figures, standing, .. } = self;
        Account { job, started: self.started.wall, figures: *figures, snapshot, standing: *standing }
    }

    /// A failure whose cause is that an end went away is an interruption: it mends itself when the drive is back.
    pub(crate) fn truth(&mut self, conclusion: Conclusion, ends: &Ends) -> Conclusion {
        match &conclusion {
            Conclusion::Failed(failure) if failure.kind != FailureKind::Hook => {
                self.prove_again(ends).err().unwrap_or(conclusion)
            }
            Conclusion::Failed(_)
            | Conclusion::Ok
            | Conclusion::Skipped(_)
            | Conclusion::Interrupted(_)
            | Conclusion::Held(_) => conclusion,
        }
    }

    pub(crate) fn hook_before(&mut self) -> Result<(), Conclusion> {
        let Some(command) = &self.job.sync.hooks.before else { return Ok(()) };
        self.telling.step(Step::Before);
        let occasion = Occasion { hook: "before", step: Step::Before, outcome: None, snapshot: None };
        hooks::run(&self.starter, command, self.job, &occasion, &mut self.stops)
    }

    pub(crate) fn hook_afterwards(&mut self, conclusion: &Conclusion) {
        let hooks = &self.job.sync.hooks;
        let (hook, command) = match conclusion {
            Conclusion::Ok => ("after", &hooks.after),
            Conclusion::Failed(_) | Conclusion::Held(_) => ("failed", &hooks.failed),
            Conclusion::Skipped(_) | Conclusion::Interrupted(_) => return,
        };
        let Some(command) = command else { return };
        let occasion = Occasion { hook, step: self.telling.now(), outcome: Some(conclusion), snapshot: self.snapshot };
        if let Err(Conclusion::Failed(failure)) =
            hooks::run(&self.starter, command, self.job, &occasion, &mut self.stops)
        {
            self.warnings.push(failure.detail);
        }
    }
}
