//! Sleep: what runs is stopped before it and goes on after it, and nothing starts in between or right behind it. While
//! something runs for long, the machine is not to fall asleep by itself.

use std::time::Duration;

use crate::daemon::messages::event::Effect;
use crate::daemon::messages::look::Scope;
use crate::daemon::messages::sensed::Activity;
use crate::daemon::world::World;
use crate::daemon::world::reach::Asked;
use crate::model::{BootTime, Interruption, Now, PowerSight};

/// A sleep that was announced and did not come is forgotten after this long.
const LONGEST_WAIT_FOR_SLEEP: Duration = Duration::from_mins(1);

/// Runs that are over after so long keep no machine awake: it is idle for minutes before it falls asleep, and asking
/// the bus costs more than a small copy.
const LONG: Duration = Duration::from_secs(10);

/// How the machine stands to sleep.
#[derive(Debug, Default)]
pub(super) struct Sleep {
    /// Since when it is about to sleep, or sleeps.
    announced: Option<BootTime>,
    /// Whether it waits to be told that it may.
    waits: Waits,
    /// When it last woke.
    woke: Option<BootTime>,
    /// Since when something has been running without a break.
    busy: Option<BootTime>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Waits {
    #[default]
    No,
    Yes,
}

impl Sleep {
    /// Whether nothing may start because of it.
    pub(super) fn is_near(&self) -> bool {
        self.announced.is_some()
    }

    /// The moment before which nothing starts by itself, where things settle for so long.
    pub(super) fn settled(&self, settle: Duration) -> BootTime {
        self.woke.map(|woke| woke.after(settle)).unwrap_or_default()
    }

    /// When a sleep that was announced is forgotten.
    pub(super) fn forgotten(&self) -> Option<BootTime> {
        self.announced.map(|announced| announced.after(LONGEST_WAIT_FOR_SLEEP))
    }

    /// When what runs has been running for long.
    pub(super) fn long_at_work(&self) -> Option<BootTime> {
        self.busy.map(|busy| busy.after(LONG))
    }
}

impl World {
    /// What is under way, once it takes long. A machine of whose battery nobody knows has its power from the mains.
    #[must_use]
    pub fn activity(&self, now: &Now) -> Activity {
        match self.power {
            _ if self.sleep.long_at_work().is_none_or(|at| at > now.boot) => Activity::Rest,
            PowerSight::Battery(_) => Activity::Runs,
            PowerSight::Mains | PowerSight::Unknown => Activity::RunsAwake,
        }
    }

    /// Notes whether something runs, behind each event.
    pub(super) fn note_labour(&mut self, now: &Now) {
        self.sleep.busy = if self.runs.is_empty() { None } else { self.sleep.busy.or(Some(now.boot)) };
    }

    pub(super) fn go_to_sleep(&mut self, now: &Now, effects: &mut Vec<Effect>) {
        self.sleep.announced = Some(now.boot);
        self.sleep.waits = Waits::Yes;
        let running: Vec<_> = self.runs.keys().cloned().collect();
        for name in running {
            self.stop_run(&name, Interruption::Suspend, effects);
        }
    }

    /// Everything may be different after a sleep: drives were pulled, networks left.
    pub(super) fn wake(&mut self, now: &Now) {
        self.sleep.announced = None;
        self.sleep.waits = Waits::No;
        self.sleep.woke = Some(now.boot);
        self.looks.ask(Scope::everything());
        self.ask_servers(&Asked::All);
    }

    /// Who announced a sleep may never say that it is over.
    pub(super) fn wake_if_nobody_slept(&mut self, now: &Now) {
        if self.sleep.forgotten().is_some_and(|at| at <= now.boot) {
            self.wake(now);
        }
    }

    pub(super) fn let_sleep(&mut self, effects: &mut Vec<Effect>) {
        if self.sleep.waits == Waits::Yes && self.runs.is_empty() {
            self.sleep.waits = Waits::No;
            effects.push(Effect::LetSleep);
        }
    }
}
