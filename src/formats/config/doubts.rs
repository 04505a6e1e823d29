//! What is right by the rules of the file and most likely not what its author wanted.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use toml::Spanned;

use super::mistake::{RawMistake, quoted};
use super::patterns;
use super::reader::{BadValue, Reading};
use super::syncs::SyncSpans;
use super::words::as_list;
use crate::formats::rsync::rules::{self, Rule, RuleLines};
use crate::model::{DriveUuid, Filter, Retention, SnapshotKind, Sync, SyncName, Volume, VolumeName, VolumeRoot};

/// So many lines of one file of rules are told.
const LINES: usize = 3;

/// What makes somebody doubt a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubt {
    /// What is doubtful.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

/// What may be looked at beside the text of the file.
pub struct Surroundings<'s> {
    /// What is in a file of filter rules, if it can be read.
    pub rules: &'s dyn Fn(&Path) -> Result<Vec<u8>, String>,
    /// Whether there is something at a path of this machine.
    pub is_there: &'s dyn Fn(&Path) -> bool,
    /// What is wrong with the UUID of a drive, and what to do about it, where all of these are named.
    pub drive: &'s dyn Fn(&DriveUuid, &BTreeSet<&DriveUuid>) -> Option<Doubt>,
}

impl std::fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Surroundings").finish_non_exhaustive()
    }
}

/// Notes what is doubtful in the syncs.
pub(super) fn doubt(
    reading: &mut Reading<'_>,
    syncs: &BTreeMap<SyncName, (Sync, SyncSpans)>,
    volumes: &BTreeMap<VolumeName, Volume>,
    around: &Surroundings<'_>,
) {
    keep_without_snapshots(reading, syncs);
    drives(reading, around);
    let mut misplaced: BTreeMap<usize, Vec<Option<RawMistake>>> = BTreeMap::new();
    for (sync, spans) in syncs.values() {
        let source = Source::of(sync, volumes);
        for (at, filter) in spans.filters.iter().map(|filter| (filter.span(), filter.get_ref())) {
            if let Some((lines, file)) = file_of(filter) {
                of_file(reading, &at, &file, lines, around);
            }
            let Some(pattern) = pattern_of(filter) else { continue };
            if let Some(problem) = patterns::nothing(&pattern) {
                reading.doubt(at.clone(), problem);
            }
            let found =
                |problem: BadValue| RawMistake { span: at.clone(), message: problem.message, help: problem.help };
            misplaced.entry(at.start).or_default().push(source.misplaced(&pattern, around).map(found));
        }
        if let Some(file) = &spans.filter_file {
            of_file(reading, &file.span(), file.get_ref(), RuleLines::Rules, around);
        }
        spans.one_text_hooks.iter().for_each(|hook| of_hook(reading, hook, around));
    }
    // What stands in [defaults] may be right for one sync and mean nothing to another.
    for of_all in misplaced.into_values() {
        if let Some(of_all) = of_all.into_iter().collect::<Option<Vec<_>>>() {
            reading.doubts.extend(of_all.into_iter().next());
        }
    }
}

/// Notes UUIDs that are most likely wrong.
fn drives(reading: &mut Reading<'_>, around: &Surroundings<'_>) {
    let named = std::mem::take(&mut reading.drives);
    let claimed = named.iter().map(Spanned::get_ref).collect();
    for uuid in &named {
        if let Some(Doubt { message, help }) = (around.drive)(uuid.get_ref(), &claimed) {
            reading.doubt(uuid.span(), BadValue::new(message).help(help));
        }
    }
}

fn keep_without_snapshots(reading: &mut Reading<'_>, syncs: &BTreeMap<SyncName, (Sync, SyncSpans)>) {
    let mut users: BTreeMap<usize, Vec<(&Sync, &Range<usize>)>> = BTreeMap::new();
    for (sync, spans) in syncs.values() {
        if let (Some(at), Retention::Rules(_)) = (&spans.keep, sync.keep) {
            users.entry(at.start).or_default().push((sync, at));
        }
    }
    for users in users.into_values() {
        let Some((sync, at)) = users.first() else { continue };
        if users.iter().all(|(sync, _)| sync.snapshots == SnapshotKind::None) {
            let message = format!("no history is kept of `{}`, so that `keep` means nothing", sync.name.base());
            let help = "add snapshots = \"btrfs\" or \"hard-link\", or leave out `keep`";
            reading.doubt((*at).clone(), BadValue::new(message).help(help));
        }
    }
}

/// A hook whose program holds blanks, and is no file.
fn of_hook(reading: &mut Reading<'_>, program: &Spanned<String>, around: &Surroundings<'_>) {
    let text = program.get_ref();
    if text.starts_with('/') && (around.is_there)(Path::new(text)) {
        return;
    }
    let message = format!("no program is called {}: a command is a list of a program and its arguments", quoted(text));
    reading.doubt(program.span(), BadValue::new(message).help(as_list(text)));
}

/// The pattern of a filter that has one.
fn pattern_of(filter: &Filter) -> Option<String> {
    match filter {
        Filter::Exclude(pattern) | Filter::Include(pattern) => Some(pattern.clone()),
        Filter::Rule(text) => match rules::rule(text.as_encoded_bytes()) {
            Ok(Rule::Pattern(pattern)) => Some(String::from_utf8_lossy(pattern).into_owned()),
            Ok(Rule::Other | Rule::Clear | Rule::Merge(..)) | Err(_) => None,
        },
        Filter::Merge(_) | Filter::DirMerge(_) => None,
    }
}

/// The file that a filter names.
fn file_of(filter: &Filter) -> Option<(RuleLines, PathBuf)> {
    match filter {
        Filter::Merge(file) => Some((RuleLines::Rules, file.clone())),
        Filter::Rule(text) => match rules::rule(text.as_encoded_bytes()) {
            Ok(Rule::Merge(lines, file)) => Some((lines, String::from_utf8_lossy(file).into_owned().into())),
            Ok(Rule::Pattern(_) | Rule::Other | Rule::Clear) | Err(_) => None,
        },
        Filter::Exclude(_) | Filter::Include(_) | Filter::DirMerge(_) => None,
    }
}

/// Notes what is doubtful in a file of rules, at the place that names it.
fn of_file(reading: &mut Reading<'_>, at: &Range<usize>, file: &Path, kind: RuleLines, around: &Surroundings<'_>) {
    let shown = file.display();
    let text = match (around.rules)(file) {
        Ok(text) => text,
        Err(why) => {
            let problem = BadValue::new(format!("each run will fail: could not {why}"));
            reading.doubt(at.clone(), problem.help(format!("write {shown}, or leave it out")));
            return;
        }
    };
    let wrong = if kind == RuleLines::Rules { rules::first_wrong(&text) } else { None };
    if let Some(line) = wrong {
        let problem = BadValue::new(format!("each run will fail: line {line} of {shown} is no filter rule"));
        reading.doubt(at.clone(), problem.help(rules::remedy(file, &text)));
        return;
    }
    let patterns = rules::rule_lines(&text).filter_map(|(number, line)| match (kind, rules::rule(line)) {
        (RuleLines::Rules, Ok(Rule::Pattern(pattern))) => Some((number, pattern)),
        (RuleLines::Rules, _) => None,
        (RuleLines::Excludes | RuleLines::Includes, _) => Some((number, line)),
    });
    let doubtful = patterns.filter_map(|(number, pattern)| {
        let problem = patterns::nothing(&String::from_utf8_lossy(pattern))?;
        Some(BadValue { message: format!("line {number} of {shown}: {}", problem.message), ..problem })
    });
    for problem in doubtful.take(LINES).collect::<Vec<_>>() {
        reading.doubt(at.clone(), problem);
    }
}

/// Where a sync reads, as far as the configuration tells.
struct Source {
    /// The root of its volume and the source itself, if both are paths.
    paths: Option<(PathBuf, PathBuf)>,
    /// Whether these are paths of this machine.
    is_here: bool,
}

impl Source {
    fn of(sync: &Sync, volumes: &BTreeMap<VolumeName, Volume>) -> Self {
        let below = |root: &Path| (root.to_owned(), root.join(sync.source.subdir.as_path()).components().collect());
        match volumes.get(&sync.source.volume).map(|volume| &volume.root) {
            Some(VolumeRoot::Directory(path)) => Self { paths: Some(below(path)), is_here: true },
            Some(VolumeRoot::Server(server)) if server.drive.is_none() && server.path.is_absolute() => {
                Self { paths: Some(below(&server.path)), is_here: false }
            }
            Some(VolumeRoot::Server(_) | VolumeRoot::Drive(_)) | None => Self { paths: None, is_here: false },
        }
    }

    /// What is wrong with a pattern that is a path of the machine and not one of the source.
    fn misplaced(&self, pattern: &str, around: &Surroundings<'_>) -> Option<BadValue> {
        let (root, source) = self.paths.as_ref()?;
        let path = Path::new(pattern);
        if !path.is_absolute() || source == Path::new("/") {
            return None;
        }
        let message = || {
            let place = quoted(&source.display().to_string());
            BadValue::new(format!("{} matches nothing: it is looked for below {place}", quoted(pattern)))
        };
        if let Ok(rest) = path.strip_prefix(source) {
            let slash = if pattern.ends_with('/') && !rest.as_os_str().is_empty() { "/" } else { "" };
            return Some(message().help(format!("write \"/{}{slash}\"", rest.display())));
        }
        let mut parts = path.components().filter(|part| *part != Component::RootDir);
        let (top, deeper) = (parts.next()?, parts.next().is_some());
        let is_there = |place: &Path| (around.is_there)(&place.join(top));
        if !self.is_here || !deeper || !(around.is_there)(source) || is_there(source) {
            return None;
        }
        let elsewhere = is_there(Path::new("/")) || (root != source && is_there(root));
        elsewhere.then(|| {
            message()
                .help("a pattern begins at the source of the sync; write it from there on, or without the first `/`")
        })
    }
}
