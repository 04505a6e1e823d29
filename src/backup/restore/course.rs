//! The course of a restore of several entries: who has to wait for any of them waits before the first comes, and until
//! the last has ended. Between two of them a run would take what is half there for all there is.

use std::collections::BTreeSet;

use crate::backup::restore::fetch::FetchNews;
use crate::backup::restore::giving::{RestorePlan, bring};
use crate::backup::restore::witness::{Landing, Witness, until_whole};
use crate::backup::session::stop::Stops;
use crate::formats::wire::{RestoreEnd, RestoreProblem, RestoredEntry};
use crate::model::{Earnest, RestoreEnding, RestoreWish, SyncName};

/// An entry that is to come.
#[derive(Debug)]
pub(crate) struct Coming {
    /// As the person wrote it.
    pub(crate) path: String,
    /// What is wanted of it.
    pub(crate) wish: RestoreWish,
}

/// One of which it is known where it goes.
#[derive(Debug)]
pub(crate) struct Begun {
    coming: Coming,
    /// Who was told of it; nobody, where it is only asked what would come.
    awaited: Option<Awaited>,
}

/// What a witness knows of an entry.
#[derive(Debug)]
struct Awaited {
    landing: Landing,
    waiting: BTreeSet<SyncName>,
}

/// How it went with one.
#[derive(Debug)]
struct Gone {
    path: String,
    done: Result<RestoredEntry, String>,
    ending: RestoreEnding,
    awaited: Option<Awaited>,
}

/// Which copy gives an entry back.
pub(crate) type Planner<'p, 'a> = dyn FnMut(&Coming, &mut Stops) -> Result<RestorePlan<'a>, String> + 'p;

/// Who hears how it goes on with each.
pub(crate) type Hearer<'h> = dyn FnMut(&str, FetchNews) + Send + 'h;

/// Lets everybody wait for all of them, and says of which that could not be. The plan for the first is ready then; the
/// others are planned afresh when it is their turn, since that may be hours later.
pub(crate) fn begin_all<'a>(
    all: Vec<Coming>,
    plan: &mut Planner<'_, 'a>,
    witness: &mut dyn Witness,
    stops: &mut Stops,
    end: &mut RestoreEnd,
) -> (Vec<Begun>, Option<RestorePlan<'a>>) {
    let (mut begun, mut first) = (Vec::new(), None);
    for coming in all {
        if coming.wish.earnest == Earnest::Pretended {
            begun.push(Begun { coming, awaited: None });
            continue;
        }
        let planned = plan(&coming, stops).and_then(|planned| {
            let landing = planned.landing();
            let waiting = witness.begins(&landing)?;
            Ok((planned, Awaited { landing, waiting }))
        });
        match planned {
            Ok((planned, awaited)) => {
                if begun.is_empty() {
                    first = Some(planned);
                }
                begun.push(Begun { coming, awaited: Some(awaited) });
            }
            Err(message) => end.problems.push(RestoreProblem { path: coming.path, message }),
        }
    }
    (begun, first)
}

/// Brings one after the other, and says how each ended once the last has.
pub(crate) fn fetch_all<'a>(
    (begun, mut first): (Vec<Begun>, Option<RestorePlan<'a>>),
    plan: &mut Planner<'_, 'a>,
    witness: &mut dyn Witness,
    (stops, hear): (&mut Stops, &mut Hearer<'_>),
    end: &mut RestoreEnd,
) {
    let mut gone: Vec<Gone> = Vec::new();
    for Begun { coming, mut awaited } in begun {
        let planned = first.take().map_or_else(|| plan(&coming, stops), Ok);
        let planned = planned.and_then(|planned| as_begun(planned, &mut awaited));
        let (done, mut ending) = match planned {
            Ok(planned) => bring(planned, &coming.wish, (&mut *stops, &mut |news| hear(&coming.path, news))),
            Err(why) => (Err(why), RestoreEnding::Untouched),
        };
        // It is wanted back, all of it: what did not get its turn is wanting as what came half is.
        if ending == RestoreEnding::Untouched && gone.iter().any(Gone::has_changed_something) {
            ending = RestoreEnding::Cut;
        }
        if let Ok(entry) = &done {
            let RestoredEntry { to, from, files, .. } = entry;
            tracing::info!(path = coming.path, to, from, "restored {files} files");
        }
        gone.push(Gone { path: coming.path, done, ending, awaited });
    }
    for Gone { path, done, ending, awaited } in gone {
        let consequence = awaited.and_then(|Awaited { landing, waiting }| {
            witness.ends(&landing, ending);
            (ending == RestoreEnding::Cut).then(|| until_whole(&waiting)).flatten()
        });
        match done {
            Ok(mut entry) => {
                entry.remarks.extend(consequence);
                end.restored.push(entry);
            }
            Err(why) => {
                let message = [Some(why), consequence].into_iter().flatten().collect::<Vec<_>>().join("; ");
                end.problems.push(RestoreProblem { path, message });
            }
        }
    }
}

impl Gone {
    fn has_changed_something(&self) -> bool {
        self.ending != RestoreEnding::Untouched
    }
}

/// The plan, if it still leads to where everybody knows of; what comes there may be of another copy by now.
fn as_begun<'a>(plan: RestorePlan<'a>, awaited: &mut Option<Awaited>) -> Result<RestorePlan<'a>, String> {
    if let Some(Awaited { landing, .. }) = awaited {
        let now = plan.landing();
        if now.place != landing.place {
            let (before, now) = (landing.place.display(), now.place.display());
            return Err(format!("it went to {before} when this began, and would go to {now} now; say the same again"));
        }
        *landing = now;
    }
    Ok(plan)
}
