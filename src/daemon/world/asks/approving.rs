//! What a person approves: what a guard stopped, what is another thing than before, a restore that stays as it is.

use std::path::Path;

use crate::daemon::messages::ask::Refusal;
use crate::daemon::world::World;
use crate::daemon::world::plan::Outlook;
use crate::model::{
    End, EndSight, HalfRestored, HoldReason, Obstacle, Place, RestoreKey, RestoreStage, Sync, SyncName, layout,
};

impl World {
    pub(super) fn approve(&mut self, asked: &SyncName) -> Result<Vec<String>, Refusal> {
        let mut approved = Vec::new();
        for name in self.settings.resolve(std::slice::from_ref(asked))? {
            let Some(sync) = self.settings.configuration().syncs.get(&name).cloned() else { continue };
            let prospect = self.plan.prospects().get(&name);
            let obstacles: Vec<Obstacle> = prospect.into_iter().flat_map(Outlook::obstacles).cloned().collect();
            for obstacle in obstacles {
                if let Some(sentence) = self.approve_one(&sync, obstacle)? {
                    // Several restores to one place are one to who approves.
                    if !approved.contains(&sentence) {
                        approved.push(sentence);
                    }
                    // What was found in the way on a drive that is closed meanwhile is in the way no longer.
                    self.histories.forget_found(&name);
                }
            }
        }
        Ok(approved)
    }

    /// Accepts what one obstacle asks a person about, and says what that means.
    fn approve_one(&mut self, sync: &Sync, obstacle: Obstacle) -> Result<Option<String>, Refusal> {
        let name = &sync.name;
        if let Obstacle::Held(hold) = obstacle {
            self.decisions.let_go(name);
            Ok(Some(self.allow(name, &hold.reason)))
        } else if let Obstacle::Unrestored(HalfRestored { place, command, stage: RestoreStage::Cut, .. }) = obstacle {
            let key = RestoreKey { place, command };
            self.decisions.accept_unrestored(name, &key);
            let place = key.place.display();
            Ok(Some(format!(
                "the source of `{name}` counts as it is, whatever the restore to {place} did not bring back: what is \
                 missing leaves the copy with the next run, as far as `guard` allows"
            )))
        } else if let Obstacle::DeviceUnknown { volume, hardware, .. } = obstacle {
            let sentence = format!("volume `{volume}` may use the hardware {hardware}");
            self.decisions.accept_hardware(&volume, hardware);
            Ok(Some(sentence))
        } else if let Obstacle::SentinelMismatch { end, path } = obstacle {
            let place = if end == End::Source { &sync.source } else { &sync.destination };
            if !self.is_seen(name, end, place, &path) {
                let volume = &place.volume;
                let why = format!("read the id in {}: volume `{volume}` is not open now", path.display());
                let remedy = format!("run `nbkpctl mount {volume}`, and approve `{name}` then");
                return Err(Refusal::Failed(format!("could not {why}; {remedy}")));
            }
            self.accept_ids(name, end, place);
            Ok(Some(format!("the {end} of `{name}` is the place with the id in {}", path.display())))
        } else {
            Ok(None)
        }
    }

    /// Allows what a guard saw, and says what that means.
    fn allow(&mut self, name: &SyncName, seen: &HoldReason) -> String {
        match seen {
            HoldReason::Deletions { paths, .. } => {
                self.decisions.approve_deletions(name, paths);
                let count = paths.count();
                format!("the next run of `{name}` may delete the {count} files that it was held for, and no others")
            }
            HoldReason::CutDown { paths, .. } => {
                self.decisions.approve_cuts(name, paths);
                let count = paths.count();
                format!("the next run of `{name}` may cut down the {count} files that it was held for, and no others")
            }
            HoldReason::ForeignWriter { writer, here } => {
                self.decisions.accept_writer(name, &writer.id);
                format!("`{here}` may write the destination of `{name}` after `{}`", writer.host)
            }
            HoldReason::SourceIncomplete { missing } => {
                self.decisions.forget_submounts(name, missing);
                let gone: Vec<_> = missing.iter().map(|path| format!("`{}`", path.display())).collect();
                format!(
                    "nothing needs to be mounted any more at {} below the source of `{name}`; what the copy has of it \
                     is treated like anything else that is gone, as far as `guard` allows",
                    gone.join(", ")
                )
            }
        }
    }

    /// Whether the id in a sentinel can be read now: a drive may be closed since.
    fn is_seen(&self, sync: &SyncName, end: End, place: &Place, sentinel: &Path) -> bool {
        if sentinel.ends_with(layout::VOLUME_SENTINEL) {
            self.volumes.get(&place.volume).is_some_and(|state| state.sight.proven_id().is_some())
        } else {
            self.volumes.ends(sync).is_some_and(|ends| matches!(ends.at(end), EndSight::Ready { .. }))
        }
    }

    /// Takes the ids that the sentinels of a place carry now for the right ones.
    pub(super) fn accept_ids(&mut self, sync: &SyncName, end: End, place: &Place) {
        if let Some(id) = self.volumes.get(&place.volume).and_then(|state| state.sight.proven_id()) {
            self.decisions.accept_volume_id(&place.volume, id);
        }
        match self.volumes.ends(sync).map(|ends| ends.at(end)) {
            Some(EndSight::Ready { id }) => self.decisions.accept_end_id(sync, end, id.as_ref()),
            Some(EndSight::Unseen | EndSight::Faulty(_)) | None => {}
        }
    }
}
