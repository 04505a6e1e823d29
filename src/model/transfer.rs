//! What rsync told of a copy, as far as something follows from it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// What rsync's end means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferEnd {
    /// All was copied.
    Complete,
    /// Some files or attributes were not copied; the complaints tell which.
    Partial,
    /// Some files vanished while they were read.
    Vanished,
    /// The limit of deletions stopped it from deleting more.
    DeletionLimit,
    /// The other side or the connection failed, with this exit code.
    Connection(i32),
    /// Writing or reading a file failed.
    FileError,
    /// It was asked to stop by a signal.
    Stopped,
    /// It was called wrongly or cannot do what is asked, with this exit code.
    Usage(i32),
    /// It ran out of memory or processes, with this exit code.
    Exhausted(i32),
    /// It could not be run.
    Missing,
    /// This signal ended it.
    Killed(i32),
    /// An exit code that rsync's manual does not know.
    Unknown(i32),
}

/// Which of rsync's processes complained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The one that reads the source.
    Source,
    /// Those that work at the destination.
    Destination,
}

/// What kept rsync from its work as a whole, from what mends itself to what ends a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// Permission denied.
    Permission,
    /// Something that has a number and no row here.
    Other,
    /// What was to be copied was there and is gone.
    Gone,
    /// The device failed or went away.
    Io,
    /// The filesystem became read-only.
    ReadOnly,
    /// No space, quota or inodes are left.
    NoSpace,
}

/// What became of one entry that rsync complained of. The rest is copied all the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Plight {
    /// It could not be read at the source.
    Unreadable,
    /// It changed or went away while it was read, as files of a busy home do.
    Changed,
    /// It is a link that leads nowhere, where what links lead to is copied.
    Dangling,
    /// It is a device, and only root makes devices.
    LeftOut,
    /// The destination cannot hold it.
    Unstorable(Lack),
    /// It was copied, but the destination does not keep all that belongs to it, such as its group.
    Stripped,
    /// It could not be written at the destination.
    Unwritten,
    /// It should have been deleted at the destination, and could not be.
    Undeleted,
}

/// What a filesystem lacks for an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lack {
    /// Names such as this.
    Name,
    /// Names as long as this.
    Length,
    /// A second name that differs only in capital letters.
    Case,
    /// Entries of this type: symbolic links, pipes, sockets, devices.
    Type,
    /// Several names for one file.
    HardLinks,
    /// Files as large as this.
    Size,
}

/// One complaint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// Who complained.
    pub side: Side,
    /// What about.
    pub trouble: Trouble,
    /// rsync's own words, with the path.
    pub text: String,
}

/// Why rsync did not begin at the other end, as our own words there tell, or those of whatever is there instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerRefusal {
    /// Another process holds this lock.
    Taken(String),
    /// A place is not the proven one any more.
    Lost(String),
    /// Another run has written there since.
    Superseded(String),
    /// This program is missing there.
    NoTool(String),
    /// Something could not be done there.
    Failed(String),
    /// What answers there is no rsync that understands this one; these are its words.
    Unfit(String),
}

/// Entries of one plight: how many, and the first few of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Named {
    /// How many.
    pub count: u64,
    /// The first few, with the reason where rsync told one.
    pub examples: Vec<String>,
}

/// So many entries are named; more are only counted.
const EXAMPLES: usize = 5;

impl Named {
    /// Adds one.
    pub fn add(&mut self, example: String) {
        self.count = self.count.saturating_add(1);
        if self.examples.len() < EXAMPLES {
            self.examples.push(example);
        }
    }

    /// Adds those of another.
    pub fn absorb(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        let room = EXAMPLES.saturating_sub(self.examples.len());
        self.examples.extend(other.examples.into_iter().take(room));
    }
}

/// The entries of the source that rsync could not look at, relative to it, for a call that passes them over.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Obscured {
    /// The entries.
    pub paths: BTreeSet<PathBuf>,
    /// How many more there are, which are not known.
    pub more: u64,
}

/// All complaints of one rsync, counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Complaints {
    /// Those that are about one entry each.
    pub entries: BTreeMap<Plight, Named>,
    /// The entries of the source that it could not look at.
    pub obscured: Obscured,
    /// The files that are too large for the destination, relative to it: rsync gives up at the first.
    pub too_large: BTreeSet<PathBuf>,
    /// The gravest complaint that is not about one entry.
    pub gravest: Option<Complaint>,
    /// Entries that the limit kept from being deleted; rsync does not count directories that stay because of others.
    pub withheld: u64,
    /// Whether it kept from deleting because it could not look at all of the source.
    pub deleting: Deleting,
    /// Directories that stay because they are not empty.
    pub kept_directories: u64,
    /// Entries that could not be replaced by something of another kind because that needs a deletion.
    pub in_the_way: u64,
    /// Why the other end did not let it begin.
    pub refused: Option<ServerRefusal>,
    /// The line that says most of those that no row here knows; the first, where some say as much.
    pub unknown: Option<String>,
}

/// Whether rsync deleted what it was allowed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Deleting {
    /// It did.
    #[default]
    Done,
    /// It could not look at all of the source, and so deleted nothing from then on, anywhere.
    GivenUp,
}

impl Complaints {
    /// How many entries the destination cannot hold.
    #[must_use]
    pub fn unstorable(&self) -> u64 {
        let is_unstorable = |plight: &Plight| matches!(plight, Plight::Unstorable(_));
        self.entries.iter().filter(|(plight, _)| is_unstorable(plight)).map(|(_, named)| named.count).sum()
    }

    /// How many entries are in a plight.
    #[must_use]
    pub fn count(&self, plight: Plight) -> u64 {
        self.entries.get(&plight).map_or(0, |named| named.count)
    }

    /// Whether rsync says this itself, not what started it at a server.
    #[must_use]
    pub fn is_of_rsync(line: &str) -> bool {
        line.starts_with("rsync: ") || line.starts_with('[')
    }
}
