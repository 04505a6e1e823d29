//! Prepare: sentinels, directories and the staging subvolume, at both ends, on a person's word.

use std::ffi::OsStr;
use std::path::Path;

use crate::backup::errands::made::{Made, missing_source, unsupported};
use crate::backup::errands::strangers::strangers;
use crate::backup::errands::there as errands;
use crate::backup::failure::could_not;
use crate::backup::job::{RemoteEnd, SyncAsSeen, sentence};
use crate::backup::place::source::privileges;
use crate::formats::sentinel;
use crate::formats::text::obstacle_sentences;
use crate::formats::wire::PreparedSync;
use crate::model::layout::{self, LATEST, SNAPSHOTS, STAGING};
use crate::model::{
    Absence, Earnest, End, Honours, Intruding, Obstacle, Place, Privileges, SentinelId, SnapshotKind, Sync, Unmounted,
    Vacancy, VolumeSight,
};
use crate::os::approach::approach;
use crate::os::btrfs::{self, Role};
use crate::os::directory::{ChangeMade, Directory, DirectoryError, Errno, Kind, Reach};
use crate::os::files::{self, ReadError, Readers};
use crate::os::ours;
use crate::os::ssh::SshPlace;

/// What is made at both ends of a sync; what is there already is left as it is.
pub(crate) fn prepare(seen: &SyncAsSeen, intruding: Intruding, ssh: &SshPlace) -> PreparedSync {
    let sync = &seen.sync;
    let mut report = PreparedSync { sync: sync.name.to_string(), ..PreparedSync::default() };
    for (end, place, sight, server) in [
        (End::Source, &sync.source, &seen.source, &seen.source_server),
        (End::Destination, &sync.destination, &seen.destination, &seen.destination_server),
    ] {
        let other_kind = |obstacle: &&Obstacle| matches!(obstacle, Obstacle::LayoutMismatch(..));
        if let Some(mismatch) = seen.obstacles.iter().find(other_kind).filter(|_| end == End::Destination) {
            report.problems.push(format!("{mismatch}; {}", mismatch.hint(&sync.name)));
            continue;
        }
        let made = match server {
            Some(server) => prepare_there(sync, (server, end), intruding, ssh),
            None => prepare_here((seen, intruding), (end, place), sight),
        };
        made.report(&sync.name, &mut report);
    }
    if report.problems.is_empty() && leaves_out_privileges(seen) {
        report.already.push(format!(
            "the copy of `{}` gets no set-user-ID bits, device nodes and file capabilities: they count for nothing \
             where they are read, and everybody could use them in the copy; to keep them, let the destination lie in \
             a directory with mode 700",
            sync.name
        ));
    }
    report
}

/// Whether a run leaves out what gives a file power. What cannot be looked at here is looked at by the run.
fn leaves_out_privileges(seen: &SyncAsSeen) -> bool {
    let opened = |sight: &VolumeSight, place: &Place| match sight {
        VolumeSight::Present(present) => Directory::open_root(&present.root.join(place.subdir.as_path())).ok(),
        VolumeSight::NotProven { root, .. } => Directory::open_root(&root.join(place.subdir.as_path())).ok(),
        VolumeSight::Absent(_)
        | VolumeSight::Reached(_)
        | VolumeSight::NotMounted { .. }
        | VolumeSight::Locked { .. }
        | VolumeSight::NotEncrypted { .. }
        | VolumeSight::Ambiguous { .. } => None,
    };
    let honoured = match &seen.source_server {
        Some(_) => Some(Honours::Nothing),
        None => opened(&seen.source, &seen.sync.source).map(|source| source.honours()),
    };
    let destination = match &seen.destination_server {
        Some(_) if seen.source_server.is_some() => return false,
        Some(_) => None,
        None => match opened(&seen.destination, &seen.sync.destination) {
            Some(destination) => Some(destination),
            None => return false,
        },
    };
    honoured.is_some_and(|honoured| privileges(honoured, destination.as_ref()) == Privileges::LeftOut)
}

/// What is made at a server. It is asked whatever the last look saw: a person waits for it.
fn prepare_there(sync: &Sync, end: (&RemoteEnd, End), intruding: Intruding, ssh: &SshPlace) -> Made {
    let made = errands::prepare(sync, end, (&new_id(), &new_id()), intruding, ssh);
    made.unwrap_or_else(|why| Made { problem: Some(sentence(&why, &sync.name)), ..Made::default() })
}

fn prepare_here(seen: (&SyncAsSeen, Intruding), end: (End, &Place), sight: &VolumeSight) -> Made {
    let mut made = Made::default();
    made.problem = prepare_end(seen, end, sight, &mut made).err();
    made
}

fn prepare_end(
    (seen, intruding): (&SyncAsSeen, Intruding),
    (end, place): (End, &Place),
    sight: &VolumeSight,
    report: &mut Made,
) -> Result<(), String> {
    let root = match sight {
        VolumeSight::Present(present) => &present.root,
        VolumeSight::NotProven { root, .. } => root,
        // Where mirrors are to lie there is nothing to be lost.
        VolumeSight::Absent(Absence::NoDirectory(path)) if end == End::Source && seen.repositories.is_some() => {
            approach(path, Earnest::Real).map_err(|error| could_not(&error))?;
            report.made.push(format!("the directory {}", path.display()));
            path
        }
        VolumeSight::Absent(absence) => return Err(away(place, absence)),
        VolumeSight::Reached(_) => return Err(format!("volume `{}` is on a server", place.volume)),
        VolumeSight::NotMounted { device, blocked_at, .. } if !blocked_at.is_empty() => {
            let (volume, device) = (place.volume.clone(), device.clone());
            let how = Unmounted::Blocked(blocked_at.clone());
            return Err(obstacle_sentences(&[Obstacle::NotMounted { end, volume, device, how }], &seen.sync.name));
        }
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
    let root = Directory::open_root(root).map_err(|error| not_made(&error))?;
    // Where nothing is to be made, nothing is: not at the root of the volume either.
    if let (End::Destination, Intruding::Refused, Ok(directory)) =
        (end, intruding, root.open_below(place.subdir.as_path(), Reach::SameMount))
        && vacancy(&directory, seen.sync.snapshots, intruding, report)? == Vacancy::Taken
    {
        return Ok(());
    }
    make_sentinel(&root, layout::VOLUME_SENTINEL, report)?;
    let directory = descend(&root, place.subdir.as_path(), end, report)?;
    match end {
        End::Source => make_sentinel(&directory, layout::SOURCE_SENTINEL, report),
        End::Destination => {
            if vacancy(&directory, seen.sync.snapshots, intruding, report)? == Vacancy::Taken {
                return Ok(());
            }
            prepare_layout(&directory, seen.sync.snapshots, report)?;
            // The sentinel comes last: it says that all else is there.
            make_sentinel(&directory, layout::DESTINATION_SENTINEL, report)
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
        Absence::HoldsMember(_) | Absence::OnMembers(_) => {
            let obstacle =
                Obstacle::VolumeAbsent { end: End::Source, volume: volume.clone(), absence: absence.clone() };
            format!("{obstacle}; {}", absence.hint(volume))
        }
        Absence::Elsewhere => format!("volume `{volume}` is not reached from this network"),
        Absence::NotLookedAt => format!("volume `{volume}` has not been looked at yet; try again in a moment"),
    }
}

/// Opens a directory below the root, and makes what of the path of a destination is missing. A source is never made:
/// what is missing there is a mistake in the configuration, or not mounted.
fn descend(root: &Directory, subdir: &Path, end: End, report: &mut Made) -> Result<Directory, String> {
    let reach = match end {
        End::Source => Reach::AnyMount,
        End::Destination => Reach::SameMount,
    };
    let mut directory = root.open_below(Path::new(""), reach).map_err(|error| not_made(&error))?;
    for name in subdir {
        let kind = directory.kind_of(name).map_err(|error| not_made(&error))?;
        if (end, kind) == (End::Source, Kind::Nothing) {
            return Err(no_source(&directory, name));
        }
        let is_new = end == End::Destination
            && directory.create_directory(name, 0o755).map_err(|error| not_made(&error))? == ChangeMade::Changed;
        if is_new {
            report.made.push(format!("the directory {}", directory.path_of(name).display()));
        }
        directory = directory.open_below(Path::new(name), reach).map_err(|error| not_made(&error))?;
    }
    Ok(directory)
}

fn no_source(above: &Directory, name: &OsStr) -> String {
    let entries = above.entries(10_000).unwrap_or_default();
    let names: Vec<_> = entries.iter().filter_map(|entry| entry.name.to_str()).collect();
    missing_source(&above.path_of(name).display().to_string(), &names)
}

/// Whether a place may become a destination: one that is a destination already may.
fn vacancy(
    directory: &Directory,
    kind: SnapshotKind,
    intruding: Intruding,
    report: &mut Made,
) -> Result<Vacancy, String> {
    match directory.kind_of(layout::DESTINATION_SENTINEL).map_err(|error| not_made(&error))? {
        Kind::Nothing => content(directory, kind, intruding, report),
        Kind::File | Kind::Directory | Kind::Link | Kind::Special => Ok(Vacancy::Free),
    }
}

/// Tells what lies in a place that is to become a destination, and whether it may become one. A mirror would be made
/// equal to the source.
fn content(
    directory: &Directory,
    kind: SnapshotKind,
    intruding: Intruding,
    report: &mut Made,
) -> Result<Vacancy, String> {
    let count = strangers(directory, kind).map_err(|error| not_made(&error))?;
    let told = (count > 0).then(|| (directory.path().display().to_string(), count));
    match (intruding, kind) {
        (Intruding::Refused, _) if told.is_some() => {
            report.taken = told;
            return Ok(Vacancy::Taken);
        }
        (Intruding::Refused | Intruding::Allowed, SnapshotKind::None) => report.holds = told,
        (Intruding::Refused | Intruding::Allowed, SnapshotKind::Btrfs | SnapshotKind::HardLink) => {}
    }
    Ok(Vacancy::Free)
}

fn prepare_layout(directory: &Directory, kind: SnapshotKind, report: &mut Made) -> Result<(), String> {
    if kind == SnapshotKind::None {
        return Ok(());
    }
    if kind == SnapshotKind::Btrfs {
        make_staging(directory, report)?;
    }
    let told = |error: DirectoryError| not_made(&error);
    if kind == SnapshotKind::HardLink {
        let lacks = files::lacks_for_snapshots(directory).map_err(told)?;
        if !lacks.is_empty() {
            return Err(unsupported(&directory.path().display().to_string(), &lacks.join(", ")));
        }
    }
    match directory.kind_of(SNAPSHOTS).map_err(told)? {
        Kind::Directory => report.already.push(directory.path_of(SNAPSHOTS).display().to_string()),
        Kind::Nothing => {
            directory.create_directory(SNAPSHOTS, 0o755).map_err(told)?;
            report.made.push(format!("the directory {}", directory.path_of(SNAPSHOTS).display()));
        }
        Kind::File | Kind::Link | Kind::Special => {
            return Err(format!(
                "{} is not a directory; look at it, and remove it if it is not yours",
                directory.path_of(SNAPSHOTS).display()
            ));
        }
    }
    if directory.kind_of(LATEST).map_err(told)? == Kind::Nothing {
        directory.replace_link(LATEST, Path::new(layout::NOWHERE), layout::NEW_LATEST).map_err(told)?;
        report.made.push(format!("the link {}", directory.path_of(LATEST).display()));
    }
    Ok(())
}

fn make_staging(directory: &Directory, report: &mut Made) -> Result<(), String> {
    let path = directory.path_of(STAGING).display().to_string();
    match directory.kind_of(STAGING).map_err(|error| not_made(&error))? {
        Kind::Nothing => {
            btrfs::create(directory, OsStr::new(STAGING)).map_err(|error| {
                format!(
                    "{}; `snapshots = \"btrfs\"` needs a btrfs filesystem, `\"hard-link\"` does not",
                    could_not(&error)
                )
            })?;
            report.made.push(format!("the subvolume {path}"));
            Ok(())
        }
        Kind::Directory => {
            let staging =
                directory.open_below(Path::new(STAGING), Reach::SameMount).map_err(|error| not_made(&error))?;
            if btrfs::role(&staging).map_err(|error| not_made(&error))? == Role::Subvolume {
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
fn make_sentinel(directory: &Directory, name: &str, report: &mut Made) -> Result<(), String> {
    let path = directory.path_of(name).display().to_string();
    match files::read_small(directory, name, sentinel::LIMIT) {
        Ok(bytes) => match sentinel::id(&bytes) {
            Ok(_) => report.already.push(path),
            Err(error) => return Err(format!("{path}: {error}; remove it if it is not yours, and try again")),
        },
        Err(ReadError::Missing) => {
            // Whoever knows the id of a destination could make another drive pass for it. What another user is to write
            // is to be read by that user.
            let is_private = name == layout::DESTINATION_SENTINEL && ours::belongs_to_us(directory);
            let readers = if is_private { Readers::Owner } else { Readers::All };
            files::write_durably(directory, name, sentinel::content(&new_id()).as_bytes(), readers)
                .map_err(|error| unmarked(&error, &path))?;
            report.made.push(format!("the sentinel {path}"));
        }
        Err(error) => {
            return Err(format!("could not read {path}: {error}; look at it, and remove it if it is not yours"));
        }
    }
    Ok(())
}

/// Where we may not write, whoever may can make a marker: an empty file is one.
fn unmarked(error: &DirectoryError, path: &str) -> String {
    match error.cause() {
        Errno::ROFS => format!(
            "the marker {path} cannot be made, since it is read-only there; an empty file of that name is enough: make \
             it where these files are written, or let `source` be a directory above it that can be written, and leave \
             out the rest of that with `filters`"
        ),
        Errno::ACCESS | Errno::PERM => format!(
            "the marker {path} may not be made by this user; an empty file of that name is enough: `sudo touch {path}`"
        ),
        _ => not_made(error),
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

/// What could not be made, and what to do about it.
fn not_made(error: &DirectoryError) -> String {
    let (path, cause) = (error.path(), error.cause());
    if cause == Errno::ROFS {
        let around = path.parent().unwrap_or(path).display();
        return format!(
            "{around} cannot be written: its filesystem is read-only; make the empty marker files (`touch {}` at a \
             source, `touch {}` at the root of its volume) where it can be, before a snapshot or an image is made \
             of it",
            layout::SOURCE_SENTINEL,
            layout::VOLUME_SENTINEL
        );
    }
    let advice = match cause {
        // A drive that was just formatted belongs to root.
        Errno::ACCESS | Errno::PERM => {
            "; let the user that runs nbkpd write to the directory above it: `sudo setfacl -m \
             u:USER:rwx DIRECTORY`, or `sudo chown USER DIRECTORY` if it is the root of a drive that was just formatted"
                .to_owned()
        }
        Errno::LOOP => behind_a_link(path),
        _ => String::new(),
    };
    format!("{}{advice}", could_not(error))
}

/// Links are not followed, since whoever makes one would say what is copied; a person may say where it leads.
fn behind_a_link(path: &Path) -> String {
    match files::leads_to(path) {
        Ok(target) => format!(
            ", since whoever makes one would say what is copied: give what it leads to a volume of its own, with \
             path = \"{}\"",
            target.display()
        ),
        Err(_) => "; it leads nowhere: remove it, or correct the subdirectory".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::config::{self, Context};
    use crate::model::{Damage, SentinelFault};

    #[test]
    fn nothing_is_made_where_nothing_is_to_be_made() {
        let place = tempfile::tempdir().unwrap();
        let text = format!(
            "[volumes]\nlaptop = {{ path = \"/home/a\" }}\ndisk = {{ path = \"{}\" }}\n\
             [syncs.documents]\nsource = \"laptop:Documents\"\ndestination = \"disk:theirs\"\nsnapshots = \"none\"\n",
            place.path().display()
        );
        let context = Context { file: "/config.toml".into(), home: "/home/a".into() };
        let sync = config::parse(&text, &context).unwrap().syncs.into_values().next().unwrap();
        let sight = VolumeSight::NotProven { root: place.path().into(), fault: SentinelFault::Missing };
        let seen = SyncAsSeen {
            sync: sync.clone(),
            source: sight.clone(),
            destination: sight.clone(),
            source_server: None,
            destination_server: None,
            last_success: None,
            damage: Damage::default(),
            turn: None,
            obstacles: Vec::new(),
            repositories: None,
            job: None,
        };
        std::fs::create_dir(place.path().join("theirs")).unwrap();
        std::fs::write(place.path().join("theirs/letter"), "their own").unwrap();
        let made = |intruding| prepare_here((&seen, intruding), (End::Destination, &sync.destination), &sight);
        let refused = made(Intruding::Refused);
        assert!(refused.taken.is_some_and(|(_, count)| count == 1) && refused.made.is_empty());
        assert!(!place.path().join(".nbkp-vol").exists());
        assert_eq!((made(Intruding::Allowed).made.len(), made(Intruding::Refused).already.len()), (2, 2));
    }

    #[test]
    fn advice_leads_on() {
        let told = |cause| not_made(&DirectoryError::Open("/srv/x".into(), cause));
        assert!(told(Errno::ACCESS).contains("sudo setfacl"));
        assert!(told(Errno::NOSPC).ends_with("(os error 28)"));
        let read_only = told(Errno::ROFS);
        assert!(
            read_only.starts_with("/srv cannot be written") && read_only.contains("touch .nbkp-src"),
            "{read_only}"
        );
        let place = tempfile::tempdir().unwrap();
        let (target, link) = (place.path().join("data"), place.path().join("link"));
        std::fs::create_dir(&target).unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let leads = super::not_made(&DirectoryError::Open(link, Errno::LOOP));
        assert!(leads.contains(&format!("path = \"{}\"", target.canonicalize().unwrap().display())), "{leads}");
        assert!(told(Errno::LOOP).contains("leads nowhere"));
    }

    #[test]
    fn what_somebody_else_has_there_is_told_from_what_was_begun() {
        let place = tempfile::tempdir().unwrap();
        let directory = Directory::open_root(place.path()).unwrap();
        let seen = |kind| {
            let mut made = Made::default();
            let vacancy = content(&directory, kind, Intruding::Refused, &mut made).unwrap();
            (vacancy, made.taken.map_or(0, |(_, count)| count))
        };
        for name in ["snapshots", "staging"] {
            std::fs::create_dir(place.path().join(name)).unwrap();
        }
        for name in ["latest", ".latest-new"] {
            std::os::unix::fs::symlink("/dev/null", place.path().join(name)).unwrap();
        }
        for name in ["..nbkp-dst.new", ".nbkp-probe"] {
            std::fs::write(place.path().join(name), "").unwrap();
        }
        assert_eq!(seen(SnapshotKind::HardLink), (Vacancy::Free, 0));
        assert_eq!(seen(SnapshotKind::None), (Vacancy::Taken, 4), "a mirror begins with none of these");
        std::fs::write(place.path().join("staging/theirs"), "").unwrap();
        assert_eq!(seen(SnapshotKind::Btrfs), (Vacancy::Taken, 1));
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
