//! Stories of copies that are read back by themselves.

use crate::daemon::world::tests::*;

/// One sync to a directory, whose copy is read back once a day, a tenth of it.
const CHECKED: &str = r#"
    [daemon]
    settle = "2s"
    grace = "10s"
    [volumes.laptop]
    path = "/home/a"
    [volumes.disk]
    path = "/mnt/disk"
    [syncs.photos]
    source = "laptop:Photos"
    destination = "disk:photos"
    every = "1h"
    verify = { every = "1d", sample = "10%" }
"#;

fn report(files: u64, damaged: &[&str]) -> CheckReport {
    let damaged =
        damaged.iter().map(|path| DamagedFile { path: path.into(), flaw: Flawed::Altered, snapshots: BTreeSet::new() });
    CheckReport {
        sync: name("photos"),
        snapshot: None,
        newest: None,
        files,
        bytes: files,
        with_source: files,
        with_copies: 0,
        passed_over: 0,
        sound: BTreeSet::new(),
        damaged: damaged.collect(),
        doubtful: vec![],
        settled: BTreeSet::new(),
        remarks: vec![],
    }
}

impl Story {
    /// What is read now, in percent.
    fn checking(&self) -> Option<u8> {
        let under_way = self.world.checking()?;
        self.checks.last().filter(|order| order.seen.sync.name == under_way.sync).map(|order| order.share.as_percent())
    }

    fn check_ends(&mut self, end: CheckEnding) {
        let order = self.checks.last().unwrap();
        let ended = EndedCheck { run: order.run.clone(), sync: order.seen.sync.name.clone(), end };
        self.tell(Event::Check(CheckTelling::Ended(Box::new(ended))));
    }

    fn checked(&mut self, files: u64, damaged: &[&str]) {
        self.check_ends(CheckEnding::Read(Box::new(report(files, damaged))));
    }

    /// The one under way has read so many files, of whatever sync it is.
    fn checked_of(&mut self, files: u64) {
        let sync = self.checks.last().unwrap().seen.sync.name.clone();
        self.check_ends(CheckEnding::Read(Box::new(CheckReport { sync, ..report(files, &[]) })));
    }

    /// The checks that history was told of: how each ended, its files, and how many were damaged.
    fn check_records(&mut self) -> Vec<(Outcome, u64, u64)> {
        let entries = std::mem::take(&mut self.recorded);
        let records = entries.into_iter().filter_map(|entry| match entry {
            Entry::Checked(record) => Some((record.outcome, record.sums.files, record.sums.damaged)),
            Entry::Began { .. } | Entry::Ended(_) | Entry::Forgotten(_) | Entry::Recalled(_) => None,
        });
        records.collect()
    }

    /// A house in which copies were made to a drive that was opened for them; one of them is read back.
    fn copied_to_a_drive_of_ours() -> Self {
        Self::copied_to_a_drive_and_checked(&["photos"], "1h")
    }

    /// The same with a rule for each of these; all run so often.
    fn copied_to_a_drive_and_checked(syncs: &[&str], every: &str) -> Self {
        let with_rule = |text: String, sync: &&str| {
            let destination = format!("destination = \"usb:{sync}\"");
            text.replace(&destination, &format!("{destination}\nverify = {{ every = \"1d\" }}"))
        };
        let checked = syncs.iter().fold(OPENED.replace("1h", every), with_rule);
        let mut story = Self::with_closed_drive(&checked);
        story.wait(10);
        story.opened("usb", present("/media/usb", Some(1)));
        story.orders();
        story.end("documents", Conclusion::Ok);
        story.end("photos", Conclusion::Ok);
        story
    }

    /// A house in which one copy was made.
    fn copied(text: &str) -> Self {
        let mut story = Self::new(text);
        story.see(&[("laptop", present("/home/a", None)), ("disk", present("/mnt/disk", None))]);
        story.wait(2);
        assert_eq!((story.running(), story.checking()), (vec!["photos".to_owned()], None), "there is no copy yet");
        story.end("photos", Conclusion::Ok);
        story
    }
}

#[test]
fn a_copy_is_read_back_in_slices_once_nothing_is_to_be_copied() {
    let mut story = Story::copied(CHECKED);
    assert_eq!(story.checking(), Some(5));
    let first = story.checks[0].turn;
    story.wait(60);
    story.checked(7, &[]);
    assert_eq!((story.checking(), story.checks[1].turn), (Some(5), (first + 5) % 100), "the next slice follows");
    assert!(story.check_records().is_empty(), "the round is not over");
    story.checked(4, &[]);
    assert_eq!((story.checking(), story.check_records()), (None, vec![(Outcome::Ok, 11, 0)]));
    assert!(story.status_of("photos").last_verified.is_some());
    // The next round comes a day later, whatever is copied in between.
    for _ in 0..23 {
        story.wait(3600);
        story.end("photos", Conclusion::Ok);
        assert_eq!(story.checking(), None);
    }
    story.wait(3600);
    assert_eq!((story.running(), story.checking()), (vec!["photos".to_owned()], None), "the copy comes first");
    story.end("photos", Conclusion::Ok);
    assert_eq!((story.checking(), story.checks[2].turn), (Some(5), (first + 10) % 100));
}

#[test]
fn a_copy_that_is_due_stops_a_check_at_once_and_the_round_goes_on_behind_it() {
    let mut story = Story::copied(CHECKED);
    assert_eq!(story.checking(), Some(5));
    story.wait(3600);
    assert_eq!((story.running(), story.checks_stopped), (vec!["photos".to_owned()], 1));
    story.check_ends(CheckEnding::Stopped);
    assert_eq!((story.checking(), story.checks.len()), (None, 1), "nothing is read while it copies");
    story.end("photos", Conclusion::Ok);
    assert_eq!(story.checking(), Some(1), "less at a time, since there was no time for more");
    story.checked(1, &[]);
    assert_eq!(story.checking(), Some(5));
    story.checked(1, &[]);
    assert_eq!(story.checking(), Some(4), "a tenth in all");
    story.checked(1, &[]);
    assert_eq!((story.checking(), story.check_records()), (None, vec![(Outcome::Ok, 3, 0)]));
}

#[test]
fn what_a_person_and_the_conditions_say_counts_for_checks_too() {
    let conditional = CHECKED.replace("every = \"1h\"", "every = \"30d\"\nwhen = { battery = \"50%\" }");
    let mut story = Story::copied(&conditional);
    assert_eq!(story.checking(), Some(5));
    story.tell(Event::Power(PowerSight::Battery(Some(40))));
    assert_eq!(story.checks_stopped, 1);
    story.check_ends(CheckEnding::Stopped);
    assert_eq!(story.checking(), None);
    story.tell(Event::Power(PowerSight::Mains));
    assert_eq!(story.checking(), Some(1));
    let (answer, mut quiet) = oneshot::channel();
    story.tell(Event::Asked(Ask::Hold { volume: "disk".parse().unwrap(), length: None, answer }));
    assert_eq!(story.checks_stopped, 2);
    assert!(quiet.try_recv().is_err(), "it is read until the check has ended");
    story.check_ends(CheckEnding::Stopped);
    assert_eq!(quiet.try_recv().unwrap(), Ok(()));
    let (answer, _) = oneshot::channel();
    story.tell(Event::Asked(Ask::Release { volume: "disk".parse().unwrap(), answer }));
    assert_eq!(story.checking(), Some(1));
    let (answer, _) = oneshot::channel();
    story.tell(Event::Asked(Ask::Pause { length: None, answer }));
    assert_eq!(story.checks_stopped, 3);
    story.check_ends(CheckEnding::Stopped);
    let (answer, _) = oneshot::channel();
    story.tell(Event::Asked(Ask::Resume { answer }));
    // Who cancels it has it rest.
    let (answer, mut cancelled) = oneshot::channel();
    story.tell(Event::Asked(Ask::Cancel { syncs: vec![name("photos")], answer }));
    assert_eq!((cancelled.try_recv().unwrap(), story.checks_stopped), (Ok(vec![name("photos")]), 4));
    story.check_ends(CheckEnding::Stopped);
    assert_eq!(story.checking(), None);
    story.wait(6 * 3600 - 1);
    assert_eq!(story.checking(), None);
    story.wait(1);
    assert_eq!(story.checking(), Some(1));
}

#[test]
fn damage_is_told_at_once_and_a_check_that_cannot_be_made_is_tried_again_later() {
    let mut story = Story::copied(&CHECKED.replace("every = \"1h\"", "every = \"30d\""));
    story.checked(5, &["a", "b"]);
    assert_eq!(story.status_of("photos").damaged, 2);
    assert!(story.notices.iter().any(|notice| matches!(notice, Notice::Damaged(_, files) if files.len() == 2)));
    let told = |story: &mut Story| {
        let said = std::mem::take(&mut story.announced);
        said.into_iter()
            .filter(|it| it.subject == Subject::Damage(name("photos")))
            .map(|it| it.matter)
            .collect::<Vec<_>>()
    };
    assert_eq!(told(&mut story), [Matter::Damaged(2, 0)]);
    story.checked(5, &["a"]);
    assert_eq!((told(&mut story), story.check_records()), (vec![], vec![(Outcome::Failed, 10, 3)]));
    // The next run writes them anew, and that is the end of it.
    let _ends = story.ask_to_run("photos", Urgency::Asked);
    let run = story.world.runs.get(&name("photos")).unwrap().id.clone();
    let mended = ["a".into(), "b".into()].into();
    let report = RunReport { mended, ..RunReport::bare(run, name("photos"), Conclusion::Ok) };
    story.tell(Event::News(WorkerNews::Ended(Box::new(report))));
    assert_eq!((told(&mut story), story.status_of("photos").damaged), (vec![Matter::Withdrawn], 0));

    story.wait(86_400);
    for (wait, tries) in [(3600, 1), (2 * 3600, 2), (4 * 3600, 3)] {
        assert_eq!(story.checking(), Some(5), "{tries}");
        story.check_ends(CheckEnding::Failed("the server said no".into()));
        assert_eq!(story.checking(), None);
        assert_eq!(story.check_records().len(), usize::from(tries == 1), "the same is told once");
        story.wait(wait);
    }
}

#[test]
fn a_drive_of_ours_stays_open_for_checks_and_not_for_ever() {
    let mut story = Story::copied_to_a_drive_of_ours();
    assert_eq!((story.orders(), story.checking()), (vec![], Some(5)));
    for _ in 0..3 {
        story.wait(500);
        story.checked(1, &[]);
    }
    assert_eq!((story.orders(), story.checking()), (vec![], Some(5)));
    story.wait(300);
    assert_eq!((story.orders(), story.checks_stopped), (vec![], 1), "it is read still");
    story.check_ends(CheckEnding::Stopped);
    assert_eq!((story.orders(), story.checking()), (vec!["close usb: PowerOff".to_owned()], None));
}

#[test]
fn the_checks_of_all_syncs_of_a_drive_keep_it_open_no_longer_than_those_of_one() {
    let mut story = Story::copied_to_a_drive_and_checked(&["photos", "documents"], "1h");
    let mut turns = Vec::new();
    for _ in 0..17 {
        turns.push(story.checks.last().unwrap().seen.sync.name.to_string());
        story.wait(100);
        story.checked_of(1);
        assert_eq!(story.orders(), Vec::<String>::new());
    }
    let of_photos = turns.iter().filter(|sync| *sync == "photos").count();
    assert!((8..=9).contains(&of_photos), "each has its turn: {turns:?}");
    story.wait(100);
    assert_eq!((story.orders(), story.checks_stopped), (vec![], 1));
    story.check_ends(CheckEnding::Stopped);
    assert_eq!((story.orders(), story.checking()), (vec!["close usb: PowerOff".to_owned()], None), "all rest");
}

#[test]
fn a_drive_that_could_not_be_closed_is_not_kept_open_for_ever_either() {
    let mut story = Story::copied_to_a_drive_and_checked(&["photos"], "30d");
    while story.checking().is_some() {
        story.checked(1, &[]);
    }
    assert_eq!(story.orders(), ["close usb: PowerOff"]);
    story.closed("usb", Left::Stuck("busy".into()), Closer::Us);
    story.wait(86_400);
    // However often it was tried meanwhile, it stays stuck, and its copies are due again.
    while story.orders().contains(&"close usb: PowerOff".to_owned()) {
        story.closed("usb", Left::Stuck("busy".into()), Closer::Us);
    }
    let before = story.checks.len();
    for _ in 0..4 {
        assert!(story.checking().is_some());
        story.wait(500);
        if story.checks_stopped > 0 {
            story.check_ends(CheckEnding::Stopped);
        } else {
            story.checked(1, &[]);
        }
    }
    assert_eq!((story.orders(), story.checks.len() - before), (vec!["close usb: PowerOff".to_owned()], 3));
}

#[test]
fn what_was_compared_with_nothing_proves_nothing() {
    let mut story = Story::copied(CHECKED);
    let alone = CheckReport { with_source: 0, ..report(5, &[]) };
    for _ in 0..2 {
        story.check_ends(CheckEnding::Read(Box::new(alone.clone())));
    }
    assert_eq!((story.checking(), story.check_records()), (None, vec![(Outcome::Skipped, 10, 0)]));
    assert_eq!(story.status_of("photos").last_verified, None);
}

#[test]
fn a_source_that_is_not_what_its_copies_hold_is_told_of_until_a_round_finds_it_to_be() {
    let mut story = Story::copied(&CHECKED.replace("every = \"1h\"", "every = \"30d\""));
    let matters = |story: &mut Story| {
        let said = std::mem::take(&mut story.announced).into_iter();
        said.filter(|it| it.subject == Subject::Damage(name("photos"))).map(|it| it.matter).collect::<Vec<_>>()
    };
    let doubted = CheckReport { doubtful: vec!["a".into()], ..report(5, &[]) };
    story.check_ends(CheckEnding::Read(Box::new(doubted)));
    assert_eq!(matters(&mut story), [Matter::Damaged(0, 1)]);
    assert!(story.notices.iter().any(|notice| matches!(notice, Notice::SourceDoubted(_, files) if files.len() == 1)));
    story.checked(5, &[]);
    assert_eq!((matters(&mut story), story.check_records()), (vec![], vec![(Outcome::Failed, 10, 0)]));
    assert_eq!((story.status_of("photos").doubted, story.status_of("photos").last_verified), (1, None));
    // Rounds that read other files know nothing of this one, and no restart forgets it.
    story.wait(86_400);
    story.checked(5, &["b"]);
    story.checked(5, &[]);
    assert_eq!(matters(&mut story), [Matter::Damaged(1, 1)]);
    assert_eq!(story.world.decisions.ledger().damaged[&name("photos")].doubted.len(), 1);
    let _ends = story.ask_to_run("photos", Urgency::Asked);
    let run = story.world.runs.get(&name("photos")).unwrap().id.clone();
    let ended = RunReport { mended: ["b".into()].into(), ..RunReport::bare(run, name("photos"), Conclusion::Ok) };
    story.tell(Event::News(WorkerNews::Ended(Box::new(ended))));
    assert_eq!(matters(&mut story), [Matter::Damaged(0, 1)], "no more is damaged: what is said changes");
    story.wait(86_400);
    let settled = CheckReport { settled: ["a".into()].into(), ..report(5, &[]) };
    story.check_ends(CheckEnding::Read(Box::new(settled)));
    assert_eq!((matters(&mut story), story.status_of("photos").doubted), (vec![Matter::Withdrawn], 0));
}

#[test]
fn a_drive_that_is_open_for_checks_is_read_before_what_lies_elsewhere() {
    let rule = "verify = { every = \"1d\" }";
    let text = OPENED
        .replace("destination = \"usb:documents\"", &format!("destination = \"disk:documents\"\n{rule}"))
        .replace("destination = \"usb:photos\"", &format!("destination = \"usb:photos\"\n{rule}"))
        .replace("every = \"1h\"", "every = \"30d\"");
    let mut story = Story::with_closed_drive(&format!("{text}\n[volumes.disk]\npath = \"/mnt/disk\""));
    story.see(&[("usb", closed_sight(1)), ("disk", present("/mnt/disk", None))]);
    story.wait(10);
    story.opened("usb", present("/media/usb", Some(1)));
    story.end("documents", Conclusion::Ok);
    story.wait(10);
    assert_eq!(std::mem::take(&mut story.checks_stopped), 1);
    story.check_ends(CheckEnding::Stopped);
    story.end("photos", Conclusion::Ok);
    story.orders();
    let mut turns = Vec::new();
    for _ in 0..30 {
        turns.push(story.checks.last().unwrap().seen.sync.name.to_string());
        story.wait(100);
        if story.checks_stopped > 0 {
            break;
        }
        assert_eq!(story.orders(), Vec::<String>::new(), "{turns:?}");
        story.checked_of(1);
    }
    assert!(turns.len() >= 17, "{turns:?}");
    story.check_ends(CheckEnding::Stopped);
    assert_eq!(story.orders(), ["close usb: PowerOff"]);
    let of_disk = turns.iter().filter(|sync| *sync == "documents").count();
    assert!(of_disk <= 1, "{turns:?}");
    assert_eq!(story.checks.last().unwrap().seen.sync.name, name("documents"), "then it is its turn");
}

#[test]
fn who_does_not_stop_keeps_no_drive_open() {
    let mut story = Story::copied_to_a_drive_of_ours();
    let (answer, _told) = oneshot::channel();
    story.tell(Event::Asked(Ask::Unmount { volume: "usb".parse().unwrap(), then: WhenDone::Unmount, answer }));
    story.wait(14);
    assert_eq!((story.orders(), story.checks_stopped), (vec![], 1));
    story.wait(2);
    assert_eq!(story.orders(), ["close usb: Unmount"]);
    story.wait(100_000);
    assert_eq!(story.checks.len(), 1, "one at a time");
}

#[test]
fn where_nothing_was_said_nothing_is_read_back() {
    let unsaid = Story::copied(&CHECKED.replace("verify =", "#"));
    assert_eq!((unsaid.checking(), unsaid.checks.len()), (None, 0));
}
