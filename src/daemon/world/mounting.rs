//! What people want done with a drive: `mount`, `unmount`, `eject`.

use crate::backup::drives::order::Sake;
use crate::daemon::messages::ask::Refusal;
use crate::daemon::messages::event::Effect;
use crate::daemon::world::World;
use crate::daemon::world::drive_requests::{ToClose, ToMount};
use crate::daemon::world::drives::Phase;
use crate::daemon::world::runs::Runs;
use crate::daemon::world::settings::{Settings, leads_to_the_same};
use crate::daemon::world::stage::LifeStage;
use crate::decide::obstacles;
use crate::formats::text::obstacle_sentences;
use crate::model::{Configuration, End, Interruption, Obstacle, Unmounted, VolumeName, VolumeSight, WhenDone};

impl World {
    /// A person wants a drive open. It is theirs from then on: no run closes it.
    pub(super) fn mount(&mut self, volume: &VolumeName, answer: ToMount, effects: &mut Vec<Effect>) {
        if let Err(refusal) = self.admit(volume).and_then(|()| self.is_at_rest(volume)) {
            let _ = answer.send(Err(refusal));
            return;
        }
        self.take_back_with_all_on_it(volume);
        let is_idle = self.volumes.get(volume).is_some() && *self.drives.phase(volume) == Phase::Idle;
        match self.shown_root(volume) {
            Some(root) if is_idle => {
                let _ = answer.send(Ok(root));
            }
            Some(_) | None => {
                self.drive_requests.await_mount(volume.clone(), answer);
                self.open(volume, Sake::Person, effects);
            }
        }
    }

    /// A person wants a drive closed. What runs on it is stopped, and it stays alone until it is plugged in again. What
    /// is under way with it already, be that its closing, is waited for.
    pub(super) fn unmount(&mut self, volume: VolumeName, then: WhenDone, answer: ToClose, effects: &mut Vec<Effect>) {
        let stuck = refusal_if_stuck(&self.settings, &self.runs, &volume);
        let another = if self.leftovers.has(&volume) { Some(self.busy(&volume)) } else { None };
        if let Err(refusal) = self.admit(&volume).and_then(|()| another.or(stuck).map_or(Ok(()), Err)) {
            let _ = answer.send(Err(refusal));
            return;
        }
        for on_it in self.settings.on_the_drive_of(&volume) {
            effects.extend(self.runs.stop_on(&on_it, &Interruption::DriveHeld));
        }
        self.volumes.let_go(&self.settings.on_the_drive_of(&volume));
        self.drive_requests.await_close(volume, then, answer);
    }

    /// Nobody waits for a drive to be closed on which a run is left behind.
    pub(super) fn refuse_to_close_what_is_stuck(&mut self) {
        let (settings, runs) = (&self.settings, &self.runs);
        self.drive_requests.refuse(|volume| refusal_if_stuck(settings, runs, volume));
    }

    /// A person lets a drive be used again that they had let go. What was in the way meanwhile is forgotten with that.
    pub(super) fn take_back_with_all_on_it(&mut self, volume: &VolumeName) -> bool {
        let on_it = self.settings.on_the_drive_of(volume);
        if !self.volumes.take_back(&on_it) {
            return false;
        }
        for sync in on_it.iter().flat_map(|volume| self.settings.users_of(volume)) {
            self.histories.forget_found(&sync.name);
        }
        true
    }

    /// A run opens a drive by itself; for anything else a person does.
    pub(super) fn closed_drive(&self, end: End, volume: &VolumeName) -> Option<Obstacle> {
        let state = self.volumes.get(volume).filter(|state| obstacles::is_opened_by_us(state.standing()))?;
        let (VolumeSight::NotMounted { device, .. } | VolumeSight::Locked { device, .. }) = &state.sight else {
            return None;
        };
        Some(Obstacle::NotMounted { end, volume: volume.clone(), device: device.clone(), how: Unmounted::Plainly })
    }

    fn admit(&self, volume: &VolumeName) -> Result<(), Refusal> {
        self.settings.drive_named(volume)?;
        let failed = |why: String| Err(Refusal::Failed(why));
        if self.stage == LifeStage::Stopping {
            return Err(Refusal::Stopping);
        }
        let Some(state) = self.volumes.get(volume) else { return Ok(()) };
        let named = || volume.clone();
        let obstacle = match &state.sight {
            VolumeSight::Absent(absence) => {
                Obstacle::VolumeAbsent { end: End::Destination, volume: named(), absence: absence.clone() }
            }
            VolumeSight::Ambiguous { devices } => Obstacle::DuplicateUuid { volume: named(), devices: devices.clone() },
            VolumeSight::NotMounted { device, blocked_at, .. } if !blocked_at.is_empty() => {
                let how = Unmounted::Blocked(blocked_at.clone());
                Obstacle::NotMounted { end: End::Destination, volume: named(), device: device.clone(), how }
            }
            VolumeSight::NotEncrypted { device } => Obstacle::NotEncrypted { volume: named(), device: device.clone() },
            VolumeSight::Present(_)
            | VolumeSight::NotProven { .. }
            | VolumeSight::NotMounted { .. }
            | VolumeSight::Locked { .. }
            | VolumeSight::Reached(_) => return Ok(()),
        };
        failed(self.with_remedy(volume, obstacle))
    }

    /// Whether nothing is being done with a drive that is to be opened.
    fn is_at_rest(&self, volume: &VolumeName) -> Result<(), Refusal> {
        let busy = matches!(self.drives.phase(volume), Phase::Opening(_) | Phase::Awaited(..) | Phase::Closing);
        if busy || self.drive_requests.wanted_close(volume).is_some() || self.leftovers.has(volume) {
            return Err(self.busy(volume));
        }
        Ok(())
    }

    fn busy(&self, volume: &VolumeName) -> Refusal {
        let drive = self.drive_name(volume);
        Refusal::Failed(format!("{drive} is being opened or closed at this moment; try again"))
    }

    /// What stands in the way at a volume, and what to do about it.
    pub(super) fn with_remedy(&self, volume: &VolumeName, obstacle: Obstacle) -> String {
        match self.settings.users_of(volume).next() {
            Some(user) => obstacle_sentences(&[obstacle], &user.name),
            None => obstacle.to_string(),
        }
    }

    /// The configuration is another one now: whoever waits for a drive that it has no longer would wait for ever.
    pub(super) fn refuse_drive_requests(&mut self, before: &Configuration) {
        let settings = &self.settings;
        self.drive_requests.refuse(|volume| {
            if leads_to_the_same(before, settings.configuration(), volume) {
                return None;
            }
            let another = || format!("volume `{volume}` is another one since the configuration changed; try again");
            Some(settings.check_volume(volume).err().unwrap_or_else(|| Refusal::Failed(another())))
        });
    }
}

/// That a drive cannot be closed, if a run is left behind on it.
fn refusal_if_stuck(settings: &Settings, runs: &Runs, volume: &VolumeName) -> Option<Refusal> {
    let by = settings.on_the_drive_of(volume).iter().find_map(|volume| runs.left_behind_on(volume))?.clone();
    let stuck = Obstacle::Stuck(by.clone());
    Some(Refusal::Failed(format!("volume `{volume}` stays open: {stuck}; {}", stuck.hint(&by))))
}
