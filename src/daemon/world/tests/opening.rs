//! Stories of drives that are opened for runs and closed behind them.

use crate::daemon::world::tests::*;

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
fn what_a_person_let_go_they_take_back_at_once() {
    let ejected = |left: Left| {
        let mut story = Story::with_closed_drive(OPENED);
        story.wait(10);
        story.opened("usb", present("/media/usb", Some(1)));
        let (answer, _answered) = oneshot::channel();
        let then = WhenDone::PowerOff;
        story.tell(Event::Asked(Ask::Unmount { volume: "usb".parse().unwrap(), then, answer }));
        story.end("documents", Conclusion::Interrupted(Interruption::DriveHeld));
        assert_eq!(story.orders(), ["open usb for Runs", "close usb: PowerOff"]);
        if !left.is_open() {
            story.next = vec![("usb".to_owned(), closed_sight(1))];
        }
        story.closed("usb", left, Closer::Us);
        assert_eq!(story.codes("photos"), ["destination-not-mounted"]);
        story
    };
    let safe = || ejected(Left::Safe(Closed::PluggedIn));
    let release = |story: &mut Story| {
        let (answer, _answered) = oneshot::channel();
        story.tell(Event::Asked(Ask::Release { volume: "usb".parse().unwrap(), answer }));
    };
    let mut story = safe();
    release(&mut story);
    assert_eq!(story.orders(), ["open usb for Runs"]);

    let mut story = safe();
    let (accepted, _) = story.ask_to_run("photos", Urgency::Asked);
    assert_eq!(accepted[0].obstacles, []);
    assert_eq!(story.orders(), ["open usb for Runs"]);
    // Who asks for all that is possible does not name what they let go.
    let mut story = safe();
    let (answer, _answered) = oneshot::channel();
    let (ends, _ended) = tokio::sync::mpsc::channel(8);
    story.tell(Event::Asked(Ask::Run { syncs: Vec::new(), urgency: Urgency::Asked, answer, ends }));
    assert_eq!(story.orders(), [""; 0]);

    // Something used it, and it stayed as it was.
    let mut story = ejected(Left::InUse(Vec::new()));
    release(&mut story);
    assert_eq!((story.codes("photos"), story.running()), (vec![], vec!["documents".to_owned()]));
    let mut story = ejected(Left::InUse(Vec::new()));
    story.ask_to_run("photos", Urgency::Asked);
    assert_eq!(story.running(), ["documents"], "both, in their order");
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
fn told_to_stop_it_does_not_wait_for_a_drive_that_does_not_close() {
    let mut story = Story::with_closed_drive(OPENED);
    story.wait(10);
    story.opened("usb", present("/media/usb", Some(1)));
    story.tell(Event::Stop);
    story.wait(8);
    story.end("documents", Conclusion::Interrupted(Interruption::Stopping));
    assert_eq!(story.orders().last().map(String::as_str), Some("close usb: Leave"));
    story.wait(6);
    assert!(!story.finished, "the drive is being closed");
    story.wait(3);
    assert!(story.finished, "it does not answer");
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
