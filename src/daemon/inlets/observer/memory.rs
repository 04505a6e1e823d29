//! What the observer remembers, and what follows from it: which volumes and ends a look has to touch.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::daemon::messages::look::{LookCause, LookRequest, Observation, Part, Scope};
use crate::decide::presence::{DrivePresence, MountTree, sight_of_drive};
use crate::model::{
    Absence, BlockDevice, Configuration, Containers, DeviceRole, DriveUuid, EndKind, EndProbe, EndSight, Hardware,
    Mount, MountId, Node, SyncName, SyncSight, Unclean, VolumeName, VolumeRoot, VolumeSight,
};
use crate::os::causes::chain;
use crate::os::fstab;
use crate::os::luks::Headers;
use crate::os::mounts;
use crate::os::probe::{DriveMount, Probed, VolumeProbe};

/// What is known of all volumes and syncs of a configuration.
#[derive(Debug, Default)]
pub(crate) struct LookMemory {
    configuration: Option<Arc<Configuration>>,
    /// The ends of syncs, by their volumes.
    ends: BTreeMap<VolumeName, Vec<Arc<EndProbe>>>,
    containers: Arc<Containers>,
    devices: Vec<BlockDevice>,
    devices_fault: Option<String>,
    headers: Headers,
    /// The mounts whose filesystems should be checked.
    unclean: BTreeMap<MountId, Unclean>,
    mounts: Arc<Vec<Mount>>,
    mounts_fault: Option<String>,
    /// The points of mounts that came, went or changed since the look before this one.
    changed: BTreeSet<PathBuf>,
    volumes: BTreeMap<VolumeName, Known>,
    syncs: BTreeMap<SyncName, SyncSight>,
    /// The volumes that do not answer, and where. They are not touched again while they would be touched there.
    silent: BTreeMap<VolumeName, Way>,
    fresh_volumes: BTreeSet<VolumeName>,
    fresh_syncs: BTreeSet<SyncName>,
}

/// What is known of a volume.
#[derive(Debug)]
struct Known {
    /// Where it was looked at; `None` if it was known without.
    way: Option<Way>,
    real_root: Option<PathBuf>,
    sight: VolumeSight,
}

/// Where a volume is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Way {
    root: PathBuf,
    /// The mount that the root seems to lie on: once a dead one is unmounted, the volume is not silent any more.
    mount: Option<MountId>,
    drive: Option<DriveMount>,
    /// Where else the drive is mounted.
    others: Vec<(PathBuf, MountId)>,
}

/// How devices and mounts say that a volume stands.
enum Finding {
    /// It has to be looked at there.
    At(Way),
    /// This is all there is to know.
    Known(VolumeSight),
    /// It is on a server, which a look does not reach.
    NotHere,
}

/// A volume to look at.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    way: Way,
    /// What to look at there.
    pub(crate) probe: VolumeProbe,
}

impl LookMemory {
    /// Begins a look.
    pub(crate) fn begin(&mut self, request: &LookRequest) {
        self.fresh_volumes.clear();
        self.fresh_syncs.clear();
        self.changed.clear();
        self.containers = Arc::clone(&request.containers);
        if self.configuration.as_ref().is_some_and(|known| Arc::ptr_eq(known, &request.configuration)) {
            return;
        }
        let configuration = Arc::clone(&request.configuration);
        self.ends = ends(&configuration);
        self.volumes.clear();
        let unseen = SyncSight { source: EndSight::Unseen, destination: EndSight::Unseen };
        self.syncs = configuration.syncs.keys().map(|name| (name.clone(), unseen.clone())).collect();
        self.silent.retain(|name, _| configuration.volumes.contains_key(name));
        self.configuration = Some(configuration);
    }

    /// The devices, if none can have changed.
    pub(crate) fn known_devices(&self, scope: &Scope) -> Option<Vec<BlockDevice>> {
        let changed = scope.has(&Part::Everything) || scope.has(&Part::Blocks) || self.volumes.is_empty();
        (!changed && self.devices_fault.is_none()).then(|| self.devices.clone())
    }

    /// Takes in mounts and devices; what could not be read stays as it was.
    pub(crate) fn gathered<E: Error, F: Error>(
        &mut self,
        mounts: Result<Vec<Mount>, E>,
        devices: Result<Vec<BlockDevice>, F>,
    ) {
        match mounts {
            Ok(mounts) => {
                self.changed = changed_points(&self.mounts, &mounts);
                self.mounts = Arc::new(mounts);
                self.mounts_fault = None;
            }
            Err(error) => self.mounts_fault = Some(could_not("mounts are not seen", &error)),
        }
        match devices {
            Ok(devices) => {
                self.devices = devices;
                self.devices_fault = None;
            }
            Err(error) => self.devices_fault = Some(could_not("drives are not seen", &error)),
        }
    }

    /// Nothing could be gathered.
    pub(crate) fn blind(&mut self, error: &io::Error) {
        self.mounts_fault = Some(format!("mounts and drives are not seen: no thread could be started: {error}"));
    }

    /// What was read of LUKS containers so far, and those that drives of the configuration are named by or lie in.
    pub(crate) fn headers(&self) -> (Headers, BTreeSet<DriveUuid>) {
        let volumes = self.configuration.iter().flat_map(|configuration| configuration.volumes.values());
        let named: BTreeSet<&DriveUuid> = volumes
            .filter_map(|volume| match &volume.root {
                VolumeRoot::Drive(drive) => Some(&drive.uuid),
                VolumeRoot::Directory(_) | VolumeRoot::Server(_) => None,
            })
            .collect();
        let around = named.iter().filter_map(|uuid| self.containers.get(*uuid));
        (self.headers.clone(), around.chain(named.iter().copied()).cloned().collect())
    }

    /// Takes in what was read of them by now, and which filesystems should be checked.
    pub(crate) fn keep(&mut self, headers: Headers, unclean: BTreeMap<MountId, Unclean>) {
        (self.headers, self.unclean) = (headers, unclean);
    }

    /// The mount table.
    pub(crate) fn mounts(&self) -> Arc<Vec<Mount>> {
        Arc::clone(&self.mounts)
    }

    /// The volumes to be touched. Those whose sight follows from devices and mounts are decided at once.
    pub(crate) fn tasks(&mut self, scope: &Scope) -> Vec<(VolumeName, Task)> {
        let Some(configuration) = self.configuration.clone() else { return Vec::new() };
        let mounts = self.mounts();
        let tree = MountTree::new(&mounts);
        let mut tasks = Vec::new();
        for (name, volume) in &configuration.volumes {
            let asked = scope.has(&Part::Everything) || scope.has(&Part::Volume(name.clone()));
            let sight = match self.way_to(&volume.root, &mounts, &tree) {
                Finding::At(way) if self.silent.get(name) == Some(&way) => {
                    VolumeSight::Absent(Absence::Silent(way.root))
                }
                Finding::At(way) => {
                    // A silent volume that is somewhere else now is looked at there.
                    self.silent.remove(name);
                    tasks.extend(self.task(name, way, scope).map(|task| (name.clone(), task)));
                    continue;
                }
                Finding::Known(sight) => sight,
                Finding::NotHere => continue,
            };
            if asked || self.volumes.get(name).is_none_or(|known| known.sight != sight) {
                self.decided(name, sight);
            }
        }
        tasks
    }

    /// Where a volume has to be looked at, or how it stands if that is known without.
    fn way_to(&self, root: &VolumeRoot, mounts: &[Mount], tree: &MountTree<'_>) -> Finding {
        let drive = match root {
            VolumeRoot::Directory(path) => {
                let mount = tree.mount_of(path).map(|mount| mount.id);
                return Finding::At(Way { root: path.clone(), mount, drive: None, others: Vec::new() });
            }
            VolumeRoot::Server(_) => return Finding::NotHere,
            VolumeRoot::Drive(drive) => drive,
        };
        match sight_of_drive(drive, self.containers.get(&drive.uuid), &self.devices, mounts, tree) {
            DrivePresence::NotPlugged => Finding::Known(VolumeSight::Absent(Absence::NotPlugged)),
            DrivePresence::Ambiguous { devices } => {
                Finding::Known(VolumeSight::Ambiguous { devices: devices.into_iter().map(Node::from).collect() })
            }
            DrivePresence::HoldsMember { device } => {
                Finding::Known(VolumeSight::Absent(Absence::HoldsMember(device.node.clone().into())))
            }
            DrivePresence::OnMembers { device } => {
                Finding::Known(VolumeSight::Absent(Absence::OnMembers(device.node.clone().into())))
            }
            DrivePresence::Locked { device } => {
                Finding::Known(VolumeSight::Locked { device: device.node.clone().into(), disk_seq: device.disk_seq })
            }
            DrivePresence::NotEncrypted { device } => {
                Finding::Known(VolumeSight::NotEncrypted { device: device.node.clone().into() })
            }
            DrivePresence::NotMounted { device } => Finding::Known(VolumeSight::NotMounted {
                device: device.node.clone().into(),
                disk_seq: device.disk_seq,
                automount: fstab::automount(device, &self.devices, mounts),
                blocked_at: mounts::in_the_way_of(device, &self.devices, mounts),
            }),
            DrivePresence::Mounted { device, hardware, mount, others } => Finding::At(Way {
                root: mount.point.clone(),
                mount: Some(mount.id),
                drive: Some(DriveMount {
                    unclean: self.unclean.get(&mount.id).cloned(),
                    mount: mount.id,
                    device: device.number,
                    disk_seq: device.disk_seq,
                    hardware: match &device.role {
                        // Named by what is in it, it is known by that already.
                        DeviceRole::Unlocked { container, .. } if *container == drive.uuid => {
                            Some(Hardware::with_inside(hardware.cloned(), &device.uuid))
                        }
                        DeviceRole::Unlocked { .. }
                        | DeviceRole::Filesystem(_)
                        | DeviceRole::OnMembers(_)
                        | DeviceRole::Container
                        | DeviceRole::Member
                        | DeviceRole::MemberInside(_) => hardware.cloned(),
                    },
                }),
                others: others.into_iter().map(|other| (other.point.clone(), other.id)).collect(),
            }),
        }
    }

    /// What to look at there, if anything can have changed.
    fn task(&self, name: &VolumeName, way: Way, scope: &Scope) -> Option<Task> {
        let all = self.ends.get(name).map(Vec::as_slice).unwrap_or_default();
        let whole = match self.volumes.get(name) {
            None => true,
            Some(known) => {
                scope.has(&Part::Everything)
                    || scope.has(&Part::Volume(name.clone()))
                    || known.way.as_ref() != Some(&way)
                    || self.changed.iter().any(|point| known.lies_on(&way, point))
                    // A link may lead from it to what was mounted now.
                    || (way.drive.is_none() && !known.is_present() && !self.changed.is_empty())
            }
        };
        let ends = if whole { all.to_vec() } else { self.concerned(name, &way, all, scope) };
        if !whole && ends.is_empty() {
            return None;
        }
        // If it comes back with this look, so do all of its ends.
        let present = self.volumes.get(name).is_some_and(Known::is_present);
        let ends = if present { ends } else { all.to_vec() };
        let probe = VolumeProbe { root: way.root.clone(), drive: way.drive.clone(), others: way.others.clone(), ends };
        Some(Task { way, probe })
    }

    /// The ends of a volume that was there that may have changed.
    fn concerned(&self, name: &VolumeName, way: &Way, all: &[Arc<EndProbe>], scope: &Scope) -> Vec<Arc<EndProbe>> {
        let real_root = self.volumes.get(name).and_then(|known| known.real_root.as_deref()).unwrap_or(&way.root);
        let below = |point: &Path| {
            point.strip_prefix(&way.root).or_else(|_| point.strip_prefix(real_root)).ok().map(Path::to_owned)
        };
        let changed: Vec<_> = self.changed.iter().filter_map(|point| below(point)).collect();
        let named = scope.names_syncs();
        if changed.is_empty() && !named {
            return Vec::new();
        }
        let is_concerned = |end: &&Arc<EndProbe>| {
            changed.iter().any(|point| end.subdir.as_path().starts_with(point))
                || (named && scope.has(&Part::Sync(end.sync.clone())))
        };
        all.iter().filter(is_concerned).cloned().collect()
    }

    /// A volume stands so, as is known without touching it.
    pub(crate) fn decided(&mut self, name: &VolumeName, sight: VolumeSight) {
        self.learn(name, Known { way: None, real_root: None, sight });
    }

    /// A volume was looked at.
    pub(crate) fn probed(&mut self, task: Option<(VolumeName, Task)>, probed: Probed) {
        let Some((name, task)) = task else { return };
        self.learn(&name, Known { way: Some(task.way), real_root: probed.real_root, sight: probed.sight });
        for (end, sight) in task.probe.ends.iter().zip(probed.ends) {
            self.learn_end(end, sight);
        }
    }

    /// A volume did not answer in time.
    pub(crate) fn silent(&mut self, name: VolumeName, task: Task) {
        self.decided(&name, VolumeSight::Absent(Absence::Silent(task.way.root.clone())));
        self.silent.insert(name, task.way);
    }

    /// A volume that was silent answers. What it said then is old, so it is looked at again, with this configuration.
    pub(crate) fn answers_again(
        &mut self,
        name: &VolumeName,
        task: &Task,
    ) -> Option<(Arc<Configuration>, Arc<Containers>)> {
        if self.silent.get(name) != Some(&task.way) {
            return None;
        }
        self.silent.remove(name);
        Some((self.configuration.clone()?, Arc::clone(&self.containers)))
    }

    fn learn(&mut self, name: &VolumeName, known: Known) {
        if !known.is_present() {
            for end in self.ends.get(name).cloned().unwrap_or_default() {
                self.learn_end(&end, EndSight::Unseen);
            }
        }
        self.volumes.insert(name.clone(), known);
        self.fresh_volumes.insert(name.clone());
    }

    fn learn_end(&mut self, end: &EndProbe, sight: EndSight) {
        let Some(sync) = self.syncs.get_mut(&end.sync) else { return };
        match end.kind {
            EndKind::Source | EndKind::SourceOfSnapshots => sync.source = sight,
            EndKind::Destination(_) => sync.destination = sight,
        }
        self.fresh_syncs.insert(end.sync.clone());
    }

    /// What this look found.
    pub(crate) fn observation(&self, request: &LookRequest, cause: LookCause) -> Observation {
        let volume = |name: &VolumeName| self.volumes.get(name).map(|known| (name.clone(), known.sight.clone()));
        let sync = |name: &SyncName| self.syncs.get(name).map(|sight| (name.clone(), sight.clone()));
        Observation {
            configuration: Arc::clone(&request.configuration),
            cause,
            volumes: self.fresh_volumes.iter().filter_map(volume).collect(),
            syncs: self.fresh_syncs.iter().filter_map(sync).collect(),
            devices: self.devices.clone(),
            degraded: self.mounts_fault.iter().chain(&self.devices_fault).cloned().collect(),
        }
    }
}

impl Known {
    fn is_present(&self) -> bool {
        matches!(self.sight, VolumeSight::Present(_))
    }

    /// Whether a mount at this point is what the root lies on, or hides it.
    fn lies_on(&self, way: &Way, point: &Path) -> bool {
        way.root.starts_with(point) || self.real_root.as_ref().is_some_and(|root| root.starts_with(point))
    }
}

fn could_not(effect: &str, error: &impl Error) -> String {
    format!("{effect}: could not {}", chain(error))
}

fn changed_points(before: &[Mount], after: &[Mount]) -> BTreeSet<PathBuf> {
    let (old, new) = (by_id(before), by_id(after));
    let went = before.iter().filter(|mount| new.get(&mount.id) != Some(mount));
    let came = after.iter().filter(|mount| old.get(&mount.id) != Some(mount));
    went.chain(came).map(|mount| mount.point.clone()).collect()
}

fn by_id(mounts: &[Mount]) -> BTreeMap<MountId, &Mount> {
    mounts.iter().map(|mount| (mount.id, mount)).collect()
}

fn ends(configuration: &Configuration) -> BTreeMap<VolumeName, Vec<Arc<EndProbe>>> {
    let with_snapshots = configuration.snapshot_destinations();
    let mut ends: BTreeMap<VolumeName, Vec<Arc<EndProbe>>> = BTreeMap::new();
    for sync in configuration.syncs.values() {
        let kind = if with_snapshots.contains(&sync.source) { EndKind::SourceOfSnapshots } else { EndKind::Source };
        for (place, kind) in [(&sync.source, kind), (&sync.destination, EndKind::Destination(sync.snapshots))] {
            let end = EndProbe { sync: sync.name.clone(), subdir: place.subdir.clone(), kind };
            ends.entry(place.volume.clone()).or_default().push(Arc::new(end));
        }
    }
    ends
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::config::{self, Context};
    use crate::model::DeviceRole;

    const INSIDE: &str = "11111111-a7b6-429d-8250-3d0d80e034df";
    const AROUND: &str = "2d577679-a7b6-429d-8250-3d0d80e034df";

    #[test]
    fn a_container_that_comes_and_goes_is_told_though_what_is_in_it_never_shows() {
        let text = format!(
            "[volumes.usb]\ndrive = \"{INSIDE}\"\n[volumes.a]\npath = \"/a\"\n[syncs.s]\nsource = \"a\"\n\
             destination = \"usb\""
        );
        let context = Context { file: "/config.toml".into(), home: "/home/a".into() };
        let containers = [(INSIDE.parse().unwrap(), AROUND.parse().unwrap())].into();
        let request = LookRequest {
            configuration: Arc::new(config::parse(&text, &context).unwrap()),
            containers: Arc::new(containers),
            scope: Scope::blocks(),
        };
        let usb: VolumeName = "usb".parse().unwrap();
        let mut memory = LookMemory::default();
        let mut look = |devices: Vec<BlockDevice>| {
            memory.begin(&request);
            memory.gathered(Ok::<_, io::Error>(Vec::new()), Ok::<_, io::Error>(devices));
            memory.tasks(&request.scope);
            memory.observation(&request, LookCause::Asked).volumes.remove(&usb)
        };
        let container = BlockDevice {
            node: "/dev/sda1".into(),
            links: Vec::new(),
            number: (8, 1),
            uuid: AROUND.parse().unwrap(),
            member: None,
            role: DeviceRole::Container,
            disk_seq: Some(5),
            hardware: None,
            label: None,
            size: 1 << 30,
        };
        let absent = Some(VolumeSight::Absent(Absence::NotPlugged));
        let locked = Some(VolumeSight::Locked { device: "/dev/sda1".into(), disk_seq: Some(5) });
        assert_eq!(look(vec![]), absent);
        assert_eq!(look(vec![container.clone()]), locked);
        assert_eq!(look(vec![container]), None, "nothing changed");
        assert_eq!(look(vec![]), absent);
    }
}
