//! Copies that are read where they lie, without configuration and without state: a drive alone, on a new machine.

use std::path::{Path, PathBuf};

use crate::backup::failure::could_not;
use crate::backup::place::copies::{Copies, HereCopies};
use crate::backup::restore::aim::Aim;
use crate::backup::restore::giving::RestorePlan;
use crate::backup::restore::holdings::{Holdings, snapshots};
use crate::backup::snapshots::log;
use crate::backup::snapshots::mirror::MirrorPast;
use crate::decide::versions::chosen;
use crate::formats::log::LogRecord;
use crate::formats::text::shell_words;
use crate::formats::wire::{BareCopies, Moment};
use crate::model::layout::{DESTINATION_SENTINEL, OWN, SNAPSHOTS, STAGING};
use crate::model::{CopyId, HeldEntry, Remoteness, RestoreWish, SyncName};
use crate::os::directory::{Directory, Kind, Reach};
use crate::os::entry;

/// So deep below a directory destinations are looked for.
const DEEP: usize = 4;
/// So many entries of a directory are looked at on the way.
const WIDE: usize = 10_000;

/// A destination that was found.
#[derive(Debug)]
struct Found {
    /// Where it is.
    path: PathBuf,
    /// The sync that wrote it, as far as it tells.
    sync: SyncName,
    copies: Box<HereCopies>,
    all: Vec<CopyId>,
}

/// The copies that lie in and below a directory.
pub fn list(from: &Path) -> Result<Vec<BareCopies>, String> {
    let shown = |Found { path, sync, copies, all }: Found| BareCopies {
        remark: all
            .iter()
            .any(|copy| copy.snapshot.is_none())
            .then(|| copies.mirror().remark())
            .flatten()
            .map(Into::into),
        path: path.display().to_string(),
        sync: sync.to_string(),
        snapshots: all.iter().filter_map(|copy| copy.snapshot).map(|name| name.to_string()).collect(),
        newest: all.iter().filter_map(|copy| copy.made).max().map(Moment),
    };
    Ok(find(from)?.into_iter().map(shown).collect())
}

/// What gives one entry back out of the copies below a directory. It is named by its path below a copy, or by the path
/// that it had; the longest part of that counts which a copy has.
pub(crate) fn planned(from: &Path, text: &str, wish: &RestoreWish) -> Result<RestorePlan<'static>, String> {
    let Some(to) = &wish.to else { return Err("say where to with `--to DIR`".into()) };
    let mut found = find(from)?;
    let parts: Vec<_> =
        Path::new(text).components().filter(|part| matches!(part, std::path::Component::Normal(_))).collect();
    for skipped in 0..=parts.len() {
        let below: PathBuf = parts.iter().skip(skipped).collect();
        if below.as_os_str().is_empty() && !parts.is_empty() {
            break;
        }
        let mut holdings = Vec::new();
        for Found { path, copies, all, .. } in found {
            holdings.push((Holdings::here(copies, &all, &below)?, all, path));
        }
        let held: Vec<HeldEntry> = holdings.iter().flat_map(|(holdings, ..)| holdings.held.clone()).collect();
        if let Some(best) = chosen(held, wish.at)
            && let Some(at) = holdings.iter().position(|(holdings, ..)| holdings.held.contains(&best))
        {
            let (holdings, _, path) = holdings.swap_remove(at);
            return Ok(RestorePlan {
                text: text.to_owned(),
                copy: best.copy,
                settings: None,
                holdings,
                aim: Aim::into(to, &below, wish.earnest)?,
                among: entry::real(&path).unwrap_or(path),
                elsewhere: listing_of(from),
                remarks: Vec::new(),
            });
        }
        found = again(holdings);
    }
    Err(format!("no copy below {} has `{text}`; `{}` lists what is there", from.display(), listing_of(from)))
}

/// What one types to see the copies below a directory.
fn listing_of(from: &Path) -> String {
    shell_words(&["nbkpctl".into(), "restore".into(), "--from".into(), from.into()])
}

/// What was found, to be looked into for another path.
fn again(holdings: Vec<(Holdings, Vec<CopyId>, PathBuf)>) -> Vec<Found> {
    let found = |(holdings, all, path): (Holdings, Vec<CopyId>, PathBuf)| match holdings.copies {
        Copies::Here(copies) => Some(Found { path, sync: all.first()?.sync.clone(), copies, all }),
        Copies::There(_) => None,
    };
    holdings.into_iter().filter_map(found).collect()
}

fn find(from: &Path) -> Result<Vec<Found>, String> {
    let top = Directory::open_root(from).map_err(|error| could_not(&error))?;
    let (mut found, mut left) = (Vec::new(), vec![(PathBuf::new(), 0)]);
    while let Some((below, depth)) = left.pop() {
        let Ok(directory) = top.open_below(&below, Reach::AnyMount) else { continue };
        if directory.kind_of(DESTINATION_SENTINEL).is_ok_and(|kind| kind == Kind::File) {
            found.push(opened(&top, &below)?);
        }
        if depth == DEEP {
            continue;
        }
        for entry in directory.entries(WIDE).unwrap_or_default() {
            let is_ours = [OWN, SNAPSHOTS, STAGING].iter().any(|name| entry.name == *name);
            let kind = entry.kind.map_or_else(|| directory.kind_of(&entry.name), Ok);
            if !is_ours && kind.is_ok_and(|kind| kind == Kind::Directory) {
                left.push((below.join(&entry.name), depth + 1));
            }
        }
    }
    if found.is_empty() {
        let from = from.display();
        return Err(format!(
            "{from} and the {DEEP} levels below it hold no copies of nbkp (no {DESTINATION_SENTINEL})"
        ));
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

fn opened(top: &Directory, below: &Path) -> Result<Found, String> {
    let open = || top.open_below(below, Reach::AnyMount).map_err(|error| could_not(&error));
    let (root, directory) = (open()?, open()?);
    let records: Vec<LogRecord> = directory
        .open_below(Path::new(OWN), Reach::SameMount)
        .ok()
        .and_then(|own| log::read(&own).ok())
        .unwrap_or_default();
    let last = records.last();
    let named = || directory.path().file_name().and_then(|name| name.to_str()).and_then(|name| name.parse().ok());
    let sync = last.map(|record| record.sync.clone()).or_else(named);
    let sync = sync.map_or_else(|| "copies".parse(), Ok).map_err(|_| "could not name the copies".to_owned())?;
    let has_history = directory.kind_of(SNAPSHOTS).is_ok_and(|kind| kind == Kind::Directory);
    let path = directory.path().to_owned();
    let copies = Box::new(HereCopies::at(root, directory)?);
    let all = if has_history {
        snapshots(&sync, copies.finished(), Remoteness::Here)
    } else {
        let MirrorPast { made, standing, .. } = copies.mirror();
        vec![CopyId { sync: sync.clone(), snapshot: None, made, standing, remoteness: Remoteness::Here }]
    };
    Ok(Found { path, sync, copies, all })
}
