//! What an opening changes at a drive, here or at a server, and what both wait for.

use std::path::Path;
use std::time::Duration;

use crate::backup::drives::order::{Opening, Sake};
use crate::model::{Held, HeldAt, Undo, WhenDone};
use crate::os::directory::ChangeMade;
use crate::os::held;

/// How long a drive may be in use before it counts: a file manager or a look of ours may have it open for a moment.
pub(super) const UNTIL_BUSY: Duration = Duration::from_secs(5);
/// How long to wait before it is tried again.
pub(super) const PAUSE: Duration = Duration::from_millis(50);

/// What is told of a container in which the filesystem is not that the configuration names.
pub(super) const ANOTHER: &str = "what is in its LUKS container is another filesystem than `drive` says";

/// Whether a closing locks the container again: because we unlocked it, or because that is wanted.
pub(super) fn locks(undo: Undo, then: WhenDone) -> bool {
    undo == Undo::Lock || matches!(then, WhenDone::Lock | WhenDone::PowerOff)
}

/// What an opening changes, as it is written down.
pub(super) struct Changes<'a> {
    held: Held,
    sake: Sake,
    state_dir: &'a Path,
}

impl<'a> Changes<'a> {
    /// Writes down what is about to be changed.
    pub(super) fn new(opening: &Opening, at: HeldAt, undo: Undo, state_dir: &'a Path) -> Self {
        let held = Held { volume: opening.volume.clone(), uuid: opening.drive.uuid.clone(), at, undo };
        // What is open already keeps its own entry: this opening found it so.
        let changes = Self { held, sake: opening.sake, state_dir };
        if undo != Undo::Nothing {
            changes.write();
        }
        changes
    }

    /// Writes down what was changed. What others mounted at the same moment is theirs, unless it was us who unlocked
    /// it; and what a person asked for is the person's.
    pub(super) fn settle(&mut self, mounted: ChangeMade) {
        let volume = &self.held.volume;
        let forgotten = match (self.sake, self.held.undo, mounted) {
            (Sake::Person, ..) | (Sake::Runs, Undo::Unmount, ChangeMade::AlreadySo) => {
                held::forget(self.state_dir, volume)
            }
            (Sake::Runs, Undo::Nothing | Undo::Unmount | Undo::Lock, _) => Ok(()),
        };
        if let Err(error) = forgotten {
            let cause = error.cause();
            tracing::warn!(nbkp.volume = %volume, "the next start closes drive `{volume}`: could not {error}: {cause}");
        }
    }

    /// A backup is worth more than knowing, after a crash, that the drive has to be closed.
    fn write(&self) {
        if let Err(error) = held::write(self.state_dir, &self.held) {
            let (volume, cause) = (&self.held.volume, error.cause());
            tracing::warn!(
                nbkp.volume = %volume,
                "if nbkpd is killed now, drive `{volume}` stays open: could not {error}: {cause}"
            );
        }
    }
}
