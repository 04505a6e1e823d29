//! Every name of ours on a drive or at a server. A look (`os`, `formats`) needs some of them as a run does, so they
//! stand on the lowest floor; they are written nowhere else, and scripts get them as assignments.

use std::path::{Component, Path, PathBuf};

use super::{End, SnapshotKind, SnapshotName};

/// Makes a constant of each name, and of all of them the lines by which a POSIX shell knows them.
macro_rules! names {
    ($($(#[$doc:meta])* $name:ident = $value:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $value;)*

        macro_rules! assignments {
            () => { concat!($(stringify!($name), "=", $value, "\n"),*) };
        }
    };
}

names! {
    /// The sentinel of a volume, at its root.
    VOLUME_SENTINEL = ".nbkp-vol";
    /// The sentinel of a source.
    SOURCE_SENTINEL = ".nbkp-src";
    /// The sentinel of a destination.
    DESTINATION_SENTINEL = ".nbkp-dst";
    /// The directory in a destination that holds what is ours. The names of the sentinels begin like it.
    OWN = ".nbkp";
    /// The lock in it.
    LOCK = "lock";
    /// Which run wrote there last.
    WRITER = "writer";
    /// What becomes that.
    NEW_WRITER = ".writer.new";
    /// The log.
    LOG = "log.jsonl";
    /// What becomes the log when it is cut at a server.
    NEW_LOG = ".log.new";
    /// The note that a copy into `staging` is under way.
    STAGING_MARKER = "staging.dirty";
    /// The same for any other copy.
    MARKER = "unfinished";
    /// The writable subvolume of a destination with btrfs snapshots.
    STAGING = "staging";
    /// The directory of the finished copies.
    SNAPSHOTS = "snapshots";
    /// The link to the newest of them.
    LATEST = "latest";
    /// What becomes that link.
    NEW_LATEST = ".latest-new";
    /// How all links begin that were about to become `latest`.
    ANY_NEW_LATEST = ".latest-";
    /// Where `latest` points before the first copy.
    NOWHERE = "/dev/null";
    /// The prefix of a copy in the making.
    IN_PROGRESS = ".inprogress-";
    /// The prefix of an unfinished copy that serves as a basis of the next.
    STALE = ".stale-";
    /// The prefix of what is being deleted.
    TRASH = ".trash-";
    /// Where rsync keeps what it could not finish, in each directory that it writes.
    PARTIAL = ".rsync-partial";
    /// What is made and removed again to see what a filesystem can hold.
    PROBE = ".nbkp-probe";
    /// Another one.
    OTHER_PROBE = ".nbkp-probe-2";
}

pub(crate) use assignments;

/// The files in our own directory.
pub const OWN_FILES: [&str; 5] = [LOCK, WRITER, LOG, STAGING_MARKER, MARKER];

/// A directory that is never there, so that all is new that is compared with it.
pub const FIRST_COPY: &str = "./.first-copy/";

/// Names of ours that are neither copied nor deleted, wherever they are.
pub const SENTINELS: [&str; 3] = [VOLUME_SENTINEL, SOURCE_SENTINEL, DESTINATION_SENTINEL];

/// Whether this is what no copy deletes, by its path in the copy: a sentinel, or our own directory.
#[must_use]
pub fn is_never_deleted(path: &Path) -> bool {
    path.starts_with(OWN) || path.file_name().is_some_and(|name| SENTINELS.iter().any(|sentinel| name == *sentinel))
}

/// The sentinel of an end.
#[must_use]
pub fn sentinel(end: End) -> &'static str {
    match end {
        End::Source => SOURCE_SENTINEL,
        End::Destination => DESTINATION_SENTINEL,
    }
}

/// The note that a copy of this kind is under way.
#[must_use]
pub fn marker(kind: SnapshotKind) -> &'static str {
    match kind {
        SnapshotKind::Btrfs => STAGING_MARKER,
        SnapshotKind::None | SnapshotKind::HardLink => MARKER,
    }
}

/// The name of a copy in the making.
#[must_use]
pub fn in_progress(name: impl std::fmt::Display) -> String {
    format!("{IN_PROGRESS}{name}")
}

/// The name of an unfinished copy that serves as a basis.
#[must_use]
pub fn stale(name: impl std::fmt::Display) -> String {
    format!("{STALE}{name}")
}

/// The name under which an entry of `snapshots` is deleted.
#[must_use]
pub fn trash(name: &str) -> String {
    format!("{TRASH}{}", name.trim_start_matches('.'))
}

/// The path of an entry of `snapshots`, relative to the destination.
#[must_use]
pub fn in_snapshots(entry: impl std::fmt::Display) -> PathBuf {
    Path::new(SNAPSHOTS).join(entry.to_string())
}

/// The name of the snapshot that `latest` points to, if it points to one beside it.
#[must_use]
pub fn named_snapshot(target: &Path) -> Option<SnapshotName> {
    let mut parts = target.components();
    match (parts.next(), parts.next(), parts.next()) {
        (Some(Component::Normal(first)), Some(Component::Normal(name)), None) if first == SNAPSHOTS => {
            name.to_str()?.parse().ok()
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latest_names_a_snapshot_beside_it_or_nothing() {
        assert!(named_snapshot(Path::new("snapshots/2026-11-22T17:30:00.000Z")).is_some());
        for other in [
            "/dev/null",
            "snapshots",
            "snapshots/..",
            "snapshots/latest",
            "../snapshots/2026-11-22T17:30:00.000Z",
            "/snapshots/2026-11-22T17:30:00.000Z",
            "snapshots/2026-11-22T17:30:00.000Z/sub",
        ] {
            assert_eq!(named_snapshot(Path::new(other)), None, "{other}");
        }
    }

    #[test]
    fn sentinels_are_never_deleted_and_our_own_directory_is_not() {
        for ours in [".nbkp", ".nbkp/log.jsonl", ".nbkp-dst", "sub/.nbkp-vol", ".nbkp-src"] {
            assert!(is_never_deleted(Path::new(ours)), "{ours}");
        }
        for theirs in ["a", "sub/.nbkp", ".nbkp-dst/a", ".nbkp-dst2", ""] {
            assert!(!is_never_deleted(Path::new(theirs)), "{theirs}");
        }
    }

    #[test]
    fn a_shell_knows_the_same_names() {
        let lines: Vec<_> = assignments!().lines().collect();
        assert!(lines.contains(&"STAGING=staging") && lines.contains(&"TRASH=.trash-"), "{lines:?}");
        // What needs no quotes in a shell.
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-/=".contains(c);
        assert!(lines.iter().all(|line| line.chars().all(plain)), "{lines:?}");
    }
}
