//! What is remembered and learnt of a run that ended.

use std::sync::Arc;
use std::time::Duration;

use crate::daemon::messages::event::Effect;
use crate::daemon::world::World;
use crate::daemon::world::memory::{Setback, SetbackReason};
use crate::daemon::world::runs::Run;
use crate::decide::backoff;
use crate::model::{
    Conclusion, End, EndSight, Every, Interruption, Now, Outcome, Remedy, RunRecord, RunReport, SyncName,
};

impl World {
    /// Keeps how a run ended, and when the next may be tried.
    pub(super) fn remember(&mut self, run: &Run, report: &RunReport, record: &RunRecord, now: &Now) {
        let jitter = self.dice.u16(..);
        let comes_up = self.reach.comes_up(now.boot);
        let memory = self.memory.entry(report.sync.clone()).or_default();
        memory.queued_by = None;
        let setback = |wait: Duration, reason| {
            let until_wall = now.wall.checked_add(wait).unwrap_or(now.wall);
            Some(Setback { until: now.boot.after(wait), until_wall, reason })
        };
        let sentence = || record.error.clone().unwrap_or_default();
        memory.setback = match &report.conclusion {
            Conclusion::Ok => {
                memory.failures = 0;
                memory.last_success = Some(record.finished);
                // Where the clock was set back meanwhile, this appearance would lie ahead of every success.
                memory.in_reach_since = memory.in_reach_since.map(|since| since.min(record.finished));
                None
            }
            // Held until a person approves; nothing is tried meanwhile.
            Conclusion::Held(_) => None,
            Conclusion::Skipped(obstacles) => {
                memory.skips = memory.skips.saturating_add(1);
                setback(backoff::wait_for_obstacle(memory.skips), SetbackReason::Found(obstacles.clone()))
            }
            Conclusion::Interrupted(Interruption::Cancelled) => {
                let wait = pause_after_cancelling(run.sync.every);
                setback(wait, SetbackReason::Failed(sentence()))
            }
            // While a network comes up, connections break without anybody being at fault; they are tried again soon.
            Conclusion::Interrupted(Interruption::Network(_)) if comes_up => {
                memory.skips = memory.skips.saturating_add(1);
                setback(backoff::wait_for_obstacle(memory.skips), SetbackReason::Failed(sentence()))
            }
            // It goes on as soon as it may; nothing went wrong, however often that happens.
            Conclusion::Interrupted(Interruption::Stopping | Interruption::Suspend | Interruption::DriveHeld) => None,
            // What went away comes back by itself, and goes on at once; unless it keeps going away while it seems to
            // be there, which must not become a busy loop.
            Conclusion::Interrupted(
                Interruption::SourceLost(_)
                | Interruption::DestinationLost(_)
                | Interruption::Network(_)
                | Interruption::Killed,
            ) => {
                memory.failures = memory.failures.saturating_add(1);
                let wait = backoff::wait(memory.failures, Remedy::TryAgain, jitter);
                (memory.failures > 2).then(|| setback(wait, SetbackReason::Failed(sentence()))).flatten()
            }
            Conclusion::Failed(failure) => {
                memory.failures = memory.failures.saturating_add(1);
                let wait = backoff::wait(memory.failures, failure.kind.remedy(), jitter);
                setback(wait, SetbackReason::Failed(sentence()))
            }
        };
        // A run that found that it could not be is no attempt: the one before it still tells how things are.
        if record.outcome != Outcome::Skipped {
            if !matches!(report.conclusion, Conclusion::Interrupted(Interruption::Network(_))) {
                memory.skips = 0;
            }
            memory.last_run = Some(Arc::new(record.clone()));
        } else if memory.last_run.is_none() {
            memory.last_run = Some(Arc::new(record.clone()));
        }
    }

    /// Takes a sync out of the queue on a person's word, until it would be due again.
    pub(super) fn set_aside(&mut self, name: &SyncName, now: &Now) {
        let (Some(sync), Some(memory)) = (self.configuration.syncs.get(name), self.memory.get_mut(name)) else {
            return;
        };
        let wait = pause_after_cancelling(sync.every);
        memory.setback = Some(Setback {
            until: now.boot.after(wait),
            until_wall: now.wall.checked_add(wait).unwrap_or(now.wall),
            reason: SetbackReason::Failed(Interruption::Cancelled.to_string()),
        });
    }

    /// Ends what a person approved of a run that was held all the same: it would have done something else than was
    /// shown, and is asked about again.
    pub(super) fn take_back_approval(&mut self, sync: &SyncName, effects: &mut Vec<Effect>) {
        let deletions = self.ledger.approvals.remove(sync);
        let cuts = self.ledger.approved_cuts.remove(sync);
        if deletions.is_some() || cuts.is_some() {
            self.keep_ledger(effects);
        }
    }

    /// Learns the ids of sentinels that were seen for the first time, and ends an approval that was used.
    pub(super) fn learn(&mut self, run: &Run, effects: &mut Vec<Effect>) {
        let sync = &run.sync;
        let deletions = self.ledger.approvals.remove(&sync.name);
        let cuts = self.ledger.approved_cuts.remove(&sync.name);
        let mut changed = deletions.is_some() || cuts.is_some();
        if self.ledger.copied.get(&sync.name) != Some(&run.places) {
            self.ledger.copied.insert(sync.name.clone(), run.places.clone());
            changed = true;
        }
        for place in [&sync.source, &sync.destination] {
            if let Some(Some(id)) = self.volumes.get(&place.volume).and_then(|state| state.sight.proven_id())
                && !self.ledger.volume_ids.contains_key(&place.volume)
            {
                self.ledger.volume_ids.insert(place.volume.clone(), id.clone());
                changed = true;
            }
        }
        if let Some(ends) = self.ends.get(&sync.name) {
            for (end, sight) in [(End::Source, &ends.source), (End::Destination, &ends.destination)] {
                if let EndSight::Ready { id: Some(id) } = sight
                    && !self.ledger.end_ids.contains_key(&(sync.name.clone(), end))
                {
                    self.ledger.end_ids.insert((sync.name.clone(), end), id.clone());
                    changed = true;
                }
            }
        }
        if changed {
            self.keep_ledger(effects);
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
