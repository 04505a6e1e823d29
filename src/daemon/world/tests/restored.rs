//! Stories of restores into a source: what copies it waits until all has come back.

use crate::daemon::world::tests::*;

const PHOTOS: &str = "/home/a/Photos";

fn begins(story: &mut Story, place: &str, syncs: &[&str]) {
    let syncs = syncs.iter().map(|sync| name(sync)).collect();
    let since = now_at(story.second).wall;
    let restore = UnfinishedRestore { since, command: format!("nbkpctl restore {place}"), syncs };
    let (answer, mut answered) = oneshot::channel();
    story.tell(Event::Asked(Ask::RestoreBegins { place: place.into(), restore, answer }));
    answered.try_recv().unwrap();
}

fn ends(story: &mut Story, place: &str, ending: RestoreEnding) {
    let (answer, mut answered) = oneshot::channel();
    story.tell(Event::Asked(Ask::RestoreEnds { place: place.into(), ending, answer }));
    answered.try_recv().unwrap();
}

fn approve(story: &mut Story, sync: &str) -> Vec<String> {
    let (answer, mut answered) = oneshot::channel();
    story.tell(Event::Asked(Ask::Approve { sync: name(sync), answer }));
    answered.try_recv().unwrap().unwrap()
}

fn places(story: &Story) -> Vec<&str> {
    story.world.decisions.ledger().restores.keys().map(|place| place.to_str().unwrap()).collect()
}

/// Photos on a drive that is in, copied once.
fn copied() -> Story {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(10);
    story.end("photos", Conclusion::Ok);
    story.announced.clear();
    story
}

#[test]
fn a_source_that_is_half_full_is_not_copied_before_it_is_whole() {
    let mut story = copied();
    begins(&mut story, PHOTOS, &["photos"]);
    // Somebody sees to it: that is nothing to tell of, and nothing to approve.
    story.wait(7200);
    let stands = story.status_of("photos");
    assert_eq!((stands.state, story.codes("photos")), (SyncState::Waiting, vec!["held"]));
    assert!(story.announced.is_empty() && approve(&mut story, "photos").is_empty());
    for urgency in [Urgency::Asked, Urgency::Forced] {
        let (accepted, _) = story.ask_to_run("photos", urgency);
        assert_eq!(accepted[0].obstacles.len(), 1, "{urgency:?}");
    }
    ends(&mut story, PHOTOS, RestoreEnding::Cut);
    let stands = story.status_of("photos");
    assert_eq!(stands.state, SyncState::Held);
    let hint = stands.obstacles[0].hint(&name("photos"));
    assert!(hint.contains("run `nbkpctl restore /home/a/Photos` until") && hint.contains("approve photos"), "{hint}");
    assert!(matches!(story.announced[..], [Announcement { matter: Matter::Held(_), .. }]), "{:?}", story.announced);
    story.wait(7200);
    assert_eq!(story.started.len(), 1);
    // The same again, which finds nothing to do that was not done before.
    begins(&mut story, PHOTOS, &["photos"]);
    ends(&mut story, PHOTOS, RestoreEnding::Untouched);
    assert_eq!(story.status_of("photos").state, SyncState::Held);
    begins(&mut story, PHOTOS, &["photos"]);
    ends(&mut story, PHOTOS, RestoreEnding::Whole);
    assert_eq!(story.running(), ["photos"], "it is due, and goes on by itself");
}

#[test]
fn what_a_daemon_died_over_is_known_to_the_next() {
    let mut story = copied();
    begins(&mut story, PHOTOS, &["photos"]);
    let ledger = story.world.decisions.ledger().clone();
    let mut next = Story::at_home(HOUSE);
    next.world.decisions = Decisions::new(ledger);
    next.plug("usb");
    next.wait(7200);
    assert_eq!((next.started.len(), next.status_of("photos").state), (0, SyncState::Held));
    let said = approve(&mut next, "photos");
    assert!(said.len() == 1 && said[0].starts_with("the source of `photos` counts as it is"), "{said:?}");
    assert_eq!((next.running(), places(&next)), (vec!["photos".to_owned()], Vec::new()));
}

#[test]
fn a_restore_of_a_part_is_part_of_the_whole_and_not_the_other_way_round() {
    let (part, other) = ("/home/a/Photos/2020", "/home/a/Photos-2");
    let mut story = copied();
    for place in [part, PHOTOS, other] {
        begins(&mut story, place, &["photos", "documents"]);
        ends(&mut story, place, RestoreEnding::Cut);
    }
    begins(&mut story, part, &["photos"]);
    ends(&mut story, part, RestoreEnding::Whole);
    assert_eq!(places(&story), [PHOTOS, other]);
    // One that is under way itself is not finished by another.
    begins(&mut story, part, &["photos"]);
    begins(&mut story, PHOTOS, &["photos"]);
    begins(&mut story, PHOTOS, &["photos"]);
    ends(&mut story, PHOTOS, RestoreEnding::Whole);
    assert_eq!(places(&story), [PHOTOS, part, other]);
    ends(&mut story, part, RestoreEnding::Cut);
    ends(&mut story, PHOTOS, RestoreEnding::Whole);
    assert_eq!(places(&story), [other]);
    assert_eq!(approve(&mut story, "photos").len(), 1);
    assert_eq!((places(&story), story.codes("documents").contains(&"held")), (vec![other], true));
    assert_eq!(approve(&mut story, "documents").len(), 1);
    assert!(places(&story).is_empty());
}

#[test]
fn one_that_changed_nothing_leaves_nothing_behind() {
    let mut story = copied();
    begins(&mut story, PHOTOS, &["photos"]);
    ends(&mut story, PHOTOS, RestoreEnding::Untouched);
    assert!(places(&story).is_empty() && story.codes("photos").is_empty());
    // Of two at once one comes to nothing, and the other is cut short.
    begins(&mut story, PHOTOS, &["photos"]);
    begins(&mut story, PHOTOS, &["photos"]);
    ends(&mut story, PHOTOS, RestoreEnding::Cut);
    ends(&mut story, PHOTOS, RestoreEnding::Untouched);
    assert_eq!(places(&story), [PHOTOS]);
    // Nobody began this one.
    ends(&mut story, PHOTOS, RestoreEnding::Whole);
    assert_eq!(places(&story), [PHOTOS]);
}
