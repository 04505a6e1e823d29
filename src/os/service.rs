//! The service manager: `sd_notify(3)`. Without one, every word goes nowhere, and that is fine.

use std::time::Duration;

use sd_notify::NotifyState;

/// Something to tell the service manager.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Word<'a> {
    /// Start-up is complete.
    Ready,
    /// The configuration is read anew; `Ready` follows.
    Reloading,
    /// The daemon is ending.
    Stopping,
    /// What it does at the moment, as a sentence.
    Status(&'a str),
    /// It is alive.
    Alive,
}

/// Tells the service manager. It may have gone away or never have been there; backups do not depend on it.
pub fn tell(word: Word<'_>) {
    let states = match word {
        Word::Ready => vec![NotifyState::Ready],
        Word::Reloading => {
            let mut states = vec![NotifyState::Reloading];
            states.extend(NotifyState::monotonic_usec_now());
            states
        }
        Word::Stopping => vec![NotifyState::Stopping],
        Word::Status(sentence) => vec![NotifyState::Status(sentence)],
        Word::Alive => vec![NotifyState::Watchdog],
    };
    let _ = sd_notify::notify(&states);
}

/// How often the service manager wants a sign of life: half of its `WATCHDOG_USEC`.
#[must_use]
pub fn watchdog_interval() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}
