//! Damaged files of a copy, written anew: by their size and their time they pass for unchanged.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::backup::copy::call::Copying;
use crate::backup::copy::plan::{self, Circumstances, CopyPlan};
use crate::backup::copy::{self, Copied};
use crate::backup::news::Telling;
use crate::backup::place::approach::Origin;
use crate::backup::place::destination::Destination;
use crate::backup::place::marker::Earlier;
use crate::backup::place::way::Spot;
use crate::backup::session::stop::Stops;
use crate::formats::rsync::arguments::{Manner, Unfinished, Veil};
use crate::formats::text;
use crate::model::{Figures, NotDone};

/// So many of them are named.
const NAMED: usize = 5;

/// Compares what a check found damaged by its content, and writes it anew. A file of its own takes its place, so that
/// it is no more the one that older copies share. What is missing then is added to what was copied. Returns what was
/// mended: nothing if something of it could not be read at the source.
pub(super) fn mend(
    (origin, destination): (&Origin<'_>, &Destination),
    (spot, copied): (Spot, &mut Copied),
    (telling, figures): (&Telling, &mut Figures),
    stops: &mut Stops,
) -> Result<BTreeSet<PathBuf>, NotDone> {
    let only: BTreeSet<PathBuf> = origin.job.damaged().cloned().collect();
    if only.is_empty() {
        return Ok(only);
    }
    // What may be broken is no basis to go on from.
    let manner = match spot {
        Spot::New(_) => Manner::Link { bases: Vec::new(), unfinished: Unfinished::None },
        Spot::Whole | Spot::Staging | Spot::Finished(_) | Spot::FirstCopy => Manner::Replace(Unfinished::None),
    };
    let seen = Circumstances { source: &origin.source, destination, earlier: Earlier::Doubtful };
    let plan = CopyPlan { veil: Veil { only, ..Veil::default() }, ..plan::plan(manner, seen) };
    let target = destination.target(spot, Earlier::Nothing)?;
    let copying = Copying { past: destination.past(), ..Copying::new(origin, &target) };
    let mut of_call = Figures::default();
    let mended = plan.veil.only.clone();
    let done = copy::copy(&copying, &plan, stops, (telling, &mut of_call), &|_| Ok(()))?;
    let is_whole = done.missing.is_empty();
    let new = done.missing.into_iter().filter(|told| !copied.missing.contains(told)).collect::<Vec<_>>();
    copied.missing.extend(new);
    let count = of_call.files_transferred;
    figures.files_transferred = figures.files_transferred.saturating_add(count);
    figures.bytes_transferred = figures.bytes_transferred.saturating_add(of_call.bytes_transferred);
    if count > 0 {
        let named: Vec<_> = origin.job.damaged().take(NAMED).map(|path| path.display().to_string()).collect();
        let written = text::count(count, "damaged file");
        copied.remarks.push(format!("written anew: {written}, among them {}", named.join(", ")));
    }
    Ok(if is_whole { mended } else { BTreeSet::new() })
}
