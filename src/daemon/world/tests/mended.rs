//! Stories of persons who see to what is in the way on a drive.

use crate::daemon::world::tests::*;

#[test]
fn what_is_damaged_stays_so_until_a_run_says_that_it_wrote_it_anew() {
    let mut story = Story::at_home(HOUSE);
    let paths: BTreeSet<PathBuf> = ["a", "b"].map(PathBuf::from).into();
    let damage = Damage { paths: paths.clone(), ..Damage::default() };
    let ledger = Ledger { damaged: [(name("photos"), damage)].into(), ..story.world.decisions.ledger().clone() };
    story.world.decisions = Decisions::new(ledger);
    story.plug("usb");
    story.wait(10);
    assert_eq!(story.started[0].damaged().count(), 2);
    // It could not read them at the source: its copy is one without them.
    story.end("photos", Conclusion::Ok);
    assert_eq!(story.status_of("photos").damaged, 2);
    story.wait(3600);
    let (run, sync) = (story.world.runs.get(&name("photos")).unwrap().id.clone(), name("photos"));
    let report = RunReport { mended: paths, ..RunReport::bare(run, sync, Conclusion::Ok) };
    story.tell(Event::News(WorkerNews::Ended(Box::new(report))));
    assert_eq!(story.status_of("photos").damaged, 0);
}

/// A drive that a run was to be made on, and that turned out to have no sentinel; it is closed again.
fn with_unproven_drive() -> Story {
    let mut story = Story::with_closed_drive(OPENED);
    story.wait(10);
    let root = PathBuf::from("/media/usb");
    story.opened("usb", VolumeSight::NotProven { root, fault: SentinelFault::Missing });
    story.next = vec![("usb".to_owned(), closed_sight(1))];
    story.closed("usb", Left::Safe(Closed::PluggedIn), Closer::Us);
    assert_eq!(story.codes("photos"), ["destination-sentinel-missing"]);
    story.orders();
    story
}

#[test]
fn what_a_person_mended_by_hand_is_in_the_way_no_longer() {
    let mut story = with_unproven_drive();
    let (answer, mut mounted) = oneshot::channel();
    story.tell(Event::Asked(Ask::Mount { volume: "usb".parse().unwrap(), answer }));
    assert_eq!(story.orders(), ["open usb for Person"]);
    story.opened("usb", present("/media/usb", Some(1)));
    assert!(mounted.try_recv().unwrap().is_ok());
    assert_eq!(story.codes("photos"), [""; 0]);
    let (accepted, _ends) = story.ask_to_run("photos", Urgency::Asked);
    assert_eq!(accepted[0].obstacles, []);
    story.end("documents", Conclusion::Ok);
    assert_eq!(story.running(), ["photos"]);
}

#[test]
fn who_asks_for_a_run_has_a_closed_drive_looked_at_again() {
    let mut story = with_unproven_drive();
    let (accepted, mut ends) = story.ask_to_run("photos", Urgency::Asked);
    assert_eq!(
        (accepted[0].obstacles.as_slice(), story.orders()),
        ([].as_slice(), vec!["open usb for Runs".to_owned()])
    );
    let root = PathBuf::from("/media/usb");
    story.opened("usb", VolumeSight::NotProven { root, fault: SentinelFault::Missing });
    let Ok(RequestEnd::Dropped { obstacles, .. }) = ends.try_recv() else { panic!("it is told") };
    assert_eq!(obstacles[0].code().as_str(), "destination-sentinel-missing");
}

#[test]
fn another_id_on_a_drive_is_approved_only_while_it_can_be_read() {
    let mut story = Story::with_closed_drive(OPENED);
    let with_id = |id: &str| {
        let VolumeSight::Present(mut usb) = present("/media/usb", Some(1)) else { unreachable!() };
        usb.id = Some(SentinelId(id.into()));
        VolumeSight::Present(usb)
    };
    let close = |story: &mut Story| {
        story.next = vec![("usb".to_owned(), closed_sight(1))];
        story.closed("usb", Left::Safe(Closed::PluggedIn), Closer::Us);
    };
    story.wait(10);
    story.opened("usb", with_id("one"));
    story.end("documents", Conclusion::Ok);
    story.end("photos", Conclusion::Ok);
    close(&mut story);
    story.wait(3600);
    story.opened("usb", with_id("another"));
    assert!(story.running().is_empty());
    close(&mut story);
    assert_eq!(story.codes("photos"), ["sentinel-mismatch"]);
    let approve = |story: &mut Story| {
        let (answer, mut answered) = oneshot::channel();
        story.tell(Event::Asked(Ask::Approve { sync: name("photos"), answer }));
        answered.try_recv().unwrap()
    };
    let Err(Refusal::Failed(why)) = approve(&mut story) else { panic!("nobody can read it") };
    assert!(why.contains("`nbkpctl mount usb`"), "{why}");
    let (answer, _mounted) = oneshot::channel();
    story.tell(Event::Asked(Ask::Mount { volume: "usb".parse().unwrap(), answer }));
    story.opened("usb", with_id("another"));
    assert_eq!(approve(&mut story).unwrap().len(), 1);
    assert_eq!(story.codes("photos"), [""; 0]);
}

#[test]
fn another_passphrase_in_the_keyring_is_tried_soon_and_ever_later_where_it_is_wrong_too() {
    let mut story = Story::at_home(OPENED);
    story.devices = vec![block_device("/dev/sdc1", RED, 33, 5, DeviceRole::Container)];
    story.see(&[("red", locked_sight(5))]);
    story.wait(12);
    assert_eq!(story.orders(), ["open red for Runs"]);
    let refuse = |story: &mut Story| {
        story.not_opened("red", OpeningTrouble::WrongSecret("red".parse().unwrap()));
        story.closed("red", Left::AsFound, Closer::Us);
        assert_eq!(story.orders(), ["close red: Leave"]);
    };
    refuse(&mut story);
    assert!(story.world.waits_for_keyring());
    story.wait(300);
    assert_eq!(story.orders(), [""; 0]);
    story.tell(Event::KeyringChanged);
    assert_eq!(story.orders(), ["open red for Runs"]);
    // What changed while it was being opened was not asked for any more.
    story.tell(Event::KeyringChanged);
    refuse(&mut story);
    story.wait(5);
    assert_eq!(story.orders(), ["open red for Runs"]);
    story.tell(Event::KeyringChanged);
    refuse(&mut story);
    story.wait(7);
    assert_eq!(story.orders(), [""; 0], "a keyring that changes all the time is not asked all the time");
    story.wait(2);
    assert_eq!(story.orders(), ["open red for Runs"]);
    refuse(&mut story);
    story.wait(600);
    assert_eq!(story.orders(), [""; 0]);
}

#[test]
fn a_filesystem_that_may_have_been_mended_is_tried_at_once() {
    let mut story = Story::with_closed_drive(OPENED);
    story.wait(10);
    let refuse = |story: &mut Story| {
        let (why, command) = ("mount it: bad superblock".into(), "e2fsck -f /dev/sdb1".into());
        story.not_opened("usb", OpeningTrouble::Damaged { why, command });
        // What was tried changes the device itself.
        story.world.owe_look(Scope::blocks());
        story.next = vec![("usb".to_owned(), closed_sight(1))];
        story.closed("usb", Left::AsFound, Closer::Us);
        assert_eq!(story.orders(), ["open usb for Runs", "close usb: Leave"]);
    };
    refuse(&mut story);
    story.wait(200);
    assert_eq!(story.orders(), [""; 0]);
    story.world.owe_look(Scope::blocks());
    story.see(&[("usb", closed_sight(1))]);
    refuse(&mut story);
    story.wait(290);
    assert_eq!(story.orders(), [""; 0]);
    story.wait(20);
    assert_eq!(story.orders(), ["open usb for Runs"]);
}
