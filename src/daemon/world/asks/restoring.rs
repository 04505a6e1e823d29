//! A restore that is about to go into the sources of syncs.

use crate::daemon::messages::ask::Refusal;
use crate::daemon::world::World;
use crate::model::{Obstacle, RestoreKey, UnfinishedRestore};

impl World {
    /// These syncs wait for it from now on. A run that is under way would not: it may have seen by now what is missing
    /// at its source, and would delete that from the copy however much comes back meanwhile.
    pub(super) fn begin_restore(&mut self, key: RestoreKey, restore: UnfinishedRestore) -> Result<(), Refusal> {
        let (mut running, place) = (self.runs.with_left_behind(), key.place.display());
        if let Some((sync, _)) = running.find(|(sync, _)| restore.syncs.contains(*sync)) {
            let how = if self.runs.get(sync).is_some() {
                format!("wait until that has ended, or stop it (`nbkpctl cancel {sync}`), and say it again")
            } else {
                let stuck = Obstacle::Stuck(sync.clone());
                format!("{stuck}: {}", stuck.hint(sync))
            };
            return Err(Refusal::Failed(format!(
                "nothing is restored to {place} yet, since `{sync}` is copying from there and would take what is half \
                 there for all there is; {how}"
            )));
        }
        drop(running);
        self.decisions.restore_begins(key, restore);
        Ok(())
    }
}
