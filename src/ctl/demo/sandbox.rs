//! The sandbox of the demonstration: its directory, the sample data, the daemon and the calls of its client.

use std::fs::{self, DirBuilder, File};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use crate::formats::wire::{Deframer, MAX_REPLY, Mode, Reply, Request, StatusReply};

use super::child::{plain_command, tool};
use super::error::DemoError;

/// The sandbox. It goes with this value, and the daemon with it.
pub(super) struct Sandbox {
    base: PathBuf,
    daemon: Option<Child>,
    watcher: Receiver<()>,
}

impl Sandbox {
    /// Makes an empty one.
    pub(super) fn new(base: PathBuf) -> Result<Self, DemoError> {
        let made = DirBuilder::new().mode(0o700).create(&base);
        made.map_err(|error| DemoError::File(base.clone(), error))?;
        Ok(Self { base, daemon: None, watcher: watcher() })
    }

    /// A path in it.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.base.join(name)
    }

    /// Waits a moment; an error if nobody watches any more.
    pub(super) fn pause(&self, length: Duration) -> Result<(), DemoError> {
        match self.watcher.recv_timeout(length) {
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Ok(()) | Err(RecvTimeoutError::Disconnected) => Err(DemoError::Interrupted),
        }
    }

    /// Writes a file, and the directories above it.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<(), DemoError> {
        let path = self.base.join(name);
        let parent = path.parent().unwrap_or(&self.base);
        let written = fs::create_dir_all(parent).and_then(|()| fs::write(&path, bytes));
        written.map_err(|error| DemoError::File(path, error))
    }

    /// Starts the daemon that lies beside this program, and waits until it answers.
    pub(super) fn start_daemon(&mut self) -> Result<(), DemoError> {
        let program = beside_us("nbkpd")?;
        let log = self.path("nbkpd.log");
        let output = File::create(&log).map_err(|error| DemoError::File(log, error))?;
        let mut command = self.command(&program);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output);
        self.daemon = Some(command.spawn().map_err(|error| DemoError::Start(program, error))?);
        for _ in 0..500 {
            if self.status()?.is_some() {
                return Ok(());
            }
            self.pause(Duration::from_millis(20))?;
        }
        Err(DemoError::TooLate("nbkpd answers"))
    }

    /// The state of everything, if the daemon answers already.
    pub(super) fn status(&mut self) -> Result<Option<StatusReply>, DemoError> {
        if let Some(daemon) = &mut self.daemon
            && let Ok(Some(_)) = daemon.try_wait()
        {
            return Err(DemoError::DaemonEnded(self.last_words()));
        }
        let socket = self.socket();
        let stream = match UnixStream::connect(&socket) {
            Ok(stream) => stream,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => {
                return Ok(None);
            }
            Err(error) => return Err(DemoError::File(socket, error)),
        };
        ask_status(stream, &socket).map(Some)
    }

    /// Calls the client, as a person would, and gives what it printed.
    pub(super) fn client(&self, arguments: &[&str]) -> Result<String, DemoError> {
        let program = beside_us("nbkpctl")?;
        let output = self.command(&program).args(arguments).stdin(Stdio::null()).output();
        let output = output.map_err(|error| DemoError::Start(program, error))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
        } else {
            let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            Err(DemoError::Refused(format!("nbkpctl {}", arguments.join(" ")), said))
        }
    }

    /// What the daemon wrote last.
    pub(super) fn last_words(&self) -> String {
        let log = fs::read(self.path("nbkpd.log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&log).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        lines.iter().skip(lines.len().saturating_sub(10)).copied().collect::<Vec<_>>().join("\n")
    }

    /// Stops the daemon and removes everything.
    pub(super) fn tear_down(&mut self) -> Result<(), DemoError> {
        self.stop_daemon();
        match fs::remove_dir_all(&self.base) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(DemoError::File(self.base.clone(), error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Stops the daemon, if it runs.
    pub(super) fn stop_daemon(&mut self) {
        let Some(mut daemon) = self.daemon.take() else { return };
        // It ends by itself, and its runs with it, when it is asked to; what does not obey is killed.
        let asked = tool("kill", &[&"-TERM", &daemon.id().to_string()]);
        let mut rounds = if asked.is_ok() { 250 } else { 0 };
        while rounds > 0 && matches!(daemon.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(20));
            rounds -= 1;
        }
        let _gone_already = daemon.kill();
        let _reaped = daemon.wait();
    }

    fn socket(&self) -> PathBuf {
        self.path("socket/nbkpd.sock")
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = plain_command(program);
        command.env("HOME", self.path("home")).env("NBKP_CONFIG", self.path("config.toml"));
        command.env("NBKP_SOCKET", self.socket()).env("NBKP_STATE_DIR", self.path("state"));
        command
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _nothing_more_can_be_done = self.tear_down();
    }
}

/// Tells when the process that watches over this one is gone: standard input closes then.
fn watcher() -> Receiver<()> {
    let (gone, is_gone) = sync_channel(1);
    std::thread::spawn(move || {
        let mut nothing = [0; 64];
        while std::io::stdin().read(&mut nothing).is_ok_and(|length| length > 0) {}
        drop(gone);
    });
    is_gone
}

fn beside_us(name: &str) -> Result<PathBuf, DemoError> {
    let own = std::env::current_exe().map_err(|error| DemoError::File("/proc/self/exe".into(), error))?;
    Ok(own.with_file_name(name))
}

fn ask_status(mut stream: UnixStream, socket: &Path) -> Result<StatusReply, DemoError> {
    let file = |error| DemoError::File(socket.to_owned(), error);
    let unexpected = |what: String| DemoError::Unexpected(format!("could not understand nbkpd: {what}"));
    stream.set_read_timeout(Some(Duration::from_secs(10))).map_err(file)?;
    stream.write_all(&Request::Status { syncs: Vec::new() }.call(Mode::Once).frame()).map_err(file)?;
    let mut frames = Deframer::new(MAX_REPLY);
    let mut buffer = [0; 16 << 10];
    loop {
        let length = stream.read(&mut buffer).map_err(file)?;
        if length == 0 {
            return Err(unexpected("it hung up".into()));
        }
        frames.push(buffer.get(..length).unwrap_or_default());
        if let Some(frame) = frames.next_frame().map_err(|error| unexpected(error.to_string()))? {
            let reply = Reply::read(&frame).map_err(|error| unexpected(error.to_string()))?;
            let reply = reply.map_err(|error| unexpected(error.to_string()))?;
            return reply.decode().map_err(|error| unexpected(error.to_string()));
        }
    }
}
