//! Servers: reached by the user's own ssh, once for one script, or by a connection that a run shares.

use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::directory::{Directory, Reach};
use super::files;
use super::process::{self, Bell, Deadline, Ended, Launch, Leftovers, Running, Stream, Wanted};
use super::programs;
use crate::formats::ssh::arguments::{Purpose, SHARED_HOST, connection, remote_shell, through};
use crate::formats::ssh::script::{self, Marks};
use crate::formats::ssh::{complaints, hops};
use crate::model::{HostFault, HostTrouble, Route};

/// The most that an answer may have, in bytes; more is the answer of something else.
const MOST_OUTPUT: usize = 16 << 20;
/// The most of ssh's own words that is kept.
const MOST_WORDS: usize = 64 << 10;
/// How long a path of a socket may be. The kernel takes 107 bytes, and ssh adds 17 while it makes the socket.
const LONGEST_SOCKET: usize = 90;
/// Beside the connecting of each host: the time to show keys and start a shell.
const PATIENCE: Duration = Duration::from_secs(15);
/// What keeps a shared connection: it lasts until the pipe that feeds it is closed, by us or by our end.
const KEEP: &str = "echo 'nbkp 1'; exec cat >/dev/null";
/// What `KEEP` says first.
const READY: &[u8] = b"nbkp 1\n";

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

/// Runs a script over a connection of its own, and waits for its answer. `wanted` is asked whenever the bell rings; what
/// is called off or takes longer than the deadline is killed with all that belongs to it.
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
    let call = Call { ssh: ready.program, arguments: arguments_of_ssh, input: script::text(script, arguments) };
    heard(call, deadline, bell, wanted).map_err(|trouble| trouble.told(route))
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
        let program = programs::find_program("ssh")
            .ok_or("the program `ssh` is missing on this machine; install it: `apt install openssh-client`")?;
        let told = |error: super::directory::DirectoryError| {
            format!("could not {error} on this machine: {}", std::io::Error::from(error.cause()))
        };
        let unusable = |error: std::io::Error| format!("could not make {}: {error}", self.runtime_dir.display());
        std::fs::create_dir_all(&self.runtime_dir).map_err(unusable)?;
        let root = Directory::open_root(&self.runtime_dir).map_err(told)?;
        root.create_directory("ssh", 0o700).map_err(told)?;
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
    input: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoAnswer {
    /// It took longer than it may.
    TooLate,
    /// It was called off.
    CalledOff,
    /// Something else than our script speaks there.
    Talking(String),
    /// ssh ended without one, with these words.
    Ssh(Vec<u8>),
    /// It broke off.
    Broken(Vec<u8>),
    /// ssh could not be started or listened to, for this reason.
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
    let input = files::in_memory(&call.input).map_err(|error| NoAnswer::NotStarted(error.to_string()))?;
    let running = start(call.ssh, call.arguments, input)?;
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
    let ended = ended.map_err(|error| NoAnswer::NotStarted(error.to_string()))?;
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
    process::start(launch, None).map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        NoAnswer::NotStarted(format!("could not {error}{cause}"))
    })
}

fn keep(kept: &mut Vec<u8>, bytes: &[u8], most: usize) {
    let room = most.saturating_sub(kept.len());
    kept.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
}

/// A connection that a run shares with all that it starts. It ends when this is dropped, and also if this process is
/// killed: what it runs at the other end ends with the pipe that we hold.
#[derive(Debug)]
pub struct Shared {
    ssh: PathBuf,
    socket: PathBuf,
    route: Route,
    /// Dropped first: its end is the end of what it feeds.
    feed: Option<OwnedFd>,
    bell: Bell,
    end: SyncSender<()>,
    listener: Option<JoinHandle<()>>,
}

/// What the thread that listens to a shared connection tells of its beginning.
enum News {
    Ready,
    Ended(NoAnswer),
}

impl Shared {
    /// Connects. It must be called before the thread confines itself. `wanted` is asked whenever the bell rings.
    pub fn open(
        route: &Route,
        place: &SshPlace,
        bell: &Bell,
        mut wanted: impl FnMut() -> Wanted,
    ) -> Result<Self, HostFault> {
        let fail = |what: String| complaints::at(&route.endpoint, HostTrouble::Broken(what));
        let io = |error: std::io::Error| fail(error.to_string());
        let ready = place.ready(route).map_err(fail)?;
        let socket = ready.directory.path_of(&format!("s{:08x}", fastrand::u32(..)));
        let length = socket.as_os_str().len();
        if length > LONGEST_SOCKET {
            let what = format!("the path {} is too long for a socket of ssh ({length} bytes)", socket.display());
            return Err(fail(format!("{what}; give nbkpd a shorter runtime directory with `--socket`")));
        }
        let mut arguments = connection(route, ready.hops.as_deref(), Purpose::Shared(&socket));
        arguments.push(KEEP.into());
        let (input, feed) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC).map_err(|e| io(e.into()))?;
        let running = start(ready.program.clone(), arguments, input).map_err(|trouble| trouble.told(route))?;
        let (tell, told) = sync_channel(2);
        let (end, ended) = sync_channel(1);
        let (own_bell, its_bell) = (Bell::new().map_err(io)?, bell.share().map_err(io)?);
        let listening = own_bell.share().map_err(io)?;
        let deadline = Deadline::after(patience(route));
        let listener = std::thread::Builder::new()
            .name("ssh".into())
            .spawn(move || listen(running, deadline, &listening, &ended, &its_bell, &tell))
            .map_err(io)?;
        let shared = Self {
            ssh: ready.program,
            socket,
            route: route.clone(),
            feed: Some(feed),
            bell: own_bell,
            end,
            listener: Some(listener),
        };
        loop {
            if wanted() != Wanted::GoOn {
                return Err(NoAnswer::CalledOff.told(route));
            }
            match told.try_recv() {
                Ok(News::Ready) => return Ok(shared),
                Ok(News::Ended(trouble)) => return Err(trouble.told(route)),
                Err(_) => bell.wait(),
            }
        }
    }

    /// The way by which it connected.
    #[must_use]
    pub fn route(&self) -> &Route {
        &self.route
    }

    /// What rsync is given as `-e`.
    #[must_use]
    pub fn remote_shell(&self) -> OsString {
        remote_shell(&self.ssh, &self.socket)
    }

    /// The program and the arguments that run this command at the other end.
    #[must_use]
    pub fn command(&self, command: &OsStr) -> (PathBuf, Vec<OsString>) {
        let mut arguments = through(&self.socket);
        arguments.extend(["--".into(), SHARED_HOST.into(), command.to_owned()]);
        (self.ssh.clone(), arguments)
    }

    /// Runs a script at the other end and waits for its answer, like [`ask`].
    pub fn ask(
        &self,
        (script, arguments): (&str, &[OsString]),
        marks: &Marks,
        deadline: Duration,
        bell: &Bell,
        wanted: impl FnMut() -> Wanted,
    ) -> Result<Said, NoAnswer> {
        let (ssh, of_ssh) = self.command(&script::command(Some(marks)));
        heard(Call { ssh, arguments: of_ssh, input: script::text(script, arguments) }, deadline, bell, wanted)
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.feed = None;
        let _ended_already = self.end.try_send(());
        self.bell.ring();
        if let Some(listener) = self.listener.take() {
            let _it_tells_nothing = listener.join();
        }
        // ssh removes it itself, unless it had to be killed.
        let _gone = std::fs::remove_file(&self.socket);
    }
}

/// Listens to a shared connection from its beginning to its end.
fn listen(
    running: Running,
    deadline: Deadline,
    bell: &Bell,
    end: &Receiver<()>,
    its_bell: &Bell,
    tell: &SyncSender<News>,
) {
    let (mut output, mut errors) = (Vec::new(), Vec::new());
    let (ready, talking) = (Cell::new(false), Cell::new(false));
    let (mut late, mut over) = (false, false);
    let hear = |stream: Stream, bytes: &[u8]| match stream {
        Stream::Output => {
            keep(&mut output, bytes, MOST_WORDS);
            talking.set(!READY.starts_with(&output));
            if !ready.get() && output == READY {
                ready.set(true);
                let _nobody_waits = tell.try_send(News::Ready);
                its_bell.ring();
            }
        }
        Stream::Errors => keep(&mut errors, bytes, MOST_WORDS),
    };
    let ended = running.reminded(deadline).listen(bell, hear, || {
        over |= end.try_recv().is_ok();
        late |= !ready.get() && deadline.has_passed();
        match () {
            () if late || talking.get() => Wanted::Kill,
            // It takes leave of the server and removes its socket.
            () if over => Wanted::End,
            () => Wanted::GoOn,
        }
    });
    let trouble = match ended {
        Err(error) => NoAnswer::NotStarted(format!("could not {error}")),
        Ok(_) if late => NoAnswer::TooLate,
        Ok(_) if talking.get() => NoAnswer::Talking(words_of(&output)),
        Ok(Ended::Code(255)) => NoAnswer::Ssh(errors),
        Ok(_) => NoAnswer::Talking(words_of(&errors)),
    };
    let _nobody_waits = tell.try_send(News::Ended(trouble));
    its_bell.ring();
}
