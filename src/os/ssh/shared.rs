//! A connection that several calls share.

use std::cell::Cell;
use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Call, MOST_WORDS, NoAnswer, Said, SshPlace, heard, in_memory, keep, patience, start, words_of};
use crate::formats::ssh::arguments::{Purpose, SHARED_HOST, connection, remote_shell, through};
use crate::formats::ssh::complaints;
use crate::formats::ssh::script::{self, Marks};
use crate::model::{HostFault, HostTrouble, Route};
use crate::os::causes::chain;
use crate::os::deadline::Deadline;
use crate::os::process::{Bell, Ended, Running, Stream, Wanted};

/// How long a path of a socket may be. The kernel takes 107 bytes, and ssh adds 17 while it makes the socket.
const LONGEST_SOCKET: usize = 90;
/// What keeps a shared connection: it lasts until the pipe that feeds it is closed, by us or by our end.
const KEEP: &str = "echo 'nbkp 1'; exec cat >/dev/null";
/// What `KEEP` says first.
const READY: &[u8] = b"nbkp 1\n";

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

    /// What whoever goes through it needs of this machine: ssh, and where its socket lies.
    #[must_use]
    pub fn needed(&self) -> Vec<PathBuf> {
        std::iter::once(self.ssh.clone()).chain(self.socket.parent().map(Into::into)).collect()
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

    /// Runs a script at the other end and waits for its answer, like [`ask`](super::ask).
    pub fn ask(
        &self,
        (script, arguments): (&str, &[OsString]),
        marks: &Marks,
        deadline: Duration,
        bell: &Bell,
        wanted: impl FnMut() -> Wanted,
    ) -> Result<Said, NoAnswer> {
        let (ssh, of_ssh) = self.command(&script::command(Some(marks)));
        let input = in_memory(&script::text(script, arguments))?;
        heard(Call { ssh, arguments: of_ssh, input }, deadline, bell, wanted)
    }
}

/// How long a server may take to say that it admits a session.
const TRIAL: Duration = Duration::from_secs(15);

/// Whether a server admits several sessions over one connection, as runs need; `None` if that could not be tried.
#[must_use]
pub fn admits_several_sessions(route: &Route, place: &SshPlace) -> Option<bool> {
    let bell = Bell::new().ok()?;
    let shared = Shared::open(route, place, &bell, || Wanted::GoOn).ok()?;
    match shared.ask((":", &[]), &Marks::new("doctor", "doctor"), TRIAL, &bell, || Wanted::GoOn) {
        Ok(_) => Some(true),
        Err(NoAnswer::Ssh(words)) if complaints::refuses_a_session(&words) => Some(false),
        Err(_) => None,
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
        Err(error) => NoAnswer::NotStarted(format!("could not {}", chain(&error))),
        Ok(_) if late => NoAnswer::TooLate,
        Ok(_) if talking.get() => NoAnswer::Talking(words_of(&output)),
        Ok(Ended::Code(255)) => NoAnswer::Ssh(errors),
        Ok(_) => NoAnswer::Talking(words_of(&errors)),
    };
    let _nobody_waits = tell.try_send(News::Ended(trouble));
    its_bell.ring();
}
