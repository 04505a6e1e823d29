//! Stories of what the guard holds: asked again, approved, and held once more.

use crate::daemon::world::tests::*;

fn cut_down() -> Conclusion {
    Conclusion::Held(HoldReason::CutDown { paths: paths(50), of: 60, allowed_percent: 25, against: None })
}

fn approve(story: &mut Story) {
    let (answer, mut answered) = oneshot::channel();
    story.tell(Event::Asked(Ask::Approve { sync: name("photos"), answer }));
    assert_eq!(answered.try_recv().unwrap().unwrap().len(), 1);
}

#[test]
fn a_clock_that_is_set_back_makes_no_endless_round_of_looks() {
    for every in ["1h", "0s"] {
        let mut story = Story::at_home(&HOUSE.replace("every = \"1h\"", &format!("every = \"{every}\"")));
        story.plug("usb");
        story.wait(10);
        if every == "1h" {
            story.end("photos", Conclusion::Ok);
        }
        story.set_by = -7200;
        story.tell(Event::ClockJumped);
        let mut rounds = 0;
        while story.running() == ["photos"] && rounds < 10 {
            story.end("photos", held());
            rounds += 1;
        }
        assert!(rounds < 3, "{every}");
    }
}

#[test]
fn who_approves_while_it_looks_again_has_approved() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(10);
    story.end("photos", held());
    story.wait(3600);
    assert_eq!(story.running(), ["photos"]);
    approve(&mut story);
    story.end("photos", held());
    assert_eq!(story.codes("photos"), [""; 0]);
    story.wait(3600);
    assert!(story.started.last().unwrap().approved.is_some());
    story.end("photos", held());
    assert_eq!(story.codes("photos"), ["held"], "other files than those that were shown");
    assert!(story.world.decisions.ledger().approvals.is_empty());
}

#[test]
fn who_approves_one_thing_after_the_other_comes_to_an_end() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(10);
    story.end("photos", held());
    approve(&mut story);
    story.wait(3600);
    assert!(story.started.last().unwrap().approved.is_some());
    story.end("photos", cut_down());
    approve(&mut story);
    story.wait(3600);
    let job = story.started.last().unwrap();
    assert!(job.approved.is_some() && job.approved_cuts.is_some());
    story.end("photos", Conclusion::Ok);
    let ledger = story.world.decisions.ledger();
    assert!(ledger.approvals.is_empty() && ledger.approved_cuts.is_empty());
}

#[test]
fn what_is_held_and_fails_is_told_once_of_each() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(10);
    story.end("photos", held());
    story.announced.clear();
    story.wait(3600);
    for _ in 0..5 {
        story.end("photos", failed());
        story.wait(4000);
    }
    let told = story.announced.iter().filter(|it| matches!(it.matter, Matter::Failed(_) | Matter::Held(_))).count();
    assert_eq!(told, 1, "{:?}", story.announced);
}

#[test]
fn a_question_that_is_asked_again_and_again_is_in_history_once() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(10);
    story.end("photos", held());
    let ended = |story: &Story| story.recorded.iter().filter(|entry| matches!(entry, Entry::Ended(_))).count();
    assert_eq!((ended(&story), story.started[0].asked), (1, None));
    for _ in 0..3 {
        story.wait(3600);
        story.end("photos", held());
    }
    assert_eq!((ended(&story), story.started.len()), (1, 4));
    let forgotten = story.recorded.iter().filter(|entry| matches!(entry, Entry::Forgotten(_))).count();
    assert_eq!(forgotten, 3, "each of them had begun");
    assert!(story.started[3].asked == Some(std::mem::discriminant(&reason())), "no hook tells of it again");
    // Who asks is answered by a run that they find in the history; another question is news, and so is a failure.
    story.ask_to_run("photos", Urgency::Asked);
    story.end("photos", held());
    assert_eq!(ended(&story), 2);
    story.wait(3600);
    story.end("photos", cut_down());
    assert_eq!(ended(&story), 3);
    story.wait(3600);
    story.end("photos", failed());
    story.wait(60);
    story.end("photos", cut_down());
    assert_eq!(ended(&story), 5);
}
