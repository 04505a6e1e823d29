//! Runs, from their start to what is remembered of them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::backup::job::{Job, JobEnd, LocalEnd};
use crate::backup::news::Liveness;
use crate::daemon::messages::event::Effect;
use crate::daemon::world::settings::Settings;
use crate::daemon::world::volumes::Volumes;
use crate::decide::reach;
use crate::formats::text::{self, obstacle_sentences};
use crate::model::{
    Absence, Conclusion, HoldReason, Interruption, MountId, Now, PathSet, Place, Places, Progress, RunId, RunRecord,
    RunReport, Step, Sync, SyncName, Trigger, VolumeName, VolumeSight,
};

/// A run under way.
#[derive(Debug, Clone)]
pub(super) struct Run {
    pub(super) id: RunId,
    pub(super) trigger: Trigger,
    pub(super) started: Timestamp,
    pub(super) progress: Progress,
    /// The most that was seen to be copied.
    copied: u64,
    pub(super) resources: BTreeSet<String>,
    /// The deletions, and the files that are cut down, that were approved when it began.
    pub(super) approved: Option<PathSet>,
    pub(super) approved_cuts: Option<PathSet>,
    source: Ground,
    destination: Ground,
    pub(super) sync: Sync,
    /// Between which places it copies.
    pub(super) places: Places,
    /// Whether it was told to stop.
    stop: Option<Interruption>,
    pub(super) standing: Headway,
    /// After so long without a sign of life it counts no longer.
    limit: Duration,
}

/// Whether a run gets on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Headway {
    /// It does, or may.
    Moves,
    /// Nothing of it has moved for so long: others need not wait for it.
    Still(Duration),
    /// It cannot be ended. For the world it is over, and only its places are not free.
    LeftBehind,
}

/// Without a sign of life for so long a run on this machine does not answer any more.
const LONGEST_STILL: Duration = Duration::from_mins(1);

/// The same where a network lies between, or a drive is being flushed: these stand still for other reasons, too.
const LONGEST_STILL_ELSEWHERE: Duration = Duration::from_mins(30);

/// For so long a hook is waited for by others that share nothing with its run.
const LONGEST_HOOK: Duration = Duration::from_mins(10);

/// Filesystems behind a network.
const FAR: [&str; 8] = ["nfs", "nfs4", "cifs", "smb3", "ceph", "9p", "afs", "glusterfs"];

/// What a run stands on.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Ground {
    /// A mount of this machine.
    Mount(MountId, Option<u64>),
    /// A server, or what a hook mounts: the run itself notices when it goes away.
    Unseen,
}

/// How the last run ended.
#[derive(Debug, Clone)]
pub(super) struct EndedRun {
    pub(super) record: RunRecord,
    pub(super) conclusion: Conclusion,
}

/// A run that cannot be ended, as far as something follows from it.
#[derive(Debug)]
pub(super) struct LeftBehind {
    pub(super) sync: Sync,
    pub(super) places: Places,
    pub(super) record: RunRecord,
    pub(super) conclusion: Conclusion,
}

/// The runs under way. Others read them, and change them by these methods alone.
#[derive(Debug, Clone, Default)]
pub(super) struct Runs {
    under_way: BTreeMap<SyncName, Run>,
    last_end: Option<EndedRun>,
}

impl Runs {
    pub(super) fn get(&self, sync: &SyncName) -> Option<&Run> {
        self.under_way.get(sync).filter(|run| run.standing != Headway::LeftBehind)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&SyncName, &Run)> {
        self.under_way.iter().filter(|(_, run)| run.standing != Headway::LeftBehind)
    }

    /// The same with those that are left behind, which still hold their places.
    pub(super) fn with_left_behind(&self) -> impl Iterator<Item = (&SyncName, &Run)> {
        self.under_way.iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// How many hold their places, and are not waited for.
    pub(super) fn waiting_in_vain(&self) -> usize {
        self.under_way.values().filter(|run| run.standing != Headway::Moves).count()
    }

    /// The run left behind that holds something which this sync needs.
    pub(super) fn stuck_before(&self, sync: &Sync, settings: &Settings) -> Option<&SyncName> {
        let resources = settings.resources(sync);
        let reads =
            |one: &SyncName, other: &SyncName| settings.upstreams().get(one).is_some_and(|above| above.contains(other));
        let stuck = self.under_way.iter().filter(|(_, run)| run.standing == Headway::LeftBehind);
        let holds = |run: &Run| {
            run.sync.name == sync.name
                || run.sync.destination.volume == sync.destination.volume
                || !run.resources.is_disjoint(&resources)
                || reads(&sync.name, &run.sync.name)
                || reads(&run.sync.name, &sync.name)
        };
        stuck.filter(|(_, run)| holds(run)).map(|(name, _)| name).next()
    }

    /// The run left behind on a volume, if there is one.
    pub(super) fn left_behind_on(&self, volume: &VolumeName) -> Option<&SyncName> {
        self.on(volume).find(|sync| self.get(sync).is_none())
    }

    /// The run left behind that holds this, if there is one.
    pub(super) fn left_behind_with(&self, resource: Option<&String>) -> Option<&SyncName> {
        let stuck = self.under_way.iter().filter(|(_, run)| run.standing == Headway::LeftBehind);
        stuck.filter(|(_, run)| resource.is_some_and(|it| run.resources.contains(it))).map(|(name, _)| name).next()
    }

    /// What no longer gets on, and is left behind, in a sentence.
    pub(super) fn left_behind(&self) -> Option<String> {
        let stuck = self.under_way.iter().filter(|(_, run)| run.standing == Headway::LeftBehind);
        let names: Vec<String> = stuck.map(|(name, _)| format!("`{name}`")).collect();
        let many = text::count(u64::try_from(names.len()).unwrap_or(u64::MAX), "run");
        (!names.is_empty()).then(|| {
            format!("{many} cannot be ended, and still waits for a place that does not answer: {}", names.join(", "))
        })
    }

    /// How the run ended that ended last.
    pub(super) fn last_end(&self) -> Option<&EndedRun> {
        self.last_end.as_ref()
    }

    /// The runs that read or write a volume; those, too, that are left behind.
    pub(super) fn on(&self, volume: &VolumeName) -> impl Iterator<Item = &SyncName> {
        self.under_way.iter().filter(move |(_, run)| run.sync.uses(volume)).map(|(name, _)| name)
    }

    /// A run begins.
    pub(super) fn begin(&mut self, run: Run) {
        self.under_way.insert(run.sync.name.clone(), run);
    }

    pub(super) fn progressed(&mut self, sync: &SyncName, progress: Progress) {
        if let Some(run) = self.under_way.get_mut(sync) {
            (run.progress, run.copied) = (progress, run.copied.max(progress.bytes));
        }
    }

    /// Whether a run gets on. One that does not answer any more, or does not end, is left behind: returns why it ended
    /// for the world.
    pub(super) fn lives(&mut self, sync: &SyncName, run: &RunId, life: Liveness) -> Option<Interruption> {
        let run = self.under_way.get_mut(sync).filter(|it| it.id == *run && it.standing != Headway::LeftBehind)?;
        let (standing, why) = match life {
            Liveness::Moves => (Headway::Moves, None),
            // What a person's program does is its own affair. Others do not wait for it for ever.
            Liveness::Still(lasts) if matches!(run.progress.step, Step::Fetch | Step::Before | Step::After) => {
                (if lasts < LONGEST_HOOK { Headway::Moves } else { Headway::Still(lasts) }, None)
            }
            Liveness::Still(lasts) if lasts < run.longest_still() => (Headway::Still(lasts), None),
            Liveness::Still(lasts) => (Headway::LeftBehind, Some(Interruption::Still(lasts))),
            // What comes behind the copy cannot be called off.
            Liveness::Deaf if run.is_finishing() || run.progress.step == Step::After => return None,
            Liveness::Deaf => (Headway::LeftBehind, Some(run.stop.clone()?)),
        };
        run.standing = standing;
        let why = why?;
        Some(run.stop.clone().unwrap_or(why))
    }

    /// How a run ends that is left behind; it stays, and keeps its places.
    pub(super) fn leave_behind(&mut self, sync: &SyncName, why: Interruption, now: &Now) -> Option<LeftBehind> {
        let run = self.under_way.get(sync)?;
        let report = RunReport::bare(run.id.clone(), sync.clone(), Conclusion::Interrupted(why));
        let record = record(run, &report, now);
        let conclusion = report.conclusion;
        self.last_end = Some(EndedRun { record: record.clone(), conclusion: conclusion.clone() });
        Some(LeftBehind { sync: run.sync.clone(), places: run.places.clone(), record, conclusion })
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
        let running: Vec<SyncName> = self.iter().map(|(name, _)| name.clone()).collect();
        running.iter().filter_map(|sync| self.stop(sync, Interruption::Suspend)).collect()
    }

    /// Has all runs end; those that were told so before, at once.
    pub(super) fn end_all(&mut self) -> impl Iterator<Item = Effect> {
        let at_work = self.under_way.iter_mut().filter(|(_, run)| run.standing != Headway::LeftBehind);
        at_work.map(|(sync, run)| {
            run.stop.get_or_insert(Interruption::Stopping);
            Effect::StopRun(sync.clone(), Interruption::Stopping)
        })
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
            JobEnd::Here(LocalEnd { mount: Some(mount), drive, .. }) => {
                Ground::Mount(*mount, drive.as_ref().and_then(|drive| drive.disk_seq))
            }
            JobEnd::Here(_) | JobEnd::There(_) => Ground::Unseen,
        };
        Self {
            id: job.run.clone(),
            trigger: job.trigger,
            started: now.wall,
            progress: Progress { step: Step::Prove, percent: None, bytes: 0, rate: 0, eta_seconds: None },
            copied: 0,
            resources,
            approved: job.approved.clone(),
            approved_cuts: job.approved_cuts.clone(),
            source: ground(&job.source),
            destination: ground(&job.destination),
            sync: job.sync.clone(),
            places,
            stop: None,
            standing: Headway::Moves,
            limit: if [&job.source, &job.destination].into_iter().any(is_far) {
                LONGEST_STILL_ELSEWHERE
            } else {
                LONGEST_STILL
            },
        }
    }

    /// Why it was told to stop, if it was.
    pub(super) fn told_to_stop(&self) -> Option<&Interruption> {
        self.stop.as_ref()
    }

    /// How long it may stand still where it is.
    fn longest_still(&self) -> Duration {
        if self.is_finishing() { LONGEST_STILL_ELSEWHERE } else { self.limit }
    }

    /// Whether it flushes, names its copy or prunes.
    fn is_finishing(&self) -> bool {
        matches!(self.progress.step, Step::Flush | Step::Commit | Step::Record | Step::Prune)
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

fn is_far(end: &JobEnd) -> bool {
    match end {
        JobEnd::Here(end) => FAR.contains(&end.fs_type.as_str()),
        JobEnd::There(_) => true,
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
    let mut figures = report.figures;
    if matches!(report.conclusion, Conclusion::Interrupted(_) | Conclusion::Failed(_)) {
        // rsync counts at its end only.
        figures.bytes_transferred = figures.bytes_transferred.max(run.copied);
    }
    RunRecord {
        run: run.id.clone(),
        sync: report.sync.clone(),
        trigger: run.trigger,
        started: run.started,
        finished: now.wall.max(run.started),
        outcome: report.conclusion.outcome(),
        figures,
        heaviest: report.heaviest.clone(),
        snapshot: report.snapshot,
        error,
        warnings: report.warnings.clone(),
    }
}

fn held(reason: &HoldReason, sync: &SyncName) -> String {
    format!("{reason}; {}", reason.advice(sync))
}
