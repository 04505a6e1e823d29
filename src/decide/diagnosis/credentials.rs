//! Passphrases: whether they are where the configuration says. None is ever fetched for this.

use crate::model::{Area, CredentialName, Examined, Flaw, SecretSight, Verdict};

/// A passphrase.
#[must_use]
pub fn passphrase(name: &CredentialName, sight: &SecretSight) -> Examined {
    let store = format!("store it: `secret-tool store --label='nbkp {name}' service nbkp id {name}`");
    let verdict = match sight {
        SecretSight::There(how) => Verdict::Well(how.clone()),
        SecretSight::Locked => Flaw::KeyringLocked
            .warning(
                format!("the keyring that keeps passphrase `{name}` is locked"),
                "unlock your keyring; it goes on by itself",
            )
            .into(),
        SecretSight::MissingOrLocked => Flaw::KeyringLocked
            .warning(
                format!("no open keyring has passphrase `{name}`, and one is locked"),
                format!("unlock your keyring, and run `nbkpctl doctor` again; if it is not in there, {store}"),
            )
            .into(),
        SecretSight::Missing(why) => Flaw::CredentialMissing
            .error(format!("passphrase `{name}` is not there: {why}"), missing(name, why, store))
            .into(),
        SecretSight::Exposed(why, command) => Flaw::CredentialExposed
            .error(format!("passphrase `{name}` must not be used as it is: {why}"), format!("run `{command}`"))
            .into(),
        SecretSight::NoKeyring(why) => Flaw::KeyringAbsent
            .warning(
                format!("no keyring is there that could keep passphrase `{name}`: {why}"),
                "log in to your desktop, or choose another `provider` in [credentials]",
            )
            .into(),
    };
    Area::Credentials.examined(name.as_str(), verdict)
}

/// What to do depends on where it should be, which the reason names.
fn missing(name: &CredentialName, why: &str, store: String) -> String {
    if why.contains("keyring") {
        store
    } else {
        format!("put it there, or choose another `provider` in [credentials] for `{name}`")
    }
}
