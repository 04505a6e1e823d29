//! The snapshots of each sync along the time, and what `keep` will let go.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::markup::Markup;
use super::standing::sign;
use super::verdict::Grade;
use crate::ctl::render::tallies::clock_time;
use crate::formats::report::ReportFacts;
use crate::formats::text::{count, relative};
use crate::formats::wire::{SnapshotEntry, Term};
use crate::model::{KeepReason, Now, Standing};

/// So many snapshots of a sync are listed in words: those that go first.
const LISTED: usize = 12;
/// The marks below a line of time: ages in hours, and their words.
const MARKS: [(i64, &str); 6] =
    [(1, "1 h"), (24, "1 day"), (168, "1 week"), (730, "1 month"), (8_760, "1 year"), (43_800, "5 years")];

/// What becomes of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Lot {
    /// It stays for now.
    Stays,
    /// The next prune takes it.
    Goes,
    /// It cannot be trusted as a backup.
    Doubtful,
}

/// A line for each sync that has snapshots within reach; then those that are out of it.
pub fn timelines(page: &mut Markup, facts: &ReportFacts, now: &Now) {
    let mut by_sync: BTreeMap<&str, Vec<&SnapshotEntry>> = BTreeMap::new();
    for snapshot in &facts.snapshots.snapshots {
        by_sync.entry(&snapshot.sync).or_default().push(snapshot);
    }
    if by_sync.is_empty() && facts.snapshots.problems.is_empty() {
        page.leaf("p", &[], "No sync keeps snapshots, or none was made so far.");
    }
    if !by_sync.is_empty() {
        page.leaf(
            "p",
            &[],
            "Each stroke is a snapshot; the newest are on the right, and the further left, the more time there is \
             between them. A dashed stroke goes with the next prune, a stroke with a dot cannot be trusted as a \
             backup. \
             When another one goes is told as if copies went on to be made as often as the last ones.",
        );
    }
    for (sync, snapshots) in &by_sync {
        timeline(page, sync, snapshots, now);
    }
    for problem in &facts.snapshots.problems {
        page.nest("p", &[("class", "out")], |page| {
            sign(page, Grade::Calm);
            page.leaf("strong", &[], &problem.sync);
            page.text(": its snapshots cannot be seen now: ");
            page.sentence(&problem.message);
        });
    }
}

fn moment(snapshot: &SnapshotEntry) -> Option<Timestamp> {
    snapshot.name.parse().ok()
}

fn lot(snapshot: &SnapshotEntry) -> Lot {
    match &snapshot.standing {
        Some(Term::Known(Standing::Partial | Standing::Suspect) | Term::Other(_)) => Lot::Doubtful,
        Some(Term::Known(Standing::Good)) | None if snapshot.keep.is_empty() => Lot::Goes,
        Some(Term::Known(Standing::Good)) | None => Lot::Stays,
    }
}

fn timeline(page: &mut Markup, sync: &str, snapshots: &[&SnapshotEntry], now: &Now) {
    let moments: Vec<(Timestamp, &SnapshotEntry)> =
        snapshots.iter().filter_map(|snapshot| Some((moment(snapshot)?, *snapshot))).collect();
    let (Some(oldest), Some(newest)) =
        (moments.iter().map(|(at, _)| *at).min(), moments.iter().map(|(at, _)| *at).max())
    else {
        return;
    };
    let number = count(u64::try_from(snapshots.len()).unwrap_or(u64::MAX), "snapshot");
    page.nest("figure", &[("class", "timeline")], |page| {
        let kept = rules(snapshots);
        page.nest("figcaption", &[], |page| {
            page.leaf("h3", &[], sync);
            let (first, last) = (relative(oldest, now.wall), relative(newest, now.wall));
            page.text(&format!("{number}, the oldest {first}, the newest {last}. Kept by: {kept}."));
        });
        let label = format!("{number} of {sync}, from {} to {}", clock_time(oldest, now), clock_time(newest, now));
        let scale = Scale::of(oldest, now.wall);
        page.nest("svg", &[("role", "img"), ("aria-label", &label)], |page| drawing(page, &scale, &moments, now));
        departures(page, &moments, now);
    });
}

/// How many each rule keeps.
fn rules(snapshots: &[&SnapshotEntry]) -> String {
    let mut counts: Vec<(&str, u64)> = KeepReason::WORDS.iter().map(|(word, _)| (*word, 0)).collect();
    let mut others: BTreeMap<&str, u64> = BTreeMap::new();
    for reason in snapshots.iter().flat_map(|snapshot| &snapshot.keep) {
        match counts.iter_mut().find(|(word, _)| *word == reason.as_str()) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => *others.entry(reason.as_str()).or_default() += 1,
        }
    }
    let all = counts.into_iter().chain(others).filter(|(_, count)| *count > 0);
    let words: Vec<String> = all.map(|(word, count)| format!("{word} ({count})")).collect();
    if words.is_empty() { "nothing".to_owned() } else { words.join(", ") }
}

/// Where a moment lies on the line: the logarithm of its age.
struct Scale {
    whole: f64,
}

impl Scale {
    fn of(oldest: Timestamp, now: Timestamp) -> Self {
        let age = now.duration_since(oldest).max(SignedDuration::from_hours(24));
        Self { whole: Self::depth(age) }
    }

    fn depth(age: SignedDuration) -> f64 {
        (age.max(SignedDuration::ZERO).as_secs_f64() / 1800.0).ln_1p()
    }

    /// The place in percent, with two digits: marks that would fall on each other are one.
    fn place(&self, age: SignedDuration) -> Option<String> {
        let place = self.percent(age);
        (place >= 1.0).then(|| format!("{place:.1}%"))
    }

    fn percent(&self, age: SignedDuration) -> f64 {
        98.5 - 97.0 * Self::depth(age) / self.whole
    }
}

fn drawing(page: &mut Markup, scale: &Scale, moments: &[(Timestamp, &SnapshotEntry)], now: &Now) {
    page.shape("line", &[("class", "ground"), ("x1", "0%"), ("x2", "100%"), ("y1", "36"), ("y2", "36")]);
    let mut before = 200.0;
    for (hours, word) in MARKS {
        let age = SignedDuration::from_hours(hours);
        let Some(place) = scale.place(age) else { break };
        page.shape("line", &[("class", "mark"), ("x1", &place), ("x2", &place), ("y1", "36"), ("y2", "41")]);
        // On a phone words that stand close to each other would run into one.
        let is_close = before - scale.percent(age) < 17.0;
        let class = if is_close { "close" } else { "apart" };
        before = if is_close { before } else { scale.percent(age) };
        page.leaf("text", &[("class", class), ("x", &place), ("y", "54"), ("text-anchor", "middle")], word);
    }
    let mut drawn: BTreeMap<String, Lot> = BTreeMap::new();
    for (moment, snapshot) in moments {
        if let Some(place) = scale.place(now.wall.duration_since(*moment)) {
            let known = drawn.entry(place).or_insert(Lot::Stays);
            *known = lot(snapshot).max(*known);
        }
    }
    for (place, lot) in drawn {
        let class = if lot == Lot::Goes { "goes" } else { "stays" };
        page.shape("line", &[("class", class), ("x1", &place), ("x2", &place), ("y1", "10"), ("y2", "36")]);
        if lot == Lot::Doubtful {
            page.shape("circle", &[("class", "doubt"), ("cx", &place), ("cy", "7"), ("r", "3.5")]);
        }
    }
}

/// What goes next, in words.
fn departures(page: &mut Markup, moments: &[(Timestamp, &SnapshotEntry)], now: &Now) {
    let mut going: Vec<(Option<Timestamp>, Timestamp, &SnapshotEntry)> = moments
        .iter()
        .filter(|(_, snapshot)| snapshot.keep.is_empty() || snapshot.goes.is_some())
        .map(|(made, snapshot)| (snapshot.goes.map(|goes| goes.0), *made, *snapshot))
        .collect();
    going.sort_by_key(|(goes, made, _)| (*goes, *made));
    if going.is_empty() {
        return;
    }
    page.nest("details", &[], |page| {
        page.leaf("summary", &[], "What goes when");
        page.nest("table", &[("class", "stacked")], |page| {
            page.leaf("caption", &[], "The snapshots that go first");
            page.nest("thead", &[], |page| {
                page.nest("tr", &[], |page| {
                    for name in ["Made", "Kept by", "Goes"] {
                        page.leaf("th", &[("scope", "col")], name);
                    }
                });
            });
            page.nest("tbody", &[], |page| {
                for (goes, made, snapshot) in going.iter().take(LISTED) {
                    page.nest("tr", &[], |page| departure(page, *goes, *made, snapshot, now));
                }
            });
        });
    });
}

fn departure(page: &mut Markup, goes: Option<Timestamp>, made: Timestamp, snapshot: &SnapshotEntry, now: &Now) {
    page.leaf("th", &[("scope", "row")], &clock_time(made, now));
    let mut rules: Vec<&str> = snapshot.keep.iter().map(Term::as_str).collect();
    rules.extend(snapshot.standing.as_ref().filter(|standing| !standing.is(Standing::Good)).map(Term::as_str));
    let rules = if rules.is_empty() { "nothing".to_owned() } else { rules.join(", ") };
    page.nest("td", &[("data-label", "Kept by")], |page| page.leaf("span", &[], &rules));
    let goes = match goes {
        None => "with the next prune".to_owned(),
        Some(moment) => format!("about {}", relative(moment, now.wall)),
    };
    page.nest("td", &[("data-label", "Goes")], |page| page.leaf("span", &[], &goes));
}
