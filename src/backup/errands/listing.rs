//! Snapshots: which there are, why each stays or goes, and letting them go.

use std::os::fd::AsFd as _;
use std::path::Path;

use crate::backup::errands::there::Far;
use crate::backup::errands::{Prospect, Pruning, sentence, sentences};
use crate::backup::job::RemoteEnd;
use crate::backup::snapshots::prune::{PruneError, Victim, prune_at, victims};
use crate::backup::snapshots::shelf::snapshots_at;
use crate::decide::retention::{self, Candidate, Verdict};
use crate::formats::sentinel;
use crate::formats::wire::{PrunedSnapshot, SnapshotEntry};
use crate::model::{Conclusion, End, Keep, Obstacle, PresentVolume, SnapshotKind, Standing, VolumeSight};
use crate::os::confine::confine_writes;
use crate::os::directory::{Directory, DirectoryError, Reach};
use crate::os::machine::{self, DeviceState};
use crate::os::ssh::SshPlace;
use crate::os::{clock, files};

/// The snapshots of a sync with the rules that keep them; none where it keeps no snapshots.
pub(crate) fn list(prospect: &Prospect, ssh: &SshPlace) -> Result<Vec<SnapshotEntry>, String> {
    if prospect.sync.snapshots == SnapshotKind::None {
        return Ok(Vec::new());
    }
    if let Some(server) = &prospect.destination_server {
        let far = Far::open(&prospect.sync, server, ssh);
        let far = far.map_err(|conclusion| sentence(&conclusion, &prospect.sync.name))?;
        return Ok(entries(prospect, &far.snapshots(), |name| far.shown(name)));
    }
    let Opened { directory, finished, .. } = read(prospect)?;
    let path = |name: &str| directory.path_of("snapshots").join(name).display().to_string();
    Ok(entries(prospect, &finished, path))
}

fn entries(prospect: &Prospect, finished: &[Candidate], path: impl Fn(&str) -> String) -> Vec<SnapshotEntry> {
    let now = clock::now();
    let decisions = retention::plan(finished, prospect.sync.keep, &now.zone, now.wall);
    let entry = |decision: &retention::Decision| {
        let name = decision.name.to_string();
        let keep = match &decision.verdict {
            Verdict::Keep(reasons) => reasons.iter().map(ToString::to_string).collect(),
            Verdict::Prune(_) => Vec::new(),
        };
        let standing = finished.iter().find(|snapshot| snapshot.name == decision.name).map(|found| found.standing);
        SnapshotEntry {
            sync: prospect.sync.name.to_string(),
            path: path(&name),
            name,
            keep,
            standing: match standing {
                Some(Standing::Good) | None => "good".into(),
                Some(Standing::Partial) => "partial".into(),
                Some(Standing::Suspect) => "suspect".into(),
            },
        }
    };
    decisions.iter().map(entry).collect()
}

/// A destination with its snapshots.
struct Opened<'a> {
    present: &'a PresentVolume,
    root: Directory,
    directory: Directory,
    finished: Vec<Candidate>,
}

/// Opens the destination as the last look found it. To read it, it need not be proven.
fn read(prospect: &Prospect) -> Result<Opened<'_>, String> {
    let VolumeSight::Present(present) = &prospect.destination else {
        return Err(sentences(&prospect.obstacles, &prospect.sync.name));
    };
    let root = Directory::open_root(&present.root).map_err(|error| told(&error))?;
    let below: &Path = prospect.sync.destination.subdir.as_path();
    let directory = root.open_below(below, Reach::SameMount).map_err(|error| told(&error))?;
    let finished = snapshots_at(&directory).map_err(|error| told(&error))?;
    Ok(Opened { present, root, directory, finished })
}

/// Proves that what is open is what the last look saw. Other destinations may have been pruned since, which takes its
/// time; another drive may be mounted there by now.
fn prove(opened: &Opened<'_>) -> Result<(), String> {
    let Opened { present, root, directory, .. } = opened;
    let another = || format!("{} is not what it was at the last look; try again", root.path().display());
    let medium = match present.device.map(machine::device_state) {
        Some(DeviceState::Present(number)) => number,
        Some(DeviceState::Gone) => return Err(another()),
        None => present.disk_seq,
    };
    let id = |place: &Directory, name| {
        let read = files::read_small(place, name, sentinel::LIMIT);
        read.ok().and_then(|bytes| sentinel::parse(&bytes).ok()).ok_or_else(another)
    };
    let same_mount = root.identity().map_err(|error| told(&error))?.mount == present.mount;
    let same_medium = present.disk_seq.is_none() || medium.is_none() || medium == present.disk_seq;
    if !same_mount || !same_medium || id(root, ".nbkp-vol")? != present.id {
        return Err(another());
    }
    id(directory, ".nbkp-dst").map(drop)
}

/// Deletes the snapshots that no rule wants, or only tells which they are. Also returns what could not be done.
pub(crate) fn prune(prospect: &Prospect, pruning: Pruning, ssh: &SshPlace) -> (Vec<PrunedSnapshot>, Vec<String>) {
    if prospect.sync.snapshots == SnapshotKind::None || prospect.sync.keep == Keep::All {
        return (Vec::new(), Vec::new());
    }
    if let Some(server) = &prospect.destination_server {
        return match prune_there(prospect, pruning, server, ssh) {
            Ok(done) => done,
            Err(message) => (Vec::new(), vec![message]),
        };
    }
    let opened = match read(prospect) {
        Ok(read) => read,
        Err(message) => return (Vec::new(), vec![message]),
    };
    let now = clock::now();
    let entry = |name: String, reason: String, removed| PrunedSnapshot {
        sync: prospect.sync.name.to_string(),
        path: opened.directory.path_of("snapshots").join(&name).display().to_string(),
        name,
        reason,
        removed,
    };
    let victims = victims(&opened.finished, prospect.sync.keep, &now);
    if pruning == Pruning::Pretended {
        return (victims.into_iter().map(|v| entry(v.name.to_string(), v.reason, false)).collect(), Vec::new());
    }
    match delete(prospect, &opened, &victims) {
        Ok(warnings) => {
            let left = snapshots_at(&opened.directory).unwrap_or_default();
            let gone = |name| !left.iter().any(|snapshot| snapshot.name == name);
            let pruned = victims.into_iter().map(|v| entry(v.name.to_string(), v.reason, gone(v.name)));
            (pruned.collect(), warnings)
        }
        Err(message) => (Vec::new(), vec![message]),
    }
}

/// The same at a server.
fn prune_there(
    prospect: &Prospect,
    pruning: Pruning,
    server: &RemoteEnd,
    ssh: &SshPlace,
) -> Result<(Vec<PrunedSnapshot>, Vec<String>), String> {
    let told = |conclusion: Conclusion| sentence(&conclusion, &prospect.sync.name);
    let mut far = Far::open(&prospect.sync, server, ssh).map_err(told)?;
    let victims = victims(&far.snapshots(), prospect.sync.keep, &clock::now());
    let mut warnings = Vec::new();
    if pruning == Pruning::Real {
        forbidden(prospect)?;
        let names: Vec<_> = victims.iter().map(|victim| victim.name).collect();
        warnings = far.delete(&names).map_err(told)?;
    }
    // A name that a warning tells of is still there.
    let gone = |name: &str| pruning == Pruning::Real && !warnings.iter().any(|warning| warning.contains(name));
    let entry = |victim: Victim| {
        let name = victim.name.to_string();
        PrunedSnapshot {
            sync: prospect.sync.name.to_string(),
            path: far.shown(&name),
            removed: gone(&name),
            reason: victim.reason,
            name,
        }
    };
    Ok((victims.into_iter().map(entry).collect(), warnings.clone()))
}

/// Deletes the victims at a destination that proves itself. The thread that does it is confined to it for good.
fn delete(prospect: &Prospect, opened: &Opened<'_>, victims: &[Victim]) -> Result<Vec<String>, String> {
    forbidden(prospect)?;
    prove(opened)?;
    confine_writes(opened.directory.as_fd()).map_err(|error| format!("could not {error}"))?;
    prune_at(&opened.directory, victims, &prospect.sync.name).map_err(|error| match error {
        PruneError::Taken(path) => {
            format!(
                "another process works at the destination: {} is taken; try again when it has ended",
                path.display()
            )
        }
        PruneError::Directory(error) => told(&error),
    })
}

/// What forbids that anything is deleted at the destination.
fn forbidden(prospect: &Prospect) -> Result<(), String> {
    let forbids = |obstacle: &&Obstacle| match obstacle {
        Obstacle::Sentinel { end, .. } | Obstacle::SentinelMismatch { end, .. } => *end == End::Destination,
        Obstacle::VolumeHeld { volume }
        | Obstacle::DeviceUnknown { volume, .. }
        | Obstacle::ReadOnly { volume, .. } => *volume == prospect.sync.destination.volume,
        Obstacle::DuplicateUuid { .. } | Obstacle::NotEncrypted { .. } => true,
        Obstacle::Disabled
        | Obstacle::VolumeAbsent { .. }
        | Obstacle::DirectoryMissing { .. }
        | Obstacle::SourceIsEmpty { .. }
        | Obstacle::NoSnapshotYet { .. }
        | Obstacle::NotMounted { .. }
        | Obstacle::Locked { .. }
        | Obstacle::NotOpened { .. }
        | Obstacle::OutsideHours(_)
        | Obstacle::Metered { .. }
        | Obstacle::Battery { .. }
        | Obstacle::NotBtrfs { .. }
        | Obstacle::NoSpace { .. }
        | Obstacle::UpstreamFailed { .. }
        | Obstacle::Held(_)
        | Obstacle::Paused { .. }
        | Obstacle::BackingOff { .. }
        | Obstacle::LockTaken { .. }
        | Obstacle::ToolMissing { .. } => false,
    };
    let forbidding: Vec<Obstacle> = prospect.obstacles.iter().filter(forbids).cloned().collect();
    if forbidding.is_empty() { Ok(()) } else { Err(sentences(&forbidding, &prospect.sync.name)) }
}

fn told(error: &DirectoryError) -> String {
    format!("could not {error}: {}", std::io::Error::from(error.cause()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use crate::formats::config::{self, Context};
    use crate::model::{Access, MountId, Sync};

    use super::*;

    const CONFIG: &str = r#"
        [volumes]
        laptop = { path = "/home/a" }
        disk = { path = "/srv" }
        [syncs.documents]
        source = "laptop:Documents"
        destination = "disk:documents"
        snapshots = "hard-link"
        keep = { last = 1 }
    "#;

    fn sync() -> Sync {
        let context = Context { file: "/config.toml".into(), home: "/home/a".into() };
        config::parse(CONFIG, &context).unwrap().syncs.into_values().next().unwrap()
    }

    /// A volume with three snapshots, as a look saw it.
    fn volume() -> (tempfile::TempDir, PresentVolume) {
        let place = tempfile::tempdir().unwrap();
        let copies = place.path().join("documents");
        for name in [".nbkp", "snapshots/2026-11-20T00:00:00.000Z", "snapshots/2026-11-21T00:00:00.000Z"] {
            fs::create_dir_all(copies.join(name)).unwrap();
        }
        fs::write(place.path().join(".nbkp-vol"), "id = \"0f5e1d2c\"\n").unwrap();
        fs::write(copies.join(".nbkp-dst"), "").unwrap();
        let present = PresentVolume {
            root: PathBuf::from(place.path()),
            mount: Directory::open_root(place.path()).unwrap().identity().unwrap().mount,
            access: Access::ReadWrite,
            fs_type: "ext4".into(),
            disk_seq: None,
            hardware: None,
            device: None,
            id: sentinel::parse(b"id = \"0f5e1d2c\"\n").unwrap(),
        };
        (place, present)
    }

    fn pruned(present: &PresentVolume) -> (usize, Vec<String>) {
        let destination = VolumeSight::Present(present.clone());
        let source = destination.clone();
        let prospect = Prospect {
            sync: sync(),
            source,
            destination,
            source_server: None,
            destination_server: None,
            obstacles: Vec::new(),
            job: None,
        };
        // On a thread of its own, since it confines itself.
        let (gone, problems) =
            std::thread::spawn(move || prune(&prospect, Pruning::Real, &SshPlace::new("/nowhere".into())))
                .join()
                .unwrap();
        (gone.iter().filter(|snapshot| snapshot.removed).count(), problems)
    }

    #[test]
    fn nothing_is_pruned_at_another_place_than_the_one_that_was_seen() {
        let (place, present) = volume();
        let another = PresentVolume { mount: MountId(present.mount.0 + 1), ..present.clone() };
        assert_eq!(pruned(&another).1.len(), 1);
        let another = PresentVolume { id: None, ..present.clone() };
        assert_eq!(pruned(&another).1.len(), 1);
        let sentinel = place.path().join("documents/.nbkp-dst");
        fs::remove_file(&sentinel).unwrap();
        assert_eq!(pruned(&present).1.len(), 1);
        assert_eq!(fs::read_dir(place.path().join("documents/snapshots")).unwrap().count(), 2);
        fs::write(&sentinel, "").unwrap();
        assert_eq!(pruned(&present), (1, Vec::new()));
    }
}
