//! Which files a check reads, and what follows from what was read.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use crate::model::{CheckReport, Damage, Digest, FileFacts, Fineness, Flawed, SampleShare, SnapshotName, Unread};

/// How many hundredths of all files there are.
const HUNDREDTHS: u64 = 100;

/// Whether a file is in the sample that begins at `turn`: each file is in one hundredth of all, by its path, and the
/// samples go round.
#[must_use]
pub fn is_in_sample(path: &Path, share: SampleShare, turn: u8) -> bool {
    // FNV-1a, with its high bits mixed in: it spreads paths evenly, and is the same for ever.
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in path.as_os_str().as_bytes() {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let hundredth = (hash ^ (hash >> 32)) % HUNDREDTHS;
    let behind = (hundredth + HUNDREDTHS - u64::from(turn) % HUNDREDTHS) % HUNDREDTHS;
    behind < u64::from(share.as_percent())
}

/// Where the next sample begins.
#[must_use]
pub fn next_turn(share: SampleShare, turn: u8) -> u8 {
    let next = (u64::from(turn) + u64::from(share.as_percent())) % HUNDREDTHS;
    u8::try_from(next).unwrap_or_default()
}

/// Whether a file passes for unchanged beside another: then both must have the same content. Who tells no fractions of
/// seconds is taken at its word.
#[must_use]
pub fn passes_for_unchanged(one: &FileFacts, other: &FileFacts, times: Fineness) -> bool {
    if one.size != other.size {
        return false;
    }
    let has_fraction = |facts: &FileFacts| facts.modified.subsec_nanosecond() != 0;
    let apart = one.modified.duration_since(other.modified).unsigned_abs();
    let same_second = one.modified.as_second() == other.modified.as_second();
    match times {
        Fineness::Nanoseconds if has_fraction(one) && has_fraction(other) => apart.is_zero(),
        Fineness::Nanoseconds | Fineness::Seconds => same_second,
        Fineness::TwoSeconds => apart <= Duration::from_secs(2),
    }
}

/// Who holds a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileHolder {
    /// The source.
    Source,
    /// A copy: the snapshot, or the mirror.
    Copy(Option<SnapshotName>),
}

/// What a file with one name, size and time turned out to be: what each holder gave back. Holders that share one file
/// are heard once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileVerdict {
    /// What is wrong with the file of which copy.
    pub flawed: BTreeMap<Option<SnapshotName>, Flawed>,
    /// Whether the source is alone against copies that agree.
    pub source_doubted: bool,
}

/// Judges what was read. Where contents differ, the source is right; unless at least two files of copies agree against
/// it, or one of them, of a source that is in doubt already. Without a source most copies are right, and where there is
/// no most, none is.
#[must_use]
pub fn verdict(heard: &BTreeMap<FileHolder, Result<Digest, Unread>>, is_in_doubt: bool) -> FileVerdict {
    let mut found = FileVerdict::default();
    let mut contents: BTreeMap<Digest, Vec<Option<SnapshotName>>> = BTreeMap::new();
    let mut source = None;
    for (holder, said) in heard {
        match (holder, said) {
            (FileHolder::Source, Ok(digest)) => source = Some(*digest),
            // It is no copy that is damaged there: a run tells of what it cannot read.
            (FileHolder::Source, Err(_)) | (FileHolder::Copy(_), Err(Unread::Forbidden | Unread::Gone)) => {}
            (FileHolder::Copy(copy), Ok(digest)) => contents.entry(*digest).or_default().push(*copy),
            (FileHolder::Copy(copy), Err(Unread::Broken(why))) => {
                found.flawed.insert(*copy, Flawed::Broken(why.clone()));
            }
        }
    }
    let most = contents.values().map(Vec::len).max().unwrap_or(0);
    let mut foremost = contents.iter().filter(|(_, copies)| copies.len() == most).map(|(digest, _)| *digest);
    let foremost = foremost.next().filter(|_| foremost.next().is_none());
    let is_alone = source.is_some_and(|digest| !contents.contains_key(&digest));
    let enough = if is_in_doubt { 1 } else { 2 };
    found.source_doubted = is_alone && most >= enough && foremost.is_some();
    let right = source.filter(|_| !found.source_doubted).or(foremost);
    let wrong = contents.iter().filter(|(digest, _)| right != Some(**digest));
    found.flawed.extend(wrong.flat_map(|(_, copies)| copies).map(|copy| (*copy, Flawed::Altered)));
    found
}

/// What is known to be damaged after a check, from what was known before. A file is in order again once it was compared
/// with another and is the same, and a snapshot once all of it was: what was only read proves nothing, and a sample
/// only adds. What the newest copy has in order needs nobody to write it anew. A source is in doubt until the same file
/// is not.
#[must_use]
pub fn known_damage(before: Damage, report: &CheckReport, share: SampleShare) -> Damage {
    let Damage { mut paths, mut snapshots, mut doubted } = before;
    doubted.retain(|path| !report.settled.contains(path));
    doubted.extend(report.doubtful.iter().cloned());
    if share == SampleShare::ALL {
        if report.snapshot == report.newest {
            paths.retain(|path| !report.sound.contains(path));
        }
        if let Some(read) = report.snapshot.filter(|_| report.is_proof()) {
            snapshots.remove(&read);
        }
    }
    for file in &report.damaged {
        if report.newest.is_none_or(|newest| file.snapshots.contains(&newest)) {
            paths.insert(file.path.clone());
        }
        snapshots.extend(file.snapshots.iter().copied());
    }
    Damage { paths, snapshots, doubted }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::model::DamagedFile;

    fn day(day: u8) -> FileHolder {
        FileHolder::Copy(Some(format!("2026-11-{day:02}T00:00:00.000Z").parse().unwrap()))
    }

    fn judged(heard: &[(FileHolder, Result<u8, Unread>)]) -> (Vec<FileHolder>, bool) {
        let heard = heard.iter().map(|(holder, said)| (*holder, said.clone().map(|byte| Digest([byte; 32]))));
        let found = verdict(&heard.collect(), false);
        (found.flawed.into_keys().map(FileHolder::Copy).collect(), found.source_doubted)
    }

    #[test]
    fn the_source_is_right_unless_copies_agree_against_it() {
        let (mirror, source) = (FileHolder::Copy(None), FileHolder::Source);
        let broken = || Err(Unread::Broken("EIO".into()));
        assert_eq!(judged(&[(source, Ok(1)), (mirror, Ok(1))]), (vec![], false));
        assert_eq!(judged(&[(source, Ok(1)), (mirror, Ok(2))]), (vec![mirror], false));
        assert_eq!(judged(&[(source, Ok(1)), (day(1), Ok(2)), (day(2), Ok(1))]), (vec![day(1)], false));
        assert_eq!(judged(&[(source, Ok(1)), (day(1), Ok(2)), (day(2), Ok(2))]), (vec![], true));
        assert_eq!(judged(&[(source, Ok(1)), (day(1), Ok(2)), (day(2), Ok(3))]), (vec![day(1), day(2)], false));
        let three = [(source, Ok(1)), (day(1), Ok(2)), (day(2), Ok(2)), (day(3), Ok(3))];
        assert_eq!(judged(&three), (vec![day(3)], true));
        assert_eq!(judged(&[(source, Ok(1)), (mirror, broken())]), (vec![mirror], false));
        assert_eq!(judged(&[(source, broken()), (mirror, Ok(1))]), (vec![], false));
        assert_eq!(judged(&[(source, Ok(1)), (mirror, Err(Unread::Forbidden))]), (vec![], false));
    }

    #[test]
    fn without_a_source_most_copies_are_right() {
        assert_eq!(judged(&[(day(1), Ok(1))]), (vec![], false));
        assert_eq!(judged(&[(day(1), Ok(1)), (day(2), Ok(2))]), (vec![day(1), day(2)], false));
        assert_eq!(judged(&[(day(1), Ok(1)), (day(2), Ok(2)), (day(3), Ok(1))]), (vec![day(2)], false));
    }

    #[test]
    fn one_copy_is_enough_against_a_source_that_is_in_doubt() {
        let heard = |of_source: u8| -> BTreeMap<_, _> {
            [(FileHolder::Source, of_source), (FileHolder::Copy(None), 2)]
                .map(|(holder, byte)| (holder, Ok(Digest([byte; 32]))))
                .into()
        };
        let damaged = |is_in_doubt| !verdict(&heard(1), is_in_doubt).flawed.is_empty();
        assert!(damaged(false) && !damaged(true), "the good copy would be written over");
        assert!(verdict(&heard(1), true).source_doubted && !verdict(&heard(2), true).source_doubted);
    }

    #[test]
    fn size_and_time_tell_what_passes_for_unchanged() {
        let facts = |size, time: &str| FileFacts {
            size,
            modified: time.parse().unwrap(),
            changed: 0,
            inode: (0, u64::from(size == 0)),
        };
        let at = |time: &str| facts(7, time);
        let same = |one: &str, other: &str, times| passes_for_unchanged(&at(one), &at(other), times);
        let (fine, coarse, fat) = (Fineness::Nanoseconds, Fineness::Seconds, Fineness::TwoSeconds);
        assert!(same("2026-11-22T10:00:00.5Z", "2026-11-22T10:00:00.5Z", fine));
        assert!(!same("2026-11-22T10:00:00.5Z", "2026-11-22T10:00:00.6Z", fine));
        assert!(same("2026-11-22T10:00:00.5Z", "2026-11-22T10:00:00Z", fine), "a server without fractions");
        assert!(same("2026-11-22T10:00:00.5Z", "2026-11-22T10:00:00.6Z", coarse));
        assert!(!same("2026-11-22T10:00:00Z", "2026-11-22T10:00:01Z", coarse));
        assert!(same("2026-11-22T10:00:00Z", "2026-11-22T10:00:02Z", fat));
        assert!(!passes_for_unchanged(&facts(1, "2026-11-22T10:00:00Z"), &at("2026-11-22T10:00:00Z"), fat));
    }

    proptest! {
        #[test]
        fn samples_that_go_round_read_every_file(path in "[a-z/]{1,20}", percent in 1..=100_u8, turn in 0..100_u8) {
            let share = SampleShare::percent(percent).unwrap();
            let (mut turn, mut read) = (turn, 0);
            for _ in 0..100_u32.div_ceil(percent.into()) {
                read += u32::from(is_in_sample(Path::new(&path), share, turn));
                turn = next_turn(share, turn);
            }
            prop_assert!((1..=2).contains(&read), "{read}");
        }
    }

    #[test]
    fn who_read_all_of_a_copy_knows_better() {
        let name = |day: u8| format!("2026-11-{day:02}T00:00:00.000Z").parse::<SnapshotName>().unwrap();
        let file = |path: &str, days: &[u8]| DamagedFile {
            path: path.into(),
            flaw: Flawed::Altered,
            snapshots: days.iter().copied().map(name).collect(),
        };
        let report = |snapshot, damaged| CheckReport {
            sync: "documents".parse().unwrap(),
            snapshot,
            newest: snapshot.map(|_| name(2)),
            files: 1,
            bytes: 1,
            with_source: 1,
            with_copies: 0,
            passed_over: 0,
            sound: BTreeSet::new(),
            damaged,
            doubtful: vec![],
            settled: BTreeSet::new(),
            remarks: vec![],
        };
        let some = SampleShare::percent(5).unwrap();
        let first = report(Some(name(2)), vec![file("a", &[1, 2])]);
        let known = known_damage(Damage::default(), &first, some);
        assert_eq!((known.paths.len(), known.snapshots.len()), (1, 2));
        let sound = CheckReport { sound: ["a".into()].into(), ..report(Some(name(2)), vec![]) };
        assert_eq!(known_damage(known.clone(), &sound, some), known, "a sample takes nothing back");
        let unread = CheckReport { passed_over: 1, ..sound.clone() };
        assert_eq!(known_damage(known.clone(), &unread, SampleShare::ALL).snapshots.len(), 2, "nor who read not all");
        // The source was out of reach: all was read, and nothing compared.
        let alone = CheckReport { with_source: 0, ..report(Some(name(2)), vec![]) };
        assert_eq!(known_damage(known.clone(), &alone, SampleShare::ALL), known);
        let after = known_damage(known, &sound, SampleShare::ALL);
        assert_eq!((after.paths.len(), after.snapshots.clone()), (0, [name(1)].into()));
        let old = known_damage(Damage::default(), &report(Some(name(1)), vec![file("a", &[1])]), some);
        assert_eq!((old.paths.len(), old.snapshots.len()), (0, 1), "the newest is in order");
        let mirror = known_damage(Damage::default(), &report(None, vec![file("a", &[])]), some);
        let alone = CheckReport { with_source: 0, ..report(None, vec![]) };
        assert_eq!(known_damage(mirror.clone(), &alone, SampleShare::ALL), mirror);
        let sound = CheckReport { sound: ["a".into()].into(), ..report(None, vec![]) };
        assert_eq!(known_damage(mirror, &sound, SampleShare::ALL), Damage::default());
    }

    #[test]
    fn a_source_is_in_doubt_until_the_same_file_is_not() {
        let report = |doubtful: &[&str], settled: &[&str]| CheckReport {
            sync: "documents".parse().unwrap(),
            snapshot: None,
            newest: None,
            files: 9,
            bytes: 9,
            with_source: 9,
            with_copies: 0,
            passed_over: 0,
            sound: BTreeSet::new(),
            damaged: vec![],
            doubtful: doubtful.iter().map(Into::into).collect(),
            settled: settled.iter().map(Into::into).collect(),
            remarks: vec![],
        };
        let some = SampleShare::percent(5).unwrap();
        let doubted = |known: &Damage| known.doubted.iter().map(|path| path.display().to_string()).collect::<Vec<_>>();
        let known = known_damage(Damage::default(), &report(&["a", "b"], &[]), some);
        let known = known_damage(known, &report(&["c"], &[]), SampleShare::ALL);
        assert_eq!(doubted(&known), ["a", "b", "c"], "who read others knows nothing of these");
        let known = known_damage(known, &report(&["b"], &["a", "b"]), some);
        assert_eq!(doubted(&known), ["b", "c"]);
        assert_eq!(known_damage(known, &report(&[], &["b", "c"]), some), Damage::default());
    }

    #[test]
    fn a_sample_is_about_as_large_as_it_says() {
        let share = SampleShare::percent(5).unwrap();
        let sampled = (0..20_000).filter(|n| is_in_sample(Path::new(&format!("some/path/{n}.txt")), share, 95)).count();
        assert!((700..1_300).contains(&sampled), "{sampled}");
    }
}
