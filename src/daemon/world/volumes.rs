//! What was seen: how each volume stands, since when, and whether its user let it go; the ends of syncs; the devices.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::daemon::messages::event::Notice;
use crate::daemon::world::settings::Settings;
use crate::decide::obstacles::{Custody, VolumeStanding};
use crate::model::{
    Absence, BlockDevice, BootTime, Configuration, EndKind, EndSight, Mounting, Now, Obstacle, RemoteProbe, SyncName,
    SyncSight, Unclean, Volume, VolumeName, VolumeSight,
};

/// What was seen. Others read it, and change it by these methods alone.
#[derive(Debug, Clone, Default)]
pub(super) struct Volumes {
    states: BTreeMap<VolumeName, VolumeState>,
    ends: BTreeMap<SyncName, SyncSight>,
    devices: Vec<BlockDevice>,
}

/// What is new about a volume.
#[derive(Debug)]
pub(super) struct VolumeChange {
    pub(super) whose: Doing,
    pub(super) appearance: Appearance,
    pub(super) arrival: Arrival,
    /// What the journal has to say about it.
    pub(super) notice: Option<Notice>,
}

impl Volumes {
    /// Makes room for what the configuration names, and forgets what it names no longer.
    pub(super) fn fit(&mut self, configuration: &Configuration, now: &Now) {
        self.states.retain(|name, _| configuration.volumes.contains_key(name));
        for (name, volume) in &configuration.volumes {
            self.states.entry(name.clone()).or_insert_with(|| VolumeState::new(now)).settle_for(volume);
        }
        // What was seen may have been seen elsewhere: nothing starts before the look that this brings about.
        self.ends.clear();
    }

    /// Forgets a volume that is not what it was.
    pub(super) fn forget(&mut self, volume: &VolumeName) {
        self.states.remove(volume);
    }

    pub(super) fn get(&self, volume: &VolumeName) -> Option<&VolumeState> {
        self.states.get(volume)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &VolumeName> {
        self.states.keys()
    }

    /// What was seen at the ends of a sync.
    pub(super) fn ends(&self, sync: &SyncName) -> Option<&SyncSight> {
        self.ends.get(sync)
    }

    pub(super) fn devices(&self) -> &[BlockDevice] {
        &self.devices
    }

    pub(super) fn see_devices(&mut self, devices: Vec<BlockDevice>) {
        self.devices = devices;
    }

    /// A volume stands so now. `None` if it stood so before, or is not known.
    pub(super) fn take_in(
        &mut self,
        name: &VolumeName,
        seen: (VolumeSight, Option<u64>),
        whose: Doing,
        now: &Now,
    ) -> Option<VolumeChange> {
        let state = self.states.get_mut(name).filter(|state| state.sight != seen.0)?;
        Some(state.update(name, seen, whose, now))
    }

    /// What was seen at the ends of syncs on a volume of a server.
    pub(super) fn take_in_remote_ends(&mut self, volume: &RemoteProbe, sights: Vec<EndSight>) {
        for (end, seen) in volume.ends.iter().zip(sights) {
            let unseen = || SyncSight { source: EndSight::Unseen, destination: EndSight::Unseen };
            let sight = self.ends.entry(end.sync.clone()).or_insert_with(unseen);
            match end.kind {
                EndKind::Source | EndKind::SourceOfSnapshots => sight.source = seen,
                EndKind::Destination(_) => sight.destination = seen,
            }
        }
    }

    /// What a look of this machine found at the ends of a sync, without those that are on a server: of these it knows
    /// nothing.
    pub(super) fn take_in_local_ends(&mut self, settings: &Settings, name: &SyncName, seen: SyncSight) {
        let Some(sync) = settings.configuration().syncs.get(name) else { return };
        let known = self.ends.get(name);
        let kept = |end: fn(&SyncSight) -> &EndSight| known.map_or(EndSight::Unseen, |known| end(known).clone());
        let is_there = |volume| settings.is_on_server(volume);
        let source = if is_there(&sync.source.volume) { kept(|sight| &sight.source) } else { seen.source };
        let destination =
            if is_there(&sync.destination.volume) { kept(|sight| &sight.destination) } else { seen.destination };
        self.ends.insert(name.clone(), SyncSight { source, destination });
    }

    /// A person lets these go: no run opens them again until they are plugged in again.
    pub(super) fn let_go(&mut self, volumes: &[VolumeName]) {
        for volume in volumes {
            if let Some(state) = self.states.get_mut(volume) {
                state.let_go();
            }
        }
    }

    /// A person lets these be used again. Whether one of them had been let go.
    pub(super) fn take_back(&mut self, volumes: &[VolumeName]) -> bool {
        let taken = volumes.iter().filter(|volume| {
            let state = self.states.get_mut(volume);
            state.is_some_and(|state| state.let_go.take().is_some())
        });
        taken.count() > 0
    }
}

/// How one volume stands.
#[derive(Debug, Clone)]
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
}

impl VolumeState {
    fn new(now: &Now) -> Self {
        Self {
            sight: VolumeSight::Absent(Absence::NotLookedAt),
            changed: now.boot,
            arrived: None,
            let_go: None,
            medium: None,
            opening: Mounting::Elsewhere,
        }
    }

    /// Fits it to what the configuration says now, and forgets a drive's past where the volume is no drive (any more).
    fn settle_for(&mut self, volume: &Volume) {
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

    /// The server that a closed drive is plugged into; none if that is this machine.
    pub(super) fn host_of_closed(&self) -> Option<String> {
        match &self.sight {
            VolumeSight::NotMounted { device, .. } | VolumeSight::Locked { device, .. } => device.host.clone(),
            VolumeSight::Absent(_)
            | VolumeSight::Ambiguous { .. }
            | VolumeSight::NotEncrypted { .. }
            | VolumeSight::NotProven { .. }
            | VolumeSight::Present(_)
            | VolumeSight::Reached(_) => None,
        }
    }

    /// Lets a drive go, as its user wants it.
    fn let_go(&mut self) {
        self.let_go = self.medium;
    }

    /// Since when the drive has been plugged in, if it is; one that does not answer still is.
    pub(super) fn plugged_in_since(&self) -> Option<BootTime> {
        let silent = is_silent(&self.sight);
        self.arrived.filter(|_| silent || self.medium.is_some())
    }

    /// Whether a volume that is present in both sights was gone in between.
    fn is_another_mount(&self, sight: &VolumeSight) -> Appearance {
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

    /// Takes in a new sight. `disk_seq` is the number of the medium that the drive is on, as far as the devices tell
    /// it; `whose` is whether something is done with that drive.
    fn update(
        &mut self,
        name: &VolumeName,
        (sight, disk_seq): (VolumeSight, Option<u64>),
        whose: Doing,
        now: &Now,
    ) -> VolumeChange {
        let appearance = self.is_another_mount(&sight);
        let mut arrival = Arrival::None;
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
                arrival = Arrival::PluggedIn;
            }
            // What an automount unmounts when nobody uses it, it mounts again for whoever does.
            let is_closed =
                matches!(sight, VolumeSight::NotMounted { automount: None, .. } | VolumeSight::Locked { .. });
            let is_mounted_again = is_mounted_at_all(&sight) && !is_mounted_at_all(&self.sight);
            if was_used && before == Some(medium) && is_closed {
                self.let_go = Some(medium);
            } else if is_mounted_again {
                // Whoever mounts it wants it used, be it the one who let it go or a program that had unmounted it.
                self.let_go = None;
            }
        }
        self.medium = after;
        // What does not answer may still be in; only what is known to be out, or another medium, ends the custody.
        if !is_silent(&sight) && self.let_go.is_some() && self.let_go != after {
            self.let_go = None;
        }
        let notice = match (root(&self.sight), root(&sight)) {
            (_, _) if unusable(name, &sight).is_some() => {
                unusable(name, &sight).map(|obstacle| Notice::Unusable(name.clone(), obstacle))
            }
            (None, Some(root)) => Some(Notice::VolumeCame(name.clone(), root.clone(), unclean(&sight).cloned())),
            (Some(_), None) => Some(Notice::VolumeWent(name.clone())),
            (Some(_), Some(_)) | (None, None) => None,
        };
        self.sight = sight;
        let whose = if is_ours { Doing::Ours } else { Doing::Theirs };
        if whose == Doing::Theirs {
            self.changed = now.boot;
        }
        VolumeChange { whose, appearance, arrival, notice }
    }
}

/// What keeps a drive that is plugged in from being used, where only a person can put that right.
pub(super) fn unusable(volume: &VolumeName, sight: &VolumeSight) -> Option<Obstacle> {
    let volume = volume.clone();
    match sight {
        VolumeSight::Ambiguous { devices } => Some(Obstacle::DuplicateUuid { volume, devices: devices.clone() }),
        VolumeSight::NotEncrypted { device } => Some(Obstacle::NotEncrypted { volume, device: device.clone() }),
        VolumeSight::Absent(_)
        | VolumeSight::NotMounted { .. }
        | VolumeSight::Locked { .. }
        | VolumeSight::NotProven { .. }
        | VolumeSight::Present(_)
        | VolumeSight::Reached(_) => None,
    }
}

/// Why the filesystem of a drive should be checked, though it can be used.
pub(super) fn unclean(sight: &VolumeSight) -> Option<&Unclean> {
    if let VolumeSight::Present(present) = sight { present.unclean.as_ref() } else { None }
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

/// Whether the drive of a volume was plugged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arrival {
    PluggedIn,
    None,
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

/// Whether a drive is mounted, be it the right one or not.
fn is_mounted_at_all(sight: &VolumeSight) -> bool {
    is_open(sight) || is_mounted(sight)
}

/// Whether nobody knows how a drive of a server stands, since the server is out of reach.
pub(super) fn is_away(sight: &VolumeSight) -> bool {
    matches!(sight, VolumeSight::Absent(Absence::Host(_) | Absence::Elsewhere | Absence::NotLookedAt))
}

/// Whether a volume is there and can be used.
pub(super) fn is_open(sight: &VolumeSight) -> bool {
    matches!(sight, VolumeSight::Present(_) | VolumeSight::Reached(_))
}

fn is_silent(sight: &VolumeSight) -> bool {
    matches!(sight, VolumeSight::Absent(Absence::Silent(_))) || is_away(sight)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use jiff::{Timestamp, tz::TimeZone};

    use crate::model::{Access, MountId, PresentVolume, SentinelFault};

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
            unclean: None,
            id: None,
        })
    }

    fn unmounted(seq: u64) -> VolumeSight {
        VolumeSight::NotMounted {
            device: "/dev/loop0".into(),
            disk_seq: Some(seq),
            automount: None,
            blocked_at: Vec::new(),
        }
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
    fn a_drive_that_its_user_unmounts_stays_alone_until_it_is_mounted_again_or_replugged() {
        let absent = VolumeSight::Absent(Absence::NotPlugged);
        assert_eq!(custody_after(&[unmounted(1), mounted(1, 40)]), Custody::Ours);
        assert_eq!(custody_after(&[mounted(1, 40), unmounted(1)]), Custody::LetGo);
        assert_eq!(custody_after(&[mounted(1, 40), unmounted(1), mounted(1, 41)]), Custody::Ours);
        let unproven = VolumeSight::NotProven { root: "/media/usb".into(), fault: SentinelFault::Missing };
        assert_eq!(custody_after(&[mounted(1, 40), unmounted(1), unproven, mounted(1, 41)]), Custody::Ours);
        let silent = VolumeSight::Absent(Absence::Silent("/media/usb".into()));
        assert_eq!(custody_after(&[mounted(1, 40), unmounted(1), silent, unmounted(1)]), Custody::LetGo);
        assert_eq!(custody_after(&[mounted(1, 40), unmounted(1), absent.clone(), mounted(2, 41)]), Custody::Ours);
        assert_eq!(custody_after(&[mounted(1, 40), unmounted(1), mounted(2, 41)]), Custody::Ours);
        assert_eq!(custody_after(&[mounted(1, 40), absent, mounted(2, 41)]), Custody::Ours);
    }

    #[test]
    fn what_an_automount_unmounts_is_not_let_go() {
        let idle = VolumeSight::NotMounted {
            device: "/dev/loop0".into(),
            disk_seq: Some(1),
            automount: Some("/media/usb".into()),
            blocked_at: Vec::new(),
        };
        assert_eq!(custody_after(&[mounted(1, 40), idle.clone()]), Custody::Ours);
        assert_eq!(custody_after(&[mounted(1, 40), unmounted(1), idle]), Custody::LetGo, "a person did before");
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
