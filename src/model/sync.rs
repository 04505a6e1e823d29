//! A sync: a one-way copy from one place to another, with all that is asked of it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use super::{BatteryRule, CheckRule, Conditions, End, MeteredRule, PingUrl, Place, SyncName, VolumeName, words};

/// A one-way copy. A sync to a group appears as one of these for each member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sync {
    /// Its name.
    pub name: SyncName,
    /// Where it reads.
    pub source: Place,
    /// Where it writes.
    pub destination: Place,
    /// Whether it runs at all.
    pub enabled: bool,
    /// How history is kept at the destination.
    pub snapshots: SnapshotKind,
    /// Which snapshots stay.
    pub keep: Retention,
    /// How often a copy is wanted.
    pub every: Every,
    /// The age of the last success from which on a person should know.
    pub max_age: Option<Duration>,
    /// The syncs that go first by the configuration's word (those that follow from overlapping paths are not in here).
    pub after: BTreeSet<SyncName>,
    /// What is left out, in rsync's order: the first that matches decides.
    pub filters: Vec<Filter>,
    /// A file of rsync filter rules, as an absolute path.
    pub filter_file: Option<PathBuf>,
    /// What becomes of what is mounted below the source.
    pub mounts: MountsBelow,
    /// What a run comes to that finds nothing new.
    pub unchanged: Unchanged,
    /// How rsync is called.
    pub rsync: RsyncSettings,
    /// When it may start.
    pub when: Conditions,
    /// How much a run may delete.
    pub guard: Guard,
    /// Commands around a run.
    pub hooks: Hooks,
    /// How often its copies are read back by themselves.
    pub verify: Option<CheckRule>,
    /// Where its runs are reported.
    pub ping: Option<PingUrl>,
}

/// How often a copy is wanted where nothing is said.
const EVERY: Duration = Duration::from_hours(1);

/// The share of the destination's files that a run may delete where nothing is said, in percent.
const MAX_DELETE: u8 = 25;

impl Sync {
    /// A sync of which nothing more is said than where it leads.
    #[must_use]
    pub fn new(name: SyncName, source: Place, destination: Place) -> Self {
        Self {
            name,
            source,
            destination,
            enabled: true,
            snapshots: SnapshotKind::None,
            keep: Retention::All,
            every: Every::Interval(EVERY),
            max_age: None,
            after: BTreeSet::new(),
            filters: Vec::new(),
            filter_file: None,
            mounts: MountsBelow::Copied,
            unchanged: Unchanged::NoSnapshot,
            rsync: RsyncSettings::default(),
            when: Conditions { metered: MeteredRule::Avoid, battery: BatteryRule::Any, hours: None },
            guard: Guard::MaxDelete(MAX_DELETE),
            hooks: Hooks::default(),
            verify: None,
            ping: None,
        }
    }

    /// Where one end of it lies.
    #[must_use]
    pub fn place(&self, end: End) -> &Place {
        match end {
            End::Source => &self.source,
            End::Destination => &self.destination,
        }
    }

    /// Both its ends; one, if both are on one volume.
    #[must_use]
    pub fn ends(&self) -> Vec<(End, &Place)> {
        if self.source.volume == self.destination.volume {
            vec![(End::Destination, &self.destination)]
        } else {
            vec![(End::Source, &self.source), (End::Destination, &self.destination)]
        }
    }

    /// Whether it reads or writes a volume.
    #[must_use]
    pub fn uses(&self, volume: &VolumeName) -> bool {
        self.source.volume == *volume || self.destination.volume == *volume
    }
}

/// How history is kept at a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnapshotKind {
    /// No history: the files lie directly in the destination.
    None,
    /// Read-only snapshots of a btrfs subvolume `staging`.
    Btrfs,
    /// Directories that share unchanged files by hard links.
    HardLink,
}

words!(SnapshotKind {
    None = "none",
    Btrfs = "btrfs",
    HardLink = "hard-link",
});

/// Which snapshots stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retention {
    /// All of them.
    All,
    /// Those that at least one rule wants.
    Rules(KeepRules),
}

/// Counts of snapshots: the newest of each of the N most recent periods that hold one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeepRules {
    /// The N newest.
    pub last: u32,
    /// One an hour.
    pub hourly: u32,
    /// One a day.
    pub daily: u32,
    /// One a week (Monday to Sunday).
    pub weekly: u32,
    /// One a month.
    pub monthly: u32,
    /// One a year.
    pub yearly: u32,
}

/// How often a copy is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Every {
    /// Each time both ends come within reach (`every = "0s"`).
    Appearance,
    /// Once the last success is older than this.
    Interval(Duration),
}

/// One rsync filter rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Filter {
    /// `- PATTERN`.
    Exclude(String),
    /// `+ PATTERN`.
    Include(String),
    /// `. FILE`: rules read from a file once, as an absolute path.
    Merge(PathBuf),
    /// `: NAME`: rules read from the file of this name in each directory.
    DirMerge(String),
    /// A rule in rsync's own words, checked to begin with one of its rule names.
    Rule(OsString),
}

/// What becomes of filesystems that are mounted below a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MountsBelow {
    /// They are copied with what is around them.
    Copied,
    /// The directories on which they are mounted are copied, and nothing in them (`one-file-system = true`).
    LeftOut,
}

/// What a run comes to that finds nothing new, where history is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unchanged {
    /// No snapshot: the newest one holds it all (`unchanged = "skip"`).
    NoSnapshot,
    /// One that is like the one before (`unchanged = "snapshot"`).
    Snapshot,
}

impl Unchanged {
    /// Each word of the configuration and what it says.
    pub const WORDS: [(&'static str, Self); 2] = [("skip", Self::NoSnapshot), ("snapshot", Self::Snapshot)];

    /// Its word in the configuration.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoSnapshot => "skip",
            Self::Snapshot => "snapshot",
        }
    }
}

/// How rsync is called.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RsyncSettings {
    /// `--compress`, for servers.
    pub compress: bool,
    /// `--checksum`.
    pub checksum: bool,
    /// What of files is kept beside what the basic options keep.
    pub kept: CopyTraits,
    /// `--bwlimit`, in bytes a second.
    pub bandwidth: Option<u64>,
    /// The basic options.
    pub options: RsyncOptions,
    /// Options added behind the basic ones, from the list of those that cannot leave the destination.
    pub extra_options: Vec<String>,
}

/// What of files is kept beside what the basic options of rsync keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CopyTraits {
    /// `--sparse`: long runs of zeros take no room at the destination.
    pub sparse: bool,
    /// `--hard-links`: names of one file at the source are names of one file at the destination.
    pub hard_links: bool,
}

/// The basic options of rsync.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum RsyncOptions {
    /// Ours.
    #[default]
    Default,
    /// The user's own, in place of ours. What safety needs is added all the same.
    Replaced(Vec<String>),
}

/// How much of what is at the destination a run may delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// Anything.
    Off,
    /// At most this share of the destination's files, in percent, 0 to 100.
    MaxDelete(u8),
}

/// Commands around a run, and one for a copy that is overdue.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hooks {
    /// Before the copy; a failure stops the run.
    pub before: Option<HookCommand>,
    /// After a success.
    pub after: Option<HookCommand>,
    /// After a failure or a hold.
    pub failed: Option<HookCommand>,
    /// After a run that was cut short, or that could not be although `before` had run.
    pub interrupted: Option<HookCommand>,
    /// When a copy is overdue, and each day while it is.
    pub overdue: Option<HookCommand>,
}

impl Hooks {
    /// All that there are, each with its key.
    pub fn named(&self) -> impl Iterator<Item = (&'static str, &HookCommand)> {
        let Self { before, after, failed, interrupted, overdue } = self;
        let of_runs = [("before", before), ("after", after), ("failed", failed), ("interrupted", interrupted)];
        let all = of_runs.into_iter().chain([("overdue", overdue)]);
        all.filter_map(|(key, hook)| Some((key, hook.as_ref()?)))
    }
}

/// An argument vector; never a shell string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookCommand {
    /// The program: an absolute path, or a name that is looked up in `PATH`.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
}
