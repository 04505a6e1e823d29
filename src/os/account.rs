//! The account that this process runs as, in the words of the user database.

use std::io;

use nix::unistd::{User, geteuid};

/// Why the account has no name.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The user database cannot be asked.
    #[error("look up the name of user {0}")]
    LookUp(u32, #[source] io::Error),
    /// It does not know the user.
    #[error("look up the name of user {0}: the user database does not have it")]
    Unknown(u32),
}

/// The name of the account that this process runs as.
pub fn own_name() -> Result<String, AccountError> {
    let user = geteuid();
    match User::from_uid(user) {
        Ok(Some(found)) => Ok(found.name),
        Ok(None) => Err(AccountError::Unknown(user.as_raw())),
        Err(error) => Err(AccountError::LookUp(user.as_raw(), error.into())),
    }
}
