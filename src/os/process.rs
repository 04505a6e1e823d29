//! Children: started with a cleared environment and a process group of their own, listened to, and ended.

use std::ffi::OsString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, test_kill_process_group};

use super::deadline::{Deadline, monotonic};
use super::directory::Directory;
use super::outside::{self, OutsideError, Unit, UnitEnd};
use super::programs;

/// How long a child may take to end once it was asked to.
const PATIENCE: Duration = Duration::from_secs(10);

/// Why a child could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It could not be started.
    #[error("start {}", .0.display())]
    Start(PathBuf, #[source] std::io::Error),
    /// It could not be listened to.
    #[error("listen to a child")]
    Listen(#[source] Errno),
    /// Its end could not be learnt.
    #[error("learn how a child ended")]
    Wait(#[source] std::io::Error),
    /// Its end could not be learnt from the service manager.
    #[error("learn how a program ended: could not {0}")]
    Outside(String),
}

/// Something that one thread rings to make another look up from its waiting.
#[derive(Debug)]
pub struct Bell(OwnedFd);

impl Bell {
    /// A bell that nobody has rung.
    pub fn new() -> std::io::Result<Self> {
        Ok(Self(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?))
    }

    /// The same bell for another thread.
    pub fn share(&self) -> std::io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// Rings. It never waits: a bell that is full is ringing already.
    pub fn ring(&self) {
        let _full = rustix::io::write(&self.0, &1_u64.to_ne_bytes());
    }

    /// Waits until it rings.
    pub fn wait(&self) {
        let mut fds = [PollFd::new(&self.0, PollFlags::IN)];
        let _interrupted = patiently(&mut fds, None);
        self.silence();
    }

    fn silence(&self) {
        let _quiet = rustix::io::read(&self.0, &mut [0; 8]);
    }
}

/// What becomes of processes that a child leaves behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leftovers {
    /// They are part of the work and end with it.
    End,
    /// They are nobody's business.
    Leave,
}

/// A child to be started.
#[derive(Debug)]
pub struct Launch {
    /// The program, as an absolute path.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Variables of its environment beside the fixed ones.
    pub environment: Vec<(String, OsString)>,
    /// Its standard input; `None` for `/dev/null`.
    pub input: Option<OwnedFd>,
    /// What becomes of what it leaves behind.
    pub leftovers: Leftovers,
}

/// A child that any thread may start. What it inherits must stay open until then.
#[derive(Debug)]
pub struct ReadyChild {
    command: Command,
    program: PathBuf,
    leftovers: Leftovers,
}

impl ReadyChild {
    /// Starts it, as a child of the calling thread: confined as that is.
    pub fn start(mut self) -> Result<Running, ProcessError> {
        let child = self.command.spawn().map_err(|cause| ProcessError::Start(self.program, cause))?;
        Running::new(child, self.leftovers)
    }
}

/// Starts a child in `directory`, reached by descriptor, or where the daemon itself is.
pub fn start(launch: Launch, directory: Option<&Directory>) -> Result<Running, ProcessError> {
    made_ready(launch, directory).start()
}

/// The same child, yet to be started.
#[must_use]
pub fn made_ready(launch: Launch, directory: Option<&Directory>) -> ReadyChild {
    #[expect(clippy::disallowed_methods, reason = "this file starts the children")]
    let mut command = Command::new(&launch.program);
    command.args(&launch.arguments).env_clear().process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env("PATH", programs::search_path());
    command.envs(programs::account_environment());
    command.envs(launch.environment);
    command.stdin(launch.input.map_or_else(Stdio::null, Stdio::from));
    if let Some(directory) = directory {
        // The child changes there before exec, while the descriptor is still open in it.
        command.current_dir(format!("/proc/self/fd/{}", directory.as_fd().as_raw_fd()));
    }
    ReadyChild { command, program: launch.program, leftovers: launch.leftovers }
}

/// Starts a program of the user, with nothing on its standard input: free of the limits of our own unit where that can
/// be, and else as a child.
pub fn start_for_user(launch: Launch) -> Result<Running, ProcessError> {
    match outside::start(&launch.program, &launch.arguments, &launch.environment) {
        Ok(unit) => Running::of_unit(unit),
        Err(OutsideError::Unlimited | OutsideError::Refused(_)) => start(launch, None),
    }
}

/// Which stream of a child speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Errors,
}

/// What its starter wants of a child.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// It goes on.
    GoOn,
    /// It ends: TERM, and KILL ten seconds later.
    End,
    /// It ends at once: KILL.
    Kill,
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// A child that runs.
#[derive(Debug)]
pub struct Running {
    process: Process,
    alive: OwnedFd,
    output: Option<OwnedFd>,
    errors: Option<OwnedFd>,
    leftovers: Leftovers,
    reminder: Option<Deadline>,
}

/// What runs.
#[derive(Debug)]
enum Process {
    /// A child, with its group.
    Child(Child, Option<Pid>),
    /// A program in a unit of its own.
    Unit(Unit),
}

impl Running {
    fn new(mut child: Child, leftovers: Leftovers) -> Result<Self, ProcessError> {
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let output = child.stdout.take().map(OwnedFd::from);
        let errors = child.stderr.take().map(OwnedFd::from);
        let alive = group.ok_or(Errno::SRCH).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()));
        let quiet = [&output, &errors].into_iter().flatten().try_for_each(|pipe| rustix::io::ioctl_fionbio(pipe, true));
        match alive.and_then(|alive| quiet.map(|()| alive)) {
            Ok(alive) => {
                let process = Process::Child(child, group);
                Ok(Self { process, alive, output, errors, leftovers, reminder: None })
            }
            Err(cause) => {
                let _gone = child.kill().and_then(|()| child.wait());
                Err(ProcessError::Listen(cause))
            }
        }
    }

    fn of_unit(mut unit: Unit) -> Result<Self, ProcessError> {
        let (output, errors) = (unit.output.take(), unit.errors.take());
        let pipes = [&output, &errors].into_iter().flatten();
        pipes.into_iter().try_for_each(|pipe| rustix::io::ioctl_fionbio(pipe, true)).map_err(ProcessError::Listen)?;
        let alive = unit.alive.try_clone().map_err(ProcessError::Wait)?;
        let process = Process::Unit(unit);
        Ok(Self { process, alive, output, errors, leftovers: Leftovers::Leave, reminder: None })
    }

    /// Has the listener look up at this moment, too, and ask what is wanted.
    #[must_use]
    pub fn reminded(self, reminder: Deadline) -> Self {
        Self { reminder: Some(reminder), ..self }
    }

    /// Listens to both streams at once until the child and all that speaks for it have ended. `wanted` is asked
    /// whenever something is heard, the bell rings or the reminder comes. A child that does not end when asked is
    /// killed ten seconds later.
    pub fn listen(
        mut self,
        bell: &Bell,
        mut heard: impl FnMut(Stream, &[u8]),
        mut wanted: impl FnMut() -> Wanted,
    ) -> Result<Ended, ProcessError> {
        let mut deadline = None;
        let mut killed = false;
        loop {
            match wanted() {
                Wanted::GoOn => {}
                Wanted::End => {
                    if deadline.is_none() {
                        self.signal(Signal::TERM);
                        deadline = Some(monotonic().saturating_add(PATIENCE));
                    }
                }
                Wanted::Kill => killed = self.kill_once(killed),
            }
            let left = deadline.map(|deadline: Duration| deadline.saturating_sub(monotonic()));
            if left.is_some_and(|left| left.is_zero()) {
                killed = self.kill_once(killed);
            }
            // A reminder that has come is not waited for again.
            let reminder = self.reminder.map(Deadline::left).filter(|left| !left.is_zero());
            // Once killed, nothing is left to do but to wait.
            let patience = [left, reminder].into_iter().flatten().min().filter(|_| !killed);
            let ended = self.wait(bell, patience)?;
            self.drain(&mut heard);
            if ended == Waited::Ended {
                break;
            }
        }
        let ended = self.process.end()?;
        self.outlast(&mut heard)?;
        Ok(ended)
    }

    /// The other processes of rsync write on for a moment after the first has ended (they keep the partial file);
    /// what they hold open tells when they are done.
    fn outlast(&mut self, heard: &mut impl FnMut(Stream, &[u8])) -> Result<(), ProcessError> {
        let patience = match self.leftovers {
            Leftovers::End => PATIENCE,
            Leftovers::Leave => Duration::ZERO,
        };
        let deadline = monotonic().saturating_add(patience);
        self.drain(heard);
        while self.output.is_some() || self.errors.is_some() {
            let left = deadline.saturating_sub(monotonic());
            if left.is_zero() {
                break;
            }
            let mut pipes: Vec<_> = [&self.output, &self.errors]
                .into_iter()
                .flatten()
                .map(|pipe| PollFd::new(pipe, PollFlags::IN))
                .collect();
            patiently(&mut pipes, Some(left)).map_err(ProcessError::Listen)?;
            self.drain(heard);
        }
        if self.leftovers == Leftovers::End && (self.output.is_some() || self.errors.is_some()) {
            self.signal(Signal::KILL);
            self.outlast_killed(heard)?;
        }
        Ok(())
    }

    /// What is killed and goes on is held by a filesystem that does not answer. It may still write where it was
    /// started: whoever started it has not ended before it has.
    fn outlast_killed(&mut self, heard: &mut impl FnMut(Stream, &[u8])) -> Result<(), ProcessError> {
        let mut patience = Duration::from_millis(20);
        while let Some(pipe) = self.output.as_ref().or(self.errors.as_ref()) {
            // The pipes may be held by others, too, who have left the group.
            if !self.process.is_there() {
                break;
            }
            patiently(&mut [PollFd::new(pipe, PollFlags::IN)], Some(patience)).map_err(ProcessError::Listen)?;
            self.drain(heard);
            patience = patience.saturating_mul(2).min(Duration::from_mins(1));
        }
        Ok(())
    }

    fn kill_once(&self, killed: bool) -> bool {
        if !killed {
            self.signal(Signal::KILL);
        }
        true
    }

    fn signal(&self, signal: Signal) {
        match &self.process {
            // A group that is gone needs no signal.
            Process::Child(_, group) => drop(group.map(|group| kill_process_group(group, signal))),
            Process::Unit(unit) => unit.signal(signal.as_raw()),
        }
    }

    fn wait(&self, bell: &Bell, patience: Option<Duration>) -> Result<Waited, ProcessError> {
        let mut fds = vec![PollFd::new(&self.alive, PollFlags::IN), PollFd::new(&bell.0, PollFlags::IN)];
        fds.extend([&self.output, &self.errors].into_iter().flatten().map(|pipe| PollFd::new(pipe, PollFlags::IN)));
        patiently(&mut fds, patience).map_err(ProcessError::Listen)?;
        let ended = fds.first().is_some_and(|alive| !alive.revents().is_empty());
        drop(fds);
        bell.silence();
        Ok(if ended { Waited::Ended } else { Waited::Something })
    }

    fn drain(&mut self, heard: &mut impl FnMut(Stream, &[u8])) {
        drain(&mut self.output, Stream::Output, heard);
        drain(&mut self.errors, Stream::Errors, heard);
    }
}

impl Process {
    fn end(&mut self) -> Result<Ended, ProcessError> {
        match self {
            Self::Child(child, _) => {
                let ended = child.wait().map_err(ProcessError::Wait)?;
                Ok(ended.code().map_or_else(|| Ended::Signal(ended.signal().unwrap_or_default()), Ended::Code))
            }
            Self::Unit(unit) => match unit.end().map_err(ProcessError::Outside)? {
                UnitEnd::Code(code) => Ok(Ended::Code(code)),
                UnitEnd::Signal(signal) => Ok(Ended::Signal(signal)),
            },
        }
    }

    /// Whether something of its group is left.
    fn is_there(&self) -> bool {
        match self {
            Self::Child(_, group) => group.is_some_and(|group| test_kill_process_group(group).is_ok()),
            Self::Unit(_) => false,
        }
    }
}

#[derive(PartialEq, Eq)]
enum Waited {
    Something,
    Ended,
}

/// Reads what is there, at most 1 MiB at a time so that the other stream has its turn.
fn drain(pipe: &mut Option<OwnedFd>, stream: Stream, heard: &mut impl FnMut(Stream, &[u8])) {
    let mut buffer = [0; 16 * 1024];
    for _ in 0..64 {
        let Some(open) = pipe else { return };
        match rustix::io::read(open, &mut buffer) {
            Ok(0) => *pipe = None,
            Ok(count) => heard(stream, buffer.get(..count).unwrap_or_default()),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return,
            Err(_) => *pipe = None,
        }
    }
}

fn patiently(fds: &mut [PollFd<'_>], patience: Option<Duration>) -> Result<(), Errno> {
    let timeout = patience.and_then(|patience| Timespec::try_from(patience).ok());
    match poll(fds, timeout.as_ref()) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(cause) => Err(cause),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, leftovers: Leftovers) -> Running {
        let launch = Launch {
            program: PathBuf::from("/bin/sh"),
            arguments: vec!["-c".into(), script.into()],
            environment: vec![("MARK".into(), "C".into())],
            input: None,
            leftovers,
        };
        start(launch, None).unwrap()
    }

    fn listen(script: &str, wanted: impl FnMut() -> Wanted) -> (Ended, Vec<u8>, Vec<u8>) {
        let (mut output, mut errors) = (Vec::new(), Vec::new());
        let heard = |stream, bytes: &[u8]| match stream {
            Stream::Output => output.extend_from_slice(bytes),
            Stream::Errors => errors.extend_from_slice(bytes),
        };
        let ended = shell(script, Leftovers::End).listen(&Bell::new().unwrap(), heard, wanted).unwrap();
        (ended, output, errors)
    }

    #[test]
    fn both_streams_are_read_though_one_is_full() {
        let script = "head -c 300000 /dev/zero >&2; head -c 300000 /dev/zero; echo $MARK; exit 7";
        let (ended, output, errors) = listen(script, || Wanted::GoOn);
        assert_eq!((ended, output.len(), errors.len()), (Ended::Code(7), 300_002, 300_000));
    }

    #[test]
    fn a_child_ends_when_asked_with_all_its_children() {
        let started = monotonic();
        let (ended, ..) = listen("sleep 60 & sleep 60", || Wanted::End);
        assert_eq!(ended, Ended::Signal(15));
        let (ended, ..) = listen("trap '' TERM; sleep 60", || Wanted::Kill);
        assert_eq!(ended, Ended::Signal(9));
        assert!(monotonic().saturating_sub(started) < Duration::from_secs(5));
    }

    #[test]
    fn what_a_hook_leaves_behind_is_not_waited_for() {
        let started = monotonic();
        let bell = Bell::new().unwrap();
        let running = shell("sleep 3 & exit 0", Leftovers::Leave);
        assert_eq!(running.listen(&bell, |_, _| {}, || Wanted::GoOn).unwrap(), Ended::Code(0));
        assert!(monotonic().saturating_sub(started) < Duration::from_secs(2));
    }

    #[test]
    fn a_bell_wakes_the_listener() {
        let bell = Bell::new().unwrap();
        let ringer = bell.share().unwrap();
        let (tell, told) = std::sync::mpsc::sync_channel(1);
        let thread = std::thread::spawn(move || {
            let mut asked = 0;
            let wanted = || {
                asked += 1;
                let _full = tell.try_send(());
                if asked > 1 { Wanted::Kill } else { Wanted::GoOn }
            };
            shell("sleep 60", Leftovers::End).listen(&bell, |_, _| {}, wanted).unwrap()
        });
        told.recv().unwrap();
        ringer.ring();
        assert_eq!(thread.join().unwrap(), Ended::Signal(9));
    }
}
