//! What a copy would do.

use crate::backup::copy::call::Copying;
use crate::backup::copy::plan::CopyPlan;
use crate::backup::copy::{Pass, call, judged};
use crate::backup::session::stop::Stops;
use crate::decide::judge::{self, DeletionVerdict};
use crate::formats::rsync::arguments::CopyMode;
use crate::formats::rsync::output::OutputLine;
use crate::model::NotDone;

/// What a copy would do, without doing it. Where rsync gives up deleting because of what it cannot look at, it is asked
/// once more around that, as a run does; `hear` is told of deletions once, behind all else. Tells whether all is known.
pub(crate) fn tell(
    copying: &Copying<'_>,
    plan: &CopyPlan,
    stops: &mut Stops,
    hear: &mut dyn FnMut(&OutputLine),
) -> Result<(Pass, DeletionVerdict), NotDone> {
    let mut deleted = Vec::new();
    let mut pass = call(copying, plan, CopyMode::Tell, stops, &mut |said| {
        if said.deleted().is_some() { deleted.push(said.clone()) } else { hear(said) }
    })?;
    let verdict = judge::deletions(&pass.complaints);
    if let DeletionVerdict::Again(around) = &verdict {
        deleted.clear();
        let around = CopyPlan { spared: plan.spared.union(around).cloned().collect(), ..plan.clone() };
        let again = call(copying, &around, CopyMode::Tell, stops, &mut |said| {
            if matches!(said, OutputLine::Deleted(_)) {
                deleted.push(said.clone());
            }
        })?;
        judged(&copying.way, &again)?;
        pass.tally.deleted_items = again.tally.deleted_items;
    }
    deleted.iter().for_each(hear);
    Ok((pass, verdict))
}
