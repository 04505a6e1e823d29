//! Whether there is anything new at all: a look at the newest copy, before another is made.

use crate::backup::copy::call::Copying;
use crate::backup::copy::tell::tell;
use crate::backup::copy::{Copied, add, plan};
use crate::backup::session::stop::Stops;
use crate::decide::judge::DeletionVerdict;
use crate::formats::rsync::arguments::Manner;
use crate::model::{Complaints, Figures, Keeping, NotDone, TransferEnd};

/// What was copied where a copy would be the same as the one that is compared with: nothing. `None` if anything
/// differs, or if not all of it can be known.
pub(crate) fn unless_new(
    copying: &Copying<'_>,
    keeping: Keeping,
    stops: &mut Stops,
) -> Result<Option<Copied>, NotDone> {
    // As a finished snapshot is judged: what the rules leave out by now would be missing in another.
    let plan = plan::look(Manner::InPlace, keeping);
    let mut is_new = false;
    let (pass, verdict) = tell(copying, &plan, stops, &mut |said| {
        is_new |= said.changed().is_some() || said.deleted().is_some();
    })?;
    let is_certain = pass.end == TransferEnd::Complete && pass.complaints == Complaints::default();
    if is_new || !is_certain || verdict != DeletionVerdict::Done {
        return Ok(None);
    }
    let mut figures = Figures::default();
    add(&mut figures, &pass);
    Ok(Some(Copied { figures, regular_files: pass.tally.regular_files, ..Copied::default() }))
}
