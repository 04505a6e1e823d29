//! Runs, from their start to what is remembered of them.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::backup::job::JobEnd;
use crate::daemon::messages::ask::RequestEnd;
use crate::daemon::messages::event::{Effect, Keep, Notice};
use crate::daemon::messages::look::Scope;
use crate::daemon::world::World;
use crate::daemon::world::reach::Asked;
use crate::decide::reach;
use crate::formats::text::obstacle_sentences;
use crate::model::{
    Absence, Conclusion, End, HoldReason, Interruption, Kinship, MountId, Now, Outcome, Place, Places, Progress, RunId,
    RunRecord, RunReport, Step, Sync, SyncName, Trigger, VolumeName, VolumeRoot, VolumeSight,
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
    pub(super) places: Places,
    /// Whether it was told to stop.
    stop: Option<Interruption>,
}

/// What a run stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Ground {
    /// A mount of this machine.
    Mount(MountId, Option<u64>),
    /// A server: the run itself notices when it goes away.
    Server,
}

impl World {
    pub(super) fn new_run_id(&mut self, now: &Now) -> RunId {
        RunId::new(now.wall, self.dice.u16(..))
    }

    pub(super) fn start(&mut self, name: &SyncName, now: &Now, effects: &mut Vec<Effect>) {
        let id = self.new_run_id(now);
        let trigger = self.memory.get(name).and_then(|memory| memory.queued_by).unwrap_or(Trigger::Schedule);
        let Some(sync) = self.configuration.syncs.get(name) else { return };
        let Some(job) = self.job(sync, id.clone(), trigger) else { return };
        let ground = |end: &JobEnd| match end {
            JobEnd::Here(end) => Ground::Mount(end.mount, end.drive.as_ref().and_then(|drive| drive.disk_seq)),
            JobEnd::There(_) => Ground::Server,
        };
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
        let sync = sync.clone();
        self.mind_what_is_done_behind(&sync);
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
                let cut_off = |place: &Place| self.is_cut_off(place);
                let why = gone(&run.sync.source, &run.source)
                    .map(Interruption::SourceLost)
                    .or_else(|| gone(&run.sync.destination, &run.destination).map(Interruption::DestinationLost))
                    .or_else(|| cut_off(&run.sync.source).map(Interruption::Network))
                    .or_else(|| cut_off(&run.sync.destination).map(Interruption::Network))?;
                Some((name.clone(), why))
            })
            .collect();
        for (name, why) in lost {
            self.stop_run(&name, why, effects);
        }
    }

    /// Whether no way leads to the server of a place any more. Otherwise the run notices by itself: a server that does
    /// not answer a question may answer a connection that is up.
    fn is_cut_off(&self, place: &Place) -> Option<String> {
        match &self.volumes.get(&place.volume)?.sight {
            VolumeSight::Absent(Absence::Host(fault)) if reach::cuts_off(fault) => Some(fault.to_string()),
            VolumeSight::Absent(_)
            | VolumeSight::Ambiguous { .. }
            | VolumeSight::NotMounted { .. }
            | VolumeSight::Locked { .. }
            | VolumeSight::NotEncrypted { .. }
            | VolumeSight::NotProven { .. }
            | VolumeSight::Present(_)
            | VolumeSight::Reached(_) => None,
        }
    }

    fn ground_is_gone(&self, place: &Place, ground: &Ground) -> Option<String> {
        let volume = &place.volume;
        let Ground::Mount(mount, disk_seq) = ground else { return None };
        match &self.volumes.get(volume)?.sight {
            VolumeSight::Present(present) if present.mount != *mount => {
                Some(format!("volume `{volume}` is another mount now"))
            }
            VolumeSight::Present(present) if disk_seq.is_some() && present.disk_seq != *disk_seq => {
                Some(format!("another medium is in drive `{volume}`"))
            }
            VolumeSight::Present(_) | VolumeSight::Reached(_) => None,
            // Unknown is not down: what does not answer in time may only be slow.
            VolumeSight::Absent(Absence::Silent(_) | Absence::NotLookedAt) => None,
            VolumeSight::Absent(Absence::NotPlugged) => Some(format!("drive `{volume}` was pulled out")),
            VolumeSight::NotMounted { .. } => Some(format!("drive `{volume}` was unmounted")),
            VolumeSight::Locked { .. } => Some(format!("drive `{volume}` was locked")),
            VolumeSight::Absent(_) | VolumeSight::NotProven { .. } | VolumeSight::NotEncrypted { .. } => {
                Some(format!("volume `{volume}` went away"))
            }
            VolumeSight::Ambiguous { .. } => Some(format!("a second device with the UUID of drive `{volume}` came")),
        }
    }

    pub(super) fn run_ended(&mut self, report: &RunReport, now: &Now, effects: &mut Vec<Effect>) {
        let name = report.sync.clone();
        let Some(run) = self.runs.remove(&name) else { return };
        let record = record(&run, report, now);
        self.remember(&run, report, &record, now);
        self.note_outcome(&run.sync, record.outcome);
        match record.outcome {
            Outcome::Ok => self.learn(&run, effects),
            Outcome::Held => self.take_back_approval(&name, effects),
            Outcome::Skipped | Outcome::Interrupted | Outcome::Failed => {}
        }
        if self
            .configuration
            .syncs
            .get(&name)
            .is_some_and(|sync| run.places.kinship(&self.places(sync)) == Kinship::Other)
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
        self.look_behind(&name, record.outcome, now, effects);
        effects.push(Effect::Tell(Notice::RunEnded(Box::new(record.clone()))));
        effects.push(Effect::Keep(Keep::Run(Entry::Ended(Box::new(record)))));
        self.answer_whoever_waits_for_quiet();
    }

    /// Between which places a sync copies, whatever their volumes are called.
    fn places(&self, sync: &Sync) -> Places {
        let root = |place: &Place| self.configuration.volumes.get(&place.volume).map(|volume| &volume.root);
        let written = |place: &Place| {
            let root = match root(place) {
                Some(VolumeRoot::Directory(path)) => path.display().to_string(),
                Some(VolumeRoot::Drive(drive)) => drive.uuid.to_string(),
                Some(VolumeRoot::Server(server)) => format!("server {}", server.path.display()),
                None => String::new(),
            };
            format!("{root}:{}", place.subdir.as_path().display())
        };
        let known_by = |end: End| match root(sync.place(end)) {
            Some(VolumeRoot::Server(server)) => Some((end, self.configuration.known_by(server))),
            Some(VolumeRoot::Directory(_) | VolumeRoot::Drive(_)) | None => None,
        };
        Places {
            roots: format!("{} -> {}", written(&sync.source), written(&sync.destination)),
            servers: [End::Source, End::Destination].into_iter().filter_map(known_by).collect(),
        }
    }

    /// A success, a hold and a person's word count for the places that they were about. Where a sync leads elsewhere now,
    /// there is no copy yet.
    pub(super) fn forget_other_places(&mut self, name: &SyncName) {
        let Some(places) = self.configuration.syncs.get(name).map(|sync| self.places(sync)) else { return };
        let Some(copied) = self.ledger.copied.get_mut(name) else { return };
        match copied.kinship(&places) {
            Kinship::Same => {}
            // An earlier version did not write down which server that was. That there is a copy is believed this once:
            // at worst the first one at another server waits until it would be due. That files may be deleted is not.
            Kinship::Unknown => {
                copied.servers = places.servers;
                self.ledger.approvals.remove(name);
                self.ledger.approved_cuts.remove(name);
            }
            Kinship::Other => {
                self.ledger.approvals.remove(name);
                self.ledger.approved_cuts.remove(name);
                if let Some(memory) = self.memory.get_mut(name) {
                    memory.begin_anew();
                }
            }
        }
    }

    /// Looks again at what a run may have changed: its own places if it did not end well, and the syncs that read what
    /// it wrote.
    fn look_behind(&mut self, name: &SyncName, outcome: Outcome, now: &Now, effects: &mut Vec<Effect>) {
        let readers = self.upstreams.iter().filter(|(_, upstreams)| upstreams.contains(name)).map(|(reader, _)| reader);
        let mut again: BTreeSet<SyncName> = readers.cloned().collect();
        if outcome != Outcome::Ok {
            again.insert(name.clone());
        }
        if !again.is_empty() {
            self.ask_servers(&Asked::Of(again.iter().cloned().collect()), now, effects);
            self.look(Scope::syncs(again), effects);
        }
    }

    pub(super) fn keep_ledger(&self, effects: &mut Vec<Effect>) {
        effects.push(Effect::Keep(Keep::Ledger(Box::new(self.ledger.clone()))));
    }
}

fn record(run: &Run, report: &RunReport, now: &Now) -> RunRecord {
    let (error, hold) = match &report.conclusion {
        Conclusion::Ok => (None, None),
        Conclusion::Skipped(obstacles) => (Some(obstacle_sentences(obstacles, &report.sync)), None),
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

fn held(reason: &HoldReason, sync: &SyncName) -> String {
    format!("{reason}; look with `nbkpctl diff {sync}`, then accept it with `nbkpctl approve {sync}`")
}
