//! The plan: for each sync what stands in its way and whether a copy is wanted; then the queue. It is made afresh,
//! whole, after every event, and never edited.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::daemon::messages::event::Effect;
use crate::decide::due::Due;
use crate::decide::obstacles::asks_for_approval;
use crate::decide::queue;
use crate::model::{BootTime, Now, Obstacle, Outcome, SyncName};

/// The plan.
#[derive(Debug, Clone, Default)]
pub(super) struct Plan {
    prospects: BTreeMap<SyncName, Outlook>,
    candidates: BTreeMap<SyncName, queue::DueSync>,
    queue: Vec<SyncName>,
    /// When the alarm is set to go off.
    alarm: Option<Timestamp>,
}

impl Plan {
    /// How each sync stands.
    pub(super) fn prospects(&self) -> &BTreeMap<SyncName, Outlook> {
        &self.prospects
    }

    /// The syncs that are wanted and possible.
    pub(super) fn candidates(&self) -> &BTreeMap<SyncName, queue::DueSync> {
        &self.candidates
    }

    /// The same in the order in which they run.
    pub(super) fn queue(&self) -> &[SyncName] {
        &self.queue
    }

    pub(super) fn set_prospects(&mut self, prospects: BTreeMap<SyncName, Outlook>) {
        self.prospects = prospects;
    }

    /// Puts the candidates into the order in which they run: no sync before those whose copies it reads.
    pub(super) fn set_candidates(
        &mut self,
        candidates: BTreeMap<SyncName, queue::DueSync>,
        upstreams: &BTreeMap<SyncName, BTreeSet<SyncName>>,
    ) {
        self.queue = queue::order(&candidates, upstreams);
        self.candidates = candidates;
    }

    /// Sets the alarm, if it is set otherwise.
    pub(super) fn set_alarm(&mut self, alarm: Option<Timestamp>) -> Option<Effect> {
        let before = std::mem::replace(&mut self.alarm, alarm);
        (before != alarm).then_some(Effect::Alarm(alarm))
    }

    /// A sync has started, and does not wait any more.
    pub(super) fn take_out(&mut self, sync: &SyncName) {
        self.candidates.remove(sync);
        self.queue.retain(|queued| queued != sync);
    }
}

/// How one sync stands.
#[derive(Debug, Clone)]
pub(super) struct Outlook {
    /// What stands in its way at its two places.
    pub(super) places: Vec<Obstacle>,
    /// What else stands in its way: a person's word, its own past, the hour.
    pub(super) rest: Vec<Obstacle>,
    /// Whether a copy is wanted.
    pub(super) due: Due,
    /// Since when one has been wanted, if it is.
    pub(super) due_since: Option<Timestamp>,
    /// Before this moment it does not start by itself.
    pub(super) ready_at: BootTime,
    /// How its last run ended.
    pub(super) last_outcome: Option<Outcome>,
    /// When it is or was overdue.
    pub(super) overdue_at: Option<Timestamp>,
}

impl Outlook {
    pub(super) fn obstacles(&self) -> impl Iterator<Item = &Obstacle> {
        self.places.iter().chain(&self.rest)
    }

    /// When a copy is wanted next, if time alone brings that about.
    pub(super) fn next_due(&self, now: &Now) -> Option<Timestamp> {
        match self.due {
            Due::Now(_) => Some(self.due_since.unwrap_or(now.wall)),
            Due::At(at) => Some(at),
            Due::NextAppearance => None,
        }
    }

    /// Whether a person has to approve something before it can run.
    pub(super) fn is_held(&self) -> bool {
        self.obstacles().any(asks_for_approval)
    }
}
