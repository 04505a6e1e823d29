//! The door of the daemon.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser};
use nbkp::backup::drives::unlock;
use nbkp::ctl::pages;
use nbkp::daemon::start;
use nbkp::os::environment::PathOptions;
use nbkp::os::journal::{self, Verbosity};

/// Makes backups by itself whenever a source and its destination are both within reach.
#[derive(Debug, Parser)]
#[command(name = "nbkpd", version, disable_help_subcommand = true)]
#[command(after_help = "Ask it with nbkpctl. TERM ends it, HUP makes it read its configuration anew.")]
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
    #[command(hide = true, about = "Prints the manual page of nbkpd")]
    Man,
}

fn main() -> ExitCode {
    let Arguments { config, socket, state_dir, verbose, quiet, hidden } = Arguments::parse();
    match hidden {
        Some(Hidden::UnlockHelper { words }) => return ExitCode::from(unlock::obey(&words)),
        Some(Hidden::Man) => return ExitCode::from(pages::print_page_of_daemon(Arguments::command())),
        None => {}
    }
    let _journal = journal::begin(Verbosity::chosen(verbose, quiet));
    match start::run_daemon(&PathOptions { config, socket, state_dir }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(fatal) => {
            tracing::error!("{}", fatal.sentence());
            ExitCode::from(fatal.exit_code())
        }
    }
}
