//! What is worth telling the person at the desk: once for each change, never again for each retry; that something is
//! overdue each day.
//!
//! It is found by comparing how things stand after an event with what was announced before, so that nothing else of the
//! world has to think of it. What was announced is forgotten with the daemon: what still needs a person then is
//! announced again.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::discriminant;
use std::time::Duration;

use crate::daemon::world::decisions::Decisions;
use crate::daemon::world::drives::DriveStates;
use crate::daemon::world::histories::Histories;
use crate::daemon::world::overdue::{Ages, OverdueCopies};
use crate::daemon::world::plan::Plan;
use crate::daemon::world::runs::{EndedRun, Runs};
use crate::daemon::world::settings::Settings;
use crate::daemon::world::stage::LifeStage;
use crate::daemon::world::unusable::UnusableDrives;
use crate::daemon::world::volumes::{VolumeState, Volumes};
use crate::decide::obstacles::asks_for_approval;
use crate::model::{
    Announcement, BootTime, Conclusion, Deeds, DriveName, FailureKind, Left, Matter, Now, Obstacle, ObstacleCode,
    OpeningTrouble, Outcome, RunId, RunRecord, Subject, SyncName, VolumeName,
};

/// What was announced, and what was seen when it was.
#[derive(Debug, Default)]
pub(super) struct Announcements {
    syncs: BTreeMap<SyncName, Announced>,
    drives: BTreeMap<VolumeName, Visit>,
    overdue: OverdueCopies,
    /// The run that had ended last, and how: one that is left behind may end twice.
    last_run: Option<(RunId, Outcome)>,
    /// How drives had been left.
    left: BTreeMap<VolumeName, Left>,
    /// Why drives could not be opened.
    unopened: BTreeMap<VolumeName, OpeningTrouble>,
    unusable: UnusableDrives,
    /// How many files were damaged in the copies of syncs, and how many of their sources were in doubt.
    damaged: BTreeMap<SyncName, (u64, u64)>,
}

/// How everything stands after an event.
#[derive(Debug)]
pub(super) struct Scene<'a> {
    pub(super) stage: LifeStage,
    pub(super) settings: &'a Settings,
    pub(super) decisions: &'a Decisions,
    pub(super) volumes: &'a Volumes,
    pub(super) drives: &'a DriveStates,
    pub(super) histories: &'a Histories,
    pub(super) runs: &'a Runs,
    pub(super) plan: &'a Plan,
    pub(super) now: &'a Now,
}

/// What was announced of a sync.
#[derive(Debug, PartialEq, Eq)]
enum Announced {
    /// That it is well.
    Well,
    /// That it failed: each sort of failure once, for as long as nobody plugs its drives in again.
    Failed(BTreeSet<FailureKind>, Arrivals),
    /// That it needs approval, for these reasons; and what was told of failures beside that.
    Held(Vec<ObstacleCode>, BTreeSet<FailureKind>, Arrivals),
}

/// When the drives of a sync were plugged in.
type Arrivals = [Option<BootTime>; 2];

/// The time from a drive's plug-in until it goes, and what was told of it.
#[derive(Debug)]
struct Visit {
    arrived: BootTime,
    starting: Starting,
    /// What was copied so far.
    deeds: Deeds,
    done: Done,
}

/// Whether it was announced that all is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Done {
    NotAnnounced,
    Announced,
}

/// Whether it was announced that a start is near.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Starting {
    NotAnnounced,
    Announced,
    /// It was, and has been replaced or taken back since.
    Over,
}

impl Announcements {
    /// Compares how things stand after an event with what was announced, and says what is to be announced now.
    pub(super) fn compare(&mut self, scene: &Scene<'_>) -> Vec<Announcement> {
        let mut found = Vec::new();
        // One event ends one run at most.
        let key = |end: &EndedRun| Some((end.record.run.clone(), end.record.outcome));
        if let Some(end) = scene.runs.last_end().filter(|end| self.last_run != key(end)) {
            self.last_run = key(end);
            self.compare_end(end, scene, &mut found);
        }
        if scene.stage == LifeStage::Working {
            self.compare_approvals(scene, &mut found);
            self.compare_left(scene, &mut found);
            self.compare_drives(scene, &mut found);
            self.compare_openings(scene, &mut found);
            self.compare_damage(scene, &mut found);
            found.extend(self.unusable.compare(scene.settings, scene.volumes));
            let Scene { settings, histories, runs, plan, now, .. } = *scene;
            let matters = self.overdue.compare(&Ages { settings, histories, runs, plan, now });
            found.extend(
                matters.into_iter().map(|(volume, matter)| Announcement { subject: Subject::Overdue(volume), matter }),
            );
        }
        found
    }

    /// How a run ended.
    fn compare_end(&mut self, end: &EndedRun, scene: &Scene<'_>, found: &mut Vec<Announcement>) {
        let EndedRun { record, conclusion } = end;
        let name = &record.sync;
        match conclusion {
            Conclusion::Ok => self.announce_success(record, scene, found),
            Conclusion::Failed(failure) => {
                let mut arrivals = scene.arrivals(name);
                let (held, told) = match self.syncs.remove(name) {
                    Some(Announced::Failed(kinds, before)) => (None, Some((kinds, before))),
                    Some(Announced::Held(codes, kinds, before)) => (Some(codes), Some((kinds, before))),
                    Some(Announced::Well) | None => (None, None),
                };
                let mut kinds = match told {
                    Some((kinds, before)) if !plugged_again(before, arrivals) => {
                        // One that was pulled out meanwhile was not plugged in again yet.
                        arrivals = [arrivals[0].or(before[0]), arrivals[1].or(before[1])];
                        kinds
                    }
                    Some(_) | None => BTreeSet::new(),
                };
                if kinds.insert(failure.kind) {
                    announce(Subject::Sync(name.clone()), Matter::Failed(failure.clone()), found);
                }
                let announced = match held {
                    Some(codes) => Announced::Held(codes, kinds, arrivals),
                    None => Announced::Failed(kinds, arrivals),
                };
                self.syncs.insert(name.clone(), announced);
            }
            // A hold shows as an obstacle; the others go on by themselves.
            Conclusion::Held(_) | Conclusion::Skipped(_) | Conclusion::Interrupted(_) => {}
        }
    }

    /// A drive tells of its syncs together, once for each plug-in; what is not on a drive, when it was not well before.
    fn announce_success(&mut self, record: &RunRecord, scene: &Scene<'_>, found: &mut Vec<Announcement>) {
        let name = record.sync.clone();
        let before = self.syncs.insert(name.clone(), Announced::Well);
        let (files, bytes) = (record.figures.files_transferred, record.figures.bytes_transferred);
        let sync = scene.settings.configuration().syncs.get(&name);
        let drive = sync.and_then(|sync| scene.settings.drive_of(sync));
        match drive.and_then(|drive| self.drives.get_mut(drive)) {
            Some(visit) => {
                if matches!(before, Some(Announced::Failed(..) | Announced::Held(..))) {
                    announce(Subject::Sync(name.clone()), Matter::Withdrawn, found);
                }
                visit.deeds.files = visit.deeds.files.saturating_add(files);
                visit.deeds.bytes = visit.deeds.bytes.saturating_add(bytes);
                if !visit.deeds.syncs.contains(&name) {
                    visit.deeds.syncs.push(name);
                }
            }
            None if before == Some(Announced::Well) => {}
            None => {
                let deeds = Deeds { syncs: vec![name.clone()], files, bytes };
                announce(Subject::Sync(name), Matter::Done(deeds), found);
            }
        }
    }

    /// What checks found damaged or in doubt: told again when it is more, or all of one of both is mended, and taken
    /// back with the other.
    fn compare_damage(&mut self, scene: &Scene<'_>, found: &mut Vec<Announcement>) {
        let syncs = scene.settings.configuration().syncs.keys();
        let flawed = syncs.map(|name| (name.clone(), scene.decisions.damage_of(name).counts()));
        let now: BTreeMap<SyncName, (u64, u64)> = flawed.filter(|(_, flawed)| *flawed != (0, 0)).collect();
        if now == self.damaged {
            return;
        }
        for (name, (files, doubted)) in &now {
            let is_news = |told: u64, now: u64| told < now || (told > 0 && now == 0);
            if self.damaged.get(name).is_none_or(|told| is_news(told.0, *files) || is_news(told.1, *doubted)) {
                announce(Subject::Damage(name.clone()), Matter::Damaged(*files, *doubted), found);
            }
        }
        for name in self.damaged.keys().filter(|name| !now.contains_key(*name)) {
            announce(Subject::Damage(name.clone()), Matter::Withdrawn, found);
        }
        self.damaged = now;
    }

    /// What waits for a person's approval.
    fn compare_approvals(&mut self, scene: &Scene<'_>, found: &mut Vec<Announcement>) {
        self.syncs.retain(|name, announced| {
            let stays = scene.settings.configuration().syncs.contains_key(name);
            if !stays && *announced != Announced::Well {
                announce(Subject::Sync(name.clone()), Matter::Withdrawn, found);
            }
            stays
        });
        for (name, prospect) in scene.plan.prospects() {
            let enabled = !prospect.rest.contains(&Obstacle::Disabled);
            let held: Vec<&Obstacle> =
                prospect.obstacles().filter(|obstacle| enabled && asks_for_approval(obstacle)).collect();
            let before = self.syncs.get(name);
            if held.is_empty() {
                if matches!(before, Some(Announced::Held(..))) {
                    self.syncs.remove(name);
                    announce(Subject::Sync(name.clone()), Matter::Withdrawn, found);
                }
                continue;
            }
            let codes: Vec<ObstacleCode> = held.iter().map(|obstacle| obstacle.code()).collect();
            let (kinds, arrivals) = match before {
                Some(Announced::Held(told, ..)) if *told == codes => continue,
                Some(Announced::Held(_, kinds, arrivals) | Announced::Failed(kinds, arrivals)) => {
                    (kinds.clone(), *arrivals)
                }
                Some(Announced::Well) | None => (BTreeSet::new(), scene.arrivals(name)),
            };
            let held = held.into_iter().cloned().collect();
            announce(Subject::Sync(name.clone()), Matter::Held(held), found);
            self.syncs.insert(name.clone(), Announced::Held(codes, kinds, arrivals));
        }
    }

    /// What the journal says of drives that may be pulled out, the person at the desk is told, too. A drive that was
    /// powered off is gone already.
    fn compare_left(&mut self, scene: &Scene<'_>, found: &mut Vec<Announcement>) {
        if self.left == *scene.drives.left() {
            return;
        }
        for (volume, left) in scene.drives.left() {
            // That one could not be opened at all says more.
            if let Left::Safe(_) = left
                && self.left.get(volume) != Some(left)
                && scene.drives.trouble(volume).is_none()
            {
                let deeds = self.drives.get_mut(volume).map_or_else(Deeds::default, |visit| {
                    visit.done = Done::Announced;
                    visit.starting = Starting::Over;
                    std::mem::take(&mut visit.deeds)
                });
                announce(Subject::Drive(volume.clone()), Matter::SafeToRemove(deeds), found);
            }
        }
        self.left.clone_from(scene.drives.left());
    }

    /// Drives that came and went, and what is done on them.
    fn compare_drives(&mut self, scene: &Scene<'_>, found: &mut Vec<Announcement>) {
        self.drives.retain(|name, visit| {
            let stays = scene.volumes.get(name).and_then(VolumeState::plugged_in_since) == Some(visit.arrived);
            if !stays && visit.starting == Starting::Announced {
                announce(Subject::Drive(name.clone()), Matter::Withdrawn, found);
            }
            stays
        });
        for name in scene.volumes.names().filter(|name| scene.settings.is_drive(name)) {
            let Some(arrived) = scene.volumes.get(name).and_then(VolumeState::plugged_in_since) else { continue };
            let visit = self.drives.entry(name.clone()).or_insert_with(|| Visit::new(arrived));
            visit.compare_start(name, scene, found);
            if visit.done == Done::NotAnnounced && !visit.deeds.syncs.is_empty() && scene.is_quiet(name) {
                visit.done = Done::Announced;
                announce(Subject::Drive(name.clone()), Matter::Done(visit.deeds.clone()), found);
            }
        }
    }

    /// Drives that could not be opened: each sort of trouble once, until the drive is open or out.
    fn compare_openings(&mut self, scene: &Scene<'_>, found: &mut Vec<Announcement>) {
        let is_in = |volume: &VolumeName| scene.volumes.get(volume).and_then(VolumeState::plugged_in_since).is_some();
        let trouble = |volume: &VolumeName| {
            let trouble = scene.drives.trouble(volume).filter(|_| is_in(volume));
            // What it says is said of the server.
            trouble.filter(|trouble| !matches!(trouble, OpeningTrouble::OutOfReach(_)))
        };
        self.unopened.retain(|volume, _| {
            let stays = trouble(volume).is_some();
            if !stays {
                announce(Subject::Drive(volume.clone()), Matter::Withdrawn, found);
            }
            stays
        });
        for volume in scene.volumes.names() {
            let Some(trouble) = trouble(volume) else { continue };
            let before = self.unopened.insert(volume.clone(), trouble.clone());
            if before.map(|before| discriminant(&before)) != Some(discriminant(trouble)) {
                let drive = DriveName {
                    volume: volume.clone(),
                    host: scene.volumes.get(volume).and_then(VolumeState::host_of_closed),
                };
                announce(Subject::Drive(volume.clone()), Matter::NotOpened(drive, trouble.clone()), found);
            }
        }
    }
}

impl Scene<'_> {
    fn is_quiet(&self, volume: &VolumeName) -> bool {
        self.runs.on(volume).next().is_none() && self.waiting_on(volume).next().is_none()
    }

    /// What is queued on a volume, and when it may start.
    fn waiting_on(&self, volume: &VolumeName) -> impl Iterator<Item = (&SyncName, BootTime)> {
        self.plan.candidates().iter().filter_map(|(name, candidate)| {
            let sync = self.settings.configuration().syncs.get(name)?;
            let uses = sync.source.volume == *volume || sync.destination.volume == *volume;
            uses.then_some((name, candidate.ready_at))
        })
    }

    fn arrivals(&self, name: &SyncName) -> Arrivals {
        let Some(sync) = self.settings.configuration().syncs.get(name) else { return Arrivals::default() };
        [&sync.source.volume, &sync.destination.volume]
            .map(|volume| self.volumes.get(volume).and_then(VolumeState::plugged_in_since))
    }
}

impl Visit {
    fn new(arrived: BootTime) -> Self {
        Self { arrived, starting: Starting::NotAnnounced, deeds: Deeds::default(), done: Done::NotAnnounced }
    }

    /// What will start once the grace of a drive is over. When that is so no longer, the announcement is taken back.
    fn compare_start(&mut self, volume: &VolumeName, scene: &Scene<'_>, found: &mut Vec<Announcement>) {
        let now = scene.now;
        let grace_ends = self.arrived.after(scene.settings.configuration().daemon.grace);
        let is_over = grace_ends <= now.boot;
        if self.starting == Starting::Over || (self.starting == Starting::NotAnnounced && is_over) {
            return;
        }
        let subject = || Subject::Drive(volume.clone());
        let mut syncs = scene.waiting_on(volume).filter(|(_, ready_at)| *ready_at > now.boot).peekable();
        let waits = !is_over && syncs.peek().is_some();
        match self.starting {
            Starting::NotAnnounced if waits => {
                let (syncs, moments): (Vec<SyncName>, Vec<BootTime>) = syncs.map(|(n, at)| (n.clone(), at)).unzip();
                let after = moments.into_iter().min().map_or(Duration::ZERO, |at| at.since(now.boot));
                if after >= Duration::from_secs(1) {
                    announce(subject(), Matter::Starting { syncs, after }, found);
                    self.starting = Starting::Announced;
                }
            }
            Starting::Announced if !waits => {
                let held = scene.decisions.ledger().holds.contains_key(volume);
                announce(subject(), if held { Matter::OnHold } else { Matter::Withdrawn }, found);
                self.starting = Starting::Over;
            }
            Starting::NotAnnounced | Starting::Announced | Starting::Over => {}
        }
    }
}

/// Whether one of the drives came anew.
fn plugged_again(before: Arrivals, now: Arrivals) -> bool {
    before.iter().zip(now).any(|(before, now)| now.is_some() && now != *before)
}

/// Adds one announcement.
fn announce(subject: Subject, matter: Matter, found: &mut Vec<Announcement>) {
    found.push(Announcement { subject, matter });
}
