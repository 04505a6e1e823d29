//! What is remembered of a volume: how it stands, since when, and whether its user let it go.

use std::path::PathBuf;

use crate::daemon::messages::event::Notice;
use crate::daemon::world::drives::Hand;
use crate::daemon::world::refused::Refused;
use crate::daemon::world::sites::is_away;
use crate::decide::obstacles::{Custody, VolumeStanding};
use crate::model::{Absence, BootTime, Mounting, Now, Outcome, Volume, VolumeName, VolumeSight};

#[derive(Debug)]
pub(super) struct VolumeState {
    pub(super) sight: VolumeSight,
    /// When it last changed.
    pub(super) changed: BootTime,
    /// When its drive was plugged in.
    pub(super) arrived: Option<BootTime>,
    /// The medium that a person unmounted, until another is plugged in.
    let_go: Option<Medium>,
    /// The medium that is in.
    medium: Option<Medium>,
    /// How the configuration has it opened.
    opening: Mounting,
    /// What is being done with it.
    pub(super) hand: Hand,
    /// How often it was tried to close it.
    pub(super) tries: u32,
    /// That it could not be opened.
    pub(super) refused: Option<Refused>,
    /// How the last run on it ended since it was opened.
    pub(super) last_outcome: Option<Outcome>,
}

impl VolumeState {
    pub(super) fn new(now: &Now) -> Self {
        Self {
            sight: VolumeSight::Absent(Absence::NotLookedAt),
            changed: now.boot,
            arrived: None,
            let_go: None,
            medium: None,
            opening: Mounting::Elsewhere,
            hand: Hand::Off,
            tries: 0,
            refused: None,
            last_outcome: None,
        }
    }

    /// Fits it to what the configuration says now, and forgets a drive's past where the volume is no drive (any more).
    pub(super) fn settle_for(&mut self, volume: &Volume) {
        self.refused = None;
        if let Some(drive) = volume.root.drive() {
            self.opening = drive.mounting.clone();
        } else {
            self.opening = Mounting::Elsewhere;
            self.arrived = None;
            self.let_go = None;
        }
    }

    pub(super) fn standing(&self) -> VolumeStanding<'_> {
        let custody = if self.let_go.is_some() { Custody::LetGo } else { Custody::Ours };
        VolumeStanding { sight: &self.sight, custody, opening: &self.opening }
    }

    /// Lets a drive go, as its user wants it.
    pub(super) fn let_go(&mut self) {
        self.let_go = self.medium;
    }

    /// Since when the drive has been plugged in, if it is; one that does not answer still is.
    pub(super) fn plugged_in_since(&self) -> Option<BootTime> {
        let silent = is_silent(&self.sight);
        self.arrived.filter(|_| silent || self.medium.is_some())
    }

    /// Takes a drive back that its user had let go.
    pub(super) fn take_back(&mut self) {
        self.let_go = None;
    }

    /// Whether a volume that is present in both sights was gone in between.
    pub(super) fn is_another_mount(&self, sight: &VolumeSight) -> Appearance {
        match (&self.sight, sight) {
            (VolumeSight::Present(before), VolumeSight::Present(after))
                if before.mount != after.mount || before.disk_seq != after.disk_seq =>
            {
                Appearance::Anew
            }
            (VolumeSight::Reached(before), VolumeSight::Reached(after)) if before.medium != after.medium => {
                Appearance::Anew
            }
            (_, _) => Appearance::AsBefore,
        }
    }

    /// Takes in a new sight, and says whose doing it is and what is worth telling. `disk_seq` is the number of the medium that the drive is
    /// on, as far as the devices tell it; `whose` is whether something is done with that drive.
    pub(super) fn update(
        &mut self,
        name: &VolumeName,
        (sight, disk_seq): (VolumeSight, Option<u64>),
        whose: Doing,
        now: &Now,
    ) -> (Doing, Option<Notice>) {
        if sight == self.sight {
            return (Doing::Theirs, None);
        }
        let before = self.medium;
        let after = match (medium(&sight), disk_seq) {
            (Some(medium), _) => Some(Medium(disk_seq.or(medium.0))),
            // What is not proven, or lacks its directory, is on the medium all the same.
            (None, Some(_)) if is_mounted(&sight) => Some(Medium(disk_seq)),
            // Its container is in, and holds something else while it is open.
            (None, Some(_)) if sight == VolumeSight::Absent(Absence::NotPlugged) => Some(Medium(disk_seq)),
            // A server that is out of reach keeps what is plugged into it.
            (None, _) if is_away(&sight) => before,
            (None, _) => None,
        };
        let is_ours = whose == Doing::Ours && before == after;
        // At a server, another machine that had opened it may have closed it: that is no person's word.
        let was_used = matches!(self.sight, VolumeSight::Present(_));
        if let Some(medium) = after
            && !is_ours
            && !is_away(&sight)
        {
            if before != Some(medium) {
                self.arrived = Some(now.boot);
                self.refused = None;
            }
            let is_closed = matches!(sight, VolumeSight::NotMounted { .. } | VolumeSight::Locked { .. });
            if was_used && before == Some(medium) && is_closed {
                self.let_go = Some(medium);
            }
        }
        self.medium = after;
        // What does not answer may still be in; only what is known to be out, or another medium, ends the custody.
        if !is_silent(&sight) && self.let_go.is_some() && self.let_go != after {
            self.let_go = None;
        }
        let notice = match (root(&self.sight), root(&sight)) {
            (None, Some(root)) => Some(Notice::VolumeCame(name.clone(), root.clone())),
            (Some(_), None) => Some(Notice::VolumeWent(name.clone())),
            (Some(_), Some(_)) | (None, None) => None,
        };
        self.sight = sight;
        if is_ours {
            return (Doing::Ours, notice);
        }
        self.changed = now.boot;
        (Doing::Theirs, notice)
    }
}

/// The root of a volume that is there and proven.
fn root(sight: &VolumeSight) -> Option<&PathBuf> {
    match sight {
        VolumeSight::Present(present) => Some(&present.root),
        VolumeSight::Reached(reached) => Some(&reached.root),
        VolumeSight::Absent(_)
        | VolumeSight::Ambiguous { .. }
        | VolumeSight::NotMounted { .. }
        | VolumeSight::Locked { .. }
        | VolumeSight::NotEncrypted { .. }
        | VolumeSight::NotProven { .. } => None,
    }
}

/// Who brought a change about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    /// We did, by opening or closing the drive: it mends nothing.
    Ours,
    Theirs,
}

/// Whether a volume has come within reach anew without having been seen to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Appearance {
    Anew,
    AsBefore,
}

/// What is plugged in, by its sequence number; older kernels give none, and what is no drive has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Medium(Option<u64>);

fn medium(sight: &VolumeSight) -> Option<Medium> {
    match sight {
        VolumeSight::NotMounted { disk_seq, .. } | VolumeSight::Locked { disk_seq, .. } => Some(Medium(*disk_seq)),
        // A directory was not plugged in, and is not waited for.
        VolumeSight::Present(present) => present.device.map(|_| Medium(present.disk_seq)),
        VolumeSight::Reached(reached) => reached.medium.map(|medium| Medium(Some(medium))),
        VolumeSight::NotProven { .. }
        | VolumeSight::Absent(_)
        | VolumeSight::Ambiguous { .. }
        | VolumeSight::NotEncrypted { .. } => None,
    }
}

fn is_mounted(sight: &VolumeSight) -> bool {
    matches!(
        sight,
        VolumeSight::NotProven { .. } | VolumeSight::Absent(Absence::NoDirectory(_) | Absence::Unreadable(..))
    )
}

fn is_silent(sight: &VolumeSight) -> bool {
    matches!(sight, VolumeSight::Absent(Absence::Silent(_))) || is_away(sight)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::{Timestamp, tz::TimeZone};

    use crate::model::{Access, MountId, PresentVolume};

    use super::*;

    fn now(seconds: u64) -> Now {
        Now { boot: BootTime(Duration::from_secs(seconds)), wall: Timestamp::UNIX_EPOCH, zone: TimeZone::UTC }
    }

    fn mounted(seq: u64, mount: u64) -> VolumeSight {
        VolumeSight::Present(PresentVolume {
            root: "/media/usb".into(),
            mount: MountId(mount),
            access: Access::ReadWrite,
            fs_type: "btrfs".into(),
            disk_seq: Some(seq),
            hardware: None,
            device: Some((7, 0)),
            id: None,
        })
    }

    fn unmounted(seq: u64) -> VolumeSight {
        VolumeSight::NotMounted { device: "/dev/loop0".into(), disk_seq: Some(seq) }
    }

    /// Shows a volume these sights, one a second, and says whether it is let go at the end.
    fn custody_after(sights: &[VolumeSight]) -> Custody {
        let name = "usb".parse().expect("a name");
        let mut state = VolumeState::new(&now(0));
        for (second, sight) in (1..).zip(sights) {
            state.update(&name, (sight.clone(), None), Doing::Theirs, &now(second));
        }
        state.standing().custody
    }

    #[test]
    fn a_drive_that_its_user_unmounts_stays_alone_until_replugged() {
        let absent = VolumeSight::Absent(Absence::NotPlugged);
        assert_eq!(custody_after(&[unmounted(1), mounted(1, 40)]), Custody::Ours);
        assert_eq!(custody_after(&[mounted(1, 40), unmounted(1)]), Custody::LetGo);
        assert_eq!(custody_after(&[mounted(1, 40), unmounted(1), mounted(1, 41)]), Custody::LetGo);
        assert_eq!(custody_after(&[mounted(1, 40), unmounted(1), absent.clone(), mounted(2, 41)]), Custody::Ours);
        assert_eq!(custody_after(&[mounted(1, 40), unmounted(1), mounted(2, 41)]), Custody::Ours);
        assert_eq!(custody_after(&[mounted(1, 40), absent, mounted(2, 41)]), Custody::Ours);
    }

    #[test]
    fn a_plug_in_is_an_arrival_and_a_mount_is_none() {
        let name = "usb".parse().expect("a name");
        let mut state = VolumeState::new(&now(0));
        state.update(&name, (unmounted(1), None), Doing::Theirs, &now(1));
        state.update(&name, (mounted(1, 40), None), Doing::Theirs, &now(5));
        assert_eq!(state.arrived, Some(BootTime(Duration::from_secs(1))));
        assert_eq!(state.changed, BootTime(Duration::from_secs(5)));
        state.update(&name, (mounted(2, 41), None), Doing::Theirs, &now(9));
        assert_eq!(state.arrived, Some(BootTime(Duration::from_secs(9))));
    }
}
