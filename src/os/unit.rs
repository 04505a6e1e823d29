//! The service of the daemon: found with the service manager, or put there, and enabled by it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::account;
use super::causes::chain;
use super::directory::Directory;
use super::environment;
use super::files::{self, Readers};
use super::guards;
use super::process::Ended;
use super::programs;
use super::telling::{HeardProgram, said_within};
use crate::formats::text::printable;

/// How long the service manager may take: the daemon says when it is ready.
const PATIENCE: Duration = Duration::from_secs(30);
/// So many lines of its complaints are told.
const MOST_LINES: usize = 4;
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
    /// There is no `systemctl`.
    #[error("there is no `systemctl` on this machine")]
    NoManager,
    /// Nobody answers it, in its own words.
    #[error("no service manager of yours answers: {0}")]
    Silent(String),
    /// The daemon is not where it could be started from.
    #[error("the program nbkpd is not found beside nbkpctl, nor in PATH")]
    NoProgram,
    /// Others could put another program in its place.
    #[error("{} lies where others may write, and root would run it; install it as {INSTALLED}", .0.display())]
    Exposed(PathBuf),
    /// The file could not be written.
    #[error("could not {0}")]
    Write(String),
    /// The service manager says no to a command, in its own words.
    #[error("`{0}` did not work: {1}")]
    Refused(String, String),
}

impl UnitError {
    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::NoManager => BY_HAND.to_owned(),
            Self::Silent(_) if environment::is_root() || !Path::new(SYSTEMD_RUNS).exists() => {
                format!("systemd does not run here: {BY_HAND}")
            }
            Self::Silent(_) => {
                let user = rustix::process::geteuid().as_raw();
                let name = account::own_name().unwrap_or_else(|_| user.to_string());
                format!(
                    "log in at the console or by ssh, and not by `su` or `sudo`; or let your services run without a \
                     session: `sudo loginctl enable-linger {name}`, then `export XDG_RUNTIME_DIR=/run/user/{user}`; \
                     then call the same command again"
                )
            }
            Self::NoProgram => "install it, and call the same command again".to_owned(),
            Self::Exposed(_) | Self::Write(_) => "mend that, and call the same command again".to_owned(),
            Self::Refused(..) => {
                format!(
                    "mend that (`{}` tells more), and call the same command again",
                    super::service::command("status")
                )
            }
        }
    }
}

const BY_HAND: &str = "start `nbkpd` by what starts programs here, or by hand; --no-enable says that you see to it";
/// It is there where systemd is the first process (`sd_booted(3)`).
const SYSTEMD_RUNS: &str = "/run/systemd/system";

/// Puts the service there if there is none, enables it and starts it.
pub fn enable() -> Result<UnitState, UnitError> {
    let systemctl = programs::find_program("systemctl").ok_or(UnitError::NoManager)?;
    let whose: &[&str] = if environment::is_root() { &[] } else { &["--user"] };
    let ask = |words: &[&str]| {
        let words: Vec<OsString> = whose.iter().chain(words).map(OsString::from).collect();
        answered(said_within(PATIENCE, systemctl.clone(), words, programs::session_environment()))
    };
    ask(&["show", "--property=Version"]).map_err(UnitError::Silent)?;
    if ask(&["is-enabled", "--quiet", NAME]).is_ok() && ask(&["is-active", "--quiet", NAME]).is_ok() {
        return Ok(UnitState::WasOn);
    }
    let refused = |verb: &str, words: String| UnitError::Refused(super::service::command(verb), words);
    let written = if ask(&["cat", NAME]).is_ok() { None } else { Some(install()?) };
    if written.is_some() {
        ask(&["daemon-reload"]).map_err(|words| refused("daemon-reload", words))?;
    }
    ask(&["enable", "--now", NAME]).map_err(|words| refused("enable --now", words))?;
    Ok(UnitState::IsOn { written })
}

/// Whether it was done; if not, why, in the words of the service manager.
fn answered(said: Result<HeardProgram, String>) -> Result<(), String> {
    let said = said?;
    match said.ended {
        Ended::Code(0) => return Ok(()),
        Ended::Code(_) => {}
        Ended::Signal(_) => return Err(format!("it did not answer within {} s", PATIENCE.as_secs())),
    }
    let text = String::from_utf8_lossy(&said.complaint);
    // What it did before it failed is not why.
    let told = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("Created symlink"));
    let words = told.take(MOST_LINES).collect::<Vec<_>>().join(" ");
    if words.is_empty() { Err("it does not say why".to_owned()) } else { Err(printable(&words).into_owned()) }
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
    fn the_service_manager_speaks_for_itself() {
        let said = |ended, complaint: &str| Ok(HeardProgram { ended, output: Vec::new(), complaint: complaint.into() });
        assert_eq!(answered(said(Ended::Code(0), "Created symlink a\n")), Ok(()));
        let words = answered(said(Ended::Code(1), "Created symlink a\nJob failed.\nSee \u{1b}x.\n")).unwrap_err();
        assert!(words.starts_with("Job failed. See ") && !words.contains('\u{1b}'), "{words}");
        assert_eq!(answered(said(Ended::Code(1), "")).unwrap_err(), "it does not say why");
        assert!(answered(said(Ended::Signal(9), "")).unwrap_err().contains("30 s"));
    }

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
