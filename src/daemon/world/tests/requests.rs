//! Stories of those who ask, and of what answers them.

use crate::daemon::world::tests::*;

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
fn who_asks_while_it_runs_is_answered_by_a_run_that_begins_later() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    let (_, mut before) = story.ask_to_run("photos", Urgency::Asked);
    assert_eq!(story.running(), ["photos"]);
    let first = story.started[0].run.clone();
    let (accepted, mut after) = story.ask_to_run("photos", Urgency::Asked);
    assert_eq!(accepted[0].obstacles, []);
    story.end("photos", Conclusion::Ok);
    assert!(matches!(before.try_recv(), Ok(RequestEnd::Ran(record)) if record.run == first));
    assert!(after.try_recv().is_err(), "what was changed since may be missing from that copy");
    assert_eq!((story.running(), story.started.len()), (vec!["photos".to_owned()], 2));
    let second = story.started[1].run.clone();
    story.end("photos", Conclusion::Ok);
    assert!(matches!(after.try_recv(), Ok(RequestEnd::Ran(record)) if record.run == second));
    assert!(story.running().is_empty());
}

#[test]
fn who_asked_behind_a_run_that_is_cancelled_is_told_that_there_is_none() {
    for stop in [false, true] {
        let mut story = Story::at_home(HOUSE);
        story.plug("usb");
        let (_, mut before) = story.ask_to_run("photos", Urgency::Asked);
        let (_, mut behind) = story.ask_to_run("photos", Urgency::Forced);
        let (answer, _answered) = oneshot::channel();
        let (event, why) = if stop {
            (Event::Stop, Interruption::Stopping)
        } else {
            (Event::Asked(Ask::Cancel { syncs: vec![name("photos")], answer }), Interruption::Cancelled)
        };
        story.tell(event);
        assert!(matches!(behind.try_recv(), Ok(RequestEnd::Dropped { .. })));
        story.end("photos", Conclusion::Interrupted(why));
        assert!(matches!(before.try_recv(), Ok(RequestEnd::Ran(_))));
        assert!(story.running().is_empty());
    }
}
