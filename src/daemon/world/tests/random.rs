//! Whatever happens in whatever order, the rules hold.

use crate::daemon::world::tests::*;

/// What can happen in a random story.
#[derive(Debug, Clone)]
enum Happening {
    Plug(bool),
    Unplug(bool),
    Wait(i64),
    End(usize, u8),
    Ask(usize),
    Pause,
    Resume,
    Hold(bool),
    Release(bool),
}

fn any_happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        3 => any::<bool>().prop_map(Happening::Plug),
        2 => any::<bool>().prop_map(Happening::Unplug),
        5 => prop_oneof![0..15i64, 0..4000i64].prop_map(Happening::Wait),
        6 => (0..3usize, 0..5u8).prop_map(|(run, how)| Happening::End(run, how)),
        1 => (0..3usize).prop_map(Happening::Ask),
        1 => Just(Happening::Pause),
        1 => Just(Happening::Resume),
        1 => any::<bool>().prop_map(Happening::Hold),
        1 => any::<bool>().prop_map(Happening::Release),
    ]
}

const SYNCS: [&str; 3] = ["documents", "onward", "photos"];

fn drive(first: bool) -> &'static str {
    if first { "usb" } else { "red" }
}

/// Lets one thing happen, and keeps the ends that requests still owe.
fn happen(story: &mut Story, happening: &Happening, owed: &mut Vec<(usize, mpsc::Receiver<RequestEnd>)>) {
    match happening {
        Happening::Plug(first) => story.plug(drive(*first)),
        Happening::Unplug(first) => story.unplug(drive(*first)),
        Happening::Wait(seconds) => story.wait(*seconds),
        Happening::End(run, how) => {
            let running = story.running();
            let Some(sync) = running.get(*run).cloned() else { return };
            let conclusion = match how {
                0 | 1 => Conclusion::Ok,
                2 => failed(),
                3 => Conclusion::Interrupted(Interruption::DestinationLost("it went away".into())),
                _ => Conclusion::Skipped(vec![Obstacle::LockTaken { path: "/media/lock".into() }]),
            };
            story.end(&sync, conclusion);
        }
        Happening::Ask(sync) => {
            let (accepted, ends) = story.ask_to_run(SYNCS[*sync], Urgency::Asked);
            let queued = accepted.iter().filter(|accepted| accepted.obstacles.is_empty()).count();
            owed.push((queued, ends));
        }
        Happening::Pause | Happening::Resume => {
            let (answer, _answered) = oneshot::channel();
            let pause = matches!(happening, Happening::Pause);
            let length = Some(Duration::from_mins(5));
            let ask = if pause { Ask::Pause { length, answer } } else { Ask::Resume { answer } };
            story.tell(Event::Asked(ask));
        }
        Happening::Hold(first) | Happening::Release(first) => {
            let (answer, _answered) = oneshot::channel();
            let volume = drive(*first).parse().unwrap();
            let hold = matches!(happening, Happening::Hold(_));
            story.tell(Event::Asked(if hold {
                Ask::Hold { volume, length: None, answer }
            } else {
                Ask::Release { volume, answer }
            }));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn whatever_happens_the_rules_hold_and_nothing_is_forgotten(
        happenings in proptest::collection::vec(any_happening(), 1..60), parallel in 1..4usize,
    ) {
        let text = HOUSE.replace("settle = \"2s\"", &format!("settle = \"2s\"\nmax-parallel = {parallel}"));
        let mut story = Story::at_home(&text);
        let mut owed = Vec::new();
        let mut successes: BTreeMap<String, i64> = BTreeMap::new();
        let mut told: BTreeMap<Subject, Matter> = BTreeMap::new();
        for happening in &happenings {
            let (before, paused) = (story.started.len(), story.world.decisions.ledger().pause.is_some());
            let ended = if let Happening::End(run, 0 | 1) = happening { Some(*run) } else { None };
            let ending = ended.and_then(|run| story.running().get(run).cloned());
            happen(&mut story, happening, &mut owed);
            successes.extend(ending.map(|sync| (sync, story.second)));

            if matches!(happening, Happening::Plug(_)) {
                told.clear();
            }
            for Announcement { subject, matter } in std::mem::take(&mut story.announced) {
                let before = told.insert(subject.clone(), matter.clone());
                prop_assert_ne!(before, Some(matter), "{:?} was told the same twice", subject);
            }
            prop_assert!(story.world.runs.iter().count() <= parallel);
            let used: Vec<_> = story.world.runs.iter().flat_map(|(_, run)| run.resources.iter()).collect();
            prop_assert_eq!(used.iter().collect::<BTreeSet<_>>().len(), used.len(), "a drive is used twice");
            if paused && story.world.decisions.ledger().pause.is_some() && !matches!(happening, Happening::Wait(_)) {
                prop_assert_eq!(story.started.len(), before, "a run started in a pause");
            }
            for job in &story.started[before..] {
                for volume in [&job.sync.source.volume, &job.sync.destination.volume] {
                    let held = &story.world.decisions.ledger().holds;
                    prop_assert!(!held.contains_key(volume), "a run started on a held drive");
                }
                let asked = job.trigger == Trigger::Request;
                if let (false, Some(success)) = (asked, successes.get(job.sync.name.as_str())) {
                    let last = story.world.histories.get(&job.sync.name).unwrap().last_run.as_ref().unwrap().outcome;
                    let unfinished = matches!(last, Outcome::Failed | Outcome::Interrupted);
                    let is_due = story.second - success >= 3600;
                    prop_assert!(unfinished || is_due, "sooner than its pace: {:?}", job.trigger);
                }
                if job.sync.name.as_str() == "onward" {
                    prop_assert!(!story.running().contains(&"photos".to_owned()), "it reads what is being written");
                }
            }
        }
        // In the end all is well, and each sync gets its copy without anybody asking for it.
        for ending in [Happening::Resume, Happening::Release(true), Happening::Release(false)] {
            happen(&mut story, &ending, &mut owed);
        }
        story.plug("usb");
        story.plug("red");
        let sound = |story: &Story| SYNCS.iter().all(|sync| story.status_of(sync).freshness == Freshness::Fresh
            && story.status_of(sync).last_run.is_some_and(|run| matches!(run.outcome, Outcome::Ok | Outcome::Skipped)));
        for _ in 0..40 {
            for sync in story.running() {
                story.end(&sync, Conclusion::Ok);
            }
            if sound(&story) && story.world.requests.names().next().is_none() {
                break;
            }
            story.wait(400);
        }
        for sync in SYNCS {
            let status = story.status_of(sync);
            prop_assert!(status.last_success.is_some(), "{sync} was forgotten: {status:?}");
        }
        for (queued, mut ends) in owed {
            let told = std::iter::from_fn(|| ends.try_recv().ok()).count();
            prop_assert_eq!(told, queued, "each accepted request has one end");
        }
    }
}
