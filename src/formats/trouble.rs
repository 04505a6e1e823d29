//! What became of an unlocking, as the line by which the helper process tells it.

use crate::model::{CredentialName, OpeningTrouble};

/// Writes the line.
#[must_use]
pub fn to_line(result: &Result<(), OpeningTrouble>) -> String {
    let (word, detail) = match result {
        Ok(()) => ("opened", ""),
        Err(OpeningTrouble::KeyringLocked(_)) => ("keyring-locked", ""),
        Err(OpeningTrouble::MissingOrLocked(_)) => ("missing-or-locked", ""),
        Err(OpeningTrouble::KeyringAbsent(_)) => ("keyring-absent", ""),
        Err(OpeningTrouble::NoSecret(_, why)) => ("no-secret", why.as_str()),
        Err(OpeningTrouble::WrongSecret(_)) => ("wrong-secret", ""),
        Err(OpeningTrouble::NotAuthorized(what)) => ("not-authorized", what.as_str()),
        Err(OpeningTrouble::NoUdisks(why)) => ("no-udisks", why.as_str()),
        Err(OpeningTrouble::Damaged { why, .. } | OpeningTrouble::Other(why)) => ("other", why.as_str()),
        Err(OpeningTrouble::OutOfReach(fault)) => {
            return format!("other {}\n", fault.to_string().replace(char::is_control, " "));
        }
    };
    format!("{word} {}\n", detail.replace(char::is_control, " "))
}

/// Reads the line; `None` if it is none. `name` is the credential that was asked for.
#[must_use]
pub fn from_line(line: &str, name: &CredentialName) -> Option<Result<(), OpeningTrouble>> {
    let (word, detail) = line.trim_end_matches('\n').split_once(' ')?;
    let (name, detail) = (name.clone(), detail.to_owned());
    Some(match word {
        "opened" => Ok(()),
        "keyring-locked" => Err(OpeningTrouble::KeyringLocked(name)),
        "missing-or-locked" => Err(OpeningTrouble::MissingOrLocked(name)),
        "keyring-absent" => Err(OpeningTrouble::KeyringAbsent(name)),
        "no-secret" => Err(OpeningTrouble::NoSecret(name, detail)),
        "wrong-secret" => Err(OpeningTrouble::WrongSecret(name)),
        "not-authorized" => Err(OpeningTrouble::NotAuthorized(detail)),
        "no-udisks" => Err(OpeningTrouble::NoUdisks(detail)),
        "other" => Err(OpeningTrouble::Other(detail)),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let name: CredentialName = "usb".parse().unwrap();
        let why = || "it is so".to_owned();
        for ended in [
            Ok(()),
            Err(OpeningTrouble::KeyringLocked(name.clone())),
            Err(OpeningTrouble::MissingOrLocked(name.clone())),
            Err(OpeningTrouble::KeyringAbsent(name.clone())),
            Err(OpeningTrouble::NoSecret(name.clone(), why())),
            Err(OpeningTrouble::WrongSecret(name.clone())),
            Err(OpeningTrouble::NotAuthorized(why())),
            Err(OpeningTrouble::NoUdisks(why())),
            Err(OpeningTrouble::Other(why())),
        ] {
            assert_eq!(from_line(&to_line(&ended), &name), Some(ended));
        }
        for other in ["", "opened", "else x\n"] {
            assert_eq!(from_line(other, &name), None);
        }
        assert_eq!(to_line(&Err(OpeningTrouble::Other("two\nlines".into()))), "other two lines\n");
    }
}
