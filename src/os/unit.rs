//! The service of the daemon: found with the service manager, or put there, and enabled by it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::causes::chain;
use super::directory::Directory;
use super::environment;
use super::files::{self, Readers};
use super::guards;
use super::process::Ended;
use super::programs;
use super::telling::told_within;

/// How long the service manager may take: the daemon says when it is ready.
const PATIENCE: Duration = Duration::from_secs(30);
/// The name of the service.
const NAME: &str = "nbkpd.service";
/// The service of a user, as it is installed.
const OF_A_USER: &str = include_str!("../../systemd/nbkpd.service");
/// The service of the machine.
const OF_THE_MACHINE: &str = include_str!("../../systemd/nbkpd-system.service");
/// Where packages put the daemon.
const INSTALLED: &str = "/usr/bin/nbkpd";

/// How the service stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UnitState {
    /// It was enabled and runs already.
    WasOn,
    /// It was enabled and started.
    IsOn {
        /// The file that was written, if there was no service of this name.
        written: Option<PathBuf>,
    },
}

/// Why it was not enabled.
#[derive(Debug, thiserror::Error)]
pub enum UnitError {
    /// There is no service manager that could be asked.
    #[error("no service manager of yours answers")]
    NoManager,
    /// The daemon is not where it could be started from.
    #[error("the program nbkpd is not found beside nbkpctl, nor in PATH")]
    NoProgram,
    /// Others could put another program in its place.
    #[error("{} lies where others may write, and root would run it; install it as {INSTALLED}", .0.display())]
    Exposed(PathBuf),
    /// The file could not be written.
    #[error("could not {0}")]
    Write(String),
    /// The service manager says no.
    #[error("`{0}` did not work")]
    Refused(String),
}

/// Puts the service there if there is none, enables it and starts it.
pub fn enable() -> Result<UnitState, UnitError> {
    let systemctl = programs::find_program("systemctl").ok_or(UnitError::NoManager)?;
    let whose: &[&str] = if environment::is_root() { &[] } else { &["--user"] };
    let ask = |words: &[&str]| {
        let words: Vec<OsString> = whose.iter().chain(words).map(OsString::from).collect();
        let ended = told_within(PATIENCE, systemctl.clone(), words, programs::session_environment());
        matches!(ended, Ok((Ended::Code(0), _)))
    };
    if !ask(&["show", "--property=Version"]) {
        return Err(UnitError::NoManager);
    }
    if ask(&["is-enabled", "--quiet", NAME]) && ask(&["is-active", "--quiet", NAME]) {
        return Ok(UnitState::WasOn);
    }
    let written = if ask(&["cat", NAME]) { None } else { Some(install()?) };
    if written.is_some() && !ask(&["daemon-reload"]) {
        return Err(UnitError::Refused(super::service::command("daemon-reload")));
    }
    if ask(&["enable", "--now", NAME]) {
        Ok(UnitState::IsOn { written })
    } else {
        Err(UnitError::Refused(super::service::command("enable --now")))
    }
}

fn install() -> Result<PathBuf, UnitError> {
    let program = programs::own_program("nbkpd").ok_or(UnitError::NoProgram)?;
    let unit = if environment::is_root() {
        if guards::prove_way(&program).is_err() {
            return Err(UnitError::Exposed(program));
        }
        OF_THE_MACHINE
    } else {
        OF_A_USER
    };
    let place = environment::unit_directory().map_err(|error| UnitError::Write(chain(&error)))?;
    let write = || {
        super::entry::make_directories(&place)?;
        files::write_durably(&Directory::open_root(&place)?, NAME, with(unit, &program).as_bytes(), Readers::All)
    };
    write().map_err(|error| UnitError::Write(chain(&error)))?;
    Ok(place.join(NAME))
}

/// A unit that starts this program.
fn with(unit: &str, program: &Path) -> String {
    let program = program.display().to_string();
    // `%` stands for something in units, and blanks part words (systemd.service(5)).
    let escaped = program.replace('%', "%%").replace('\\', "\\\\").replace('"', "\\\"").replace('$', "$$");
    let quoted = if escaped == program && !program.contains(' ') { program } else { format!("\"{escaped}\"") };
    unit.replace(&format!("ExecStart={INSTALLED}"), &format!("ExecStart={quoted}"))
}

/// Whether the processes of the account with this name outlive its sessions (`loginctl enable-linger`).
#[must_use]
pub fn lingers(account: &str) -> bool {
    Path::new("/var/lib/systemd/linger").join(account).exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_starts_the_program_that_is_there() {
        let line = |program: &str| {
            let unit = with(OF_A_USER, Path::new(program));
            let line = unit.lines().find(|line| line.starts_with("ExecStart=")).map(str::to_owned);
            line.unwrap()
        };
        assert_eq!(line(INSTALLED), "ExecStart=/usr/bin/nbkpd");
        assert_eq!(line("/opt/nbkp/nbkpd"), "ExecStart=/opt/nbkp/nbkpd");
        assert_eq!(line("/home/a b/100%/nbkpd"), "ExecStart=\"/home/a b/100%%/nbkpd\"");
        assert!(with(OF_THE_MACHINE, Path::new("/opt/nbkpd")).contains("ExecStart=/opt/nbkpd\n"));
    }
}
