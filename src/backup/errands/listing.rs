//! Snapshots: which there are, why each stays or goes, and letting them go.

use std::collections::BTreeMap;
use std::os::fd::AsFd as _;

use crate::backup::errands::weights::weights;
use crate::backup::failure::could_not;
use crate::backup::job::{SyncAsSeen, sentence};
use crate::backup::place::copies::{Copies, HereCopies, have_history};
use crate::backup::session::stop::{self, Stops};
use crate::backup::snapshots::listing::doubted;
use crate::backup::snapshots::prune::{PruneError, Victim, prune_at, victims};
use crate::decide::forecast;
use crate::decide::retention::{self, Fate};
use crate::formats::sentinel;
use crate::formats::text::obstacle_sentences;
use crate::formats::wire::{Moment, PrunedSnapshot, SnapshotEntry};
use crate::model::layout::{self, DESTINATION_SENTINEL, VOLUME_SENTINEL};
use crate::model::{End, NotDone, Obstacle, Pruning, Retention, Standing, VolumeSight, Weighing};
use crate::os::causes::chain;
use crate::os::confine::confine_writes;
use crate::os::directory::Directory;
use crate::os::machine::{self, DeviceState};
use crate::os::ssh::SshPlace;
use crate::os::{clock, files};

/// The snapshots of a sync with the rules that keep them, and what they weigh if that is wanted; none where it keeps no
/// snapshots.
pub fn list(seen: &SyncAsSeen, weighing: Weighing, ssh: &SshPlace) -> Result<Vec<SnapshotEntry>, String> {
    if !have_history(seen.sync.snapshots) {
        return Ok(Vec::new());
    }
    let copies = Copies::open(seen, ssh, &mut patience()?)?;
    let finished = doubted(copies.finished(), &seen.damage.snapshots);
    let now = clock::now();
    let decisions = retention::plan(&finished, seen.sync.keep, &now.zone, now.wall);
    let departures = forecast::departures(&finished, seen.sync.keep, &now.zone, now.wall);
    let names: Vec<_> = decisions.iter().map(|decision| decision.name).collect();
    let weights = match (weighing, &copies) {
        (Weighing::Wanted, Copies::Here(here)) => weights(here, seen.sync.snapshots, &names),
        // A server is not asked: it takes as long as a walk through each of them.
        (Weighing::Wanted, Copies::There(_)) | (Weighing::Unwanted, _) => BTreeMap::new(),
    };
    let entry = |decision: &retention::Decision| {
        let weight = weights.get(&decision.name).copied().unwrap_or_default();
        let name = decision.name.to_string();
        let keep = match &decision.verdict {
            Fate::Keep(reasons) => reasons.iter().map(|reason| (*reason).into()).collect(),
            Fate::Prune(_) => Vec::new(),
        };
        let standing = finished.iter().find(|snapshot| snapshot.name == decision.name).map(|found| found.standing);
        SnapshotEntry {
            sync: seen.sync.name.to_string(),
            path: shown(&copies, &name),
            name,
            keep,
            standing: Some(standing.unwrap_or(Standing::Good).into()),
            goes: departures.get(&decision.name).copied().map(Moment),
            frees: weight.frees,
            new: weight.new,
        }
    };
    Ok(decisions.iter().map(entry).collect())
}

/// Deletes the snapshots that no rule wants, or only tells which they are. Also returns what could not be done.
#[must_use]
pub fn prune(seen: &SyncAsSeen, mode: Pruning, ssh: &SshPlace) -> (Vec<PrunedSnapshot>, Vec<String>) {
    if !have_history(seen.sync.snapshots) || seen.sync.keep == Retention::All {
        return (Vec::new(), Vec::new());
    }
    pruned(seen, mode, ssh).unwrap_or_else(|message| (Vec::new(), vec![message]))
}

fn pruned(seen: &SyncAsSeen, mode: Pruning, ssh: &SshPlace) -> Result<(Vec<PrunedSnapshot>, Vec<String>), String> {
    let mut stops = patience()?;
    let copies = Copies::open(seen, ssh, &mut stops)?;
    let victims = victims(&doubted(copies.finished(), &seen.damage.snapshots), seen.sync.keep, &clock::now());
    let warnings = match mode {
        Pruning::Pretended => Vec::new(),
        Pruning::Real => {
            forbidden(seen)?;
            delete(&copies, seen, &victims, &mut stops)?
        }
    };
    // A name that a warning tells of is still there.
    let gone = |name: &str| mode == Pruning::Real && !warnings.iter().any(|warning| warning.contains(name));
    let entry = |victim: Victim| {
        let name = victim.name.to_string();
        PrunedSnapshot {
            sync: seen.sync.name.to_string(),
            path: shown(&copies, &name),
            removed: gone(&name),
            reason: victim.reason,
            name,
        }
    };
    Ok((victims.into_iter().map(entry).collect(), warnings.clone()))
}

/// Nobody stops an errand: each of its steps has a deadline.
fn patience() -> Result<Stops, String> {
    stop::pair().map(|(_teller, stops)| stops).map_err(|cause| format!("could not start: {cause}"))
}

/// Where a snapshot of this name lies, for people.
fn shown(copies: &Copies, name: &str) -> String {
    copies.shown(&layout::in_snapshots(name))
}

/// Deletes the victims under the lock of the destination, which proves itself. Returns what could not be deleted.
fn delete(copies: &Copies, seen: &SyncAsSeen, victims: &[Victim], stops: &mut Stops) -> Result<Vec<String>, String> {
    match copies {
        Copies::Here(here) => delete_here(here, seen, victims),
        Copies::There(far) => {
            let names: Vec<_> = victims.iter().map(|victim| victim.name).collect();
            far.delete(&names, stops).map_err(|why: NotDone| sentence(&why, &seen.sync.name))
        }
    }
}

/// Proves that what is open is what the last look saw. Other destinations may have been pruned since, which takes its
/// time; another drive may be mounted there by now.
fn prove(copies: &HereCopies, seen: &SyncAsSeen) -> Result<(), String> {
    let HereCopies { root, directory, .. } = copies;
    let VolumeSight::Present(present) = &seen.destination else {
        return Err(obstacle_sentences(&seen.obstacles, &seen.sync.name));
    };
    let another = || format!("{} is not what it was at the last look; try again", root.path().display());
    let medium = match present.device.map(machine::device_state) {
        Some(DeviceState::Present(number)) => number,
        Some(DeviceState::Gone) => return Err(another()),
        None => present.disk_seq,
    };
    let id = |place: &Directory, name| {
        let read = files::read_small(place, name, sentinel::LIMIT);
        read.ok().and_then(|bytes| sentinel::id(&bytes).ok()).ok_or_else(another)
    };
    let same_mount = root.identity().map_err(|error| could_not(&error))?.mount == present.mount;
    let same_medium = present.disk_seq.is_none() || medium.is_none() || medium == present.disk_seq;
    if !same_mount || !same_medium || id(root, VOLUME_SENTINEL)? != present.id {
        return Err(another());
    }
    id(directory, DESTINATION_SENTINEL).map(drop)
}

/// Deletes the victims at a destination on this machine that proves itself. The thread that does it is confined to it
/// for good.
fn delete_here(copies: &HereCopies, seen: &SyncAsSeen, victims: &[Victim]) -> Result<Vec<String>, String> {
    prove(copies, seen)?;
    confine_writes(copies.directory.as_fd()).map_err(|error| format!("could not {}", chain(&error)))?;
    prune_at(&copies.directory, victims).map_err(|error| match error {
        PruneError::Taken(path) => {
            format!(
                "another process works at the destination: {} is taken; try again when it has ended",
                path.display()
            )
        }
        PruneError::Directory(error) => could_not(&error),
    })
}

/// What forbids that anything is deleted at the destination.
fn forbidden(seen: &SyncAsSeen) -> Result<(), String> {
    let forbids = |obstacle: &&Obstacle| match obstacle {
        Obstacle::Sentinel { end, .. } | Obstacle::SentinelMismatch { end, .. } => *end == End::Destination,
        Obstacle::VolumeHeld { volume, .. }
        | Obstacle::DeviceUnknown { volume, .. }
        | Obstacle::ReadOnly { volume, .. } => *volume == seen.sync.destination.volume,
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
        | Obstacle::LayoutMismatch(..)
        | Obstacle::NotBtrfs { .. }
        | Obstacle::NoSpace { .. }
        | Obstacle::UpstreamFailed { .. }
        | Obstacle::Held(_)
        | Obstacle::Unrestored(_)
        | Obstacle::Paused { .. }
        | Obstacle::BackingOff { .. }
        | Obstacle::PutOff { .. }
        | Obstacle::LockTaken { .. }
        | Obstacle::Stuck(_)
        | Obstacle::ToolMissing { .. }
        | Obstacle::ToolOutdated { .. } => false,
    };
    let forbidding: Vec<Obstacle> = seen.obstacles.iter().filter(forbids).cloned().collect();
    if forbidding.is_empty() { Ok(()) } else { Err(obstacle_sentences(&forbidding, &seen.sync.name)) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use crate::formats::config::{self, Context};
    use crate::model::{Access, MountId, PresentVolume, Sync};

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
            unclean: None,
            device: None,
            id: sentinel::id(b"id = \"0f5e1d2c\"\n").unwrap(),
        };
        (place, present)
    }

    fn pruned(present: &PresentVolume) -> (usize, Vec<String>) {
        let destination = VolumeSight::Present(present.clone());
        let source = destination.clone();
        let prospect = SyncAsSeen {
            sync: sync(),
            source,
            destination,
            source_server: None,
            destination_server: None,
            last_success: None,
            damage: crate::model::Damage::default(),
            turn: None,
            obstacles: Vec::new(),
            repositories: None,
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
