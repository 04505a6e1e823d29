//! The programs that the demonstration starts.

use std::path::Path;
use std::process::{Command, Stdio};

use super::error::DemoError;

/// A child with a fixed, short environment.
#[expect(clippy::disallowed_methods, reason = "the demonstration plays a person at a shell: its children are theirs")]
pub(super) fn plain_command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear();
    command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C.UTF-8");
    command
}

/// Runs a program to its end and gives what it printed.
pub(super) fn tool(program: &str, arguments: &[&dyn AsRef<std::ffi::OsStr>]) -> Result<String, DemoError> {
    let mut command = plain_command(Path::new(program));
    command.args(arguments.iter().map(AsRef::as_ref)).stdin(Stdio::null());
    let output = command.output().map_err(|error| DemoError::Start(program.into(), error))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(DemoError::Refused(program.to_owned(), String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }
}
