//! What becomes of the refs of a mirror when its repository has others now: nothing that was there once is let go at
//! once (gitglossary(7), git-update-ref(1)). Names are bytes: whoever pushes chooses them.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::strtime;

use crate::model::{KeepRules, RefName, Refs, Retention};

/// Below this lies what was fetched and is not taken over yet.
pub const INCOMING: &str = "refs/nbkp-incoming/";
/// Below this and a time lies what was there until then.
pub const KEPT: &str = "refs/nbkp/";

const TIME: &str = "%Y%m%dT%H%M%SZ";
/// A clock may have gone on by so much since the last copy; what is further ahead is most likely wrong.
const PLAUSIBLE: Duration = Duration::from_hours(7 * 24);

/// How the refs of a mirror are changed: each part at one stroke, one after the other, so that one that is killed in
/// between has lost nothing. Each line is one order of `git update-ref --stdin`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RefChanges {
    /// What was deleted or rewritten is kept, and what is gone goes.
    pub first: Vec<Vec<u8>>,
    /// What is new or has moved on is taken over from where it came to first.
    pub then: Vec<Vec<u8>>,
    /// How many refs were deleted or rewritten.
    pub kept: usize,
}

/// Whether a ref of a mirror is one that its repository had.
fn is_own(name: &[u8]) -> bool {
    !name.starts_with(INCOMING.as_bytes()) && !name.starts_with(KEPT.as_bytes())
}

fn own(refs: &Refs) -> impl Iterator<Item = (&RefName, &String)> {
    refs.iter().filter(|(name, _)| is_own(name))
}

/// Whether a mirror has anything of its repository.
#[must_use]
pub fn has_any(refs: &Refs) -> bool {
    own(refs).next().is_some()
}

/// What a repository has now, by the names that it has there.
fn incoming(refs: &Refs) -> Refs {
    let found = refs.iter().filter_map(|(name, object)| Some((name.strip_prefix(INCOMING.as_bytes())?, object)));
    found.map(|(name, object)| ([b"refs/", name].concat(), object.clone())).collect()
}

/// How many of the refs that a repository tells of have not come. What it calls as we call ours is nothing of a mirror.
#[must_use]
pub fn missing(told: &BTreeSet<RefName>, refs: &Refs) -> usize {
    let came = incoming(refs);
    let is_wanted = |name: &&RefName| {
        let ours = [KEPT, INCOMING].map(|ours| ours.trim_end_matches('/').as_bytes());
        name.starts_with(b"refs/") && is_own(name) && !ours.contains(&name.as_slice())
    };
    told.iter().filter(is_wanted).filter(|name| !came.contains_key(*name)).count()
}

/// What was fetched before and never taken over.
#[must_use]
pub fn left_over(refs: &Refs) -> Vec<Vec<u8>> {
    let left = refs.iter().filter(|(name, _)| name.starts_with(INCOMING.as_bytes()));
    left.map(|(name, object)| order("delete", name, &[object])).collect()
}

/// The branches of a mirror that lead elsewhere in its repository: before and now. Whether one only moved on is to be
/// asked. Of a tag and of all else nobody expects that it moves.
#[must_use]
pub fn moved(refs: &Refs) -> BTreeSet<(String, String)> {
    let now = incoming(refs);
    let moved = own(refs).filter(|(name, _)| name.starts_with(b"refs/heads/")).filter_map(|(name, before)| {
        let after = now.get(name).filter(|after| *after != before)?;
        Some((before.clone(), after.clone()))
    });
    moved.collect()
}

/// What is told to git. `onward` are the pairs of [`moved`] of which the second holds all of the first.
#[must_use]
pub fn changes(refs: &Refs, onward: &BTreeSet<(String, String)>, at: Timestamp) -> RefChanges {
    let now = incoming(refs);
    let when = strtime::format(TIME, at).unwrap_or_default();
    let mut changes = RefChanges::default();
    for (name, before) in own(refs) {
        let after = now.get(name);
        let is_branch = name.starts_with(b"refs/heads/");
        let is_safe =
            |after: &String| after == before || (is_branch && onward.contains(&(before.clone(), after.clone())));
        if !after.is_some_and(is_safe) {
            let bare = name.strip_prefix(b"refs/").unwrap_or(name);
            let kept = [KEPT.as_bytes(), when.as_bytes(), b"/", bare].concat();
            changes.first.push(order("create", &kept, &[before]));
            changes.kept = changes.kept.saturating_add(1);
        }
        match after {
            None => changes.first.push(order("delete", name, &[before])),
            Some(after) if after != before => changes.then.push(order("update", name, &[after, before])),
            Some(_) => {}
        }
    }
    let new = now.iter().filter(|(name, _)| !refs.contains_key(*name));
    changes.then.extend(new.map(|(name, after)| order("create", name, &[after])));
    changes.then.extend(left_over(refs));
    changes
}

fn order(what: &str, name: &[u8], objects: &[&String]) -> Vec<u8> {
    let mut line = [what.as_bytes(), b" ", name].concat();
    for object in objects {
        line.push(b' ');
        line.extend_from_slice(object.as_bytes());
    }
    line
}

/// The refs that were kept for longer than this. A clock that is far ahead of the last copy lets nothing go for it, and
/// neither does one that nobody can hold against a last copy.
#[must_use]
pub fn outlived(
    refs: &Refs,
    kept_for: Option<Duration>,
    (last_copied, now): (Option<Timestamp>, Timestamp),
) -> Vec<Vec<u8>> {
    let plausible = last_copied.and_then(|last| last.checked_add(PLAUSIBLE).ok()).map(|latest| latest.min(now));
    let oldest = plausible.zip(kept_for).and_then(|(at, span)| at.checked_sub(span).ok());
    let Some(oldest) = oldest else { return Vec::new() };
    let is_old = |name: &[u8]| {
        let time = name.strip_prefix(KEPT.as_bytes())?.split(|byte| *byte == b'/').next()?;
        let time = std::str::from_utf8(time).ok()?.strip_suffix('Z')?;
        let time = strtime::parse("%Y%m%dT%H%M%S%z", format!("{time}+0000")).ok()?.to_timestamp().ok()?;
        Some(time < oldest)
    };
    let old = refs.iter().filter(|(name, _)| is_old(name) == Some(true));
    old.map(|(name, object)| order("delete", name, &[object])).collect()
}

/// How far back the snapshots of such a rule reach, if that can be told.
#[must_use]
pub fn span(keep: Retention) -> Option<Duration> {
    const HOUR: Duration = Duration::from_hours(1);
    const DAY: Duration = Duration::from_hours(24);
    let Retention::Rules(KeepRules { last, hourly, daily, weekly, monthly, yearly }) = keep else { return None };
    let spans = [(hourly, HOUR), (daily, DAY), (weekly, DAY * 7), (monthly, DAY * 31), (yearly, DAY * 366)];
    let longest = spans.into_iter().map(|(count, period)| period.saturating_mul(count)).max();
    // Of a number of snapshots nobody knows how long they take to be made.
    longest.filter(|longest| last == 0 && !longest.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refs(pairs: &[(&str, &str)]) -> Refs {
        pairs.iter().map(|(name, object)| (name.as_bytes().to_vec(), (*object).to_owned())).collect()
    }

    fn at() -> Timestamp {
        "2026-11-22T17:30:00.5Z".parse().unwrap()
    }

    fn text(lines: &[Vec<u8>]) -> Vec<String> {
        lines.iter().map(|line| String::from_utf8(line.clone()).unwrap()).collect()
    }

    #[test]
    fn what_is_deleted_or_rewritten_is_kept_and_what_moves_on_is_not() {
        let refs = refs(&[
            ("refs/heads/main", "a1"),
            ("refs/heads/gone", "b1"),
            ("refs/heads/rewritten", "c1"),
            ("refs/tags/same", "d1"),
            ("refs/tags/moved", "a1"),
            ("refs/nbkp/20260101T000000Z/heads/old", "e1"),
            ("refs/nbkp-incoming/heads/main", "a2"),
            ("refs/nbkp-incoming/heads/rewritten", "c2"),
            ("refs/nbkp-incoming/heads/new", "f1"),
            ("refs/nbkp-incoming/tags/same", "d1"),
            ("refs/nbkp-incoming/tags/moved", "a2"),
        ]);
        let pair = |before: &str, after: &str| (before.to_owned(), after.to_owned());
        assert_eq!(moved(&refs), [pair("a1", "a2"), pair("c1", "c2")].into());
        let changes = changes(&refs, &[pair("a1", "a2")].into(), at());
        assert_eq!(
            text(&changes.first),
            [
                "create refs/nbkp/20261122T173000Z/heads/gone b1",
                "delete refs/heads/gone b1",
                "create refs/nbkp/20261122T173000Z/heads/rewritten c1",
                "create refs/nbkp/20261122T173000Z/tags/moved a1",
            ],
            "a tag that moves is rewritten, whatever it leads to"
        );
        assert_eq!(
            text(&changes.then),
            [
                "update refs/heads/main a2 a1",
                "update refs/heads/rewritten c2 c1",
                "update refs/tags/moved a2 a1",
                "create refs/heads/new f1",
                "delete refs/nbkp-incoming/heads/main a2",
                "delete refs/nbkp-incoming/heads/new f1",
                "delete refs/nbkp-incoming/heads/rewritten c2",
                "delete refs/nbkp-incoming/tags/moved a2",
                "delete refs/nbkp-incoming/tags/same d1",
            ]
        );
        assert_eq!(changes.kept, 3);
    }

    #[test]
    fn what_has_not_come_is_counted_and_what_is_there_is_its_own() {
        let there = refs(&[("refs/nbkp-incoming/heads/a", "1"), ("refs/nbkp/20260101T000000Z/heads/b", "2")]);
        assert!(!has_any(&there) && has_any(&refs(&[("refs/heads/a", "1")])));
        let told = |names: &[&str]| names.iter().map(|name| name.as_bytes().to_vec()).collect();
        assert_eq!(
            missing(&told(&["HEAD", "refs/heads/a", "refs/nbkp", "refs/nbkp/x", "refs/nbkp-incoming"]), &there),
            0
        );
        assert_eq!(missing(&told(&["refs/heads/a", "refs/heads/b", "refs/tags/v1"]), &there), 2);
    }

    #[test]
    fn what_was_kept_goes_when_its_time_is_over() {
        let refs = refs(&[
            ("refs/nbkp/20261121T173000Z/heads/a", "a"),
            ("refs/nbkp/20261122T163000Z/heads/b", "b"),
            ("refs/nbkp/nonsense/c", "c"),
            ("refs/heads/20200101T000000Z", "d"),
        ]);
        let span = Some(Duration::from_hours(2));
        let before = at() - jiff::SignedDuration::from_hours(1);
        let old = |span, times| text(&outlived(&refs, span, times));
        assert_eq!(old(span, (Some(before), at())), ["delete refs/nbkp/20261121T173000Z/heads/a a"]);
        assert_eq!(old(None, (Some(before), at())), Vec::<String>::new());
        // A clock that is years ahead is not believed, nor one that nobody knew before.
        let ahead = at() + jiff::SignedDuration::from_hours(24 * 3_650);
        let month = Some(Duration::from_hours(24 * 30));
        assert_eq!(old(month, (Some(before), ahead)), Vec::<String>::new());
        assert_eq!(old(span, (None, at())), Vec::<String>::new());
    }

    #[test]
    fn the_longest_rule_tells_how_long() {
        let rules = |rules| span(Retention::Rules(rules));
        let days = |days: u64| Some(Duration::from_hours(24 * days));
        assert_eq!(rules(KeepRules { hourly: 48, daily: 7, ..KeepRules::default() }), days(7));
        assert_eq!(rules(KeepRules { last: 1, monthly: 2, ..KeepRules::default() }), None);
        assert_eq!(rules(KeepRules { last: 9, ..KeepRules::default() }), None);
        assert_eq!(span(Retention::All), None);
    }
}
