//! Stories of what waits for a person: approvals, new hardware, holds and pauses.

use crate::daemon::world::tests::*;

#[test]
fn a_held_run_waits_for_a_person() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(10);
    story.end("photos", held());
    assert_eq!(story.status_of("photos").state, SyncState::Held);
    story.unplug("usb");
    story.plug("usb");
    story.wait(3000);
    assert_eq!((story.started.len(), story.codes("photos")), (1, vec!["held"]));
    let (answer, mut answered) = oneshot::channel();
    story.tell(Event::Asked(Ask::Approve { sync: name("photos"), answer }));
    let said = answered.try_recv().unwrap().unwrap();
    assert_eq!(said, ["the next run of `photos` may delete the 60 files that it was held for, and no others"]);
    assert_eq!(story.running(), ["photos"]);
    assert_eq!(story.started[1].approved, Some(paths(60)));
    // More than was shown is asked about again.
    story.end("photos", held());
    assert_eq!(story.status_of("photos").state, SyncState::Held);
    let (answer, _answered) = oneshot::channel();
    story.tell(Event::Asked(Ask::Approve { sync: name("photos"), answer }));
    story.end("photos", Conclusion::Ok);
    story.wait(3600);
    assert_eq!((story.started[2].approved.clone(), story.started[3].approved.clone()), (Some(paths(60)), None));
}

#[test]
fn a_hold_is_a_question_that_is_asked_again_and_may_fall() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(10);
    story.end("photos", held());
    let since = story.world.decisions.ledger().held[&name("photos")].since;
    // When it is due again, the same look is taken.
    story.wait(3599);
    assert_eq!((story.started.len(), story.status_of("photos").state), (1, SyncState::Held));
    story.wait(1);
    assert_eq!(story.running(), ["photos"]);
    story.end("photos", held());
    let hold = story.world.decisions.ledger().held[&name("photos")].clone();
    assert!(hold.since == since && hold.looked > since, "{hold:?}");
    assert!(story.status_of("photos").obstacles[0].to_string().starts_with(&format!("it is held since {since:.0}: ")));
    // An interruption answers nothing.
    story.ask_to_run("photos", Urgency::Asked);
    story.end("photos", Conclusion::Interrupted(Interruption::Cancelled));
    assert_eq!(story.codes("photos")[0], "held");
    // Asked for, it is looked at again, and the hold falls.
    let (accepted, _) = story.ask_to_run("photos", Urgency::Asked);
    assert_eq!((accepted[0].obstacles.len(), story.running()), (0, vec!["photos".to_owned()]));
    story.end("photos", Conclusion::Ok);
    assert!(story.codes("photos").is_empty() && story.world.decisions.ledger().held.is_empty());
}

#[test]
fn a_mount_that_is_gone_for_good_is_missed_until_a_person_says_so() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(10);
    let pictures: BTreeSet<PathBuf> = ["pictures".into(), "music".into()].into();
    story.end_with("photos", Conclusion::Ok, Some(pictures.clone()));
    // Who could not see the mounts says nothing about them.
    story.wait(3600);
    story.end_with("photos", Conclusion::Ok, None);
    story.wait(3600);
    assert_eq!(story.started.last().unwrap().submounts, pictures);
    let missing = HoldReason::SourceIncomplete { missing: ["music".into()].into() };
    story.end_with("photos", Conclusion::Held(missing), Some(["pictures".into()].into()));
    assert_eq!((story.codes("photos"), story.status_of("photos").state), (vec!["source-incomplete"], SyncState::Held));
    let (answer, mut answered) = oneshot::channel();
    story.tell(Event::Asked(Ask::Approve { sync: name("photos"), answer }));
    let said = answered.try_recv().unwrap().unwrap().remove(0);
    assert!(said.starts_with("nothing needs to be mounted any more at `music` below the source of `photos`"), "{said}");
    assert!(story.codes("photos").is_empty());
    story.ask_to_run("photos", Urgency::Asked);
    assert_eq!(story.started.last().unwrap().submounts, ["pictures".into()].into());
    // Nor is it where mounts are left out.
    let left_out = HOUSE.replace("[syncs.photos]", "[syncs.photos]\none-file-system = true");
    story.tell(Event::Configured(Ok(configuration(&left_out))));
    story.end("photos", Conclusion::Failed(Failure { at: Step::Copy, kind: FailureKind::Io, detail: "x".into() }));
    story.ask_to_run("photos", Urgency::Asked);
    assert!(story.started.last().unwrap().submounts.is_empty());
}

#[test]
fn a_writer_is_known_that_this_machine_was_or_a_person_approved() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(10);
    let writer = Writer { id: "00000000000000bb".into(), since: now_at(0).wall, host: "ada".into() };
    story.end("photos", Conclusion::Held(HoldReason::ForeignWriter { writer, here: "eve".into() }));
    assert_eq!((story.codes("photos"), story.status_of("photos").state), (vec!["foreign-writer"], SyncState::Held));
    let (answer, mut answered) = oneshot::channel();
    story.tell(Event::Asked(Ask::Approve { sync: name("photos"), answer }));
    let said = answered.try_recv().unwrap().unwrap();
    assert_eq!(said, ["`eve` may write the destination of `photos` after `ada`"]);
    assert_eq!(story.started.last().unwrap().writers, ["00000000000000bb".to_owned()].into());
    let run = story.world.runs.get(&name("photos")).unwrap().id.clone();
    let report =
        RunReport { writer: Some("00000000000000aa".into()), ..RunReport::bare(run, name("photos"), Conclusion::Ok) };
    story.tell(Event::News(WorkerNews::Ended(Box::new(report))));
    story.wait(3600);
    assert_eq!(story.started.last().unwrap().writers.len(), 2);
}

#[test]
fn what_failed_is_failing_and_never_like_an_absent_drive() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(10);
    story.end("photos", failed());
    assert_eq!(story.status_of("photos").state, SyncState::Failing);
    assert_eq!(story.codes("photos"), ["backing-off"]);
    // What nothing can be done about meanwhile is that first.
    story.unplug("usb");
    assert_eq!(story.status_of("photos").state, SyncState::Waiting);
    story.plug("usb");
    story.wait(60);
    story.end("photos", Conclusion::Ok);
    assert_eq!(story.status_of("photos").state, SyncState::Idle);
}

#[test]
fn the_alarm_goes_off_whenever_what_is_shown_changes_by_itself() {
    let text = HOUSE.replace("every = \"1h\"", "every = \"1h\"\nmax-age = \"2h\"")
        + "\n[syncs.night]\nsource = \"laptop:Night\"\ndestination = \"red:night\"\n"
        + "when = { hours = \"22:00-06:00\" }\n";
    let mut story = Story::at_home(&text);
    story.plug("usb");
    story.wait(10);
    story.end("photos", Conclusion::Ok);
    // Due while a run of it is under way, overdue while it still is.
    story.wait(3600);
    assert_eq!(story.running(), ["photos"]);
    let shown = |story: &Story, name| story.status_of(name).freshness;
    story.wait(3595);
    assert_eq!((shown(&story, "photos"), story.alarm), (Freshness::Fresh, Some(now_at(7211).wall)));
    story.wait(10);
    assert_eq!(shown(&story, "photos"), Freshness::Overdue);
    // Never copied, and nothing plugged in: that is overdue, too.
    assert_eq!(shown(&story, "documents"), Freshness::Overdue);
    // Both edges of the hours, while the drive is away.
    let mut edges = Vec::new();
    for _ in 0..24 * 12 {
        story.wait(300);
        edges.push(story.codes("night").contains(&"outside-hours"));
    }
    assert_eq!(edges.windows(2).filter(|pair| pair[0] != pair[1]).count(), 2, "{edges:?}");
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
fn a_look_alike_that_does_not_say_who_it_is_is_asked_about() {
    let mut story = Story::at_home(HOUSE);
    let stick = |hardware: Option<&str>, medium| {
        let VolumeSight::Present(mut stick) = present("/media/usb", Some(medium)) else { unreachable!() };
        stick.hardware = hardware.map(|text| Hardware(text.into()));
        VolumeSight::Present(stick)
    };
    story.see(&[("usb", stick(Some("SanDisk_Ultra_4C53-0:0"), 1))]);
    let approve = |story: &mut Story| {
        let (answer, _answered) = oneshot::channel();
        story.tell(Event::Asked(Ask::Approve { sync: name("photos"), answer }));
    };
    approve(&mut story);
    story.unplug("usb");
    story.see(&[("usb", stick(None, 2))]);
    assert_eq!(story.codes("photos"), ["device-unknown"], "one that says nothing");
    story.see(&[("usb", stick(Some("SanDisk_Ultra_4C54"), 3))]);
    assert_eq!(story.codes("photos"), ["device-unknown"], "another of that make");
    story.see(&[("usb", stick(Some("4C53"), 4))]);
    assert_eq!(story.codes("photos"), [""; 0], "the same in another case");
    story.see(&[("usb", stick(None, 5))]);
    approve(&mut story);
    assert_eq!(story.codes("photos"), [""; 0], "a person says so");
}

#[test]
fn a_header_that_is_not_the_one_that_was_used_is_told_before_anything_is_unlocked() {
    let mut story = Story::at_home(OPENED);
    let container = |medium, hardware: &str| BlockDevice {
        hardware: Some(Hardware(hardware.into())),
        ..block_device("/dev/sdc1", RED, 33, medium, DeviceRole::Container)
    };
    let role = DeviceRole::Unlocked { container: RED.parse().unwrap(), filesystem: "ext4".into() };
    let inside = || block_device("/dev/dm-0", OTHER, 40, 9, role.clone());
    let open = |hardware: &str| {
        let VolumeSight::Present(mut open) = present("/media/red", Some(9)) else { unreachable!() };
        open.hardware = Some(Hardware(hardware.into()));
        VolumeSight::Present(open)
    };
    let plug = |story: &mut Story, medium, hardware: &str| {
        story.devices = vec![];
        story.unplug("red");
        story.orders();
        story.devices = vec![container(medium, hardware)];
        story.see(&[("red", locked_sight(medium))]);
        story.wait(3700);
        story.orders()
    };
    // Nothing but its header tells who it is: it is learnt with the first copy.
    assert_eq!(plug(&mut story, 5, "luks:a"), ["open red for Runs"]);
    story.devices.push(inside());
    story.opened("red", open("luks:a fs:1"));
    story.end("secrets", Conclusion::Ok);
    let known: Vec<String> =
        story.world.decisions.ledger().hardware.values().flatten().map(ToString::to_string).collect();
    assert_eq!(known, ["luks:a fs:1"]);
    story.next = vec![("red".to_owned(), locked_sight(5))];
    story.closed("red", Left::Safe(Closed::PluggedIn), Closer::Us);

    assert_eq!(plug(&mut story, 6, "luks:b"), [""; 0]);
    assert_eq!(story.codes("secrets"), ["device-unknown"]);
    let told = story.status_of("secrets").obstacles[0].to_string();
    assert!(told.starts_with("the LUKS header of drive `red` is not the one that it was used with"), "{told}");
    // The right header around something else: it is told before anything is copied.
    assert_eq!(plug(&mut story, 7, "luks:a"), ["open red for Runs"]);
    story.devices.push(inside());
    story.opened("red", open("luks:a fs:2"));
    assert_eq!((story.running(), story.codes("secrets")), (vec![], vec!["device-unknown"]));
    assert!(story.status_of("secrets").obstacles[0].to_string().contains("holds another filesystem"));
    let (answer, _answered) = oneshot::channel();
    story.tell(Event::Asked(Ask::Approve { sync: name("secrets"), answer }));
    story.wait(10);
    assert_eq!(story.codes("secrets"), [""; 0], "a person says so");
}

#[test]
fn a_hold_within_the_grace_keeps_hands_off() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(5);
    let (answer, mut answered) = oneshot::channel();
    story.tell(Event::Asked(Ask::Hold { volume: "usb".parse().unwrap(), length: None, answer }));
    assert_eq!(answered.try_recv().unwrap(), Ok(()));
    story.wait(1000);
    assert!(story.started.is_empty());
    let (answer, _answered) = oneshot::channel();
    story.tell(Event::Asked(Ask::Release { volume: "usb".parse().unwrap(), answer }));
    story.wait(10);
    assert_eq!(story.running(), ["photos"]);
}

#[test]
fn a_hold_for_some_time_falls_by_itself_and_says_until_when() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(5);
    let hold = |story: &mut Story, length| {
        let (answer, mut answered) = oneshot::channel();
        story.tell(Event::Asked(Ask::Hold { volume: "usb".parse().unwrap(), length, answer }));
        assert_eq!(answered.try_recv().unwrap(), Ok(()));
    };
    // The last word counts.
    hold(&mut story, None);
    hold(&mut story, Some(Duration::from_mins(10)));
    let until = now_at(story.second + 600).wall;
    let obstacle = Obstacle::VolumeHeld { volume: "usb".parse().unwrap(), until: Some(until) };
    assert!(story.status_of("photos").obstacles.contains(&obstacle), "{:?}", story.status_of("photos").obstacles);
    assert!(obstacle.to_string().ends_with(&format!("until {until:.0}")), "{obstacle}");
    assert!(story.alarm.is_some_and(|alarm| alarm <= until));
    story.wait(599);
    assert!(story.started.is_empty());
    story.wait(1);
    assert_eq!(story.running(), ["photos"]);
    assert!(story.world.decisions.ledger().holds.is_empty(), "it is over for the next daemon, too");
}

#[test]
fn a_hold_on_a_drive_in_use_is_answered_once_nothing_uses_it() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(10);
    let (answer, mut answered) = oneshot::channel();
    story.tell(Event::Asked(Ask::Hold { volume: "usb".parse().unwrap(), length: None, answer }));
    assert_eq!(story.stopped, [(name("photos"), Interruption::DriveHeld)]);
    assert!(answered.try_recv().is_err());
    story.end("photos", Conclusion::Interrupted(Interruption::DriveHeld));
    assert_eq!(answered.try_recv().unwrap(), Ok(()));
}

#[test]
fn a_hold_that_is_over_before_nothing_uses_the_drive_is_told_as_that() {
    for (length, is_released) in [(Some(Duration::from_secs(5)), false), (None, true)] {
        let mut story = Story::at_home(HOUSE);
        story.plug("usb");
        story.wait(10);
        let (answer, mut answered) = oneshot::channel();
        story.tell(Event::Asked(Ask::Hold { volume: "usb".parse().unwrap(), length, answer }));
        story.wait(4);
        assert!(answered.try_recv().is_err(), "it runs, and is held");
        if is_released {
            let (answer, _answered) = oneshot::channel();
            story.tell(Event::Asked(Ask::Release { volume: "usb".parse().unwrap(), answer }));
        } else {
            story.wait(1);
        }
        let told = answered.try_recv().unwrap();
        let over = "the hold on `usb` is over, and was so before `photos` had stopped there: ";
        assert!(matches!(&told, Err(Refusal::Failed(why)) if why.starts_with(over)), "{told:?}");
    }
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
