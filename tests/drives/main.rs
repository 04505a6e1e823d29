//! Drives that are opened and closed, on mini hosts with their real neighbours: udisksd, polkitd, gnome-keyring; and
//! served ones for what these cannot do here.
#![expect(clippy::disallowed_methods, reason = "tests start programs, read the environment and watch the time")]

// The gates make clippy know that all of this is test code.
#[cfg(test)]
#[path = "../bus/mod.rs"]
mod bus;
#[cfg(test)]
#[path = "../bus/keyring.rs"]
mod keyring;
#[cfg(test)]
#[path = "../bus/luks.rs"]
mod luks;
#[cfg(test)]
#[path = "../mini/mod.rs"]
mod mini;
#[cfg(test)]
#[path = "../common/required.rs"]
mod required;
#[cfg(test)]
#[path = "../bus/storage.rs"]
mod storage;

#[cfg(test)]
mod scripts;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod udisks;
