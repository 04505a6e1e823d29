//! The ledger as JSON, with a version from the first day.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::formats::path_entry::{PathEntry, entries, paths};
use crate::formats::rounds::RoundsEntry;
use crate::formats::unfinished::RestoreEntry;
use crate::formats::writer::{self, WriterLine};
use crate::model::{
    Damage, DriveUuid, End, Hardware, HoldReason, Ledger, PathSet, Pause, Places, SentinelId, SnapshotName,
    StandingHold, SyncName, VolumeName,
};

/// The version that is written, and the newest that is read.
const VERSION: u32 = 1;

/// Why bytes are not a ledger.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// They are not JSON, or not of the shape of a ledger.
    #[error("the ledger is damaged")]
    Damaged(#[from] serde_json::Error),
    /// A later version of the program wrote them.
    #[error("the ledger is of version {0}, which a later version of the program wrote")]
    Newer(u32),
    /// A name or a time in it cannot be one.
    #[error("the ledger holds {0:?}, which is {1}")]
    Entry(String, &'static str),
}

#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

/// Unknown keys are ignored: what a later program of the same version added is not needed to read the rest.
#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct File {
    version: u32,
    hardware: BTreeMap<String, BTreeSet<String>>,
    containers: BTreeMap<String, String>,
    volume_ids: BTreeMap<String, String>,
    end_ids: Vec<EndId>,
    /// All of them, so that an earlier program keeps hands off, too.
    holds: BTreeSet<String>,
    /// When those of them end that end by themselves.
    holds_until: BTreeMap<String, String>,
    held: BTreeMap<String, HeldEntry>,
    approved_deletions: BTreeMap<String, PathSetEntry>,
    approved_cut_downs: BTreeMap<String, PathSetEntry>,
    writers: BTreeMap<String, BTreeSet<String>>,
    submounts: BTreeMap<String, BTreeSet<PathEntry>>,
    copied: BTreeMap<String, String>,
    known: BTreeMap<String, KnownEntry>,
    /// Beside `copied`, which tells of a server its directory alone.
    servers: Vec<ServerEntry>,
    damaged: BTreeMap<String, DamageEntry>,
    turns: BTreeMap<String, u8>,
    rounds: BTreeMap<String, RoundsEntry>,
    restores: Vec<RestoreEntry>,
    pause: Option<PauseEntry>,
}

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct DamageEntry {
    paths: BTreeSet<PathEntry>,
    snapshots: BTreeSet<String>,
    doubted: BTreeSet<PathEntry>,
}

#[derive(Serialize, Deserialize)]
struct KnownEntry {
    since: String,
    roots: String,
}

#[derive(Serialize, Deserialize)]
struct HeldEntry {
    since: String,
    looked: String,
    #[serde(flatten)]
    reason: ReasonEntry,
}

/// What a guard saw.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ReasonEntry {
    Deletions { paths: PathSetEntry, before: u64, allowed_percent: u8, against: Option<String> },
    CutDown { paths: PathSetEntry, of: u64, allowed_percent: u8, against: Option<String> },
    SourceIncomplete { missing: BTreeSet<PathEntry> },
    ForeignWriter { writer: String, here: String },
}

impl ReasonEntry {
    fn reason(self) -> Result<HoldReason, LedgerError> {
        Ok(match self {
            Self::Deletions { paths, before, allowed_percent, against } => {
                HoldReason::Deletions { paths: paths.set()?, before, allowed_percent, against: snapshot(against)? }
            }
            Self::CutDown { paths, of, allowed_percent, against } => {
                HoldReason::CutDown { paths: paths.set()?, of, allowed_percent, against: snapshot(against)? }
            }
            Self::SourceIncomplete { missing } => HoldReason::SourceIncomplete { missing: paths(missing) },
            Self::ForeignWriter { writer, here } => match writer::named(writer.as_bytes()) {
                Some(writer) => HoldReason::ForeignWriter { writer, here },
                None => return Err(LedgerError::Entry(writer, "no writer")),
            },
        })
    }
}

impl From<HoldReason> for ReasonEntry {
    fn from(reason: HoldReason) -> Self {
        match reason {
            HoldReason::Deletions { paths, before, allowed_percent, against } => {
                let against = against.map(|name| name.to_string());
                Self::Deletions { paths: (&paths).into(), before, allowed_percent, against }
            }
            HoldReason::CutDown { paths, of, allowed_percent, against } => {
                let against = against.map(|name| name.to_string());
                Self::CutDown { paths: (&paths).into(), of, allowed_percent, against }
            }
            HoldReason::ForeignWriter { writer, here } => {
                Self::ForeignWriter { writer: WriterLine(&writer).to_string(), here }
            }
            HoldReason::SourceIncomplete { missing } => Self::SourceIncomplete { missing: entries(&missing) },
        }
    }
}

fn snapshot(name: Option<String>) -> Result<Option<SnapshotName>, LedgerError> {
    name.map(|name| read(&name, "no name of a snapshot")).transpose()
}

/// A set of paths: 16 hexadecimal digits for each, if they are not too many.
#[derive(Serialize, Deserialize)]
struct PathSetEntry {
    count: u64,
    sum: String,
    each: String,
}

impl PathSetEntry {
    fn set(&self) -> Result<PathSet, LedgerError> {
        let number = |text: &str| {
            u64::from_str_radix(text, 16).map_err(|_| LedgerError::Entry(text.to_owned(), "no number of a path"))
        };
        let (each, rest) = self.each.as_bytes().as_chunks::<16>();
        if !rest.is_empty() {
            return Err(LedgerError::Entry(String::from_utf8_lossy(rest).into_owned(), "no number of a path"));
        }
        let each = each.iter().map(|digits| number(&String::from_utf8_lossy(digits)));
        Ok(PathSet::kept(self.count, number(&self.sum)?, each.collect::<Result<_, _>>()?))
    }
}

impl From<&PathSet> for PathSetEntry {
    fn from(set: &PathSet) -> Self {
        let hex = |number: u64| format!("{number:016x}");
        Self { count: set.count(), sum: hex(set.sum()), each: set.each().iter().copied().map(hex).collect() }
    }
}

#[derive(Serialize, Deserialize)]
struct EndId {
    sync: String,
    end: EndEntry,
    id: String,
}

#[derive(Serialize, Deserialize)]
struct ServerEntry {
    sync: String,
    end: EndEntry,
    known_by: BTreeSet<String>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum EndEntry {
    Source,
    Destination,
}

#[derive(Serialize, Deserialize)]
struct PauseEntry {
    /// Absent: until a person resumes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<String>,
}

impl From<EndEntry> for End {
    fn from(entry: EndEntry) -> Self {
        match entry {
            EndEntry::Source => Self::Source,
            EndEntry::Destination => Self::Destination,
        }
    }
}

impl From<End> for EndEntry {
    fn from(end: End) -> Self {
        match end {
            End::Source => Self::Source,
            End::Destination => Self::Destination,
        }
    }
}

/// Reads a ledger.
pub fn from_bytes(bytes: &[u8]) -> Result<Ledger, LedgerError> {
    // The version first: a later one may have another shape.
    let Versioned { version } = serde_json::from_slice(bytes)?;
    if version > VERSION {
        return Err(LedgerError::Newer(version));
    }
    let file: File = serde_json::from_slice(bytes)?;
    let mut ledger = Ledger::default();
    for (name, hardware) in file.hardware {
        ledger.hardware.insert(volume(&name)?, hardware.into_iter().map(Hardware).collect());
    }
    let pairs = file.containers.iter().map(|(filesystem, container)| Ok((drive(filesystem)?, drive(container)?)));
    ledger.containers = Arc::new(pairs.collect::<Result<_, LedgerError>>()?);
    for (name, id) in file.volume_ids {
        ledger.volume_ids.insert(volume(&name)?, SentinelId(id));
    }
    for entry in file.end_ids {
        ledger.end_ids.insert((sync(&entry.sync)?, entry.end.into()), SentinelId(entry.id));
    }
    for name in file.holds {
        let until = file.holds_until.get(&name).map(|time| read::<Timestamp>(time, "no time")).transpose()?;
        ledger.holds.insert(volume(&name)?, until.map_or(Pause::UntilResumed, Pause::Until));
    }
    for (name, HeldEntry { since, looked, reason }) in file.held {
        let time = |text: &str| read::<Timestamp>(text, "no time");
        let hold = StandingHold { reason: reason.reason()?, since: time(&since)?, looked: time(&looked)? };
        ledger.held.insert(sync(&name)?, hold);
    }
    for (name, paths) in file.approved_deletions {
        ledger.approvals.insert(sync(&name)?, paths.set()?);
    }
    for (name, paths) in file.approved_cut_downs {
        ledger.approved_cuts.insert(sync(&name)?, paths.set()?);
    }
    for (name, known) in file.writers {
        ledger.writers.insert(sync(&name)?, known);
    }
    for (name, found) in file.submounts {
        ledger.submounts.insert(sync(&name)?, paths(found));
    }
    for (name, roots) in file.copied {
        ledger.copied.insert(sync(&name)?, Places { roots, servers: BTreeMap::new() });
    }
    for (name, KnownEntry { since, roots }) in file.known {
        ledger.known.insert(sync(&name)?, (read::<Timestamp>(&since, "no time")?, roots));
    }
    for (name, found) in file.damaged {
        let name_of = |name: &String| read(name, "no name of a snapshot");
        let snapshots = found.snapshots.iter().map(name_of).collect::<Result<_, _>>()?;
        let damage = Damage { paths: paths(found.paths), snapshots, doubted: paths(found.doubted) };
        ledger.damaged.insert(sync(&name)?, damage);
    }
    for (name, turn) in file.turns {
        ledger.turns.insert(sync(&name)?, turn);
    }
    for (name, rounds) in file.rounds {
        let read = rounds.read().ok_or_else(|| LedgerError::Entry(name.clone(), "no times of checks"))?;
        ledger.rounds.insert(sync(&name)?, read);
    }
    for entry in file.servers {
        if let Some(places) = ledger.copied.get_mut(&sync(&entry.sync)?) {
            places.servers.insert(entry.end.into(), entry.known_by);
        }
    }
    let restores: Option<_> = file.restores.into_iter().map(RestoreEntry::read).collect();
    ledger.restores = restores.ok_or(LedgerError::Entry("restores".into(), "no restores of syncs"))?;
    ledger.pause = match file.pause {
        None => None,
        Some(PauseEntry { until: None }) => Some(Pause::UntilResumed),
        Some(PauseEntry { until: Some(time) }) => Some(Pause::Until(read::<Timestamp>(&time, "no time")?)),
    };
    Ok(ledger)
}

fn read<T: FromStr>(text: &str, otherwise: &'static str) -> Result<T, LedgerError> {
    text.parse().map_err(|_| LedgerError::Entry(text.to_owned(), otherwise))
}

fn volume(name: &str) -> Result<VolumeName, LedgerError> {
    read(name, "no name of a volume")
}

fn drive(uuid: &str) -> Result<DriveUuid, LedgerError> {
    read(uuid, "no UUID of a drive")
}

fn sync(name: &str) -> Result<SyncName, LedgerError> {
    read(name, "no name of a sync")
}

fn sets(approved: &BTreeMap<SyncName, PathSet>) -> BTreeMap<String, PathSetEntry> {
    approved.iter().map(|(name, paths)| (name.to_string(), paths.into())).collect()
}

fn held(hold: &StandingHold) -> HeldEntry {
    let StandingHold { reason, since, looked } = hold.clone();
    HeldEntry { since: since.to_string(), looked: looked.to_string(), reason: reason.into() }
}

fn servers(name: &SyncName, places: &Places) -> impl Iterator<Item = ServerEntry> {
    places.servers.iter().map(|(end, known_by)| ServerEntry {
        sync: name.to_string(),
        end: (*end).into(),
        known_by: known_by.clone(),
    })
}

/// Writes a ledger, with a line end.
#[must_use]
pub fn to_bytes(ledger: &Ledger) -> Vec<u8> {
    let file = File {
        version: VERSION,
        hardware: (ledger.hardware.iter())
            .map(|(name, hardware)| (name.to_string(), hardware.iter().map(ToString::to_string).collect()))
            .collect(),
        containers: (ledger.containers.iter())
            .map(|(filesystem, container)| (filesystem.to_string(), container.to_string()))
            .collect(),
        volume_ids: ledger.volume_ids.iter().map(|(name, id)| (name.to_string(), id.0.clone())).collect(),
        end_ids: (ledger.end_ids.iter())
            .map(|((sync, end), id)| EndId { sync: sync.to_string(), end: (*end).into(), id: id.0.clone() })
            .collect(),
        holds: ledger.holds.keys().map(ToString::to_string).collect(),
        holds_until: (ledger.holds.iter())
            .filter_map(|(name, hold)| Some((name.to_string(), hold.until()?.to_string())))
            .collect(),
        held: ledger.held.iter().map(|(name, hold)| (name.to_string(), held(hold))).collect(),
        approved_deletions: sets(&ledger.approvals),
        approved_cut_downs: sets(&ledger.approved_cuts),
        writers: ledger.writers.iter().map(|(name, known)| (name.to_string(), known.clone())).collect(),
        submounts: ledger.submounts.iter().map(|(name, found)| (name.to_string(), entries(found))).collect(),
        copied: ledger.copied.iter().map(|(name, places)| (name.to_string(), places.roots.clone())).collect(),
        known: (ledger.known.iter())
            .map(|(name, (since, roots))| {
                (name.to_string(), KnownEntry { since: since.to_string(), roots: roots.clone() })
            })
            .collect(),
        servers: ledger.copied.iter().flat_map(|(name, places)| servers(name, places)).collect(),
        damaged: (ledger.damaged.iter())
            .map(|(name, damage)| {
                let snapshots = damage.snapshots.iter().map(ToString::to_string).collect();
                let (paths, doubted) = (entries(&damage.paths), entries(&damage.doubted));
                (name.to_string(), DamageEntry { paths, snapshots, doubted })
            })
            .collect(),
        turns: ledger.turns.iter().map(|(name, turn)| (name.to_string(), *turn)).collect(),
        rounds: ledger.rounds.iter().map(|(name, rounds)| (name.to_string(), rounds.into())).collect(),
        restores: ledger.restores.iter().map(|(key, restore)| RestoreEntry::written(key, restore)).collect(),
        pause: ledger.pause.map(|pause| match pause {
            Pause::Until(time) => PauseEntry { until: Some(time.to_string()) },
            Pause::UntilResumed => PauseEntry { until: None },
        }),
    };
    // Texts, numbers and lists only: there is nothing in it that JSON could not hold.
    let mut bytes = serde_json::to_vec_pretty(&file).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt as _;
    use std::path::PathBuf;

    use crate::model::{CheckRound, CheckRounds, CheckSums, RestoreKey, UnfinishedRestore, Writer};

    use super::*;

    fn full() -> Ledger {
        let hardware = BTreeSet::from([Hardware("WD-1 0x5000".to_owned()), Hardware("x\ny".to_owned())]);
        let usb: VolumeName = "usb".parse().unwrap();
        let documents: SyncName = "documents@usb".parse().unwrap();
        Ledger {
            hardware: BTreeMap::from([(usb.clone(), hardware)]),
            containers: Arc::new(BTreeMap::from([("5e3f-1a2b".parse().unwrap(), "2d577679-a7b6".parse().unwrap())])),
            volume_ids: BTreeMap::from([(usb.clone(), SentinelId("1".to_owned()))]),
            end_ids: BTreeMap::from([
                ((documents.clone(), End::Source), SentinelId("2".to_owned())),
                ((documents.clone(), End::Destination), SentinelId("3".to_owned())),
            ]),
            holds: BTreeMap::from([
                (usb, Pause::UntilResumed),
                ("red".parse().unwrap(), Pause::Until("2026-11-22T17:30:00.5Z".parse().unwrap())),
            ]),
            held: BTreeMap::from([(
                documents.clone(),
                StandingHold {
                    reason: HoldReason::Deletions {
                        paths: some_paths(),
                        before: 100,
                        allowed_percent: 25,
                        against: None,
                    },
                    since: "2026-11-22T17:30:00Z".parse().unwrap(),
                    looked: "2026-11-22T18:30:00.5Z".parse().unwrap(),
                },
            )]),
            approvals: BTreeMap::from([(documents.clone(), some_paths())]),
            approved_cuts: BTreeMap::from([(documents.clone(), PathSet::default())]),
            writers: BTreeMap::from([(documents.clone(), ["00000000000000aa".to_owned()].into())]),
            submounts: BTreeMap::from([(documents.clone(), odd_paths())]),
            known: BTreeMap::from([(documents.clone(), ("2026-11-22T17:30:00Z".parse().unwrap(), "/home/a:".into()))]),
            copied: BTreeMap::from([(
                documents,
                Places {
                    roots: "/home/a: -> server /srv:x y".to_owned(),
                    servers: [(End::Destination, ["a@nas.local".into(), "nas.example.org:2222".into()].into())].into(),
                },
            )]),
            damaged: BTreeMap::from([(
                "photos".parse().unwrap(),
                Damage {
                    paths: odd_paths(),
                    snapshots: ["2026-11-22T17:30:00.000Z".parse().unwrap()].into(),
                    doubted: odd_paths(),
                },
            )]),
            turns: BTreeMap::from([("photos".parse().unwrap(), 95)]),
            rounds: BTreeMap::from([(
                "photos".parse().unwrap(),
                CheckRounds {
                    finished: Some("2026-11-22T17:30:00Z".parse().unwrap()),
                    verified: Some("2026-11-21T17:30:00Z".parse().unwrap()),
                    under_way: Some(CheckRound {
                        began: "2026-11-23T17:30:00Z".parse().unwrap(),
                        read: 5,
                        sums: CheckSums { files: 7, bytes: 8, compared: 6, passed_over: 2, damaged: 1, doubtful: 3 },
                    }),
                },
            )]),
            restores: restores(),
            pause: Some(Pause::Until("2026-11-22T17:30:00.123456789Z".parse().unwrap())),
        }
    }

    fn restores() -> BTreeMap<RestoreKey, UnfinishedRestore> {
        let begun = |place: PathBuf| {
            let (since, syncs) = ("2026-11-22T17:30:00Z".parse().unwrap(), ["photos".parse().unwrap()].into());
            let origin = place.as_os_str().len().is_multiple_of(2).then(|| place.clone());
            let key = RestoreKey { place, command: "nbkpctl restore 'usb:a b'".into() };
            (key, UnfinishedRestore { since, origin, syncs })
        };
        odd_paths().into_iter().map(begun).collect()
    }

    fn some_paths() -> PathSet {
        let mut paths = PathSet::default();
        for number in [0, 1, u64::MAX] {
            paths.add(number);
        }
        paths
    }

    fn odd_paths() -> BTreeSet<PathBuf> {
        [PathBuf::from("Pictures/2020"), PathBuf::from(OsString::from_vec(b"\xff/new\nline".to_vec()))].into()
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut full = full();
        for reason in [
            HoldReason::SourceIncomplete { missing: odd_paths() },
            HoldReason::CutDown {
                paths: some_paths(),
                of: 10,
                allowed_percent: 25,
                against: Some("2026-11-22T17:30:00.123Z".parse().unwrap()),
            },
            HoldReason::ForeignWriter {
                writer: Writer {
                    id: "00000000000000bb".into(),
                    since: "2026-11-22T17:30:00Z".parse().unwrap(),
                    host: "ada".into(),
                },
                here: "eve".into(),
            },
        ] {
            full.held.values_mut().for_each(|hold| hold.reason = reason.clone());
            assert_eq!(from_bytes(&to_bytes(&full)).unwrap(), full);
        }
        let resumed = Ledger { pause: Some(Pause::UntilResumed), ..full.clone() };
        for ledger in [full, resumed, Ledger::default()] {
            assert_eq!(from_bytes(&to_bytes(&ledger)).unwrap(), ledger);
        }
    }

    #[test]
    fn the_first_version_is_read_for_ever() {
        let kept = br#"{ "version": 1, "hardware": { "usb": ["WD-1"] },
            "end_ids": [{ "sync": "a", "end": "source", "id": "7" }],
            "holds": ["usb"], "approvals": { "a": 5 }, "pause": {}, "added-later": [1, 2],
            "copied": { "a": "/home/a: -> server /srv:x" } }"#;
        let ledger = from_bytes(kept).unwrap();
        // What was approved by its number is asked about again.
        assert!(ledger.approvals.is_empty());
        assert_eq!(ledger.end_ids.len(), 1);
        // Which server that was, nobody knows.
        let places = Places { roots: "/home/a: -> server /srv:x".to_owned(), servers: BTreeMap::new() };
        assert_eq!(ledger.copied.into_values().collect::<Vec<_>>(), [places]);
        assert_eq!(ledger.pause, Some(Pause::UntilResumed));
        assert_eq!(ledger.holds.into_values().collect::<Vec<_>>(), [Pause::UntilResumed]);
    }

    #[test]
    fn what_is_no_ledger_is_refused() {
        assert!(matches!(from_bytes(b"{ \"version\": 2, \"holds\": 5 }"), Err(LedgerError::Newer(2))));
        assert!(matches!(from_bytes(b"{ \"version\": 1, \"holds\": [\"-x\"] }"), Err(LedgerError::Entry(..))));
        for bad in ["", "{}", "[]", "{ \"version\": 1, \"holds\": 5 }", "{ \"version\": -1 }"] {
            assert!(matches!(from_bytes(bad.as_bytes()), Err(LedgerError::Damaged(_))), "{bad}");
        }
        let whole = to_bytes(&full());
        for end in 0..whole.len() - 2 {
            assert!(from_bytes(&whole[..end]).is_err(), "cut at {end}");
        }
    }
}
