//! Who waits for something: for a run, for an answer from a fresh look, or until nothing runs on a volume.

use std::collections::BTreeMap;

use tokio::sync::{mpsc, oneshot};

use crate::daemon::messages::ask::{Ask, Refusal, RequestEnd, Urgency};
use crate::daemon::world::checks::Checks;
use crate::daemon::world::runs::{Run, Runs};
use crate::daemon::world::servers::Awaited;
use crate::decide::flight::Ticket;
use crate::model::{BootTime, Ledger, Obstacle, RunId, RunRecord, SyncName, VolumeName};

/// Those who wait. Whoever asked may have left: then there is nobody to answer, and nothing is lost by it.
#[derive(Debug, Default)]
pub(super) struct Requests {
    runs: BTreeMap<SyncName, Vec<Request>>,
    questions: Vec<Question>,
    quiet: Vec<(VolumeName, WayBack)>,
}

/// The way back to who waits until nothing runs on a volume.
type WayBack = oneshot::Sender<Result<(), Refusal>>;

/// A person who wants a run of a sync.
#[derive(Debug)]
struct Request {
    urgency: Urgency,
    /// The run that was under way when it was asked for, which may have passed by what was changed since.
    behind: Option<RunId>,
    end: mpsc::Sender<RequestEnd>,
}

/// A question of a client that is answered once this look is taken, and these servers have answered.
#[derive(Debug)]
pub(super) struct Question {
    pub(super) look: Ticket,
    pub(super) servers: Awaited,
    pub(super) ask: Ask,
}

impl Requests {
    /// What is asked for, without those who wait for it.
    pub(super) fn without_those_who_wait(&self) -> Self {
        let of = |request: &Request| Request {
            urgency: request.urgency,
            behind: request.behind.clone(),
            end: mpsc::channel(1).0,
        };
        let runs = self.runs.iter().map(|(sync, all)| (sync.clone(), all.iter().map(of).collect()));
        Self { runs: runs.collect(), ..Self::default() }
    }

    /// How much a person wants a run of a sync, if one does. The most urgent wish counts.
    pub(super) fn urgency(&self, sync: &SyncName) -> Option<Urgency> {
        self.runs.get(sync)?.iter().map(|request| request.urgency).max()
    }

    /// The syncs of which a run was asked for.
    pub(super) fn names(&self) -> impl Iterator<Item = &SyncName> {
        self.runs.keys()
    }

    /// A person wants a run of a sync, while this one is under way.
    pub(super) fn ask_for_run(
        &mut self,
        sync: &SyncName,
        urgency: Urgency,
        under_way: Option<&Run>,
        end: mpsc::Sender<RequestEnd>,
    ) {
        let behind = under_way.map(|run| run.id.clone());
        self.runs.entry(sync.clone()).or_default().push(Request { urgency, behind, end });
    }

    /// A sync that was asked for has run. Who asked while it did waits for another run.
    pub(super) fn ran(&mut self, record: &RunRecord) {
        let answered = |request: &mut Request| request.behind.as_ref() != Some(&record.run);
        for request in self.take(&record.sync, answered) {
            let _ = request.end.try_send(RequestEnd::Ran(Box::new(record.clone())));
        }
    }

    /// A sync that was asked for does not run.
    pub(super) fn drop_run(&mut self, sync: &SyncName, obstacles: &[Obstacle]) {
        drop_all(sync, self.take(sync, |_| true), obstacles);
    }

    /// There will be no run behind those that are under way, as far as this is true of them.
    pub(super) fn drop_behind(&mut self, runs: &Runs, is_last: impl Fn(&SyncName) -> bool) {
        for (sync, run) in runs.iter().filter(|(sync, _)| is_last(sync)) {
            drop_all(sync, self.take(sync, |request| request.behind.as_ref() == Some(&run.id)), &[]);
        }
    }

    fn take(&mut self, sync: &SyncName, wanted: impl FnMut(&mut Request) -> bool) -> Vec<Request> {
        let Some(requests) = self.runs.get_mut(sync) else { return Vec::new() };
        let taken = requests.extract_if(.., wanted).collect();
        if requests.is_empty() {
            self.runs.remove(sync);
        }
        taken
    }

    /// Drops those that this is true of.
    pub(super) fn drop_runs(&mut self, is_void: impl Fn(&SyncName) -> bool) {
        let void: Vec<SyncName> = self.runs.keys().filter(|sync| is_void(sync)).cloned().collect();
        for sync in void {
            self.drop_run(&sync, &[]);
        }
    }

    /// Lets a question wait.
    pub(super) fn let_wait(&mut self, question: Question) {
        self.questions.push(question);
    }

    /// Takes the questions that can be answered.
    pub(super) fn take_answerable(&mut self, can_be_answered: impl Fn(&Question) -> bool) -> Vec<Ask> {
        self.questions.extract_if(.., |question| can_be_answered(question)).map(|question| question.ask).collect()
    }

    /// Lets someone wait until nothing runs on a volume.
    pub(super) fn await_quiet(&mut self, volume: VolumeName, answer: WayBack) {
        self.quiet.push((volume, answer));
    }

    /// Answers those on whose volumes nothing runs; and those whose hold ended before that, since it keeps nobody away.
    pub(super) fn answer_where_it_is_quiet(&mut self, runs: &Runs, checks: &Checks, ledger: &Ledger, now: BootTime) {
        let at_work = |volume: &VolumeName| -> Vec<String> {
            let running = runs.iter().filter(|(_, run)| run.sync.uses(volume)).map(|(name, _)| format!("`{name}`"));
            running.chain(checks.read(volume, now).then(|| "a check".to_owned())).collect()
        };
        let is_over = |volume: &VolumeName| !ledger.holds.contains_key(volume);
        for (volume, answer) in self.quiet.extract_if(.., |(volume, _)| is_over(volume) || at_work(volume).is_empty()) {
            let _ = answer.send(match (is_over(&volume), at_work(&volume), runs.left_behind_on(&volume)) {
                (true, working, _) if !working.is_empty() => Err(Refusal::Failed(format!(
                    "the hold on `{volume}` is over, and was so before {} had stopped there: lay one for longer",
                    working.join(" and ")
                ))),
                (true, ..) => {
                    Err(Refusal::Failed(format!("the hold on `{volume}` is over already: lay one for longer")))
                }
                (false, _, Some(stuck)) => {
                    let obstacle = Obstacle::Stuck(stuck.clone());
                    let hint = obstacle.hint(stuck);
                    Err(Refusal::Failed(format!("a hold lies on `{volume}`, but {obstacle}; {hint}")))
                }
                (false, _, None) => Ok(()),
            });
        }
    }
}

fn drop_all(sync: &SyncName, requests: Vec<Request>, obstacles: &[Obstacle]) {
    for request in requests {
        let _ = request.end.try_send(RequestEnd::Dropped { sync: sync.clone(), obstacles: obstacles.to_vec() });
    }
}
