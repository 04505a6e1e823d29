//! Where a copy that files are linked from has a link, and the source a directory by now. rsync 3.2.7 looks for the
//! files of that directory through the link, wherever it leads: to what only root may read, or to files that live on.
//! So such directories are copied by a call of their own, which knows no copy with a link there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::backup::copy::Copied;
use crate::backup::copy::linking::Links;
use crate::backup::failure::failure;
use crate::backup::place::destination::Destination;
use crate::backup::place::source::CopySource;
use crate::backup::session::stop::Stops;
use crate::formats::rsync::arguments::{Manner, Veil};
use crate::model::{FailureKind, MountsBelow, NotDone, SnapshotName, Step, Sync};

/// Up to so many links are passed over by name, should they become directories while rsync looks; each costs a moment
/// for each entry of the source. Of more, what came of them is looked at afterwards.
const NAMED: usize = 100;
/// So many calls may be made for what becomes a directory meanwhile.
const CALLS: usize = 3;

/// The links in what a new copy is linked with.
#[derive(Debug)]
pub(crate) struct Crossings {
    links: Vec<(String, BTreeSet<PathBuf>)>,
    all: BTreeSet<PathBuf>,
}

impl Crossings {
    /// Looks for them. What cannot be looked through is nothing to link with from then on; its names are told.
    pub(crate) fn find(
        destination: &Destination,
        links: &mut Links,
        stops: &mut Stops,
    ) -> Result<(Self, Vec<String>), NotDone> {
        let wanted = links.entries();
        let found = if wanted.is_empty() { Vec::new() } else { destination.links(&wanted, stops)? };
        let is_known = |name: &String| found.iter().any(|(known, _)| known == name);
        links.keep(is_known);
        let unknown = wanted.into_iter().filter(|name| !is_known(name)).collect();
        let all = found.iter().flat_map(|(_, links)| links.iter().cloned()).collect();
        Ok((Self { links: found, all }, unknown))
    }

    /// Makes a new copy by as many calls as it takes. `copy` makes one.
    pub(crate) fn copy_around(
        &self,
        (source, sync): (&CopySource, &Sync),
        (destination, name): (&Destination, SnapshotName),
        links: &Links,
        stops: &mut Stops,
        copy: &mut dyn FnMut(Manner, Veil, &mut Stops) -> Result<Copied, NotDone>,
    ) -> Result<Copied, NotDone> {
        let is_named = self.all.len() <= NAMED;
        let directories = |stops: &mut Stops| {
            if self.all.is_empty() { Ok(BTreeSet::new()) } else { source.directories(&self.all, &sync.rsync, stops) }
        };
        let emptied = directories(stops)?;
        let mut crossed = emptied.clone();
        let hidden = |crossed: &BTreeSet<PathBuf>| if is_named { &self.all - crossed } else { BTreeSet::new() };
        let veil = Veil { hidden: hidden(&crossed), emptied, only: BTreeSet::new() };
        let mut copied = copy(links.manner(), veil, stops)?;
        // The rules of the person decide what is there at all: rsync knows none of them for what it is named.
        let mut only = destination.directories(name, &crossed, stops)?;
        leave_out_mounts((source, sync), &mut only);
        for _ in 0..CALLS {
            let now = directories(stops)?;
            only.extend(wanted((destination, name), now.difference(&crossed).filter(|_| is_named), stops)?);
            leave_out_mounts((source, sync), &mut only);
            crossed.extend(now);
            if only.is_empty() {
                return self.proven(copied, (destination, name), &crossed, stops);
            }
            let veil = Veil { hidden: hidden(&crossed), emptied: BTreeSet::new(), only: std::mem::take(&mut only) };
            copied.add(copy(self.without(links, &crossed).manner(), veil, stops)?);
        }
        Err(failure(Step::Copy, FailureKind::Other, "the source changed too much while it was copied"))
    }

    /// What has no link at any of these paths.
    fn without(&self, links: &Links, crossed: &BTreeSet<PathBuf>) -> Links {
        let is_clean =
            |name: &String| self.links.iter().any(|(known, links)| known == name && links.is_disjoint(crossed));
        let mut links = links.clone();
        links.keep(is_clean);
        links
    }

    /// Makes sure that nothing was copied through a link that could not be passed over by name.
    fn proven(
        &self,
        copied: Copied,
        (destination, name): (&Destination, SnapshotName),
        crossed: &BTreeSet<PathBuf>,
        stops: &mut Stops,
    ) -> Result<Copied, NotDone> {
        let unnamed = if self.all.len() <= NAMED { BTreeSet::new() } else { &self.all - crossed };
        let through = if unnamed.is_empty() { unnamed } else { destination.directories(name, &unnamed, stops)? };
        match through.first() {
            None => Ok(copied),
            Some(path) => {
                let what = format!("{} was a link and became a directory while it was copied", path.display());
                Err(failure(Step::Copy, FailureKind::Other, what))
            }
        }
    }
}

/// Those of these paths around which there is something in the new copy.
fn wanted<'a>(
    (destination, name): (&Destination, SnapshotName),
    paths: impl Iterator<Item = &'a PathBuf>,
    stops: &mut Stops,
) -> Result<BTreeSet<PathBuf>, NotDone> {
    let paths: BTreeSet<PathBuf> = paths.cloned().collect();
    let around = |path: &PathBuf| path.parent().map(Path::to_owned).filter(|it| !it.as_os_str().is_empty());
    let parents: BTreeSet<PathBuf> = paths.iter().filter_map(around).collect();
    let made = if parents.is_empty() { parents } else { destination.directories(name, &parents, stops)? };
    Ok(paths.into_iter().filter(|path| around(path).is_none_or(|around| made.contains(&around))).collect())
}

/// Where mounts are left out, each of these paths would be a place to begin anew for rsync.
fn leave_out_mounts((source, sync): (&CopySource, &Sync), only: &mut BTreeSet<PathBuf>) {
    let mounts = match sync.mounts {
        MountsBelow::Copied => return,
        MountsBelow::LeftOut => source.submounts().map(|mounts| mounts.paths()).unwrap_or_default(),
    };
    only.retain(|path| !path.ancestors().any(|around| mounts.contains(around)));
}
