//! The check under way, and what is remembered of those before.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::daemon::messages::event::Effect;
use crate::decide::rounds::LastSlice;
use crate::model::{BootTime, Checking, Interruption, RunId, SampleShare, Sync, SyncName, VolumeName};

/// So long a check that was told to stop is waited for by who wants its drive.
const HEARING: Duration = Duration::from_secs(15);

/// So long a drive that would be closed otherwise stays open for checks.
pub(super) const OPEN: Duration = Duration::from_mins(30);

/// After that, and after a person's word, its copies rest for so long.
pub(super) const REST: Duration = Duration::from_hours(6);

/// The checks. Others read them, and change them by these methods alone.
#[derive(Debug, Clone, Default)]
pub(super) struct Checks {
    pub(super) under_way: Option<UnderWay>,
    /// The sync whose copy is read next, once its drives are open.
    pub(super) next: Option<SyncName>,
    /// The drive that is kept open for checks, by a volume on it, and since when.
    pub(super) kept_open: Option<(VolumeName, BootTime)>,
    pub(super) past: BTreeMap<SyncName, CheckPast>,
}

/// A check under way.
#[derive(Debug, Clone)]
pub(super) struct UnderWay {
    pub(super) run: RunId,
    pub(super) sync: Sync,
    pub(super) started: Timestamp,
    pub(super) share: SampleShare,
    pub(super) turn: u8,
    pub(super) files: u64,
    pub(super) bytes: u64,
    /// When it was told to stop.
    pub(super) told: Option<BootTime>,
}

/// What is remembered of the checks of a sync, as long as the daemon lives.
#[derive(Debug, Clone)]
pub(super) struct CheckPast {
    pub(super) last: LastSlice,
    /// When the last one began: whoever waited longest is next.
    pub(super) began: BootTime,
    /// Before this none begins.
    pub(super) rests_until: BootTime,
    pub(super) failures: u32,
    /// Why the last one could not be made.
    pub(super) trouble: Option<String>,
}

impl Default for CheckPast {
    fn default() -> Self {
        Self {
            last: LastSlice::Whole,
            began: BootTime::default(),
            rests_until: BootTime::default(),
            failures: 0,
            trouble: None,
        }
    }
}

impl Checks {
    /// The check under way, for people.
    pub(super) fn shown(&self) -> Option<Checking> {
        self.under_way.as_ref().map(|check| Checking {
            sync: check.sync.name.clone(),
            started: check.started,
            files: check.files,
            bytes: check.bytes,
        })
    }

    /// Whether a volume is being read, or is to be read next.
    pub(super) fn need(&self, volume: &VolumeName, uses: impl Fn(&SyncName) -> bool, now: BootTime) -> bool {
        self.read(volume, now) || self.next.as_ref().is_some_and(uses)
    }

    /// Whether a volume is being read. Who does not stop when told holds nobody up.
    pub(super) fn read(&self, volume: &VolumeName, now: BootTime) -> bool {
        let check = self.under_way.as_ref().filter(|check| check.sync.uses(volume));
        check.is_some_and(|check| check.told.is_none_or(|told| told.after(HEARING) > now))
    }

    /// Has the check under way stop, once.
    pub(super) fn stop(&mut self, why: Interruption, now: BootTime) -> Option<Effect> {
        let check = self.under_way.as_mut().filter(|check| check.told.is_none())?;
        check.told = Some(now);
        Some(Effect::StopCheck(why))
    }

    /// Has it stop if it reads a copy of this sync, on a person's word. None begins for a while.
    pub(super) fn cancel(&mut self, sync: &SyncName, now: BootTime) -> Option<Effect> {
        self.under_way.as_ref().filter(|check| check.sync.name == *sync)?;
        self.past.entry(sync.clone()).or_default().rests_until = now.after(REST);
        self.stop(Interruption::Cancelled, now)
    }

    /// The moments at which something about the check under way changes by itself.
    pub(super) fn moments(&self) -> impl Iterator<Item = BootTime> {
        let told = self.under_way.as_ref().and_then(|check| check.told).map(|told| told.after(HEARING));
        let open = self.kept_open.as_ref().filter(|_| self.under_way.is_some()).map(|(_, since)| since.after(OPEN));
        told.into_iter().chain(open)
    }
}
