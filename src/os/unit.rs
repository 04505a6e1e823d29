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
    /// It comes to no answer itself.
    #[error("`systemctl` does not answer: {0}")]
    Stuck(String),
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
            Self::Silent(_) => ServiceManager::expected(Path::new(SYSTEMD_RUNS)).when_silent(),
            Self::Stuck(_) => {
                format!("`{}` tells more; then call the same command again", super::service::command("status"))
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

/// The service manager that is to answer.
#[derive(Debug, Clone, PartialEq, Eq)]
enum ServiceManager {
    /// There is none: something else is the first process.
    Missing,
    /// The first process.
    OfTheMachine,
    /// That of this user.
    OfAUser {
        /// The user, in digits.
        user: u32,
        /// The same by name.
        name: String,
    },
}

impl ServiceManager {
    /// The one for this process, where `systemd_runs` is there if it is the first process.
    fn expected(systemd_runs: &Path) -> Self {
        let user = rustix::process::geteuid().as_raw();
        match (systemd_runs.exists(), environment::is_root()) {
            (false, _) => Self::Missing,
            (true, true) => Self::OfTheMachine,
            (true, false) => Self::OfAUser { user, name: account::own_name().unwrap_or_else(|_| user.to_string()) },
        }
    }

    /// What to do where it does not answer.
    fn when_silent(&self) -> String {
        match self {
            Self::Missing => format!("systemd does not run here: {BY_HAND}"),
            Self::OfTheMachine => "systemd runs here, so that it should: `systemctl is-system-running` and \
                                   `journalctl -b _PID=1` tell more; then call the same command again"
                .to_owned(),
            Self::OfAUser { user, name } => format!(
                "log in at the console or by ssh, and not by `su` or `sudo`; or let your services run without a \
                 session: `sudo loginctl enable-linger {name}`, then `export XDG_RUNTIME_DIR=/run/user/{user}`; then \
                 call the same command again"
            ),
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
    ask(&["show", "--property=Version"]).map_err(|no| match no {
        Unanswered::Said(words) => UnitError::Silent(words),
        Unanswered::Gone(why) => UnitError::Stuck(why),
    })?;
    if ask(&["is-enabled", "--quiet", NAME]).is_ok() && ask(&["is-active", "--quiet", NAME]).is_ok() {
        return Ok(UnitState::WasOn);
    }
    let refused = |verb: &str, no: Unanswered| {
        let (Unanswered::Said(words) | Unanswered::Gone(words)) = no;
        UnitError::Refused(super::service::command(verb), words)
    };
    let written = if ask(&["cat", NAME]).is_ok() { None } else { Some(install()?) };
    if written.is_some() {
        ask(&["daemon-reload"]).map_err(|no| refused("daemon-reload", no))?;
    }
    ask(&["enable", "--now", NAME]).map_err(|no| refused("enable --now", no))?;
    Ok(UnitState::IsOn { written })
}

/// Why something was not done.
#[derive(Debug, PartialEq, Eq)]
enum Unanswered {
    /// In the words of the service manager.
    Said(String),
    /// Nobody came to say anything.
    Gone(String),
}

/// Whether it was done; if not, why.
fn answered(said: Result<HeardProgram, String>) -> Result<(), Unanswered> {
    let said = said.map_err(Unanswered::Gone)?;
    match said.ended {
        Ended::Code(0) => return Ok(()),
        Ended::Code(_) | Ended::Signal(_) if said.is_late => {
            return Err(Unanswered::Gone(format!("it took longer than {} s", PATIENCE.as_secs())));
        }
        Ended::Code(_) => {}
        Ended::Signal(signal) => return Err(Unanswered::Gone(format!("it was ended by signal {signal}"))),
    }
    let text = String::from_utf8_lossy(&said.complaint);
    // What it did before it failed is not why.
    let told = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("Created symlink"));
    let words = told.take(MOST_LINES).collect::<Vec<_>>().join(" ");
    Err(Unanswered::Said(if words.is_empty() {
        "it does not say why".to_owned()
    } else {
        printable(&words).into_owned()
    }))
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
        let heard = |ended, complaint: &str, is_late| {
            Ok(HeardProgram { ended, output: Vec::new(), complaint: complaint.into(), is_late })
        };
        let said = |ended, complaint: &str| heard(ended, complaint, false);
        assert_eq!(answered(said(Ended::Code(0), "Created symlink a\n")), Ok(()));
        let no = answered(said(Ended::Code(1), "Created symlink a\nJob failed.\nSee \u{1b}x.\n")).unwrap_err();
        let Unanswered::Said(words) = no else { panic!("{no:?}") };
        assert!(words.starts_with("Job failed. See ") && !words.contains('\u{1b}'), "{words}");
        assert_eq!(answered(said(Ended::Code(1), "")), Err(Unanswered::Said("it does not say why".into())));
        // What killed it need not have been we.
        assert_eq!(answered(said(Ended::Signal(9), "")), Err(Unanswered::Gone("it was ended by signal 9".into())));
        let late = answered(heard(Ended::Signal(9), "", true));
        assert_eq!(late, Err(Unanswered::Gone("it took longer than 30 s".into())));
        assert_eq!(answered(Err("could not start".into())), Err(Unanswered::Gone("could not start".into())));
    }

    #[test]
    fn a_machine_with_systemd_is_not_told_to_be_without() {
        let place = tempfile::tempdir().unwrap();
        assert_eq!(ServiceManager::expected(&place.path().join("none")), ServiceManager::Missing);
        let found = ServiceManager::expected(place.path());
        assert_eq!(found == ServiceManager::OfTheMachine, environment::is_root(), "{found:?}");
        assert!(ServiceManager::Missing.when_silent().contains("does not run here: start `nbkpd`"));
        let machine = ServiceManager::OfTheMachine.when_silent();
        assert!(!machine.contains("does not run") && machine.contains("journalctl"), "{machine}");
        let user = ServiceManager::OfAUser { user: 1000, name: "ada".into() }.when_silent();
        assert!(user.contains("enable-linger ada") && user.contains("/run/user/1000"), "{user}");
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
