//! What earlier copies left at a destination, and what its log says of them.

use std::ffi::OsStr;
use std::path::Path;

use super::directory::{Directory, Reach};
use super::files;
use crate::formats::log::{self, LogRecord};
use crate::model::layout::{ANY_NEW_LATEST, LATEST, LOG, OWN, PARTIAL, SNAPSHOTS, STAGING, named_snapshot};
use crate::model::{Holding, Precedent, SnapshotKind};

/// The end of a log, in which the last copy that was made is looked for first.
const TAIL: u64 = 64 << 10;
/// So many entries of a destination are looked at.
const LISTED: usize = 1000;
/// What systems and desktops leave at the top of a filesystem.
const NOBODYS: [&str; 5] = ["lost+found", ".Trash", "$RECYCLE.BIN", "System Volume Information", PARTIAL];

/// What the log of a destination says of earlier copies.
#[must_use]
pub fn past(destination: &Directory) -> Precedent {
    let Ok(own) = destination.open_below(Path::new(OWN), Reach::SameMount) else { return Precedent::Unknown };
    let read = |length| of_records(&log::records(&files::read_tail(&own, LOG, length).unwrap_or_default()));
    match read(TAIL) {
        Precedent::Unknown | Precedent::Begun => read(log::LIMIT.saturating_mul(2)),
        past @ (Precedent::Mirror | Precedent::Snapshots) => past,
    }
}

/// The same by what was read of it.
#[must_use]
pub fn of_records(records: &[LogRecord]) -> Precedent {
    Precedent::of(records.iter().map(|record| (record.outcome, record.snapshot.is_some())))
}

/// Whether a destination holds copies of another kind than this.
#[must_use]
pub fn of_another_kind(destination: &Directory, kind: SnapshotKind) -> Option<Holding> {
    match kind {
        SnapshotKind::None => {
            let newest = destination.link_target(LATEST).ok().flatten()?;
            named_snapshot(&newest)?;
            destination.open_below(&newest, Reach::SameMount).ok()?;
            // A mirror may hold what was a destination with snapshots elsewhere.
            matches!(past(destination), Precedent::Unknown | Precedent::Snapshots).then_some(Holding::Snapshots)
        }
        SnapshotKind::Btrfs | SnapshotKind::HardLink => {
            let is_file = |name: &OsStr| {
                let begins = |prefix: &&str| name.as_encoded_bytes().starts_with(prefix.as_bytes());
                let passed_over = [OWN, ANY_NEW_LATEST];
                !passed_over.iter().chain(&NOBODYS).any(begins)
                    && [SNAPSHOTS, LATEST, STAGING].iter().all(|one| name != *one)
            };
            let entries = destination.entries(LISTED).ok()?;
            let has_files = entries.iter().any(|entry| is_file(&entry.name));
            (has_files && past(destination) == Precedent::Mirror).then_some(Holding::Mirror)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::model::{Outcome, Standing};

    /// A line of a log: how a run ended, and whether it made a snapshot.
    fn line(outcome: Outcome, snapshot: bool) -> String {
        let now = "2026-11-22T17:30:00Z".parse().unwrap();
        log::record_line(&LogRecord {
            run: "20261122T173000.123Z-9f3a".parse().unwrap(),
            sync: "documents".parse().unwrap(),
            host: "host".into(),
            writer: None,
            started: now,
            finished: now,
            outcome,
            error: None,
            snapshot: snapshot.then(|| "2026-11-22T17:30:00.000Z".parse().unwrap()),
            standing: Standing::Good,
            entries: 1,
            files: 1,
            bytes: 1,
            deletions: 0,
        })
    }

    #[test]
    fn a_destination_is_known_by_its_last_copy_and_by_what_lies_there() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        let top = Directory::open_root(place.path()).unwrap();
        let write = |lines: &[(Outcome, bool)]| {
            let text: Vec<_> = lines.iter().map(|(outcome, snapshot)| line(*outcome, *snapshot) + "\n").collect();
            fs::write(at(OWN).join(LOG), text.concat()).unwrap();
        };
        assert_eq!(past(&top), Precedent::Unknown);
        fs::create_dir(at(OWN)).unwrap();
        for (lines, expected) in [
            (&[(Outcome::Held, false)][..], Precedent::Unknown),
            (&[(Outcome::Held, false), (Outcome::Interrupted, false), (Outcome::Skipped, false)], Precedent::Begun),
            (&[(Outcome::Ok, true), (Outcome::Ok, false), (Outcome::Failed, false)], Precedent::Mirror),
            (&[(Outcome::Ok, false), (Outcome::Ok, true), (Outcome::Held, false)], Precedent::Snapshots),
        ] {
            write(lines);
            assert_eq!(past(&top), expected, "{lines:?}");
        }
        let others = || [SnapshotKind::None, SnapshotKind::HardLink].map(|kind| of_another_kind(&top, kind));
        assert_eq!(others(), [None, None]);
        fs::create_dir_all(at("snapshots/2026-11-22T17:30:00.000Z")).unwrap();
        symlink("/dev/null", at("latest")).unwrap();
        assert_eq!(others(), [None, None]);
        fs::remove_file(at("latest")).unwrap();
        symlink("snapshots/2026-11-22T17:30:00.000Z", at("latest")).unwrap();
        assert_eq!(others(), [Some(Holding::Snapshots), None]);
        fs::create_dir_all(at(".Trash-1000/files")).unwrap();
        write(&[(Outcome::Ok, true), (Outcome::Ok, false)]);
        // It is a mirror of what was a destination.
        assert_eq!(others(), [None, None]);
        fs::write(at("file"), "x").unwrap();
        assert_eq!(others(), [None, Some(Holding::Mirror)]);
        write(&[(Outcome::Ok, true)]);
        assert_eq!(others(), [Some(Holding::Snapshots), None]);
    }
}
