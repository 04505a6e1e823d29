//! Runs, from their start to what is remembered of them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::backup::job::{Job, JobEnd};
use crate::daemon::messages::event::Effect;
use crate::daemon::world::volumes::Volumes;
use crate::decide::reach;
use crate::formats::text::obstacle_sentences;
use crate::model::{
    Absence, Conclusion, HoldReason, Interruption, MountId, Now, Place, Places, Progress, RunId, RunRecord, RunReport,
    Step, Sync, SyncName, Trigger, VolumeName, VolumeSight,
};

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

/// How the last run ended.
#[derive(Debug)]
pub(super) struct EndedRun {
    pub(super) record: RunRecord,
    pub(super) conclusion: Conclusion,
}

/// The runs under way. Others read them, and change them by these methods alone.
#[derive(Debug, Default)]
pub(super) struct Runs {
    under_way: BTreeMap<SyncName, Run>,
    last_end: Option<EndedRun>,
}

impl Runs {
    pub(super) fn get(&self, sync: &SyncName) -> Option<&Run> {
        self.under_way.get(sync)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&SyncName, &Run)> {
        self.under_way.iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    /// How the run ended that ended last.
    pub(super) fn last_end(&self) -> Option<&EndedRun> {
        self.last_end.as_ref()
    }

    /// The runs that read or write a volume.
    pub(super) fn on(&self, volume: &VolumeName) -> impl Iterator<Item = &SyncName> {
        self.under_way.iter().filter(move |(_, run)| run.sync.uses(volume)).map(|(name, _)| name)
    }

    /// A run begins.
    pub(super) fn begin(&mut self, run: Run) {
        self.under_way.insert(run.sync.name.clone(), run);
    }

    pub(super) fn progressed(&mut self, sync: &SyncName, progress: Progress) {
        if let Some(run) = self.under_way.get_mut(sync) {
            run.progress = progress;
        }
    }

    /// Has a run stop, once.
    pub(super) fn stop(&mut self, sync: &SyncName, why: Interruption) -> Option<Effect> {
        let run = self.under_way.get_mut(sync).filter(|run| run.stop.is_none())?;
        run.stop = Some(why.clone());
        Some(Effect::StopRun(sync.clone(), why))
    }

    /// Has all runs on a volume stop.
    pub(super) fn stop_on(&mut self, volume: &VolumeName, why: &Interruption) -> Vec<Effect> {
        let on_it: Vec<SyncName> = self.on(volume).cloned().collect();
        on_it.iter().filter_map(|sync| self.stop(sync, why.clone())).collect()
    }

    /// Has all runs stop before the machine sleeps.
    pub(super) fn suspend(&mut self) -> Vec<Effect> {
        let running: Vec<SyncName> = self.under_way.keys().cloned().collect();
        running.iter().filter_map(|sync| self.stop(sync, Interruption::Suspend)).collect()
    }

    /// Has all runs end; those that were told so before, at once.
    pub(super) fn end_all(&self) -> impl Iterator<Item = Effect> {
        self.under_way.keys().map(|sync| Effect::StopRun(sync.clone(), Interruption::Stopping))
    }

    /// Has those stop that stand on nothing any more, rather than waiting for rsync to notice.
    pub(super) fn stop_the_groundless(&mut self, volumes: &Volumes) -> Vec<Effect> {
        let lost: Vec<(SyncName, Interruption)> =
            self.under_way.iter().filter_map(|(name, run)| Some((name.clone(), run.lost(volumes)?))).collect();
        lost.into_iter().filter_map(|(name, why)| self.stop(&name, why)).collect()
    }

    /// A run has ended.
    pub(super) fn end(&mut self, report: &RunReport, now: &Now) -> Option<(Run, RunRecord)> {
        let run = self.under_way.remove(&report.sync)?;
        let record = record(&run, report, now);
        self.last_end = Some(EndedRun { record: record.clone(), conclusion: report.conclusion.clone() });
        Some((run, record))
    }
}

impl Run {
    /// The run of a job that begins now.
    pub(super) fn new(job: &Job, resources: BTreeSet<String>, places: Places, now: &Now) -> Self {
        let ground = |end: &JobEnd| match end {
            JobEnd::Here(end) => Ground::Mount(end.mount, end.drive.as_ref().and_then(|drive| drive.disk_seq)),
            JobEnd::There(_) => Ground::Server,
        };
        Self {
            id: job.run.clone(),
            trigger: job.trigger,
            started: now.wall,
            progress: Progress { step: Step::Prove, percent: None, bytes: 0, rate: 0, eta_seconds: None },
            resources,
            source: ground(&job.source),
            destination: ground(&job.destination),
            sync: job.sync.clone(),
            places,
            stop: None,
        }
    }

    /// Why it stands on nothing any more, if that is so.
    fn lost(&self, volumes: &Volumes) -> Option<Interruption> {
        let sight = |place: &Place| volumes.get(&place.volume).map(|state| &state.sight);
        let gone = |place: &Place, ground: &Ground| ground_is_gone(&place.volume, sight(place)?, ground);
        let cut_off = |place: &Place| cut_off(sight(place)?);
        let (source, destination) = (&self.sync.source, &self.sync.destination);
        gone(source, &self.source)
            .map(Interruption::SourceLost)
            .or_else(|| gone(destination, &self.destination).map(Interruption::DestinationLost))
            .or_else(|| cut_off(source).map(Interruption::Network))
            .or_else(|| cut_off(destination).map(Interruption::Network))
    }
}

/// Whether no way leads to the server of a place any more. Otherwise the run notices by itself: a server that does
/// not answer a question may answer a connection that is up.
fn cut_off(sight: &VolumeSight) -> Option<String> {
    match sight {
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

/// Why a mount that a run stands on is there no longer, if that is so.
fn ground_is_gone(volume: &VolumeName, sight: &VolumeSight, ground: &Ground) -> Option<String> {
    let Ground::Mount(mount, disk_seq) = ground else { return None };
    match sight {
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

fn record(run: &Run, report: &RunReport, now: &Now) -> RunRecord {
    let error = match &report.conclusion {
        Conclusion::Ok => None,
        Conclusion::Skipped(obstacles) => Some(obstacle_sentences(obstacles, &report.sync)),
        Conclusion::Interrupted(why) => Some(why.to_string()),
        Conclusion::Failed(failure) => Some(failure.to_string()),
        Conclusion::Held(reason) => Some(held(reason, &report.sync)),
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
        warnings: report.warnings.clone(),
    }
}

fn held(reason: &HoldReason, sync: &SyncName) -> String {
    format!("{reason}; {}", reason.advice(sync))
}
