//! A look at a server: what is asked, and what the answer says. The script asks; this file and it belong together.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::formats::sentinel;
use crate::model::{
    Absence, Access, EndFault, EndKind, EndProbe, EndSight, EndpointName, ReachedVolume, RemoteProbe, SentinelFault,
    SentinelId, SnapshotKind, SnapshotName, VolumeSight,
};

/// The script, for `sh -s`.
pub const SCRIPT: &str = include_str!("scripts/probe.sh");

/// What the script is told.
#[must_use]
pub fn arguments(volumes: &[RemoteProbe]) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::new();
    for volume in volumes {
        let uuid = volume.drive.as_ref().map_or("", |uuid| uuid.as_str());
        words.extend(["volume".into(), volume.path.clone().into_os_string(), uuid.into()]);
        for end in &volume.ends {
            words.extend(["end".into(), kind(end.kind).into(), end.subdir.as_path().as_os_str().to_owned()]);
        }
    }
    words
}

fn kind(kind: EndKind) -> &'static str {
    match kind {
        EndKind::Source => "source",
        EndKind::SourceOfSnapshots => "latest",
        EndKind::Destination(SnapshotKind::None) => "plain",
        EndKind::Destination(SnapshotKind::Btrfs) => "btrfs",
        EndKind::Destination(SnapshotKind::HardLink) => "hard-link",
    }
}

/// The answer is not one: something else speaks there, or it was cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it answered something that makes no sense")]
pub struct Garbled;

/// How volumes and ends stand.
type Sights = Vec<(VolumeSight, Vec<EndSight>)>;

/// What an answer says of these volumes, which were reached by this endpoint through this interface.
pub fn read(
    answer: &[u8],
    volumes: &[RemoteProbe],
    endpoint: &EndpointName,
    interface: Option<&str>,
) -> Result<Sights, Garbled> {
    let mut words = Words(answer);
    words.expect(b"nbkp-look-1")?;
    let mut sights = Vec::with_capacity(volumes.len());
    for volume in volumes {
        let sight = volume_sight(&mut words, endpoint, interface)?;
        let root = match &sight {
            VolumeSight::Reached(reached) => reached.root.clone(),
            VolumeSight::NotProven { root, .. } => root.clone(),
            VolumeSight::Absent(_)
            | VolumeSight::Ambiguous { .. }
            | VolumeSight::NotMounted { .. }
            | VolumeSight::Locked { .. }
            | VolumeSight::NotEncrypted { .. }
            | VolumeSight::Present(_) => volume.path.clone(),
        };
        let mut ends = Vec::with_capacity(volume.ends.len());
        for end in &volume.ends {
            let seen = end_sight(&mut words, end, &root)?;
            // Who is not proven to be the right volume tells nothing of what lies on it.
            ends.push(if matches!(sight, VolumeSight::Reached(_)) { seen } else { EndSight::Unseen });
        }
        sights.push((sight, ends));
    }
    words.expect(b"done")?;
    if words.0.is_empty() { Ok(sights) } else { Err(Garbled) }
}

fn volume_sight(
    words: &mut Words<'_>,
    endpoint: &EndpointName,
    interface: Option<&str>,
) -> Result<VolumeSight, Garbled> {
    let (how, place, third, fourth) = (words.next()?, words.path()?, words.text()?, words.text()?);
    Ok(match how {
        b"there" => match words.sentinel()? {
            Ok(id) => VolumeSight::Reached(ReachedVolume {
                endpoint: endpoint.clone(),
                interface: interface.map(str::to_owned),
                root: place,
                access: if third == "writable" { Access::ReadWrite } else { Access::ReadOnly },
                fs_type: fourth,
                id,
            }),
            Err(fault) => VolumeSight::NotProven { root: place, fault },
        },
        b"absent" if third == "it does not exist" => VolumeSight::Absent(Absence::NoDirectory(place)),
        b"absent" => VolumeSight::Absent(Absence::Unreadable(place, third)),
        b"unplugged" => VolumeSight::Absent(Absence::NotPlugged),
        b"unmounted" => VolumeSight::NotMounted { device: place, disk_seq: None },
        _ => return Err(Garbled),
    })
}

fn end_sight(words: &mut Words<'_>, end: &EndProbe, root: &Path) -> Result<EndSight, Garbled> {
    let path = root.join(end.subdir.as_path());
    let how = words.next()?;
    if how != b"there" {
        let (reason, _, _) = (words.text()?, words.next()?, words.next()?);
        return match how {
            b"absent" => Ok(EndSight::Faulty(vec![EndFault::NoDirectory(path, reason)])),
            b"unseen" => Ok(EndSight::Unseen),
            _ => Err(Garbled),
        };
    }
    let file = match end.kind {
        EndKind::Source | EndKind::SourceOfSnapshots => ".nbkp-src",
        EndKind::Destination(_) => ".nbkp-dst",
    };
    let mut faults = Vec::new();
    let id = match words.sentinel()? {
        Ok(id) => id,
        Err(fault) => {
            faults.push(EndFault::Sentinel(path.join(file), fault));
            None
        }
    };
    loop {
        let word = words.text()?;
        faults.push(match word.as_str() {
            "" => break,
            "latest" => match words.text()?.strip_prefix("snapshots/").map(str::parse::<SnapshotName>) {
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => EndFault::NoSnapshotYet(path.clone()),
            },
            "full" => EndFault::NoSpace(path.clone()),
            "no-staging" => EndFault::NoStaging(path.join("staging")),
            "tool" => EndFault::NoTool(words.text()?),
            other => match other.strip_prefix("not-btrfs ") {
                Some(fs_type) => EndFault::NotBtrfs { path: path.clone(), fs_type: fs_type.to_owned() },
                None => return Err(Garbled),
            },
        });
    }
    Ok(if faults.is_empty() { EndSight::Ready { id } } else { EndSight::Faulty(faults) })
}

/// The words of an answer that were not read yet.
struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    fn next(&mut self) -> Result<&'a [u8], Garbled> {
        let end = self.0.iter().position(|byte| *byte == 0).ok_or(Garbled)?;
        let (word, rest) = self.0.split_at_checked(end).ok_or(Garbled)?;
        self.0 = rest.get(1..).unwrap_or_default();
        Ok(word)
    }

    fn expect(&mut self, word: &[u8]) -> Result<(), Garbled> {
        if self.next()? == word { Ok(()) } else { Err(Garbled) }
    }

    fn text(&mut self) -> Result<String, Garbled> {
        self.next().map(|word| String::from_utf8_lossy(word).into_owned())
    }

    fn path(&mut self) -> Result<PathBuf, Garbled> {
        self.next().map(|word| PathBuf::from(OsStr::from_bytes(word)))
    }

    /// The id that a sentinel carries, or what is wrong with it.
    fn sentinel(&mut self) -> Result<Result<Option<SentinelId>, SentinelFault>, Garbled> {
        let (how, content) = (self.next()?, self.next()?);
        Ok(match how {
            b"fine" => sentinel::parse(content).map_err(|error| SentinelFault::Unusable(error.to_string())),
            b"missing" => Err(SentinelFault::Missing),
            b"unusable" => Err(SentinelFault::Unusable(String::from_utf8_lossy(content).into_owned())),
            _ => return Err(Garbled),
        })
    }
}
