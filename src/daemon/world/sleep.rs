//! Sleep: what runs is stopped before it and goes on after it, and nothing starts in between or right behind it.

use std::time::Duration;

use crate::daemon::observer::Scope;
use crate::daemon::world::reach::Asked;
use crate::daemon::world::{Effect, World};
use crate::model::{BootTime, Interruption, Now};

/// A sleep that was announced and did not come is forgotten after this long.
const PATIENCE: Duration = Duration::from_mins(1);

/// How the machine stands to sleep.
#[derive(Debug, Default)]
pub(super) struct Sleep {
    /// Since when it is about to sleep, or sleeps.
    announced: Option<BootTime>,
    /// Whether it waits to be told that it may.
    waits: Waits,
    /// When it last woke.
    woke: Option<BootTime>,
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
        self.announced.map(|announced| announced.after(PATIENCE))
    }
}

impl World {
    pub(super) fn go_to_sleep(&mut self, now: &Now, effects: &mut Vec<Effect>) {
        self.sleep.announced = Some(now.boot);
        self.sleep.waits = Waits::Yes;
        let running: Vec<_> = self.runs.keys().cloned().collect();
        for name in running {
            self.stop_run(&name, Interruption::Suspend, effects);
        }
    }

    /// Everything may be different after a sleep: drives were pulled, networks left.
    pub(super) fn wake(&mut self, now: &Now, effects: &mut Vec<Effect>) {
        self.sleep.announced = None;
        self.sleep.waits = Waits::No;
        self.sleep.woke = Some(now.boot);
        self.look(Scope::everything(), effects);
        self.ask_servers(&Asked::All, now, effects);
    }

    /// Who announced a sleep may never say that it is over.
    pub(super) fn wake_if_nobody_slept(&mut self, now: &Now, effects: &mut Vec<Effect>) {
        if self.sleep.forgotten().is_some_and(|at| at <= now.boot) {
            self.wake(now, effects);
        }
    }

    pub(super) fn let_sleep(&mut self, effects: &mut Vec<Effect>) {
        if self.sleep.waits == Waits::Yes && self.runs.is_empty() {
            self.sleep.waits = Waits::No;
            effects.push(Effect::LetSleep);
        }
    }
}
