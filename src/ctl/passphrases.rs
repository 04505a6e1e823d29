//! How a passphrase gets where the daemon looks for it.

use crate::model::{CredentialProvider, Storing};
use crate::os::environment;

/// How the passphrase of a drive gets where the daemon looks for it, under the name of its credential.
pub(super) fn storing(provider: &CredentialProvider, drive: &str, credential: &str) -> Storing {
    Storing::Words(match provider {
        CredentialProvider::SecretService => {
            return Storing::Command(format!(
                "secret-tool store --label='Backup drive {drive}' service nbkp id {credential}"
            ));
        }
        CredentialProvider::Command(_) => {
            format!("let the `command` of [credentials] print the passphrase of `{drive}` for the id `{credential}`")
        }
        CredentialProvider::File => match environment::own_credentials() {
            Ok(place) => {
                format!("write the passphrase of `{drive}` into {}, with mode 600", place.join(credential).display())
            }
            Err(_) => format!("write the passphrase of `{drive}` into the file `{credential}` of your credentials"),
        },
        CredentialProvider::Environment => format!(
            "give nbkpd the passphrase of `{drive}` in NBKP_CREDENTIAL_{}",
            credential.to_ascii_uppercase().replace(['-', '.'], "_")
        ),
    })
}
