//! What people decided, and what was seen for the first time and holds from then on: the ledger.

mod unrestored;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;

use crate::daemon::world::runs::Run;
use crate::decide::checking;
use crate::model::{
    CheckReport, CheckRounds, Containers, Damage, DriveUuid, End, Hardware, HoldReason, Kinship, Ledger, PathSet,
    Pause, Places, RestoreKey, SampleShare, SentinelId, StandingHold, SyncName, VolumeName,
};

/// The ledger, and whether it is to be written down.
#[derive(Debug, Clone)]
pub(super) struct Decisions {
    ledger: Ledger,
    written: Written,
    /// The restores at which somebody works.
    restoring: BTreeMap<RestoreKey, AtWork>,
}

/// Who works at a restore.
#[derive(Debug, Clone)]
struct AtWork {
    /// How many these are.
    count: usize,
    /// Whether it was cut short, at any time: then nothing but all of it makes it whole.
    cut: bool,
}

/// Whether the ledger is written down as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Written {
    Yes,
    No,
}

impl Decisions {
    pub(super) fn new(ledger: Ledger) -> Self {
        Self { ledger, written: Written::Yes, restoring: BTreeMap::new() }
    }

    pub(super) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// The ledger, if it has changed since it was taken to be written down.
    pub(super) fn take_unwritten(&mut self) -> Option<Box<Ledger>> {
        match std::mem::replace(&mut self.written, Written::Yes) {
            Written::Yes => None,
            Written::No => Some(Box::new(self.ledger.clone())),
        }
    }

    /// It was taken in vain.
    pub(super) fn keep_again(&mut self) {
        self.written = Written::No;
    }

    /// The ledger, to change it.
    fn change(&mut self) -> &mut Ledger {
        self.written = Written::No;
        &mut self.ledger
    }

    pub(super) fn pause(&mut self, pause: Pause) {
        self.change().pause = Some(pause);
    }

    pub(super) fn resume(&mut self) {
        self.change().pause = None;
    }

    /// Ends a pause that is over.
    pub(super) fn end_pause(&mut self, now: Timestamp) {
        if let Some(Pause::Until(until)) = self.ledger.pause
            && until <= now
        {
            self.resume();
        }
    }

    /// Ends the holds that are over.
    pub(super) fn end_holds(&mut self, now: Timestamp) {
        let is_over = |hold: &Pause| hold.until().is_some_and(|until| until <= now);
        if self.ledger.holds.values().any(is_over) {
            self.change().holds.retain(|_, hold| !is_over(hold));
        }
    }

    /// Lays a hold on a volume. One that lies there lasts as long as this one from now on.
    pub(super) fn hold(&mut self, volume: &VolumeName, length: Pause) {
        if self.ledger.holds.get(volume) != Some(&length) {
            self.change().holds.insert(volume.clone(), length);
        }
    }

    pub(super) fn release(&mut self, volume: &VolumeName) {
        if self.ledger.holds.contains_key(volume) {
            self.change().holds.remove(volume);
        }
    }

    /// What a run of a sync saw holds it until a person approves, or a run sees it no longer.
    pub(super) fn hold_sync(&mut self, sync: &SyncName, reason: HoldReason, now: Timestamp) {
        let before = self.ledger.held.get(sync).filter(|before| before.reason.is_like(&reason));
        let since = before.map_or(now, |before| before.since);
        self.change().held.insert(sync.clone(), StandingHold { reason, since, looked: now });
    }

    /// What held a sync holds it no longer.
    pub(super) fn let_go(&mut self, sync: &SyncName) {
        if self.ledger.held.contains_key(sync) {
            self.change().held.remove(sync);
        }
    }

    /// The next run of a sync may delete these.
    pub(super) fn approve_deletions(&mut self, sync: &SyncName, paths: &PathSet) {
        self.change().approvals.insert(sync.clone(), paths.clone());
    }

    /// The next run of a sync may cut these down.
    pub(super) fn approve_cuts(&mut self, sync: &SyncName, paths: &PathSet) {
        self.change().approved_cuts.insert(sync.clone(), paths.clone());
    }

    /// Ends the approvals of a sync, if there were some: its run has used them.
    pub(super) fn end_approvals(&mut self, sync: &SyncName) {
        if self.ledger.approvals.contains_key(sync) || self.ledger.approved_cuts.contains_key(sync) {
            let ledger = self.change();
            ledger.approvals.remove(sync);
            ledger.approved_cuts.remove(sync);
        }
    }

    /// A run was held: ends what was approved for it, of the kind that it was held for all the same. Says whether a
    /// person approved meanwhile what it was held for.
    pub(super) fn outdates(&mut self, run: &Run, reason: &HoldReason) -> bool {
        let sync = &run.sync.name;
        let (paths, used, now) = match reason {
            HoldReason::Deletions { paths, .. } => (paths, &run.approved, self.ledger.approvals.get(sync)),
            HoldReason::CutDown { paths, .. } => (paths, &run.approved_cuts, self.ledger.approved_cuts.get(sync)),
            HoldReason::SourceIncomplete { .. } | HoldReason::ForeignWriter { .. } => return false,
        };
        let Some(now) = now else { return false };
        if Some(now) != used.as_ref() {
            return now.covers(paths);
        }
        match reason {
            HoldReason::Deletions { .. } => self.change().approvals.remove(sync),
            HoldReason::CutDown { .. } => self.change().approved_cuts.remove(sync),
            HoldReason::SourceIncomplete { .. } | HoldReason::ForeignWriter { .. } => None,
        };
        false
    }

    /// A volume may use this hardware.
    pub(super) fn accept_hardware(&mut self, volume: &VolumeName, hardware: Hardware) {
        self.learn_encryption(volume, &hardware);
        self.change().hardware.entry(volume.clone()).or_default().insert(hardware);
    }

    /// A volume was used as it is encrypted now: hardware of which nothing was known about that has this from now on.
    pub(super) fn learn_encryption(&mut self, volume: &VolumeName, seen: &Hardware) {
        let Some(known) = self.ledger.hardware.get(volume) else {
            if seen.is_bare() {
                self.change().hardware.insert(volume.clone(), [seen.clone()].into());
            }
            return;
        };
        let is_it = |known: &Hardware| seen.stranger(known).is_none();
        let marked = |known: &Hardware| if is_it(known) { known.with_marks_of(seen) } else { known.clone() };
        let marked: BTreeSet<Hardware> = known.iter().map(marked).collect();
        if marked != *known {
            self.change().hardware.insert(volume.clone(), marked);
        }
    }

    /// The id that a volume carries is the right one; or that it carries none.
    pub(super) fn accept_volume_id(&mut self, volume: &VolumeName, id: Option<&SentinelId>) {
        match id {
            Some(id) => self.change().volume_ids.insert(volume.clone(), id.clone()),
            None => self.change().volume_ids.remove(volume),
        };
    }

    /// The same for an end of a sync.
    pub(super) fn accept_end_id(&mut self, sync: &SyncName, end: End, id: Option<&SentinelId>) {
        let key = (sync.clone(), end);
        match id {
            Some(id) => self.change().end_ids.insert(key, id.clone()),
            None => self.change().end_ids.remove(&key),
        };
    }

    /// Learns the id of a volume that was seen for the first time.
    pub(super) fn learn_volume_id(&mut self, volume: &VolumeName, id: &SentinelId) {
        if !self.ledger.volume_ids.contains_key(volume) {
            self.accept_volume_id(volume, Some(id));
        }
    }

    /// The same for an end of a sync.
    pub(super) fn learn_end_id(&mut self, sync: &SyncName, end: End, id: &SentinelId) {
        if !self.ledger.end_ids.contains_key(&(sync.clone(), end)) {
            self.accept_end_id(sync, end, Some(id));
        }
    }

    /// Learns in which containers filesystems lie.
    pub(super) fn learn_containers(&mut self, mut seen: Vec<(DriveUuid, DriveUuid)>) {
        seen.retain(|(filesystem, container)| self.ledger.containers.get(filesystem) != Some(container));
        if !seen.is_empty() {
            Arc::make_mut(&mut self.change().containers).extend(seen);
        }
    }

    /// The LUKS containers in which the filesystems lay that drives are named by.
    pub(super) fn containers(&self) -> &Arc<Containers> {
        &self.ledger.containers
    }

    /// The destination of a sync may be this writer's.
    pub(super) fn accept_writer(&mut self, sync: &SyncName, writer: &str) {
        if !self.ledger.writers.get(sync).is_some_and(|known| known.contains(writer)) {
            self.change().writers.entry(sync.clone()).or_default().insert(writer.to_owned());
        }
    }

    /// A sync has copied what was mounted there below its source.
    pub(super) fn note_submounts(&mut self, sync: &SyncName, seen: &BTreeSet<PathBuf>) {
        let is_known = self.ledger.submounts.get(sync).map_or(seen.is_empty(), |known| known == seen);
        if !is_known {
            self.change().submounts.insert(sync.clone(), seen.clone());
        }
    }

    /// What was mounted there is gone for good.
    pub(super) fn forget_submounts(&mut self, sync: &SyncName, gone: &BTreeSet<PathBuf>) {
        if let Some(known) = self.change().submounts.get_mut(sync) {
            known.retain(|path| !gone.contains(path));
        }
    }

    /// A sync has copied between these places.
    pub(super) fn note_copied(&mut self, sync: &SyncName, places: &Places) {
        if self.ledger.copied.get(sync) != Some(places) {
            self.change().copied.insert(sync.clone(), places.clone());
        }
    }

    /// What is known to be damaged in the copies of a sync.
    pub(super) fn damage_of(&self, sync: &SyncName) -> Damage {
        self.ledger.damaged.get(sync).cloned().unwrap_or_default()
    }

    /// A check of a sync has found this; the next sample begins there.
    pub(super) fn note_check(&mut self, report: &CheckReport, share: SampleShare, turn: u8) {
        let sync = &report.sync;
        let damage = checking::known_damage(self.damage_of(sync), report, share);
        let ledger = self.change();
        ledger.turns.insert(sync.clone(), turn);
        if damage == Damage::default() {
            ledger.damaged.remove(sync);
        } else {
            ledger.damaged.insert(sync.clone(), damage);
        }
    }

    /// How far the checks of a sync are that are made by themselves.
    pub(super) fn rounds_of(&self, sync: &SyncName) -> CheckRounds {
        self.ledger.rounds.get(sync).cloned().unwrap_or_default()
    }

    pub(super) fn note_rounds(&mut self, sync: &SyncName, rounds: CheckRounds) {
        self.change().rounds.insert(sync.clone(), rounds);
    }

    /// A run has written these files of a sync anew.
    pub(super) fn note_mended(&mut self, sync: &SyncName, mended: &BTreeSet<PathBuf>) {
        if mended.is_empty() || !self.ledger.damaged.contains_key(sync) {
            return;
        }
        let ledger = self.change();
        if let Some(damage) = ledger.damaged.get_mut(sync) {
            damage.paths.retain(|path| !mended.contains(path));
            if *damage == Damage::default() {
                ledger.damaged.remove(sync);
            }
        }
    }

    /// These syncs are known, each between these directories; of the others it is forgotten.
    pub(super) fn note_known(&mut self, syncs: &BTreeMap<SyncName, String>, now: Timestamp) {
        let is_known = |name: &SyncName, roots: &String| {
            self.ledger.known.get(name).is_some_and(|(since, known)| known == roots && *since <= now)
        };
        let new: Vec<_> = syncs.iter().filter(|(name, roots)| !is_known(name, roots)).collect();
        if !new.is_empty() || self.ledger.known.len() > syncs.len() {
            let known = &mut self.change().known;
            known.extend(new.into_iter().map(|(name, roots)| (name.clone(), (now, roots.clone()))));
            known.retain(|name, _| syncs.contains_key(name));
        }
    }

    /// Since when a sync has been known.
    pub(super) fn known_since(&self, sync: &SyncName) -> Option<Timestamp> {
        self.ledger.known.get(sync).map(|(since, _)| *since)
    }

    /// A success, a hold and a person's word count for the places that they were about: forgets those of others, and
    /// says whether a sync still leads where it copied. What is forgotten here is found out again by the next daemon,
    /// and is written down with the next change.
    pub(super) fn settle_for(&mut self, sync: &SyncName, places: Places) -> Kinship {
        let Some(copied) = self.ledger.copied.get_mut(sync) else { return Kinship::Same };
        let kinship = copied.kinship(&places);
        match kinship {
            Kinship::Same => {}
            // An earlier version did not write down which server that was. That there is a copy is believed this once:
            // at worst the first one at another server waits until it would be due. That files may be deleted is not.
            Kinship::Unknown => {
                copied.servers = places.servers;
                self.ledger.approvals.remove(sync);
                self.ledger.approved_cuts.remove(sync);
            }
            Kinship::Other => {
                self.ledger.damaged.remove(sync);
                self.ledger.rounds.remove(sync);
                // Another writer was let in at the destination that is left.
                self.ledger.writers.remove(sync);
                self.ledger.held.remove(sync);
                self.ledger.submounts.remove(sync);
                self.ledger.approvals.remove(sync);
                self.ledger.approved_cuts.remove(sync);
            }
        }
        kinship
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_is_written_once_and_what_does_not_never() {
        let mut decisions = Decisions::new(Ledger::default());
        let usb = "usb".parse().unwrap();
        assert!(decisions.take_unwritten().is_none());
        decisions.hold(&usb, Pause::UntilResumed);
        decisions.pause(Pause::UntilResumed);
        let written = decisions.take_unwritten().unwrap();
        assert!(written.holds.contains_key(&usb) && written.pause == Some(Pause::UntilResumed));
        decisions.hold(&usb, Pause::UntilResumed);
        decisions.end_pause(Timestamp::MAX);
        decisions.end_holds(Timestamp::MAX);
        decisions.end_approvals(&"photos".parse().unwrap());
        decisions.learn_containers(Vec::new());
        assert!(decisions.take_unwritten().is_none());

        let (photos, now) = ("photos".parse().unwrap(), |second| Timestamp::from_second(second).unwrap());
        let at = |roots: &str| BTreeMap::from([("photos".parse().unwrap(), roots.to_owned())]);
        decisions.note_known(&at("/a -> /b"), now(5));
        assert!(decisions.take_unwritten().is_some());
        decisions.note_known(&at("/a -> /b"), now(7));
        assert_eq!((decisions.known_since(&photos), decisions.take_unwritten()), (Some(now(5)), None));
        decisions.note_known(&at("/a -> /c"), now(8));
        assert_eq!(decisions.known_since(&photos), Some(now(8)), "a copy elsewhere is another one");
        decisions.note_known(&at("/a -> /c"), now(3));
        assert_eq!(decisions.known_since(&photos), Some(now(3)), "the clock was set back");
        decisions.note_known(&BTreeMap::new(), now(9));
        assert_eq!(decisions.known_since(&photos), None);
    }
}
