//! Which versions of a file there are, and which copy gives one back.

use jiff::{SignedDuration, Timestamp};

use crate::model::{CopyId, EntryKind, EntryState, HeldEntry, Standing};

/// A version, with the copies that hold it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// How it is.
    pub state: EntryState,
    /// The copies, best first; never none.
    pub copies: Vec<CopyId>,
    /// Whether the file is like that now.
    pub is_now: bool,
}

/// The versions, the one that was changed last first. `now` is the file itself, if it is there.
#[must_use]
pub fn distinct(mut held: Vec<HeldEntry>, now: Option<&EntryState>) -> Vec<Version> {
    held.sort_by(|one, other| {
        other.state.modified.cmp(&one.state.modified).then_with(|| best_first(&one.copy, &other.copy))
    });
    let mut versions: Vec<Version> = Vec::new();
    for HeldEntry { copy, state } in held {
        if let Some(version) = versions.iter_mut().find(|version| is_same(&version.state, &state)) {
            version.copies.push(copy);
        } else {
            let is_now = now.is_some_and(|now| is_same(now, &state));
            versions.push(Version { state, copies: vec![copy], is_now });
        }
    }
    for version in &mut versions {
        version.copies.sort_by(best_first);
    }
    versions
}

/// The copy that gives back what was there at a moment, or what there is of the last: the newest that holds it; of
/// those of one moment, one that lacks nothing, and one that is near. A file of a copy in doubt is taken from a copy
/// without, if one has the same version.
#[must_use]
pub fn chosen(held: Vec<HeldEntry>, at: Option<Timestamp>) -> Option<HeldEntry> {
    let is_early_enough = |held: &HeldEntry| at.is_none_or(|at| held.copy.made.is_some_and(|made| made <= at));
    let held: Vec<HeldEntry> = held.into_iter().filter(is_early_enough).collect();
    let best_of = |held: &mut dyn Iterator<Item = &HeldEntry>| {
        held.min_by(|one, other| best_first(&one.copy, &other.copy)).cloned()
    };
    let best = best_of(&mut held.iter())?;
    if best.copy.standing == Standing::Good || best.state.kind == EntryKind::Directory {
        return Some(best);
    }
    let is_as_good = |other: &&HeldEntry| other.copy.standing == Standing::Good && is_same(&other.state, &best.state);
    Some(best_of(&mut held.iter().filter(is_as_good)).unwrap_or(best))
}

/// The newest first. Copies that several syncs made of one source within a minute are of one moment.
pub(crate) fn best_first(one: &CopyId, other: &CopyId) -> std::cmp::Ordering {
    let minute = |copy: &CopyId| copy.made.map(|made| made.as_second().div_euclid(60));
    let lacks = |copy: &CopyId| copy.standing != Standing::Good;
    minute(other)
        .cmp(&minute(one))
        .then_with(|| lacks(one).cmp(&lacks(other)))
        .then_with(|| one.remoteness.cmp(&other.remoteness))
        .then_with(|| other.made.cmp(&one.made))
        .then_with(|| one.sync.cmp(&other.sync))
}

/// Whether two entries are one version. Filesystems keep times to the nanosecond, to 100 of them, to one second or to
/// two: what is kept whole to nanoseconds on both sides must be the same to the tenth of a microsecond.
#[must_use]
pub fn is_same(one: &EntryState, other: &EntryState) -> bool {
    let is_fine = |state: &EntryState| state.modified.subsec_nanosecond() != 0;
    let apart = one.modified.duration_since(other.modified).abs();
    let limit =
        if is_fine(one) && is_fine(other) { SignedDuration::from_nanos(100) } else { SignedDuration::from_secs(2) };
    let same_content = match one.kind {
        EntryKind::File => one.size == other.size,
        EntryKind::Directory | EntryKind::Special => true,
        EntryKind::Link => return other.kind == EntryKind::Link && one.target == other.target,
    };
    one.kind == other.kind && same_content && apart < limit
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Remoteness, SnapshotName};

    fn file(modified: &str, size: u64) -> EntryState {
        EntryState { kind: EntryKind::File, size, modified: modified.parse().unwrap(), target: None }
    }

    fn copy(sync: &str, made: &str, standing: Standing, remoteness: Remoteness) -> CopyId {
        let snapshot: SnapshotName = made.parse().unwrap();
        CopyId {
            sync: sync.parse().unwrap(),
            snapshot: Some(snapshot),
            made: Some(snapshot.time()),
            standing,
            remoteness,
        }
    }

    fn held(copy: CopyId, state: EntryState) -> HeldEntry {
        HeldEntry { copy, state }
    }

    #[test]
    fn equal_versions_are_one_and_the_one_in_place_is_known() {
        let old = file("2026-11-01T10:00:00.123456789Z", 3);
        // What a drive of two seconds made of it.
        let coarse = file("2026-11-01T10:00:00Z", 3);
        let new = file("2026-11-02T10:00:00.5Z", 3);
        let here = Remoteness::Here;
        let all = vec![
            held(copy("usb", "2026-11-01T12:00:00.000Z", Standing::Good, here), old.clone()),
            held(copy("stick", "2026-11-01T13:00:00.000Z", Standing::Good, here), coarse),
            held(copy("usb", "2026-11-02T12:00:00.000Z", Standing::Good, here), new.clone()),
            held(copy("usb", "2026-11-01T14:00:00.000Z", Standing::Good, here), old.clone()),
        ];
        let found = distinct(all, Some(&old));
        assert_eq!(found.iter().map(|version| version.copies.len()).collect::<Vec<_>>(), [1, 3]);
        assert_eq!(found.iter().map(|version| version.is_now).collect::<Vec<_>>(), [false, true]);
        assert_eq!(found[1].copies[0].made, Some("2026-11-01T14:00:00Z".parse().unwrap()), "the newest of them");
        assert_eq!(found[0].state, new);
        // One second later, as far as both filesystems can tell.
        assert!(!is_same(&old, &file("2026-11-01T10:00:01.123456789Z", 3)));
        assert!(!is_same(&old, &file("2026-11-01T10:00:00.123456789Z", 4)));
    }

    #[test]
    fn the_best_copy_is_the_newest_whole_and_near_one_of_its_time() {
        let state = file("2026-11-01T10:00:00Z", 3);
        let (here, server) = (Remoteness::Here, Remoteness::Server);
        let all = vec![
            held(copy("a", "2026-11-03T12:00:40.000Z", Standing::Partial, here), state.clone()),
            held(copy("b", "2026-11-03T12:00:10.000Z", Standing::Good, server), state.clone()),
            held(copy("c", "2026-11-03T12:00:05.000Z", Standing::Good, here), state.clone()),
            held(copy("d", "2026-11-02T12:00:00.000Z", Standing::Good, here), state.clone()),
        ];
        let sync = |at: Option<&str>| {
            chosen(all.clone(), at.map(|at| at.parse().unwrap())).map(|held| held.copy.sync.to_string())
        };
        assert_eq!(sync(None).as_deref(), Some("c"));
        assert_eq!(sync(Some("2026-11-03T12:00:04Z")).as_deref(), Some("d"));
        assert_eq!(sync(Some("2026-11-02T11:00:00Z")), None);
        // A file of a copy in doubt is as well had from one without; a directory of it may be another.
        let doubtful = held(copy("e", "2026-11-04T12:00:00.000Z", Standing::Suspect, here), state.clone());
        let with = |doubtful: HeldEntry| chosen(vec![doubtful, all[3].clone()], None).unwrap().copy.sync.to_string();
        assert_eq!(with(doubtful.clone()), "d");
        assert_eq!(with(HeldEntry { state: file("2026-11-04T10:00:00Z", 3), ..doubtful.clone() }), "e");
        let directory = EntryState { kind: EntryKind::Directory, ..state.clone() };
        assert_eq!(with(HeldEntry { state: directory, ..doubtful }), "e");
        let mut timeless = all[0].clone();
        timeless.copy.made = None;
        assert_eq!(chosen(vec![timeless.clone(), all[3].clone()], None), Some(all[3].clone()));
        assert_eq!(chosen(vec![timeless.clone()], None), Some(timeless.clone()));
        assert_eq!(chosen(vec![timeless], Some("2026-11-30T00:00:00Z".parse().unwrap())), None);
    }

    #[test]
    fn a_link_is_what_it_points_to() {
        let link = |target: &str, modified: &str| EntryState {
            kind: EntryKind::Link,
            size: 1,
            modified: modified.parse().unwrap(),
            target: Some(target.into()),
        };
        assert!(is_same(&link("a", "2026-11-01T10:00:00Z"), &link("a", "2026-11-09T10:00:00Z")));
        assert!(!is_same(&link("a", "2026-11-01T10:00:00Z"), &link("b", "2026-11-01T10:00:00Z")));
        assert!(!is_same(&link("a", "2026-11-01T10:00:00Z"), &file("2026-11-01T10:00:00Z", 1)));
    }
}
