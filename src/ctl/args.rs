//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

use crate::ctl::demo::DemoArguments;
use crate::ctl::options::{
    ConfigCommand, DrivesCommand, FindOptions, GraphFormat, InitOptions, ReportOptions, RestoreOptions, RunOptions,
    ScriptOptions, Shell, VerifyOptions,
};
use crate::formats::duration;
use crate::model::{LocationName, SyncName, VolumeName};

/// Shows how your backups stand, and tells nbkpd what to do.
#[derive(Debug, Parser)]
#[command(name = "nbkpctl", version, after_help = EXIT_CODES)]
pub struct Arguments {
    /// What holds for every command.
    #[command(flatten)]
    pub common: Common,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 fine; 1 a run failed, was interrupted or was held; 2 wrong usage or \
configuration; 3 nbkpd is not within reach; 4 nothing could run (with --strict, and for named syncs with --wait or \
without a daemon).";

/// What holds for every command.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Common options")]
pub struct Common {
    /// Prints JSON for programs.
    #[arg(long, global = true)]
    pub json: bool,
    /// Prints only what was asked for and what went wrong.
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Prints more.
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// The configuration file; `NBKP_CONFIG` names another one.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The socket of nbkpd; `NBKP_SOCKET` names another one.
    #[arg(long, global = true, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// The state directory, for work without nbkpd; `NBKP_STATE_DIR` names another one.
    #[arg(long, global = true, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// When to use colour; `auto` means on a terminal, unless `NO_COLOR` is set.
    #[arg(
        long,
        global = true,
        value_name = "auto|always|never",
        default_value = "auto",
        hide_possible_values = true,
        hide_default_value = true
    )]
    pub color: When,
}

/// When colour is used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal, unless `NO_COLOR` is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Something with the daemon.
    #[command(flatten)]
    Conversation(Conversation),
    /// Sets up a backup, the first or the next one: asks what goes where, or takes it from options.
    Init(InitOptions),
    /// Tests everything that backups depend on, and tells how to mend what is wrong.
    #[command(visible_alias = "troubleshoot")]
    Doctor {
        /// Mends what can be mended for certain and without harm, says so, and tests again.
        #[arg(long)]
        fix: bool,
    },
    /// Writes one page for a browser: how everything stands, and how it went.
    Report(ReportOptions),
    /// Tells what is overdue or fails, also where nbkpd is dead (exit code 3): for a timer.
    Overdue,
    /// Checks and shows the configuration.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Draws how data flows: volumes, syncs, and which goes before which.
    Graph {
        /// For people, for Mermaid or for Graphviz.
        #[arg(long, value_enum, default_value_t = GraphFormat::Tree)]
        format: GraphFormat,
    },
    /// Writes a plain shell script that makes the same copies without nbkp.
    Script(ScriptOptions),
    /// Shows the program at work, in a sandbox that cleans up.
    Demo(DemoArguments),
    /// Prints completions for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Prints a manual page: of nbkpctl, of one of its commands, or of the configuration (nbkp.toml).
    #[command(hide = true)]
    Man {
        /// The command.
        command: Option<String>,
    },
}

/// What to ask the daemon, or to tell it.
#[derive(Debug, Subcommand)]
pub enum Conversation {
    /// Shows how every sync stands, and what stands in its way.
    Status {
        /// Only these syncs.
        #[arg(value_name = "SYNC")]
        syncs: Vec<SyncName>,
        /// Goes on showing it as it changes.
        #[arg(short, long)]
        watch: bool,
        /// For scripts and monitors: one line, and exit code 1 unless every copy is fresh and no sync fails.
        #[arg(long, conflicts_with = "watch")]
        check: bool,
    },
    /// Shows every condition of a sync, and what would make it run.
    Why {
        /// The sync.
        sync: SyncName,
    },
    /// Looks at everything again now, then shows how it stands.
    Scan,
    /// Lists the syncs, volumes, groups and locations of the configuration.
    List,
    /// Runs syncs now; without names, all that are possible.
    Run(RunOptions),
    /// Stops runs and empties the queue; without names, of all syncs.
    Cancel {
        /// The syncs.
        #[arg(value_name = "SYNC")]
        syncs: Vec<SyncName>,
    },
    /// Starts no run until `resume`.
    Pause {
        /// Only for this long, such as 2h or 30m.
        #[arg(long = "for", value_name = "DURATION", value_parser = pause_length)]
        length: Option<Duration>,
    },
    /// Ends a pause.
    Resume,
    /// Keeps hands off a volume: stops what runs on it, and starts nothing on it.
    Hold {
        /// The volume.
        volume: VolumeName,
        /// Only for this long, such as 2h or 30m.
        #[arg(long = "for", value_name = "DURATION", value_parser = hold_length)]
        length: Option<Duration>,
    },
    /// Ends a hold, and takes back a drive that was unmounted by hand.
    Release {
        /// The volume.
        volume: VolumeName,
    },
    /// Unlocks and mounts a drive, for you: no run closes it behind itself.
    Mount {
        /// The volume.
        volume: VolumeName,
    },
    /// Unmounts a drive and locks it; what runs on it is stopped.
    Unmount {
        /// The volume.
        volume: VolumeName,
    },
    /// Unmounts, locks and powers off a drive, so that it can be pulled out.
    Eject {
        /// The volume.
        volume: VolumeName,
    },
    /// Accepts what a guard stopped; `diff` shows it before.
    Approve {
        /// The sync.
        sync: SyncName,
    },
    /// Shows what a run would change, or what differs between two snapshots.
    Diff {
        /// The sync.
        sync: SyncName,
        /// Compares the snapshots of two moments: names of snapshots, `yesterday 18:00`, `3d`, `2026-11-20`.
        #[arg(long, num_args = 2, value_names = ["A", "B"])]
        between: Option<Vec<String>>,
    },
    /// Shows the runs of the past.
    History {
        /// Only of this sync.
        sync: Option<SyncName>,
        /// Adds sums over all runs.
        #[arg(long)]
        stats: bool,
        /// How many runs at most.
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
    },
    /// Shows the snapshots, and why each is kept.
    Snapshots {
        /// Only of this sync.
        sync: Option<SyncName>,
        /// Adds what deleting each would free, for which all are walked through.
        #[arg(long)]
        sizes: bool,
    },
    /// Deletes the snapshots that no rule keeps.
    Prune {
        /// Only of these syncs.
        #[arg(value_name = "SYNC")]
        syncs: Vec<SyncName>,
        /// Only shows which would go.
        #[arg(long)]
        dry_run: bool,
    },
    /// Shows every version of a file or directory, over all copies within reach.
    Versions {
        /// The file or directory where it is or was, or `volume:path`.
        #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
        path: PathBuf,
    },
    /// Finds names in all copies within reach, also of what was deleted.
    Find(FindOptions),
    /// Gets files and directories back, from the best copy within reach.
    Restore(RestoreOptions),
    /// Reads copies back, and compares them with the source and with each other.
    Verify(VerifyOptions),
    /// Makes what both ends of syncs need: directories, sentinels, the staging subvolume.
    Prepare {
        /// The syncs.
        #[arg(required = true, value_name = "SYNC")]
        syncs: Vec<SyncName>,
    },
    /// Tells what would be done if something happened; nothing is done.
    Simulate {
        /// What would happen.
        #[command(subcommand)]
        event: SimulateCommand,
    },
    /// Shows the drives that are plugged in, and whose they are.
    Drives {
        /// Something else about them.
        #[command(subcommand)]
        about: Option<DrivesCommand>,
    },
}

/// What is only supposed to happen.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum SimulateCommand {
    /// A drive is plugged in.
    Plug {
        /// Its volume.
        volume: VolumeName,
    },
    /// A drive is pulled out.
    Unplug {
        /// Its volume.
        volume: VolumeName,
    },
    /// The machine joins a network.
    Join {
        /// The location that it is recognised as.
        location: LocationName,
    },
    /// The machine leaves every network.
    Leave,
    /// The machine goes to sleep.
    Sleep,
    /// The connection is paid for by volume, or is not.
    Metered {
        /// Which.
        state: OnOrOff,
    },
}

/// Whether something is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnOrOff {
    /// It is.
    On,
    /// It is not.
    Off,
}

/// What a command can do where no daemon runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithoutDaemon {
    /// Nothing: it is about the daemon.
    Nothing,
    /// Its work, in this process; no backup is changed.
    Looks,
    /// Its work, in this process, by which backups change.
    Works,
}

impl Conversation {
    /// What it can do where no daemon runs.
    #[must_use]
    pub fn alone(&self) -> WithoutDaemon {
        match self {
            Self::Run(RunOptions { dry_run: false, .. })
            | Self::Prune { dry_run: false, .. }
            | Self::Verify(_)
            | Self::Prepare { .. } => WithoutDaemon::Works,
            Self::Run(RunOptions { dry_run: true, .. })
            | Self::Prune { dry_run: true, .. }
            | Self::Snapshots { .. }
            | Self::Versions { .. }
            | Self::Find(_)
            | Self::Restore(_)
            | Self::Diff { .. }
            | Self::History { .. }
            | Self::Approve { .. }
            | Self::Drives { .. }
            | Self::List => WithoutDaemon::Looks,
            Self::Status { .. }
            | Self::Why { .. }
            | Self::Scan
            | Self::Cancel { .. }
            | Self::Pause { .. }
            | Self::Simulate { .. }
            | Self::Resume
            | Self::Hold { .. }
            | Self::Release { .. }
            | Self::Mount { .. }
            | Self::Unmount { .. }
            | Self::Eject { .. } => WithoutDaemon::Nothing,
        }
    }
}

fn pause_length(text: &str) -> Result<Duration, String> {
    length_of("a pause", text)
}

fn hold_length(text: &str) -> Result<Duration, String> {
    length_of("a hold", text)
}

fn length_of(what: &str, text: &str) -> Result<Duration, String> {
    match duration::parse(text) {
        Ok(length) if length.as_secs() > 0 => Ok(length),
        Ok(_) => Err(format!("{what} lasts a second at least")),
        Err(error) => Err(format!("{error}; write it like 2h or 1h30m")),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;
    use clap::error::ErrorKind;

    use super::*;

    fn parse(line: &str) -> Result<Arguments, clap::Error> {
        Arguments::try_parse_from(line.split(' '))
    }

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    /// Every command, with its options.
    const COMMANDS: &[&str] = &[
        "status",
        "status a b@c --watch",
        "status --check",
        "why a",
        "scan",
        "list",
        "run",
        "run a --dry-run",
        "run a b --wait --force --strict",
        "cancel",
        "cancel a",
        "pause",
        "pause --for 1h30m",
        "hold usb --for 2h",
        "simulate plug usb",
        "simulate metered on",
        "simulate leave",
        "resume",
        "hold usb",
        "release usb",
        "approve a@b",
        "diff a",
        "diff a --between 3d now",
        "history",
        "history a --stats --limit 3",
        "snapshots",
        "snapshots a",
        "snapshots a --sizes",
        "prune",
        "prune a --dry-run",
        "prepare a b",
        "versions /home/a/x",
        "find *.odt",
        "find a/b --deleted --sync a@b --json",
        "restore x usb:y --at 3d --to /tmp --dry-run --force",
        "restore --from /mnt",
        "restore --from /mnt x --to /tmp",
        "verify",
        "verify a b --sample 5% --snapshot 2026-11-22T17:30:00.000Z",
        "drives",
        "drives polkit",
        "drives polkit --json",
        "drives format /dev/sdb1 --print",
        "drives format /dev/sdb --print --filesystem ext4 --label usb --plain --json",
        "init",
        "init --yes --source a b --destination nas:/srv --snapshots hard-link --no-enable",
        "init --source a --source b --name n --json",
        "doctor",
        "troubleshoot --json",
        "drives polkit --volume attic",
        "config check",
        "config check x.toml",
        "config show",
        "config example",
        "config schema",
        "script -o backup.sh",
        "script a b --relative-source --relative-destination --output -",
        "report",
        "report -o x.html --days 30 --open --json",
        "graph",
        "graph --format mermaid",
        "graph --format dot --json",
        "completions zsh",
        "man",
        "man run",
        "--json status",
        "status --json -q --config c --socket s --state-dir d --color never",
        "-v list",
    ];

    #[test]
    fn every_command_of_the_contract_is_read() {
        for line in COMMANDS {
            assert!(parse(&format!("nbkpctl {line}")).is_ok(), "{line}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_the_reason() {
        for (line, kind, reason) in [
            ("why -rf", ErrorKind::UnknownArgument, "-r"),
            ("why a/b", ErrorKind::ValueValidation, "a name holds letters, digits"),
            ("hold .x", ErrorKind::ValueValidation, "a name begins with a letter"),
            ("pause --for 2", ErrorKind::ValueValidation, "there is no unit behind 2; write it like 2h"),
            ("hold usb --for 0s", ErrorKind::ValueValidation, "a hold lasts a second at least"),
            ("pause --for 5ms", ErrorKind::ValueValidation, "a second at least"),
            ("run a --dry-run --wait", ErrorKind::ArgumentConflict, "--wait"),
            ("history --limit 0", ErrorKind::ValueValidation, "0 is not in 1.."),
            ("find", ErrorKind::MissingRequiredArgument, "PATTERN"),
            ("prepare", ErrorKind::MissingRequiredArgument, "SYNC"),
            ("verify --sample 0%", ErrorKind::ValueValidation, "from 1% to 100%"),
            ("verify --sample 5", ErrorKind::ValueValidation, "write it like 5%"),
            ("verify --snapshot x", ErrorKind::ValueValidation, "a snapshot is named like"),
            ("report --days 0", ErrorKind::ValueValidation, "0 is not in 1.."),
            ("restore", ErrorKind::MissingRequiredArgument, "PATH"),
            ("status -q -v", ErrorKind::ArgumentConflict, "--verbose"),
            ("doctor usb", ErrorKind::UnknownArgument, "usb"),
            ("drives format", ErrorKind::MissingRequiredArgument, "DEVICE"),
            ("drives format /dev/x --label a/b", ErrorKind::ValueValidation, "a name holds"),
            ("drives format /dev/x --label abcdefghijklmnopq", ErrorKind::ValueValidation, "16 characters"),
            ("fly", ErrorKind::InvalidSubcommand, "fly"),
        ] {
            let error = parse(&format!("nbkpctl {line}")).unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(reason), "{error}");
        }
    }
}
