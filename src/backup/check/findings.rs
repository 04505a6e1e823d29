//! What a check has found so far.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::decide::checking::{FileHolder, FileVerdict};
use crate::model::{CheckReport, Damage, DamagedFile, Digest, FileFacts, Flawed, SnapshotName, SyncName, Unread};

/// So many damaged files are named; who has more has no copy any more, but a broken disk.
const NAMED: usize = 10_000;

/// One file of the copy that is checked, and the same in others, as far as they pass for it.
#[derive(Debug)]
pub(super) struct FileHeard {
    /// How it is in each that was read.
    pub(super) facts: BTreeMap<FileHolder, FileFacts>,
    /// What each gave back; those that share one file are heard once.
    pub(super) said: BTreeMap<FileHolder, Result<Digest, Unread>>,
    /// The snapshots that share each file that was read.
    pub(super) sharing: BTreeMap<(u64, u64), BTreeSet<SnapshotName>>,
}

impl FileHeard {
    /// Of a file that was seen in the copy that is checked.
    pub(super) fn new(copy: Option<SnapshotName>, facts: FileFacts) -> Self {
        let sharing = BTreeMap::from([(facts.inode, copy.into_iter().collect())]);
        Self { facts: BTreeMap::from([(FileHolder::Copy(copy), facts)]), said: BTreeMap::new(), sharing }
    }

    /// Whether others have to be heard to know what it is worth.
    pub(super) fn is_open(&self) -> bool {
        let mut digests = self.said.values();
        self.said.len() < 2 || !digests.all(|said| said.is_ok() && Some(said) == self.said.values().next())
    }
}

/// What was found.
#[derive(Debug)]
pub(super) struct Findings {
    pub(super) report: CheckReport,
    /// What was known before.
    known: Damage,
    damaged: BTreeMap<PathBuf, DamagedFile>,
    /// Files and directories that we may not read.
    forbidden: u64,
    /// Names that cannot be asked for.
    odd: u64,
    /// Damaged files that are not named.
    unnamed: u64,
}

impl Findings {
    /// Of a copy of which this is known.
    pub(super) fn new(
        sync: SyncName,
        (snapshot, newest): (Option<SnapshotName>, Option<SnapshotName>),
        known: Damage,
    ) -> Self {
        let report = CheckReport {
            sync,
            snapshot,
            newest,
            files: 0,
            bytes: 0,
            with_source: 0,
            with_copies: 0,
            passed_over: 0,
            sound: BTreeSet::new(),
            damaged: Vec::new(),
            doubtful: Vec::new(),
            settled: BTreeSet::new(),
            remarks: Vec::new(),
        };
        Self { report, known, damaged: BTreeMap::new(), forbidden: 0, odd: 0, unnamed: 0 }
    }

    /// Counts a file that was read.
    pub(super) fn count(&mut self, heard: &FileHeard) {
        let copy = FileHolder::Copy(self.report.snapshot);
        match heard.said.get(&copy) {
            Some(Ok(_) | Err(Unread::Broken(_))) => {
                let size = heard.facts.get(&copy).map_or(0, |facts| facts.size);
                self.report.files = self.report.files.saturating_add(1);
                self.report.bytes = self.report.bytes.saturating_add(size);
                if matches!(heard.said.get(&FileHolder::Source), Some(Ok(_))) {
                    self.report.with_source = self.report.with_source.saturating_add(1);
                } else if is_held_elsewhere(heard, copy) {
                    self.report.with_copies = self.report.with_copies.saturating_add(1);
                }
            }
            Some(Err(Unread::Forbidden)) => self.forbidden = self.forbidden.saturating_add(1),
            Some(Err(Unread::Gone)) | None => {}
        }
    }

    /// Keeps that nothing is wrong with a file.
    pub(super) fn clear(&mut self, path: &Path, heard: &FileHeard) {
        let copy = FileHolder::Copy(self.report.snapshot);
        let is_read = |holder| matches!(heard.said.get(&holder), Some(Ok(_)));
        if is_read(copy) && is_held_elsewhere(heard, copy) && self.known.paths.contains(path) {
            self.report.sound.insert(path.to_owned());
        }
        if is_read(copy) && is_read(FileHolder::Source) && self.is_in_doubt(path) {
            self.report.settled.insert(path.to_owned());
        }
    }

    /// Whether the source of a file was in doubt before.
    pub(super) fn is_in_doubt(&self, path: &Path) -> bool {
        self.known.doubted.contains(path)
    }

    /// The files whose source was in doubt before, and of which nothing was heard now.
    pub(super) fn unheard_of(&self) -> Vec<PathBuf> {
        let heard = |path: &&PathBuf| self.report.settled.contains(*path) || self.report.doubtful.contains(path);
        self.known.doubted.iter().filter(|path| !heard(path)).cloned().collect()
    }

    /// Keeps that the source of a file is in doubt no more: it was changed since, or is gone like its copy.
    pub(super) fn settle(&mut self, path: PathBuf) {
        self.report.settled.insert(path);
    }

    /// Keeps what is wrong with a file.
    pub(super) fn note(&mut self, path: &Path, heard: &FileHeard, verdict: FileVerdict) {
        match verdict.source_doubted {
            true if self.report.doubtful.len() < NAMED => self.report.doubtful.push(path.to_owned()),
            true => self.unnamed = self.unnamed.saturating_add(1),
            false => {}
        }
        for (copy, flaw) in verdict.flawed {
            let sharing = heard.facts.get(&FileHolder::Copy(copy)).and_then(|facts| heard.sharing.get(&facts.inode));
            self.damage(path, flaw, sharing.cloned().unwrap_or_default().into_iter().chain(copy).collect());
        }
    }

    /// Keeps that a directory is not given back.
    pub(super) fn note_directory(&mut self, path: &Path, why: String) {
        let snapshots = self.report.snapshot.into_iter().collect();
        self.damage(path, Flawed::Broken(why), snapshots);
    }

    fn damage(&mut self, path: &Path, flaw: Flawed, snapshots: BTreeSet<SnapshotName>) {
        if let Some(known) = self.damaged.get_mut(path) {
            known.snapshots.extend(snapshots);
        } else if self.damaged.len() < NAMED {
            self.damaged.insert(path.to_owned(), DamagedFile { path: path.to_owned(), flaw, snapshots });
        } else {
            self.unnamed = self.unnamed.saturating_add(1);
        }
    }

    /// Counts what was passed over.
    pub(super) fn pass_over(&mut self, forbidden: u64, odd: u64) {
        self.forbidden = self.forbidden.saturating_add(forbidden);
        self.odd = self.odd.saturating_add(odd);
    }

    /// The report.
    pub(super) fn done(self) -> CheckReport {
        let mut report = self.report;
        report.damaged = self.damaged.into_values().collect();
        report.passed_over = self.forbidden.saturating_add(self.odd);
        let mut remark = |count: u64, what: &str| {
            if count > 0 {
                report.remarks.push(format!("{count} {what}"));
            }
        };
        remark(
            self.forbidden,
            "files and directories were not read, because we may not; ask as root, or as their owner",
        );
        remark(self.odd, "names hold a line break, and were passed over: a server cannot be asked about them");
        remark(self.unnamed, "more files are damaged or in doubt, and not named: a medium seems to be broken");
        report
    }
}

/// Whether another than this one gave the file back, so that both could be compared.
fn is_held_elsewhere(heard: &FileHeard, this: FileHolder) -> bool {
    heard.said.iter().any(|(holder, said)| *holder != this && said.is_ok())
}
