//! A restore: the best copy of each entry, brought to its place or to another.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::backup::failure::could_not;
use crate::backup::job::{SyncAsSeen, sentence};
use crate::backup::place::copies::Copies;
use crate::backup::place::pinned::read_lock;
use crate::backup::place::source::privileges;
use crate::backup::restore::aim::Aim;
use crate::backup::restore::fetch::{FetchManner, FetchNews, FetchOrigin, Fetched, Unfetched, fetch};
use crate::backup::restore::holdings::{Holdings, place};
use crate::backup::restore::sought::sought;
use crate::backup::restore::versions::everywhere;
use crate::backup::restore::witness::Landing;
use crate::backup::session::stop::Stops;
use crate::decide::versions::chosen;
use crate::formats::text::{shell_words, wall_time};
use crate::formats::wire::{Moment, RestoredEntry, UnreachedCopies};
use crate::model::{
    CopyId, Failure, FailureKind, HeldEntry, Honours, Interruption, Keeping, NotDone, Obstacle, Privileges,
    RestoreEnding, RestoreWish, RsyncSettings, Standing, SyncName,
};
use crate::os::directory::Reach;
use crate::os::ssh::SshPlace;
use crate::os::{clock, entry, environment};

/// What is to be brought where, from which copy.
#[derive(Debug)]
pub(crate) struct RestorePlan<'a> {
    /// As the person wrote it.
    pub(crate) text: String,
    /// The copy.
    pub(crate) copy: CopyId,
    /// The settings by which it was made, if they are known.
    pub(crate) settings: Option<&'a RsyncSettings>,
    /// The copies of its sync, opened.
    pub(crate) holdings: Holdings,
    /// Where it goes.
    pub(crate) aim: Aim,
    /// What these copies are called, and no others.
    pub(crate) among: PathBuf,
    /// The command that shows other copies.
    pub(crate) elsewhere: String,
    /// What a person may want to know.
    pub(crate) remarks: Vec<String>,
}

impl RestorePlan<'_> {
    /// What comes where. A copy without history is another one after each run.
    pub(crate) fn landing(&self) -> Landing {
        let (copy, aim) = (&self.copy, &self.aim);
        let made = copy.made.filter(|_| copy.snapshot.is_none()).map(|made| made.to_string()).unwrap_or_default();
        let origin = self.among.join(made).join(place(copy)).join(&aim.base).join(&aim.item);
        Landing { place: aim.landing(), origin: origin.components().collect() }
    }
}

/// What gives one entry back; says why nothing does, for a person.
pub(crate) fn planned<'a>(
    text: &str,
    wish: &RestoreWish,
    all: &'a [SyncAsSeen],
    ssh: &SshPlace,
    stops: &mut Stops,
) -> Result<RestorePlan<'a>, String> {
    let sought = sought(text, all)?;
    let (found, unreached) = everywhere(&sought, ssh, stops);
    let held: Vec<HeldEntry> = found.iter().flat_map(|(_, holdings)| holdings.held.clone()).collect();
    let Some(best) = chosen(held.clone(), wish.at) else { return Err(nowhere(text, wish, held, &unreached)) };
    let of_best = found.into_iter().find(|(sought, _)| sought.seen.sync.name == best.copy.sync);
    let Some((entry, holdings)) = of_best else { return Err(nowhere(text, wish, held, &unreached)) };
    let aim = match &wish.to {
        None => Aim::in_place(entry)?,
        Some(to) => Aim::into(to, &entry.below, wish.earnest)?,
    };
    // Of when the newest snapshot is, runs that found nothing new since tell.
    let current = best.copy.made.max(entry.seen.last_success.filter(|_| holdings.is_newest(&best.copy)));
    Ok(RestorePlan {
        text: text.to_owned(),
        remarks: unreached.iter().filter_map(|away| newer(away, current, wish)).collect(),
        among: PathBuf::from(best.copy.sync.as_str()),
        copy: best.copy,
        settings: Some(&entry.seen.sync.rsync),
        holdings,
        aim,
        elsewhere: shell_words(&["nbkpctl", "versions", text].map(Into::into)),
    })
}

/// What is said of a copy out of reach that is newer, and would have been taken.
fn newer(away: &UnreachedCopies, taken: Option<Timestamp>, wish: &RestoreWish) -> Option<String> {
    let UnreachedCopies { sync, message, last_success } = away;
    let made = last_success.map(|Moment(moment)| moment)?;
    let is_wanted = taken.is_none_or(|taken| taken < made) && wish.at.is_none_or(|at| made <= at);
    let on = wall_time(made, &clock::now().zone);
    is_wanted.then(|| format!("`{sync}` has a newer copy, of {on}, which is out of reach: {message}"))
}

/// Brings it; says how that ended, and why it did not come, for a person.
pub(crate) fn bring(
    plan: RestorePlan<'_>,
    wish: &RestoreWish,
    (stops, hear): (&mut Stops, &mut (dyn FnMut(FetchNews) + Send)),
) -> (Result<RestoredEntry, String>, RestoreEnding) {
    match fetched(&plan, wish, (stops, hear)) {
        Ok(fetched) => {
            let ending = if fetched.leaves_gaps { RestoreEnding::Cut } else { RestoreEnding::Whole };
            (Ok(as_told(plan, fetched)), ending)
        }
        Err((why, ending)) => (Err(why), ending),
    }
}

fn fetched(
    plan: &RestorePlan<'_>,
    wish: &RestoreWish,
    (stops, hear): (&mut Stops, &mut (dyn FnMut(FetchNews) + Send)),
) -> Result<Fetched, (String, RestoreEnding)> {
    let RestorePlan { copy, holdings, aim, .. } = plan;
    let (sync, untouched) = (&copy.sync, |why: String| (why, RestoreEnding::Untouched));
    // A script compares the path with where it comes to: it ends in no slash.
    let place: PathBuf = place(copy).join(&aim.base).components().collect();
    let manner = |keeping: Keeping, privileges| FetchManner {
        settings: plan.settings,
        keeping,
        privileges,
        existing: wish.existing,
        earnest: wish.earnest,
    };
    let mut bring = |origin: &FetchOrigin<'_>, manner: FetchManner<'_>| match fetch(origin, aim, manner, stops, hear) {
        Ok(fetched) => Ok(powerless(fetched, manner.privileges, aim)),
        Err(Unfetched { why, ending }) => Err((refusal(&why, sync, aim), ending)),
    };
    match &holdings.copies {
        Copies::Here(here) => {
            let _reading = read_lock(&here.directory).map_err(|taken| untouched(busy(sync, &taken)))?;
            let directory = here.directory.open_below(&place, Reach::SameMount);
            let directory = directory.map_err(|error| untouched(could_not(&error)))?;
            if !entry::may_read(&directory, &aim.item) {
                let shown = holdings.shown(copy);
                return Err(untouched(format!("{shown} may not be read by you; ask as its owner, or as root")));
            }
            let privileges = privileges(directory.honours(), Some(&aim.directory));
            bring(&FetchOrigin::Here(&directory), manner(here.keeping(), privileges))
        }
        Copies::There(far) => {
            let far = &far.destination;
            let (server, end, at) = (&far.server, &far.end, far.at.join(&place));
            let privileges = privileges(Honours::Nothing, Some(&aim.directory));
            bring(&FetchOrigin::There { server, end, place, at }, manner(far.look.keeping(), privileges))
        }
    }
}

/// Why it did not come, for a person.
fn refusal(why: &NotDone, sync: &SyncName, aim: &Aim) -> String {
    let goes_on = "what has come is kept, and the same command goes on from there";
    match why {
        NotDone::Interrupted(Interruption::SourceLost(what) | Interruption::DestinationLost(what)) => {
            format!("the copy went away: {what}; {goes_on}")
        }
        NotDone::Interrupted(_) => format!("{}; {goes_on}", sentence(why, sync)),
        NotDone::Failed(Failure { kind: FailureKind::NoSpace, detail, .. }) => format!(
            "{} has no room left ({detail}); make some (`df -h` and `df -i` tell what is short): {goes_on}",
            aim.shown().display(),
        ),
        NotDone::Failed(_) | NotDone::Skipped(_) | NotDone::Held(_) => sentence(why, sync),
    }
}

/// Root is told what does not come to a directory that others may enter; who else has programs with power?
fn powerless(mut fetched: Fetched, privileges: Privileges, aim: &Aim) -> Fetched {
    match privileges {
        Privileges::LeftOut if environment::is_root() => fetched.remarks.push(format!(
            "what gives programs the rights of others (set-user-ID, capabilities) and device nodes is left out, since \
             others may enter {}: to have that too, restore to somewhere below a directory of mode 700",
            aim.directory.path().display()
        )),
        Privileges::LeftOut | Privileges::Copied => {}
    }
    fetched
}

/// What was done, as it is told.
fn as_told(plan: RestorePlan<'_>, fetched: Fetched) -> RestoredEntry {
    let RestorePlan { text, copy, holdings, aim, elsewhere, remarks: of_plan, .. } = plan;
    let mut missing = fetched.missing;
    if copy.standing == Standing::Partial {
        missing.push("this copy itself lacks files that could not be read when it was made".into());
    }
    let mut remarks = fetched.remarks;
    remarks.extend(holdings.remark(&copy));
    if copy.standing == Standing::Suspect {
        remarks.push(format!(
            "this copy is in doubt: something was wrong when it was made, or `nbkpctl verify` found damaged files in \
             it; see what others hold with `{elsewhere}`"
        ));
    }
    remarks.extend(of_plan);
    RestoredEntry {
        to: aim.shown().display().to_string(),
        sync: copy.sync.to_string(),
        snapshot: copy.snapshot.map(|name| name.to_string()),
        made: copy.made.map(Moment),
        from: holdings.shown(&copy),
        files: fetched.figures.files_transferred,
        bytes: fetched.figures.bytes_transferred,
        same: fetched.same,
        kept: fetched.kept,
        kept_count: fetched.kept_count,
        missing,
        remarks,
        path: text,
    }
}

fn busy(sync: &SyncName, taken: &Obstacle) -> String {
    format!("{taken}: `{sync}` is being copied now; try again when that has ended, or `nbkpctl cancel {sync}` first")
}

/// Why no copy gives it back.
fn nowhere(text: &str, wish: &RestoreWish, held: Vec<HeldEntry>, unreached: &[UnreachedCopies]) -> String {
    let zone = clock::now().zone;
    let local = |moment: jiff::Timestamp| wall_time(moment, &zone);
    let as_of = wish.at.map(|at| format!(" as it was on {}", local(at))).unwrap_or_default();
    let first = held.into_iter().filter_map(|held| held.copy.made).min();
    let first = first.map(|first| format!("; the oldest copy that has it is of {}", local(first))).unwrap_or_default();
    let away = unreached.iter().map(|UnreachedCopies { sync, message, last_success }| {
        let age = last_success.map(|Moment(moment)| format!(" (last copied on {})", local(moment))).unwrap_or_default();
        format!("; `{sync}`{age} is out of reach: {message}")
    });
    format!("no copy within reach has `{text}`{as_of}{first}{}", away.collect::<String>())
}
