//! Stories of people who want a drive closed while something is being done with it, and of runs whose sync the
//! configuration has no longer.

use crate::daemon::world::tests::*;

type Closing = oneshot::Receiver<Result<(DriveName, Left), Refusal>>;

fn close(story: &mut Story, then: WhenDone) -> Closing {
    let (answer, answered) = oneshot::channel();
    story.tell(Event::Asked(Ask::Unmount { volume: "usb".parse().unwrap(), then, answer }));
    answered
}

/// A drive whose runs are done, and that is being closed so.
fn being_closed(when_done: &str) -> Story {
    let text = OPENED.replace("when-done = \"power-off\"", &format!("when-done = \"{when_done}\""));
    let mut story = Story::with_closed_drive(&text);
    story.wait(10);
    story.opened("usb", present("/media/usb", Some(1)));
    story.end("documents", Conclusion::Ok);
    story.orders();
    story.end("photos", Conclusion::Ok);
    story
}

fn was_closed(story: &mut Story, left: Left) {
    story.next = vec![("usb".to_owned(), closed_sight(1))];
    story.closed("usb", left, Closer::Us);
}

#[test]
fn who_unmounts_what_is_being_closed_waits_for_it() {
    let mut story = being_closed("lock");
    assert_eq!(story.orders(), ["close usb: Lock"]);
    let mut unmounted = close(&mut story, WhenDone::Lock);
    assert!(unmounted.try_recv().is_err(), "it is waited for");
    let left = Left::Safe(Closed::PluggedIn);
    was_closed(&mut story, left.clone());
    assert_eq!(unmounted.try_recv().unwrap().map(|(_, left)| left), Ok(left));
    // It was let go by that: no run opens it again.
    story.wait(4000);
    assert_eq!((story.orders(), story.codes("photos")), (vec![], vec!["destination-not-mounted"]));
}

#[test]
fn who_wants_more_than_is_being_done_gets_it() {
    let mut story = being_closed("unmount");
    assert_eq!(story.orders(), ["close usb: Unmount"]);
    let (mut unmounted, mut ejected) = (close(&mut story, WhenDone::Lock), close(&mut story, WhenDone::PowerOff));
    was_closed(&mut story, Left::Safe(Closed::PluggedIn));
    assert_eq!(story.orders(), ["close usb: PowerOff"]);
    assert!(unmounted.try_recv().is_err() && ejected.try_recv().is_err());
    was_closed(&mut story, Left::Safe(Closed::PoweredOff));
    for answered in [&mut unmounted, &mut ejected] {
        assert_eq!(answered.try_recv().unwrap().map(|(_, left)| left), Ok(Left::Safe(Closed::PoweredOff)));
    }
}

#[test]
fn who_waits_for_what_is_gone_or_in_use_is_answered() {
    for left in [Left::Safe(Closed::PoweredOff), Left::Gone, Left::InUse(Vec::new())] {
        let mut story = being_closed("unmount");
        let mut ejected = close(&mut story, WhenDone::PowerOff);
        was_closed(&mut story, left.clone());
        assert_eq!(ejected.try_recv().unwrap().map(|(_, left)| left), Ok(left));
    }
}

#[test]
fn who_unmounts_what_is_being_opened_is_waited_for_too() {
    let mut story = Story::with_closed_drive(OPENED);
    story.wait(10);
    assert_eq!(story.orders(), ["open usb for Runs"]);
    let mut unmounted = close(&mut story, WhenDone::Lock);
    story.opened("usb", present("/media/usb", Some(1)));
    assert_eq!((story.running(), story.orders()), (vec![], vec!["close usb: Lock".to_owned()]));
    was_closed(&mut story, Left::Safe(Closed::PluggedIn));
    assert!(unmounted.try_recv().unwrap().is_ok());
    let (answer, mut mounted) = oneshot::channel();
    let mut story = being_closed("unmount");
    story.tell(Event::Asked(Ask::Mount { volume: "usb".parse().unwrap(), answer }));
    let refusal = mounted.try_recv().unwrap().unwrap_err();
    assert!(matches!(refusal, Refusal::Failed(why) if why.contains("at this moment; try again")));
}

#[test]
fn a_run_whose_sync_is_configured_no_longer_is_shown_and_can_be_cancelled() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(10);
    assert_eq!(story.running(), ["photos"]);
    story.tell(Event::Configured(Ok(configuration(&HOUSE.replace("[syncs.photos]", "[syncs.pictures]")))));
    let status = story.world.status(&now_at(story.second));
    assert!(status.syncs.iter().all(|sync| sync.name != name("photos")));
    assert_eq!(status.running[0].sync, name("photos"));
    let mut cancel = |named: &[&str]| {
        let (answer, mut answered) = oneshot::channel();
        let syncs = named.iter().map(|sync| name(sync)).collect();
        story.tell(Event::Asked(Ask::Cancel { syncs, answer }));
        answered.try_recv().unwrap()
    };
    assert!(matches!(cancel(&["foto"]), Err(Refusal::UnknownSync(..))));
    assert_eq!(cancel(&["photos"]), Ok(vec![name("photos")]));
    assert_eq!(cancel(&[]), Ok(vec![name("photos"), name("pictures")]), "and what is queued");
    assert_eq!(story.stopped, [(name("photos"), Interruption::Cancelled)]);
}
