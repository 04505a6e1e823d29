//! Prepare: sentinels, directories and the staging subvolume, at both ends, on a person's word.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use crate::backup::errands::{Prospect, sentence, there as errands};
use crate::backup::job::RemoteEnd;
use crate::formats::sentinel;
use crate::formats::similar::did_you_mean;
use crate::formats::wire::PreparedSync;
use crate::model::{Absence, End, Obstacle, Place, SentinelId, SnapshotKind, VolumeSight};
use crate::os::btrfs::{self, Role};
use crate::os::directory::{Directory, DirectoryError, Done, Errno, Kind, Reach};
use crate::os::files::{self, ReadError, Readers};
use crate::os::ssh::SshPlace;

/// What is made at both ends of a sync; what is there already is left as it is.
pub(crate) fn prepare(prospect: &Prospect, ssh: &SshPlace) -> PreparedSync {
    let sync = &prospect.sync;
    let mut report = PreparedSync { sync: sync.name.to_string(), ..PreparedSync::default() };
    for (end, place, sight, server) in [
        (End::Source, &sync.source, &prospect.source, &prospect.source_server),
        (End::Destination, &sync.destination, &prospect.destination, &prospect.destination_server),
    ] {
        let done = match server {
            Some(server) => prepare_there(prospect, (server, end), ssh, &mut report),
            None => prepare_end(prospect, end, place, sight, &mut report),
        };
        if let Err(problem) = done {
            report.problems.push(problem);
        }
    }
    report
}

/// The same at a server. It is asked whatever the last look saw: a person waits for it.
fn prepare_there(
    prospect: &Prospect,
    end: (&RemoteEnd, End),
    ssh: &SshPlace,
    report: &mut PreparedSync,
) -> Result<(), String> {
    let name = &prospect.sync.name;
    let made = errands::prepare(&prospect.sync, end, (&new_id(), &new_id()), ssh)
        .map_err(|conclusion| sentence(&conclusion, name))?;
    report.made.extend(made.made);
    report.already.extend(made.already);
    if let Some(count) = made.holds {
        let place = &prospect.sync.destination;
        report.already.push(format!(
            "{place} holds {count} entries; the first run makes it equal to the source, so look with `nbkpctl diff {name}` first"
        ));
    }
    made.problem.map_or(Ok(()), Err)
}

fn prepare_end(
    prospect: &Prospect,
    end: End,
    place: &Place,
    sight: &VolumeSight,
    report: &mut PreparedSync,
) -> Result<(), String> {
    let root = match sight {
        VolumeSight::Present(present) => &present.root,
        VolumeSight::NotProven { root, .. } => root,
        VolumeSight::Absent(absence) => return Err(away(place, absence)),
        VolumeSight::Reached(_) => return Err(format!("volume `{}` is on a server", place.volume)),
        VolumeSight::NotMounted { .. } | VolumeSight::Locked { .. } => {
            return Err(format!("volume `{0}` is not mounted; mount it first: `nbkpctl mount {0}`", place.volume));
        }
        VolumeSight::NotEncrypted { device } => {
            let (volume, device) = (place.volume.clone(), device.clone());
            return Err(Obstacle::NotEncrypted { volume, device }.to_string());
        }
        VolumeSight::Ambiguous { devices } => {
            let names: Vec<_> = devices.iter().map(ToString::to_string).collect();
            return Err(format!(
                "several devices carry the UUID of volume `{}`: {}; unplug all but one",
                place.volume,
                names.join(", ")
            ));
        }
    };
    let root = Directory::open_root(root).map_err(|error| told(&error))?;
    make_sentinel(&root, ".nbkp-vol", report)?;
    let directory = descend(&root, place.subdir.as_path(), end, report)?;
    match end {
        End::Source => make_sentinel(&directory, ".nbkp-src", report),
        End::Destination => {
            let known = directory.kind_of(".nbkp-dst").map_err(|error| told(&error))? != Kind::Nothing;
            warn_of_content(&directory, known, prospect, report)?;
            prepare_layout(&directory, prospect.sync.snapshots, report)?;
            // The sentinel comes last: it says that all else is there.
            make_sentinel(&directory, ".nbkp-dst", report)
        }
    }
}

fn away(place: &Place, absence: &Absence) -> String {
    let volume = &place.volume;
    match absence {
        Absence::NotPlugged => format!("drive `{volume}` is not plugged in; plug it in and try again"),
        Absence::NotPluggedThere(host) => format!("drive `{volume}` is not plugged into `{host}`; plug it in there"),
        Absence::NoDirectory(path) => {
            format!(
                "the directory of volume `{volume}` does not exist: {}; create it, or correct `path`",
                path.display()
            )
        }
        Absence::Unreadable(path, why) => format!("volume `{volume}` cannot be looked at: {}: {why}", path.display()),
        Absence::Silent(path) => {
            format!("volume `{volume}` does not answer: {}; check what is mounted there", path.display())
        }
        Absence::Host(fault) => format!("volume `{volume}` is not within reach: {fault}; {}", fault.hint()),
        Absence::Elsewhere => format!("volume `{volume}` is not reached from this network"),
        Absence::NotLookedAt => format!("volume `{volume}` has not been looked at yet; try again in a moment"),
    }
}

/// Opens a directory below the root, and makes what of the path of a destination is missing. A source is never made: what
/// is missing there is a mistake in the configuration, or not mounted.
fn descend(root: &Directory, subdir: &Path, end: End, report: &mut PreparedSync) -> Result<Directory, String> {
    let reach = match end {
        End::Source => Reach::AnyMount,
        End::Destination => Reach::SameMount,
    };
    let mut directory = root.open_below(Path::new(""), reach).map_err(|error| told(&error))?;
    for name in subdir {
        match (end, directory.kind_of(name).map_err(|error| told(&error))?) {
            (End::Source, Kind::Nothing) => return Err(no_source(&directory, name)),
            (_, Kind::Link) => return Err(behind_a_link(&directory, name)),
            (_, Kind::Nothing | Kind::Directory | Kind::File | Kind::Special) => {}
        }
        let is_new = end == End::Destination
            && directory.create_directory(name, 0o755).map_err(|error| told(&error))? == Done::Changed;
        if is_new {
            report.made.push(format!("the directory {}", directory.path_of(name).display()));
        }
        directory = directory.open_below(Path::new(name), reach).map_err(|error| told(&error))?;
    }
    Ok(directory)
}

fn no_source(above: &Directory, name: &OsStr) -> String {
    let entries = above.entries(10_000).unwrap_or_default();
    let names: Vec<_> = entries.iter().filter_map(|entry| entry.name.to_str()).collect();
    missing_source(&above.path_of(name).display().to_string(), &names)
}

/// What to say of a source that is not there, among these names.
pub(crate) fn missing_source(path: &str, beside: &[&str]) -> String {
    let name = path.rsplit_once('/').map_or(path, |(_, name)| name);
    let near = did_you_mean(name, beside.iter().copied()).unwrap_or_else(|| "create it, or correct `source`".into());
    format!("the source {path} does not exist, and is not made for you; {near}")
}

fn behind_a_link(above: &Directory, name: &OsStr) -> String {
    let target = above.link_target(name).ok().flatten().unwrap_or_default();
    let whole = above.path().join(&target);
    format!(
        "{} is a symbolic link to {}; links are not followed: give a volume `path = \"{}\"` and use that",
        above.path_of(name).display(),
        target.display(),
        whole.display()
    )
}

/// A destination that holds files already would be made equal to the source.
fn warn_of_content(
    directory: &Directory,
    known: bool,
    prospect: &Prospect,
    report: &mut PreparedSync,
) -> Result<(), String> {
    if known || prospect.sync.snapshots != SnapshotKind::None {
        return Ok(());
    }
    let entries = directory.entries(1000).map_err(|error| told(&error))?;
    let count = entries.iter().filter(|entry| !entry.name.to_string_lossy().starts_with(".nbkp")).count();
    if count > 0 {
        report.already.push(format!(
            "{} holds {count} entries; the first run makes it equal to the source, so look with `nbkpctl diff {}` first",
            directory.path().display(),
            prospect.sync.name
        ));
    }
    Ok(())
}

fn prepare_layout(directory: &Directory, kind: SnapshotKind, report: &mut PreparedSync) -> Result<(), String> {
    if kind == SnapshotKind::None {
        return Ok(());
    }
    if kind == SnapshotKind::Btrfs {
        make_staging(directory, report)?;
    }
    let told = |error: DirectoryError| told(&error);
    if kind == SnapshotKind::HardLink {
        let lacks = files::lacks_for_snapshots(directory).map_err(told)?;
        if !lacks.is_empty() {
            return Err(unsupported(&directory.path().display().to_string(), &lacks.join(", ")));
        }
    }
    match directory.kind_of("snapshots").map_err(told)? {
        Kind::Directory => report.already.push(directory.path_of("snapshots").display().to_string()),
        Kind::Nothing => {
            directory.create_directory("snapshots", 0o755).map_err(told)?;
            report.made.push(format!("the directory {}", directory.path_of("snapshots").display()));
        }
        Kind::File | Kind::Link | Kind::Special => {
            return Err(format!(
                "{} is not a directory; look at it, and remove it if it is not yours",
                directory.path_of("snapshots").display()
            ));
        }
    }
    if directory.kind_of("latest").map_err(told)? == Kind::Nothing {
        directory.replace_link("latest", Path::new("/dev/null"), ".latest-new").map_err(told)?;
        report.made.push(format!("the link {}", directory.path_of("latest").display()));
    }
    Ok(())
}

/// What to say of a destination whose filesystem cannot hold copies with history, and what to choose.
pub(crate) fn unsupported(path: &str, lacks: &str) -> String {
    format!(
        "the filesystem of {path} has no {lacks}, which `snapshots = \"hard-link\"` needs; choose `snapshots = \"none\"`, or a destination on ext4, xfs or btrfs"
    )
}

fn make_staging(directory: &Directory, report: &mut PreparedSync) -> Result<(), String> {
    let path = directory.path_of("staging").display().to_string();
    match directory.kind_of("staging").map_err(|error| told(&error))? {
        Kind::Nothing => {
            btrfs::create(directory, OsStr::new("staging")).map_err(|error| {
                format!(
                    "could not {error}: {}; `snapshots = \"btrfs\"` needs a btrfs filesystem, `\"hard-link\"` does not",
                    io::Error::from(error.cause())
                )
            })?;
            report.made.push(format!("the subvolume {path}"));
            Ok(())
        }
        Kind::Directory => {
            let staging = directory.open_below(Path::new("staging"), Reach::SameMount).map_err(|error| told(&error))?;
            if btrfs::role(&staging).map_err(|error| told(&error))? == Role::Subvolume {
                report.already.push(path);
                Ok(())
            } else {
                Err(format!("{path} is a plain directory and no subvolume; move it away and try again"))
            }
        }
        Kind::File | Kind::Link | Kind::Special => {
            Err(format!("{path} is in the way; look at it, and remove it if it is not yours"))
        }
    }
}

/// Makes a sentinel with an id, unless there is one; an empty one, as the Python tool makes it, stays empty.
fn make_sentinel(directory: &Directory, name: &str, report: &mut PreparedSync) -> Result<(), String> {
    let path = directory.path_of(name).display().to_string();
    match files::read_small(directory, name, sentinel::LIMIT) {
        Ok(bytes) => match sentinel::parse(&bytes) {
            Ok(_) => report.already.push(path),
            Err(error) => return Err(format!("{path}: {error}; remove it if it is not yours, and try again")),
        },
        Err(ReadError::Missing) => {
            files::write_durably(directory, name, sentinel::write(&new_id()).as_bytes(), Readers::All)
                .map_err(|error| unmarked(&error, &path))?;
            report.made.push(format!("the sentinel {path}"));
        }
        Err(error) => return Err(format!("could not {error}: {path}; look at it, and remove it if it is not yours")),
    }
    Ok(())
}

/// Where we may not write, whoever may can make a marker: an empty file is one.
fn unmarked(error: &DirectoryError, path: &str) -> String {
    match error.cause() {
        Errno::ROFS => format!(
            "the marker {path} cannot be made, since it is read-only there; an empty file of that name is enough: make it where these files are written, or let `source` be a directory above it that can be written, and leave out the rest of that with `filters`"
        ),
        Errno::ACCESS | Errno::PERM => format!(
            "the marker {path} may not be made by this user; an empty file of that name is enough: `sudo touch {path}`"
        ),
        _ => told(error),
    }
}

/// A random UUID (RFC 9562, version 4).
fn new_id() -> SentinelId {
    let random = fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let digits = format!("{random:032x}");
    let mut text = String::with_capacity(36);
    for (place, digit) in digits.chars().enumerate() {
        if matches!(place, 8 | 12 | 16 | 20) {
            text.push('-');
        }
        text.push(digit);
    }
    SentinelId(text)
}

fn told(error: &DirectoryError) -> String {
    let cause = io::Error::from(error.cause());
    format!("could not {error}: {cause}{}", advice(&cause))
}

/// A drive that was just formatted belongs to root.
fn advice(cause: &io::Error) -> &'static str {
    if cause.kind() == io::ErrorKind::PermissionDenied {
        "; give the directory above it to the user that runs nbkpd (`chown`)"
    } else {
        ""
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_permitted_comes_with_what_to_do() {
        assert!(advice(&io::Error::from_raw_os_error(13)).contains("`chown`"));
        assert_eq!(advice(&io::Error::from_raw_os_error(28)), "");
    }

    #[test]
    fn a_source_that_is_missing_is_named_with_what_may_be_meant() {
        let near = missing_source("/home/a/Documnets", &["Pictures", "Documents"]);
        assert!(near.contains("/home/a/Documnets does not exist") && near.contains("`Documents`"), "{near}");
        assert!(missing_source("/home/a/x", &[]).contains("correct `source`"));
    }

    #[test]
    fn an_id_is_a_uuid_of_version_4() {
        let SentinelId(id) = new_id();
        let parts: Vec<_> = id.split('-').collect();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert!(parts[2].starts_with('4') && parts[3].starts_with(['8', '9', 'a', 'b']), "{id}");
        assert_ne!(new_id(), new_id());
    }
}
