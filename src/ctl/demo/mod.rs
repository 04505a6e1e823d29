//! `nbkpctl demo`: a sandbox with sample data and a virtual drive, to watch the program work.
//!
//! The command that a person starts only watches over a second process, which plays the piece. That one ends, and
//! tidies up, when its standard input closes: so a Ctrl-C, a crash or a kill of the first leaves nothing behind. As
//! root, the second has mounts, processes and a udevd of its own, which go with it even if it is killed.

mod drive;
mod play;
mod sandbox;

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};

use crate::os::causes::chain;

/// What `nbkpctl demo` is given.
#[derive(Debug, clap::Args)]
pub struct DemoArguments {
    /// Plays the piece; given by the process that watches over it.
    #[arg(long, hide = true)]
    stage: Option<Stage>,
}

/// Where the piece is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Stage {
    /// In namespaces of its own, with a real udev and a loop device as the drive.
    Machine,
    /// In a directory, another directory being the drive.
    Directory,
}

/// Why the demonstration did not come to its end.
#[derive(Debug, thiserror::Error)]
enum DemoError {
    /// The person who watched went away.
    #[error("it was interrupted")]
    Interrupted,
    /// A file or directory could not be used.
    #[error("could not use {}", .0.display())]
    File(PathBuf, #[source] std::io::Error),
    /// A program could not be started.
    #[error("could not start {}", .0.display())]
    Start(PathBuf, #[source] std::io::Error),
    /// A program said no.
    #[error("{0} said: {1}")]
    Refused(String, String),
    /// The daemon ended before its time.
    #[error("nbkpd ended; its last words: {0}")]
    DaemonEnded(String),
    /// Something did not happen in time.
    #[error("waited in vain until {0}")]
    TooLate(&'static str),
    /// Something happened that should not.
    #[error("{0}")]
    Unexpected(String),
}

/// Shows the program at work, from the first line to the last.
#[must_use]
pub fn demo(arguments: &DemoArguments) -> ExitCode {
    match arguments.stage {
        None => watch_over(),
        Some(stage) => play::play(stage),
    }
}

fn watch_over() -> ExitCode {
    match start_play() {
        Ok(mut player) => {
            // Its standard input stays open as long as this process lives.
            let _life_line = player.stdin.take();
            match player.wait() {
                Ok(status) if status.success() => ExitCode::SUCCESS,
                Ok(_) | Err(_) => ExitCode::FAILURE,
            }
        }
        Err(error) => {
            eprintln!("nbkpctl demo: {}", chain(&error));
            ExitCode::FAILURE
        }
    }
}

fn start_play() -> Result<Child, DemoError> {
    let program = std::env::current_exe().map_err(|error| DemoError::File("/proc/self/exe".into(), error))?;
    let mut command = match machine_of_its_own() {
        Ok(()) => {
            let mut command = plain_command(Path::new("unshare"));
            command.args(["--mount", "--net", "--pid", "--fork", "--mount-proc", "--kill-child", "--"]);
            command.arg(&program).args(["demo", "--stage", "machine"]);
            command
        }
        Err(why) => {
            println!("A plain directory stands in for the drive, since {why}.");
            let mut command = plain_command(&program);
            command.args(["demo", "--stage", "directory"]);
            command
        }
    };
    // A process group of its own, so that a Ctrl-C ends only the watcher, and the player can tidy up.
    command.process_group(0).stdin(Stdio::piped()).spawn().map_err(|error| DemoError::Start(program, error))
}

/// Whether namespaces, loop devices and udev can be had here; if not, why, behind "since".
fn machine_of_its_own() -> Result<(), &'static str> {
    if !std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0) {
        return Err("a virtual drive takes root");
    }
    if !Path::new("/dev/loop-control").exists() {
        return Err("this machine has no loop devices");
    }
    if drive::udev_daemon().is_none() {
        return Err("systemd-udevd is not installed");
    }
    let tried = plain_command(Path::new("unshare"))
        .args(["--mount", "--net", "--pid", "--fork", "--mount-proc", "true"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match tried {
        Ok(status) if status.success() => Ok(()),
        Ok(_) | Err(_) => Err("namespaces are not allowed here"),
    }
}

/// A child with a fixed, short environment.
#[expect(clippy::disallowed_methods, reason = "the demonstration plays a person at a shell: its children are theirs")]
fn plain_command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C.UTF-8");
    command
}

/// Runs a program to its end and gives what it printed.
fn tool(program: &str, arguments: &[&dyn AsRef<std::ffi::OsStr>]) -> Result<String, DemoError> {
    let mut command = plain_command(Path::new(program));
    command.args(arguments.iter().map(AsRef::as_ref)).stdin(Stdio::null());
    let output = command.output().map_err(|error| DemoError::Start(program.into(), error))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(DemoError::Refused(program.to_owned(), String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }
}
