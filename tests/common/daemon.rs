//! The daemon as a process: started, asked how it is, stopped, killed.

use std::cell::RefCell;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::{eventually, text_of};

/// What a daemon is started in.
pub enum Wrapping {
    /// Nothing.
    Plain,
    /// As if its standard error were the journal.
    Journal,
    /// Without the right to gain others, as the shipped units have it.
    Limited,
    /// A service manager that wants a sign of life every two seconds.
    Watched,
    /// A standard error that takes nothing, and a service manager that wants a sign of life every two seconds.
    Unread,
    /// A tracer that kills the thread which enters this system call for the n-th time.
    KilledAt(&'static str, u32),
}

/// A daemon, killed when it goes out of scope.
pub struct Daemon {
    child: RefCell<Child>,
    traced: bool,
    log: PathBuf,
    notifications: Receiver<String>,
    heard: RefCell<Vec<String>>,
    /// The end of its standard error that nobody reads.
    _unread: Option<OwnedFd>,
}

/// A pipe that takes nothing more; its first end is the one that would be read.
fn full_pipe() -> (OwnedFd, OwnedFd) {
    let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::NONBLOCK).unwrap();
    while rustix::io::write(&write, &[b'x'; 4096]).is_ok() {}
    rustix::fs::fcntl_setfl(&write, rustix::fs::OFlags::empty()).unwrap();
    (read, write)
}

impl Daemon {
    /// Starts it with its output in `log` and a socket for what it tells the service manager.
    pub fn launch(log: &Path, notify: &Path, wrapping: &Wrapping, command: impl Fn(&str) -> Command) -> Self {
        let notifications = listen(notify);
        std::fs::set_permissions(notify, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let output = File::create(log).unwrap();
        let program = env!("CARGO_BIN_EXE_nbkpd");
        let mut command = match wrapping {
            Wrapping::Plain | Wrapping::Journal | Wrapping::Watched | Wrapping::Unread => command(program),
            Wrapping::Limited => {
                let mut command = command("setpriv");
                command.args(["--no-new-privs", program]);
                command
            }
            Wrapping::KilledAt(call, time) => {
                let mut command = command("strace");
                command.args(["-f", "-qq", "-o", "/dev/null", "-e"]).arg(format!("trace={call}"));
                command.arg("-e").arg(format!("inject={call}:signal=KILL:when={time}")).arg(program);
                command
            }
        };
        if matches!(wrapping, Wrapping::Journal) {
            let metadata = output.metadata().unwrap();
            command.env("JOURNAL_STREAM", format!("{}:{}", metadata.dev(), metadata.ino()));
        }
        command.env("NOTIFY_SOCKET", notify).stdin(Stdio::null()).stdout(output.try_clone().unwrap());
        let unread = match wrapping {
            Wrapping::Unread => {
                let (unread, full) = full_pipe();
                command.env("WATCHDOG_USEC", "2000000").stderr(full);
                Some(unread)
            }
            Wrapping::Watched => {
                command.env("WATCHDOG_USEC", "2000000").stderr(output);
                None
            }
            Wrapping::Plain | Wrapping::Journal | Wrapping::Limited | Wrapping::KilledAt(..) => {
                command.stderr(output);
                None
            }
        };
        let child = command.spawn().expect("nbkpd");
        let traced = matches!(wrapping, Wrapping::KilledAt(..));
        let heard = RefCell::default();
        Self { child: RefCell::new(child), traced, log: log.into(), notifications, heard, _unread: unread }
    }

    /// Waits until it says that it is ready.
    #[track_caller]
    pub fn wait_until_ready(&self) {
        eventually("the daemon is ready", || {
            let ended = self.ended();
            assert!(ended.is_none(), "the daemon ended before it was ready: {ended:?}");
            self.told("READY=1").then_some(())
        });
    }

    /// Whether it has told this to the service manager, as the beginning of a line.
    pub fn told(&self, beginning: &str) -> bool {
        let told = |lines: &[String]| lines.iter().any(|line| line.starts_with(beginning));
        while !told(&self.heard.borrow()) {
            let Ok(line) = self.notifications.recv_timeout(Duration::from_millis(20)) else { return false };
            self.heard.borrow_mut().push(line);
        }
        true
    }

    /// All that it told the service manager so far.
    pub fn heard(&self) -> Vec<String> {
        self.told("nothing that anybody says");
        self.heard.borrow().clone()
    }

    /// What it wrote.
    pub fn log(&self) -> String {
        text_of(&self.log)
    }

    /// How it ended, if it did.
    pub fn ended(&self) -> Option<ExitStatus> {
        self.child.borrow_mut().try_wait().unwrap()
    }

    /// Its process.
    pub fn pid(&self) -> Pid {
        let started = Pid::from_child(&self.child.borrow());
        if !self.traced {
            return started;
        }
        child_of(started.as_raw_nonzero().get()).and_then(Pid::from_raw).unwrap_or(started)
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits for its end.
    #[track_caller]
    pub fn ends(&self) -> ExitStatus {
        eventually("the daemon ends", || self.ended())
    }

    /// Stops it as the service manager does, and wants a good end.
    #[track_caller]
    pub fn stop(self) {
        self.signal(Signal::TERM);
        let status = self.ends();
        assert!(status.success(), "the daemon stopped with {status}");
    }

    /// Kills it without warning; its children live on.
    pub fn kill(self) {
        self.signal(Signal::KILL);
        self.ends();
    }

    /// Kills it if it still lives.
    pub fn kill_if_alive(self) {
        if self.ended().is_none() {
            self.kill();
        }
    }

    /// Its resident memory, in KiB.
    pub fn memory(&self) -> u64 {
        let status = text_of(format!("/proc/{}/status", self.pid().as_raw_nonzero()));
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or_default()
    }

    /// How often its threads have woken up.
    pub fn wake_ups(&self) -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid().as_raw_nonzero())).unwrap();
        tasks
            .filter_map(Result::ok)
            .filter_map(|task| {
                let status = text_of(task.path().join("status"));
                let line = status.lines().find(|line| line.starts_with("voluntary_ctxt_switches"))?.to_owned();
                line.split_whitespace().nth(1)?.parse::<u64>().ok()
            })
            .sum()
    }

    /// Its open file descriptors.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid().as_raw_nonzero())).unwrap().count()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.ended().is_none() {
            // A tracer that is killed would let the daemon go on.
            let _ = kill_process(self.pid(), Signal::KILL);
            let child = self.child.get_mut();
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Listens where the service manager would. Like it, it always takes what comes: else who tells would have to wait.
fn listen(path: &Path) -> Receiver<String> {
    let socket = UnixDatagram::bind(path).unwrap();
    let (lines, heard) = sync_channel(100_000);
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length) = socket.recv(&mut buffer) {
            for line in String::from_utf8_lossy(&buffer[..length]).lines() {
                if lines.send(line.to_owned()).is_err() {
                    return;
                }
            }
        }
    });
    heard
}

/// The first process whose parent is this one.
fn child_of(parent: i32) -> Option<i32> {
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    processes.filter_map(|process| process.file_name().to_str()?.parse::<i32>().ok()).find(|process| {
        let stat = text_of(format!("/proc/{process}/stat"));
        let behind_name = stat.rsplit_once(") ").map(|(_, rest)| rest).unwrap_or_default();
        behind_name.split_whitespace().nth(1).and_then(|field| field.parse().ok()) == Some(parent)
    })
}
