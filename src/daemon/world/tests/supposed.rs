//! What is only supposed: the forecast is what happens when it really does, and nothing happens by it.

use super::server_drives::{ATTIC, open_there};
use super::servers::{at_home, elsewhere};
use super::*;

impl Story {
    fn forecast(&self, what: &Supposition) -> Result<Forecast, Refusal> {
        self.world.forecast(what, &now_at(self.second))
    }

    /// Each sync with what would become of it.
    fn fates(&self, what: &Supposition) -> Vec<(String, Consequence)> {
        let forecast = self.forecast(what).unwrap();
        forecast.syncs.into_iter().map(|foreseen| (foreseen.sync.to_string(), foreseen.fate)).collect()
    }

    fn fate_of(&self, sync: &str, what: &Supposition) -> Foreseen {
        let all = self.forecast(what).unwrap().syncs;
        all.into_iter().find(|foreseen| foreseen.sync == name(sync)).unwrap()
    }
}

fn plug(volume: &str) -> Supposition {
    Supposition::Plug(volume.parse().unwrap())
}

fn unplug(volume: &str) -> Supposition {
    Supposition::Unplug(volume.parse().unwrap())
}

fn named(list: &[(&str, Consequence)]) -> Vec<(String, Consequence)> {
    list.iter().map(|(sync, fate)| ((*sync).to_owned(), *fate)).collect()
}

#[test]
fn a_plug_in_is_foreseen_as_it_comes_and_brings_nothing_about() {
    let mut story = Story::at_home(HOUSE);
    let before = format!("{:?}", story.world.status(&now_at(story.second)));
    let foreseen = story.fate_of("photos", &plug("usb"));
    assert_eq!((foreseen.fate, foreseen.after), (Consequence::Starts, Some(Duration::from_secs(10))), "{foreseen:?}");
    let onward = story.fate_of("onward", &plug("usb"));
    assert_eq!((onward.fate, onward.reasons), (Consequence::Stays, vec!["drive `red` is not plugged in".to_owned()]));
    let assumed = story.forecast(&plug("usb")).unwrap().assumed;
    assert_eq!(assumed, ["`usb` is mounted, and holds what `nbkpctl prepare` made there"]);
    assert_eq!(format!("{:?}", story.world.status(&now_at(story.second))), before, "nothing came of it");
    story.wait(1000);
    assert!(story.started.is_empty());

    story.plug("usb");
    story.wait(9);
    assert!(story.started.is_empty());
    // What waits for its turn is foreseen with what comes, in its order.
    let expected =
        [("documents", Consequence::Starts), ("photos", Consequence::Starts), ("onward", Consequence::Starts)];
    assert_eq!(story.fates(&plug("red")), named(&expected));
    story.wait(1);
    assert_eq!(story.running(), ["photos"]);
    let expected =
        [("photos", Consequence::Interrupted), ("documents", Consequence::Stays), ("onward", Consequence::Stays)];
    assert_eq!(story.fates(&unplug("usb")), named(&expected));
    assert!(story.fate_of("photos", &unplug("usb")).reasons[0].contains("went away"));
    let expected =
        [("photos", Consequence::Interrupted), ("documents", Consequence::Stays), ("onward", Consequence::Stays)];
    assert_eq!(story.fates(&Supposition::Sleep), named(&expected));
    assert_eq!(story.fate_of("photos", &Supposition::Leave).fate, Consequence::GoesOn);
    assert!(story.stopped.is_empty(), "nothing was stopped");
    story.end("photos", Conclusion::Ok);
    story.unplug("usb");
    let why = story.fate_of("photos", &plug("usb")).reasons;
    assert!(why[0].starts_with("no copy is due before 2026-11-22 "), "{why:?}");
}

#[test]
fn what_cannot_happen_is_refused() {
    let mut story = Story::new(HOUSE);
    let refused = |story: &Story, what| match story.forecast(&what) {
        Err(Refusal::Failed(why)) => why,
        other => panic!("{other:?}"),
    };
    assert!(refused(&story, Supposition::Sleep).contains("has not looked around yet"));
    story.see(&[("laptop", present("/home/a", None)), ("usb", absent()), ("red", absent())]);
    let drives = ["red", "usb"].map(|name| name.parse().unwrap()).to_vec();
    for what in [plug("laptop"), unplug("laptop")] {
        assert_eq!(story.forecast(&what), Err(Refusal::NoDrive("laptop".parse().unwrap(), drives.clone())));
    }
    assert!(refused(&story, unplug("usb")).contains("is not plugged in"));
    story.plug("usb");
    assert!(refused(&story, plug("usb")).contains("is plugged in already"));
    assert!(refused(&story, Supposition::Metered).contains("has not seen the network yet"));
    let unknown = Refusal::UnknownLocation("home".parse().unwrap(), Vec::new());
    assert_eq!(story.forecast(&Supposition::Join("home".parse().unwrap())), Err(unknown));
    let unknown = Refusal::UnknownVolume("ubs".parse().unwrap(), vec!["usb".parse().unwrap()]);
    assert_eq!(story.forecast(&plug("ubs")), Err(unknown));
}

#[test]
fn a_drive_that_is_opened_for_its_runs_needs_no_mount() {
    let story = Story::at_home(OPENED);
    for (volume, sync) in [("usb", "photos"), ("red", "secrets")] {
        let foreseen = story.fate_of(sync, &plug(volume));
        assert_eq!(
            (foreseen.fate, foreseen.after),
            (Consequence::Starts, Some(Duration::from_secs(10))),
            "{foreseen:?}"
        );
    }
    assert!(story.drives.is_empty(), "no drive is opened for it");
}

#[test]
fn a_drive_that_is_pulled_out_of_a_server_ends_its_runs_too() {
    let office = "[locations.office]\nsubnets = [\"10.1.0.0/16\"]\n";
    let mut story = Story::with_attic(&format!("{ATTIC}\n{office}"));
    story.wait(10);
    story.attic_opened();
    story.server_tells(&open_there(1));
    assert_eq!(story.running(), ["documents"]);
    for (location, fate) in [("office", Consequence::Interrupted), ("home", Consequence::GoesOn)] {
        let join = Supposition::Join(location.parse().unwrap());
        assert_eq!(story.fate_of("documents", &join).fate, fate, "{location}");
    }
    let told = |story: &Story, sync| {
        let foreseen = story.fate_of(sync, &unplug("attic"));
        (foreseen.fate, foreseen.reasons.join("; "))
    };
    let lost = "the destination went away: drive `attic` was pulled out of `nas.local`".to_owned();
    assert_eq!(told(&story, "documents"), (Consequence::Interrupted, lost));
    let waits = "drive `attic` is not plugged into `nas.local`".to_owned();
    assert_eq!(told(&story, "photos"), (Consequence::Stays, waits));
    assert_eq!(story.fate_of("documents", &Supposition::Metered).fate, Consequence::GoesOn);
    assert!(story.stopped.is_empty(), "nothing was stopped");
    // What was told to stop does not go on, whatever else happens.
    let (answer, _answered) = oneshot::channel();
    story.tell(Event::Asked(Ask::Cancel { syncs: vec![name("documents")], answer }));
    let cancelled = story.fate_of("documents", &Supposition::Metered);
    assert_eq!((cancelled.fate, cancelled.reasons), (Consequence::Interrupted, vec!["cancelled".to_owned()]));
    story.end("documents", Conclusion::Interrupted(Interruption::Cancelled));

    story.tell(Event::RoutesChanged(ChangeExtent::Outside));
    story.server_is_silent();
    for what in [unplug("attic"), plug("attic")] {
        let refused = story.forecast(&what);
        let is_told =
            matches!(&refused, Err(Refusal::Failed(why)) if why.contains("server of `attic` is out of reach"));
        assert!(is_told, "{refused:?}");
    }
}

#[test]
fn networks_are_joined_left_and_paid_for_in_the_mind() {
    let home = || Supposition::Join("home".parse().unwrap());
    let mut story = Story::travelling(elsewhere());
    story.asked.clear();
    let foreseen = story.fate_of("photos", &home());
    assert_eq!(foreseen.fate, Consequence::Starts, "a question that is under way is not waited for: {foreseen:?}");
    assert!(story.asked.is_empty(), "no server is asked");
    assert!(story.running().is_empty());

    let mut story = Story::travelling(at_home());
    story.reaches("nas");
    assert_eq!(story.fate_of("photos", &Supposition::Leave).fate, Consequence::Stays);
    let why = story.fate_of("photos", &Supposition::Metered);
    assert_eq!(why.fate, Consequence::Stays);
    assert!(why.reasons[0].contains("is metered (eth0)"), "{why:?}");
    assert_eq!(story.fate_of("photos", &Supposition::Unmetered).fate, Consequence::Starts);
    story.wait(5);
    assert_eq!(story.running(), ["photos"]);
    let why = story.fate_of("photos", &Supposition::Leave);
    assert_eq!((why.fate, why.reasons.len()), (Consequence::Interrupted, 1), "{why:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever came before: the drive that is plugged in then starts what was foreseen, and nothing else.
    #[test]
    fn what_is_foreseen_of_a_plug_in_is_what_starts(
        steps in proptest::collection::vec((0..5_u8, 1..4000_i64), 0..12), of_red in any::<bool>(),
    ) {
        let mut story = Story::at_home(HOUSE);
        for (step, seconds) in steps {
            match step {
                0 => story.plug("usb"),
                1 => story.unplug("usb"),
                2 => story.plug("red"),
                3 => story.unplug("red"),
                _ => {}
            }
            story.wait(seconds);
            if let Some(sync) = story.running().first().cloned() {
                story.end(&sync, if seconds % 3 == 0 { failed() } else { Conclusion::Ok });
            }
        }
        while let Some(sync) = story.running().first().cloned() {
            story.end(&sync, Conclusion::Ok);
        }
        let volume = if of_red { "red" } else { "usb" };
        story.unplug(volume);
        let forecast = story.forecast(&plug(volume)).unwrap();
        let starts = forecast.syncs.iter().filter(|foreseen| foreseen.fate == Consequence::Starts);
        let foreseen: Vec<_> = starts.map(|foreseen| foreseen.sync.clone()).collect();
        let soonest = forecast.syncs.iter().filter_map(|foreseen| foreseen.after).min();
        let before = story.started.len();
        story.plug(volume);
        let starts_at = story.world.status(&now_at(story.second)).syncs.into_iter().filter_map(|sync| sync.starts_at);
        let wait = |at: Timestamp| at.duration_since(now_at(story.second).wall).unsigned_abs();
        prop_assert_eq!(soonest, starts_at.map(wait).min());
        let queued = story.world.status(&now_at(story.second)).queue;
        let started = story.started[before..].iter().map(|job| job.sync.name.clone());
        let real: Vec<_> = started.chain(queued).collect();
        prop_assert_eq!(foreseen, real);
    }
}
