//! How drives are closed once no run needs them; those that are left over, too.

use crate::backup::drives::order::{Closer, Closing, DriveOrder, Expected, Sake};
use crate::daemon::messages::event::{Effect, Notice};
use crate::daemon::world::World;
use crate::daemon::world::drives::Phase;
use crate::daemon::world::leftovers::{Around, Leftover};
use crate::daemon::world::stage::LifeStage;
use crate::daemon::world::volumes::{VolumeState, is_open};
use crate::model::{
    BootTime, DriveName, Held, HeldAt, Left, Now, Obstacle, SyncName, Unmounted, VolumeName, VolumeRoot, WhenDone,
};

impl World {
    /// Takes over what a dead daemon left open: it is closed, unless the queue needs it.
    pub(super) fn take_over(&mut self, held: Held) {
        let root = self.settings.configuration().volumes.get(&held.volume).map(|volume| &volume.root);
        let is_same = match (root, &held.at) {
            (Some(VolumeRoot::Drive(drive)), HeldAt::Here { .. }) => drive.uuid == held.uuid,
            (Some(VolumeRoot::Server(root)), HeldAt::There { server, .. }) => {
                root.key() == *server && root.drive.as_ref().is_some_and(|drive| drive.uuid == held.uuid)
            }
            (Some(_) | None, _) => false,
        };
        if is_same {
            self.drives.is_to_be_closed(&held.volume, Expected::Anyhow);
        } else {
            self.leftovers.take_over(held);
        }
    }

    /// Closes what no run uses and no candidate needs.
    pub(super) fn close_what_nobody_needs(&mut self, now: &Now, effects: &mut Vec<Effect>) {
        if self.drives.are_late(now.boot) {
            self.leave_drives_open();
            return;
        }
        let idle: Vec<(VolumeName, Expected)> = self
            .drives
            .phases()
            .filter_map(|(name, phase)| {
                let expected = match phase {
                    Phase::Open(expected) => *expected,
                    Phase::Awaited(_, Sake::Runs) if self.stage == LifeStage::Stopping => Expected::Anyhow,
                    Phase::Stuck { again, .. } if *again <= now.boot && self.stage == LifeStage::Working => {
                        Expected::Anyhow
                    }
                    Phase::Idle | Phase::Stuck { .. } if self.drive_requests.wanted_close(name).is_some() => {
                        Expected::Anyhow
                    }
                    Phase::Idle
                    | Phase::Opening(_)
                    | Phase::Awaited(..)
                    | Phase::Closing
                    | Phase::ClosedByAnotherName
                    | Phase::Stuck { .. }
                    | Phase::Settling(_) => return None,
                };
                let is_free = |name: &VolumeName| self.runs.on(name).next().is_none() && !self.is_needed(name, now);
                let idle = self.stage != LifeStage::Starting && self.settings.on_the_drive_of(name).iter().all(is_free);
                (idle && self.is_within_reach(name)).then(|| (name.clone(), expected))
            })
            .collect();
        for (volume, expected) in idle {
            self.close(&volume, expected, now, effects);
        }
        self.close_leftovers(now, effects);
    }

    /// Whether a sync in the queue needs a drive as it is. One that was closed meanwhile has to be opened again.
    fn is_needed(&self, volume: &VolumeName, now: &Now) -> bool {
        let is_open = self.volumes.get(volume).is_some_and(|state| is_open(&state.sight));
        let uses =
            |name: &SyncName| self.settings.configuration().syncs.get(name).is_some_and(|sync| sync.uses(volume));
        let is_to_run = is_open && self.stage == LifeStage::Working && self.plan.candidates().keys().any(uses);
        is_to_run || self.checks.need(volume, uses, now.boot)
    }

    fn close(&mut self, volume: &VolumeName, expected: Expected, now: &Now, effects: &mut Vec<Effect>) {
        self.set_back_what_could_not_run(volume, now);
        // A drive that a failed run is to be tried on again is put back as it was, and no further.
        let wanted = if self.drives.ended_well(volume) { self.settings.when_done(volume) } else { WhenDone::Leave };
        let then = self.drive_requests.wanted_close(volume).unwrap_or(wanted);
        let Some(site) = self.site_to_close(volume) else { return };
        self.drive_requests.order(volume, then);
        let closing = Closing { volume: volume.clone(), site, then, expected };
        effects.push(Effect::Drive(Box::new(DriveOrder::Close(closing))));
        self.drives.begin_closing(volume);
    }

    /// What showed itself only when the drive was open stands in the way while it is closed, too; else it would be
    /// opened again at once.
    fn set_back_what_could_not_run(&mut self, volume: &VolumeName, now: &Now) {
        if self.volumes.get(volume).and_then(VolumeState::root).is_none() {
            return;
        }
        for sync in self.settings.users_of(volume) {
            let mut found =
                self.plan.prospects().get(&sync.name).map(|prospect| prospect.places.clone()).unwrap_or_default();
            // That a person let it go is their word, which they may take back at any time.
            found.retain(|obstacle| !matches!(obstacle, Obstacle::NotMounted { how: Unmounted::ByUser, .. }));
            if !found.is_empty() {
                self.histories.set_back(&sync.name, &found, now);
            }
        }
    }

    /// It was tried to close a drive.
    pub(super) fn closed(
        &mut self,
        volume: &VolumeName,
        left: &Left,
        closer: Closer,
        now: &Now,
        effects: &mut Vec<Effect>,
    ) {
        let check = self.check(volume);
        let drive = self.drive_name(volume);
        let is_wanted = self.drive_requests.wanted_close(volume).is_some();
        if let Some(tries) = self.drives.closed(volume, left, check, now)
            && (!left.is_open() || tries == 1 || is_wanted)
        {
            report_left(&drive, left, effects);
        }
        if closer == Closer::Another || (is_wanted && !left.is_open()) {
            // No volume on it opens it again.
            self.volumes.let_go(&self.settings.on_the_drive_of(volume));
        }
        self.drive_requests.answer_closes(&drive, left);
    }

    /// Ends, and waits for drives only so long as the service manager does.
    pub(super) fn stop_in_time(&mut self, now: &Now, effects: &mut Vec<Effect>) {
        self.drives.wait_no_longer_than(now);
        self.stop(effects);
    }

    /// Waits for no drive any more: whoever says twice that the daemon is to end means it, and one that does not close
    /// would have it killed by the service manager. The next one closes them.
    pub(super) fn leave_drives_open(&mut self) {
        self.drives.leave_open();
        self.leftovers.give_up_all();
    }

    /// The moments at which a drive is opened or closed again that could not be.
    pub(super) fn moments_of_drives(&self, now: &Now) -> Vec<BootTime> {
        let stuck = |phase: &Phase| if let Phase::Stuck { again, .. } = phase { Some(*again) } else { None };
        let refused = self.drives.moments_of_refused();
        self.phases().filter_map(stuck).chain(refused).filter(|moment| *moment > now.boot).collect()
    }

    /// Whether a drive is being opened or closed, or is open and about to be closed. What is out of reach, or held by a
    /// run that cannot be ended, is waited for by the next daemon.
    pub(super) fn drives_are_busy(&self) -> bool {
        let is_stuck = |name: &VolumeName| {
            self.settings.on_the_drive_of(name).iter().any(|volume| self.runs.left_behind_on(volume).is_some())
        };
        let can_close = |name: &VolumeName| self.is_within_reach(name) && !is_stuck(name);
        let open = self.drives.phases().filter(|(name, _)| can_close(name)).map(|(_, phase)| phase);
        let left_over = self.leftovers.iter().filter(|leftover| {
            leftover.can_be_closed(&self.network) && self.runs.left_behind_with(leftover.resource()).is_none()
        });
        let mut waiting = open.chain(left_over.map(Leftover::phase));
        waiting.any(|phase| matches!(phase, Phase::Awaited(_, Sake::Runs) | Phase::Open(_)))
            || self.phases().any(|phase| matches!(phase, Phase::Opening(_) | Phase::Closing))
    }

    /// What is being done with each drive.
    fn phases(&self) -> impl Iterator<Item = &Phase> {
        self.drives.phases().map(|(_, phase)| phase).chain(self.leftovers.iter().map(Leftover::phase))
    }

    /// Closes what is left over and no run stands on any more.
    fn close_leftovers(&mut self, now: &Now, effects: &mut Vec<Effect>) {
        for index in 0..self.leftovers.iter().count() {
            let Some(leftover) = self.leftovers.get(index).filter(|leftover| self.is_to_be_closed(leftover, now))
            else {
                continue;
            };
            let (volume, site) = (leftover.volume().clone(), leftover.site(self.around()));
            for heir in leftover.heirs(&self.settings) {
                self.drives.begin_closing_by_another_name(&heir);
            }
            self.leftovers.begin_closing(index);
            self.drives.forget_left(&volume);
            let closing = Closing { volume, site, then: WhenDone::Leave, expected: Expected::Anyhow };
            effects.push(Effect::Drive(Box::new(DriveOrder::Close(closing))));
        }
    }

    fn is_to_be_closed(&self, leftover: &Leftover, now: &Now) -> bool {
        let is_time = match leftover.phase() {
            Phase::Open(_) => self.stage != LifeStage::Starting,
            Phase::Stuck { again, .. } => *again <= now.boot && self.stage == LifeStage::Working,
            Phase::Idle
            | Phase::Opening(_)
            | Phase::Awaited(..)
            | Phase::Closing
            | Phase::ClosedByAnotherName
            | Phase::Settling(_) => false,
        };
        let is_used = || {
            let mut runs = self.runs.with_left_behind();
            leftover.resource().is_some_and(|resource| runs.any(|(_, run)| run.resources.contains(resource)))
        };
        let is_free = |heir: &VolumeName| matches!(self.drives.phase(heir), Phase::Idle | Phase::Stuck { .. });
        is_time
            && leftover.can_be_closed(&self.network)
            && !is_used()
            && leftover.heirs(&self.settings).iter().all(is_free)
    }

    /// It was tried to close what is left over.
    pub(super) fn leftover_closed(&mut self, volume: &VolumeName, left: &Left, now: &Now, effects: &mut Vec<Effect>) {
        let Some(leftover) = self.leftovers.closing(volume) else { return };
        let (drive, heirs) = (leftover.drive_name(self.around()), leftover.heirs(&self.settings));
        for heir in heirs {
            let check = self.check(&heir);
            self.drives.closed_by_another_name(&heir, check);
        }
        let around = Around { settings: &self.settings, decisions: &self.decisions, network: &self.network };
        let tries = self.leftovers.closed(volume, left, around, now);
        self.drives.note_left(volume, left);
        if !left.is_open() || tries == Some(1) {
            report_left(&drive, left, effects);
        }
    }

    fn around(&self) -> Around<'_> {
        Around { settings: &self.settings, decisions: &self.decisions, network: &self.network }
    }
}

/// Tells the journal how a drive was left, where there is something to tell.
fn report_left(drive: &DriveName, left: &Left, effects: &mut Vec<Effect>) {
    effects.extend(left.sentence(drive).map(|_| Effect::Tell(Notice::Left(drive.clone(), left.clone()))));
}
