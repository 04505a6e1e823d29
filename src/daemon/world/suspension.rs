//! Sleep: what runs is stopped before it and goes on after it, and nothing starts in between or right behind it. While
//! something runs for long, the machine is not to fall asleep by itself.

use std::time::Duration;

use crate::daemon::messages::event::Effect;
use crate::daemon::messages::sensed::Activity;
use crate::daemon::world::runs::Runs;
use crate::model::{BootTime, Now, PowerSight};

/// A sleep that was announced and did not come is forgotten after this long.
const LONGEST_WAIT_FOR_SLEEP: Duration = Duration::from_mins(1);

/// Runs that are over after so long keep no machine awake: it is idle for minutes before it falls asleep, and asking
/// the bus costs more than a small copy.
const LONG: Duration = Duration::from_secs(10);

/// How the machine stands to sleep.
#[derive(Debug, Clone, Default)]
pub(super) struct Suspension {
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

impl Suspension {
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

    /// What is under way, once it takes long. A machine of whose battery nobody knows has its power from the mains.
    pub(super) fn activity(&self, power: PowerSight, now: &Now) -> Activity {
        match power {
            _ if self.long_at_work().is_none_or(|at| at > now.boot) => Activity::Rest,
            PowerSight::Battery(_) => Activity::Runs,
            PowerSight::Mains | PowerSight::Unknown => Activity::RunsAwake,
        }
    }

    /// Notes after each event whether something runs.
    pub(super) fn note_runs(&mut self, runs: &Runs, now: &Now) {
        self.busy = if runs.is_empty() { None } else { self.busy.or(Some(now.boot)) };
    }

    /// The machine is about to sleep, and waits to be told that it may.
    pub(super) fn announced(&mut self, now: &Now) {
        (self.announced, self.waits) = (Some(now.boot), Waits::Yes);
    }

    /// It woke, or never slept.
    pub(super) fn over(&mut self, now: &Now) {
        (self.announced, self.waits, self.woke) = (None, Waits::No, Some(now.boot));
    }

    /// Whether who announced a sleep has not said for long that it is over; they may never do.
    pub(super) fn is_overdue(&self, now: &Now) -> bool {
        self.forgotten().is_some_and(|at| at <= now.boot)
    }

    /// Lets the machine sleep, if it waits for that and nothing runs any more.
    pub(super) fn let_sleep(&mut self, runs: &Runs) -> Option<Effect> {
        if self.waits == Waits::Yes && runs.is_empty() {
            self.waits = Waits::No;
            return Some(Effect::LetSleep);
        }
        None
    }
}
