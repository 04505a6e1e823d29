//! The history of each sync as far as decisions depend on it: how its runs ended, and what set it back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::daemon::world::runs::Runs;
use crate::daemon::world::volumes::Appearance;
use crate::decide::backoff;
use crate::model::{
    BootTime, Conclusion, Every, Interruption, Now, Obstacle, Outcome, Remedy, RunRecord, Sync, SyncName, Trigger,
};
use crate::os::history::LastRuns;

/// The histories of all syncs. Others read them, and change them by these methods alone.
#[derive(Debug, Clone)]
pub(super) struct Histories(BTreeMap<SyncName, SyncHistory>);

/// How often it is told that a sync is overdue, while it is.
pub(super) const REMINDER: Duration = Duration::from_hours(24);

/// What the moment adds to how a run ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chance {
    /// A number by chance, so that many syncs do not come back in step.
    pub(super) jitter: u16,
    pub(super) comes_up: ComesUp,
}

/// Whether the network is still coming up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ComesUp {
    Yes,
    No,
}

impl Histories {
    pub(super) fn new(past: BTreeMap<SyncName, LastRuns>) -> Self {
        Self(past.into_iter().map(|(name, past)| (name, SyncHistory::from_history(past))).collect())
    }

    /// The configuration is another one: a failure that only a person can mend may be mended by what they just wrote.
    pub(super) fn fit<'a>(&mut self, syncs: impl Iterator<Item = &'a SyncName>) {
        for name in syncs {
            self.0.entry(name.clone()).or_default().setback = None;
        }
    }

    pub(super) fn get(&self, sync: &SyncName) -> Option<&SyncHistory> {
        self.0.get(sync)
    }

    /// Forgets what was done between other places than those that a sync names now.
    pub(super) fn begin_anew(&mut self, sync: &SyncName) {
        if let Some(history) = self.0.get_mut(sync) {
            history.begin_anew();
        }
    }

    /// What set a sync back may be mended.
    pub(super) fn forget_setback(&mut self, sync: &SyncName) {
        if let Some(history) = self.0.get_mut(sync) {
            history.setback = None;
        }
    }

    /// Takes back what an earlier look or run found in the way, which a person has seen to since. Returns it.
    pub(super) fn forget_found(&mut self, sync: &SyncName) -> Vec<Obstacle> {
        let setback = self.0.get_mut(sync).map(|history| &mut history.setback);
        let is_found = |setback: &mut Setback| matches!(setback.reason, SetbackReason::Found(_));
        match setback.and_then(|setback| setback.take_if(is_found)).map(|setback| setback.reason) {
            Some(SetbackReason::Found(obstacles)) => obstacles,
            Some(SetbackReason::Failed(_)) | None => Vec::new(),
        }
    }

    /// A volume of a sync has changed: what set it back may be gone with that; and where the volume went and came
    /// between two looks, it has come within reach anew.
    pub(super) fn volume_changed(&mut self, sync: &SyncName, appearance: Appearance) {
        if let Some(history) = self.0.get_mut(sync) {
            history.setback = None;
            if appearance == Appearance::Anew {
                history.in_reach_since = None;
            }
        }
    }

    /// A sync is within reach if nothing stands in the way at its places.
    pub(super) fn note_reach(&mut self, sync: &SyncName, of_places: &[Obstacle], now: Timestamp) {
        if let Some(history) = self.0.get_mut(sync) {
            history.in_reach_since = of_places.is_empty().then(|| history.in_reach_since.unwrap_or(now));
        }
    }

    /// Keeps how a run ended.
    pub(super) fn remember(
        &mut self,
        record: &RunRecord,
        conclusion: &Conclusion,
        sync: &Sync,
        chance: Chance,
        now: &Now,
    ) {
        self.0.entry(record.sync.clone()).or_default().remember(record, conclusion, sync, chance, now);
    }

    /// Takes a sync out of the queue on a person's word, until it would be due again.
    pub(super) fn set_aside(&mut self, sync: &SyncName, every: Every, now: &Now) {
        if let Some(history) = self.0.get_mut(sync) {
            let reason = SetbackReason::Failed(Interruption::Cancelled.to_string());
            history.setback = Some(Setback::new(pause_after_cancelling(every), reason, now));
        }
    }

    /// What stands in the way of a sync shows only for as long as its drive is open: keeps it, unless something else
    /// has set the sync back.
    pub(super) fn set_back(&mut self, sync: &SyncName, obstacles: &[Obstacle], now: &Now) {
        if let Some(history) = self.0.get_mut(sync).filter(|history| history.setback.is_none()) {
            let wait = backoff::wait(1, Remedy::AskPerson, 0);
            history.setback = Some(Setback::new(wait, SetbackReason::Found(obstacles.to_vec()), now));
        }
    }

    /// Keeps what put each sync into the queue, until it is there no longer.
    pub(super) fn note_triggers(&mut self, queued: impl Fn(&SyncName) -> Option<Trigger>, runs: &Runs) {
        for (name, history) in &mut self.0 {
            if runs.get(name).is_none() {
                history.queued_by = match (queued(name), history.queued_by) {
                    (Some(Trigger::Request), _) => Some(Trigger::Request),
                    (Some(trigger), before) => before.or(Some(trigger)),
                    (None, _) => None,
                };
            }
        }
    }

    /// A sync is overdue since then. Whether that is to be told: once, and again each day.
    pub(super) fn note_overdue(&mut self, sync: &SyncName, since: Timestamp, now: BootTime) -> bool {
        let Some(history) = self.0.get_mut(sync) else { return false };
        let is_told = history.overdue_told.is_some_and(|(told, at)| told == since && at.after(REMINDER) > now);
        if !is_told {
            history.overdue_told = Some((since, now));
        }
        !is_told
    }
}

/// The history of one sync.
#[derive(Debug, Clone, Default)]
pub(super) struct SyncHistory {
    pub(super) last_run: Option<Arc<RunRecord>>,
    pub(super) last_success: Option<Timestamp>,
    /// How many runs have failed since the last success.
    pub(super) failures: u32,
    /// How often in a row what a run stood on went away.
    pub(super) interruptions: u32,
    /// How many runs in a row found that they could not be.
    pub(super) skips: u32,
    pub(super) setback: Option<Setback>,
    /// Since when both ends have been within reach without a break.
    pub(super) in_reach_since: Option<Timestamp>,
    /// What put it into the queue, for as long as it is there.
    pub(super) queued_by: Option<Trigger>,
    /// Since when it is overdue as it was told last, and when that was.
    overdue_told: Option<(Timestamp, BootTime)>,
}

/// What keeps a sync from being tried again at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setback {
    /// Until when.
    pub(super) until: BootTime,
    /// The same moment as wall time, for people.
    pub(super) until_wall: Timestamp,
    /// Why.
    pub(super) reason: SetbackReason,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SetbackReason {
    /// The last run did not end well, for this reason.
    Failed(String),
    /// The run found these obstacles, which a look does not show.
    Found(Vec<Obstacle>),
}

impl SyncHistory {
    /// When it is told again that it is overdue.
    pub(super) fn reminder(&self) -> Option<BootTime> {
        Some(self.overdue_told?.1.after(REMINDER))
    }

    /// Forgets what was done between other places than those that the sync names now.
    fn begin_anew(&mut self) {
        (self.last_run, self.last_success, self.failures) = (None, None, 0);
    }

    fn from_history(past: LastRuns) -> Self {
        Self {
            last_run: past.last_run.map(Arc::new),
            last_success: past.last_success,
            failures: past.failures,
            ..Self::default()
        }
    }

    /// Keeps how a run ended, and when the next may be tried.
    fn remember(&mut self, record: &RunRecord, conclusion: &Conclusion, sync: &Sync, chance: Chance, now: &Now) {
        let Chance { jitter, comes_up } = chance;
        self.queued_by = None;
        let setback = |wait: Duration, reason| Some(Setback::new(wait, reason, now));
        let sentence = || record.error.clone().unwrap_or_default();
        self.setback = match conclusion {
            Conclusion::Ok => {
                (self.failures, self.interruptions) = (0, 0);
                self.last_success = Some(record.finished);
                // Where the clock was set back meanwhile, this appearance would lie ahead of every success.
                self.in_reach_since = self.in_reach_since.map(|since| since.min(record.finished));
                None
            }
            // A person is asked; the look is taken again when a copy would be wanted anew.
            Conclusion::Held(_) => {
                self.in_reach_since = self.in_reach_since.map(|since| since.min(now.wall));
                None
            }
            Conclusion::Skipped(obstacles) => {
                self.skips = self.skips.saturating_add(1);
                // A program of a person is not called every few seconds.
                let wait = match sync.hooks.before {
                    Some(_) => backoff::wait(self.skips, Remedy::TryAgain, jitter),
                    None => backoff::wait_for_obstacle(self.skips),
                };
                setback(wait, SetbackReason::Found(obstacles.clone()))
            }
            Conclusion::Interrupted(Interruption::Cancelled) => {
                let wait = pause_after_cancelling(sync.every);
                setback(wait, SetbackReason::Failed(sentence()))
            }
            // While a network comes up, connections break without anybody being at fault; they are tried again soon.
            Conclusion::Interrupted(Interruption::Network(_)) if comes_up == ComesUp::Yes => {
                self.skips = self.skips.saturating_add(1);
                setback(backoff::wait_for_obstacle(self.skips), SetbackReason::Failed(sentence()))
            }
            // It goes on as soon as it may; nothing went wrong, however often that happens.
            Conclusion::Interrupted(Interruption::Stopping | Interruption::Suspend | Interruption::DriveHeld) => None,
            // What went away comes back by itself, and goes on at once; unless it keeps going away while it seems to
            // be there, which must not become a busy loop.
            Conclusion::Interrupted(
                Interruption::SourceLost(_)
                | Interruption::DestinationLost(_)
                | Interruption::Network(_)
                | Interruption::Still(_)
                | Interruption::Killed,
            ) => {
                self.interruptions = self.interruptions.saturating_add(1);
                let wait = backoff::wait(self.interruptions, Remedy::TryAgain, jitter);
                (self.interruptions > 2).then(|| setback(wait, SetbackReason::Failed(sentence()))).flatten()
            }
            Conclusion::Failed(failure) => {
                (self.failures, self.interruptions) = (self.failures.saturating_add(1), 0);
                let wait = backoff::wait(self.failures, failure.kind.remedy(), jitter);
                setback(wait, SetbackReason::Failed(sentence()))
            }
        };
        // A run that found that it could not be is no attempt: the one before it still tells how things are.
        if record.outcome != Outcome::Skipped {
            if !matches!(conclusion, Conclusion::Interrupted(Interruption::Network(_))) {
                self.skips = 0;
            }
            self.last_run = Some(Arc::new(record.clone()));
        } else if self.last_run.is_none() {
            self.last_run = Some(Arc::new(record.clone()));
        }
    }
}

impl Setback {
    fn new(wait: Duration, reason: SetbackReason, now: &Now) -> Self {
        let until_wall = now.wall.checked_add(wait).unwrap_or(now.wall);
        Self { until: now.boot.after(wait), until_wall, reason }
    }

    /// What it puts in the way at `now`.
    pub(super) fn obstacles(&self, now: BootTime) -> Vec<Obstacle> {
        if self.until <= now {
            return Vec::new();
        }
        match &self.reason {
            SetbackReason::Failed(error) => {
                vec![Obstacle::BackingOff { until: self.until_wall, error: error.clone() }]
            }
            SetbackReason::Found(obstacles) => obstacles.clone(),
        }
    }
}

/// How long a sync rests that a person cancelled.
fn pause_after_cancelling(every: Every) -> Duration {
    match every {
        Every::Interval(interval) => interval.min(backoff::LONGEST),
        Every::Appearance => backoff::LONGEST,
    }
}
