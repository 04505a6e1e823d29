//! Stories of runs: which start, in which order, and what stops them.

use crate::daemon::world::tests::*;

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
fn what_was_killed_in_mid_run_goes_on_at_the_next_start() {
    let record = RunRecord {
        run: "20261122T110000.000Z-0001".parse().unwrap(),
        sync: name("photos"),
        trigger: Trigger::Drive,
        started: now_at(0).wall,
        finished: now_at(0).wall,
        outcome: Outcome::Interrupted,
        figures: Figures::default(),
        heaviest: Vec::new(),
        snapshot: None,
        error: Some(Interruption::Killed.to_string()),
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

#[test]
fn interruptions_make_no_failure_wait_longer() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(10);
    for _ in 0..6 {
        story.end("photos", Conclusion::Interrupted(Interruption::DestinationLost("it was pulled out".into())));
        story.unplug("usb");
        story.plug("usb");
        story.wait(10);
        assert_eq!(story.running(), ["photos"]);
    }
    story.end("photos", failed());
    story.wait(30);
    assert_eq!(story.running(), ["photos"], "the first failure waits for half a minute");
}

#[test]
fn what_was_copied_before_it_was_cut_short_is_kept() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(10);
    let run = story.world.runs.get(&name("photos")).unwrap().id.clone();
    for (step, bytes) in [(Step::Copy, 19 << 20), (Step::Undo, 0)] {
        let progress = Progress { step, percent: None, bytes, rate: 0, eta_seconds: None };
        story.tell(Event::News(WorkerNews::Progress { run: run.clone(), sync: name("photos"), progress }));
    }
    story.end("photos", Conclusion::Interrupted(Interruption::Cancelled));
    assert_eq!(story.status_of("photos").last_run.unwrap().figures.bytes_transferred, 19 << 20);
}
