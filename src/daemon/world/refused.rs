//! That a drive could not be opened, and when it is tried again.

use crate::decide::backoff;
use crate::model::{BootTime, Now, OpeningTrouble, Remedy};

/// That a drive could not be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) trouble: OpeningTrouble,
    /// When it is tried again.
    pub(super) until: BootTime,
    /// How often it was tried.
    pub(super) tries: u32,
    tried: BootTime,
}

impl Refused {
    /// It was tried now, for this many times.
    pub(super) fn new(trouble: OpeningTrouble, tries: u32, jitter: u16, now: &Now) -> Self {
        let wait = match trouble {
            OpeningTrouble::KeyringLocked(_)
            | OpeningTrouble::MissingOrLocked(_)
            | OpeningTrouble::KeyringAbsent(_)
            | OpeningTrouble::Damaged { .. } => backoff::wait_for_obstacle(u32::MAX),
            OpeningTrouble::NoSecret(..) | OpeningTrouble::WrongSecret(_) | OpeningTrouble::NotAuthorized(_) => {
                backoff::wait(tries, Remedy::AskPerson, jitter)
            }
            OpeningTrouble::NoUdisks(_) | OpeningTrouble::OutOfReach(_) | OpeningTrouble::Other(_) => {
                backoff::wait(tries, Remedy::TryAgain, jitter)
            }
        };
        Self { trouble, until: now.boot.after(wait), tries, tried: now.boot }
    }

    /// A secret may be within reach now that was not, or be another.
    pub(super) fn keyring_changed(&mut self, now: &Now) {
        if self.waits_for_keyring() {
            self.until = now.boot;
        } else if self.depends_on_keyring() {
            self.may_be_mended();
        }
    }

    /// The same while it was tried: what was asked of the keyring may have been asked too early.
    pub(super) fn keyring_changed_meanwhile(&mut self) {
        if self.depends_on_keyring() {
            self.may_be_mended();
        }
    }

    /// Block devices changed, as they do when whoever wrote to one lets go of it: a filesystem may have been mended.
    pub(super) fn blocks_changed(&mut self) {
        if let OpeningTrouble::Damaged { .. } = self.trouble {
            self.may_be_mended();
        }
    }

    /// Whether what a keyring holds may change it.
    pub(super) fn depends_on_keyring(&self) -> bool {
        let by_secret = matches!(self.trouble, OpeningTrouble::NoSecret(..) | OpeningTrouble::WrongSecret(_));
        by_secret || self.waits_for_keyring()
    }

    fn waits_for_keyring(&self) -> bool {
        matches!(
            self.trouble,
            OpeningTrouble::KeyringLocked(_) | OpeningTrouble::MissingOrLocked(_) | OpeningTrouble::KeyringAbsent(_)
        )
    }

    /// It is tried sooner, but ever later where that mends nothing.
    fn may_be_mended(&mut self) {
        self.until = self.until.min(self.tried.after(backoff::wait_for_obstacle(self.tries)));
    }
}
