//! Stories: the world is shown events and virtual time, and the test plays observer, workers and clients.

mod server_drives;
mod servers;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use tokio::sync::{mpsc, oneshot};

use crate::backup::drives::order::{Closer, ClosingSite, DriveNews, DriveOrder, Site};
use crate::backup::job::Job;
use crate::daemon::messages::ask::{Accepted, Ask, Refusal, RequestEnd, Urgency};
use crate::daemon::messages::look::LookCause;
use crate::daemon::messages::probe::ProbeOrder;
use crate::daemon::world::*;
use crate::formats::config::{self, Context};
use crate::model::*;

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
    finished: bool,
    /// Questions to servers, and whether the machine was let sleep.
    asked: Vec<ProbeOrder>,
    asleep: bool,
    notices: Vec<Notice>,
    alarm: Option<Timestamp>,
    announced: Vec<Announcement>,
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
            finished: false,
            asked: Vec::new(),
            asleep: false,
            notices: Vec::new(),
            alarm: None,
            announced: Vec::new(),
        }
    }

    fn tell(&mut self, event: Event) {
        let now = now_at(self.second);
        let now = Now { wall: now.wall + SignedDuration::from_secs(self.set_by), ..now };
        for effect in self.world.step(event, &now) {
            match effect {
                Effect::Start(job) => self.started.push(*job),
                Effect::StopRun(sync, why) => self.stopped.push((sync, why)),
                Effect::Alarm(at) => self.alarm = at,
                Effect::Finish => self.finished = true,
                Effect::Drive(order) => self.drives.push(*order),
                Effect::Probe(order) => self.asked.push(*order),
                Effect::LetSleep => self.asleep = true,
                Effect::Sense => {}
                Effect::Tell(notice) => self.notices.push(notice),
                Effect::Announce(announcement) => self.announced.push(announcement),
                Effect::Record(_) => {}
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
        let sync = name(sync);
        let run = self.world.runs.get(&sync).unwrap().id.clone();
        let report =
            RunReport { run, sync, conclusion, figures: Figures::default(), snapshot: None, warnings: Vec::new() };
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
        id: None,
    })
}

fn failed() -> Conclusion {
    let detail = "could not write /media/usb/photos/a: input/output error".into();
    Conclusion::Failed(Failure { at: Step::Copy, kind: FailureKind::Io, detail })
}

fn held() -> Conclusion {
    Conclusion::Held(HoldReason::Deletions { deletions: 60, before: 100, allowed_percent: 25 })
}

#[test]
fn a_drive_that_is_plugged_in_is_copied_to_after_its_grace() {
    let mut story = Story::at_home(HOUSE);
    assert_eq!(story.codes("photos"), ["destination-volume-absent"]);
    story.plug("usb");
    assert_eq!(story.status_of("photos").state, SyncState::Queued);
    story.wait(9);
    assert!(story.running().is_empty());
    story.wait(1);
    assert_eq!(story.running(), ["photos"]);
    assert_eq!(story.started[0].trigger, Trigger::Drive);
    story.end("photos", Conclusion::Ok);
    let status = story.status_of("photos");
    assert_eq!((status.state, status.freshness), (SyncState::Idle, Freshness::Fresh));
    story.wait(3599);
    assert!(story.running().is_empty());
    story.wait(1);
    assert_eq!(story.running(), ["photos"]);
    assert_eq!(story.started[1].trigger, Trigger::Schedule);
}

#[test]
fn plugged_twice_quickly_is_one_run() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(1);
    story.unplug("usb");
    story.plug("usb");
    story.wait(10);
    assert_eq!(story.running(), ["photos"]);
    story.end("photos", Conclusion::Ok);
    story.wait(60);
    assert_eq!(story.started.len(), 1);
}

#[test]
fn a_pulled_drive_stops_its_run_at_once_and_the_replug_goes_on_with_it() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(10);
    story.unplug("usb");
    let why = Interruption::DestinationLost("drive `usb` was pulled out".into());
    assert_eq!(story.stopped, [(name("photos"), why.clone())]);
    story.end("photos", Conclusion::Interrupted(why));
    assert_eq!(story.codes("photos"), ["destination-volume-absent"]);
    story.plug("usb");
    story.wait(10);
    assert_eq!(story.running(), ["photos"]);
}

#[test]
fn a_replug_that_no_look_saw_go_is_an_appearance_too() {
    let mut story = Story::at_home(&HOUSE.replace("every = \"1h\"", "every = \"0s\""));
    story.plug("usb");
    story.wait(10);
    story.end("photos", Conclusion::Ok);
    story.wait(60);
    assert_eq!(story.started.len(), 1);
    story.plug("usb");
    story.wait(10);
    assert_eq!(story.running(), ["photos"]);
}

#[test]
fn what_goes_first_goes_first_and_nobody_shares_a_drive() {
    let mut story = Story::at_home(&HOUSE.replace("grace = \"10s\"", "grace = \"10s\"\nmax-parallel = 4"));
    story.plug("usb");
    story.plug("red");
    story.wait(10);
    // `onward` reads what `photos` writes, and `documents` writes to a drive that nobody else uses now.
    assert_eq!(story.running(), ["documents", "photos"]);
    story.end("photos", Conclusion::Ok);
    assert_eq!(story.running(), ["documents"]);
    story.end("documents", Conclusion::Ok);
    assert_eq!(story.running(), ["onward"]);
}

#[test]
fn a_sync_does_not_run_on_what_a_failed_one_left_but_absence_is_no_failure() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.plug("red");
    story.wait(10);
    story.end("documents", Conclusion::Ok);
    story.end("photos", failed());
    assert_eq!(story.codes("onward"), ["upstream-failed"]);
    assert!(story.running().is_empty());
    assert_eq!(story.codes("photos"), ["backing-off"]);
    story.wait(30);
    assert_eq!(story.running(), ["photos"]);
    story.end("photos", failed());
    // The laptop's photos go away: `photos` cannot be tried, so that what it did last time has to do.
    story.see(&[("laptop", VolumeSight::Absent(Absence::NoDirectory("/home/a".into())))]);
    assert_eq!(story.running(), ["onward"]);
}

#[test]
fn failures_back_off_and_a_replug_ends_that() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(10);
    for _ in 0..4 {
        story.end("photos", failed());
        assert!(story.running().is_empty());
        story.wait(600);
        assert_eq!(story.running(), ["photos"]);
    }
    story.end("photos", failed());
    story.wait(60);
    assert!(story.running().is_empty());
    story.unplug("usb");
    story.plug("usb");
    story.wait(10);
    assert_eq!(story.running(), ["photos"]);
}

#[test]
fn a_full_drive_is_tried_again_since_only_a_run_can_clear_what_a_run_left() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(10);
    story.end("photos", failed());
    let full = EndSight::Faulty(vec![EndFault::NoSpace("/media/usb/photos".into())]);
    let usb = present("/media/usb", Some(story.seqs));
    story.see_with(&[("usb", usb.clone())], &full);
    let codes = |story: &Story| {
        story.status_of("photos").obstacles.iter().map(|obstacle| obstacle.code().as_str()).collect::<Vec<_>>()
    };
    assert_eq!(codes(&story), ["no-space", "backing-off"]);
    assert!(story.running().is_empty());
    for event in [300, 300] {
        story.see_with(&[("usb", usb.clone())], &full);
        story.wait(event);
    }
    assert_eq!(story.running(), ["photos"]);
    story.end("photos", failed());
    story.see_with(&[("usb", usb)], &full);
    let (accepted, _) = story.ask_to_run("photos", Urgency::Asked);
    assert!(accepted[0].obstacles.is_empty());
}

#[test]
fn what_a_new_configuration_names_is_looked_at_before_it_runs() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(10);
    story.end("photos", Conclusion::Ok);
    let more = "[syncs.music]\nsource = 'laptop:Music'\ndestination = 'usb:music'\n";
    let configuration = configuration(&format!("{HOUSE}\n{more}"));
    let effects = story.world.step(Event::Configured(Ok(configuration)), &now_at(story.second));
    assert!(story.world.can_look());
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Start(_))), "{effects:?}");
    story.see(&[]);
    assert_eq!(story.running(), ["music"]);
}

#[test]
fn what_a_run_and_the_last_look_found_is_said_once() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(10);
    let missing = |reason: &str| Obstacle::DirectoryMissing {
        end: End::Destination,
        path: "/media/usb/photos".into(),
        reason: reason.into(),
    };
    story.end("photos", Conclusion::Skipped(vec![missing("No such file"), Obstacle::LockTaken { path: "/l".into() }]));
    let gone = EndSight::Faulty(vec![EndFault::NoDirectory("/media/usb/photos".into(), "it does not exist".into())]);
    let usb = present("/media/usb", Some(story.seqs));
    story.see_with(&[("usb", usb)], &gone);
    let expected = [missing("it does not exist"), Obstacle::LockTaken { path: "/l".into() }];
    assert_eq!(story.status_of("photos").obstacles, expected);
}

#[test]
fn a_held_run_waits_for_a_person() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(10);
    story.end("photos", held());
    assert_eq!(story.status_of("photos").state, SyncState::Held);
    story.wait(100_000);
    story.unplug("usb");
    story.plug("usb");
    story.wait(100);
    assert_eq!(story.started.len(), 1);
    let (accepted, _) = story.ask_to_run("photos", Urgency::Forced);
    assert_eq!(accepted[0].obstacles[0].code(), ObstacleCode::Held);
    let (answer, mut answered) = oneshot::channel();
    story.tell(Event::Asked(Ask::Approve { sync: name("photos"), answer }));
    assert_eq!(answered.try_recv().unwrap().unwrap().len(), 1);
    story.ask_to_run("photos", Urgency::Asked);
    assert_eq!(story.running(), ["photos"]);
    assert_eq!(story.started[1].approved, Some(60));
    story.end("photos", Conclusion::Ok);
    story.wait(3600);
    assert_eq!(story.started[2].approved, None);
}

#[test]
fn hardware_that_was_never_used_is_asked_about() {
    let mut story = Story::at_home(HOUSE);
    let VolumeSight::Present(mut stick) = present("/media/usb", Some(1)) else { unreachable!() };
    stick.hardware = Some(Hardware("serial 1234".into()));
    story.see(&[("usb", VolumeSight::Present(stick))]);
    story.wait(60);
    assert_eq!(story.codes("photos"), ["device-unknown"]);
    assert_eq!(story.status_of("photos").state, SyncState::Held);
    let (answer, _answered) = oneshot::channel();
    story.tell(Event::Asked(Ask::Approve { sync: name("photos"), answer }));
    story.wait(60);
    assert_eq!(story.running(), ["photos"]);
}

#[test]
fn a_hold_within_the_grace_keeps_hands_off() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(5);
    let (answer, mut answered) = oneshot::channel();
    story.tell(Event::Asked(Ask::Hold { volume: "usb".parse().unwrap(), answer }));
    assert_eq!(answered.try_recv().unwrap(), Ok(()));
    story.wait(1000);
    assert!(story.started.is_empty());
    let (answer, _answered) = oneshot::channel();
    story.tell(Event::Asked(Ask::Release { volume: "usb".parse().unwrap(), answer }));
    story.wait(10);
    assert_eq!(story.running(), ["photos"]);
}

#[test]
fn a_hold_on_a_drive_in_use_is_answered_once_nothing_uses_it() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(10);
    let (answer, mut answered) = oneshot::channel();
    story.tell(Event::Asked(Ask::Hold { volume: "usb".parse().unwrap(), answer }));
    assert_eq!(story.stopped, [(name("photos"), Interruption::DriveHeld)]);
    assert!(answered.try_recv().is_err());
    story.end("photos", Conclusion::Interrupted(Interruption::DriveHeld));
    assert_eq!(answered.try_recv().unwrap(), Ok(()));
}

#[test]
fn a_pause_starts_nothing_and_ends_by_itself() {
    let mut story = Story::at_home(HOUSE);
    let (answer, _answered) = oneshot::channel();
    story.tell(Event::Asked(Ask::Pause { length: Some(Duration::from_mins(10)), answer }));
    story.plug("usb");
    story.wait(599);
    assert!(story.started.is_empty());
    assert_eq!(story.codes("photos"), ["paused"]);
    story.wait(1);
    assert_eq!(story.running(), ["photos"]);
}

#[test]
fn what_was_killed_in_mid_run_goes_on_at_the_next_start() {
    let record = RunRecord {
        run: "20261122T110000.000Z-0001".parse().unwrap(),
        sync: name("photos"),
        trigger: Trigger::Drive,
        started: now_at(0).wall,
        finished: now_at(0).wall,
        outcome: Outcome::Interrupted,
        figures: Figures::default(),
        snapshot: None,
        error: Some(Interruption::Killed.to_string()),
        hold: None,
        warnings: Vec::new(),
    };
    let past = LastRuns { last_run: Some(record), last_success: Some(now_at(0).wall), failures: 1 };
    let mut story = Story::with_past(HOUSE, [(name("photos"), past)].into());
    story.see(&[("laptop", present("/home/a", None)), ("usb", present("/media/usb", Some(1))), ("red", absent())]);
    story.wait(10);
    assert_eq!(story.running(), ["photos"]);
}

#[test]
fn a_clock_that_is_set_back_makes_no_endless_round() {
    let mut story = Story::at_home(&HOUSE.replace("every = \"1h\"", "every = \"0s\""));
    story.plug("usb");
    story.wait(5);
    story.set_by = -7200;
    story.tell(Event::ClockJumped);
    story.second += 10;
    story.tell(Event::Deadline);
    assert_eq!(story.running(), ["photos"]);
    story.second += 5;
    story.end("photos", Conclusion::Ok);
    assert!(story.running().is_empty(), "it runs again though it has just been copied");
    story.second += 1;
    story.plug("usb");
    story.second += 10;
    story.tell(Event::Deadline);
    assert_eq!(story.running(), ["photos"]);
}

#[test]
fn a_volume_that_leads_elsewhere_is_looked_at_before_it_is_used() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(9);
    let before = Arc::clone(story.world.configuration());
    let moved = configuration(&HOUSE.replace("2d577679", "11111111"));
    let starts = |effects: &[Effect]| effects.iter().any(|effect| matches!(effect, Effect::Start(_)));
    let effects = story.world.step(Event::Configured(Ok(Arc::clone(&moved))), &now_at(20));
    assert!(!starts(&effects), "a run onto the drive that is configured no longer");
    // A look that was under way meanwhile saw the old drive.
    let look = |configuration: Arc<Configuration>, sight| {
        let ready = || EndSight::Ready { id: None };
        let seen = |name: &SyncName| (name.clone(), SyncSight { source: ready(), destination: ready() });
        let observation = Observation {
            syncs: configuration.syncs.keys().map(seen).collect(),
            configuration,
            cause: LookCause::Asked,
            volumes: [("usb".parse().unwrap(), sight)].into(),
            devices: Vec::new(),
            degraded: Vec::new(),
        };
        Event::Looked(Box::new(observation))
    };
    let effects = story.world.step(look(before, present("/media/old", Some(1))), &now_at(40));
    assert!(!starts(&effects) && !starts(&story.world.step(Event::Deadline, &now_at(80))));
    story.world.step(look(moved, present("/media/new", Some(2))), &now_at(81));
    assert!(starts(&story.world.step(Event::Deadline, &now_at(91))));
}

#[test]
fn a_destination_that_moved_has_no_copy_yet() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(10);
    story.end("photos", Conclusion::Ok);
    assert_eq!(story.status_of("photos").state, SyncState::Idle);
    // The ledger and the history outlive the daemon.
    let ledger = story.world.decisions.ledger().clone();
    let past = LastRuns { last_success: Some(now_at(10).wall), ..LastRuns::default() };
    for (text, freshness) in
        [(HOUSE.to_owned(), Freshness::Fresh), (HOUSE.replace("usb:photos", "usb:elsewhere"), Freshness::Never)]
    {
        story.tell(Event::Configured(Ok(configuration(&text))));
        assert_eq!(story.status_of("photos").freshness, freshness, "{text}");
        let beginnings = Beginnings {
            initiative: Initiative::Own,
            config_file: "/config.toml".into(),
            configuration: configuration(&text),
            ledger: ledger.clone(),
            held: Vec::new(),
            past: [(name("photos"), past.clone())].into(),
            seed: 7,
        };
        story.world = World::new(beginnings, &now_at(20));
        assert_eq!(story.status_of("photos").freshness, freshness, "after a restart: {text}");
    }
    // A hold at the new place counts.
    story.see(&[("laptop", present("/home/a", None)), ("usb", absent()), ("red", absent())]);
    story.plug("usb");
    story.wait(40);
    story.end("photos", held());
    story.wait(10);
    assert_eq!((story.status_of("photos").state, story.running().len()), (SyncState::Held, 0));
}

#[test]
fn an_answer_comes_from_a_look_that_began_after_the_question() {
    let mut story = Story::at_home(HOUSE);
    let configuration = Arc::clone(story.world.configuration());
    let look = || {
        let observation = Observation {
            configuration: Arc::clone(&configuration),
            cause: LookCause::Asked,
            volumes: BTreeMap::new(),
            syncs: BTreeMap::new(),
            devices: Vec::new(),
            degraded: Vec::new(),
        };
        Event::Looked(Box::new(observation))
    };
    story.world.owe_look(Scope::mounts());
    assert!(story.world.begin_look().is_some());
    let (answer, mut answered) = oneshot::channel();
    story.world.step(Event::Asked(Ask::Scan { answer }), &now_at(1));
    assert!(story.world.begin_look().is_none(), "one is under way");
    story.world.step(look(), &now_at(1));
    assert!(answered.try_recv().is_err());
    assert!(story.world.begin_look().is_some());
    story.world.step(look(), &now_at(1));
    assert_eq!(answered.try_recv(), Ok(()));

    let (answer, mut answered) = oneshot::channel();
    let _ = story.world.step(Event::Asked(Ask::Devices { answer }), &now_at(1));
    assert!(answered.try_recv().is_err());
    assert!(story.world.begin_look().is_some());
    story.tell(look());
    assert!(answered.try_recv().is_ok());
}

#[test]
fn told_to_stop_it_stops_what_runs_and_then_ends() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(10);
    story.tell(Event::Stop);
    assert_eq!(story.stopped, [(name("photos"), Interruption::Stopping)]);
    assert!(!story.finished);
    story.end("photos", Conclusion::Interrupted(Interruption::Stopping));
    assert!(story.finished && story.running().is_empty());
}

/// What was announced since the last time, each with its subject.
fn said(story: &mut Story) -> Vec<String> {
    let said = std::mem::take(&mut story.announced);
    let names = |syncs: &[SyncName]| syncs.iter().map(SyncName::as_str).collect::<Vec<_>>().join("+");
    said.iter()
        .map(|Announcement { subject, matter }| {
            let subject = match subject {
                Subject::Sync(sync) => format!("sync {sync}"),
                Subject::Drive(volume) => format!("drive {volume}"),
                Subject::Overdue(volume) => format!("overdue at {volume}"),
            };
            let matter = match matter {
                Matter::Starting { syncs, after } => format!("{} in {} s", names(syncs), after.as_secs()),
                Matter::OnHold => "on hold".to_owned(),
                Matter::Done(deeds) => format!("done {}", names(&deeds.syncs)),
                Matter::SafeToRemove(deeds) => format!("safe {}", names(&deeds.syncs)),
                Matter::Failed(failure) => format!("failed {}", failure.kind.as_str()),
                Matter::Held(obstacles) => {
                    obstacles.iter().map(|obstacle| obstacle.code().as_str()).collect::<Vec<_>>().join("+")
                }
                Matter::Overdue { syncs, age, .. } => format!("{} for {} h", names(syncs), age.as_secs() / 3600),
                Matter::Withdrawn => "withdrawn".to_owned(),
            };
            format!("{subject}: {matter}")
        })
        .collect()
}

fn failed_by(kind: FailureKind) -> Conclusion {
    Conclusion::Failed(Failure { at: Step::Copy, kind, detail: "could not write a".into() })
}

#[test]
fn a_drive_is_told_of_once_for_each_plug_in() {
    let mut story = Story::at_home(&HOUSE.replace("every = \"1h\"", "every = \"1m\""));
    story.plug("usb");
    assert_eq!(said(&mut story), ["drive usb: photos in 10 s"]);
    story.wait(10);
    assert_eq!(said(&mut story), ["drive usb: withdrawn"]);
    story.end("photos", Conclusion::Ok);
    assert_eq!(said(&mut story), ["drive usb: done photos"]);
    for _ in 0..5 {
        story.wait(60);
        story.end("photos", Conclusion::Ok);
    }
    assert!(said(&mut story).is_empty(), "it stays in, and nothing is new");
    story.unplug("usb");
    story.wait(60);
    story.plug("usb");
    assert_eq!(said(&mut story), ["drive usb: photos in 10 s"]);
    story.unplug("usb");
    assert_eq!(said(&mut story), ["drive usb: withdrawn"]);
    // A replug that no look saw go is another plug-in.
    story.plug("usb");
    story.wait(1);
    story.plug("usb");
    assert_eq!(said(&mut story), ["drive usb: photos in 10 s", "drive usb: withdrawn", "drive usb: photos in 10 s"]);
}

#[test]
fn a_drive_is_done_when_all_of_it_is() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.plug("red");
    assert_eq!(said(&mut story), ["drive usb: photos in 10 s", "drive red: documents+onward in 10 s"]);
    story.wait(10);
    said(&mut story);
    story.end("documents", Conclusion::Ok);
    story.end("photos", Conclusion::Ok);
    assert!(said(&mut story).is_empty(), "`onward` reads the one and writes the other");
    story.end("onward", Conclusion::Ok);
    assert_eq!(said(&mut story), ["drive red: done documents+onward", "drive usb: done photos"]);
}

#[test]
fn without_a_grace_nothing_is_told_of_a_start() {
    let mut story = Story::at_home(&HOUSE.replace("grace = \"10s\"", "grace = \"0s\""));
    story.plug("usb");
    story.wait(2);
    story.end("photos", Conclusion::Ok);
    assert_eq!(said(&mut story), ["drive usb: done photos"]);
}

#[test]
fn a_hold_within_the_grace_is_confirmed_where_the_start_was_told() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(3);
    said(&mut story);
    let (answer, _answered) = oneshot::channel();
    story.tell(Event::Asked(Ask::Hold { volume: "usb".parse().unwrap(), answer }));
    assert_eq!(said(&mut story), ["drive usb: on hold"]);
    story.wait(60);
    assert!(story.started.is_empty() && said(&mut story).is_empty());
}

#[test]
fn a_failure_is_told_once_and_again_when_its_remedy_changes() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(10);
    said(&mut story);
    for _ in 0..50 {
        story.end("photos", failed());
        story.wait(4000);
    }
    assert_eq!(said(&mut story), ["sync photos: failed io"]);
    for kind in [FailureKind::NoSpace, FailureKind::Io, FailureKind::NoSpace] {
        story.end("photos", failed_by(kind));
        story.wait(4000);
    }
    assert_eq!(said(&mut story), ["sync photos: failed no-space"]);
    story.end("photos", Conclusion::Interrupted(Interruption::Suspend));
    story.wait(4000);
    assert!(said(&mut story).is_empty(), "it goes on by itself");
    story.end("photos", Conclusion::Ok);
    assert_eq!(said(&mut story), ["sync photos: withdrawn", "drive usb: done photos"]);
    story.wait(3600);
    story.end("photos", failed());
    assert_eq!(said(&mut story), ["sync photos: failed io"], "it was well in between");
}

#[test]
fn a_failure_is_told_anew_after_a_replug() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(10);
    story.end("photos", failed());
    story.wait(60);
    said(&mut story);
    story.unplug("usb");
    story.end("photos", failed());
    assert!(said(&mut story).is_empty(), "pulling it out mends nothing");
    story.plug("usb");
    story.wait(10);
    said(&mut story);
    story.end("photos", failed());
    assert_eq!(said(&mut story), ["sync photos: failed io"]);
}

#[test]
fn what_needs_approval_is_told_until_it_has_it() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(10);
    said(&mut story);
    story.end("photos", held());
    assert_eq!(said(&mut story), ["sync photos: held"]);
    story.wait(100_000);
    story.unplug("usb");
    story.plug("usb");
    story.wait(100);
    assert!(said(&mut story).is_empty());
    let (answer, _answered) = oneshot::channel();
    story.tell(Event::Asked(Ask::Approve { sync: name("photos"), answer }));
    assert_eq!(said(&mut story), ["sync photos: withdrawn"]);

    // Hardware that was never used is asked about at each plug-in, and no longer once it is gone.
    let VolumeSight::Present(mut stick) = present("/media/red", Some(90)) else { unreachable!() };
    stick.hardware = Some(Hardware("serial 1234".into()));
    story.see(&[("red", VolumeSight::Present(stick))]);
    let told = said(&mut story);
    assert!(told.contains(&"sync documents: device-unknown".to_owned()), "{told:?}");
    story.unplug("red");
    assert!(said(&mut story).contains(&"sync documents: withdrawn".to_owned()));
}

#[test]
fn what_waits_for_a_person_is_told_again_by_the_next_daemon() {
    let record = RunRecord {
        run: "20261122T110000.000Z-0001".parse().unwrap(),
        sync: name("photos"),
        trigger: Trigger::Drive,
        started: now_at(0).wall,
        finished: now_at(0).wall,
        outcome: Outcome::Held,
        figures: Figures::default(),
        snapshot: None,
        error: None,
        hold: Some(HoldReason::Deletions { deletions: 60, before: 100, allowed_percent: 25 }),
        warnings: Vec::new(),
    };
    let past = LastRuns { last_run: Some(record), ..LastRuns::default() };
    let mut story = Story::with_past(HOUSE, [(name("photos"), past)].into());
    story.tell(Event::Deadline);
    assert!(said(&mut story).is_empty(), "nothing was looked at yet");
    story.see(&[("laptop", present("/home/a", None)), ("usb", absent()), ("red", absent())]);
    assert_eq!(said(&mut story), ["sync photos: held"]);
    story.tell(Event::Configured(Ok(configuration(&HOUSE.replace("syncs.photos", "syncs.pictures")))));
    assert_eq!(said(&mut story), ["sync photos: withdrawn"]);
}

#[test]
fn what_is_overdue_is_told_together_and_not_while_it_is_made_good() {
    let text = HOUSE.replace("every = \"1h\"", "every = \"1h\"\nmax-age = \"2h\"");
    let ago = |hours| LastRuns {
        last_success: Some(now_at(0).wall - SignedDuration::from_hours(hours)),
        ..LastRuns::default()
    };
    let past = || [(name("photos"), ago(3)), (name("documents"), ago(5)), (name("onward"), ago(4))].into();
    let mut story = Story::with_past(&text, past());
    story.see(&[("laptop", present("/home/a", None)), ("usb", absent()), ("red", absent())]);
    assert_eq!(said(&mut story), ["overdue at red: documents+onward for 5 h", "overdue at usb: photos for 3 h"]);
    story.wait(100_000);
    assert!(said(&mut story).is_empty());
    story.plug("usb");
    story.wait(10);
    story.end("photos", Conclusion::Ok);
    let told = said(&mut story);
    assert_eq!(told.iter().filter(|said| *said == "overdue at usb: withdrawn").count(), 1, "{told:?}");

    // A drive that is in when the daemon starts is copied to anyway.
    let mut story = Story::with_past(&text, past());
    story.see(&[("laptop", present("/home/a", None)), ("usb", present("/media/usb", Some(1))), ("red", absent())]);
    assert!(!said(&mut story).iter().any(|said| said.starts_with("overdue at usb")));
    story.wait(10);
    story.end("photos", failed());
    let told = said(&mut story);
    assert!(told.contains(&"overdue at usb: photos for 3 h".to_owned()), "{told:?}");
}

#[test]
fn what_is_on_no_drive_is_told_when_it_becomes_well() {
    let text = HOUSE.replace("destination = \"usb:photos\"", "destination = \"disk:photos\"")
        + "\n[volumes.disk]\npath = \"/srv\"\n";
    let mut story = Story::new(&text.replace("source = \"usb:photos\"", "source = \"disk:photos\""));
    let disk = present("/srv", None);
    story.see(&[("laptop", present("/home/a", None)), ("disk", disk), ("usb", absent()), ("red", absent())]);
    story.wait(10);
    story.end("photos", Conclusion::Ok);
    assert_eq!(said(&mut story), ["sync photos: done photos"]);
    story.wait(3600);
    story.end("photos", Conclusion::Ok);
    story.wait(3600);
    story.end("photos", failed());
    assert_eq!(said(&mut story), ["sync photos: failed io"]);
    story.wait(100);
    story.end("photos", Conclusion::Ok);
    assert_eq!(said(&mut story), ["sync photos: done photos"]);
}

#[test]
fn safe_to_remove_takes_the_place_of_done() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(10);
    said(&mut story);
    let volume: VolumeName = "usb".parse().unwrap();
    story.world.drives.note_left(&volume, &Left::Safe(Closed::PluggedIn));
    let mut effects = Vec::new();
    story.world.announce(&now_at(11), &mut effects);
    let announced: Vec<_> = effects.iter().filter(|effect| matches!(effect, Effect::Announce(_))).collect();
    let [Effect::Announce(Announcement { subject: Subject::Drive(_), matter: Matter::SafeToRemove(deeds) })] =
        announced.as_slice()
    else {
        panic!("{announced:?}")
    };
    assert_eq!(*deeds, Deeds::default());
    story.end("photos", Conclusion::Ok);
    assert!(said(&mut story).is_empty(), "it would take back that the drive is safe to remove");
    story.unplug("usb");
    assert!(said(&mut story).is_empty(), "nor does its going");
    // A drive that was powered off is gone before anybody can say so.
    let usb: VolumeName = "usb".parse().unwrap();
    story.world.drives.begin_closing(&usb);
    story.tell(Event::Deadline);
    story.world.drives.note_left(&usb, &Left::Safe(Closed::PluggedIn));
    let mut effects = Vec::new();
    story.world.announce(&now_at(12), &mut effects);
    assert!(matches!(effects.as_slice(), [Effect::Announce(Announcement { matter: Matter::SafeToRemove(_), .. })]));
}

/// What can happen in a random story.
#[derive(Debug, Clone)]
enum Happening {
    Plug(bool),
    Unplug(bool),
    Wait(i64),
    End(usize, u8),
    Ask(usize),
    Pause,
    Resume,
    Hold(bool),
    Release(bool),
}

fn any_happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => any::<bool>().prop_map(Happening::Plug),
        2 => any::<bool>().prop_map(Happening::Unplug),
        5 => prop_oneof![0..15i64, 0..4000i64].prop_map(Happening::Wait),
        6 => (0..3usize, 0..5u8).prop_map(|(run, how)| Happening::End(run, how)),
        1 => (0..3usize).prop_map(Happening::Ask),
        1 => Just(Happening::Pause),
        1 => Just(Happening::Resume),
        1 => any::<bool>().prop_map(Happening::Hold),
        1 => any::<bool>().prop_map(Happening::Release),
    ]
}

const SYNCS: [&str; 3] = ["documents", "onward", "photos"];

fn drive(first: bool) -> &'static str {
    if first { "usb" } else { "red" }
}

/// Lets one thing happen, and keeps the ends that requests still owe.
fn happen(story: &mut Story, happening: &Happening, owed: &mut Vec<(usize, mpsc::Receiver<RequestEnd>)>) {
    match happening {
        Happening::Plug(first) => story.plug(drive(*first)),
        Happening::Unplug(first) => story.unplug(drive(*first)),
        Happening::Wait(seconds) => story.wait(*seconds),
        Happening::End(run, how) => {
            let running = story.running();
            let Some(sync) = running.get(*run).cloned() else { return };
            let conclusion = match how {
                0 | 1 => Conclusion::Ok,
                2 => failed(),
                3 => Conclusion::Interrupted(Interruption::DestinationLost("it went away".into())),
                _ => Conclusion::Skipped(vec![Obstacle::LockTaken { path: "/media/lock".into() }]),
            };
            story.end(&sync, conclusion);
        }
        Happening::Ask(sync) => {
            let (accepted, ends) = story.ask_to_run(SYNCS[*sync], Urgency::Asked);
            let queued = accepted.iter().filter(|accepted| accepted.obstacles.is_empty()).count();
            owed.push((queued, ends));
        }
        Happening::Pause | Happening::Resume => {
            let (answer, _answered) = oneshot::channel();
            let pause = matches!(happening, Happening::Pause);
            let length = Some(Duration::from_mins(5));
            let ask = if pause { Ask::Pause { length, answer } } else { Ask::Resume { answer } };
            story.tell(Event::Asked(ask));
        }
        Happening::Hold(first) | Happening::Release(first) => {
            let (answer, _answered) = oneshot::channel();
            let volume = drive(*first).parse().unwrap();
            let hold = matches!(happening, Happening::Hold(_));
            story.tell(Event::Asked(if hold { Ask::Hold { volume, answer } } else { Ask::Release { volume, answer } }));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_happens_the_rules_hold_and_nothing_is_forgotten(
        happenings in proptest::collection::vec(any_happening(), 1..60), parallel in 1..4usize,
    ) {
        let text = HOUSE.replace("settle = \"2s\"", &format!("settle = \"2s\"\nmax-parallel = {parallel}"));
        let mut story = Story::at_home(&text);
        let mut owed = Vec::new();
        let mut successes: BTreeMap<String, i64> = BTreeMap::new();
        let mut told: BTreeMap<Subject, Matter> = BTreeMap::new();
        for happening in &happenings {
            let (before, paused) = (story.started.len(), story.world.decisions.ledger().pause.is_some());
            let ended = if let Happening::End(run, 0 | 1) = happening { Some(*run) } else { None };
            let ending = ended.and_then(|run| story.running().get(run).cloned());
            happen(&mut story, happening, &mut owed);
            successes.extend(ending.map(|sync| (sync, story.second)));

            if matches!(happening, Happening::Plug(_)) {
                told.clear();
            }
            for Announcement { subject, matter } in std::mem::take(&mut story.announced) {
                let before = told.insert(subject.clone(), matter.clone());
                prop_assert_ne!(before, Some(matter), "{:?} was told the same twice", subject);
            }
            prop_assert!(story.world.runs.iter().count() <= parallel);
            let used: Vec<_> = story.world.runs.iter().flat_map(|(_, run)| run.resources.iter()).collect();
            prop_assert_eq!(used.iter().collect::<BTreeSet<_>>().len(), used.len(), "a drive is used twice");
            if paused && story.world.decisions.ledger().pause.is_some() && !matches!(happening, Happening::Wait(_)) {
                prop_assert_eq!(story.started.len(), before, "a run started in a pause");
            }
            for job in &story.started[before..] {
                for volume in [&job.sync.source.volume, &job.sync.destination.volume] {
                    let held = &story.world.decisions.ledger().holds;
                    prop_assert!(!held.contains(volume), "a run started on a held drive");
                }
                let asked = job.trigger == Trigger::Request;
                if let (false, Some(success)) = (asked, successes.get(job.sync.name.as_str())) {
                    let last = story.world.histories.get(&job.sync.name).unwrap().last_run.as_ref().unwrap().outcome;
                    let unfinished = matches!(last, Outcome::Failed | Outcome::Interrupted);
                    let is_due = story.second - success >= 3600;
                    prop_assert!(unfinished || is_due, "sooner than its pace: {:?}", job.trigger);
                }
                if job.sync.name.as_str() == "onward" {
                    prop_assert!(!story.running().contains(&"photos".to_owned()), "it reads what is being written");
                }
            }
        }
        // In the end all is well, and each sync gets its copy without anybody asking for it.
        for ending in [Happening::Resume, Happening::Release(true), Happening::Release(false)] {
            happen(&mut story, &ending, &mut owed);
        }
        story.plug("usb");
        story.plug("red");
        let sound = |story: &Story| SYNCS.iter().all(|sync| story.status_of(sync).freshness == Freshness::Fresh
            && story.status_of(sync).last_run.is_some_and(|run| matches!(run.outcome, Outcome::Ok | Outcome::Skipped)));
        for _ in 0..40 {
            for sync in story.running() {
                story.end(&sync, Conclusion::Ok);
            }
            if sound(&story) && story.world.requests.names().next().is_none() {
                break;
            }
            story.wait(400);
        }
        for sync in SYNCS {
            let status = story.status_of(sync);
            prop_assert!(status.last_success.is_some(), "{sync} was forgotten: {status:?}");
        }
        for (queued, mut ends) in owed {
            let told = std::iter::from_fn(|| ends.try_recv().ok()).count();
            prop_assert_eq!(told, queued, "each accepted request has one end");
        }
    }
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
    VolumeSight::NotMounted { device: "/dev/sdb1".into(), disk_seq: Some(seq) }
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

#[test]
fn a_closed_drive_is_opened_for_all_its_runs_and_closed_behind_the_last() {
    let mut story = Story::with_closed_drive(OPENED);
    assert_eq!(story.codes("photos"), [""; 0]);
    story.wait(9);
    assert_eq!(story.orders(), [""; 0]);
    story.wait(1);
    assert_eq!(story.orders(), ["open usb for Runs"]);
    assert!(story.running().is_empty());
    // The mount is seen, and so is the run that it was for: without a new time of grace.
    story.opened("usb", present("/media/usb", Some(1)));
    assert_eq!(story.running(), ["documents"]);
    story.end("documents", Conclusion::Ok);
    assert_eq!((story.running(), story.orders()), (vec!["photos".to_owned()], vec![]));
    story.end("photos", Conclusion::Ok);
    assert_eq!(story.orders(), ["close usb: PowerOff"]);
    story.next = vec![("usb".to_owned(), closed_sight(1))];
    story.closed("usb", Left::Safe(Closed::PluggedIn), Closer::Us);
    // What we unmounted was let go by nobody: it is opened again when it is due.
    assert_eq!(story.codes("photos"), [""; 0]);
    story.wait(3600);
    assert_eq!(story.orders(), ["open usb for Runs"]);
}

#[test]
fn a_drive_stays_open_while_another_takes_its_turn() {
    let text = OPENED.replace("passphrase = \"red\"", "").replace("[syncs.secrets]", "[syncs.files]");
    let mut story = Story::with_closed_drive(&text);
    story.see(&[("red", present("/media/red", Some(7)))]);
    story.wait(12);
    story.opened("usb", present("/media/usb", Some(1)));
    story.orders();
    assert_eq!(story.running(), ["documents"]);
    story.end("documents", Conclusion::Ok);
    // The other drive has its turn; `photos` still waits for this one.
    assert_eq!((story.running(), story.orders()), (vec!["files".to_owned()], vec![]));
    story.end("files", Conclusion::Ok);
    assert_eq!((story.running(), story.orders()), (vec!["photos".to_owned()], vec![]));
    story.end("photos", Conclusion::Ok);
    assert_eq!(story.orders(), ["close usb: PowerOff"]);
}

#[test]
fn behind_a_run_that_did_not_end_well_a_drive_is_put_back_and_no_further() {
    let mut story =
        Story::with_closed_drive(&OPENED.replace("[syncs.documents]", "[syncs.documents]\nenabled = false"));
    story.wait(10);
    story.opened("usb", present("/media/usb", Some(1)));
    story.orders();
    story.end("photos", failed());
    assert_eq!(story.orders(), ["close usb: Leave"]);
    story.wait(1);
    story.next = vec![("usb".to_owned(), closed_sight(1))];
    story.closed("usb", Left::Safe(Closed::PluggedIn), Closer::Us);
    assert_eq!(story.codes("photos"), ["backing-off"], "what we do ourselves mends nothing");
    story.wait(40);
    assert_eq!(story.orders(), ["open usb for Runs"]);
}

#[test]
fn what_shows_itself_only_on_the_open_drive_does_not_make_it_open_again_and_again() {
    let mut story = Story::with_closed_drive(OPENED);
    story.wait(10);
    story.orders();
    let root = PathBuf::from("/media/usb");
    story.wait(1);
    story.opened("usb", VolumeSight::NotProven { root, fault: SentinelFault::Missing });
    assert_eq!(story.orders(), ["close usb: Leave"]);
    story.wait(1);
    story.next = vec![("usb".to_owned(), closed_sight(1))];
    story.closed("usb", Left::Safe(Closed::PluggedIn), Closer::Us);
    assert_eq!(story.codes("photos"), ["destination-sentinel-missing"]);
    story.wait(3000);
    assert_eq!(story.orders(), [""; 0]);
    // Another drive, or the same plugged in again, is another matter.
    story.see(&[("usb", absent())]);
    story.devices[0].disk_seq = Some(2);
    story.see(&[("usb", closed_sight(2))]);
    story.wait(10);
    assert_eq!(story.orders(), ["open usb for Runs"]);
}

#[test]
fn a_locked_keyring_is_waited_for_and_picked_up() {
    let mut story = Story::at_home(OPENED);
    story.devices = vec![block_device("/dev/sdc1", RED, 33, 5, DeviceRole::Container)];
    story.see(&[("red", locked_sight(5))]);
    story.wait(10);
    assert_eq!(story.orders(), ["open red for Runs"]);
    story.not_opened("red", OpeningTrouble::KeyringLocked("red".parse().unwrap()));
    assert_eq!(story.codes("secrets"), ["credential-locked"]);
    assert!(story.world.waits_for_keyring());
    // Nothing was done, and that is undone.
    assert_eq!(story.orders(), ["close red: Leave"]);
    story.closed("red", Left::AsFound, Closer::Us);
    story.wait(100);
    assert_eq!(story.orders(), [""; 0]);
    story.tell(Event::KeyringChanged);
    assert_eq!(story.orders(), ["open red for Runs"]);
    // What is within has a number of its own; the medium is the one that was plugged in.
    let clear = DeviceRole::Unlocked { container: RED.parse().unwrap(), filesystem: "ext4".into() };
    story.devices.push(block_device("/dev/dm-0", "11111111-a7b6-429d-8250-3d0d80e034df", 0, 9, clear));
    story.opened("red", present("/media/red", Some(9)));
    assert_eq!(story.running(), ["secrets"]);
}

#[test]
fn who_asks_for_a_drive_that_cannot_be_opened_is_told_so() {
    let mut story = Story::at_home(OPENED);
    story.devices = vec![block_device("/dev/sdc1", RED, 33, 5, DeviceRole::Container)];
    story.see(&[("red", locked_sight(5))]);
    let (accepted, mut ended) = story.ask_to_run("secrets", Urgency::Asked);
    assert!(accepted[0].obstacles.is_empty());
    assert_eq!(story.orders(), ["open red for Runs"]);
    story.not_opened("red", OpeningTrouble::WrongSecret("red".parse().unwrap()));
    let Ok(RequestEnd::Dropped { obstacles, .. }) = ended.try_recv() else { panic!("an end") };
    assert_eq!(obstacles[0].code(), ObstacleCode::CredentialLocked);
    story.closed("red", Left::AsFound, Closer::Us);
    story.wait(60);
    assert_eq!(story.orders(), ["close red: Leave"], "nobody asks any more, so nothing is tried before its time");
}

#[test]
fn who_locks_an_encrypted_drive_lets_it_go() {
    let mut story = Story::at_home(OPENED);
    let clear = DeviceRole::Unlocked { container: RED.parse().unwrap(), filesystem: "ext4".into() };
    let container = block_device("/dev/sdc1", RED, 33, 5, DeviceRole::Container);
    let within = block_device("/dev/dm-0", "11111111-a7b6-429d-8250-3d0d80e034df", 0, 9, clear);
    story.devices = vec![container.clone(), within];
    story.see(&[("red", present("/media/red", Some(9)))]);
    story.devices = vec![container];
    story.see(&[("red", locked_sight(5))]);
    story.wait(60);
    assert_eq!((story.orders(), story.codes("secrets")), (vec![], vec!["destination-not-mounted"]));
}

#[test]
fn a_person_opens_and_closes_a_drive() {
    let mut story = Story::with_closed_drive(OPENED);
    let (answer, mut mounted) = oneshot::channel();
    story.tell(Event::Asked(Ask::Mount { volume: "usb".parse().unwrap(), answer }));
    assert_eq!(story.orders(), ["open usb for Person"]);
    story.opened("usb", present("/media/usb", Some(1)));
    assert_eq!(mounted.try_recv().unwrap(), Ok(PathBuf::from("/media/usb")));
    story.wait(10);
    assert_eq!(story.running(), ["documents"]);
    let (answer, mut ejected) = oneshot::channel();
    let then = WhenDone::PowerOff;
    story.tell(Event::Asked(Ask::Unmount { volume: "usb".parse().unwrap(), then, answer }));
    // What runs is stopped first.
    assert_eq!(story.stopped, [(name("documents"), Interruption::DriveHeld)]);
    assert_eq!(story.orders(), [""; 0]);
    story.end("documents", Conclusion::Interrupted(Interruption::DriveHeld));
    assert_eq!(story.orders(), ["close usb: PowerOff"]);
    let left = Left::Safe(Closed::PluggedIn);
    story.closed("usb", left.clone(), Closer::Us);
    assert_eq!(ejected.try_recv().unwrap().map(|(_, left)| left), Ok(left));
    story.see(&[("usb", closed_sight(1))]);
    story.wait(3600);
    assert_eq!((story.orders(), story.codes("photos")), (vec![], vec!["destination-not-mounted"]));
}

#[test]
fn what_its_user_unmounted_meanwhile_is_let_go() {
    let mut story = Story::with_closed_drive(OPENED);
    story.wait(10);
    story.opened("usb", present("/media/usb", Some(1)));
    story.end("documents", Conclusion::Ok);
    story.end("photos", Conclusion::Ok);
    story.next = vec![("usb".to_owned(), closed_sight(1))];
    story.closed("usb", Left::Safe(Closed::PluggedIn), Closer::Another);
    assert_eq!(story.codes("photos"), ["destination-not-mounted"]);
}

#[test]
fn a_drive_in_use_is_tried_again_and_told_once() {
    let mut story = Story::with_closed_drive(OPENED);
    story.wait(10);
    story.opened("usb", present("/media/usb", Some(1)));
    story.end("documents", Conclusion::Ok);
    story.end("photos", Conclusion::Ok);
    story.orders();
    for _ in 0..3 {
        story.closed("usb", Left::InUse(Vec::new()), Closer::Us);
        assert_eq!(story.orders(), [""; 0]);
        story.wait(900);
        assert_eq!(story.orders(), ["close usb: PowerOff"]);
    }
}

#[test]
fn a_stop_closes_what_is_open_before_it_ends() {
    let mut story = Story::with_closed_drive(OPENED);
    story.wait(10);
    story.opened("usb", present("/media/usb", Some(1)));
    story.orders();
    story.tell(Event::Stop);
    story.end("documents", Conclusion::Interrupted(Interruption::Stopping));
    assert_eq!(story.orders(), ["close usb: Leave"]);
    assert!(!story.finished);
    // Its client leaves, too: that is no reason to hurry.
    story.tell(Event::Abandoned);
    assert!(!story.finished);
    story.closed("usb", Left::Safe(Closed::PluggedIn), Closer::Us);
    assert!(story.finished);
}

#[test]
fn told_twice_to_stop_it_waits_for_no_drive() {
    let mut story = Story::with_closed_drive(OPENED);
    story.wait(10);
    story.opened("usb", present("/media/usb", Some(1)));
    story.tell(Event::Stop);
    story.end("documents", Conclusion::Interrupted(Interruption::Stopping));
    assert!(!story.finished, "the drive is being closed");
    story.tell(Event::Stop);
    assert!(story.finished);
}

#[test]
fn what_a_dead_daemon_left_open_is_closed() {
    let held = |volume: &str, uuid: &str| Held {
        volume: volume.parse().unwrap(),
        uuid: uuid.parse().unwrap(),
        at: HeldAt::Here { device: (8, 17), disk_seq: Some(1), boot: None },
        undo: Undo::Unmount,
    };
    let beginnings = Beginnings {
        initiative: Initiative::Own,
        config_file: "/config.toml".into(),
        configuration: configuration(OPENED),
        ledger: Ledger::default(),
        // One as it is configured, one that goes by another UUID now, one that is configured no longer.
        held: vec![held("usb", USB), held("red", OTHER), held("old", OTHER)],
        past: BTreeMap::new(),
        seed: 7,
    };
    let mut story = Story::new(OPENED);
    story.world = World::new(beginnings, &now_at(0));
    assert_eq!(story.orders(), [""; 0]);
    story.see(&[("laptop", absent()), ("usb", present("/media/usb", Some(1))), ("red", absent())]);
    assert_eq!(story.orders(), ["close usb: Leave", "close red: Leave", "close old: Leave"]);
}

#[test]
fn which_of_two_drives_with_one_uuid_is_closed_is_not_guessed() {
    let mut story = Story::with_closed_drive(OPENED);
    story.wait(10);
    story.opened("usb", present("/media/usb", Some(1)));
    assert_eq!(story.running(), ["documents"]);
    story.orders();
    story.devices.insert(0, block_device("/dev/sda1", USB, 1, 2, DeviceRole::Filesystem("ext4".into())));
    story.see(&[("usb", VolumeSight::Ambiguous { devices: vec!["/dev/sda1".into(), "/dev/sdb1".into()] })]);
    story.end("documents", Conclusion::Interrupted(Interruption::DestinationLost("a second one came".into())));
    let Some(DriveOrder::Close(closing)) = story.drives.pop() else { panic!("it is closed") };
    assert!(matches!(closing.site, ClosingSite::Here(None)), "what was written down tells");
}

/// The drive `usb`, called `stick`.
fn renamed() -> Arc<Configuration> {
    configuration(&OPENED.replace("[volumes.usb]", "[volumes.stick]").replace("usb:", "stick:"))
}

#[test]
fn a_drive_that_is_renamed_in_mid_run_is_closed_behind_the_run() {
    let mut story = Story::with_closed_drive(OPENED);
    story.wait(10);
    story.opened("usb", present("/media/usb", Some(1)));
    assert_eq!(story.running(), ["documents"]);
    story.orders();
    story.tell(Event::Configured(Ok(renamed())));
    story.wait(60);
    assert_eq!((story.running(), story.orders()), (vec!["documents".to_owned()], vec![]));
    story.end("documents", Conclusion::Ok);
    assert_eq!(story.orders(), ["close usb: Leave"]);
    for wait in [30, 60] {
        story.closed("usb", Left::InUse(Vec::new()), Closer::Us);
        story.wait(wait - 1);
        assert_eq!(story.orders(), [""; 0]);
        story.wait(1);
        assert_eq!(story.orders(), ["close usb: Leave"]);
    }
    story.closed("usb", Left::Safe(Closed::PluggedIn), Closer::Us);
    story.wait(3600);
    assert_eq!(story.orders(), [""; 0]);
}

#[test]
fn what_is_closed_by_its_old_name_was_not_let_go_by_its_new_one() {
    let mut story = Story::with_closed_drive(OPENED);
    story.wait(10);
    story.opened("usb", present("/media/usb", Some(1)));
    story.orders();
    story.next = vec![("stick".to_owned(), present("/media/usb", Some(1)))];
    story.tell(Event::Configured(Ok(renamed())));
    story.end("documents", Conclusion::Interrupted(Interruption::Cancelled));
    assert_eq!(story.orders(), ["close usb: Leave"]);
    story.see(&[("stick", closed_sight(1))]);
    story.closed("usb", Left::Safe(Closed::PluggedIn), Closer::Us);
    assert_eq!(story.codes("photos"), [""; 0]);
    story.wait(60);
    assert_eq!(story.orders(), ["open stick for Runs"]);
}

#[test]
fn what_is_opened_while_it_is_renamed_is_closed() {
    let mut story = Story::with_closed_drive(OPENED);
    let (answer, mut mounted) = oneshot::channel();
    story.tell(Event::Asked(Ask::Mount { volume: "usb".parse().unwrap(), answer }));
    assert_eq!(story.orders(), ["open usb for Person"]);
    story.tell(Event::Configured(Ok(renamed())));
    assert!(matches!(mounted.try_recv().unwrap(), Err(Refusal::UnknownVolume(..))));
    assert_eq!(story.orders(), [""; 0]);
    story.tell(Event::Drive(DriveNews::Opened("usb".parse().unwrap(), Ok(()))));
    assert_eq!(story.orders(), ["close usb: Leave"]);
    story.tell(Event::Stop);
    assert!(!story.finished, "it is being closed");
    story.closed("usb", Left::Gone, Closer::Us);
    assert!(story.finished);
}

#[test]
fn who_waits_for_a_drive_that_is_configured_no_longer_is_told_so() {
    let another = configuration(&OPENED.replace(USB, OTHER));
    for (configuration, is_known) in [(renamed(), false), (another, true)] {
        let mut story = Story::with_closed_drive(OPENED);
        story.wait(10);
        story.opened("usb", present("/media/usb", Some(1)));
        assert_eq!(story.running(), ["documents"]);
        let (answer, mut ejected) = oneshot::channel();
        let then = WhenDone::PowerOff;
        story.tell(Event::Asked(Ask::Unmount { volume: "usb".parse().unwrap(), then, answer }));
        assert!(ejected.try_recv().is_err(), "the run is being stopped");
        story.tell(Event::Configured(Ok(configuration)));
        let refusal = ejected.try_recv().unwrap().unwrap_err();
        let kinds = (matches!(refusal, Refusal::UnknownVolume(..)), matches!(refusal, Refusal::Failed(_)));
        assert_eq!(kinds, (!is_known, is_known), "{refusal:?}");
    }
}

#[test]
fn a_keyring_that_stays_locked_is_tried_at_each_change_and_told_of_once() {
    let mut story = Story::at_home(OPENED);
    story.devices = vec![block_device("/dev/sdc1", RED, 33, 5, DeviceRole::Container)];
    story.see(&[("red", locked_sight(5))]);
    story.wait(10);
    for _ in 0..3 {
        assert_eq!(story.orders(), ["open red for Runs"]);
        story.not_opened("red", OpeningTrouble::KeyringLocked("red".parse().unwrap()));
        assert_eq!(story.orders(), ["close red: Leave"]);
        story.closed("red", Left::AsFound, Closer::Us);
        story.tell(Event::KeyringChanged);
    }
    assert!(story.world.waits_for_keyring());
    let told = story.notices.iter().filter(|notice| matches!(notice, Notice::NotOpened(..))).count();
    assert_eq!(told, 1);
}

#[test]
fn a_drive_named_by_what_is_in_its_container_is_known_by_the_container_once_it_was_open() {
    let container = || block_device("/dev/sdc1", OTHER, 33, 5, DeviceRole::Container);
    let role = DeviceRole::Unlocked { container: OTHER.parse().unwrap(), filesystem: "ext4".into() };
    let inside = || block_device("/dev/dm-0", RED, 40, 9, role.clone());
    let mut story = Story::at_home(OPENED);
    story.devices = vec![container()];
    story.see(&[("red", absent())]);
    assert_eq!(story.codes("secrets"), ["destination-volume-absent"], "nobody knows yet what is in it");
    // What is not proven to be the drive teaches nothing.
    story.devices = vec![container(), inside()];
    let fault = SentinelFault::Missing;
    story.see(&[("red", VolumeSight::NotProven { root: "/media/red".into(), fault })]);
    assert!(story.world.decisions.ledger().containers.is_empty());
    story.see(&[("red", present("/media/red", Some(5)))]);
    story.wait(12);
    assert_eq!(story.running(), ["secrets"]);
    story.end("secrets", Conclusion::Ok);
    // Its user pulls it out. When it is in again, it is opened by its container.
    story.devices = vec![];
    story.see(&[("red", absent())]);
    story.orders();
    story.wait(3600);
    story.devices = vec![container()];
    story.see(&[("red", locked_sight(5))]);
    assert_eq!(story.codes("secrets"), [""; 0]);
    story.wait(12);
    let Some(DriveOrder::Open(opening)) = story.drives.pop() else { panic!("{:?}", story.drives) };
    let Site::Here { device, disk_seq } = opening.site else { panic!("it is plugged in here: {opening:?}") };
    assert_eq!((device, disk_seq), ((8, 33), Some(5)));
    story.devices = vec![container(), inside()];
    story.opened("red", present("/media/red", Some(5)));
    assert_eq!(story.running(), ["secrets"]);
    story.end("secrets", Conclusion::Ok);
    assert_eq!(story.orders(), ["close red: Leave"]);
    // What we locked is closed, and let go by nobody.
    story.devices = vec![container()];
    story.next = vec![("red".to_owned(), locked_sight(5))];
    story.closed("red", Left::Safe(Closed::PluggedIn), Closer::Us);
    assert_eq!(story.codes("secrets"), [""; 0]);
}

#[test]
fn a_container_that_holds_something_else_is_not_unlocked_again_and_again() {
    let container = || block_device("/dev/sdc1", OTHER, 33, 5, DeviceRole::Container);
    let role = DeviceRole::Unlocked { container: OTHER.parse().unwrap(), filesystem: "ext4".into() };
    let mut story = Story::at_home(OPENED);
    story.world.decisions.learn_containers(vec![(RED.parse().unwrap(), OTHER.parse().unwrap())]);
    story.devices = vec![container()];
    story.see(&[("red", locked_sight(5))]);
    story.wait(10);
    assert_eq!(story.orders(), ["open red for Runs"]);
    // What is unlocked is another filesystem, and nothing of the drive is to be seen.
    story.devices = vec![container(), block_device("/dev/dm-0", USB, 40, 9, role)];
    story.see(&[("red", absent())]);
    story.not_opened("red", OpeningTrouble::Other("open it: it is another filesystem".into()));
    assert_eq!(story.orders(), ["close red: Leave"]);
    story.devices = vec![container()];
    story.next = vec![("red".to_owned(), locked_sight(5))];
    story.closed("red", Left::Safe(Closed::PluggedIn), Closer::Us);
    assert_eq!(story.codes("secrets"), ["destination-not-mounted"]);
    story.wait(25);
    assert_eq!(story.orders(), [""; 0], "it is tried again at the pace of failures");
    // Another medium is another matter.
    story.devices = vec![];
    story.see(&[("red", absent())]);
    story.devices = vec![block_device("/dev/sdc1", OTHER, 33, 6, DeviceRole::Container)];
    story.see(&[("red", locked_sight(6))]);
    story.wait(10);
    assert_eq!(story.orders(), ["open red for Runs"]);
}
