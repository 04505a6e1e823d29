//! Stories of persons who see to what is in the way on a drive.

use crate::daemon::world::tests::*;

#[test]
fn what_is_damaged_stays_so_until_a_run_says_that_it_wrote_it_anew() {
    let mut story = Story::at_home(HOUSE);
    let paths: BTreeSet<PathBuf> = ["a", "b"].map(PathBuf::from).into();
    let damage = Damage { paths: paths.clone(), snapshots: BTreeSet::new() };
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
