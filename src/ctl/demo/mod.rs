//! `nbkpctl demo`: a sandbox with sample data and a virtual drive, to watch the program work.
//!
//! The command that a person starts only watches over a second process, which plays the piece. That one ends, and
//! tidies up, when its standard input closes: so a Ctrl-C, a crash or a kill of the first leaves nothing behind. As
//! root, the second has mounts, processes and a udevd of its own, which go with it even if it is killed.

mod child;
mod drive;
mod error;
mod play;
mod sandbox;

use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ExitCode, Stdio};

use crate::ctl::demo::child::plain_command;
use crate::ctl::demo::error::DemoError;
use crate::ctl::demo::play::Stage;
use crate::os::causes::chain;

/// What `nbkpctl demo` is given.
#[derive(Debug, clap::Args)]
pub struct DemoArguments {
    /// Plays the piece; given by the process that watches over it.
    #[arg(long, hide = true)]
    stage: Option<Stage>,
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
