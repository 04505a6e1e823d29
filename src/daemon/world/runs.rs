//! Runs, from their start to what is remembered of them.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use crate::daemon::ask::RequestEnd;
use crate::daemon::job::{DriveProof, Job, JobEnd, Layout};
use crate::daemon::observer::Scope;
use crate::daemon::world::memory::{Setback, SetbackReason};
use crate::daemon::world::{Effect, Keep, Notice, World};
use crate::decide::backoff;
use crate::decide::obstacles::asks_for_approval;
use crate::model::{
    Absence, Conclusion, End, EndSight, Every, HoldReason, Interruption, MountId, Now, Obstacle, Outcome, Place,
    Progress, Remedy, RunId, RunRecord, RunReport, SnapshotKind, Step, Sync, SyncName, Trigger, VolumeName, VolumeRoot,
    VolumeSight,
};
use crate::os::history::Entry;

/// A run under way.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) id: RunId,
    pub(super) trigger: Trigger,
    pub(super) started: Timestamp,
    pub(super) progress: Progress,
    pub(super) resources: BTreeSet<String>,
    source: Ground,
    destination: Ground,
    pub(super) sync: Sync,
    /// Between which places it copies.
    places: String,
    /// Whether it was told to stop.
    stop: Option<Interruption>,
}

/// What a run stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ground {
    mount: MountId,
    disk_seq: Option<u64>,
}

impl World {
    /// The job of a sync as things stand, if both its volumes are present.
    pub(super) fn job(&self, sync: &Sync, run: RunId, trigger: Trigger) -> Option<Job> {
        Some(Job {
            run,
            trigger,
            source: self.job_end(sync, End::Source, &sync.source)?,
            destination: self.job_end(sync, End::Destination, &sync.destination)?,
            approved: self.ledger.approvals.get(&sync.name).copied(),
            sync: sync.clone(),
        })
    }

    fn job_end(&self, sync: &Sync, end: End, place: &Place) -> Option<JobEnd> {
        let VolumeSight::Present(present) = &self.volumes.get(&place.volume)?.sight else { return None };
        let drive = match (&self.configuration.volumes.get(&place.volume)?.root, present.device) {
            (VolumeRoot::Drive(drive), Some(device)) => {
                Some(DriveProof { uuid: drive.uuid.clone(), device, disk_seq: present.disk_seq })
            }
            (VolumeRoot::Drive(_) | VolumeRoot::Directory(_) | VolumeRoot::Server(_), _) => None,
        };
        let layout = match end {
            End::Source if self.keeps_snapshots(place) => Layout::Snapshots,
            End::Destination if sync.snapshots != SnapshotKind::None => Layout::Snapshots,
            End::Source | End::Destination => Layout::Plain,
        };
        Some(JobEnd {
            root: present.root.clone(),
            mount: present.mount,
            drive,
            fs_type: present.fs_type.clone(),
            access: present.access,
            volume_id: self.ledger.volume_ids.get(&place.volume).cloned(),
            end_id: self.ledger.end_ids.get(&(sync.name.clone(), end)).cloned(),
            layout,
        })
    }

    /// Whether a place is exactly the destination of a sync with snapshots.
    fn keeps_snapshots(&self, place: &Place) -> bool {
        let mut writers = self.configuration.syncs.values();
        writers.any(|writer| writer.destination == *place && writer.snapshots != SnapshotKind::None)
    }

    pub(super) fn new_run_id(&mut self, now: &Now) -> RunId {
        RunId::new(now.wall, self.dice.u16(..))
    }

    pub(super) fn start(&mut self, name: &SyncName, now: &Now, effects: &mut Vec<Effect>) {
        let id = self.new_run_id(now);
        let trigger = self.memory.get(name).and_then(|memory| memory.queued_by).unwrap_or(Trigger::Schedule);
        let Some(sync) = self.configuration.syncs.get(name) else { return };
        let Some(job) = self.job(sync, id.clone(), trigger) else { return };
        let ground =
            |end: &JobEnd| Ground { mount: end.mount, disk_seq: end.drive.as_ref().and_then(|drive| drive.disk_seq) };
        let run = Run {
            id: id.clone(),
            trigger,
            started: now.wall,
            progress: Progress { step: Step::Prove, percent: None, bytes: 0, rate: 0, eta_seconds: None },
            resources: self.resources(sync),
            source: ground(&job.source),
            destination: ground(&job.destination),
            sync: sync.clone(),
            places: self.places(sync),
            stop: None,
        };
        self.runs.insert(name.clone(), run);
        self.plan.candidates.remove(name);
        self.plan.queue.retain(|queued| queued != name);
        effects.push(Effect::Start(Box::new(job)));
        effects.push(Effect::Keep(Keep::Run(Entry::Began {
            run: id.clone(),
            sync: name.clone(),
            trigger,
            started: now.wall,
        })));
        effects.push(Effect::Tell(Notice::RunStarted { run: id, sync: name.clone(), trigger }));
    }

    /// The runs that read or write a volume.
    pub(super) fn runs_on(&self, volume: &VolumeName) -> Vec<SyncName> {
        let uses = |sync: &Sync| sync.source.volume == *volume || sync.destination.volume == *volume;
        self.runs.iter().filter(|(_, run)| uses(&run.sync)).map(|(name, _)| name.clone()).collect()
    }

    pub(super) fn stop_run(&mut self, name: &SyncName, why: Interruption, effects: &mut Vec<Effect>) {
        if let Some(run) = self.runs.get_mut(name)
            && run.stop.is_none()
        {
            run.stop = Some(why.clone());
            effects.push(Effect::StopRun(name.clone(), why));
        }
    }

    /// Stops the runs that a look shows to stand on nothing any more, rather than waiting for rsync to notice.
    pub(super) fn stop_runs_whose_ground_is_gone(&mut self, effects: &mut Vec<Effect>) {
        let lost: Vec<(SyncName, Interruption)> = self
            .runs
            .iter()
            .filter_map(|(name, run)| {
                let gone = |place: &Place, ground: &Ground| self.ground_is_gone(place, ground);
                let why = gone(&run.sync.source, &run.source)
                    .map(Interruption::SourceLost)
                    .or_else(|| gone(&run.sync.destination, &run.destination).map(Interruption::DestinationLost))?;
                Some((name.clone(), why))
            })
            .collect();
        for (name, why) in lost {
            self.stop_run(&name, why, effects);
        }
    }

    fn ground_is_gone(&self, place: &Place, ground: &Ground) -> Option<String> {
        let volume = &place.volume;
        match &self.volumes.get(volume)?.sight {
            VolumeSight::Present(present) if present.mount != ground.mount => {
                Some(format!("volume `{volume}` is another mount now"))
            }
            VolumeSight::Present(present) if ground.disk_seq.is_some() && present.disk_seq != ground.disk_seq => {
                Some(format!("another medium is in drive `{volume}`"))
            }
            VolumeSight::Present(_) | VolumeSight::Reached(_) => None,
            // Unknown is not down: what does not answer in time may only be slow.
            VolumeSight::Absent(Absence::Silent(_) | Absence::NotLookedAt) => None,
            VolumeSight::Absent(Absence::NotPlugged) => Some(format!("drive `{volume}` was pulled out")),
            VolumeSight::NotMounted { .. } => Some(format!("drive `{volume}` was unmounted")),
            VolumeSight::Locked { .. } => Some(format!("drive `{volume}` was locked")),
            VolumeSight::Absent(_) | VolumeSight::NotProven { .. } => Some(format!("volume `{volume}` went away")),
            VolumeSight::Ambiguous { .. } => Some(format!("a second device with the UUID of drive `{volume}` came")),
        }
    }

    pub(super) fn run_ended(&mut self, report: &RunReport, now: &Now, effects: &mut Vec<Effect>) {
        let name = report.sync.clone();
        let Some(run) = self.runs.remove(&name) else { return };
        let record = record(&run, report, now);
        self.remember(&run, report, &record, now);
        if record.outcome == Outcome::Ok {
            self.learn(&run, effects);
        }
        if self.configuration.syncs.get(&name).is_some_and(|sync| self.places(sync) != run.places)
            && let Some(memory) = self.memory.get_mut(&name)
        {
            // The configuration has moved the sync meanwhile.
            memory.begin_anew();
        }
        if let Some(request) = self.requests.remove(&name) {
            for end in request.ends {
                // Whoever asked may have left; history has it all the same.
                let _ = end.try_send(RequestEnd::Ran(Box::new(record.clone())));
            }
        }
        self.announce_end(&record, &report.conclusion, effects);
        self.look_behind(&name, record.outcome, effects);
        effects.push(Effect::Tell(Notice::RunEnded(Box::new(record.clone()))));
        effects.push(Effect::Keep(Keep::Run(Entry::Ended(Box::new(record)))));
        self.answer_whoever_waits_for_quiet();
    }

    fn remember(&mut self, run: &Run, report: &RunReport, record: &RunRecord, now: &Now) {
        let jitter = self.dice.u16(..);
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
            // What went away comes back by itself, and goes on at once; unless it keeps going away while it seems to
            // be there, which must not become a busy loop.
            Conclusion::Interrupted(_) => {
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
            memory.skips = 0;
            memory.last_run = Some(record.clone());
        } else if memory.last_run.is_none() {
            memory.last_run = Some(record.clone());
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

    /// Learns the ids of sentinels that were seen for the first time, and ends an approval that was used.
    fn learn(&mut self, run: &Run, effects: &mut Vec<Effect>) {
        let sync = &run.sync;
        let mut changed = self.ledger.approvals.remove(&sync.name).is_some();
        if self.ledger.copied.get(&sync.name) != Some(&run.places) {
            self.ledger.copied.insert(sync.name.clone(), run.places.clone());
            changed = true;
        }
        for place in [&sync.source, &sync.destination] {
            if let Some(VolumeSight::Present(present)) = self.volumes.get(&place.volume).map(|state| &state.sight)
                && let Some(id) = &present.id
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

    /// Between which places a sync copies, whatever their volumes are called.
    fn places(&self, sync: &Sync) -> String {
        let place = |place: &Place| {
            let root = match self.configuration.volumes.get(&place.volume).map(|volume| &volume.root) {
                Some(VolumeRoot::Directory(path)) => path.display().to_string(),
                Some(VolumeRoot::Drive(drive)) => drive.uuid.to_string(),
                Some(VolumeRoot::Server(server)) => format!("server {}", server.path.display()),
                None => String::new(),
            };
            format!("{root}:{}", place.subdir.as_path().display())
        };
        format!("{} -> {}", place(&sync.source), place(&sync.destination))
    }

    /// A success, a hold and a person's word count for the places that they were about. Where a sync leads elsewhere now,
    /// there is no copy yet.
    pub(super) fn forget_other_places(&mut self, name: &SyncName) {
        let Some(places) = self.configuration.syncs.get(name).map(|sync| self.places(sync)) else { return };
        if self.ledger.copied.get(name).is_some_and(|copied| *copied != places)
            && let Some(memory) = self.memory.get_mut(name)
        {
            memory.begin_anew();
            self.ledger.approvals.remove(name);
        }
    }

    /// Looks again at what a run may have changed: its own places if it did not end well, and the syncs that read what
    /// it wrote.
    fn look_behind(&mut self, name: &SyncName, outcome: Outcome, effects: &mut Vec<Effect>) {
        let readers = self.upstreams.iter().filter(|(_, upstreams)| upstreams.contains(name)).map(|(reader, _)| reader);
        let mut again: BTreeSet<SyncName> = readers.cloned().collect();
        if outcome != Outcome::Ok {
            again.insert(name.clone());
        }
        if !again.is_empty() {
            self.look(Scope::syncs(again), effects);
        }
    }

    pub(super) fn keep_ledger(&self, effects: &mut Vec<Effect>) {
        effects.push(Effect::Keep(Keep::Ledger(Box::new(self.ledger.clone()))));
    }

    /// Whether a person has to approve something before a sync can run.
    pub(super) fn is_held(&self, name: &SyncName) -> bool {
        self.plan.prospects.get(name).is_some_and(|prospect| prospect.obstacles().any(asks_for_approval))
    }
}

/// How long a sync rests that a person cancelled.
fn pause_after_cancelling(every: Every) -> Duration {
    match every {
        Every::Interval(interval) => interval.min(backoff::LONGEST),
        Every::Appearance => backoff::LONGEST,
    }
}

fn record(run: &Run, report: &RunReport, now: &Now) -> RunRecord {
    let (error, hold) = match &report.conclusion {
        Conclusion::Ok => (None, None),
        Conclusion::Skipped(obstacles) => (Some(sentences(obstacles, &report.sync)), None),
        Conclusion::Interrupted(why) => (Some(why.to_string()), None),
        Conclusion::Failed(failure) => (Some(failure.to_string()), None),
        Conclusion::Held(reason) => (Some(held(reason, &report.sync)), Some(reason.clone())),
    };
    RunRecord {
        run: run.id.clone(),
        sync: report.sync.clone(),
        trigger: run.trigger,
        started: run.started,
        finished: now.wall.max(run.started),
        outcome: report.conclusion.outcome(),
        figures: report.figures,
        snapshot: report.snapshot,
        error,
        hold,
        warnings: report.warnings.clone(),
    }
}

fn sentences(obstacles: &[Obstacle], sync: &SyncName) -> String {
    let each: Vec<_> = obstacles.iter().map(|obstacle| format!("{obstacle} ({})", obstacle.hint(sync))).collect();
    each.join("; ")
}

fn held(reason: &HoldReason, sync: &SyncName) -> String {
    format!("{reason}; look with `nbkpctl diff {sync}`, then accept it with `nbkpctl approve {sync}`")
}
