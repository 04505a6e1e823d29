//! Servers: reached by the user's own ssh, once for one script, or by a connection that a run shares.

pub mod named;
pub mod shared;

use std::ffi::OsString;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::directory::{Directory, Reach};
use super::files;
use super::guards;
use super::process::{self, Bell, Ended, Launch, Leftovers, Running, Stream, Wanted};
use super::programs;
use super::secret::Secret;
use crate::formats::ssh::arguments::{Purpose, connection};
use crate::formats::ssh::script;
use crate::formats::ssh::{complaints, hops};
use crate::model::{HostFault, HostTrouble, Route};
use crate::os::causes::{chain, words};
use crate::os::deadline::Deadline;

/// The most that an answer may have, in bytes; more is the answer of something else.
const MOST_OUTPUT: usize = 16 << 20;
/// The most of ssh's own words that is kept.
const MOST_WORDS: usize = 64 << 10;
/// Beside the connecting of each host: the time to show keys and start a shell.
const PATIENCE: Duration = Duration::from_secs(15);
/// What is said where there is no ssh.
const MISSING: &str = "the program `ssh` is missing on this machine; install it: `apt install openssh-client`";

/// Where what belongs to connections lies on this machine: in the runtime directory of the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SshPlace {
    runtime_dir: PathBuf,
}

/// What a script said at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// Its exit code.
    pub code: i32,
    /// Its standard output, without the lines that frame it.
    pub output: Vec<u8>,
    /// Its standard error, as far as it is kept.
    pub errors: Vec<u8>,
}

/// Runs a script over a connection of its own, and waits for its answer. `wanted` is asked whenever the bell rings;
/// what is called off or takes longer than the deadline is killed with all that belongs to it.
pub fn ask(
    route: &Route,
    place: &SshPlace,
    (script, arguments): (&str, &[OsString]),
    deadline: Duration,
    bell: &Bell,
    wanted: impl FnMut() -> Wanted,
) -> Result<Said, HostFault> {
    let broken = |what: String| complaints::at(&route.endpoint, HostTrouble::Broken(what));
    let ready = place.ready(route).map_err(broken)?;
    let mut arguments_of_ssh = connection(route, ready.hops.as_deref(), Purpose::Alone);
    arguments_of_ssh.push(script::command(None));
    let answer = in_memory(&script::text(script, arguments)).and_then(|input| {
        heard(Call { ssh: ready.program, arguments: arguments_of_ssh, input }, deadline, bell, wanted)
    });
    answer.map_err(|trouble| trouble.told(route))
}

/// What tells ssh the way to a server, up to and with its host: for a process of its own that connects there. None of
/// it is secret.
pub fn way(route: &Route, place: &SshPlace) -> Result<Vec<OsString>, HostFault> {
    let ready = place.ready(route).map_err(|what| complaints::at(&route.endpoint, HostTrouble::Broken(what)))?;
    Ok(connection(route, ready.hops.as_deref(), Purpose::Alone))
}

/// Runs a script by this way with a secret on its standard input, and waits for its answer. The secret goes through a
/// pipe, which holds it whole, and is in no argument and no file.
pub fn hand_over(
    way: Vec<OsString>,
    (script, arguments): (&str, &[OsString]),
    secret: &Secret,
    deadline: Duration,
) -> Result<Said, NoAnswer> {
    let broken = |cause: std::io::Error| NoAnswer::NotStarted(cause.to_string());
    let ssh = programs::find_program("ssh").ok_or_else(|| NoAnswer::NotStarted(MISSING.into()))?;
    let (input, feed) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(|e| broken(e.into()))?;
    std::fs::File::from(feed).write_all(secret.bytes()).map_err(broken)?;
    let mut arguments_of_ssh = way;
    arguments_of_ssh.push(script::reading_line(script, arguments));
    let bell = Bell::new().map_err(broken)?;
    heard(Call { ssh, arguments: arguments_of_ssh, input }, deadline, &bell, || Wanted::GoOn)
}

/// The time that a connection by this way may take to come up.
#[must_use]
pub fn patience(route: &Route) -> Duration {
    let connecting: Duration = route.hops.iter().map(|hop| hop.connect_timeout).sum();
    connecting.saturating_add(route.endpoint.connect_timeout).saturating_add(PATIENCE)
}

/// What must be there before ssh is called.
struct Ready {
    program: PathBuf,
    /// `ssh` below the runtime directory.
    directory: Directory,
    hops: Option<PathBuf>,
}

impl SshPlace {
    /// The place below this runtime directory, which is made when it is needed.
    #[must_use]
    pub fn new(runtime_dir: PathBuf) -> Self {
        Self { runtime_dir }
    }

    /// Says what is wrong as a fragment of a sentence.
    fn ready(&self, route: &Route) -> Result<Ready, String> {
        let program = programs::find_program("ssh").ok_or(MISSING)?;
        let told = |error: super::directory::DirectoryError| {
            format!("could not {error} on this machine: {}", words(error.cause()))
        };
        let unusable = |error: std::io::Error| format!("could not make {}: {error}", self.runtime_dir.display());
        std::fs::create_dir_all(&self.runtime_dir).map_err(unusable)?;
        let root = Directory::open_root(&self.runtime_dir).map_err(told)?;
        root.create_directory("ssh", 0o700).map_err(told)?;
        // What lies there tells ssh what to run.
        let place = root.path_of("ssh");
        guards::prove_ours(&place).map_err(|exposure| {
            let what = format!("could not use {} for the files of ssh: {exposure}", place.display());
            format!("{what}; name a socket in a directory of your own with `--socket`")
        })?;
        let directory = root.open_below(Path::new("ssh"), Reach::SameMount).map_err(told)?;
        let hops = match hops::configuration(route) {
            None => None,
            Some(text) => {
                let name = format!("to-{}.conf", route.endpoint.name);
                files::write_at_once(&directory, &name, &text).map_err(told)?;
                Some(directory.path_of(&name))
            }
        };
        Ok(Ready { program, directory, hops })
    }
}

/// A call of ssh that runs a script.
struct Call {
    ssh: PathBuf,
    arguments: Vec<OsString>,
    input: OwnedFd,
}

fn in_memory(input: &[u8]) -> Result<OwnedFd, NoAnswer> {
    files::in_memory(input).map_err(|error| NoAnswer::NotStarted(error.to_string()))
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// It took longer than it may.
    #[error("the server does not answer")]
    TooLate,
    /// It was called off.
    #[error("it was called off")]
    CalledOff,
    /// Something else than our script speaks there.
    #[error("the server says `{0}` before it is asked")]
    Talking(String),
    /// ssh ended without one, with these words.
    #[error("ssh says: {}", words_of(.0))]
    Ssh(Vec<u8>),
    /// It broke off.
    #[error("the connection to the server broke: {}", words_of(.0))]
    Broken(Vec<u8>),
    /// ssh could not be started or listened to, for this reason.
    #[error("{0}")]
    NotStarted(String),
}

impl NoAnswer {
    /// What that says of the server.
    #[must_use]
    pub fn told(self, route: &Route) -> HostFault {
        let of_server = |trouble| complaints::at(&route.endpoint, trouble);
        match self {
            Self::TooLate => of_server(HostTrouble::Silent),
            Self::CalledOff => of_server(HostTrouble::Broken("it was called off".into())),
            Self::Talking(words) => of_server(HostTrouble::NoShell(format!("it says `{words}` before it is asked"))),
            Self::Ssh(words) | Self::Broken(words) => complaints::fault(route, &words),
            Self::NotStarted(why) => of_server(HostTrouble::Broken(why)),
        }
    }
}

fn heard(call: Call, deadline: Duration, bell: &Bell, mut wanted: impl FnMut() -> Wanted) -> Result<Said, NoAnswer> {
    let running = start(call.ssh, call.arguments, call.input)?;
    let deadline = Deadline::after(deadline);
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let mut gone_wrong = None;
    let hear = |stream: Stream, bytes: &[u8]| match stream {
        Stream::Output => keep(&mut output, bytes, MOST_OUTPUT),
        Stream::Errors => keep(&mut errors, bytes, MOST_WORDS),
    };
    let ended = running.reminded(deadline).listen(bell, hear, || {
        if deadline.has_passed() {
            gone_wrong = Some(NoAnswer::TooLate);
            return Wanted::Kill;
        }
        let wanted = wanted();
        if wanted != Wanted::GoOn {
            gone_wrong = Some(NoAnswer::CalledOff);
            return Wanted::Kill;
        }
        Wanted::GoOn
    });
    let ended = ended.map_err(|error| NoAnswer::NotStarted(format!("could not {}", chain(&error))))?;
    match script::answer(&output) {
        script::Answer::Whole(code, output) => Ok(Said { code, output, errors }),
        _ if gone_wrong.is_some() => Err(gone_wrong.unwrap_or(NoAnswer::TooLate)),
        script::Answer::Talking(words) => Err(NoAnswer::Talking(words)),
        script::Answer::Broken(_) => Err(NoAnswer::Broken(errors)),
        script::Answer::Silent if ended == Ended::Code(255) => Err(NoAnswer::Ssh(errors)),
        // A login shell that runs nothing.
        script::Answer::Silent => Err(NoAnswer::Talking(words_of(&errors))),
    }
}

/// The first words of what was heard, safe to show.
fn words_of(heard: &[u8]) -> String {
    let words: String = String::from_utf8_lossy(heard).chars().take(200).collect();
    let words = words.trim().replace(char::is_control, " ");
    if words.is_empty() { "nothing".into() } else { words }
}

fn start(program: PathBuf, arguments: Vec<OsString>, input: OwnedFd) -> Result<Running, NoAnswer> {
    let environment = programs::ssh_environment();
    let launch = Launch { program, arguments, environment, input: Some(input), leftovers: Leftovers::End };
    process::start(launch, None).map_err(|error| NoAnswer::NotStarted(format!("could not {}", chain(&error))))
}

fn keep(kept: &mut Vec<u8>, bytes: &[u8], most: usize) {
    let room = most.saturating_sub(kept.len());
    kept.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
}
