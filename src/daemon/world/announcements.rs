//! What is worth telling the person at the desk: once for each change, never again for each retry.
//!
//! It is found by comparing how things stand after an event with what was told before, so that nothing else of the
//! world has to think of it. What was told is forgotten with the daemon: what still needs a person then is told again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::daemon::messages::event::{Effect, Notice};
use crate::daemon::world::volumes::VolumeState;
use crate::daemon::world::{Initiative, Stage, World};
use crate::decide::due;
use crate::decide::obstacles::asks_for_approval;
use crate::model::{
    Announcement, BootTime, Conclusion, Deeds, FailureKind, Freshness, Left, Matter, Now, Obstacle, RunRecord, Subject,
    Sync, SyncName, VolumeName,
};

/// What was told.
#[derive(Debug, Default)]
pub(super) struct Told {
    syncs: BTreeMap<SyncName, SyncTold>,
    drives: BTreeMap<VolumeName, Visit>,
    overdue: BTreeMap<VolumeName, BTreeSet<SyncName>>,
}

/// What was told of a sync.
#[derive(Debug, PartialEq, Eq)]
enum SyncTold {
    /// That it is well.
    Well,
    /// That it failed: each sort of failure once, for as long as nobody plugs its drives in again.
    Failed(BTreeSet<FailureKind>, Arrivals),
    /// That it needs approval, for these reasons.
    Held(Vec<&'static str>),
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
    done_told: bool,
}

/// Whether it was told that a start is near.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Starting {
    NotTold,
    Told,
    /// It was, and has been replaced or taken back since.
    Over,
}

impl World {
    /// Takes in how a run ended.
    pub(super) fn announce_end(&mut self, record: &RunRecord, conclusion: &Conclusion, effects: &mut Vec<Effect>) {
        if self.initiative != Initiative::Own {
            return;
        }
        let name = &record.sync;
        match conclusion {
            Conclusion::Ok => self.announce_success(record, effects),
            Conclusion::Failed(failure) => {
                let mut arrivals = self.arrivals(name);
                let mut kinds = match self.told.syncs.remove(name) {
                    Some(SyncTold::Failed(kinds, before)) if !plugged_again(before, arrivals) => {
                        // One that was pulled out meanwhile was not plugged in again yet.
                        arrivals = [arrivals[0].or(before[0]), arrivals[1].or(before[1])];
                        kinds
                    }
                    Some(SyncTold::Failed(..) | SyncTold::Well | SyncTold::Held(_)) | None => BTreeSet::new(),
                };
                if kinds.insert(failure.kind) {
                    announce(Subject::Sync(name.clone()), Matter::Failed(failure.clone()), effects);
                }
                self.told.syncs.insert(name.clone(), SyncTold::Failed(kinds, arrivals));
            }
            // A hold shows as an obstacle; the others go on by themselves.
            Conclusion::Held(_) | Conclusion::Skipped(_) | Conclusion::Interrupted(_) => {}
        }
    }

    /// A drive tells of its syncs together, once for each plug-in; what is not on a drive, when it was not well before.
    fn announce_success(&mut self, record: &RunRecord, effects: &mut Vec<Effect>) {
        let name = record.sync.clone();
        let before = self.told.syncs.insert(name.clone(), SyncTold::Well);
        let (files, bytes) = (record.figures.files_transferred, record.figures.bytes_transferred);
        let drive =
            self.settings.configuration().syncs.get(&name).and_then(|sync| self.settings.drive_of(sync)).cloned();
        match drive.and_then(|drive| self.told.drives.get_mut(&drive)) {
            Some(visit) => {
                if matches!(before, Some(SyncTold::Failed(..) | SyncTold::Held(_))) {
                    announce(Subject::Sync(name.clone()), Matter::Withdrawn, effects);
                }
                visit.deeds.files = visit.deeds.files.saturating_add(files);
                visit.deeds.bytes = visit.deeds.bytes.saturating_add(bytes);
                if !visit.deeds.syncs.contains(&name) {
                    visit.deeds.syncs.push(name);
                }
            }
            None if before == Some(SyncTold::Well) => {}
            None => {
                let deeds = Deeds { syncs: vec![name.clone()], files, bytes };
                announce(Subject::Sync(name), Matter::Done(deeds), effects);
            }
        }
    }

    /// Tells what has changed with this event.
    pub(super) fn announce_changes(&mut self, now: &Now, effects: &mut Vec<Effect>) {
        if self.initiative != Initiative::Own || self.stage != Stage::Working {
            return;
        }
        let mut told = std::mem::take(&mut self.told);
        self.announce_what_waits_for_approval(&mut told, effects);
        announce_what_is_safe_to_remove(&mut told, effects);
        self.announce_drives(&mut told, now, effects);
        self.announce_what_is_overdue(&mut told, now, effects);
        self.told = told;
    }

    fn announce_what_waits_for_approval(&self, told: &mut Told, effects: &mut Vec<Effect>) {
        told.syncs.retain(|name, told| {
            let stays = self.settings.configuration().syncs.contains_key(name);
            if !stays && *told != SyncTold::Well {
                announce(Subject::Sync(name.clone()), Matter::Withdrawn, effects);
            }
            stays
        });
        for (name, prospect) in &self.plan.prospects {
            let enabled = !prospect.rest.contains(&Obstacle::Disabled);
            let held: Vec<&Obstacle> =
                prospect.obstacles().filter(|obstacle| enabled && asks_for_approval(obstacle)).collect();
            let before = told.syncs.get(name);
            if held.is_empty() {
                if matches!(before, Some(SyncTold::Held(_))) {
                    told.syncs.remove(name);
                    announce(Subject::Sync(name.clone()), Matter::Withdrawn, effects);
                }
                continue;
            }
            let now = SyncTold::Held(held.iter().map(|obstacle| obstacle.code()).collect());
            if before != Some(&now) {
                let held = held.into_iter().cloned().collect();
                announce(Subject::Sync(name.clone()), Matter::Held(held), effects);
                told.syncs.insert(name.clone(), now);
            }
        }
    }

    fn announce_drives(&self, told: &mut Told, now: &Now, effects: &mut Vec<Effect>) {
        told.drives.retain(|name, visit| {
            let stays = self.volumes.get(name).and_then(VolumeState::plugged_in_since) == Some(visit.arrived);
            if !stays && visit.starting == Starting::Told {
                announce(Subject::Drive(name.clone()), Matter::Withdrawn, effects);
            }
            stays
        });
        for name in self.volumes.keys().filter(|name| self.settings.is_drive(name)) {
            let Some(arrived) = self.volumes.get(name).and_then(VolumeState::plugged_in_since) else { continue };
            let visit = told.drives.entry(name.clone()).or_insert_with(|| Visit::new(arrived));
            self.announce_start(name, visit, now, effects);
            if !visit.done_told && !visit.deeds.syncs.is_empty() && self.is_quiet(name) {
                visit.done_told = true;
                announce(Subject::Drive(name.clone()), Matter::Done(visit.deeds.clone()), effects);
            }
        }
    }

    /// Tells what will start once the grace of a drive is over; and, when that is so no longer, takes it back.
    fn announce_start(&self, volume: &VolumeName, visit: &mut Visit, now: &Now, effects: &mut Vec<Effect>) {
        let grace_ends = visit.arrived.after(self.settings.configuration().daemon.grace);
        let is_over = grace_ends <= now.boot;
        if visit.starting == Starting::Over || (visit.starting == Starting::NotTold && is_over) {
            return;
        }
        let subject = || Subject::Drive(volume.clone());
        let mut syncs = self.waiting_on(volume).filter(|(_, ready_at)| *ready_at > now.boot).peekable();
        let waits = !is_over && syncs.peek().is_some();
        match visit.starting {
            Starting::NotTold if waits => {
                let (syncs, moments): (Vec<SyncName>, Vec<BootTime>) = syncs.map(|(n, at)| (n.clone(), at)).unzip();
                let after = moments.into_iter().min().map_or(Duration::ZERO, |at| at.since(now.boot));
                if after >= Duration::from_secs(1) {
                    announce(subject(), Matter::Starting { syncs, after }, effects);
                    visit.starting = Starting::Told;
                }
            }
            Starting::Told if !waits => {
                let held = self.decisions.ledger().holds.contains(volume);
                announce(subject(), if held { Matter::OnHold } else { Matter::Withdrawn }, effects);
                visit.starting = Starting::Over;
            }
            Starting::NotTold | Starting::Told | Starting::Over => {}
        }
    }

    /// What is overdue at one destination is told together, and only once it does not run anyway.
    fn announce_what_is_overdue(&self, told: &mut Told, now: &Now, effects: &mut Vec<Effect>) {
        let mut overdue: BTreeMap<&VolumeName, Vec<(&Sync, Duration)>> = BTreeMap::new();
        for sync in self.settings.configuration().syncs.values().filter(|sync| sync.enabled && sync.max_age.is_some()) {
            let last_success = self.memory.get(&sync.name).and_then(|memory| memory.last_success);
            if let Some(success) = last_success
                && due::freshness(last_success, sync.max_age, now.wall) == Freshness::Overdue
            {
                let age = now.wall.duration_since(success).unsigned_abs();
                overdue.entry(&sync.destination.volume).or_default().push((sync, age));
            }
        }
        told.overdue.retain(|volume, told| {
            let still = overdue.get(volume).map(Vec::as_slice).unwrap_or_default();
            told.retain(|name| still.iter().any(|(sync, _)| sync.name == *name));
            if told.is_empty() {
                announce(Subject::Overdue(volume.clone()), Matter::Withdrawn, effects);
            }
            !told.is_empty()
        });
        for (volume, overdue) in overdue {
            let known = told.overdue.get(volume);
            let is_new = |sync: &Sync| {
                let under_way = self.runs.contains_key(&sync.name) || self.plan.candidates.contains_key(&sync.name);
                !under_way && known.is_none_or(|known| !known.contains(&sync.name))
            };
            if overdue.iter().any(|(sync, _)| is_new(sync)) {
                let syncs: Vec<SyncName> = overdue.iter().map(|(sync, _)| sync.name.clone()).collect();
                let age = overdue.iter().map(|(_, age)| *age).max().unwrap_or_default();
                let waits_for = syncs.first().and_then(|first| self.plan.prospects.get(first)?.obstacles().next());
                told.overdue.insert(volume.clone(), syncs.iter().cloned().collect());
                let matter = Matter::Overdue { syncs, age, waits_for: waits_for.cloned() };
                announce(Subject::Overdue(volume.clone()), matter, effects);
            }
        }
    }

    fn is_quiet(&self, volume: &VolumeName) -> bool {
        self.runs_on(volume).is_empty() && self.waiting_on(volume).next().is_none()
    }

    /// What is queued on a volume, and when it may start.
    fn waiting_on(&self, volume: &VolumeName) -> impl Iterator<Item = (&SyncName, BootTime)> {
        self.plan.candidates.iter().filter_map(|(name, candidate)| {
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
        Self { arrived, starting: Starting::NotTold, deeds: Deeds::default(), done_told: false }
    }
}

/// Whether one of the drives came anew.
fn plugged_again(before: Arrivals, now: Arrivals) -> bool {
    before.iter().zip(now).any(|(before, now)| now.is_some() && now != *before)
}

/// What the journal is told of drives that may be pulled out, the person at the desk is told, too. A drive that was
/// powered off is gone already.
fn announce_what_is_safe_to_remove(told: &mut Told, effects: &mut Vec<Effect>) {
    let safe = |effect: &Effect| {
        if let Effect::Tell(Notice::Left(drive, Left::Safe(_))) = effect { Some(drive.volume.clone()) } else { None }
    };
    let volumes: Vec<VolumeName> = effects.iter().filter_map(safe).collect();
    for volume in volumes {
        let deeds = told.drives.get_mut(&volume).map_or_else(Deeds::default, |visit| {
            visit.done_told = true;
            visit.deeds.clone()
        });
        announce(Subject::Drive(volume), Matter::SafeToRemove(deeds), effects);
    }
}

fn announce(subject: Subject, matter: Matter, effects: &mut Vec<Effect>) {
    effects.push(Effect::Announce(Announcement { subject, matter }));
}
