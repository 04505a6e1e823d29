//! Stories of drives whose volume is renamed or no longer configured while they are open.

use crate::daemon::world::tests::*;

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
