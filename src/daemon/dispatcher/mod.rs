//! The one loop that owns all state: it turns whatever happens into one event, lets the world decide, and carries out
//! what follows. It never waits to send.

pub mod channels;
mod check_desk;
mod hearing;
mod pace;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::{Instant, Interval};

use crate::backup::check::order::CheckTelling;
use crate::backup::drives::order::DriveNews;
use crate::backup::news::WorkerNews;
use crate::daemon::dispatcher::channels::Channels;
use crate::daemon::dispatcher::check_desk::CheckDesk;
use crate::daemon::dispatcher::hearing::{MachineEvent, hear};
use crate::daemon::dispatcher::pace::LookPace;
use crate::daemon::fatal::Fatal;
use crate::daemon::messages::event::{Effect, Event, Record};
use crate::daemon::messages::look::Scope;
use crate::daemon::messages::order::{Ending, Reread};
use crate::daemon::messages::probe::{ProbeOrder, ProbeReport};
use crate::daemon::messages::sensed::{Sensed, Sleep};
use crate::daemon::outlets::opener;
use crate::daemon::outlets::reporter::Reporter;
use crate::daemon::outlets::worker::{self, Worker};
use crate::daemon::world::World;
use crate::model::{Conclusion, Failure, FailureKind, Progress, RunId, RunReport, ServerSight, Step, SyncName, Ways};
use crate::os::causes::chain;
use crate::os::clock;
use crate::os::ears::{BlockHint, Ears};
use crate::os::logind::Inhibitor;
use crate::os::ssh::SshPlace;

/// The dispatcher.
#[derive(Debug)]
pub struct Dispatcher {
    world: World,
    channels: Channels,
    reporter: Reporter,
    ears: Option<Ears>,
    workers: BTreeMap<SyncName, Worker>,
    news: mpsc::Receiver<WorkerNews>,
    to_news: mpsc::Sender<WorkerNews>,
    drive_news: mpsc::Receiver<DriveNews>,
    to_drive_news: mpsc::Sender<DriveNews>,
    checks: CheckDesk,
    pace: LookPace,
    watchdog: Option<Interval>,
    greeted: bool,
    /// Holds sleep back until it is dropped.
    permit: Option<Inhibitor>,
    ssh: SshPlace,
    /// What people decided was not taken by who writes it down.
    is_ledger_lost: bool,
}

/// Whether the loop goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Course {
    On,
    End,
}

impl Dispatcher {
    /// A dispatcher whose ears are open, if it has any; `ssh` is where connections of its runs lie.
    #[must_use]
    pub fn new(world: World, channels: Channels, reporter: Reporter, ears: Option<Ears>, ssh: SshPlace) -> Self {
        let (to_news, news) = mpsc::channel(64);
        let (to_drive_news, drive_news) = mpsc::channel(16);
        let watchdog = crate::os::service::watchdog_interval().map(tokio::time::interval);
        let (workers, pace) = (BTreeMap::new(), LookPace::default());
        Self {
            world,
            channels,
            reporter,
            ears,
            workers,
            news,
            to_news,
            drive_news,
            to_drive_news,
            checks: CheckDesk::new(),
            pace,
            watchdog,
            greeted: false,
            permit: None,
            is_ledger_lost: false,
            ssh,
        }
    }

    /// Works until it is told to end and nothing runs any more.
    pub async fn run(mut self) -> Result<(), Fatal> {
        let deaf = self.ears.as_mut().map(|ears| std::mem::take(&mut ears.degraded)).unwrap_or_default();
        if !deaf.is_empty() {
            self.take_in(Event::Degraded("ears", Some(deaf.join("; "))));
        }
        if let Some(lost) = self.channels.lost.take() {
            self.take_in(Event::Degraded("past", Some(lost)));
        }
        if let Some(unconfined) = self.channels.unconfined.take() {
            self.take_in(Event::Degraded("confinement", Some(unconfined)));
        }
        self.world.owe_look(Scope::everything());
        loop {
            self.look_if_owed();
            let rest = self.rest().map(|rest| Instant::now() + rest);
            let Some(event) = self.next_event(rest).await? else { continue };
            if self.take_in(event) == Course::End {
                self.reporter.finish();
                return Ok(());
            }
        }
    }

    /// Waits for the next thing that happens; `None` if it only changes what is owed.
    async fn next_event(&mut self, rest: Option<Instant>) -> Result<Option<Event>, Fatal> {
        let channels = &mut self.channels;
        let event = tokio::select! {
            looked = channels.looked.recv() => {
                let observation = looked.ok_or(Fatal::TaskEnded("observer"))?;
                Event::Looked(Box::new(observation))
            }
            Some(news) = self.news.recv() => Event::News(news),
            Some(telling) = self.checks.hear() => Event::Check(telling),
            Some(report) = channels.answers.recv() => Event::Probed(Box::new(report)),
            sensed = channels.sensed.recv() => {
                let sensed = sensed.ok_or(Fatal::TaskEnded("senses"))?;
                self.sensed(sensed)
            }
            Some(news) = self.drive_news.recv() => Event::Drive(news),
            Some(()) = channels.keyring.recv() => Event::KeyringChanged,
            Some(ask) = channels.asks.recv() => Event::Asked(ask),
            Some(read) = channels.configurations.recv() => Event::Configured(read),
            Some(ending) = channels.endings.recv() => match ending {
                Ending::Signal => Event::Stop,
                Ending::Abandoned => Event::Abandoned,
            },
            Ok(()) = channels.keeping.changed() => {
                Event::Degraded("history", channels.keeping.borrow_and_update().clone())
            }
            Some((neighbour, sentence)) = channels.missing.recv() => Event::Degraded(neighbour, sentence),
            heard = hear(self.ears.as_mut()) => return self.heard(&heard?),
            () = sleep_until(rest) => return Ok(None),
            () = tick(self.watchdog.as_mut()) => {
                self.reporter.alive();
                return Ok(None);
            }
        };
        Ok(Some(event))
    }

    fn heard(&mut self, heard: &MachineEvent) -> Result<Option<Event>, Fatal> {
        match heard {
            MachineEvent::Block(BlockHint::Seen) => self.world.owe_look(Scope::blocks()),
            MachineEvent::Block(BlockHint::Overrun) => self.world.owe_look(Scope::everything()),
            MachineEvent::Mounts => self.world.owe_look(Scope::mounts()),
            MachineEvent::Deadline => return Ok(Some(Event::Deadline)),
            MachineEvent::ClockJumped => return Ok(Some(Event::ClockJumped)),
            MachineEvent::Config => match self.channels.read.try_send(Reread::WhenQuiet) {
                // Full means that it will be read anyway.
                Ok(()) | Err(TrySendError::Full(_)) => {}
                Err(TrySendError::Closed(_)) => return Err(Fatal::TaskEnded("configuration reader")),
            },
        }
        Ok(None)
    }

    fn sensed(&mut self, sensed: Sensed) -> Event {
        match sensed {
            Sensed::Network(network, extent) => Event::Network(Box::new(network), extent),
            Sensed::RoutesChanged(extent) => Event::RoutesChanged(extent),
            Sensed::Power(power) => Event::Power(power),
            Sensed::Sleep(Sleep::GoingToSleep { permit }) => {
                self.permit = permit;
                Event::GoingToSleep
            }
            Sensed::Sleep(Sleep::Woke) => Event::Woke,
            Sensed::Degraded(source, sentence) => Event::Degraded(source, sentence),
        }
    }

    /// Takes in an event, and then those that came of what was done about it.
    fn take_in(&mut self, event: Event) -> Course {
        let mut course = Course::On;
        one_after_another(event, |event, behind| {
            if self.take_in_one(event, behind) == Course::End {
                course = Course::End;
            }
        });
        if std::mem::take(&mut self.is_ledger_lost) {
            self.world.keep_again();
        }
        course
    }

    fn take_in_one(&mut self, event: Event, behind: &mut VecDeque<Event>) -> Course {
        if let Event::News(WorkerNews::Progress { sync, progress, .. }) = &event {
            self.show_progress(sync, *progress);
            self.world.step(event, &clock::now());
            return Course::On;
        }
        if let Event::Check(CheckTelling::Progress(..)) = &event {
            let now = clock::now();
            self.world.step(event, &now);
            let checking = self.world.checking();
            self.channels.status.send_modify(|status| Arc::make_mut(status).checking = checking);
            return Course::On;
        }
        let reloaded = matches!(event, Event::Configured(_));
        let looked = matches!(event, Event::Looked(..));
        if let Event::Check(CheckTelling::Ended(_)) = &event {
            self.checks.ended();
        }
        if let Event::News(WorkerNews::Ended(report)) = &event {
            self.workers.remove(&report.sync);
        }
        if matches!(event, Event::Stop) {
            self.reporter.stopping();
        }
        let now = clock::now();
        let mut course = Course::On;
        for effect in self.world.step(event, &now) {
            if self.carry_out(effect, behind) == Course::End {
                course = Course::End;
            }
        }
        let activity = self.world.activity(&now);
        self.channels.activity.send_if_modified(|known| std::mem::replace(known, activity) != activity);
        let waits = self.world.waits_for_keyring();
        self.channels.keyring_wanted.send_if_modified(|wanted| std::mem::replace(wanted, waits) != waits);
        let status = self.world.status(&now);
        self.reporter.show(&status);
        self.channels.status.send_replace(Arc::new(status));
        if reloaded {
            self.channels.configuration.send_replace(Arc::clone(self.world.configuration()));
        }
        // Ready means that the socket answers and that what was in at start is known.
        if reloaded || (looked && !self.greeted) {
            if reloaded {
                self.reporter.reloading();
            }
            self.greeted = true;
            self.reporter.ready();
        }
        course
    }

    /// Progress comes often and changes one line: the rest of the picture stays as it is.
    fn show_progress(&mut self, sync: &SyncName, progress: Progress) {
        self.channels.status.send_modify(|status| {
            if let Some(run) = Arc::make_mut(status).running.iter_mut().find(|run| run.sync == *sync) {
                run.progress = progress;
            }
        });
        let status = Arc::clone(&self.channels.status.borrow());
        self.reporter.show(&status);
    }

    fn carry_out(&mut self, effect: Effect, behind: &mut VecDeque<Event>) -> Course {
        match effect {
            Effect::Probe(order) => behind.extend(self.probe(*order)),
            // Full means that they will look anyway; that they ended shows by itself.
            Effect::Sense => drop(self.channels.sense.try_send(())),
            Effect::LetSleep => self.permit = None,
            Effect::Start(job) => {
                let (run, sync) = (job.run.clone(), job.sync.name.clone());
                match worker::start_run(*job, self.ssh.clone(), self.to_news.clone()) {
                    Ok(worker) => {
                        self.workers.insert(sync, worker);
                    }
                    Err(error) => behind.push_back(unstarted(run, sync, &error)),
                }
            }
            Effect::Check(order) => behind.extend(self.checks.start(*order, &self.ssh).map(Event::Check)),
            Effect::StopCheck(why) => self.checks.stop(why),
            Effect::Drive(order) => {
                let (state_dir, ssh) = (self.channels.state_dir.clone(), self.ssh.clone());
                behind.extend(opener::start_order(*order, state_dir, ssh, &self.to_drive_news).map(Event::Drive));
            }
            Effect::StopRun(sync, why) => {
                if let Some(worker) = self.workers.get_mut(&sync) {
                    worker.stop(why);
                }
            }
            Effect::Record(keep) => {
                if let Err(TrySendError::Full(keep) | TrySendError::Closed(keep)) = self.channels.keep.try_send(keep) {
                    // Tried again with the next event: whoever takes it needs its turn first.
                    self.is_ledger_lost |= matches!(keep, Record::Ledger(_));
                    let sentence = "history is not written: the state directory does not answer".into();
                    behind.push_back(Event::Degraded("history", Some(sentence)));
                }
            }
            Effect::Alarm(at) => {
                if let Some(Err(error)) = self.ears.as_ref().map(|ears| ears.alarm.set(at)) {
                    behind.push_back(Event::Degraded("alarm", Some(format!("could not {}", chain(&error)))));
                }
            }
            Effect::Tell(notice) => self.reporter.tell(notice),
            Effect::Call(call) => {
                if self.channels.calls.try_send(call).is_err() {
                    let sentence = "programs outside are not told of runs: too many are being told already".into();
                    behind.push_back(Event::Degraded("ping", Some(sentence)));
                }
            }
            Effect::Announce(announcement) => self.channels.board.post(announcement),
            Effect::Finish => return Course::End,
        }
        Course::On
    }

    /// There is room for a question to every server, of which each has one at most. If it is not taken all the same, it
    /// was asked in vain, and is asked again later.
    fn probe(&self, order: ProbeOrder) -> Option<Event> {
        match self.channels.inquiries.try_send(order) {
            Ok(()) => None,
            Err(TrySendError::Full(order) | TrySendError::Closed(order)) => {
                let ProbeOrder { configuration, probe, .. } = order;
                let (ways, sight) = (Ways::default(), ServerSight::OutOfReach(Vec::new()));
                Some(Event::Probed(Box::new(ProbeReport { configuration, probe, ways, sight })))
            }
        }
    }

    fn look_if_owed(&mut self) {
        let now = clock::boot();
        if !self.world.can_look() || self.pace.rest(now).is_some() {
            return;
        }
        if let Some(request) = self.world.begin_look() {
            self.pace.pay(now);
            // One look is under way at most, so that there is always room; a closed channel shows as an ended task.
            let _ = self.channels.looks.try_send(request);
        }
    }

    /// How long the look that is owed has to wait, if it has to.
    fn rest(&self) -> Option<Duration> {
        if self.world.can_look() { self.pace.rest(clock::boot()) } else { None }
    }
}

/// A run whose thread could not be started has failed like any other.
fn unstarted(run: RunId, sync: SyncName, error: &std::io::Error) -> Event {
    let detail = format!("could not start a thread for the run: {error}");
    let failure = Failure { at: Step::Prove, kind: FailureKind::Resource, detail };
    Event::News(WorkerNews::Ended(Box::new(RunReport::bare(run, sync, Conclusion::Failed(failure)))))
}

/// Takes in what happened, and then what each left behind. Taken in amid the effects of another event, it would be
/// overtaken by the rest of them: the alarm that was set for it would be set back to an older one.
fn one_after_another<E>(first: E, mut take_in: impl FnMut(E, &mut VecDeque<E>)) {
    let mut events = VecDeque::from([first]);
    while let Some(event) = events.pop_front() {
        take_in(event, &mut events);
    }
}

async fn sleep_until(moment: Option<Instant>) {
    let Some(moment) = moment else { return std::future::pending().await };
    tokio::time::sleep_until(moment).await;
}

async fn tick(interval: Option<&mut Interval>) {
    let Some(interval) = interval else { return std::future::pending().await };
    interval.tick().await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_of_an_effect_waits_for_the_rest_of_its_list() {
        // A question that cannot be asked is an event, and an alarm is set behind it in the same list.
        let step = |event: &str| match event {
            "due" => vec!["ask", "alarm in an hour"],
            "not asked" => vec!["alarm in a minute"],
            other => panic!("{other}"),
        };
        let mut alarms = Vec::new();
        one_after_another("due", |event, behind| {
            for effect in step(event) {
                match effect {
                    "ask" => behind.push_back("not asked"),
                    alarm => alarms.push(alarm),
                }
            }
        });
        assert_eq!(alarms, ["alarm in an hour", "alarm in a minute"], "the newest plan has the last word");
    }
}
