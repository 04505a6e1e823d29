//! The door of the daemon.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use nbkp::backup::drives::unlock;
use nbkp::daemon::start;
use nbkp::os::environment::PathOptions;
use nbkp::os::journal::{self, Verbosity};

/// Makes backups by itself whenever a source and its destination are both within reach.
#[derive(Debug, Parser)]
#[command(name = "nbkpd", version, after_help = SIGNALS)]
struct Arguments {
    /// The configuration file; `NBKP_CONFIG` names another one
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The control socket; `NBKP_SOCKET` names another one
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// Where history and decisions are kept; `NBKP_STATE_DIR` names another one
    #[arg(long, value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Log decisions and their reasons too
    #[arg(short, long, conflicts_with = "quiet")]
    verbose: bool,
    /// Log only what a person should know some day
    #[arg(short, long)]
    quiet: bool,
    #[command(subcommand)]
    hidden: Option<Hidden>,
}

#[derive(Debug, clap::Subcommand)]
enum Hidden {
    #[command(hide = true, about = "Unlocks one drive and ends; the daemon starts it")]
    UnlockHelper { words: Vec<String> },
}

const SIGNALS: &str = "Ask it with nbkpctl. TERM ends it, HUP makes it read its configuration anew.";

fn main() -> ExitCode {
    let Arguments { config, socket, state_dir, verbose, quiet, hidden } = Arguments::parse();
    if let Some(Hidden::UnlockHelper { words }) = hidden {
        return ExitCode::from(unlock::obey(&words));
    }
    let _journal = journal::begin(match (verbose, quiet) {
        (true, _) => Verbosity::Verbose,
        (false, true) => Verbosity::Quiet,
        (false, false) => Verbosity::Normal,
    });
    match start::run_daemon(&PathOptions { config, socket, state_dir }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fatal) => {
            tracing::error!("{}", fatal.sentence());
            ExitCode::from(fatal.exit_code())
        }
    }
}
