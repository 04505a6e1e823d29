//! The course of a check: directory by directory, some files at a time, each read at all ends that should have it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::backup::check::ends::{CheckedEnd, Sums, both};
use crate::backup::check::findings::{FileHeard, Findings};
use crate::backup::failure::could_not;
use crate::backup::job::{JobEnd, SyncAsSeen, sentence};
use crate::backup::place::copies::{Copies, have_history};
use crate::backup::place::look::FarSource;
use crate::backup::place::pinned::HereSource;
use crate::backup::place::source::CopySource;
use crate::backup::session::Session;
use crate::backup::session::stop::Stops;
use crate::decide::checking::{FileHolder, is_in_sample, passes_for_unchanged, verdict};
use crate::formats::text::{count, obstacle_sentences};
use crate::model::layout::{OWN, PARTIAL, SENTINELS};
use crate::model::{
    CheckReport, CheckWish, End, FileFacts, Fineness, NotDone, SnapshotKind, SnapshotName, Unread, layout,
};
use crate::os::contents::give_way;
use crate::os::directory::Reach;
use crate::os::ssh::SshPlace;

/// So many directories are listed at once.
const DIRECTORIES: usize = 32;
/// So many files are read before the next are looked for.
const FILES: usize = 512;
/// The same for their bytes.
const BYTES: u64 = 256 << 20;

/// How far a check is.
#[derive(Debug, Clone, Copy)]
pub struct CheckProgress {
    /// Files that were read.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Checks a copy of a sync; says why not, for a person. The sample begins at `turn`.
pub(crate) fn check_copy(
    seen: &SyncAsSeen,
    (wish, turn): (CheckWish, u8),
    ssh: &SshPlace,
    (stops, hear): (&mut Stops, &mut dyn FnMut(CheckProgress)),
) -> Result<CheckReport, String> {
    let name = &seen.sync.name;
    give_way();
    let copies = Copies::open(seen, ssh, stops)?;
    let (target, mut others) = chosen(seen, &copies, wish.snapshot)?;
    let newest = target.into_iter().chain(others.iter().copied()).max();
    let all = others.len();
    others.retain(|other| !seen.damage.snapshots.contains(other));
    let known = all - others.len();
    let (source, unreached) = match source(seen, ssh, stops) {
        Ok(source) => (Some(source), None),
        Err(why) => (None, Some(format!("nothing was compared with the source: {why}"))),
    };
    let at = |copy: Option<SnapshotName>| end_of(&copies, copy);
    let times = match &copies {
        Copies::Here(here) => here.keeping().times,
        Copies::There(far) => far.destination.look.keeping().times,
    };
    let older = others.into_iter().filter_map(|other| Some((other, at(Some(other)).ok()?))).collect();
    let mut course = Course {
        kind: seen.sync.snapshots,
        target,
        copy: at(target)?,
        older,
        source: source.as_ref().map(end_of_source).transpose()?,
        times,
        sample: (wish, turn),
        findings: Findings::new(name.clone(), (target, newest), seen.damage.clone()),
    };
    course.walk((stops, hear)).map_err(|why| sentence(&why, name))?;
    let mut report = course.findings.done();
    report.remarks.extend(unreached);
    if known > 0 {
        let others = count(u64::try_from(known).unwrap_or(u64::MAX), "other snapshot");
        report.remarks.push(format!("nothing was compared with {others}: damaged files are known there"));
    }
    Ok(report)
}

/// The copy that is checked, and the others, newest first.
fn chosen(
    seen: &SyncAsSeen,
    copies: &Copies,
    wanted: Option<SnapshotName>,
) -> Result<(Option<SnapshotName>, Vec<SnapshotName>), String> {
    let name = &seen.sync.name;
    if !have_history(seen.sync.snapshots) {
        return match wanted {
            None if seen.last_success.is_none() => {
                Err(format!("`{name}` has no copy yet; `nbkpctl run {name}` makes the first"))
            }
            None => Ok((None, Vec::new())),
            Some(_) => Err(format!("`{name}` has no snapshots: it is a mirror; leave out `--snapshot`")),
        };
    }
    let mut all: Vec<SnapshotName> = copies.finished().iter().map(|found| found.name).collect();
    all.sort_unstable_by(|one, other| other.cmp(one));
    let target = match wanted {
        None => all.first().copied().ok_or_else(|| format!("`{name}` has no snapshot yet"))?,
        Some(wanted) if all.contains(&wanted) => wanted,
        Some(wanted) => {
            return Err(format!("`{name}` has no snapshot {wanted}; `nbkpctl snapshots {name}` lists them"));
        }
    };
    all.retain(|other| *other != target);
    Ok((Some(target), all))
}

/// A copy.
fn end_of(copies: &Copies, copy: Option<SnapshotName>) -> Result<CheckedEnd<'_>, String> {
    let place = copy.map(layout::in_snapshots).unwrap_or_default();
    match copies {
        Copies::Here(here) => {
            let opened = here.directory.open_below(&place, Reach::SameMount);
            opened.map(CheckedEnd::Here).map_err(|error| could_not(&error))
        }
        Copies::There(far) => {
            let far = &far.destination;
            Ok(CheckedEnd::There { server: &far.server, end: &far.end, which: End::Destination, place })
        }
    }
}

/// The source, if it is within reach.
fn source(seen: &SyncAsSeen, ssh: &SshPlace, stops: &mut Stops) -> Result<CopySource, String> {
    let (sync, name) = (&seen.sync, &seen.sync.name);
    let Some(job) = &seen.job else { return Err(obstacle_sentences(&seen.obstacles, name)) };
    let proven = match &job.source {
        JobEnd::Here(end) => HereSource::prove(job, end)
            // A run that fills it waits for no check; what is pruned meanwhile is gone, and judged by nobody.
            .map(|source| CopySource::Here(Box::new(source.let_go())))
            .map_err(|obstacle| NotDone::Skipped(vec![obstacle])),
        JobEnd::There(end) => Session::for_errand(sync, (end, End::Source), ssh, stops)
            .and_then(|server| FarSource::prove(Rc::new(server), job, end, stops))
            .map(|source| CopySource::There(Box::new(source))),
    };
    proven.map_err(|why| sentence(&why, name))
}

fn end_of_source(source: &CopySource) -> Result<CheckedEnd<'_>, String> {
    match source {
        CopySource::Here(source) => {
            let data = source.data.open_below(Path::new(""), Reach::AnyMount);
            data.map(CheckedEnd::Here).map_err(|error| could_not(&error))
        }
        CopySource::There(far) => {
            let (server, end) = (&far.server, &far.end);
            Ok(CheckedEnd::There { server, end: &end.end, which: End::Source, place: end.data.clone() })
        }
    }
}

/// What the course is made over.
struct Course<'a> {
    kind: SnapshotKind,
    target: Option<SnapshotName>,
    copy: CheckedEnd<'a>,
    /// The other copies, newest first.
    older: Vec<(SnapshotName, CheckedEnd<'a>)>,
    source: Option<CheckedEnd<'a>>,
    times: Fineness,
    sample: (CheckWish, u8),
    findings: Findings,
}

impl Course<'_> {
    fn walk(&mut self, (stops, hear): (&mut Stops, &mut dyn FnMut(CheckProgress))) -> Result<(), NotDone> {
        let mut left = vec![PathBuf::new()];
        let mut gathered: Vec<(PathBuf, FileFacts)> = Vec::new();
        let mut bytes = 0_u64;
        while !left.is_empty() || !gathered.is_empty() {
            stops.check()?;
            let listed = left.split_off(left.len().saturating_sub(DIRECTORIES));
            if !listed.is_empty() {
                let level = self.copy.level(&listed, stops)?;
                let (wish, turn) = self.sample;
                let is_sampled = |path: &Path| is_of_the_copy(path) && is_in_sample(path, wish.share, turn);
                // Each slice meets what is wrong with a directory, and one of them tells.
                let closed = level.there.closed.iter().filter(|path| is_sampled(path)).map(|_| 1).sum();
                let odd = level.there.odd.iter().filter(|(path, _)| is_sampled(path)).map(|(_, names)| names).sum();
                self.findings.pass_over(closed, odd);
                for (path, why) in level.broken.into_iter().filter(|(path, _)| is_sampled(path)) {
                    self.findings.note_directory(&path, why);
                }
                left.extend(level.there.directories.into_iter().filter(|path| is_of_the_copy(path)));
                gathered.extend(level.there.files.into_iter().filter(|(path, _)| is_sampled(path)));
            }
            while !gathered.is_empty() && (left.is_empty() || gathered.len() >= FILES || bytes >= BYTES) {
                let mut batch = BTreeMap::new();
                bytes = 0;
                while batch.len() < FILES && bytes < BYTES {
                    let Some((path, facts)) = gathered.pop() else { break };
                    bytes = bytes.saturating_add(facts.size);
                    batch.insert(path, FileHeard::new(self.target, facts));
                }
                self.read(batch, stops)?;
                hear(CheckProgress { files: self.findings.report.files, bytes: self.findings.report.bytes });
                bytes = gathered.iter().map(|(_, facts)| facts.size).fold(0, u64::saturating_add);
            }
            bytes = gathered.iter().map(|(_, facts)| facts.size).fold(0, u64::saturating_add);
        }
        self.settle(stops)?;
        // What was read last may have been cut short.
        stops.check()
    }

    /// What was in doubt, and was compared with nothing now: the source has it changed, or neither has it any more.
    fn settle(&mut self, stops: &mut Stops) -> Result<(), NotDone> {
        let (wish, turn) = self.sample;
        let Some(source) = self.source.as_ref().filter(|_| self.target == self.findings.report.newest) else {
            return Ok(());
        };
        let mut paths = self.findings.unheard_of();
        paths.retain(|path| is_in_sample(path, wish.share, turn));
        if paths.is_empty() {
            return Ok(());
        }
        let (of_copy, of_source) = (self.copy.facts(&paths, stops)?, source.facts(&paths, stops)?);
        for path in paths {
            let is_settled = match (of_copy.get(&path), of_source.get(&path)) {
                (Some(copy), Some(source)) => !passes_for_unchanged(copy, source, self.times),
                // It may be that one of them does not show it.
                (Some(_), None) | (None, Some(_)) => false,
                (None, None) => true,
            };
            if is_settled {
                self.findings.settle(path);
            }
        }
        Ok(())
    }

    /// Reads some files of the copy, and what passes for the same elsewhere.
    fn read(&mut self, mut batch: BTreeMap<PathBuf, FileHeard>, stops: &mut Stops) -> Result<(), NotDone> {
        let copy = FileHolder::Copy(self.target);
        let paths: Vec<PathBuf> = batch.keys().cloned().collect();
        let (of_copy, of_source) = match &self.source {
            None => (self.copy.sums(&paths, stops)?, Sums::new()),
            Some(source) => {
                let mut same = Vec::new();
                for (path, facts) in source.facts(&paths, stops)? {
                    let Some(heard) = batch.get_mut(&path) else { continue };
                    if heard.facts.get(&copy).is_some_and(|own| passes_for_unchanged(own, &facts, self.times)) {
                        heard.facts.insert(FileHolder::Source, facts);
                        same.push(path);
                    }
                }
                both((&self.copy, &paths), (source, &same), stops)?
            }
        };
        for (holder, sums) in [(copy, of_copy), (FileHolder::Source, of_source)] {
            for (path, said) in sums {
                batch.entry(path).and_modify(|heard| drop(heard.said.insert(holder, said)));
            }
        }
        self.hear_older(&mut batch, stops)?;
        let mut doubted = BTreeMap::new();
        for (path, heard) in batch {
            self.findings.count(&heard);
            let found = verdict(&heard.said, self.findings.is_in_doubt(&path));
            if found.source_doubted || !found.flawed.is_empty() {
                doubted.insert(path, heard);
            } else {
                self.findings.clear(&path, &heard);
            }
        }
        self.conclude(doubted, stops)
    }

    /// Hears what other copies have: whatever hard links do not share, and what is in doubt.
    fn hear_older(&self, batch: &mut BTreeMap<PathBuf, FileHeard>, stops: &mut Stops) -> Result<(), NotDone> {
        let copy = FileHolder::Copy(self.target);
        for (name, older) in &self.older {
            stops.check()?;
            let is_asked = |heard: &FileHeard| match self.kind {
                SnapshotKind::HardLink => true,
                // They share what they have in common, which nothing here tells.
                SnapshotKind::None | SnapshotKind::Btrfs => heard.is_open(),
            };
            let asked: Vec<PathBuf> =
                batch.iter().filter(|(_, heard)| is_asked(heard)).map(|(path, _)| path.clone()).collect();
            let mut unshared = Vec::new();
            for (path, facts) in older.facts(&asked, stops)? {
                let Some(heard) = batch.get_mut(&path) else { continue };
                // They are on one filesystem.
                let same = |own: &FileFacts| passes_for_unchanged(own, &facts, Fineness::Nanoseconds);
                if !heard.facts.get(&copy).is_some_and(same) {
                    continue;
                }
                if let Some(sharing) = heard.sharing.get_mut(&facts.inode) {
                    sharing.insert(*name);
                } else {
                    heard.sharing.insert(facts.inode, [*name].into());
                    heard.facts.insert(FileHolder::Copy(Some(*name)), facts);
                    unshared.push(path);
                }
            }
            for (path, said) in older.sums(&unshared, stops)? {
                let holder = FileHolder::Copy(Some(*name));
                batch.entry(path).and_modify(|heard| drop(heard.said.insert(holder, said)));
            }
        }
        Ok(())
    }

    /// Keeps what is wrong with files that are still what they were when they were read.
    fn conclude(&mut self, doubted: BTreeMap<PathBuf, FileHeard>, stops: &mut Stops) -> Result<(), NotDone> {
        if doubted.is_empty() {
            return Ok(());
        }
        let paths: Vec<PathBuf> = doubted.keys().cloned().collect();
        let mut now: BTreeMap<FileHolder, BTreeMap<PathBuf, FileFacts>> = BTreeMap::new();
        now.insert(FileHolder::Copy(self.target), self.copy.facts(&paths, stops)?);
        if let Some(source) = &self.source {
            now.insert(FileHolder::Source, source.facts(&paths, stops)?);
        }
        for (name, older) in &self.older {
            let holder = FileHolder::Copy(Some(*name));
            if doubted.values().any(|heard| heard.facts.contains_key(&holder)) {
                now.insert(holder, older.facts(&paths, stops)?);
            }
        }
        for (path, mut heard) in doubted {
            for (holder, before) in &heard.facts {
                let is_still = now.get(holder).and_then(|files| files.get(&path)) == Some(before);
                if !is_still && !matches!(heard.said.get(holder), Some(Err(Unread::Broken(_)))) {
                    heard.said.remove(holder);
                }
            }
            let found = verdict(&heard.said, self.findings.is_in_doubt(&path));
            self.findings.note(&path, &heard, found);
        }
        Ok(())
    }
}

/// What is in the copy because it is copied, and not because it is ours.
fn is_of_the_copy(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    let is_sentinel = SENTINELS.iter().any(|sentinel| name == OsStr::new(sentinel));
    path != Path::new(OWN) && name != OsStr::new(PARTIAL) && !is_sentinel
}
