//! `doctor`: everything is tested by the daemon, from where it is; without one by this process.

use std::collections::BTreeSet;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use crate::ctl::client::Connection;
use crate::ctl::command_error::{CommandError, Exit};
use crate::ctl::company::{Company, told_by};
use crate::ctl::config;
use crate::ctl::output::{Form, Output};
use crate::ctl::render;
use crate::decide::diagnosis::daemon;
use crate::formats::config::Colour;
use crate::formats::json;
use crate::formats::text::printable;
use crate::formats::wire::{Diagnosis, Mended, Request};
use crate::model::{Area, Examined, Flaw, Severity, StandIn};
use crate::os::environment::Paths;
use crate::os::{guards, service};

/// Whether anything is mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FixMode {
    /// Nothing is changed.
    No,
    /// What can be mended for certain and without harm.
    Yes,
}

impl From<bool> for FixMode {
    fn from(fix: bool) -> Self {
        if fix { Self::Yes } else { Self::No }
    }
}

/// Tests everything, and tells what a person could mend.
pub fn doctor(
    paths: &Paths,
    mending: FixMode,
    output: &mut Output,
    alone: impl FnOnce(&Paths, StandIn) -> Result<UnixStream, (u8, String)>,
) -> Result<Exit, CommandError> {
    let mut examiner = Examiner::find(paths, alone)?;
    if mending == FixMode::Yes {
        examiner.prove_same_user(&paths.socket)?;
    }
    let mut diagnosis = examiner.examine()?;
    let Mending { mended, not_mended } = match mending {
        FixMode::Yes => mend(&diagnosis),
        FixMode::No => Mending::default(),
    };
    for sentence in &not_mended {
        output.complain(&printable(sentence));
    }
    if !mended.is_empty() {
        diagnosis = examiner.examine()?;
    }
    match (output.form(), mending) {
        (Form::Json, FixMode::No) => output.print_json(&json::text(&diagnosis))?,
        (Form::Json, FixMode::Yes) => {
            output.print_json(&json::text(&Mended {
                mended: &mended,
                not_mended: &not_mended,
                diagnosis: &diagnosis,
            }))?;
        }
        (Form::Text, _) => {
            for sentence in &mended {
                output.confirm(&printable(sentence))?;
            }
            if mending == FixMode::Yes && mended.is_empty() {
                output.confirm(match not_mended.as_slice() {
                    [] => "nothing was mended: nothing that was found can be mended without you",
                    [..] => "nothing was mended: each attempt failed",
                })?;
            }
            output.print(&render::doctor::diagnosis(&diagnosis, output.detail()))?;
        }
    }
    if diagnosis.has(Flaw::ConfigurationRefused) {
        show_mistakes(paths, output);
        return Ok(Exit::Usage);
    }
    Ok(if diagnosis.count(Severity::Error) > 0 || !not_mended.is_empty() { Exit::Failed } else { Exit::Fine })
}

/// What came of mending, as sentences.
#[derive(Default)]
struct Mending {
    mended: Vec<String>,
    not_mended: Vec<String>,
}

/// Mends what findings say can be mended.
fn mend(diagnosis: &Diagnosis) -> Mending {
    let all = diagnosis.findings.iter().filter_map(|finding| finding.mend.as_ref());
    let certain: BTreeSet<_> = all.filter_map(|mend| Some((mend.path.as_str(), mend.takes.known()?))).collect();
    let mut done = Mending::default();
    for (path, takes) in certain {
        match guards::take_rights(Path::new(path), takes) {
            Ok(()) => done.mended.push(format!("mended: `chmod {} {path}`", takes.as_str())),
            Err(why) => done.not_mended.push(format!("could not mend {path}: {why}")),
        }
    }
    done
}

/// Who tests.
enum Examiner {
    /// The daemon.
    Daemon(Connection),
    /// This process, which changes nothing; nobody answers at this socket.
    Own(Connection, PathBuf),
    /// Nobody, because of this.
    Nobody(Box<Examined>, PathBuf),
}

impl Examiner {
    /// What keeps this process from testing is a finding, too.
    fn find(
        paths: &Paths,
        alone: impl FnOnce(&Paths, StandIn) -> Result<UnixStream, (u8, String)>,
    ) -> Result<Self, CommandError> {
        let socket = match Connection::open(&paths.socket) {
            Ok(connection) => return Ok(Self::Daemon(connection)),
            Err(CommandError::NotRunning(socket)) => socket,
            Err(problem) => return Err(problem),
        };
        if let Some(refused) = unusable(paths) {
            return Ok(Self::Nobody(Box::new(refused), socket));
        }
        Ok(match alone(paths, StandIn::Looks) {
            Ok(stream) => Self::Own(Connection::over(stream), socket),
            Err((_, sentence)) => Self::Nobody(Box::new(cannot_begin(&sentence)), socket),
        })
    }

    /// Fails if the daemon is that of another user, who may have it name anything: root would obey. The configuration
    /// of another user is never used.
    fn prove_same_user(&self, socket: &Path) -> Result<(), CommandError> {
        let other = match self {
            Self::Daemon(connection) => connection.other_user()?,
            Self::Own(..) | Self::Nobody(..) => None,
        };
        let Some(user) = other else { return Ok(()) };
        let socket = socket.display();
        Err(CommandError::Usage(format!(
            "would mend nothing at the word of another user: the daemon at {socket} is that of user {user}; run \
             `nbkpctl doctor --fix` as that user, or without `--fix` to see what it finds"
        )))
    }

    fn examine(&mut self) -> Result<Diagnosis, CommandError> {
        let (rest, socket) = match self {
            Self::Daemon(connection) => {
                let diagnosis = asked(connection)?;
                let restart = service::command("restart");
                let first = daemon::version(&diagnosis.version, env!("CARGO_PKG_VERSION"), &restart);
                return Ok(diagnosis.behind(&first));
            }
            Self::Own(connection, socket) => {
                (asked(connection).map_err(|problem| told_by(Company::Own, problem))?, socket)
            }
            Self::Nobody(refused, socket) => (Diagnosis::new(std::slice::from_ref(refused)), socket),
        };
        Ok(rest.behind(&daemon::not_running(socket, &service::command("enable --now"))))
    }
}

fn asked(connection: &mut Connection) -> Result<Diagnosis, CommandError> {
    Ok(connection.ask(&Request::Doctor)?.decode()?)
}

/// The configuration file, if it cannot be used.
fn unusable(paths: &Paths) -> Option<Examined> {
    let why = match config::read_configuration(paths) {
        Ok(Ok(_)) => return None,
        Ok(Err(mistakes)) => mistakes.summary(),
        Err(problem) => problem.sentence(),
    };
    let file = paths.config.display();
    let fix = format!("correct it: `nbkpctl config check {file}` shows each mistake");
    let finding = Flaw::ConfigurationRefused.error(format!("{file} cannot be used: {why}"), fix);
    Some(Area::Daemon.examined("configuration", finding))
}

fn cannot_begin(sentence: &str) -> Examined {
    let fix = "mend that first, then run `nbkpctl doctor` again: nothing else could be tested";
    Area::State.examined("directory", Flaw::StateUnusable.error(sentence, fix))
}

/// With their carets, as `config check` shows them.
fn show_mistakes(paths: &Paths, output: &mut Output) {
    if output.form() == Form::Text
        && let Ok(Err(mistakes)) = config::read_configuration(paths)
    {
        output.complain_at_length(&mistakes.render(Colour::Styled));
    }
}
