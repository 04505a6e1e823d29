//! What rsync told of a copy, as far as something follows from it.

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

/// What kept rsync from doing something with one file, from what mends itself to what ends a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// Permission denied.
    Permission,
    /// Something that has a number and no row here.
    Other,
    /// The file was there and is gone.
    Gone,
    /// No more hard links can be made to a file.
    TooManyLinks,
    /// The device failed or went away.
    Io,
    /// The filesystem became read-only.
    ReadOnly,
    /// No space, quota or inodes are left.
    NoSpace,
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

/// Why the other end did not let rsync begin, as our own words there tell.
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
}

/// All complaints of one rsync, counted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Complaints {
    /// Files and directories of the source that could not be read for want of permission.
    pub unreadable: u64,
    /// Other things that were not permitted, such as setting an owner.
    pub forbidden: u64,
    /// The first few of both.
    pub examples: Vec<String>,
    /// The gravest complaint that is not about permission.
    pub gravest: Option<Complaint>,
    /// Files that vanished.
    pub vanished_files: u64,
    /// Directories that vanished.
    pub vanished_directories: u64,
    /// Entries that the limit kept from being deleted; rsync does not count directories that stay because of others.
    pub withheld: u64,
    /// Directories that stay because they are not empty.
    pub kept_directories: u64,
    /// Entries that could not be replaced by something of another kind because that needs a deletion.
    pub in_the_way: u64,
    /// Why the other end did not let it begin.
    pub refused: Option<ServerRefusal>,
    /// The first line that no row here knows.
    pub unknown: Option<String>,
}
