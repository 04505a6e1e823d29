//! What is looked at in the filesystem: the configuration, the state, programs, keys, mount points.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::daemon::inlets::reader::{self, Unreadable};
use crate::daemon::serving::doctor::premises::Premises;
use crate::daemon::world::Initiative;
use crate::decide::diagnosis::{daemon as judge, drives, state as state_of, tools, volumes};
use crate::formats::rsync::version;
use crate::model::{
    CredentialProvider, Examined, FileInForce, FileSight, Filter, Obstacle, ProgramVersion, SnapshotKind, Sync,
    VolumeRoot, layout,
};
use crate::os::causes::chain;
use crate::os::config_file::ConfigFileError;
use crate::os::directory::{Directory, Kind, Reach};
use crate::os::files as os_files;
use crate::os::outside::{self, OutsideError};
use crate::os::process::Ended;
use crate::os::{fstab, guards, held, history_check, mounts, programs, service, state_dir, telling};

/// The configuration file, and the socket.
pub(crate) fn daemon(known: &Premises) -> Vec<Examined> {
    let file = &known.status.config;
    let says = match reader::read_file(file, &known.paths.home) {
        Ok(read) if read == known.configuration => FileInForce::Same,
        Ok(_) => FileInForce::Other,
        Err(Unreadable::File(ConfigFileError::Untrusted(..))) => FileInForce::Untrusted,
        Err(unreadable) => FileInForce::Broken(unreadable.sentence()),
    };
    let around = |path: &Path| guards::inspect(path.parent().unwrap_or(Path::new("/")));
    let sights = (guards::inspect(file), around(file));
    let mut examined = vec![judge::configuration(file, (&sights.0, &sights.1), &says, &service::command("reload"))];
    if known.initiative == Initiative::Own {
        let socket = &known.paths.socket;
        examined.push(judge::socket(socket, &guards::inspect(socket), &around(socket), &service::command("restart")));
    }
    examined
}

/// The state directory.
pub(crate) fn state(known: &Premises) -> Vec<Examined> {
    let path = &known.paths.state_dir;
    let sight = guards::inspect(path);
    // A daemon makes it when it starts; that one works without is told below.
    if known.initiative == Initiative::Never && sight == FileSight::Missing {
        let makeable = state_dir::prove_makeable(path).map_err(|error| error.to_string());
        return vec![state_of::directory_to_come(path, &makeable)];
    }
    let written = state_dir::prove_writable(path).map_err(|error| error.to_string());
    vec![state_of::directory(path, &sight, &written, state_dir::room(path))]
}

/// The history.
pub(crate) fn history_file(known: &Premises) -> Vec<Examined> {
    let path = &known.paths.state_dir;
    vec![state_of::history_file(&path.join("history.db"), &history_check::quick_check(path))]
}

/// What people decided.
pub(crate) fn ledger(known: &Premises) -> Vec<Examined> {
    let read = state_dir::read_ledger(&known.paths.state_dir);
    vec![state_of::ledger(&read.map(drop).map_err(|error| chain(&error)))]
}

/// What a killed daemon left open. One that runs has taken it over.
pub(crate) fn left_open(known: &Premises) -> Vec<Examined> {
    if known.initiative != Initiative::Never || guards::inspect(&known.paths.state_dir) == FileSight::Missing {
        return Vec::new();
    }
    let (held, faults) = held::peek(&known.paths.state_dir);
    let start = service::command("start");
    let known = held.iter().map(|held| drives::left_open(held, &start));
    known.chain(faults.iter().map(|fault| drives::left_unknown(&chain(fault)))).collect()
}

/// rsync, ssh, git, and the programs of hooks.
pub(crate) fn programs(known: &Premises) -> Vec<Examined> {
    let mut examined = vec![tools::rsync(programs::find_program("rsync").map(rsync_version).as_ref())];
    let has_server = known.configuration.volumes.values().any(|volume| matches!(volume.root, VolumeRoot::Server(_)));
    if has_server {
        let found = programs::find_program("ssh");
        examined.push(tools::program("ssh", "openssh-client", found.as_deref(), "leads to servers"));
    }
    if known.configuration.volumes.values().any(|volume| !volume.repositories.is_empty()) {
        let found = programs::find_program("git");
        examined.push(tools::program("git", "git", found.as_deref(), "fetches repositories"));
    }
    let command = match &known.configuration.credentials {
        CredentialProvider::Command(command) => command.first().and_then(|word| programs::find_program(word)),
        CredentialProvider::SecretService | CredentialProvider::File | CredentialProvider::Environment => None,
    };
    let has_programs = command.is_some() || enabled(known).any(|sync| sync.hooks.named().next().is_some());
    let confined = match has_programs.then(outside::try_one) {
        Some(Err(OutsideError::Refused(why))) => Some(why),
        Some(Ok(()) | Err(OutsideError::Unlimited)) | None => None,
    };
    for sync in enabled(known) {
        examined.extend(sync.hooks.named().map(|(when, command)| {
            let found = programs::find_program(&command.program);
            tools::hook(&sync.name, when, &command.program, (found.as_deref(), confined.as_deref()))
        }));
    }
    examined.extend(command.zip(confined).map(|(program, why)| tools::passphrase_command(&program, &why)));
    examined
}

fn enabled(known: &Premises) -> impl Iterator<Item = &Sync> {
    known.configuration.syncs.values().filter(|sync| sync.enabled)
}

fn rsync_version(program: PathBuf) -> Result<ProgramVersion, String> {
    let environment = vec![("LC_ALL".to_owned(), OsString::from("C"))];
    let (ended, said) = telling::told(program, vec!["--version".into()], environment)?;
    let said = String::from_utf8_lossy(&said);
    match (ended, version::of(&said)) {
        (Ended::Code(0), Some(version)) => Ok(version),
        (Ended::Code(0), None) => Err(format!("it says {:?}", said.lines().next().unwrap_or_default())),
        (Ended::Code(code), _) => Err(format!("it ended with code {code}")),
        (Ended::Signal(signal), _) => Err(format!("it was ended by signal {signal}, or took too long")),
    }
}

/// Private keys of endpoints, and files of filters.
pub(crate) fn files(known: &Premises) -> Vec<Examined> {
    let keys: BTreeSet<&PathBuf> =
        known.configuration.endpoints.values().filter_map(|endpoint| endpoint.key.as_ref()).collect();
    let mut examined: Vec<_> = keys.into_iter().map(|key| tools::key(key, &guards::inspect(key))).collect();
    let mut filters = BTreeMap::new();
    for sync in enabled(known) {
        let merged = sync.filters.iter().filter_map(|filter| match filter {
            Filter::Merge(file) => Some(file),
            Filter::Exclude(_) | Filter::Include(_) | Filter::DirMerge(_) | Filter::Rule(_) => None,
        });
        for file in merged.chain(&sync.filter_file) {
            filters.entry(file).or_insert(&sync.name);
        }
    }
    examined.extend(filters.into_iter().map(|(file, sync)| tools::filter_file(sync, file, &guards::inspect(file))));
    examined
}

/// The volumes that lie at or below a mount point of `/etc/fstab` where nothing is mounted.
pub(crate) fn mount_points(known: &Premises) -> Vec<Examined> {
    let lines = fstab::lines();
    let Ok(table) = mounts::read() else { return Vec::new() };
    // What is mounted between the two is as good.
    let is_mounted = |point: &Path, path: &Path| {
        table.iter().any(|mount| mount.point.starts_with(point) && path.starts_with(&mount.point))
    };
    let mut examined = Vec::new();
    for volume in known.configuration.volumes.values() {
        let VolumeRoot::Directory(path) = &volume.root else { continue };
        let below = lines.iter().filter(|line| path.starts_with(&line.point));
        let nearest = below.max_by_key(|line| line.point.components().count());
        if let Some(line) = nearest.filter(|line| !is_mounted(&line.point, path))
            && guards::inspect(&line.point) != FileSight::Missing
        {
            examined.push(volumes::bare_point(volume.name.as_str(), &line.point, guards::bare_point(&line.point)));
        }
    }
    examined
}

/// Destinations here that are proven, and on which no snapshot was made yet: whether they can hold any.
pub(crate) fn destinations(known: &Premises) -> Vec<Examined> {
    let wanted =
        known.configuration.syncs.values().filter(|sync| sync.enabled && sync.snapshots == SnapshotKind::HardLink);
    wanted.filter_map(|sync| destination(known, sync)).collect()
}

fn destination(known: &Premises, sync: &Sync) -> Option<Examined> {
    let place = &sync.destination;
    if matches!(known.configuration.volumes.get(&place.volume)?.root, VolumeRoot::Server(_)) {
        return None;
    }
    let volume = known.status.volumes.iter().find(|volume| volume.name == place.volume)?;
    let seen = known.status.syncs.iter().find(|seen| seen.name == sync.name)?;
    // It is tried by writing: only where a run would.
    let waits = |it: &Obstacle| matches!(it, Obstacle::BackingOff { .. } | Obstacle::PutOff { .. });
    let is_free = |obstacles: &[Obstacle]| obstacles.iter().all(waits);
    if !is_free(&volume.obstacles) || !is_free(&seen.obstacles) {
        return None;
    }
    let root = Directory::open_root(volume.path.as_ref()?).ok()?;
    let directory = root.open_below(place.subdir.as_path(), Reach::SameMount).ok()?;
    let is = |name, kind| directory.kind_of(name).is_ok_and(|found| found == kind);
    if !is(layout::DESTINATION_SENTINEL, Kind::File) || is(layout::LATEST, Kind::Link) {
        return None;
    }
    let lacks = os_files::lacks_for_snapshots(&directory).ok()?;
    (!lacks.is_empty()).then(|| volumes::unsupported(&sync.name, directory.path(), &lacks))
}
