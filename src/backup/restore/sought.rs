//! What a person asks for: an entry of a source, as a path or as `volume:path`, and which syncs copy it.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use crate::backup::job::SyncAsSeen;
use crate::model::{Subdir, VolumeSight};
use crate::os::entry;

/// An entry of a source.
#[derive(Debug, Clone)]
pub(crate) struct SoughtEntry<'a> {
    /// A sync that copies it.
    pub(crate) seen: &'a SyncAsSeen,
    /// The entry, below the source; empty for all of it.
    pub(crate) below: PathBuf,
}

impl SoughtEntry<'_> {
    /// Where its source is on this machine, if it is.
    pub(crate) fn source(&self) -> Option<PathBuf> {
        source_here(self.seen)
    }

    /// The entry itself, where it is in its place.
    pub(crate) fn in_place(&self) -> Option<PathBuf> {
        self.source().map(|source| source.join(&self.below))
    }
}

/// Every sync that copies this entry, also those that copy the copies of others.
pub(crate) fn sought<'a>(text: &str, all: &'a [SyncAsSeen]) -> Result<Vec<SoughtEntry<'a>>, String> {
    let mut found = if Path::new(text).is_absolute() { by_path(Path::new(text), all) } else { by_place(text, all)? };
    if found.is_empty() {
        return Err(in_no_source(text, all));
    }
    let mut known: BTreeSet<_> = found.iter().map(|sought| sought.seen.sync.name.clone()).collect();
    let mut at = 0;
    while let Some(SoughtEntry { seen, below }) = found.get(at).cloned() {
        for further in all.iter().filter(|further| further.sync.source == seen.sync.destination) {
            if known.insert(further.sync.name.clone()) {
                found.push(SoughtEntry { seen: further, below: below.clone() });
            }
        }
        at += 1;
    }
    Ok(found)
}

/// What a path stands for: itself, or, where it is no part of a source but holds some, each of these, with where it
/// lies below the path.
pub(crate) fn spread(text: &str, all: &[SyncAsSeen]) -> Vec<(String, PathBuf)> {
    let itself = vec![(text.to_owned(), PathBuf::new())];
    if sought(text, all).is_ok() {
        return itself;
    }
    let mut within = BTreeSet::new();
    for seen in all {
        // A copy of copies gives the same back as what it copies.
        if all.iter().any(|other| other.sync.destination == seen.sync.source) {
            continue;
        }
        let source = &seen.sync.source;
        let below = if Path::new(text).is_absolute() {
            let (path, here) = (entry::whereabouts(&plain(Path::new(text))), source_here(seen));
            here.and_then(|here| {
                let below = entry::real(&here)?.strip_prefix(&path).ok()?.to_owned();
                Some((here.to_str()?.to_owned(), below))
            })
        } else {
            let wanted = text.split_once(':').filter(|(volume, _)| *volume == source.volume.as_str());
            let wanted = wanted.and_then(|(_, path)| path.parse::<Subdir>().ok());
            wanted.and_then(|path| {
                let below = source.subdir.as_path().strip_prefix(path.as_path()).ok()?.to_owned();
                Some((source.to_string(), below))
            })
        };
        within.extend(below);
    }
    if within.is_empty() { itself } else { within.into_iter().collect() }
}

/// Where the source of a sync is on this machine, if it is.
pub(crate) fn source_here(seen: &SyncAsSeen) -> Option<PathBuf> {
    match (&seen.source, &seen.source_server) {
        (VolumeSight::Present(present), None) => Some(present.root.join(seen.sync.source.subdir.as_path())),
        _ => None,
    }
}

/// As it is written, then with the links on the way resolved, then as what a link leads to.
fn by_path<'a>(path: &Path, all: &'a [SyncAsSeen]) -> Vec<SoughtEntry<'a>> {
    let written = plain(path);
    let resolved = entry::whereabouts(&written);
    let here: Vec<_> = all.iter().filter_map(|seen| Some((seen, source_here(seen)?))).collect();
    let below = |path: &Path| -> Vec<SoughtEntry<'a>> {
        let within = |(seen, source): &(&'a SyncAsSeen, PathBuf)| {
            let real = entry::real(source);
            let below = path.strip_prefix(source).ok().or_else(|| path.strip_prefix(real.as_deref()?).ok())?;
            Some(SoughtEntry { seen, below: below.to_owned() })
        };
        here.iter().filter_map(within).collect()
    };
    let ways = [Some(written), Some(resolved), entry::real(path)];
    ways.into_iter().flatten().map(|path| below(&path)).find(|found| !found.is_empty()).unwrap_or_default()
}

fn by_place<'a>(text: &str, all: &'a [SyncAsSeen]) -> Result<Vec<SoughtEntry<'a>>, String> {
    let Some((volume, path)) = text.split_once(':') else {
        return Err(format!("`{text}` is neither an absolute path nor `volume:path`"));
    };
    let path: Subdir = path.parse().map_err(|error| format!("`{text}`: {error}"))?;
    let within = |seen: &'a SyncAsSeen| {
        let source = &seen.sync.source;
        let below = path.as_path().strip_prefix(source.subdir.as_path()).ok()?;
        (source.volume.as_str() == volume).then(|| SoughtEntry { seen, below: below.to_owned() })
    };
    Ok(all.iter().filter_map(within).collect())
}

/// Without `.` and `..`, as it is written.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) | Component::Normal(_) => plain.push(part),
        }
    }
    plain
}

fn in_no_source(text: &str, all: &[SyncAsSeen]) -> String {
    let sources: BTreeSet<String> = all
        .iter()
        .map(|seen| source_here(seen).map_or_else(|| seen.sync.source.to_string(), |path| path.display().to_string()))
        .collect();
    let shown: Vec<_> = sources.iter().take(10).map(String::as_str).collect();
    format!(
        "`{text}` lies in no source of the configuration; these are: {}; a source that is not here is written like \
         `volume:path`",
        shown.join(", ")
    )
}
