//! Accounts in the words of the user database: that of this process, and others.

use std::io;

use nix::unistd::{Uid, User, geteuid};

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
    name_of(geteuid().as_raw())
}

/// The name of an account.
pub fn name_of(user: u32) -> Result<String, AccountError> {
    match User::from_uid(Uid::from_raw(user)) {
        Ok(Some(found)) => Ok(found.name),
        Ok(None) => Err(AccountError::Unknown(user)),
        Err(error) => Err(AccountError::LookUp(user, error.into())),
    }
}
