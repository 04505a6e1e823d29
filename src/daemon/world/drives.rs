//! What is done with each drive: whether it is being opened, is open by our doing, is being closed, or could not be.
//!
//! What is seen of a drive meanwhile is our own doing: it is no plug-in, no unmount of its user's, and no reason to try
//! again what failed.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::backup::drives::order::{Expected, Sake};
use crate::daemon::world::refused::Refused;
use crate::daemon::world::servers::Awaited;
use crate::decide::backoff;
use crate::decide::flight::Ticket;
use crate::model::{BootTime, Configuration, Left, Now, OpeningTrouble, Outcome, Remedy, VolumeName};

/// What is being done with a drive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing.
    Idle,
    /// It is being opened.
    Opening(Sake),
    /// It is said to be open; this shows whether it is.
    Awaited(Check, Sake),
    /// It is open, and is closed once nobody needs it.
    Open(Expected),
    /// It is being closed.
    Closing,
    /// It is being closed by the name that its volume had before.
    ClosedByAnotherName,
    /// It could not be closed; it is tried again.
    Stuck {
        /// When.
        again: BootTime,
        /// How often it was tried.
        tries: u32,
    },
    /// It was closed; until this is taken, what changes is still our doing.
    Settling(Check),
}

/// What shows how a drive stands after an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Check {
    /// A look at this machine.
    Look(Ticket),
    /// The answers of servers.
    Answers(Awaited),
}

/// Whether something was not known before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    Yes,
    No,
}

/// All drives, by their volumes. Others read what is done with them, and change it by these methods alone.
#[derive(Debug, Clone, Default)]
pub(super) struct DriveStates {
    states: BTreeMap<VolumeName, DriveState>,
    /// How each drive was left that was closed last, until it is opened or closed again.
    left: BTreeMap<VolumeName, Left>,
    /// Until when they are waited for, once the daemon is to end.
    waited_until: Option<BootTime>,
}

/// For so long a daemon that is told to end waits for its drives. What comes behind that is the end by force: the
/// shipped units have twenty seconds for it, and a run ten of them.
const LONGEST_END: Duration = Duration::from_secs(16);

/// What is done with one drive.
#[derive(Debug, Clone)]
struct DriveState {
    phase: Phase,
    /// How often it was tried to close it.
    tries: u32,
    refused: Option<Refused>,
    /// How the last run on it ended since it was opened.
    last_outcome: Option<Outcome>,
    /// Whether a keyring changed while it was being opened: what was asked of it may have been asked too early.
    keyring: KeyringSince,
}

/// Whether a keyring changed since a drive began to be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum KeyringSince {
    Same,
    Changed,
}

impl Default for DriveState {
    fn default() -> Self {
        Self { phase: Phase::Idle, tries: 0, refused: None, last_outcome: None, keyring: KeyringSince::Same }
    }
}

impl DriveStates {
    /// Makes room for what the configuration names, and forgets what it names no longer. What could not be opened may
    /// be opened by what a person just wrote.
    pub(super) fn fit(&mut self, configuration: &Configuration) {
        self.states.retain(|name, _| configuration.volumes.contains_key(name));
        for name in configuration.volumes.keys() {
            self.states.entry(name.clone()).or_default().refused = None;
        }
    }

    /// Forgets a drive whose volume is not what it was, and returns what was being done with it.
    pub(super) fn forget(&mut self, volume: &VolumeName) -> Phase {
        self.states.remove(volume).map_or(Phase::Idle, |state| state.phase)
    }

    pub(super) fn phase(&self, volume: &VolumeName) -> &Phase {
        self.states.get(volume).map_or(&Phase::Idle, |state| &state.phase)
    }

    pub(super) fn phases(&self) -> impl Iterator<Item = (&VolumeName, &Phase)> {
        self.states.iter().map(|(name, state)| (name, &state.phase))
    }

    /// Whether nothing is done with any of these.
    pub(super) fn are_idle(&self, volumes: &[VolumeName]) -> bool {
        volumes.iter().all(|volume| *self.phase(volume) == Phase::Idle)
    }

    /// Whether one of these is being opened or closed.
    pub(super) fn is_one_changing(&self, mut volumes: impl Iterator<Item = VolumeName>) -> bool {
        volumes.any(|volume| match self.phase(&volume) {
            Phase::Opening(_)
            | Phase::Awaited(..)
            | Phase::Closing
            | Phase::ClosedByAnotherName
            | Phase::Settling(_) => true,
            Phase::Idle | Phase::Open(_) | Phase::Stuck { .. } => false,
        })
    }

    /// The daemon is to end, and waits for them for a while.
    pub(super) fn wait_no_longer_than(&mut self, now: &Now) {
        self.waited_until = Some(now.boot.after(LONGEST_END));
    }

    /// Whether the daemon has waited for them long enough.
    pub(super) fn are_late(&self, now: BootTime) -> bool {
        self.waited_until.is_some_and(|until| until <= now)
    }

    /// Until when they are waited for, if that is limited.
    pub(super) fn waited_until(&self, now: &Now) -> Option<Timestamp> {
        now.wall.checked_add(self.waited_until?.since(now.boot)).ok()
    }

    /// An order to open it is given.
    pub(super) fn begin_opening(&mut self, volume: &VolumeName, sake: Sake) {
        self.left.remove(volume);
        if let Some(state) = self.states.get_mut(volume) {
            state.phase = Phase::Opening(sake);
            state.last_outcome = None;
            state.keyring = KeyringSince::Same;
        }
    }

    /// It is said to be open; this will show whether it is.
    pub(super) fn opened(&mut self, volume: &VolumeName, check: Check) {
        if let Some(state) = self.states.get_mut(volume)
            && let Phase::Opening(sake) = state.phase
        {
            state.phase = Phase::Awaited(check, sake);
            state.refused = None;
        }
    }

    /// It could not be opened. Whether that is news.
    pub(super) fn refused(&mut self, volume: &VolumeName, trouble: OpeningTrouble, jitter: u16, now: &Now) -> News {
        let Some(state) = self.states.get_mut(volume) else { return News::No };
        let tries = state.refused.as_ref().map_or(0, |refused| refused.tries).saturating_add(1);
        // Part of it may be done, and is undone by closing it.
        state.phase = match trouble {
            OpeningTrouble::OutOfReach(_) => Phase::Stuck { again: now.boot.after(until_again(1)), tries: 1 },
            OpeningTrouble::KeyringLocked(_)
            | OpeningTrouble::MissingOrLocked(_)
            | OpeningTrouble::KeyringAbsent(_)
            | OpeningTrouble::NoSecret(..)
            | OpeningTrouble::WrongSecret(_)
            | OpeningTrouble::NotAuthorized(_)
            | OpeningTrouble::NoUdisks(_)
            | OpeningTrouble::Damaged { .. }
            | OpeningTrouble::Other(_) => Phase::Open(Expected::Anyhow),
        };
        let is_known = state.refused.as_ref().is_some_and(|refused| refused.trouble == trouble);
        let mut refused = Refused::new(trouble, tries, jitter, now);
        if std::mem::replace(&mut state.keyring, KeyringSince::Same) == KeyringSince::Changed {
            refused.keyring_changed_meanwhile();
        }
        state.refused = Some(refused);
        if is_known { News::No } else { News::Yes }
    }

    /// Why it is not opened for now.
    pub(super) fn refusal(&self, volume: &VolumeName, now: &Now) -> Option<&OpeningTrouble> {
        let refused = self.states.get(volume)?.refused.as_ref().filter(|refused| refused.until > now.boot)?;
        Some(&refused.trouble)
    }

    /// Why it could not be opened when it was tried last.
    pub(super) fn trouble(&self, volume: &VolumeName) -> Option<&OpeningTrouble> {
        self.states.get(volume)?.refused.as_ref().map(|refused| &refused.trouble)
    }

    /// It was plugged in: it may be opened now.
    pub(super) fn plugged_in(&mut self, volume: &VolumeName) {
        if let Some(state) = self.states.get_mut(volume) {
            state.refused = None;
        }
    }

    /// A secret may be within reach now that was not, or be another: it is tried now, and the same trouble is no news.
    pub(super) fn keyring_changed(&mut self, now: &Now) {
        for state in self.states.values_mut() {
            state.keyring = KeyringSince::Changed;
            state.refused.iter_mut().for_each(|refused| refused.keyring_changed(now));
        }
    }

    /// Whether a drive waits for a keyring.
    pub(super) fn wait_for_keyring(&self) -> bool {
        let mut refused = self.states.values().filter_map(|state| state.refused.as_ref());
        refused.any(Refused::depends_on_keyring)
    }

    /// Block devices changed, as they do when whoever wrote to one lets go of it: a filesystem may have been mended.
    pub(super) fn blocks_changed(&mut self) {
        // What changes while something is done with a drive is our own doing.
        for state in self.states.values_mut().filter(|state| state.phase == Phase::Idle) {
            state.refused.iter_mut().for_each(Refused::blocks_changed);
        }
    }

    /// Its server is within reach again that was not: what could not be done with it can be tried now.
    pub(super) fn server_came_back(&mut self, volume: &VolumeName, now: &Now) {
        let Some(state) = self.states.get_mut(volume) else { return };
        if let Phase::Stuck { again, .. } = &mut state.phase {
            *again = now.boot;
        }
        if state.refused.as_ref().is_some_and(|refused| matches!(refused.trouble, OpeningTrouble::OutOfReach(_))) {
            state.refused = None;
        }
    }

    /// It is open, or was found so, and is closed once nobody needs it.
    pub(super) fn is_to_be_closed(&mut self, volume: &VolumeName, expected: Expected) {
        if let Some(state) = self.states.get_mut(volume) {
            state.phase = Phase::Open(expected);
        }
    }

    /// An order to close it is given.
    pub(super) fn begin_closing(&mut self, volume: &VolumeName) {
        self.left.remove(volume);
        if let Some(state) = self.states.get_mut(volume) {
            state.tries = if let Phase::Stuck { tries, .. } = state.phase { tries } else { 0 };
            state.phase = Phase::Closing;
        }
    }

    /// It was tried to close it; this will show how it stands. Returns how often it was tried.
    pub(super) fn closed(&mut self, volume: &VolumeName, left: &Left, check: Check, now: &Now) -> Option<u32> {
        self.note_left(volume, left);
        let state = self.states.get_mut(volume)?;
        let tries = state.tries.saturating_add(1);
        state.phase = if left.is_open() {
            Phase::Stuck { again: now.boot.after(until_again(tries)), tries }
        } else {
            Phase::Settling(check)
        };
        Some(tries)
    }

    /// It is about to be closed by the name that its volume had before, if nothing else is done with it.
    pub(super) fn begin_closing_by_another_name(&mut self, volume: &VolumeName) {
        self.follow(volume, &Phase::Idle, Phase::ClosedByAnotherName);
    }

    /// It was closed by the name that its volume had before; this will show how it stands.
    pub(super) fn closed_by_another_name(&mut self, volume: &VolumeName, check: Check) {
        self.follow(volume, &Phase::ClosedByAnotherName, Phase::Settling(check));
    }

    fn follow(&mut self, volume: &VolumeName, before: &Phase, after: Phase) {
        if let Some(state) = self.states.get_mut(volume).filter(|state| state.phase == *before) {
            state.phase = after;
        }
    }

    /// The drives of which it was seen how they stand after an order.
    pub(super) fn seen(&self, is_taken: impl Fn(&Check) -> bool) -> Vec<VolumeName> {
        let is_seen = |phase: &Phase| match phase {
            Phase::Awaited(check, _) | Phase::Settling(check) => is_taken(check),
            Phase::Idle
            | Phase::Opening(_)
            | Phase::Open(_)
            | Phase::Closing
            | Phase::ClosedByAnotherName
            | Phase::Stuck { .. } => false,
        };
        self.phases().filter(|(_, phase)| is_seen(phase)).map(|(name, _)| name.clone()).collect()
    }

    /// It was seen how it stands. Returns for whose sake it was opened, if it was.
    pub(super) fn settle(&mut self, volume: &VolumeName) -> Option<Sake> {
        let state = self.states.get_mut(volume)?;
        let Phase::Awaited(_, sake) = state.phase else {
            state.phase = Phase::Idle;
            return None;
        };
        state.phase = match sake {
            Sake::Runs => Phase::Open(Expected::Mounted),
            Sake::Person => Phase::Idle,
        };
        Some(sake)
    }

    /// How the last run on these ended.
    pub(super) fn note_outcome(&mut self, volumes: &[VolumeName], outcome: Outcome) {
        for volume in volumes {
            if let Some(state) = self.states.get_mut(volume) {
                state.last_outcome = Some(outcome);
            }
        }
    }

    /// Whether the last run on it ended well since it was opened.
    pub(super) fn ended_well(&self, volume: &VolumeName) -> bool {
        self.states.get(volume).is_some_and(|state| state.last_outcome == Some(Outcome::Ok))
    }

    /// Drops all that is being done: nobody waits for it any more.
    pub(super) fn leave_open(&mut self) {
        for state in self.states.values_mut() {
            state.phase = Phase::Idle;
        }
    }

    /// The moments at which one that could not be opened is tried again.
    pub(super) fn moments_of_refused(&self) -> impl Iterator<Item = BootTime> {
        self.states.values().filter_map(|state| state.refused.as_ref()).map(|refused| refused.until)
    }

    /// A drive was left so; also one that the configuration calls otherwise by now.
    pub(super) fn note_left(&mut self, volume: &VolumeName, left: &Left) {
        self.left.insert(volume.clone(), left.clone());
    }

    /// It is not known any more how a drive was left.
    pub(super) fn forget_left(&mut self, volume: &VolumeName) {
        self.left.remove(volume);
    }

    /// How each drive was left that was closed last, until it is opened or closed again.
    pub(super) fn left(&self) -> &BTreeMap<VolumeName, Left> {
        &self.left
    }
}

/// How long to wait before a drive is closed again that could not be.
pub(super) fn until_again(tries: u32) -> Duration {
    backoff::wait(tries, Remedy::TryAgain, 0).min(Duration::from_mins(15))
}
