//! Stories of what a person is told, and how often.

use crate::daemon::world::tests::*;

/// What was announced since the last time, each with its subject.
fn said(story: &mut Story) -> Vec<String> {
    let said = std::mem::take(&mut story.announced);
    let names = |syncs: &[SyncName]| syncs.iter().map(SyncName::as_str).collect::<Vec<_>>().join("+");
    said.iter()
        .map(|Announcement { subject, matter }| {
            let subject = match subject {
                Subject::Sync(sync) => format!("sync {sync}"),
                Subject::Drive(volume) => format!("drive {volume}"),
                Subject::Damage(sync) => format!("copy of {sync}"),
                Subject::Overdue(volume) => format!("overdue at {volume}"),
            };
            let matter = match matter {
                Matter::Starting { syncs, after } => format!("{} in {} s", names(syncs), after.as_secs()),
                Matter::OnHold => "on hold".to_owned(),
                Matter::Done(deeds) => format!("done {}", names(&deeds.syncs)),
                Matter::SafeToRemove(deeds) => format!("safe {}", names(&deeds.syncs)),
                Matter::Failed(failure) => format!("failed {}", failure.kind.as_str()),
                Matter::NotOpened(_, trouble) => format!("not opened, {trouble}"),
                Matter::Unclean(unclean) => format!("unclean: {}", unclean.why),
                Matter::Unusable(obstacle, sync) => format!("unusable for {sync}: {}", obstacle.code().as_str()),
                Matter::Held(obstacles) => {
                    obstacles.iter().map(|obstacle| obstacle.code().as_str()).collect::<Vec<_>>().join("+")
                }
                Matter::Overdue { syncs, age, fresh_at, .. } => {
                    let age = age.map_or("ever".to_owned(), |age| format!("{} h", age.as_secs() / 3600));
                    let turn = fresh_at.as_ref().map(|volume| format!(", fresh at {volume}")).unwrap_or_default();
                    format!("{} for {age}{turn}", names(syncs))
                }
                Matter::Damaged(files, doubted) => format!("{files} damaged, {doubted} in doubt"),
                Matter::Withdrawn => "withdrawn".to_owned(),
            };
            format!("{subject}: {matter}")
        })
        .collect()
}

fn failed_by(kind: FailureKind) -> Conclusion {
    Conclusion::Failed(Failure { at: Step::Copy, kind, detail: "could not write a".into() })
}

#[test]
fn a_drive_is_told_of_once_for_each_plug_in() {
    let mut story = Story::at_home(&HOUSE.replace("every = \"1h\"", "every = \"1m\""));
    story.plug("usb");
    assert_eq!(said(&mut story), ["drive usb: photos in 10 s"]);
    story.wait(10);
    assert_eq!(said(&mut story), ["drive usb: withdrawn"]);
    story.end("photos", Conclusion::Ok);
    assert_eq!(said(&mut story), ["drive usb: done photos"]);
    for _ in 0..5 {
        story.wait(60);
        story.end("photos", Conclusion::Ok);
    }
    assert!(said(&mut story).is_empty(), "it stays in, and nothing is new");
    story.unplug("usb");
    story.wait(60);
    story.plug("usb");
    assert_eq!(said(&mut story), ["drive usb: photos in 10 s"]);
    story.unplug("usb");
    assert_eq!(said(&mut story), ["drive usb: withdrawn"]);
    // A replug that no look saw go is another plug-in.
    story.plug("usb");
    story.wait(1);
    story.plug("usb");
    assert_eq!(said(&mut story), ["drive usb: photos in 10 s", "drive usb: withdrawn", "drive usb: photos in 10 s"]);
}

#[test]
fn a_drive_that_cannot_be_opened_is_told_of_once_for_each_trouble() {
    let mut story = Story::at_home(OPENED);
    story.devices = vec![block_device("/dev/sdc1", RED, 33, 5, DeviceRole::Container)];
    story.see(&[("red", locked_sight(5))]);
    story.wait(10);
    said(&mut story);
    let red = || "red".parse().unwrap();
    for trouble in [OpeningTrouble::WrongSecret(red()), OpeningTrouble::KeyringLocked(red())] {
        for _ in 0..3 {
            assert_eq!(story.orders(), ["open red for Runs"]);
            story.not_opened("red", trouble.clone());
            // Nothing was copied on it, and that it can be pulled out is not what matters.
            story.closed("red", Left::Safe(Closed::PluggedIn), Closer::Us);
            story.orders();
            story.wait(3600);
        }
        assert_eq!(said(&mut story), [format!("drive red: not opened, {trouble}")]);
    }
    story.orders();
    story.opened("red", present("/media/red", Some(5)));
    assert_eq!(said(&mut story)[0], "drive red: withdrawn");
}

#[test]
fn two_drives_of_one_uuid_are_told_of_once_and_taken_back() {
    let mut story = Story::at_home(HOUSE);
    let twice = |nodes: &[&str]| VolumeSight::Ambiguous { devices: nodes.iter().map(|node| (*node).into()).collect() };
    for _ in 0..3 {
        story.see(&[("usb", twice(&["/dev/sda1", "/dev/sdb1"]))]);
        story.wait(60);
    }
    assert_eq!(said(&mut story), ["drive usb: unusable for onward: duplicate-uuid"]);
    let told = story.notices.iter().filter(|notice| matches!(notice, Notice::Unusable(..))).count();
    assert_eq!(told, 1, "and in the journal");
    // A third one is another story.
    story.see(&[("usb", twice(&["/dev/sda1", "/dev/sdb1", "/dev/sdc1"]))]);
    assert_eq!(said(&mut story).len(), 1);
    story.unplug("usb");
    assert_eq!(said(&mut story), ["drive usb: withdrawn"]);
    story.see(&[("usb", VolumeSight::NotEncrypted { device: "/dev/sda1".into() })]);
    assert_eq!(said(&mut story), ["drive usb: unusable for onward: not-encrypted"]);
    // Nobody is told of what nobody uses.
    let disabled = HOUSE.replace("[syncs.photos]", "[syncs.photos]\nenabled = false");
    let mut story = Story::at_home(&disabled.replace("[syncs.onward]", "[syncs.onward]\nenabled = false"));
    story.see(&[("usb", twice(&["/dev/sda1", "/dev/sdb1"]))]);
    assert!(said(&mut story).is_empty());
}

#[test]
fn a_filesystem_that_should_be_checked_is_told_of_once_until_it_is_clean() {
    let mut story = Story::at_home(&HOUSE.replace("grace = \"10s\"", "grace = \"0s\""));
    let mounted = |medium, why: Option<&str>| {
        let VolumeSight::Present(mut stick) = present("/media/usb", Some(medium)) else { unreachable!() };
        let command = "e2fsck -f /dev/sdb1".to_owned();
        stick.unclean = why.map(|why| Unclean { why: why.to_owned(), command });
        VolumeSight::Present(stick)
    };
    for medium in 1..4 {
        story.see(&[("usb", mounted(medium, Some("it has errors")))]);
        story.unplug("usb");
    }
    assert_eq!(said(&mut story), ["drive usb: unclean: it has errors"]);
    let came = |notice: &&Notice| matches!(notice, Notice::VolumeCame(_, _, Some(_)));
    assert_eq!(story.notices.iter().filter(came).count(), 3, "the journal tells of each time");
    story.see(&[("usb", mounted(5, None))]);
    assert_eq!(said(&mut story), ["drive usb: withdrawn"]);
}

#[test]
fn a_drive_is_done_when_all_of_it_is() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.plug("red");
    assert_eq!(said(&mut story), ["drive usb: photos in 10 s", "drive red: documents+onward in 10 s"]);
    story.wait(10);
    said(&mut story);
    story.end("documents", Conclusion::Ok);
    story.end("photos", Conclusion::Ok);
    assert!(said(&mut story).is_empty(), "`onward` reads the one and writes the other");
    story.end("onward", Conclusion::Ok);
    assert_eq!(said(&mut story), ["drive red: done documents+onward", "drive usb: done photos"]);
}

#[test]
fn without_a_grace_nothing_is_told_of_a_start() {
    let mut story = Story::at_home(&HOUSE.replace("grace = \"10s\"", "grace = \"0s\""));
    story.plug("usb");
    story.wait(2);
    story.end("photos", Conclusion::Ok);
    assert_eq!(said(&mut story), ["drive usb: done photos"]);
}

#[test]
fn a_hold_within_the_grace_is_confirmed_where_the_start_was_told() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(3);
    said(&mut story);
    let (answer, _answered) = oneshot::channel();
    story.tell(Event::Asked(Ask::Hold { volume: "usb".parse().unwrap(), length: None, answer }));
    assert_eq!(said(&mut story), ["drive usb: on hold"]);
    story.wait(60);
    assert!(story.started.is_empty() && said(&mut story).is_empty());
}

#[test]
fn a_failure_is_told_once_and_again_when_its_remedy_changes() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(10);
    said(&mut story);
    for _ in 0..50 {
        story.end("photos", failed());
        story.wait(4000);
    }
    assert_eq!(said(&mut story), ["sync photos: failed io"]);
    for kind in [FailureKind::NoSpace, FailureKind::Io, FailureKind::NoSpace] {
        story.end("photos", failed_by(kind));
        story.wait(4000);
    }
    assert_eq!(said(&mut story), ["sync photos: failed no-space"]);
    story.end("photos", Conclusion::Interrupted(Interruption::Suspend));
    story.wait(4000);
    assert!(said(&mut story).is_empty(), "it goes on by itself");
    story.end("photos", Conclusion::Ok);
    assert_eq!(said(&mut story), ["sync photos: withdrawn", "drive usb: done photos"]);
    story.wait(3600);
    story.end("photos", failed());
    assert_eq!(said(&mut story), ["sync photos: failed io"], "it was well in between");
}

#[test]
fn a_failure_is_told_anew_after_a_replug() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(10);
    story.end("photos", failed());
    story.wait(60);
    said(&mut story);
    story.unplug("usb");
    story.end("photos", failed());
    assert!(said(&mut story).is_empty(), "pulling it out mends nothing");
    story.plug("usb");
    story.wait(10);
    said(&mut story);
    story.end("photos", failed());
    assert_eq!(said(&mut story), ["sync photos: failed io"]);
}

#[test]
fn what_needs_approval_is_told_until_it_has_it() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(10);
    said(&mut story);
    story.end("photos", held());
    assert_eq!(said(&mut story), ["sync photos: held"]);
    story.wait(100_000);
    story.unplug("usb");
    story.plug("usb");
    story.wait(100);
    assert!(said(&mut story).is_empty());
    let (answer, _answered) = oneshot::channel();
    story.tell(Event::Asked(Ask::Approve { sync: name("photos"), answer }));
    assert_eq!(said(&mut story), ["sync photos: withdrawn"]);

    // Hardware that was never used is asked about at each plug-in, and no longer once it is gone.
    let VolumeSight::Present(mut stick) = present("/media/red", Some(90)) else { unreachable!() };
    stick.hardware = Some(Hardware("serial 1234".into()));
    story.see(&[("red", VolumeSight::Present(stick))]);
    let told = said(&mut story);
    assert!(told.contains(&"sync documents: device-unknown".to_owned()), "{told:?}");
    story.unplug("red");
    assert!(said(&mut story).contains(&"sync documents: withdrawn".to_owned()));
}

#[test]
fn what_waits_for_a_person_is_told_again_by_the_next_daemon() {
    let record = RunRecord {
        run: "20261122T110000.000Z-0001".parse().unwrap(),
        sync: name("photos"),
        trigger: Trigger::Drive,
        started: now_at(0).wall,
        finished: now_at(0).wall,
        outcome: Outcome::Held,
        figures: Figures::default(),
        heaviest: Vec::new(),
        snapshot: None,
        error: None,
        warnings: Vec::new(),
    };
    let past = LastRuns { last_run: Some(record), ..LastRuns::default() };
    let mut story = Story::with_past(HOUSE, [(name("photos"), past)].into());
    story.world.decisions.hold_sync(&name("photos"), reason(), now_at(0).wall);
    story.tell(Event::Deadline);
    assert!(said(&mut story).is_empty(), "nothing was looked at yet");
    story.see(&[("laptop", present("/home/a", None)), ("usb", absent()), ("red", absent())]);
    assert_eq!(said(&mut story), ["sync photos: held"]);
    story.tell(Event::Configured(Ok(configuration(&HOUSE.replace("syncs.photos", "syncs.pictures")))));
    assert_eq!(said(&mut story), ["sync photos: withdrawn"]);
}

#[test]
fn what_is_overdue_is_told_together_and_not_while_it_is_made_good() {
    let text = HOUSE.replace("every = \"1h\"", "every = \"1h\"\nmax-age = \"2h\"");
    let ago = |hours| LastRuns {
        last_success: Some(now_at(0).wall - SignedDuration::from_hours(hours)),
        ..LastRuns::default()
    };
    let past = || [(name("photos"), ago(3)), (name("documents"), ago(5)), (name("onward"), ago(4))].into();
    let mut story = Story::with_past(&text, past());
    story.see(&[("laptop", present("/home/a", None)), ("usb", absent()), ("red", absent())]);
    assert_eq!(said(&mut story), ["overdue at red: documents+onward for 5 h", "overdue at usb: photos for 3 h"]);
    story.notices.clear();
    story.wait(80_000);
    assert!(said(&mut story).is_empty());
    story.wait(10_000);
    assert_eq!(said(&mut story), ["overdue at red: documents+onward for 29 h", "overdue at usb: photos for 27 h"]);
    assert_eq!(story.notices.iter().filter(|notice| matches!(notice, Notice::Overdue(_))).count(), 3, "daily");
    story.plug("usb");
    story.wait(10);
    story.end("photos", Conclusion::Ok);
    let told = said(&mut story);
    assert_eq!(told.iter().filter(|said| *said == "overdue at usb: withdrawn").count(), 1, "{told:?}");

    // A drive that is in when the daemon starts is copied to anyway.
    let mut story = Story::with_past(&text, past());
    story.see(&[("laptop", present("/home/a", None)), ("usb", present("/media/usb", Some(1))), ("red", absent())]);
    assert!(!said(&mut story).iter().any(|said| said.starts_with("overdue at usb")));
    story.wait(10);
    story.end("photos", failed());
    let told = said(&mut story);
    assert!(told.contains(&"overdue at usb: photos for 3 h".to_owned()), "{told:?}");
}

#[test]
fn a_member_of_a_group_is_only_due_to_rotate_in_while_another_has_a_fresh_copy() {
    let text = HOUSE.replace("every = \"1h\"", "every = \"1h\"\nmax-age = \"2d\"");
    let text = text.replace("[defaults]", "[groups.offsite]\nvolumes = [\"usb\", \"red\"]\n[defaults]");
    let text = text.replace("\"usb:photos\"\n    [syncs.documents]", "\"offsite:photos\"\n    [syncs.documents]");
    let text = text.split("[syncs.documents]").next().unwrap().to_owned();
    let mut story = Story::at_home(&text);
    story.plug("usb");
    story.wait(10);
    story.end("photos@usb", Conclusion::Ok);
    story.wait(86_400);
    story.end("photos@usb", Conclusion::Ok);
    said(&mut story);
    story.wait(86_400);
    assert_eq!(said(&mut story), ["overdue at red: photos@red for ever, fresh at usb"]);
    story.unplug("usb");
    story.end("photos@usb", Conclusion::Interrupted(Interruption::Network("it went".into())));
    story.wait(2 * 86_400);
    let told = said(&mut story);
    assert!(told.contains(&"overdue at red: photos@red for ever".to_owned()), "{told:?}");
}

#[test]
fn what_was_never_copied_becomes_overdue_whatever_the_daemon_did_meanwhile() {
    let text = HOUSE.replace("every = \"1h\"", "every = \"1h\"\nmax-age = \"2h\"");
    let mut story = Story::new(&text);
    story.see(&[("laptop", present("/home/a", None)), ("usb", absent()), ("red", absent())]);
    story.wait(7100);
    assert!(said(&mut story).is_empty());
    // The next daemon knows since when.
    let ledger = story.world.decisions.ledger().clone();
    let mut story = Story::new(&text);
    story.world.decisions = Decisions::new(ledger);
    story.second = 7100;
    story.see(&[("laptop", present("/home/a", None)), ("usb", absent()), ("red", absent())]);
    assert!(said(&mut story).is_empty());
    story.wait(200);
    assert_eq!(said(&mut story), ["overdue at red: documents+onward for ever", "overdue at usb: photos for ever"]);
}

#[test]
fn what_is_on_no_drive_is_told_when_it_becomes_well() {
    let text = HOUSE.replace("destination = \"usb:photos\"", "destination = \"disk:photos\"")
        + "\n[volumes.disk]\npath = \"/srv\"\n";
    let mut story = Story::new(&text.replace("source = \"usb:photos\"", "source = \"disk:photos\""));
    let disk = present("/srv", None);
    story.see(&[("laptop", present("/home/a", None)), ("disk", disk), ("usb", absent()), ("red", absent())]);
    story.wait(10);
    story.end("photos", Conclusion::Ok);
    assert_eq!(said(&mut story), ["sync photos: done photos"]);
    story.wait(3600);
    story.end("photos", Conclusion::Ok);
    story.wait(3600);
    story.end("photos", failed());
    assert_eq!(said(&mut story), ["sync photos: failed io"]);
    story.wait(100);
    story.end("photos", Conclusion::Ok);
    assert_eq!(said(&mut story), ["sync photos: done photos"]);
}

#[test]
fn safe_to_remove_takes_the_place_of_done() {
    let mut story = Story::at_home(HOUSE);
    story.plug("usb");
    story.wait(10);
    said(&mut story);
    let volume: VolumeName = "usb".parse().unwrap();
    story.world.drives.note_left(&volume, &Left::Safe(Closed::PluggedIn));
    let mut effects = Vec::new();
    story.world.announce(&now_at(11), &mut effects);
    let announced: Vec<_> = effects.iter().filter(|effect| matches!(effect, Effect::Announce(_))).collect();
    let [Effect::Announce(Announcement { subject: Subject::Drive(_), matter: Matter::SafeToRemove(deeds) })] =
        announced.as_slice()
    else {
        panic!("{announced:?}")
    };
    assert_eq!(*deeds, Deeds::default());
    story.end("photos", Conclusion::Ok);
    assert!(said(&mut story).is_empty(), "it would take back that the drive is safe to remove");
    story.unplug("usb");
    assert!(said(&mut story).is_empty(), "nor does its going");
    // A drive that was powered off is gone before anybody can say so.
    let usb: VolumeName = "usb".parse().unwrap();
    story.world.drives.begin_closing(&usb);
    story.tell(Event::Deadline);
    story.world.drives.note_left(&usb, &Left::Safe(Closed::PluggedIn));
    let mut effects = Vec::new();
    story.world.announce(&now_at(12), &mut effects);
    assert!(matches!(effects.as_slice(), [Effect::Announce(Announcement { matter: Matter::SafeToRemove(_), .. })]));
}
