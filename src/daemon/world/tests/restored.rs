//! Stories of restores into a source: what copies it waits until all has come back.

use crate::daemon::world::tests::*;

const PHOTOS: &str = "/home/a/Photos";

/// The daemon is told that this command begins, which brings an entry of a copy to a place.
fn begun(story: &mut Story, (command, place): (&str, &str), origin: &str, syncs: &[&str]) -> Result<(), Refusal> {
    let syncs = syncs.iter().map(|sync| name(sync)).collect();
    let since = now_at(story.second).wall;
    let key = RestoreKey { place: place.into(), command: command.into() };
    let restore = UnfinishedRestore { since, origin: Some(origin.into()), syncs };
    let (answer, mut answered) = oneshot::channel();
    story.tell(Event::Asked(Ask::RestoreBegins { key, restore, answer }));
    answered.try_recv().unwrap()
}

fn ended(story: &mut Story, (command, place): (&str, &str), origin: &str, ending: RestoreEnding) {
    let key = RestoreKey { place: place.into(), command: command.into() };
    let (answer, mut answered) = oneshot::channel();
    story.tell(Event::Asked(Ask::RestoreEnds { key, origin: Some(origin.into()), ending, answer }));
    answered.try_recv().unwrap();
}

/// Where it is brought in its place, the copy has it at the same path.
fn begins(story: &mut Story, place: &str, syncs: &[&str]) {
    begun(story, (&format!("nbkpctl restore {place}"), place), &format!("copy{place}"), syncs).unwrap();
}

fn ends(story: &mut Story, place: &str, ending: RestoreEnding) {
    ended(story, (&format!("nbkpctl restore {place}"), place), &format!("copy{place}"), ending);
}

fn approve(story: &mut Story, sync: &str) -> Vec<String> {
    let (answer, mut answered) = oneshot::channel();
    story.tell(Event::Asked(Ask::Approve { sync: name(sync), answer }));
    answered.try_recv().unwrap().unwrap()
}

fn places(story: &Story) -> Vec<&str> {
    story.world.decisions.ledger().restores.keys().map(|key| key.place.to_str().unwrap()).collect()
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

#[test]
fn one_that_comes_back_whole_takes_only_its_own_with_it() {
    let mut story = copied();
    let (old, new, part) = ("nbkpctl restore --at 2020", "nbkpctl restore", "/home/a/Photos/2020");
    let commands = |story: &Story| -> Vec<String> {
        story.world.decisions.ledger().restores.keys().map(|key| key.command.clone()).collect()
    };
    // Two copies to one place, each cut short.
    for (command, origin) in [(old, "photos/2020"), (new, "photos/2026")] {
        begun(&mut story, (command, PHOTOS), origin, &["photos"]).unwrap();
        ended(&mut story, (command, PHOTOS), origin, RestoreEnding::Cut);
    }
    begun(&mut story, (new, PHOTOS), "photos/2026", &["photos"]).unwrap();
    ended(&mut story, (new, PHOTOS), "photos/2026", RestoreEnding::Whole);
    assert_eq!(commands(&story), [old], "what another copy has may be less");
    // The same entries of the same copy by whichever words, and a part of these.
    for (command, place, origin) in [("a", part, "photos/2020/2020"), ("b", part, "photos/2020/2019")] {
        begun(&mut story, (command, place), origin, &["photos"]).unwrap();
        ended(&mut story, (command, place), origin, RestoreEnding::Cut);
    }
    begun(&mut story, ("c", PHOTOS), "photos/2020", &["photos"]).unwrap();
    ended(&mut story, ("c", PHOTOS), "photos/2020", RestoreEnding::Whole);
    assert_eq!(commands(&story), ["b"], "another entry came there");
    // What came of two copies is whole by its own command alone.
    begun(&mut story, ("b", part), "other/2019", &["photos"]).unwrap();
    ended(&mut story, ("b", part), "other/2019", RestoreEnding::Cut);
    begun(&mut story, ("d", part), "other/2019", &["photos"]).unwrap();
    ended(&mut story, ("d", part), "other/2019", RestoreEnding::Whole);
    assert_eq!(commands(&story), ["b"]);
    begun(&mut story, ("b", part), "third/2019", &["photos"]).unwrap();
    ended(&mut story, ("b", part), "third/2019", RestoreEnding::Whole);
    assert!(commands(&story).is_empty());
    // A person's word is about the place, however often it was begun.
    for command in ["a", "b"] {
        begun(&mut story, (command, PHOTOS), command, &["photos"]).unwrap();
        ended(&mut story, (command, PHOTOS), command, RestoreEnding::Cut);
    }
    assert_eq!(approve(&mut story, "photos").len(), 1);
    assert!(commands(&story).is_empty());
}

#[test]
fn none_begins_under_a_run_that_would_take_what_is_half_there() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(10);
    assert_eq!(story.running(), ["photos"]);
    let command = ("nbkpctl restore", PHOTOS);
    let Err(Refusal::Failed(why)) = begun(&mut story, command, "copy", &["documents", "photos"]) else {
        panic!("it began")
    };
    assert!(why.contains("`photos` is copying from there") && why.contains("nbkpctl cancel photos"), "{why}");
    assert!(places(&story).is_empty());
    story.end("photos", Conclusion::Ok);
    begun(&mut story, command, "copy", &["documents", "photos"]).unwrap();
}
