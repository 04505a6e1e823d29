//! Stories: the world is shown events and virtual time, and the test plays observer, workers and clients.

mod announcements;
mod calls;
mod checks;
mod closing;
mod held;
mod hooked;
mod leftovers;
mod mended;
mod opening;
mod persons;
mod power;
mod random;
mod renaming;
mod requests;
mod restored;
mod runs;
mod server_drives;
mod server_leftovers;
mod server_runs;
mod servers;
mod stuck;
mod supposed;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use tokio::sync::{mpsc, oneshot};

use crate::backup::check::order::{CheckEnding, CheckOrder, CheckTelling, EndedCheck};
use crate::backup::drives::order::{Closer, ClosingSite, DriveNews, DriveOrder, Site};
use crate::backup::job::Job;
use crate::daemon::messages::ask::{Accepted, Ask, Refusal, RequestEnd, Urgency};
use crate::daemon::messages::call::Call;
use crate::daemon::messages::look::LookCause;
use crate::daemon::messages::probe::ProbeOrder;
use crate::daemon::world::*;
use crate::formats::config::{self, Context};
use crate::model::*;
use crate::os::history::Entry;

/// Two drives; photos go to both, documents to one, and what lies on the first is copied on to the second.
const HOUSE: &str = r#"
    [daemon]
    settle = "2s"
    grace = "10s"
    [volumes.laptop]
    path = "/home/a"
    [volumes.usb]
    drive = "2d577679-a7b6-429d-8250-3d0d80e034df"
    [volumes.red]
    drive = "00000000-a7b6-429d-8250-3d0d80e034df"
    [defaults]
    every = "1h"
    [syncs.photos]
    source = "laptop:Photos"
    destination = "usb:photos"
    [syncs.documents]
    source = "laptop:Documents"
    destination = "red:documents"
    [syncs.onward]
    source = "usb:photos"
    destination = "red:photos"
"#;

/// A world, and all that the test plays around it.
struct Story {
    world: World,
    second: i64,
    /// How far the wall clock was set since the beginning, in seconds.
    set_by: i64,
    seqs: u64,
    started: Vec<Job>,
    drives: Vec<DriveOrder>,
    devices: Vec<BlockDevice>,
    /// What the next look finds that the world asks for.
    next: Vec<(String, VolumeSight)>,
    stopped: Vec<(SyncName, Interruption)>,
    checks: Vec<CheckOrder>,
    checks_stopped: usize,
    finished: bool,
    /// Questions to servers, and whether the machine was let sleep.
    asked: Vec<ProbeOrder>,
    asleep: bool,
    notices: Vec<Notice>,
    alarm: Option<Timestamp>,
    announced: Vec<Announcement>,
    called: Vec<Call>,
    recorded: Vec<Entry>,
}

fn name(text: &str) -> SyncName {
    text.parse().unwrap()
}

fn configuration(text: &str) -> Arc<Configuration> {
    let context = Context { file: "/config.toml".into(), home: "/home/a".into() };
    Arc::new(config::parse(text, &context).unwrap())
}

impl Story {
    fn new(text: &str) -> Self {
        Self::with_past(text, BTreeMap::new())
    }

    fn with_past(text: &str, past: BTreeMap<SyncName, LastRuns>) -> Self {
        let beginnings = Beginnings {
            initiative: Initiative::Own,
            config_file: "/config.toml".into(),
            configuration: configuration(text),
            ledger: Ledger::default(),
            held: Vec::new(),
            past,
            seed: 7,
        };
        let (started, stopped) = (Vec::new(), Vec::new());
        let world = World::new(beginnings, &now_at(0));
        let (drives, devices, next) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            world,
            second: 0,
            set_by: 0,
            seqs: 0,
            started,
            drives,
            devices,
            next,
            stopped,
            checks: Vec::new(),
            checks_stopped: 0,
            finished: false,
            asked: Vec::new(),
            asleep: false,
            notices: Vec::new(),
            alarm: None,
            announced: Vec::new(),
            called: Vec::new(),
            recorded: Vec::new(),
        }
    }

    fn tell(&mut self, event: Event) {
        let now = now_at(self.second);
        let now = Now { wall: now.wall + SignedDuration::from_secs(self.set_by), ..now };
        for effect in self.world.step(event, &now) {
            match effect {
                Effect::Start(job) => self.started.push(*job),
                Effect::Check(order) => self.checks.push(*order),
                Effect::StopCheck(_) => self.checks_stopped += 1,
                Effect::StopRun(sync, why) => self.stopped.push((sync, why)),
                Effect::Alarm(at) => self.alarm = at,
                Effect::Finish => self.finished = true,
                Effect::Drive(order) => self.drives.push(*order),
                Effect::Probe(order) => self.asked.push(*order),
                Effect::LetSleep => self.asleep = true,
                Effect::Sense => {}
                Effect::Tell(notice) => self.notices.push(notice),
                Effect::Call(call) => self.called.push(call),
                Effect::Announce(announcement) => self.announced.push(announcement),
                Effect::Record(Record::Run(entry)) => self.recorded.push(entry),
                Effect::Record(Record::Ledger(_)) => {}
            }
        }
        // Whoever sees what a test shows was told to look; what is owed behind that is looked at at once.
        if self.world.begin_look().is_some() {
            let next = std::mem::take(&mut self.next);
            let next: Vec<_> = next.iter().map(|(volume, sight)| (volume.as_str(), sight.clone())).collect();
            self.see(&next);
        }
    }

    /// A look that finds these volumes so, and every end of every sync proven.
    fn see(&mut self, volumes: &[(&str, VolumeSight)]) {
        self.see_with(volumes, &EndSight::Ready { id: None });
    }

    fn see_with(&mut self, volumes: &[(&str, VolumeSight)], destination: &EndSight) {
        let sight = SyncSight { source: EndSight::Ready { id: None }, destination: destination.clone() };
        let syncs = self.world.configuration().syncs.keys();
        let observation = Observation {
            configuration: Arc::clone(self.world.configuration()),
            cause: LookCause::Asked,
            volumes: volumes.iter().map(|(name, sight)| (name.parse().unwrap(), sight.clone())).collect(),
            syncs: syncs.map(|name| (name.clone(), sight.clone())).collect(),
            devices: self.devices.clone(),
            degraded: Vec::new(),
        };
        let _ = self.world.begin_look();
        self.tell(Event::Looked(Box::new(observation)));
    }

    fn at_home(text: &str) -> Self {
        let mut story = Self::new(text);
        story.see(&[("laptop", present("/home/a", None)), ("usb", absent()), ("red", absent())]);
        story.wait(1);
        story
    }

    fn plug(&mut self, volume: &str) {
        self.seqs += 1;
        let sight = present(&format!("/media/{volume}"), Some(self.seqs));
        self.see(&[(volume, sight)]);
    }

    fn unplug(&mut self, volume: &str) {
        self.see(&[(volume, absent())]);
    }

    /// Lets time pass, with the alarm going off where it is set.
    fn wait(&mut self, seconds: i64) {
        let until = self.second + seconds;
        while let Some(alarm) = self.alarm.filter(|alarm| *alarm <= now_at(until).wall) {
            let at = alarm.duration_since(now_at(0).wall);
            self.second = self.second.max(at.as_secs() + i64::from(at.subsec_nanos() > 0));
            self.alarm = None;
            self.tell(Event::Deadline);
        }
        self.second = until;
    }

    fn running(&self) -> Vec<String> {
        self.world.runs.iter().map(|(name, _)| name.to_string()).collect()
    }

    fn end(&mut self, sync: &str, conclusion: Conclusion) {
        self.end_with(sync, conclusion, None);
    }

    fn end_with(&mut self, sync: &str, conclusion: Conclusion, submounts: Option<BTreeSet<PathBuf>>) {
        let sync = name(sync);
        let run = self.world.runs.get(&sync).unwrap().id.clone();
        let report = RunReport { submounts, ..RunReport::bare(run, sync, conclusion) };
        self.tell(Event::News(WorkerNews::Ended(Box::new(report))));
    }

    fn ask_to_run(&mut self, sync: &str, urgency: Urgency) -> (Vec<Accepted>, mpsc::Receiver<RequestEnd>) {
        let (answer, mut answered) = oneshot::channel();
        let (ends, ended) = mpsc::channel(16);
        let syncs = vec![name(sync)];
        self.tell(Event::Asked(Ask::Run { syncs, urgency, answer, ends }));
        (answered.try_recv().unwrap().unwrap(), ended)
    }

    fn status_of(&self, sync: &str) -> SyncStatus {
        let status = self.world.status(&now_at(self.second));
        status.syncs.into_iter().find(|status| status.name == name(sync)).unwrap()
    }

    fn codes(&self, sync: &str) -> Vec<&'static str> {
        self.status_of(sync).obstacles.iter().map(|obstacle| obstacle.code().as_str()).collect()
    }
}

fn now_at(second: i64) -> Now {
    let start: Timestamp = "2026-11-22T12:00:00Z".parse().unwrap();
    Now {
        boot: BootTime(Duration::from_secs(1000 + u64::try_from(second).unwrap())),
        wall: start + SignedDuration::from_secs(second),
        zone: TimeZone::UTC,
    }
}

fn absent() -> VolumeSight {
    VolumeSight::Absent(Absence::NotPlugged)
}

fn present(root: &str, disk_seq: Option<u64>) -> VolumeSight {
    VolumeSight::Present(PresentVolume {
        root: PathBuf::from(root),
        mount: MountId(100 + disk_seq.unwrap_or(0)),
        access: Access::ReadWrite,
        fs_type: "btrfs".into(),
        disk_seq,
        hardware: None,
        device: disk_seq.map(|_| (7, 0)),
        unclean: None,
        id: None,
    })
}

fn failed() -> Conclusion {
    let detail = "could not write /media/usb/photos/a: input/output error".into();
    Conclusion::Failed(Failure { at: Step::Copy, kind: FailureKind::Io, detail })
}

fn paths(count: u64) -> PathSet {
    let mut paths = PathSet::default();
    for number in 0..count {
        paths.add(number);
    }
    paths
}

fn reason() -> HoldReason {
    HoldReason::Deletions { paths: paths(60), before: 100, allowed_percent: 25, against: None }
}

fn held() -> Conclusion {
    Conclusion::Held(reason())
}

/// A drive that is opened for its runs, and another that is encrypted.
const OPENED: &str = r#"
    [daemon]
    settle = "2s"
    grace = "10s"
    [volumes.laptop]
    path = "/home/a"
    [volumes.usb]
    drive = "2d577679-a7b6-429d-8250-3d0d80e034df"
    mount = true
    when-done = "power-off"
    [volumes.red]
    drive = "00000000-a7b6-429d-8250-3d0d80e034df"
    mount = true
    passphrase = "red"
    [defaults]
    every = "1h"
    [syncs.photos]
    source = "laptop:Photos"
    destination = "usb:photos"
    [syncs.documents]
    source = "laptop:Documents"
    destination = "usb:documents"
    [syncs.secrets]
    source = "laptop:Secrets"
    destination = "red:secrets"
"#;

const USB: &str = "2d577679-a7b6-429d-8250-3d0d80e034df";
const RED: &str = "00000000-a7b6-429d-8250-3d0d80e034df";
const OTHER: &str = "11111111-a7b6-429d-8250-3d0d80e034df";

fn closed_sight(seq: u64) -> VolumeSight {
    VolumeSight::NotMounted { device: "/dev/sdb1".into(), disk_seq: Some(seq), automount: None, blocked_at: Vec::new() }
}

fn locked_sight(seq: u64) -> VolumeSight {
    VolumeSight::Locked { device: "/dev/sdc1".into(), disk_seq: Some(seq) }
}

fn block_device(node: &str, uuid: &str, minor: u32, seq: u64, role: DeviceRole) -> BlockDevice {
    BlockDevice {
        node: node.into(),
        links: Vec::new(),
        number: (8, minor),
        uuid: uuid.parse().unwrap(),
        member: None,
        role,
        disk_seq: Some(seq),
        hardware: None,
        label: None,
        size: 1 << 30,
    }
}

impl Story {
    fn with_closed_drive(text: &str) -> Self {
        let mut story = Self::at_home(text);
        story.devices = vec![block_device("/dev/sdb1", USB, 17, 1, DeviceRole::Filesystem("ext4".into()))];
        story.see(&[("usb", closed_sight(1))]);
        story
    }

    /// What was ordered since this was asked last.
    fn orders(&mut self) -> Vec<String> {
        let told = |order: DriveOrder| match order {
            DriveOrder::Open(opening) => format!("open {} for {:?}", opening.volume, opening.sake),
            DriveOrder::Close(closing) => format!("close {}: {:?}", closing.volume, closing.then),
        };
        std::mem::take(&mut self.drives).into_iter().map(told).collect()
    }

    fn opened(&mut self, volume: &str, sight: VolumeSight) {
        self.next = vec![(volume.to_owned(), sight)];
        self.tell(Event::Drive(DriveNews::Opened(volume.parse().unwrap(), Ok(()))));
    }

    fn not_opened(&mut self, volume: &str, trouble: OpeningTrouble) {
        self.tell(Event::Drive(DriveNews::Opened(volume.parse().unwrap(), Err(trouble))));
    }

    fn closed(&mut self, volume: &str, left: Left, closer: Closer) {
        self.tell(Event::Drive(DriveNews::Closed(volume.parse().unwrap(), left, closer)));
    }
}
