//! Runs that do not get on, and those that cannot be ended.

use super::*;
use crate::backup::news::Liveness;

fn lives(story: &mut Story, sync: &str, life: Liveness) {
    let sync = name(sync);
    let run = story.world.runs.with_left_behind().find(|(name, _)| **name == sync).unwrap().1.id.clone();
    story.tell(Event::News(WorkerNews::Life { run, sync, life }));
}

fn still(story: &mut Story, sync: &str, seconds: u64) {
    lives(story, sync, Liveness::Still(Duration::from_secs(seconds)));
}

/// The late word of a run that was left behind.
fn comes_back(story: &mut Story, sync: &str, conclusion: Conclusion) {
    let sync = name(sync);
    let run = story.world.runs.with_left_behind().find(|(name, _)| **name == sync).unwrap().1.id.clone();
    let report = RunReport::bare(run, sync, conclusion);
    story.tell(Event::News(WorkerNews::Ended(Box::new(report))));
}

/// Both drives are in, and photos are copied.
fn copying() -> Story {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.plug("red");
    story.wait(10);
    let begun = story.running();
    if begun == ["documents"] {
        story.end("documents", Conclusion::Ok);
    }
    assert_eq!(story.running(), ["photos"]);
    story
}

#[test]
fn a_run_that_stands_still_is_not_waited_for_and_goes_on_if_it_can() {
    let mut story = copying();
    let (_, mut ended) = story.ask_to_run("documents", Urgency::Asked);
    story.see(&[]);
    still(&mut story, "photos", 20);
    assert_eq!(story.running(), ["documents", "photos"]);
    assert_eq!(story.world.status(&now_at(story.second)).running[1].still, Some(Duration::from_secs(20)));
    assert!(story.stopped.is_empty(), "it may go on");
    lives(&mut story, "photos", Liveness::Moves);
    story.end("documents", Conclusion::Ok);
    assert!(matches!(ended.try_recv().unwrap(), RequestEnd::Ran(record) if record.outcome == Outcome::Ok));
    story.end("photos", Conclusion::Ok);
    assert_eq!(story.status_of("photos").last_run.unwrap().outcome, Outcome::Ok);
}

#[test]
fn a_hold_tells_of_one_that_cannot_be_ended() {
    let mut story = copying();
    let (answer, mut answered) = oneshot::channel();
    story.tell(Event::Asked(Ask::Hold { volume: "usb".parse().unwrap(), length: None, answer }));
    assert!(answered.try_recv().is_err());
    still(&mut story, "photos", 60);
    let told = answered.try_recv().unwrap();
    let but = "a hold lies on `usb`, but an earlier run of `photos` cannot be ended: ";
    assert!(matches!(&told, Err(Refusal::Failed(why)) if why.starts_with(but)), "{told:?}");
    assert_eq!(story.world.decisions.ledger().holds.len(), 1);
}

#[test]
fn one_that_does_not_answer_is_over_for_the_world_and_keeps_its_places() {
    let mut story = copying();
    let (_, mut ended) = story.ask_to_run("photos", Urgency::Asked);
    still(&mut story, "photos", 60);
    let status = story.status_of("photos");
    assert_eq!((status.state, story.running()), (SyncState::Waiting, Vec::new()));
    assert_eq!(status.last_run.unwrap().outcome, Outcome::Interrupted);
    assert_eq!(story.stopped, [(name("photos"), Interruption::Still(Duration::from_mins(1)))]);
    assert!(story.codes("photos").contains(&"lock-taken"));
    assert!(story.codes("onward").contains(&"lock-taken"), "it reads the drive that does not answer");
    assert!(!story.codes("documents").contains(&"lock-taken"));
    assert!(matches!(ended.try_recv().unwrap(), RequestEnd::Dropped { .. }), "nobody waits for it");
    let (accepted, _) = story.ask_to_run("photos", Urgency::Forced);
    assert_eq!(accepted[0].obstacles.last().map(Obstacle::code), Some(ObstacleCode::LockTaken));
    story.wait(3600);
    assert!(story.running().iter().all(|sync| sync == "documents"), "nothing begins where it still writes");

    comes_back(&mut story, "photos", failed());
    assert_eq!(story.status_of("photos").last_run.unwrap().outcome, Outcome::Interrupted, "it was told once");
    assert!(!story.codes("photos").contains(&"lock-taken"));
    assert!(story.world.status(&now_at(story.second)).degraded.is_empty());
}

#[test]
fn one_that_made_its_copy_after_all_is_believed() {
    let mut story = copying();
    still(&mut story, "photos", 60);
    story.wait(5);
    comes_back(&mut story, "photos", Conclusion::Ok);
    let status = story.status_of("photos");
    assert_eq!((status.last_run.unwrap().outcome, status.freshness), (Outcome::Ok, Freshness::Fresh));
    assert!(status.last_success.is_some());
}

#[test]
fn a_hook_and_a_flush_may_take_long() {
    for step in [Step::Before, Step::After, Step::Flush] {
        let mut story = copying();
        let run = story.world.runs.get(&name("photos")).unwrap().id.clone();
        let progress = Progress { step, percent: None, bytes: 0, rate: 0, eta_seconds: None };
        story.tell(Event::News(WorkerNews::Progress { run, sync: name("photos"), progress }));
        still(&mut story, "photos", 1000);
        assert_eq!(story.running(), ["photos"], "{step:?}");
        still(&mut story, "photos", 1800);
        assert_eq!(story.running().is_empty(), step == Step::Flush, "{step:?}");
    }
}

#[test]
fn the_daemon_ends_without_one_that_cannot_be_ended() {
    let mut story = copying();
    lives(&mut story, "photos", Liveness::Deaf);
    assert_eq!(story.running(), ["photos"], "nobody has told it to stop");
    story.tell(Event::Stop);
    assert!(!story.finished);
    lives(&mut story, "photos", Liveness::Deaf);
    assert!(story.finished);
    let error = story.status_of("photos").last_run.unwrap().error.clone();
    assert_eq!(error, Some(Interruption::Stopping.to_string()));
}

#[test]
fn a_drive_that_is_open_for_one_that_cannot_be_ended_is_left_to_the_next_daemon() {
    let mut story = Story::with_closed_drive(OPENED);
    story.wait(10);
    story.opened("usb", present("/media/usb", Some(1)));
    story.wait(10);
    let running = story.running();
    assert_eq!(running.len(), 1);
    story.orders();
    story.tell(Event::Stop);
    lives(&mut story, &running[0], Liveness::Deaf);
    assert_eq!(story.orders(), Vec::<String>::new(), "it is in use");
    assert!(story.finished);
}

#[test]
fn what_cannot_be_called_off_is_not_given_up() {
    for step in [Step::Flush, Step::Commit, Step::Record, Step::Prune] {
        let mut story = copying();
        let sync = name("photos");
        let run = story.world.runs.get(&sync).unwrap().id.clone();
        let progress = Progress { step, percent: None, bytes: 0, rate: 0, eta_seconds: None };
        story.tell(Event::News(WorkerNews::Progress { run, sync, progress }));
        let (answer, _answered) = oneshot::channel();
        story.tell(Event::Asked(Ask::Cancel { syncs: vec![name("photos")], answer }));
        lives(&mut story, "photos", Liveness::Deaf);
        assert_eq!(story.running(), ["photos"], "{step:?}");
        comes_back(&mut story, "photos", Conclusion::Ok);
        assert!(!story.running().contains(&"photos".to_owned()));
    }
}

#[test]
fn what_a_run_left_behind_reads_is_told_to_wait_for_it() {
    let mut story = Story::new(
        r#"
        [volumes.laptop]
        path = "/home/a"
        [volumes.disk]
        path = "/data"
        [volumes.usb]
        drive = "2d577679-a7b6-429d-8250-3d0d80e034df"
        [defaults]
        every = "1h"
        [syncs.first]
        source = "laptop:Documents"
        destination = "disk:documents"
        [syncs.onward]
        source = "disk:documents"
        destination = "usb:documents"
        "#,
    );
    story.see(&[("laptop", present("/home/a", None)), ("disk", present("/data", None)), ("usb", absent())]);
    story.wait(10);
    story.end("first", Conclusion::Ok);
    story.plug("usb");
    story.wait(20);
    assert_eq!(story.running(), ["onward"]);
    still(&mut story, "onward", 60);
    let (accepted, _ends) = story.ask_to_run("first", Urgency::Asked);
    assert_eq!(accepted[0].obstacles.first().map(Obstacle::code), Some(ObstacleCode::LockTaken));
}

#[test]
fn one_that_came_back_with_its_copy_takes_back_what_was_told_of_its_failure() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(10);
    story.end("photos", failed());
    story.wait(60);
    assert_eq!(story.running(), ["photos"]);
    still(&mut story, "photos", 60);
    story.wait(5);
    story.announced.clear();
    comes_back(&mut story, "photos", Conclusion::Ok);
    assert!(story.announced.iter().any(|it| matches!(it.matter, Matter::Withdrawn)), "{:?}", story.announced);
}
