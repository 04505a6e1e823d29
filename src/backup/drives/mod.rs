//! Opens and closes drives.
//!
//! What will be changed is written down first, and forgotten when it is undone. Whatever happens in between, the next
//! closing (or the next daemon) finds there what is left to do.

mod changes;
mod here;
pub mod order;
mod there;
pub mod unlock;

use std::path::Path;

use crate::backup::drives::order::{Closer, Closing, ClosingSite, DriveNews, DriveOrder, Opening, Site};
use crate::formats::ssh::drive::Meant;
use crate::model::{HeldAt, Left, OpeningTrouble};
use crate::os::causes::chain;
use crate::os::held;
use crate::os::ssh::SshPlace;

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
