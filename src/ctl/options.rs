//! The options of single commands that have many, or commands of their own.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};

use crate::model::{SampleShare, SnapshotKind, SnapshotName, SyncName, VolumeName};

/// How to run.
#[derive(Debug, Clone, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own on the command line")]
pub struct RunOptions {
    /// The syncs.
    #[arg(value_name = "SYNC")]
    pub syncs: Vec<SyncName>,
    /// Changes nothing; shows every command and change, by rsync's own dry run.
    #[arg(long, conflicts_with_all = ["wait", "force"])]
    pub dry_run: bool,
    /// Shows progress, and ends with the outcome; with exit code 4 if a sync that is named was not copied. So it does
    /// without a daemon, whether this is said or not.
    #[arg(short, long)]
    pub wait: bool,
    /// Sets aside `when`, a pause and a back-off; never proofs and guards.
    #[arg(long)]
    pub force: bool,
    /// Ends with exit code 4 if nothing could run.
    #[arg(long)]
    pub strict: bool,
}

/// What to look for.
#[derive(Debug, Clone, Args)]
pub struct FindOptions {
    /// A pattern of a shell, quoted: `'*.odt'` is about names, `'photos/2024/*'`, having a slash, about paths.
    #[arg(value_name = "PATTERN", value_hint = ValueHint::Other)]
    pub pattern: String,
    /// Only what is in a copy and no longer at the source, and when it went.
    #[arg(long)]
    pub deleted: bool,
    /// Only in the copies of this sync.
    #[arg(long, value_name = "SYNC")]
    pub sync: Option<SyncName>,
}

/// What to get back.
#[derive(Debug, Clone, Args)]
pub struct RestoreOptions {
    /// The files and directories where they are or were, or `volume:path`; with `--from`, as they lie in the copy.
    #[arg(value_name = "PATH", required_unless_present = "from", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// As of when: `yesterday 18:00`, `3d`, `2026-11-20`, or the name of a snapshot. Otherwise as they were last.
    #[arg(long, value_name = "WHEN")]
    pub at: Option<String>,
    /// Into this directory; otherwise to their places.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub to: Option<PathBuf>,
    /// From the copies below this directory alone, on any machine; without paths, lists them.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub from: Option<PathBuf>,
    /// Changes nothing; shows what would come.
    #[arg(long)]
    pub dry_run: bool,
    /// Overwrites files that are there and differ.
    #[arg(long)]
    pub force: bool,
}

/// Which script to write, and where.
#[derive(Debug, Clone, Args)]
pub struct ScriptOptions {
    /// Only these syncs.
    #[arg(value_name = "SYNC")]
    pub syncs: Vec<SyncName>,
    /// The script; `-` prints it.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: PathBuf,
    /// Sources are found from where the script lies, so that it can go with their drive.
    #[arg(long)]
    pub relative_source: bool,
    /// Destinations are found from where the script lies, so that it can go with their drive.
    #[arg(long)]
    pub relative_destination: bool,
}

/// Where a report goes, and what it shows.
#[derive(Debug, Clone, Args)]
pub struct ReportOptions {
    /// The page; otherwise, or for `-`, it is printed.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// Over how many days sizes and durations are shown; the calendar always has a year.
    #[arg(long, value_name = "N", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=3660))]
    pub days: u32,
    /// Shows it in the browser.
    #[arg(long)]
    pub open: bool,
}

/// How a graph is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// A tree for people.
    Tree,
    /// A flowchart of Mermaid.
    Mermaid,
    /// A graph of Graphviz.
    Dot,
}

/// What to read back.
#[derive(Debug, Clone, Args)]
pub struct VerifyOptions {
    /// The syncs.
    #[arg(value_name = "SYNC")]
    pub syncs: Vec<SyncName>,
    /// Reads only so many of the files, such as 5%; which ones, goes round.
    #[arg(long, value_name = "PERCENT", value_parser = sample_share, default_value = "100%", hide_default_value = true)]
    pub sample: SampleShare,
    /// Reads this snapshot; otherwise the newest.
    #[arg(long, value_name = "NAME", value_parser = snapshot_name)]
    pub snapshot: Option<SnapshotName>,
}

fn sample_share(text: &str) -> Result<SampleShare, String> {
    let digits = text.strip_suffix('%').unwrap_or_default();
    let share = digits.parse().ok().and_then(SampleShare::percent);
    share.ok_or_else(|| "write it like 5%, from 1% to 100%".to_owned())
}

fn snapshot_name(text: &str) -> Result<SnapshotName, String> {
    text.parse().map_err(|_| "a snapshot is named like 2026-11-22T17:30:00.000Z; `snapshots` lists them".to_owned())
}

/// What to set up.
#[derive(Debug, Clone, Args)]
pub struct InitOptions {
    /// What is copied: a sync for each directory.
    #[arg(long, value_name = "DIR", num_args = 1.., value_hint = ValueHint::DirPath)]
    pub source: Vec<PathBuf>,
    /// Where the copies go: a directory here or on a drive, a directory of a server, or the UUID of a drive. Each sync
    /// gets a directory of its own there.
    #[arg(long, value_name = "DIR|HOST:DIR|UUID", value_hint = ValueHint::AnyPath)]
    pub destination: Option<String>,
    /// How earlier versions are kept; without it as the filesystem there does best.
    #[arg(long, value_name = "KIND", value_enum)]
    pub snapshots: Option<SnapshotChoice>,
    /// What the sync is called; without it like its directory.
    #[arg(long, value_name = "NAME")]
    pub name: Option<SyncName>,
    /// Leaves the service of nbkpd as it is.
    #[arg(long)]
    pub no_enable: bool,
    /// Asks nothing: what is not said by options has its default, or is an error.
    #[arg(short, long)]
    pub yes: bool,
}

/// How earlier versions are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SnapshotChoice {
    /// Not at all.
    None,
    /// As snapshots of btrfs.
    Btrfs,
    /// As directories that share unchanged files.
    HardLink,
}

impl From<SnapshotChoice> for SnapshotKind {
    fn from(choice: SnapshotChoice) -> Self {
        match choice {
            SnapshotChoice::None => Self::None,
            SnapshotChoice::Btrfs => Self::Btrfs,
            SnapshotChoice::HardLink => Self::HardLink,
        }
    }
}

/// How a drive is to be formatted.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct FormatOptions {
    /// The drive, or a partition of it: /dev/sdb1.
    #[arg(value_name = "DEVICE", value_hint = ValueHint::AnyPath)]
    pub device: PathBuf,
    /// Prints the commands; none is run.
    #[arg(long)]
    pub print: bool,
    /// The filesystem.
    #[arg(long, value_enum, default_value_t = FilesystemChoice::Btrfs)]
    pub filesystem: FilesystemChoice,
    /// Its label, and the name of the volume.
    #[arg(long, value_name = "NAME", default_value = "backup", value_parser = drive_label)]
    pub label: VolumeName,
    /// Does not encrypt it: whoever finds the drive can read it.
    #[arg(long)]
    pub plain: bool,
}

/// A filesystem for backups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FilesystemChoice {
    /// With snapshots that share what did not change.
    Btrfs,
    /// With directories that share files that did not change.
    Ext4,
}

/// ext4 has the shortest labels.
fn drive_label(text: &str) -> Result<VolumeName, String> {
    if text.len() > 16 {
        return Err("a label has at most 16 characters".to_owned());
    }
    text.parse().map_err(|error: crate::model::NameError| error.to_string())
}

/// What to tell about drives. It needs no daemon.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum DrivesCommand {
    /// Prints the polkit rule that lets nbkpd mount and unlock its drives while nobody is logged in.
    Polkit {
        /// The rule for the server that this volume is on: for the account that ssh enters there, and its drives.
        #[arg(long, value_name = "VOLUME")]
        volume: Option<VolumeName>,
    },
    /// Prints the commands that encrypt and format a drive for backups, and runs none of them.
    Format(FormatOptions),
}

/// What to do with the configuration. It needs no daemon.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Tells every mistake of the configuration, with its place and how to mend it.
    Check {
        /// Another file.
        file: Option<PathBuf>,
    },
    /// Prints the configuration in full, with all defaults.
    Show,
    /// Prints a first configuration, to begin with.
    Example,
    /// Prints a JSON Schema of the configuration, for editors.
    Schema,
    /// Prints what the configuration of the Python tool nbkp (YAML) is in our words.
    Import {
        /// Its file; `-` reads standard input.
        #[arg(value_hint = ValueHint::FilePath)]
        file: PathBuf,
    },
}

/// A shell that completions can be had for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// GNU Bash.
    Bash,
    /// Z shell.
    Zsh,
    /// fish.
    Fish,
}
