//! What people want done with a drive: `mount`, `unmount`, `eject`.

use std::path::PathBuf;

use tokio::sync::oneshot;

use crate::backup::drives::order::Sake;
use crate::daemon::messages::ask::Refusal;
use crate::daemon::messages::event::Effect;
use crate::daemon::world::drives::Hand;
use crate::daemon::world::settings::leads_to_the_same;
use crate::daemon::world::volumes::VolumeState;
use crate::daemon::world::{Stage, World};
use crate::decide::obstacles;
use crate::model::{Configuration, DriveName, End, Interruption, Left, Obstacle, VolumeName, VolumeSight, WhenDone};

/// Those who wait for a drive.
#[derive(Debug, Default)]
pub(super) struct Words {
    mounts: Vec<(VolumeName, ToMount)>,
    closes: Vec<(VolumeName, WhenDone, ToClose)>,
}

/// The way back to who wants a drive open.
type ToMount = oneshot::Sender<Result<PathBuf, Refusal>>;

/// The way back to who wants a drive closed.
type ToClose = oneshot::Sender<Result<(DriveName, Left), Refusal>>;

impl World {
    /// A person wants a drive open. It is theirs from then on: no run closes it.
    pub(super) fn mount(&mut self, volume: &VolumeName, answer: ToMount, effects: &mut Vec<Effect>) {
        if let Err(refusal) = self.admit_word(volume) {
            let _ = answer.send(Err(refusal));
            return;
        }
        self.take_back_with_all_on_it(volume);
        let is_off = self.volumes.get(volume).is_some_and(|state| state.hand == Hand::Off);
        match self.shown_root(volume) {
            Some(root) if is_off => {
                let _ = answer.send(Ok(root));
            }
            Some(_) | None => {
                self.words.mounts.push((volume.clone(), answer));
                self.open(volume, Sake::Person, effects);
            }
        }
    }

    /// A person wants a drive closed. What runs on it is stopped, and it stays alone until it is plugged in again.
    pub(super) fn unmount(&mut self, volume: VolumeName, then: WhenDone, answer: ToClose, effects: &mut Vec<Effect>) {
        if let Err(refusal) = self.admit_word(&volume) {
            let _ = answer.send(Err(refusal));
            return;
        }
        for on_it in self.settings.on_the_drive_of(&volume) {
            for name in self.runs_on(&on_it) {
                self.stop_run(&name, Interruption::DriveHeld, effects);
            }
        }
        self.let_go_with_all_on_it(&volume);
        self.words.closes.push((volume, then, answer));
    }

    /// A person lets a drive be used again that they had let go.
    pub(super) fn take_back_with_all_on_it(&mut self, volume: &VolumeName) {
        for name in self.settings.on_the_drive_of(volume) {
            if let Some(state) = self.volumes.get_mut(&name) {
                state.take_back();
            }
        }
    }

    /// A run opens a drive by itself; for anything else a person does.
    pub(super) fn closed_drive(&self, end: End, volume: &VolumeName) -> Option<Obstacle> {
        let state = self.volumes.get(volume).filter(|state| obstacles::is_opened_by_us(state.standing()))?;
        let (VolumeSight::NotMounted { device, .. } | VolumeSight::Locked { device, .. }) = &state.sight else {
            return None;
        };
        Some(Obstacle::NotMounted { end, volume: volume.clone(), device: device.clone(), let_go: false })
    }

    fn admit_word(&self, volume: &VolumeName) -> Result<(), Refusal> {
        self.settings.check_volume(volume)?;
        let failed = |why: String| Err(Refusal::Failed(why));
        if self.stage == Stage::Stopping {
            return Err(Refusal::Stopping);
        }
        if self.settings.drive(volume).is_none() {
            let of_machine = if self.settings.is_on_server(volume) { "" } else { " of this machine" };
            return failed(format!("volume `{volume}` is no drive{of_machine}"));
        }
        let Some(state) = self.volumes.get(volume) else { return Ok(()) };
        let named = || volume.clone();
        let obstacle = match &state.sight {
            VolumeSight::Absent(absence) => {
                Obstacle::VolumeAbsent { end: End::Destination, volume: named(), absence: absence.clone() }
            }
            VolumeSight::Ambiguous { devices } => Obstacle::DuplicateUuid { volume: named(), devices: devices.clone() },
            VolumeSight::NotEncrypted { device } => Obstacle::NotEncrypted { volume: named(), device: device.clone() },
            VolumeSight::Present(_)
            | VolumeSight::NotProven { .. }
            | VolumeSight::NotMounted { .. }
            | VolumeSight::Locked { .. }
            | VolumeSight::Reached(_) => {
                let busy = matches!(state.hand, Hand::Opening(_) | Hand::Awaited(..) | Hand::Closing);
                return if busy || self.is_to_be_closed(volume).is_some() || self.is_left_over(volume) {
                    failed(format!("{} is being opened or closed at this moment; try again", self.drive_name(volume)))
                } else {
                    Ok(())
                };
            }
        };
        failed(obstacle.to_string())
    }

    /// The configuration is another one now: whoever waits for a drive that it has no longer would wait for ever.
    pub(super) fn refuse_words_of_others(&mut self, before: &Configuration) {
        let Words { mounts, closes } = std::mem::take(&mut self.words);
        for (volume, answer) in mounts {
            match self.change_of(&volume, before) {
                Some(refusal) => drop(answer.send(Err(refusal))),
                None => self.words.mounts.push((volume, answer)),
            }
        }
        for (volume, then, answer) in closes {
            match self.change_of(&volume, before) {
                Some(refusal) => drop(answer.send(Err(refusal))),
                None => self.words.closes.push((volume, then, answer)),
            }
        }
    }

    fn change_of(&self, volume: &VolumeName, before: &Configuration) -> Option<Refusal> {
        if leads_to_the_same(before, self.settings.configuration(), volume) {
            return None;
        }
        let another = || format!("volume `{volume}` is another one since the configuration changed; try again");
        Some(self.settings.check_volume(volume).err().unwrap_or_else(|| Refusal::Failed(another())))
    }

    /// In which way a person wants a drive to be closed.
    pub(super) fn is_to_be_closed(&self, volume: &VolumeName) -> Option<WhenDone> {
        self.words.closes.iter().find(|(of, ..)| of == volume).map(|(_, then, _)| *then)
    }

    pub(super) fn answer_mounts(&mut self, volume: &VolumeName, result: &Result<PathBuf, Refusal>) {
        for (of, answer) in std::mem::take(&mut self.words.mounts) {
            if of == *volume {
                // Whoever asked may have left.
                let _ = answer.send(result.clone());
            } else {
                self.words.mounts.push((of, answer));
            }
        }
    }

    pub(super) fn answer_closes(&mut self, volume: &VolumeName, left: &Left) {
        let drive = self.drive_name(volume);
        for (of, then, answer) in std::mem::take(&mut self.words.closes) {
            if of == *volume {
                let _ = answer.send(Ok((drive.clone(), left.clone())));
            } else {
                self.words.closes.push((of, then, answer));
            }
        }
    }
}

impl VolumeState {
    /// Where it is, if it is open.
    pub(super) fn root(&self) -> Option<PathBuf> {
        match &self.sight {
            VolumeSight::Present(present) => Some(present.root.clone()),
            VolumeSight::Reached(reached) => Some(reached.root.clone()),
            VolumeSight::NotProven { root, .. } => Some(root.clone()),
            VolumeSight::Absent(_)
            | VolumeSight::Ambiguous { .. }
            | VolumeSight::NotMounted { .. }
            | VolumeSight::Locked { .. }
            | VolumeSight::NotEncrypted { .. } => None,
        }
    }
}
