//! Opens and closes drives.
//!
//! What will be changed is written down first, and forgotten when it is undone. Whatever happens in between, the next
//! closing (or the next daemon) finds there what is left to do.

mod here;
pub mod order;
mod there;
pub mod unlock;

use std::path::Path;
use std::time::Duration;

use crate::backup::drives::order::{Closer, Closing, ClosingSite, DriveNews, DriveOrder, Opening, Sake, Site};
use crate::formats::ssh::drive::Meant;
use crate::model::{Held, HeldAt, Left, OpeningTrouble, Undo};
use crate::os::causes::chain;
use crate::os::directory::ChangeMade;
use crate::os::held;
use crate::os::ssh::SshPlace;

/// How long a drive may be in use before it counts: a file manager or a look of ours may have it open for a moment.
const UNTIL_BUSY: Duration = Duration::from_secs(5);
const PAUSE: Duration = Duration::from_millis(50);

/// What is told of a container in which the filesystem is not that the configuration names.
const ANOTHER: &str = "what is in its LUKS container is another filesystem than `drive` says";

/// Carries out an order, which may take as long as a slow drive or a far server.
#[must_use]
pub fn carry_out(order: DriveOrder, state_dir: &Path, ssh: &SshPlace) -> DriveNews {
    match order {
        DriveOrder::Open(opening) => DriveNews::Opened(opening.volume.clone(), open(&opening, state_dir, ssh)),
        DriveOrder::Close(closing) => {
            let (left, closer) = close(&closing, state_dir, ssh);
            DriveNews::Closed(closing.volume, left, closer)
        }
    }
}

fn open(opening: &Opening, state_dir: &Path, ssh: &SshPlace) -> Result<(), OpeningTrouble> {
    match &opening.site {
        Site::Here { device, disk_seq } => here::open(opening, (*device, *disk_seq), state_dir),
        Site::There { server, container, routes } => {
            there::open(opening, (server, container.as_ref(), routes), state_dir, ssh)
        }
    }
}

fn close(closing: &Closing, state_dir: &Path, ssh: &SshPlace) -> (Left, Closer) {
    let held = match held::find(state_dir, &closing.volume) {
        Ok(held) => held,
        Err(error) => return (Left::Stuck(format!("could not {}", chain(&error))), Closer::Us),
    };
    // What was done elsewhere is the business of whoever closes it there.
    let held = held.filter(|held| match (&held.at, &closing.site) {
        (HeldAt::Here { .. }, ClosingSite::Here(_)) => true,
        (HeldAt::There { .. }, ClosingSite::There { uuid, .. }) => held.uuid == *uuid,
        (HeldAt::Here { .. }, ClosingSite::There { .. }) | (HeldAt::There { .. }, ClosingSite::Here(_)) => false,
    });
    let (left, closer) = match &closing.site {
        ClosingSite::Here(device) => here::close(closing, *device, held.as_ref()),
        ClosingSite::There { uuid, container, routes } => {
            let any = Meant { uuid: uuid.clone(), container: container.clone(), medium: None };
            there::close(closing, (any, routes), held.as_ref(), ssh)
        }
    };
    match (&left, held) {
        (Left::InUse(_) | Left::Stuck(_) | Left::OutOfReach(_), _) | (_, None) => {}
        (Left::AsFound | Left::Safe(_) | Left::Shared(_) | Left::Gone, Some(held)) => {
            if let Err(error) = held::forget(state_dir, &held.volume) {
                let (volume, cause) = (&held.volume, error.cause());
                tracing::warn!(nbkp.volume = %volume, "could not {error}: {cause}");
            }
        }
    }
    (left, closer)
}

/// What an opening changes, as it is written down.
struct Changes<'a> {
    held: Held,
    sake: Sake,
    state_dir: &'a Path,
}

impl<'a> Changes<'a> {
    /// Writes down what is about to be changed.
    fn new(opening: &Opening, at: HeldAt, undo: Undo, state_dir: &'a Path) -> Self {
        let held = Held { volume: opening.volume.clone(), uuid: opening.drive.uuid.clone(), at, undo };
        // What is open already keeps its own entry: this opening found it so.
        let changes = Self { held, sake: opening.sake, state_dir };
        if undo != Undo::Nothing {
            changes.write();
        }
        changes
    }

    /// Writes down what was changed. What others mounted at the same moment is theirs, unless it was us who unlocked it;
    /// and what a person asked for is the person's.
    fn settle(&mut self, mounted: ChangeMade) {
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
