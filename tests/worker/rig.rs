//! The ground on which runs are tried: real filesystems on loop devices, a real rsync, and jobs between them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tokio::sync::mpsc::{Receiver, channel};

use nbkp::backup::job::{DriveProof, Job, JobEnd, Layout, LocalEnd, Memory};
use nbkp::backup::news::WorkerNews;
use nbkp::daemon::outlets::worker::{self, Worker};
use nbkp::model::{
    Access, Conclusion, Every, HoldReason, HookCommand, Place, Progress, RunId, RunReport, SnapshotKind, Step, Sync,
    Trigger,
};
use nbkp::os::directory::Directory;
use nbkp::os::ssh::SshPlace;
use nbkp::os::{clock, machine};

/// Runs a command that must succeed.
#[expect(clippy::disallowed_methods, reason = "the rig starts real tools")]
pub fn sh(script: &str) -> String {
    let Output { status, stdout, stderr } = Command::new("sh").args(["-ec", script]).output().unwrap();
    assert!(status.success(), "{script}: {}", String::from_utf8_lossy(&stderr));
    String::from_utf8(stdout).unwrap().trim().to_owned()
}

/// A filesystem on a loop device, mounted; all of it goes when it is dropped.
pub struct Drive {
    pub image: PathBuf,
    pub device: String,
    pub root: PathBuf,
    _place: tempfile::TempDir,
}

impl Drive {
    pub fn new(mkfs: &str, megabytes: u32) -> Self {
        let place = tempfile::tempdir().unwrap();
        let (image, root) = (place.path().join("image"), place.path().join("root"));
        fs::create_dir(&root).unwrap();
        let shown = image.display();
        sh(&format!("truncate -s {megabytes}M {shown}; {mkfs} {shown} >/dev/null 2>&1"));
        Self::mounted(image, root, place)
    }

    /// One that is mounted as this type, with options.
    pub fn of_type(mkfs: &str, megabytes: u32, kind: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        let (image, root) = (place.path().join("image"), place.path().join("root"));
        fs::create_dir(&root).unwrap();
        let shown = image.display();
        sh(&format!("truncate -s {megabytes}M {shown}; {mkfs} {shown} >/dev/null 2>&1"));
        Self::mounted_as(&format!("-t {kind}"), image, root, place)
    }

    /// An image that is there already.
    pub fn mounted(image: PathBuf, root: PathBuf, place: tempfile::TempDir) -> Self {
        Self::mounted_as("", image, root, place)
    }

    fn mounted_as(how: &str, image: PathBuf, root: PathBuf, place: tempfile::TempDir) -> Self {
        let shown = image.display();
        let device = sh(&format!("losetup --find --show {shown}"));
        // Made before the mount, so that a mount that fails leaves no device behind.
        let drive = Self { image, device, root, _place: place };
        sh(&format!("mount {how} {} {} >/dev/null 2>&1", drive.device, drive.root.display()));
        drive
    }

    pub fn btrfs() -> Self {
        Self::new("mkfs.btrfs -q", 256)
    }

    pub fn ext4(megabytes: u32) -> Self {
        Self::new("mkfs.ext4 -q -m 0", megabytes)
    }

    /// Forgets all that the kernel remembers of it.
    pub fn mount_again(&self) {
        let (root, device) = (self.root.display(), &self.device);
        // A run of another test may have copied the table of mounts, and holds the filesystem as it was until it ends.
        sh(&format!(
            "umount {root}; for _ in $(seq 300); do
                 mount -w {device} {root} 2>/dev/null && findmnt -no OPTIONS {root} | grep -q '^rw' && exit
                 umount {root} 2>/dev/null || :; sleep 0.1
             done; echo '{device} stays read-only' >&2; exit 1"
        ));
    }

    pub fn proof(&self) -> DriveProof {
        let number = sh(&format!("lsblk -dno MAJ:MIN {}", self.device));
        let (major, minor) = number.trim().split_once(':').unwrap();
        let device = (major.parse().unwrap(), minor.parse().unwrap());
        let disk_seq = match machine::device_state(device) {
            machine::DeviceState::Present(number) => number,
            machine::DeviceState::Gone => panic!("{} is gone", self.device),
        };
        DriveProof { uuid: "2d577679-a7b6-429d-8250-3d0d80e034df".parse().unwrap(), device, disk_seq }
    }
}

impl Drop for Drive {
    fn drop(&mut self) {
        let (root, device) = (self.root.display(), &self.device);
        sh(&format!("umount -l {root} 2>/dev/null || true; losetup -d {device} 2>/dev/null || true"));
    }
}

/// Ground for a drive that claims more room than there is.
pub struct Thin {
    place: tempfile::TempDir,
}

impl Thin {
    pub fn new(megabytes: u32) -> Self {
        let place = tempfile::tempdir().unwrap();
        sh(&format!("mount -t tmpfs -o size={megabytes}m tmpfs {}", place.path().display()));
        Self { place }
    }

    pub fn drive(&self, mkfs: &str, megabytes: u32) -> Drive {
        let (image, elsewhere) = (self.place.path().join("image"), tempfile::tempdir().unwrap());
        let root = elsewhere.path().join("root");
        fs::create_dir(&root).unwrap();
        sh(&format!("truncate -s {megabytes}M {0}; {mkfs} {0} >/dev/null 2>&1", image.display()));
        // What the filesystem needs for itself gets its room, so that only content is lost.
        sh(&format!("dd if={0} of={0} bs=1M count=8 conv=notrunc status=none", image.display()));
        Drive::mounted(image, root, elsewhere)
    }

    pub fn grow(&self, megabytes: u32) {
        sh(&format!("mount -o remount,size={megabytes}m {}", self.place.path().display()));
    }
}

impl Drop for Thin {
    fn drop(&mut self) {
        sh(&format!("umount -l {}", self.place.path().display()));
    }
}

/// Two directories with sentinels, and the job between them.
pub struct Ground {
    pub place: tempfile::TempDir,
    pub source: PathBuf,
    pub destination: PathBuf,
    pub job: Job,
}

impl Ground {
    /// Both ends in one temporary directory.
    pub fn new(kind: SnapshotKind) -> Self {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("to");
        fs::create_dir(&root).unwrap();
        Self::onto(place, &root, kind)
    }

    /// The destination on a drive.
    pub fn on(drive: &Drive, kind: SnapshotKind) -> Self {
        Self::onto(tempfile::tempdir().unwrap(), &drive.root, kind)
    }

    /// The destination below a directory.
    pub fn below(root: &Path, kind: SnapshotKind) -> Self {
        Self::onto(tempfile::tempdir().unwrap(), root, kind)
    }

    fn onto(place: tempfile::TempDir, to: &Path, kind: SnapshotKind) -> Self {
        let from = place.path().join("from");
        let (source, destination) = (from.join("files"), to.join("copies"));
        fs::create_dir_all(&source).unwrap();
        fs::create_dir_all(&destination).unwrap();
        for sentinel in
            [from.join(".nbkp-vol"), to.join(".nbkp-vol"), source.join(".nbkp-src"), destination.join(".nbkp-dst")]
        {
            fs::write(sentinel, "").unwrap();
        }
        if kind == SnapshotKind::Btrfs {
            sh(&format!("btrfs subvolume create {}/staging", destination.display()));
        }
        let job = job(&from, to, kind);
        Self { place, source, destination, job }
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.source.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub fn run(&self) -> RunReport {
        run(self.job.clone())
    }

    /// Allows, as a person, what a run was held for.
    pub fn approve(&mut self, held: &Conclusion) {
        match held {
            Conclusion::Held(HoldReason::Deletions { paths, .. }) => self.job.approved = Some(paths.clone()),
            Conclusion::Held(HoldReason::CutDown { paths, .. }) => self.job.approved_cuts = Some(paths.clone()),
            other => panic!("{other:?}"),
        }
    }

    pub fn snapshots(&self) -> Vec<String> {
        let mut names = names(&self.destination.join("snapshots"));
        names.retain(|name| !name.starts_with('.'));
        names
    }

    pub fn latest(&self) -> PathBuf {
        self.destination.join("latest")
    }

    /// Where the newest copy is.
    pub fn newest(&self) -> PathBuf {
        if self.job.sync.snapshots == SnapshotKind::None { self.destination.clone() } else { self.latest() }
    }
}

/// A mirror of what this one makes: of the newest snapshot there.
pub fn after(first: &Ground) -> Ground {
    let mut second = Ground::new(SnapshotKind::None);
    second.job.source = end(&first.place.path().join("to"));
    local(&mut second.job.source).layout = Layout::Snapshots;
    second.job.sync.source.subdir = "copies".parse().unwrap();
    fs::write(first.destination.join(".nbkp-src"), "").unwrap();
    second
}

pub fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

pub fn end(root: &Path) -> JobEnd {
    let identity = Directory::open_root(root).unwrap().identity().unwrap();
    JobEnd::Here(LocalEnd {
        root: root.to_owned(),
        mount: Some(identity.mount),
        drive: None,
        fs_type: String::new(),
        access: Access::ReadWrite,
        volume_id: None,
        end_id: None,
        layout: Layout::Plain,
    })
}

/// An end of a job that is on this machine, to be changed.
pub fn local(end: &mut JobEnd) -> &mut LocalEnd {
    match end {
        JobEnd::Here(end) => end,
        JobEnd::There(_) => panic!("it is on a server"),
    }
}

/// The same, as it is.
pub fn local_of(end: &JobEnd) -> &LocalEnd {
    match end {
        JobEnd::Here(end) => end,
        JobEnd::There(_) => panic!("it is on a server"),
    }
}

pub fn job(from: &Path, to: &Path, snapshots: SnapshotKind) -> Job {
    let place = |volume: &str, subdir: &str| Place { volume: volume.parse().unwrap(), subdir: subdir.parse().unwrap() };
    let now = clock::now().wall;
    Job {
        run: RunId::new(now, 7),
        trigger: Trigger::Request,
        sync: Sync {
            snapshots,
            every: Every::Appearance,
            ..Sync::new("documents".parse().unwrap(), place("laptop", "files"), place("usb", "copies"))
        },
        source: end(from),
        destination: end(to),
        repositories: None,
        approved: None,
        approved_cuts: None,
        damage: nbkp::model::Damage::default(),
        writers: BTreeSet::new(),
        submounts: BTreeSet::new(),
        remembered: None,
        memory: Memory::Kept,
        asked: None,
    }
}

/// A hook that runs a script.
pub fn hook(script: &str) -> HookCommand {
    HookCommand { program: "/bin/sh".into(), arguments: vec!["-ec".into(), script.into()] }
}

pub fn begin(job: Job) -> (Worker, Receiver<WorkerNews>) {
    let (news, receiver) = channel(1024);
    (worker::start_run(job, SshPlace::new("/nowhere".into()), news).unwrap(), receiver)
}

/// Waits for the end, which must come exactly once.
pub fn finish(mut news: Receiver<WorkerNews>) -> RunReport {
    let mut report = None;
    while let Some(next) = news.blocking_recv() {
        match next {
            WorkerNews::Progress { .. } => assert!(report.is_none(), "progress after the end"),
            WorkerNews::Life { .. } => {}
            WorkerNews::Ended(ended) => assert!(report.replace(*ended).is_none(), "two ends"),
        }
    }
    report.expect("an end")
}

/// Waits until that many bytes were copied.
pub fn until_copied(news: &mut Receiver<WorkerNews>, wanted: u64) {
    while let Some(next) = news.blocking_recv() {
        match next {
            WorkerNews::Progress { progress: Progress { step: Step::Copy, bytes, .. }, .. } if bytes >= wanted => {
                return;
            }
            WorkerNews::Progress { .. } | WorkerNews::Life { .. } => {}
            WorkerNews::Ended(report) => panic!("ended too early: {report:?}"),
        }
    }
}

pub fn run(job: Job) -> RunReport {
    let (_worker, news) = begin(job);
    finish(news)
}
