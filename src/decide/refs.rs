//! What becomes of the refs of a mirror when its repository has others now: nothing that was there once is let go at
//! once (gitglossary(7), git-update-ref(1)).

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::strtime;

use crate::model::{KeepRules, Refs, Retention};

/// Below this lies what was fetched and is not taken over yet.
pub const INCOMING: &str = "refs/nbkp-incoming/";
/// Below this and a time lies what was there until then.
pub const KEPT: &str = "refs/nbkp/";

const TIME: &str = "%Y%m%dT%H%M%SZ";

/// How the refs of a mirror are changed: each part at one stroke, one after the other, so that one that is killed in
/// between has lost nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RefChanges {
    /// What was deleted or rewritten is kept, and what is gone goes.
    pub first: Vec<String>,
    /// What is new or has moved on is taken over from where it came to first.
    pub then: Vec<String>,
    /// How many refs were deleted or rewritten.
    pub kept: usize,
}

/// The refs that a repository has, of those of a mirror: without what is ours.
fn own(refs: &Refs) -> impl Iterator<Item = (&str, &str)> {
    let is_own = |name: &str| !name.starts_with(INCOMING) && !name.starts_with(KEPT);
    refs.iter().map(|(name, object)| (name.as_str(), object.as_str())).filter(move |(name, _)| is_own(name))
}

/// What a repository has now, by the names that it has there.
fn incoming(refs: &Refs) -> Refs {
    let found = refs.iter().filter_map(|(name, object)| Some((name.strip_prefix(INCOMING)?, object)));
    found.map(|(name, object)| (format!("refs/{name}"), object.clone())).collect()
}

/// The refs of a mirror that lead elsewhere in its repository: before and now. Whether one only moved on is to be
/// asked.
#[must_use]
pub fn moved(refs: &Refs) -> Vec<(String, String)> {
    let now = incoming(refs);
    let moved = own(refs).filter_map(|(name, before)| {
        let after = now.get(name).filter(|after| *after != before)?;
        Some((before.to_owned(), after.clone()))
    });
    moved.collect::<BTreeSet<_>>().into_iter().collect()
}

/// What is told to `git update-ref --stdin`. `onward` are the pairs of [`moved`] of which the second holds all of the
/// first.
#[must_use]
pub fn changes(refs: &Refs, onward: &BTreeSet<(String, String)>, at: Timestamp) -> RefChanges {
    let now = incoming(refs);
    let when = strtime::format(TIME, at).unwrap_or_default();
    let mut changes = RefChanges::default();
    for (name, before) in own(refs) {
        let after = now.get(name);
        let is_safe = |after: &String| after == before || onward.contains(&(before.to_owned(), after.clone()));
        if !after.is_some_and(is_safe) {
            let bare = name.strip_prefix("refs/").unwrap_or(name);
            changes.first.push(format!("create {KEPT}{when}/{bare} {before}"));
            changes.kept = changes.kept.saturating_add(1);
        }
        match after {
            None => changes.first.push(format!("delete {name} {before}")),
            Some(after) if after != before => changes.then.push(format!("update {name} {after} {before}")),
            Some(_) => {}
        }
    }
    let known: BTreeSet<&str> = own(refs).map(|(name, _)| name).collect();
    let new = now.iter().filter(|(name, _)| !known.contains(name.as_str()));
    changes.then.extend(new.map(|(name, after)| format!("create {name} {after}")));
    let taken_over = refs.iter().filter(|(name, _)| name.starts_with(INCOMING));
    changes.then.extend(taken_over.map(|(name, object)| format!("delete {name} {object}")));
    changes
}

/// The refs that were kept for longer than this.
#[must_use]
pub fn outlived(refs: &Refs, kept_for: Option<Duration>, now: Timestamp) -> Vec<String> {
    let Some(oldest) = kept_for.and_then(|span| now.checked_sub(span).ok()) else { return Vec::new() };
    let is_old = |name: &str| {
        let time = name.strip_prefix(KEPT)?.split('/').next()?;
        let time = strtime::parse("%Y%m%dT%H%M%S%z", time.replace('Z', "+0000")).ok()?.to_timestamp().ok()?;
        Some(time < oldest)
    };
    let old = refs.iter().filter(|(name, _)| is_old(name) == Some(true));
    old.map(|(name, object)| format!("delete {name} {object}")).collect()
}

/// How far back the snapshots of such a rule reach, if that can be told.
#[must_use]
pub fn span(keep: Retention) -> Option<Duration> {
    const HOUR: Duration = Duration::from_hours(1);
    const DAY: Duration = Duration::from_hours(24);
    let Retention::Rules(KeepRules { last: _, hourly, daily, weekly, monthly, yearly }) = keep else { return None };
    let spans = [(hourly, HOUR), (daily, DAY), (weekly, DAY * 7), (monthly, DAY * 31), (yearly, DAY * 366)];
    let longest = spans.into_iter().map(|(count, period)| period.saturating_mul(count)).max();
    // Of a number of snapshots nobody knows how long they take to be made.
    longest.filter(|longest| !longest.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refs(pairs: &[(&str, &str)]) -> Refs {
        pairs.iter().map(|(name, object)| ((*name).to_owned(), (*object).to_owned())).collect()
    }

    fn at() -> Timestamp {
        "2026-11-22T17:30:00.5Z".parse().unwrap()
    }

    #[test]
    fn what_is_deleted_or_rewritten_is_kept_and_what_moves_on_is_not() {
        let refs = refs(&[
            ("refs/heads/main", "a1"),
            ("refs/heads/gone", "b1"),
            ("refs/heads/rewritten", "c1"),
            ("refs/tags/same", "d1"),
            ("refs/nbkp/20260101T000000Z/heads/old", "e1"),
            ("refs/nbkp-incoming/heads/main", "a2"),
            ("refs/nbkp-incoming/heads/rewritten", "c2"),
            ("refs/nbkp-incoming/heads/new", "f1"),
            ("refs/nbkp-incoming/tags/same", "d1"),
        ]);
        let pair = |before: &str, after: &str| (before.to_owned(), after.to_owned());
        assert_eq!(moved(&refs), [pair("a1", "a2"), pair("c1", "c2")]);
        let changes = changes(&refs, &[pair("a1", "a2")].into(), at());
        assert_eq!(
            changes.first,
            [
                "create refs/nbkp/20261122T173000Z/heads/gone b1",
                "delete refs/heads/gone b1",
                "create refs/nbkp/20261122T173000Z/heads/rewritten c1",
            ]
        );
        assert_eq!(
            changes.then,
            [
                "update refs/heads/main a2 a1",
                "update refs/heads/rewritten c2 c1",
                "create refs/heads/new f1",
                "delete refs/nbkp-incoming/heads/main a2",
                "delete refs/nbkp-incoming/heads/new f1",
                "delete refs/nbkp-incoming/heads/rewritten c2",
                "delete refs/nbkp-incoming/tags/same d1",
            ]
        );
        assert_eq!(changes.kept, 2);
    }

    #[test]
    fn what_was_kept_goes_when_its_time_is_over() {
        let refs = refs(&[
            ("refs/nbkp/20261121T173000Z/heads/a", "a"),
            ("refs/nbkp/20261122T163000Z/heads/b", "b"),
            ("refs/nbkp/nonsense/c", "c"),
            ("refs/heads/20200101T000000Z", "d"),
        ]);
        let old = outlived(&refs, Some(Duration::from_hours(2)), at());
        assert_eq!(old, ["delete refs/nbkp/20261121T173000Z/heads/a a"]);
        assert_eq!(outlived(&refs, None, at()), Vec::<String>::new());
    }

    #[test]
    fn the_longest_rule_tells_how_long() {
        let rules = |rules| span(Retention::Rules(rules));
        let days = |days: u64| Some(Duration::from_hours(24 * days));
        assert_eq!(rules(KeepRules { hourly: 48, daily: 7, ..KeepRules::default() }), days(7));
        assert_eq!(rules(KeepRules { last: 1, monthly: 2, ..KeepRules::default() }), days(62));
        assert_eq!(rules(KeepRules { last: 9, ..KeepRules::default() }), None);
        assert_eq!(span(Retention::All), None);
    }
}
