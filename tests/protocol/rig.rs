//! A server on a socket of its own, and clients that know nothing of our code. The test plays the dispatcher and those
//! who run errands, at the other end of the channels.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use nbkp::daemon::messages::ask::{Accepted, Ask};
use nbkp::daemon::messages::errand::{Errand, ErrandNews, ErrandOrder, ErrandResult};
use nbkp::daemon::messages::event::Record;
use nbkp::daemon::outlets::keeper;
use nbkp::daemon::serving::{Doors, serve};
use nbkp::formats::config::{Context, parse};
use nbkp::formats::wire::{
    CheckEnd, CheckedCopy, DamagedEntry, Diagnosis, FindEnd, FindNews, FoundEntry, Moment, Prepared, PreviewEnd,
    Pruned, RestoreEnd, RestoreProblem, RestoredEntry, Snapshots, SyncProblem, UnreachedCopies, VersionEntry, Versions,
};
use nbkp::model::{
    Absence, Area, Closed, Configuration, Consequence, DaemonState, End, EntryKind, Figures, Flaw, Forecast, Foreseen,
    Freshness, Left, Obstacle, Outcome, Progress, RunRecord, RunningNow, Status, Step, SyncName, SyncState, SyncStatus,
    Trigger, VolumeKind, VolumeStatus,
};

pub const DEADLINE: Duration = Duration::from_secs(30);

/// A server, and the ends of the channels that are not its own.
pub struct Rig {
    pub root: tempfile::TempDir,
    pub asks: mpsc::Receiver<Ask>,
    pub errands: mpsc::Receiver<ErrandOrder>,
    pub keeper: mpsc::Sender<Record>,
    pub status: watch::Sender<Arc<Status>>,
    _configuration: watch::Sender<Arc<Configuration>>,
    _tasks: JoinSet<()>,
}

impl Rig {
    pub fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let (asks, asked) = mpsc::channel(16);
        let (errands, ordered) = mpsc::channel(16);
        let (keeper, kept) = mpsc::channel(16);
        let (history, questions) = mpsc::channel(16);
        let (status, watched) = watch::channel(Arc::new(status()));
        let (configuration, configured) = watch::channel(Arc::new(configuration()));
        let listener = UnixListener::bind(root.path().join("sock")).unwrap();
        let doors = Doors { asks, status: watched, configuration: configured, history, errands };
        let mut tasks = JoinSet::new();
        tasks.spawn(keeper::keep_records(root.path().to_owned(), kept, questions, watch::Sender::new(None)));
        tasks.spawn(serve(listener, doors));
        Self { root, asks: asked, errands: ordered, keeper, status, _configuration: configuration, _tasks: tasks }
    }

    pub fn socket(&self) -> PathBuf {
        self.root.path().join("sock")
    }

    pub async fn client(&self) -> Client {
        Client { stream: UnixStream::connect(self.socket()).await.unwrap(), held: Vec::new() }
    }

    pub async fn asked(&mut self) -> Ask {
        timeout(DEADLINE, self.asks.recv()).await.unwrap().unwrap()
    }

    pub async fn ordered(&mut self) -> ErrandOrder {
        timeout(DEADLINE, self.errands.recv()).await.unwrap().unwrap()
    }

    /// Lets a client call, and answers what the daemon behind the server is asked for it.
    pub async fn call(&mut self, client: &mut Client, call: &Value) -> Value {
        client.send(call).await;
        let reply = tokio::select! {
            reply = client.reply() => reply,
            ask = self.asks.recv() => {
                satisfy(ask.unwrap());
                client.reply().await
            }
            order = self.errands.recv() => {
                carry_out(order.unwrap()).await;
                client.reply().await
            }
        };
        reply.unwrap_or_else(|| panic!("{call} is not answered"))
    }

    /// Tells that `documents` is being copied, and how far it is.
    pub fn progress(&self, bytes: u64) {
        let mut status = status();
        status.state = DaemonState::Running;
        let progress = Progress { step: Step::Copy, percent: Some(1), bytes, rate: 1, eta_seconds: None };
        status.running = vec![RunningNow {
            sync: documents(),
            destination: "usb".parse().unwrap(),
            run: "r1".parse().unwrap(),
            progress,
            still: None,
        }];
        self.status.send_replace(Arc::new(status));
    }

    /// Asks for the status until it is given; how long that took.
    pub async fn is_served(&self) -> Duration {
        let start = Instant::now();
        loop {
            let mut client = self.client().await;
            // A client that is turned away may find its way out closed already.
            let _ = client.stream.write_all(b"{\"method\":\"org.nbkp.Daemon.Status\"}\0").await;
            match client.reply().await {
                Some(reply) if reply.get("error").is_none() => return start.elapsed(),
                _ if start.elapsed() < DEADLINE => tokio::time::sleep(Duration::from_millis(20)).await,
                reply => panic!("no room was made: {reply:?}"),
            }
        }
    }
}

/// A client that writes and reads JSON between zeros.
pub struct Client {
    pub stream: UnixStream,
    held: Vec<u8>,
}

impl Client {
    pub async fn send(&mut self, call: &Value) {
        let mut frame = serde_json::to_vec(call).unwrap();
        frame.push(0);
        self.stream.write_all(&frame).await.unwrap();
    }

    /// The next reply; `None` once the server has closed the connection. May be dropped while it waits.
    pub async fn reply(&mut self) -> Option<Value> {
        let reply = async {
            loop {
                if let Some(end) = self.held.iter().position(|byte| *byte == 0) {
                    let frame: Vec<u8> = self.held.drain(..=end).collect();
                    return Some(serde_json::from_slice(&frame[..end]).unwrap());
                }
                match self.stream.read_buf(&mut self.held).await {
                    Ok(0) | Err(_) => return None,
                    Ok(_) => {}
                }
            }
        };
        timeout(DEADLINE, reply).await.expect("a reply, or the end, in time")
    }

    pub async fn call(&mut self, method: &str, parameters: Value) -> Value {
        self.send(&json!({ "method": method, "parameters": parameters })).await;
        self.reply().await.expect("a reply")
    }

    pub async fn follow(&mut self, method: &str, parameters: Value) {
        self.send(&json!({ "method": method, "parameters": parameters, "more": true })).await;
    }
}

pub fn documents() -> SyncName {
    "documents".parse().unwrap()
}

pub fn absent() -> Obstacle {
    Obstacle::VolumeAbsent { end: End::Destination, volume: "usb".parse().unwrap(), absence: Absence::NotPlugged }
}

pub fn record() -> RunRecord {
    RunRecord {
        run: "r1".parse().unwrap(),
        sync: documents(),
        trigger: Trigger::Drive,
        started: "2026-11-22T17:30:00Z".parse().unwrap(),
        finished: "2026-11-22T17:31:00Z".parse().unwrap(),
        outcome: Outcome::Ok,
        figures: Figures { files_transferred: 3, bytes_transferred: 4096, ..Figures::default() },
        heaviest: Vec::new(),
        snapshot: Some("2026-11-22T17:30:00.000Z".parse().unwrap()),
        error: None,
        warnings: vec!["one file vanished".into()],
    }
}

pub fn sync_status(name: &str, state: SyncState, obstacles: Vec<Obstacle>) -> SyncStatus {
    SyncStatus {
        name: name.parse().unwrap(),
        state,
        freshness: Freshness::Fresh,
        obstacles,
        last_success: Some(record().finished),
        last_run: Some(Arc::new(record())),
        next_due: None,
        overdue_at: None,
        starts_at: None,
        damaged: 0,
        doubted: 0,
        last_verified: None,
    }
}

pub fn status() -> Status {
    let volume = |name: &str, path: Option<&str>, obstacles| VolumeStatus {
        name: name.parse().unwrap(),
        kind: VolumeKind::Directory,
        path: path.map(Into::into),
        obstacles,
        user: Some(documents()),
    };
    Status {
        locations: Vec::new(),
        online: None,
        metered: None,
        state: DaemonState::Idle,
        started: "2026-11-22T17:00:00Z".parse().unwrap(),
        config: "/c.toml".into(),
        config_error: None,
        degraded: BTreeMap::new(),
        volumes: vec![volume("laptop", Some("/home/a"), vec![]), volume("usb", None, vec![absent()])],
        syncs: vec![
            sync_status("documents", SyncState::Waiting, vec![absent()]),
            sync_status("photos", SyncState::Idle, vec![]),
        ],
        queue: vec!["photos".parse().unwrap()],
        running: vec![],
        checking: None,
    }
}

/// The same with this many syncs.
pub fn large_status(syncs: u32) -> Status {
    let one = |number: u32| sync_status(&format!("sync-{number}"), SyncState::Waiting, vec![absent(), absent()]);
    Status { syncs: (0..syncs).map(one).collect(), ..status() }
}

fn configuration() -> Configuration {
    let text = "[volumes.laptop]\npath = '/home/a'\n[volumes.usb]\npath = '/mnt/usb'\n\
                [syncs.documents]\nsource = 'laptop:documents'\ndestination = 'usb:documents'\n\
                [syncs.photos]\nsource = 'laptop:photos'\ndestination = 'usb:photos'\n";
    parse(text, &Context { file: "c.toml".into(), home: "/home/a".into() }).unwrap()
}

/// Answers whatever is asked, in the simplest way.
pub fn satisfy(ask: Ask) {
    let nobody_waits = match ask {
        Ask::Scan { answer } | Ask::Pause { answer, .. } | Ask::Resume { answer } | Ask::Prepared { answer, .. } => {
            answer.send(()).is_err()
        }
        Ask::Hold { answer, .. } | Ask::Release { answer, .. } => answer.send(Ok(())).is_err(),
        Ask::Mount { answer, .. } => answer.send(Ok("/media/usb".into())).is_err(),
        Ask::Unmount { volume, answer, .. } => {
            answer.send(Ok((volume.into(), Left::Safe(Closed::PoweredOff)))).is_err()
        }
        Ask::Approve { answer, .. } => answer.send(Ok(vec!["the drive".into()])).is_err(),
        Ask::Checked { answer, .. } | Ask::RestoreEnds { answer, .. } => answer.send(()).is_err(),
        Ask::RestoreBegins { answer, .. } => answer.send(Ok(())).is_err(),
        Ask::Cancel { answer, .. } => answer.send(Ok(vec![documents()])).is_err(),
        Ask::Simulate { answer, .. } => answer.send(Ok(forecast())).is_err(),
        Ask::Devices { answer } | Ask::KnownDevices { answer } => answer.send((vec![], Arc::default())).is_err(),
        Ask::Prospects { answer, .. } => answer.send(Ok(vec![])).is_err(),
        Ask::Run { answer, .. } => {
            answer.send(Ok(vec![Accepted { sync: documents(), obstacles: vec![absent()] }])).is_err()
        }
    };
    assert!(!nobody_waits, "the server has forgotten its question");
}

/// One sync that would start, and one that would not.
fn forecast() -> Forecast {
    let told =
        |sync: &str, fate, after| Foreseen { sync: sync.parse().unwrap(), fate, after, reasons: vec!["x".into()] };
    let syncs = vec![
        told("documents", Consequence::Starts, Some(Duration::from_secs(9))),
        told("photos", Consequence::Stays, None),
    ];
    Forecast { assumed: vec!["`usb` is mounted".into()], syncs }
}

/// One thing that is well, and one that is not.
pub fn diagnosis() -> Diagnosis {
    let finding = Flaw::ToolMissing.error("the program `rsync` is missing", "install it: `apt install rsync`");
    Diagnosis::new(&[Area::Tools.well("ssh", "/usr/bin/ssh"), Area::Tools.examined("rsync", finding)])
}

pub async fn carry_out(order: ErrandOrder) {
    let result = match order.errand {
        Errand::Prepare(..) => ErrandResult::Prepared(Prepared { syncs: vec![] }),
        Errand::Preview(_) | Errand::Between(..) => {
            ErrandResult::Previewed(PreviewEnd { syncs: vec![], problems: vec![] })
        }
        Errand::Snapshots(..) => ErrandResult::Snapshots(Snapshots { snapshots: vec![], problems: vec![] }),
        Errand::Prune(..) => ErrandResult::Pruned(Pruned { pruned: vec![], problems: vec![] }),
        Errand::Versions(path) => ErrandResult::Versions(versions(path)),
        Errand::Find(_) => {
            let entry = FoundEntry {
                name: "/x".into(),
                modified: None,
                size: Some(1),
                kind: Some(EntryKind::File.into()),
                sync: "documents".into(),
                snapshot: None,
                path: "/m/x".into(),
                made: None,
                gone: None,
            };
            let news = FindNews { found: vec![entry], names: Some(7), ..FindNews::default() };
            order.news.send(ErrandNews::Finding(news)).await.unwrap();
            ErrandResult::Found(FindEnd { count: 1, ..FindEnd::default() })
        }
        Errand::Restore(_) => ErrandResult::Restored(restored()),
        Errand::Verify(..) => ErrandResult::Checked(checked()),
        Errand::Doctor => ErrandResult::Diagnosed(diagnosis()),
    };
    order.news.send(ErrandNews::Done(result)).await.unwrap();
}

fn versions(path: String) -> Versions {
    let moment = Moment("2026-11-22T17:30:00Z".parse().unwrap());
    let version = VersionEntry {
        modified: moment,
        size: 1,
        kind: EntryKind::File.into(),
        sync: "documents".into(),
        snapshot: None,
        path: path.clone(),
        copies: 1,
        oldest: None,
        newest: Some(moment),
        now: true,
    };
    let away = UnreachedCopies { sync: "photos".into(), message: "away".into(), last_success: None };
    Versions { path, versions: vec![version], unreached: vec![away] }
}

fn checked() -> CheckEnd {
    let damaged = DamagedEntry { path: "x".into(), reason: "it is another one".into(), snapshots: vec![] };
    let copy = CheckedCopy {
        sync: "documents".into(),
        snapshot: None,
        files: 1,
        bytes: 1,
        compared_with_source: 1,
        compared_with_copies: 0,
        damaged: vec![damaged],
        doubtful: vec!["y".into()],
        remarks: vec!["z".into()],
    };
    let problem = SyncProblem { sync: "photos".into(), message: "away".into() };
    CheckEnd { checked: vec![copy], problems: vec![problem] }
}

fn restored() -> RestoreEnd {
    let entry = RestoredEntry {
        path: "/x".into(),
        to: "/y".into(),
        sync: "documents".into(),
        snapshot: None,
        made: None,
        from: "/m/x".into(),
        files: 1,
        bytes: 1,
        same: 0,
        kept: vec!["z".into()],
        kept_count: 1,
        missing: vec![],
        remarks: vec![],
    };
    RestoreEnd { restored: vec![entry], problems: vec![RestoreProblem { path: "/w".into(), message: "away".into() }] }
}
