//! Stories of batteries and sleep.

use crate::daemon::messages::sensed::Activity;
use crate::daemon::world::tests::servers::{TRAVELLER, at_home, elsewhere};
use crate::daemon::world::tests::*;

#[test]
fn only_what_takes_long_keeps_the_machine_awake_and_no_battery_is_emptied_for_it() {
    let mut story = Story::travelling(at_home());
    let activity = |story: &Story| story.world.activity(&now_at(story.second));
    assert_eq!(activity(&story), Activity::Rest);
    story.reaches("nas");
    story.wait(2);
    assert_eq!(story.running(), ["photos"]);
    story.wait(9);
    assert_eq!(activity(&story), Activity::Rest, "it may be over at once");
    assert_eq!(story.alarm.map(|at| at.duration_since(now_at(story.second).wall).as_secs()), Some(1));
    story.wait(1);
    assert_eq!(activity(&story), Activity::RunsAwake);
    story.tell(Event::Power(PowerSight::Battery(Some(90))));
    assert_eq!(activity(&story), Activity::Runs);
    story.tell(Event::Power(PowerSight::Mains));
    assert_eq!(activity(&story), Activity::RunsAwake);
    story.end("photos", Conclusion::Ok);
    assert_eq!(activity(&story), Activity::Rest);
}

#[test]
fn the_battery_decides_where_it_is_asked() {
    let with = |rule: &str| {
        TRAVELLER
            .replace("[defaults]", "")
            .replace("[syncs.photos]", &format!("[syncs.photos]\nwhen = {{ battery = \"{rule}\" }}"))
    };
    let mut story = Story::new(&with("50%"));
    story.see(&[("laptop", present("/home/a", None)), ("usb", absent())]);
    story.join(at_home());
    story.reaches("nas");
    story.tell(Event::Power(PowerSight::Battery(Some(49))));
    assert_eq!(story.codes("photos"), ["battery"]);
    story.tell(Event::Power(PowerSight::Battery(Some(50))));
    assert!(story.codes("photos").is_empty());
    story.tell(Event::Power(PowerSight::Battery(None)));
    assert_eq!(story.codes("photos"), ["battery"]);
    story.tell(Event::Power(PowerSight::Unknown));
    assert!(story.codes("photos").is_empty());
}

#[test]
fn sleep_stops_what_runs_and_waking_goes_on_with_it_after_a_moment() {
    let mut story = Story::travelling(at_home());
    story.reaches("nas");
    story.wait(2);
    story.tell(Event::GoingToSleep);
    assert_eq!(story.stopped, [(name("photos"), Interruption::Suspend)]);
    assert!(!story.asleep, "what runs comes to its end first");
    story.end("photos", Conclusion::Interrupted(Interruption::Suspend));
    assert!(story.asleep);
    story.plug("usb");
    story.wait(20);
    assert!(story.running().is_empty(), "nothing starts while the machine is about to sleep");
    story.asked.clear();
    story.tell(Event::Woke);
    assert!(story.running().is_empty());
    story.wait(2);
    assert_eq!(story.running(), ["documents"]);
}

#[test]
fn however_often_the_machine_sleeps_a_run_goes_on_when_it_wakes() {
    let mut story = Story::travelling(at_home());
    story.reaches("nas");
    story.wait(2);
    for _ in 0..6 {
        assert_eq!(story.running(), ["photos"]);
        story.tell(Event::GoingToSleep);
        story.end("photos", Conclusion::Interrupted(Interruption::Suspend));
        story.tell(Event::Woke);
        // It was asked behind the run, too.
        story.reaches("nas");
        story.reaches("nas");
        story.wait(2);
    }
    assert_eq!(story.running(), ["photos"]);
}

#[test]
fn a_sleep_that_does_not_come_is_forgotten() {
    let mut story = Story::travelling(elsewhere());
    story.tell(Event::GoingToSleep);
    assert!(story.asleep, "nothing ran");
    story.plug("usb");
    story.wait(59);
    assert!(story.running().is_empty());
    story.wait(10);
    assert_eq!(story.running(), ["documents"]);
}
