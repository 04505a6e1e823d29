//! Looks at real directories, drives and filesystems, also at ones that do not answer.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test starts programs and watches the clock, and fails by panicking"
)]

mod mini;
#[path = "common/required.rs"]
mod required;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mini::{Stick, eventually, host, sh, uuid};
use tokio::sync::mpsc;

use nbkp::daemon::inlets::observer;
use nbkp::daemon::messages::look::{LookCause, LookRequest, Observation, Scope};
use nbkp::model::{
    Absence, Configuration, CredentialProvider, DaemonSettings, Drive, EndFault, EndSight, Every, Mounting, Notify,
    Place, Server, SnapshotKind, Sync, SyncSight, Volume, VolumeRoot, VolumeSight, WhenDone,
};

fn configuration(volumes: &[(&str, VolumeRoot)], syncs: &[(&str, &str, &str, SnapshotKind)]) -> Arc<Configuration> {
    let place = |text: &str| {
        let (volume, subdir) = text.split_once(':').unwrap();
        Place { volume: volume.parse().unwrap(), subdir: subdir.parse().unwrap() }
    };
    let volume = |(name, root): &(&str, VolumeRoot)| {
        let name: nbkp::model::VolumeName = name.parse().unwrap();
        (name.clone(), Volume { name, root: root.clone(), repositories: vec![] })
    };
    let sync = |(name, source, destination, snapshots): &(&str, &str, &str, SnapshotKind)| Sync {
        snapshots: *snapshots,
        every: Every::Appearance,
        ..Sync::new(name.parse().unwrap(), place(source), place(destination))
    };
    let second = Duration::from_secs(1);
    Arc::new(Configuration {
        daemon: DaemonSettings { max_parallel: 1, settle: second, grace: second, notify: Notify::None },
        locations: BTreeMap::new(),
        endpoints: BTreeMap::new(),
        volumes: volumes.iter().map(volume).collect(),
        groups: BTreeMap::new(),
        credentials: CredentialProvider::SecretService,
        monitoring: nbkp::model::Monitoring::default(),
        syncs: syncs.iter().map(sync).map(|sync| (sync.name.clone(), sync)).collect(),
    })
}

fn directory(path: &Path) -> VolumeRoot {
    VolumeRoot::Directory(path.to_owned())
}

fn drive() -> VolumeRoot {
    let uuid = uuid().parse().unwrap();
    VolumeRoot::Drive(Drive { uuid, mounting: Mounting::Elsewhere, when_done: WhenDone::Leave })
}

/// An observer with its channels.
struct Eyes {
    runtime: tokio::runtime::Runtime,
    requests: mpsc::Sender<LookRequest>,
    answers: mpsc::Receiver<Observation>,
    configuration: Arc<Configuration>,
}

impl Eyes {
    fn of(configuration: Arc<Configuration>) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (requests, incoming) = mpsc::channel(1);
        let (outgoing, answers) = mpsc::channel(1);
        runtime.spawn(observer::take_looks(incoming, outgoing));
        Self { runtime, requests, answers, configuration }
    }

    fn look(&mut self, scope: Scope) -> Observation {
        let configuration = Arc::clone(&self.configuration);
        self.runtime.block_on(async {
            self.requests.send(LookRequest { configuration, containers: Arc::default(), scope }).await.unwrap();
            let observation = self.answers.recv().await.unwrap();
            assert_eq!(observation.cause, LookCause::Asked);
            observation
        })
    }

    fn belated(&mut self) -> Observation {
        let observation = self.runtime.block_on(async {
            tokio::time::timeout(Duration::from_secs(20), self.answers.recv()).await.unwrap().unwrap()
        });
        assert_eq!(observation.cause, LookCause::Belated);
        observation
    }
}

fn volume(observation: &Observation, name: &str) -> VolumeSight {
    observation.volumes[&name.parse().unwrap()].clone()
}

fn sync(observation: &Observation, name: &str) -> SyncSight {
    observation.syncs[&name.parse().unwrap()].clone()
}

fn names(observation: &Observation) -> (Vec<String>, Vec<String>) {
    let volumes = observation.volumes.keys().map(ToString::to_string).collect();
    (volumes, observation.syncs.keys().map(ToString::to_string).collect())
}

fn is_present(sight: &VolumeSight) -> bool {
    matches!(sight, VolumeSight::Present(_))
}

const READY: EndSight = EndSight::Ready { id: None };

/// A directory with the sentinel of a volume, and below it these directories with these sentinels.
fn prepare(root: &Path, ends: &[(&str, &str)]) {
    fs::create_dir_all(root).unwrap();
    fs::write(root.join(".nbkp-vol"), "").unwrap();
    for (subdir, sentinel) in ends {
        fs::create_dir_all(root.join(subdir)).unwrap();
        fs::write(root.join(subdir).join(sentinel), "").unwrap();
    }
}

#[test]
fn everything_is_seen_and_then_only_what_is_asked_for() {
    let temp = tempfile::tempdir().unwrap();
    let (laptop, server) = (temp.path().join("laptop"), temp.path().join("server"));
    prepare(&laptop, &[("a", ".nbkp-src"), ("b", ".nbkp-src")]);
    prepare(&server, &[("a", ".nbkp-dst")]);
    let away = VolumeRoot::Server(Server { endpoints: Vec::new(), path: "/srv".into(), drive: None });
    let volumes = [("laptop", directory(&laptop)), ("server", directory(&server)), ("away", away), ("usb", drive())];
    let none = SnapshotKind::None;
    let syncs =
        [("a", "laptop:a", "server:a", none), ("b", "laptop:b", "server:b", none), ("c", "laptop:a", "usb:", none)];
    let mut eyes = Eyes::of(configuration(&volumes, &syncs));

    let all = eyes.look(Scope::everything());
    assert!(is_present(&volume(&all, "laptop")) && is_present(&volume(&all, "server")));
    assert!(!all.volumes.keys().any(|name| name.as_str() == "away"), "a look does not reach servers");
    assert_eq!(volume(&all, "usb"), VolumeSight::Absent(Absence::NotPlugged));
    assert_eq!(sync(&all, "a"), SyncSight { source: READY, destination: READY });
    assert_eq!(sync(&all, "c"), SyncSight { source: READY, destination: EndSight::Unseen });
    let missing = EndFault::NoDirectory(server.join("b"), "it does not exist".into());
    assert_eq!(sync(&all, "b").destination, EndSight::Faulty(vec![missing]));

    prepare(&server, &[("b", ".nbkp-dst")]);
    let one = eyes.look(Scope::syncs(["b".parse().unwrap()]));
    assert_eq!(names(&one), (vec!["laptop".into(), "server".into()], vec!["b".into()]));
    assert_eq!(sync(&one, "b"), SyncSight { source: READY, destination: READY });

    let (volumes, syncs) = names(&eyes.look(Scope::mounts()));
    assert_eq!((volumes.len(), syncs.len()), (0, 0), "nothing was mounted");

    fs::remove_file(server.join(".nbkp-vol")).unwrap();
    let again = eyes.look(Scope::everything());
    assert!(matches!(volume(&again, "server"), VolumeSight::NotProven { .. }));
    assert_eq!(sync(&again, "a"), SyncSight { source: READY, destination: EndSight::Unseen });

    fs::rename(&server, temp.path().join("elsewhere")).unwrap();
    let gone = eyes.look(Scope::everything());
    assert_eq!(volume(&gone, "server"), VolumeSight::Absent(Absence::NoDirectory(server)));
}

#[test]
fn another_configuration_is_seen_whole() {
    let temp = tempfile::tempdir().unwrap();
    prepare(temp.path(), &[("a", ".nbkp-src"), ("b", ".nbkp-dst")]);
    let volumes = [("laptop", directory(temp.path()))];
    let mut eyes = Eyes::of(configuration(&volumes, &[]));
    eyes.look(Scope::everything());
    eyes.configuration = configuration(&volumes, &[("a", "laptop:a", "laptop:b", SnapshotKind::None)]);
    let whole = eyes.look(Scope::default());
    assert_eq!(sync(&whole, "a"), SyncSight { source: READY, destination: READY });
}

#[test]
fn who_reads_a_destination_with_snapshots_waits_for_one() {
    let temp = tempfile::tempdir().unwrap();
    prepare(temp.path(), &[("a", ".nbkp-src"), ("b", ".nbkp-dst"), ("b", ".nbkp-src"), ("c", ".nbkp-dst")]);
    let hard_link = SnapshotKind::HardLink;
    let syncs = [("one", "laptop:a", "laptop:b", hard_link), ("two", "laptop:b", "laptop:c", SnapshotKind::None)];
    let mut eyes = Eyes::of(configuration(&[("laptop", directory(temp.path()))], &syncs));
    let fault = EndFault::NoSnapshotYet(temp.path().join("b"));
    assert_eq!(sync(&eyes.look(Scope::everything()), "two").source, EndSight::Faulty(vec![fault]));
    let name = "snapshots/2026-11-22T17:30:00.000Z";
    fs::create_dir_all(temp.path().join("b").join(name)).unwrap();
    std::os::unix::fs::symlink(name, temp.path().join("b/latest")).unwrap();
    assert_eq!(sync(&eyes.look(Scope::syncs(["two".parse().unwrap()])), "two").source, READY);
}

#[test]
fn a_drive_is_followed_from_plug_to_pull() {
    host("a_drive_is_followed_from_plug_to_pull", || {
        let temp = tempfile::tempdir().unwrap();
        let (laptop, point) = (temp.path().join("laptop"), temp.path().join("usb"));
        prepare(&laptop, &[("a", ".nbkp-src")]);
        fs::create_dir(&point).unwrap();
        let mut stick = Stick::new(&temp.path().join("a.img"), &format!("mkfs.btrfs -q -U {}", uuid()));
        let volumes = [("laptop", directory(&laptop)), ("usb", drive())];
        let syncs = [
            ("a", "laptop:a", "usb:a", SnapshotKind::Btrfs),
            ("full", "laptop:a", "usb:small", SnapshotKind::None),
            ("other", "laptop:a", "laptop:b", SnapshotKind::Btrfs),
        ];
        let mut eyes = Eyes::of(configuration(&volumes, &syncs));
        let first = eyes.look(Scope::everything());
        assert_eq!(volume(&first, "usb"), VolumeSight::Absent(Absence::NotPlugged));

        let node = stick.plug();
        sh("udevadm settle");
        let plugged = eyes.look(Scope::blocks());
        assert!(matches!(volume(&plugged, "usb"), VolumeSight::NotMounted { device, .. } if device.path == node));
        assert_eq!(names(&plugged).0, ["usb"], "only the drive is looked at");

        let mount = |options: &str| sh(&format!("mount {options} {} {}", node.display(), point.display()));
        mount("");
        let mounted = eyes.look(Scope::mounts());
        assert!(matches!(volume(&mounted, "usb"), VolumeSight::NotProven { root, .. } if root == point));

        prepare(&point, &[("a", ".nbkp-dst"), ("small", ".nbkp-dst")]);
        let proven = eyes.look(Scope::syncs(["a".parse().unwrap()]));
        let VolumeSight::Present(present) = volume(&proven, "usb") else { panic!("{proven:?}") };
        assert_eq!((present.root.as_path(), present.fs_type.as_str()), (point.as_path(), "btrfs"));
        assert!(present.disk_seq.is_some() && present.device.is_some_and(|(major, _)| major == 7), "{present:?}");
        let no_staging = EndFault::NoStaging(point.join("a/staging"));
        assert_eq!(sync(&proven, "a").destination, EndSight::Faulty(vec![no_staging.clone()]));
        fs::create_dir(point.join("a/staging")).unwrap();
        let look = |eyes: &mut Eyes| sync(&eyes.look(Scope::syncs(["a".parse().unwrap()])), "a").destination;
        assert_eq!(look(&mut eyes), EndSight::Faulty(vec![no_staging]), "a plain directory");
        sh(&format!("cd {} && rmdir staging && btrfs subvolume create staging", point.join("a").display()));
        assert_eq!(look(&mut eyes), READY);

        // A full filesystem within the drive: only the end on it is looked at, and has no space.
        sh(&format!("mount -t tmpfs -o size=4k small {}", point.join("small").display()));
        fs::write(point.join("small/.nbkp-dst"), "").unwrap();
        sh(&format!("head -c 4096 /dev/zero > {}", point.join("small/fill").display()));
        let nested = eyes.look(Scope::mounts());
        assert_eq!(names(&nested), (vec!["usb".into()], vec!["full".into()]));
        assert_eq!(sync(&nested, "full").destination, EndSight::Faulty(vec![EndFault::NoSpace(point.join("small"))]));
        sh(&format!("umount {}", point.join("small").display()));
        assert_eq!(sync(&eyes.look(Scope::mounts()), "full").destination, READY);

        mount("-o remount,ro");
        let VolumeSight::Present(present) = volume(&eyes.look(Scope::mounts()), "usb") else { panic!() };
        assert_eq!(present.access, nbkp::model::Access::ReadOnly);

        sh(&format!("umount {}", point.display()));
        let unmounted = eyes.look(Scope::mounts());
        assert!(matches!(volume(&unmounted, "usb"), VolumeSight::NotMounted { .. }));
        assert_eq!(sync(&unmounted, "a").destination, EndSight::Unseen);
        stick.pull();
        eventually("the drive is gone", || {
            let seen = eyes.look(Scope::blocks());
            (seen.volumes.get(&"usb".parse().unwrap())? == &VolumeSight::Absent(Absence::NotPlugged)).then_some(())
        });
    });
}

#[test]
fn a_volume_behind_a_link_is_followed_through_mounts() {
    host("a_volume_behind_a_link_is_followed_through_mounts", || {
        let temp = tempfile::tempdir().unwrap();
        let (link, real) = (temp.path().join("link"), temp.path().join("real"));
        fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let mut eyes = Eyes::of(configuration(&[("v", directory(&link))], &[]));
        assert!(matches!(volume(&eyes.look(Scope::everything()), "v"), VolumeSight::NotProven { .. }));
        sh(&format!("mount -t tmpfs x {0} && touch {0}/.nbkp-vol", real.display()));
        assert!(is_present(&volume(&eyes.look(Scope::mounts()), "v")));
        sh(&format!("umount {}", real.display()));
        assert!(matches!(volume(&eyes.look(Scope::mounts()), "v"), VolumeSight::NotProven { .. }));
    });
}

/// A FUSE filesystem that stops answering.
struct Stuck {
    process: rustix::process::Pid,
    point: PathBuf,
}

impl Stuck {
    fn mount(below: &Path) -> Self {
        let (real, point) = (below.join("real"), below.join("stuck"));
        prepare(&real, &[("d", ".nbkp-dst")]);
        fs::create_dir(&point).unwrap();
        let mut child = Command::new("bindfs").arg("-f").arg(&real).arg(&point).spawn().unwrap();
        eventually("bindfs", || {
            assert!(child.try_wait().unwrap().is_none(), "bindfs ended");
            point.join(".nbkp-vol").exists().then_some(())
        });
        Self { process: rustix::process::Pid::from_child(&child), point }
    }

    fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(self.process, signal).unwrap();
    }
}

impl Drop for Stuck {
    fn drop(&mut self) {
        self.signal(rustix::process::Signal::KILL);
        let _ = Command::new("umount").arg("--lazy").arg(&self.point).output();
    }
}

#[test]
fn a_volume_that_hangs_silences_only_itself_and_comes_back() {
    host("a_volume_that_hangs_silences_only_itself_and_comes_back", || {
        let temp = tempfile::tempdir().unwrap();
        let laptop = temp.path().join("laptop");
        prepare(&laptop, &[("a", ".nbkp-src"), ("d", ".nbkp-dst")]);
        let stuck = Stuck::mount(temp.path());
        let none = SnapshotKind::None;
        // The hanging one comes between two others.
        let volumes = [("a", directory(&laptop)), ("b", directory(&stuck.point)), ("c", directory(&laptop))];
        let syncs = [("bad", "a:a", "b:d", none), ("good", "a:a", "c:d", none)];
        let mut eyes = Eyes::of(configuration(&volumes, &syncs));
        assert!(is_present(&volume(&eyes.look(Scope::everything()), "b")));

        stuck.signal(rustix::process::Signal::STOP);
        let silent = VolumeSight::Absent(Absence::Silent(stuck.point.clone()));
        let started = Instant::now();
        let seen = eyes.look(Scope::everything());
        println!("first look {:?}", started.elapsed());
        assert_eq!(volume(&seen, "b"), silent);
        assert!(is_present(&volume(&seen, "a")) && is_present(&volume(&seen, "c")));
        assert_eq!(sync(&seen, "bad"), SyncSight { source: READY, destination: EndSight::Unseen });
        assert_eq!(sync(&seen, "good"), SyncSight { source: READY, destination: READY });
        assert!(started.elapsed() < observer::LONGEST_PROBE * 2);

        // It is not touched again, so the second look is as fast as any.
        let started = Instant::now();
        assert_eq!(volume(&eyes.look(Scope::everything()), "b"), silent);
        assert!(started.elapsed() < observer::LONGEST_PROBE, "{:?}", started.elapsed());
        eventually("one thread is left behind", || (threads("nbkp-look") == 1).then_some(()));

        stuck.signal(rustix::process::Signal::CONT);
        let back = eyes.belated();
        assert!(is_present(&volume(&back, "b")));
        assert_eq!(sync(&back, "bad").destination, READY);
        eventually("no thread is left", || (threads("nbkp-look") == 0).then_some(()));
    });
}

#[test]
fn a_dead_mount_that_is_taken_away_frees_its_volume() {
    host("a_dead_mount_that_is_taken_away_frees_its_volume", || {
        let temp = tempfile::tempdir().unwrap();
        let stuck = Stuck::mount(temp.path());
        let mut eyes = Eyes::of(configuration(&[("b", directory(&stuck.point))], &[]));
        stuck.signal(rustix::process::Signal::STOP);
        let silent = VolumeSight::Absent(Absence::Silent(stuck.point.clone()));
        assert_eq!(volume(&eyes.look(Scope::everything()), "b"), silent);
        sh(&format!("umount --lazy {}", stuck.point.display()));
        let seen = eyes.look(Scope::mounts());
        assert!(matches!(volume(&seen, "b"), VolumeSight::NotProven { .. }), "the empty mount point");
    });
}

#[test]
fn what_would_be_mounted_by_touching_is_not_touched() {
    host("what_would_be_mounted_by_touching_is_not_touched", || {
        let temp = tempfile::tempdir().unwrap();
        let laptop = temp.path().join("laptop");
        prepare(&laptop, &[("nas", ".nbkp-src"), ("d", ".nbkp-dst")]);
        let nas = laptop.join("nas");
        // An automount whose daemon is alive and never answers: whoever touches it, hangs.
        sh(&format!(
            "mkfifo {0}; exec 7<>{0}; sleep 600 >/dev/null 2>&1 &
             mount -i -t autofs -o fd=7,pgrp=$!,minproto=5,maxproto=5,direct x {1} || true",
            temp.path().join("pipe").display(),
            nas.display()
        ));
        if !nbkp::os::mounts::read().unwrap().iter().any(|mount| mount.point == nas) {
            assert!(!crate::required::all_must_run(), "autofs cannot be mounted here");
            println!("did not run: autofs cannot be mounted here");
            return;
        }
        let _trap = Unmount(nas.clone());
        let mut touch = Command::new("ls").arg(nas.join(".")).spawn().unwrap();
        eventually("who touches it hangs", || {
            let wait = fs::read_to_string(format!("/proc/{}/wchan", touch.id())).unwrap();
            (wait == "autofs_wait").then_some(())
        });
        touch.kill().unwrap();
        touch.wait().unwrap();
        let volumes = [("laptop", directory(&laptop)), ("nas", directory(&nas.join("deep")))];
        let none = SnapshotKind::None;
        let mut eyes = Eyes::of(configuration(&volumes, &[("a", "laptop:nas", "laptop:d", none)]));
        let started = Instant::now();
        let seen = eyes.look(Scope::everything());
        assert!(started.elapsed() < observer::LONGEST_PROBE, "it was touched");
        assert!(matches!(volume(&seen, "nas"), VolumeSight::Absent(Absence::Unreadable(..))));
        assert!(is_present(&volume(&seen, "laptop")));
        let EndSight::Faulty(faults) = sync(&seen, "a").source else { panic!("{seen:?}") };
        assert!(matches!(&faults[..], [EndFault::NoDirectory(path, _)] if *path == nas));
        assert_eq!(sync(&seen, "a").destination, READY);
    });
}

/// Takes a mount away at the end, before the directory that it lies in is deleted.
struct Unmount(PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).output();
    }
}

fn threads(name: &str) -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let is_named = |task: &fs::DirEntry| fs::read_to_string(task.path().join("comm")).is_ok_and(|n| n.trim() == name);
    tasks.filter(|task| task.as_ref().is_ok_and(is_named)).count()
}

#[test]
fn a_thousand_syncs() {
    host("a_thousand_syncs", || {
        let temp = tempfile::tempdir().unwrap();
        let (laptop, disk) = (temp.path().join("laptop"), temp.path().join("disk"));
        let count = 1000;
        let subdirs: Vec<_> = (0..count).map(|i| format!("d{i}")).collect();
        let ends = |sentinel| subdirs.iter().map(|subdir| (subdir.as_str(), sentinel)).collect::<Vec<_>>();
        prepare(&laptop, &ends(".nbkp-src"));
        prepare(&disk, &ends(".nbkp-dst"));
        let texts: Vec<_> = subdirs.iter().map(|d| (d.clone(), format!("laptop:{d}"), format!("disk:{d}"))).collect();
        let syncs = texts.iter().map(|(n, s, d)| (n.as_str(), s.as_str(), d.as_str(), SnapshotKind::None));
        let mut eyes = Eyes::of(configuration(
            &[("laptop", directory(&laptop)), ("disk", directory(&disk)), ("usb", drive())],
            &syncs.collect::<Vec<_>>(),
        ));
        let measure = |eyes: &mut Eyes, what: &str, scope: Scope| {
            let before = processor_time();
            let seen = eyes.look(scope);
            println!(
                "{what}: {:?} of processor time, {} syncs seen",
                processor_time().saturating_sub(before),
                seen.syncs.len()
            );
            seen
        };
        assert_eq!(measure(&mut eyes, "first look", Scope::everything()).syncs.len(), count);
        assert_eq!(measure(&mut eyes, "second look", Scope::everything()).syncs.len(), count);
        sh(&format!("mount -t tmpfs x {}", laptop.join("d7").display()));
        let seen = measure(&mut eyes, "after one mount", Scope::mounts());
        assert_eq!(names(&seen), (vec!["laptop".into()], vec!["d7".into()]));
        measure(&mut eyes, "after one block event", Scope::blocks());
        sh(&format!("umount {}", laptop.join("d7").display()));
    });
}

fn processor_time() -> Duration {
    let usage = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(usage.tv_sec.try_into().unwrap(), usage.tv_nsec.try_into().unwrap())
}
