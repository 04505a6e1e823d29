//! The paths that a command was called with, and our own programs as a person has to call them to come to the same.

use crate::ctl::args::Common;
use crate::ctl::command_error::CommandError;
use crate::formats::text::{printable, shell_words};
use crate::os::environment::{self, PathOptions, Paths};

/// Where everything is, by the command line and the environment.
pub(super) fn paths_of(common: &Common) -> Result<Paths, CommandError> {
    let options = PathOptions {
        config: common.config.clone(),
        socket: common.socket.clone(),
        state_dir: common.state_dir.clone(),
    };
    Ok(environment::paths(&options)?)
}

/// A program of ours with the options that make it take these paths, where it would not by itself.
pub(super) fn called(program: &str, paths: &Paths) -> String {
    let options = environment::options_for(paths);
    if options.is_empty() { program.to_owned() } else { format!("{program} {}", printable(&shell_words(&options))) }
}
