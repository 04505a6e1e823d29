//! The ground on which runs are tried: a source and a destination, each here or at a server, and the job between them.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use tokio::sync::mpsc::{Receiver, channel};

use crate::shell::sh;
use crate::sshd::{Sshd, endpoint};
use nbkp::backup::job::{Job, JobEnd, Layout, LocalEnd, Memory, RemoteEnd, SyncAsSeen};
use nbkp::backup::news::WorkerNews;
use nbkp::daemon::outlets::worker::{self, Worker};
use nbkp::model::{
    Absence, Access, Conclusion, Every, HoldReason, Place, Progress, Route, RunId, RunReport, SnapshotKind, Step, Sync,
    Trigger, VolumeSight,
};
use nbkp::os::clock;
use nbkp::os::directory::Directory;
use nbkp::os::ssh::SshPlace;

/// Where an end is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum At {
    Here,
    Server,
}

/// Two directories with sentinels, a server, and the job between them.
pub struct Ground {
    pub server: Sshd,
    pub place: tempfile::TempDir,
    pub source: PathBuf,
    pub destination: PathBuf,
    pub job: Job,
}

impl Ground {
    /// Both ends in one temporary directory.
    pub fn new(from: At, to: At, kind: SnapshotKind) -> Self {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("to");
        fs::create_dir(&root).unwrap();
        Self::onto(Sshd::new(), place, (from, to), &root, kind)
    }

    /// The destination below this root.
    pub fn onto(server: Sshd, place: tempfile::TempDir, (from, to): (At, At), root: &Path, kind: SnapshotKind) -> Self {
        let below = place.path().join("from");
        let (source, destination) = (below.join("files"), root.join("copies"));
        fs::create_dir_all(&source).unwrap();
        fs::create_dir_all(&destination).unwrap();
        let sentinels =
            [below.join(".nbkp-vol"), root.join(".nbkp-vol"), source.join(".nbkp-src"), destination.join(".nbkp-dst")];
        for sentinel in sentinels {
            fs::write(sentinel, "id = \"0f5e1d2c\"\n").unwrap();
        }
        if kind == SnapshotKind::Btrfs {
            sh(&format!("btrfs subvolume create {}/staging", destination.display()));
        }
        let end = |at, root: &Path| match at {
            At::Here => here(root),
            At::Server => there(&server, root),
        };
        let job = job(end(from, &below), end(to, root), kind);
        Self { server, place, source, destination, job }
    }

    pub fn write(&self, name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) {
        let path = self.source.join(std::ffi::OsStr::from_bytes(name.as_ref()));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Starts a run of its own number.
    pub fn begin(&mut self) -> (Worker, Receiver<WorkerNews>) {
        self.job.run = RunId::new(clock::now().wall, fastrand());
        let (news, receiver) = channel(1024);
        (worker::start_run(self.job.clone(), self.server.ssh_place(), news).unwrap(), receiver)
    }

    pub fn run(&mut self) -> RunReport {
        let (_worker, news) = self.begin();
        let report = finish(news);
        assert_eq!(self.server.sockets(), Vec::<String>::new(), "a connection was left behind");
        report
    }

    /// The sync as an errand is given it.
    pub fn as_seen(&self) -> SyncAsSeen {
        let unseen = VolumeSight::Absent(Absence::NotLookedAt);
        let server = |end: &JobEnd| match end {
            JobEnd::Here(_) => None,
            JobEnd::There(end) => Some(end.clone()),
        };
        SyncAsSeen {
            sync: self.job.sync.clone(),
            source: unseen.clone(),
            destination: unseen,
            source_server: server(&self.job.source),
            destination_server: server(&self.job.destination),
            last_success: None,
            damage: nbkp::model::Damage::default(),
            turn: None,
            obstacles: Vec::new(),
            repositories: None,
            job: None,
        }
    }

    /// What another process needs to make the same run: see [`reopened`].
    pub fn told(&mut self) -> String {
        self.job.run = RunId::new(clock::now().wall, fastrand());
        let kind = match self.job.sync.snapshots {
            SnapshotKind::None => "none",
            SnapshotKind::Btrfs => "btrfs",
            SnapshotKind::HardLink => "link",
        };
        let paths = [
            self.source.parent().unwrap(),
            self.destination.parent().unwrap(),
            &self.server.file("user"),
            &self.server.file("known"),
            &self.server.file("run"),
        ];
        let paths: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        format!("{}|{}|{kind}|{}", self.job.run, self.server.port, paths.join("|"))
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

    /// Where the newest copy is.
    pub fn newest(&self) -> PathBuf {
        match self.job.sync.snapshots {
            SnapshotKind::None => self.destination.clone(),
            SnapshotKind::HardLink | SnapshotKind::Btrfs => self.destination.join("latest"),
        }
    }

    /// What of a directory is not as in the source, as `diff` tells it.
    pub fn difference(&self, copy: &Path) -> String {
        let (source, copy) = (self.source.display(), copy.display());
        sh(&format!("diff -r --no-dereference -x '.nbkp*' {source} {copy} || true"))
    }
}

/// The job that another process told of, pushed to its server, and where its connections lie.
pub fn reopened(told: &str) -> (Job, SshPlace) {
    let [run, port, kind, from, to, key, known, place] = told.split('|').collect::<Vec<_>>()[..] else {
        panic!("{told}")
    };
    let kind = match kind {
        "none" => SnapshotKind::None,
        "btrfs" => SnapshotKind::Btrfs,
        _ => SnapshotKind::HardLink,
    };
    let endpoint = endpoint(port.parse().unwrap(), key.into(), known.into());
    let destination = JobEnd::There(RemoteEnd {
        routes: vec![Route { endpoint, hops: Vec::new() }],
        root: to.into(),
        volume_id: None,
        end_id: None,
        layout: Layout::Plain,
    });
    let job = Job { run: run.parse().unwrap(), ..job(here(Path::new(from)), destination, kind) };
    (job, SshPlace::new(place.into()))
}

/// A number that the next call does not give again.
fn fastrand() -> u16 {
    static NEXT: std::sync::atomic::AtomicU16 = std::sync::atomic::AtomicU16::new(1);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

pub fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else { return Vec::new() };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

pub fn here(root: &Path) -> JobEnd {
    JobEnd::Here(LocalEnd {
        root: root.to_owned(),
        mount: Some(Directory::open_root(root).unwrap().identity().unwrap().mount),
        drive: None,
        fs_type: String::new(),
        access: Access::ReadWrite,
        volume_id: None,
        end_id: None,
        layout: Layout::Plain,
    })
}

pub fn there(server: &Sshd, root: &Path) -> JobEnd {
    JobEnd::There(RemoteEnd {
        routes: vec![server.route()],
        root: root.to_owned(),
        volume_id: None,
        end_id: None,
        layout: Layout::Plain,
    })
}

/// An end at a server, to be changed.
pub fn remote(end: &mut JobEnd) -> &mut RemoteEnd {
    match end {
        JobEnd::There(end) => end,
        JobEnd::Here(_) => panic!("it is here"),
    }
}

fn job(source: JobEnd, destination: JobEnd, snapshots: SnapshotKind) -> Job {
    let place = |volume: &str, subdir: &str| Place { volume: volume.parse().unwrap(), subdir: subdir.parse().unwrap() };
    Job {
        run: RunId::new(clock::now().wall, 0),
        trigger: Trigger::Request,
        sync: Sync {
            snapshots,
            every: Every::Appearance,
            ..Sync::new("documents".parse().unwrap(), place("laptop", "files"), place("nas", "copies"))
        },
        source,
        destination,
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

/// A filesystem on a loop device, mounted; all of it goes when it is dropped.
pub struct Drive {
    device: String,
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
        let device = sh(&format!("losetup --find --show {shown}"));
        // Made before the mount, so that a mount that fails leaves no device behind.
        let drive = Self { device, root, _place: place };
        sh(&format!("mount {} {}", drive.device, drive.root.display()));
        drive
    }
}

impl Drop for Drive {
    fn drop(&mut self) {
        let (root, device) = (self.root.display(), &self.device);
        sh(&format!("umount -l {root} 2>/dev/null || true; losetup -d {device} 2>/dev/null || true"));
    }
}
