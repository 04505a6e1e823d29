//! Shows a file on the desktop, by the program that the desktop has for its kind (xdg-open(1)).

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::programs;

/// What the desktop has for it.
const PROGRAM: &str = "xdg-open";
/// So long it may find out that nothing can show the file. Some desktops let it live as long as the browser does.
const PATIENCE: Duration = Duration::from_secs(3);

/// Why a file is not shown.
#[derive(Debug, thiserror::Error)]
pub enum ViewerError {
    /// The desktop has no such program.
    #[error("show the page: `{PROGRAM}` is not installed")]
    Missing,
    /// It does not start.
    #[error("show the page by `{PROGRAM}`")]
    Start(#[source] std::io::Error),
    /// It says no.
    #[error("show the page: `{PROGRAM}` found nothing that shows it ({0})")]
    Refused(std::process::ExitStatus),
}

/// Shows a file. What shows it outlives us, and what it says is nobody's business.
pub fn show(file: &Path) -> Result<(), ViewerError> {
    let program = programs::find_program(PROGRAM).ok_or(ViewerError::Missing)?;
    #[expect(clippy::disallowed_methods, reason = "it is no child whose end is waited for")]
    let mut command = Command::new(program);
    command.arg(file).env_clear().env("PATH", programs::search_path());
    command.envs(programs::account_environment()).envs(programs::session_environment());
    command.envs(programs::desktop_environment());
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(ViewerError::Start)?;
    let process = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    if let Some(alive) = process.and_then(|process| pidfd_open(process, PidfdFlags::empty()).ok()) {
        let _early = poll(&mut [PollFd::new(&alive, PollFlags::IN)], Timespec::try_from(PATIENCE).ok().as_ref());
    }
    match child.try_wait().map_err(ViewerError::Start)? {
        Some(status) if !status.success() => Err(ViewerError::Refused(status)),
        Some(_) | None => Ok(()),
    }
}
