//! The configuration in force, and what follows from it alone.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use crate::daemon::messages::ask::Refusal;
use crate::decide::obstacles;
use crate::decide::refs::span;
use crate::formats::similar::closest;
use crate::model::{
    Configuration, Drive, End, Mounting, Place, Places, Repositories, Server, ServerKey, Sync, SyncName, VolumeName,
    VolumeRoot, WhenDone, upstreams,
};

/// The configuration in force.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    file: PathBuf,
    configuration: Arc<Configuration>,
    /// For each sync those whose copies it reads.
    upstreams: BTreeMap<SyncName, BTreeSet<SyncName>>,
    /// Why the file as it is now is not in force.
    error: Option<String>,
}

impl Settings {
    pub(super) fn new(file: PathBuf, configuration: Arc<Configuration>) -> Self {
        Self { file, upstreams: upstreams(&configuration.syncs), configuration, error: None }
    }

    /// Puts another configuration in force, and returns the one before.
    pub(super) fn replace(&mut self, configuration: Arc<Configuration>) -> Arc<Configuration> {
        self.upstreams = upstreams(&configuration.syncs);
        std::mem::replace(&mut self.configuration, configuration)
    }

    /// The file has mistakes; what was in force stays so.
    pub(super) fn refuse(&mut self, mistakes: String) {
        self.error = Some(mistakes);
    }

    /// The file is as it is in force.
    pub(super) fn forget_error(&mut self) {
        self.error = None;
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    pub(super) fn configuration(&self) -> &Arc<Configuration> {
        &self.configuration
    }

    pub(super) fn upstreams(&self) -> &BTreeMap<SyncName, BTreeSet<SyncName>> {
        &self.upstreams
    }

    pub(super) fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// The syncs that read or write a volume.
    pub(super) fn users_of(&self, volume: &VolumeName) -> impl Iterator<Item = &Sync> {
        self.configuration.syncs.values().filter(move |sync| sync.uses(volume))
    }

    /// Whether the hook `before` of a sync may mount its source.
    pub(super) fn may_be_mounted(&self, sync: &Sync) -> bool {
        let root = self.configuration.volumes.get(&sync.source.volume).map(|volume| &volume.root);
        sync.hooks.before.is_some() && matches!(root, Some(VolumeRoot::Directory(_)))
    }

    /// What the configuration says of the drive that a volume is on.
    pub(super) fn drive(&self, volume: &VolumeName) -> Option<&Drive> {
        self.configuration.volumes.get(volume)?.root.drive()
    }

    /// What happens to the drive of a volume once nobody needs it.
    pub(super) fn when_done(&self, volume: &VolumeName) -> WhenDone {
        self.drive(volume).map_or(WhenDone::Leave, |drive| drive.when_done)
    }

    /// Whether a volume is on a drive that comes and goes: one of this machine, or one of a server that we open.
    pub(super) fn is_drive(&self, volume: &VolumeName) -> bool {
        let root = self.configuration.volumes.get(volume).map(|volume| &volume.root);
        root.and_then(VolumeRoot::drive).is_some_and(|drive| match root {
            Some(VolumeRoot::Server(_)) => drive.mounting != Mounting::Elsewhere,
            Some(VolumeRoot::Drive(_) | VolumeRoot::Directory(_)) | None => true,
        })
    }

    /// All volumes on the drive that a volume is on, itself among them: several may be directories of one drive of a
    /// server.
    pub(super) fn on_the_drive_of(&self, volume: &VolumeName) -> Vec<VolumeName> {
        let volumes = &self.configuration.volumes;
        let Some(drive) = volumes.get(volume).and_then(|volume| obstacles::drive_resource(&volume.root)) else {
            return vec![volume.clone()];
        };
        let is_on_it = |root| obstacles::drive_resource(root).as_ref() == Some(&drive);
        volumes.values().filter(|volume| is_on_it(&volume.root)).map(|volume| volume.name.clone()).collect()
    }

    /// The drive that stands for a sync: the one it writes to, or else the one it reads.
    pub(super) fn drive_of<'a>(&self, sync: &'a Sync) -> Option<&'a VolumeName> {
        [&sync.destination.volume, &sync.source.volume].into_iter().find(|volume| self.is_drive(volume))
    }

    pub(super) fn is_on_server(&self, volume: &VolumeName) -> bool {
        matches!(self.configuration.volumes.get(volume).map(|volume| &volume.root), Some(VolumeRoot::Server(_)))
    }

    /// The server that a volume is on.
    pub(super) fn server_of(&self, volume: &VolumeName) -> Option<ServerKey> {
        match &self.configuration.volumes.get(volume)?.root {
            VolumeRoot::Server(server) => Some(server.key()),
            VolumeRoot::Directory(_) | VolumeRoot::Drive(_) => None,
        }
    }

    /// The servers that a sync leads to.
    pub(super) fn servers_of_sync(&self, sync: &Sync) -> impl Iterator<Item = ServerKey> {
        [&sync.source.volume, &sync.destination.volume].into_iter().filter_map(|volume| self.server_of(volume))
    }

    /// The servers that these syncs lead to.
    pub(super) fn servers_of(&self, syncs: &[SyncName]) -> BTreeSet<ServerKey> {
        let syncs = syncs.iter().filter_map(|name| self.configuration.syncs.get(name));
        syncs.flat_map(|sync| self.servers_of_sync(sync)).collect()
    }

    /// The repositories that are fetched before a sync copies. What they delete is kept as long as any sync that copies
    /// them keeps anything.
    pub(super) fn repositories(&self, sync: &Sync, last_copied: Option<Timestamp>) -> Option<Repositories> {
        let source = &sync.source.volume;
        let urls = self.configuration.volumes.get(source)?.repositories.clone();
        let spans = self.users_of(source).filter(|user| user.source.volume == *source).map(|user| span(user.keep));
        // One that keeps all keeps it for ever.
        let kept_for = spans.collect::<Option<Vec<_>>>().and_then(|spans| spans.into_iter().max());
        Some(Repositories { urls, kept_for, last_copied }).filter(|repositories| !repositories.urls.is_empty())
    }

    /// What no two runs use at once.
    pub(super) fn resources(&self, sync: &Sync) -> BTreeSet<String> {
        let volumes = [&sync.source.volume, &sync.destination.volume];
        let known = volumes.iter().filter_map(|name| self.configuration.volumes.get(*name));
        known.flat_map(obstacles::exclusive_resources).collect()
    }

    /// Whether a sync reads or writes a volume of this kind.
    pub(super) fn leads_to(&self, sync: &Sync, is_one: impl Fn(&VolumeRoot) -> bool) -> bool {
        let volumes = [&sync.source.volume, &sync.destination.volume];
        let mut known = volumes.iter().filter_map(|name| self.configuration.volumes.get(*name));
        known.any(|volume| is_one(&volume.root))
    }

    /// Between which places a sync copies, whatever their volumes are called.
    pub(super) fn places(&self, sync: &Sync) -> Places {
        let root = |place: &Place| self.configuration.volumes.get(&place.volume).map(|volume| &volume.root);
        let written = |place: &Place| {
            let root = match root(place) {
                Some(VolumeRoot::Directory(path)) => path.display().to_string(),
                Some(VolumeRoot::Drive(drive)) => drive.uuid.to_string(),
                Some(VolumeRoot::Server(server)) => format!("server {}", server.path.display()),
                None => String::new(),
            };
            format!("{root}:{}", place.subdir.as_path().display())
        };
        let known_by = |end: End| match root(sync.place(end)) {
            Some(VolumeRoot::Server(server)) => Some((end, self.configuration.known_by(server))),
            Some(VolumeRoot::Directory(_) | VolumeRoot::Drive(_)) | None => None,
        };
        Places {
            roots: format!("{} -> {}", written(&sync.source), written(&sync.destination)),
            servers: [End::Source, End::Destination].into_iter().filter_map(known_by).collect(),
        }
    }

    /// The syncs that a person means; all if none are named.
    pub(super) fn resolve(&self, asked: &[SyncName]) -> Result<BTreeSet<SyncName>, Refusal> {
        let known = &self.configuration.syncs;
        if asked.is_empty() {
            return Ok(known.keys().cloned().collect());
        }
        let mut names = BTreeSet::new();
        for asked in asked {
            let meant: Vec<_> = known.keys().filter(|name| name.answers_to(asked)).cloned().collect();
            if meant.is_empty() {
                let close = closest(asked.as_str(), known.keys().map(SyncName::as_str));
                let close = close.iter().filter_map(|name| name.parse().ok()).collect();
                return Err(Refusal::UnknownSync(asked.clone(), close));
            }
            names.extend(meant);
        }
        Ok(names)
    }

    /// What the configuration says of the drive with the name of this volume, which must be on one.
    pub(super) fn drive_named(&self, volume: &VolumeName) -> Result<&Drive, Refusal> {
        self.check_volume(volume)?;
        self.drive(volume).ok_or_else(|| {
            let drives = self.configuration.volumes.keys().filter(|name| self.drive(name).is_some());
            Refusal::NoDrive(volume.clone(), drives.cloned().collect())
        })
    }

    /// Whether there is a volume of this name.
    pub(super) fn check_volume(&self, volume: &VolumeName) -> Result<(), Refusal> {
        let known = &self.configuration.volumes;
        if known.contains_key(volume) {
            return Ok(());
        }
        let close = closest(volume.as_str(), known.keys().map(VolumeName::as_str));
        Err(Refusal::UnknownVolume(volume.clone(), close.iter().filter_map(|name| name.parse().ok()).collect()))
    }
}

/// Whether a volume is where it was: what was seen of another place tells nothing of the one that has its name now.
pub(super) fn leads_to_the_same(before: &Configuration, after: &Configuration, name: &VolumeName) -> bool {
    match (before.volumes.get(name).map(|volume| &volume.root), after.volumes.get(name).map(|volume| &volume.root)) {
        (Some(VolumeRoot::Drive(before)), Some(VolumeRoot::Drive(after))) => before.uuid == after.uuid,
        (Some(VolumeRoot::Server(before)), Some(VolumeRoot::Server(after))) => {
            let uuid = |server: &Server| server.drive.as_ref().map(|drive| drive.uuid.clone());
            (&before.endpoints, &before.path, uuid(before)) == (&after.endpoints, &after.path, uuid(after))
        }
        (before, after) => before == after,
    }
}
