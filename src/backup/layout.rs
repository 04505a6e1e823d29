//! The names at a destination.

/// The directory in a destination that holds what is ours.
pub(crate) const OWN: &str = ".nbkp";
/// The lock in it.
pub(crate) const LOCK: &str = "lock";
/// Which run wrote there last.
pub(crate) const WRITER: &str = "writer";
/// The writable subvolume of a destination with btrfs snapshots.
pub(crate) const STAGING: &str = "staging";
/// The directory of the finished copies.
pub(crate) const SNAPSHOTS: &str = "snapshots";
/// The link to the newest of them.
pub(crate) const LATEST: &str = "latest";
/// The prefix of a copy in the making.
pub(crate) const IN_PROGRESS: &str = ".inprogress-";
/// The prefix of an unfinished copy that serves as the basis of the next.
pub(crate) const STALE: &str = ".stale-";
/// The prefix of what is being deleted.
pub(crate) const TRASH: &str = ".trash-";
/// The prefix of a link that is about to become `latest`.
pub(crate) const NEW_LATEST: &str = ".latest-";
/// The name of the log.
pub(crate) const LOG: &str = "log.jsonl";
