//! A look at a server: what is asked, and what the answer says. The script asks; this file and it belong together.

use std::ffi::{OsStr, OsString};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::formats::rsync::version;
use crate::formats::sentinel;
use crate::model::layout::{self, assignments};
use crate::model::{
    Absence, Access, Drive, DriveUuid, EndFault, EndKind, EndProbe, EndSight, EndpointName, Holding, Mounting, Node,
    ReachedVolume, RemoteProbe, RemoteSight, SentinelFault, SentinelId, SnapshotKind, SoughtDrive, VolumeSight,
};

/// The script, for `sh -s`.
pub const SCRIPT: &str = concat!(assignments!(), include_str!("scripts/drive.sh"), include_str!("scripts/probe.sh"));

/// What the script is told.
#[must_use]
pub fn arguments(volumes: &[RemoteProbe]) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::new();
    for volume in volumes {
        let uuid = volume.drive.as_ref().map_or("", |sought| sought.drive.uuid.as_str());
        let container = volume.drive.as_ref().and_then(|sought| sought.container.as_ref());
        let container = container.map_or("", DriveUuid::as_str);
        words.extend(["volume".into(), volume.path.clone().into_os_string(), uuid.into(), container.into()]);
        for end in &volume.ends {
            words.extend(["end".into(), kind(end.kind).into(), end.subdir.as_path().as_os_str().to_owned()]);
        }
    }
    words
}

fn kind(kind: EndKind) -> &'static str {
    match kind {
        EndKind::Source => "source",
        EndKind::SourceOfSnapshots => "kept",
        EndKind::Destination(SnapshotKind::None) => "plain",
        EndKind::Destination(SnapshotKind::Btrfs) => "btrfs",
        EndKind::Destination(SnapshotKind::HardLink) => "hard-link",
    }
}

/// The answer is not one: something else speaks there, or it was cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it answered something that makes no sense")]
pub struct Garbled;

/// By which way a server was reached.
#[derive(Debug, Clone, Copy)]
pub struct ReachedBy<'a> {
    /// The endpoint.
    pub endpoint: &'a EndpointName,
    /// Its host.
    pub host: &'a str,
    /// The interface that the way there leaves through; `None` if that is not known.
    pub interface: Option<&'a str>,
}

/// What an answer says of these volumes.
pub fn sights(answer: &[u8], volumes: &[RemoteProbe], way: ReachedBy<'_>) -> Result<Vec<RemoteSight>, Garbled> {
    let mut words = Words(answer);
    words.expect(b"nbkp-look-1")?;
    let mut sights = Vec::with_capacity(volumes.len());
    for volume in volumes {
        let drive = volume.drive.as_ref().map(|sought| drive_sight(&mut words, sought, way.host)).transpose()?;
        let (drive, container) = drive.map_or((None, None), |(sight, container)| (Some(sight), container));
        let (sight, medium) = volume_sight(&mut words, drive, way)?;
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
        sights.push(RemoteSight { sight, medium, container, ends });
    }
    words.expect(b"done")?;
    if words.0.is_empty() { Ok(sights) } else { Err(Garbled) }
}

fn volume_sight(
    words: &mut Words<'_>,
    drive: Option<DriveSight>,
    way: ReachedBy<'_>,
) -> Result<(VolumeSight, Option<u64>), Garbled> {
    let medium = match &drive {
        Some(DriveSight::Closed(sight, medium)) => return Ok((sight.clone(), *medium)),
        Some(DriveSight::Open(medium)) => *medium,
        Some(DriveSight::Refused(_)) | None => None,
    };
    let (how, place, third, fourth) = (words.next()?, words.path()?, words.text()?, words.text()?);
    let sight = match how {
        b"there" => match words.sentinel()? {
            Ok(id) => VolumeSight::Reached(ReachedVolume {
                endpoint: way.endpoint.clone(),
                interface: way.interface.map(str::to_owned),
                root: place,
                access: if third == "writable" { Access::ReadWrite } else { Access::ReadOnly },
                fs_type: fourth,
                id,
                medium,
            }),
            Err(fault) => VolumeSight::NotProven { root: place, fault },
        },
        b"absent" if third == "it does not exist" => VolumeSight::Absent(Absence::NoDirectory(place)),
        b"absent" => VolumeSight::Absent(Absence::Unreadable(place, third)),
        _ => return Err(Garbled),
    };
    match drive {
        Some(DriveSight::Refused(refused)) => Ok((refused, None)),
        Some(DriveSight::Closed(..) | DriveSight::Open(_)) | None => Ok((sight, medium)),
    }
}

/// How a drive stands, and the medium for one that we open: what others mount there comes and goes as they like, and is
/// nobody's unmounting.
enum DriveSight {
    /// It is not open; nothing more is told of it.
    Closed(VolumeSight, Option<u64>),
    /// It is open, and more is told of it.
    Open(Option<u64>),
    /// The same, but it must not be used.
    Refused(VolumeSight),
}

/// How a drive stands, and the container in which the filesystem lies that it is named by.
fn drive_sight(
    words: &mut Words<'_>,
    sought: &SoughtDrive,
    host: &str,
) -> Result<(DriveSight, Option<DriveUuid>), Garbled> {
    let (state, role, nodes) = (words.next()?, words.next()?, words.text()?);
    let (boot, seq, container) = (words.text()?, words.text()?, words.text()?);
    let sight = drive_stands(&sought.drive, (state, role, &nodes), medium(&boot, &seq), host)?;
    // What is no UUID teaches nothing.
    Ok((sight, container.parse().ok()))
}

fn drive_stands(
    drive: &Drive,
    (state, role, nodes): (&[u8], &[u8], &str),
    medium: u64,
    host: &str,
) -> Result<DriveSight, Garbled> {
    let nodes: Vec<Node> =
        nodes.split_whitespace().map(|path| Node { path: path.into(), host: Some(host.to_owned()) }).collect();
    let device = || nodes.first().cloned().ok_or(Garbled);
    let (is_ours, wants_lock) = match &drive.mounting {
        Mounting::Elsewhere => (false, false),
        Mounting::ForTheRun { passphrase } => (true, passphrase.is_some()),
    };
    let disk_seq = is_ours.then_some(medium);
    // Whoever knows the UUID can give it to a filesystem of their own, to be handed what belongs behind a lock.
    let is_impostor = wants_lock && role != b"encrypted";
    Ok(match state {
        // A container that holds something else now is not this drive.
        b"unplugged" | b"other" => {
            DriveSight::Closed(VolumeSight::Absent(Absence::NotPluggedThere(host.to_owned())), None)
        }
        b"ambiguous" => DriveSight::Closed(VolumeSight::Ambiguous { devices: nodes }, None),
        b"locked" => DriveSight::Closed(VolumeSight::Locked { device: device()?, disk_seq }, disk_seq),
        b"closed" if is_impostor => DriveSight::Closed(VolumeSight::NotEncrypted { device: device()? }, None),
        b"closed" => DriveSight::Closed(
            VolumeSight::NotMounted { device: device()?, disk_seq, automount: None, blocked_at: Vec::new() },
            disk_seq,
        ),
        b"open" if is_impostor => DriveSight::Refused(VolumeSight::NotEncrypted { device: device()? }),
        b"open" => DriveSight::Open(disk_seq),
        _ => return Err(Garbled),
    })
}

/// A number for a medium: the kernel there counts anew with each boot.
fn medium(boot: &str, seq: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (boot, seq).hash(&mut hasher);
    hasher.finish()
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
        EndKind::Source | EndKind::SourceOfSnapshots => layout::SOURCE_SENTINEL,
        EndKind::Destination(_) => layout::DESTINATION_SENTINEL,
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
            "newest" => match layout::named_snapshot(Path::new(&words.text()?)) {
                Some(_) => continue,
                None => EndFault::NoSnapshotYet(path.clone()),
            },
            "full" => EndFault::NoSpace(path.clone()),
            "holds-history" => EndFault::OtherLayout { path: path.clone(), holds: Holding::Snapshots },
            "holds-mirror" => EndFault::OtherLayout { path: path.clone(), holds: Holding::Mirror },
            "no-subvolume" => EndFault::NoStaging(path.join(layout::STAGING)),
            "tool" => EndFault::NoTool(words.text()?),
            "version" => match version::of(&words.text()?) {
                Some(found) if found < version::OLDEST_AT_A_SERVER => EndFault::OldRsync(found),
                Some(_) | None => continue,
            },
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
            b"fine" => sentinel::id(content).map_err(|error| SentinelFault::Unusable(error.to_string())),
            b"missing" => Err(SentinelFault::Missing),
            b"unusable" => Err(SentinelFault::Unusable(String::from_utf8_lossy(content).into_owned())),
            _ => return Err(Garbled),
        })
    }
}
