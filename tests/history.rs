//! The history on a real disk: bounded, and alive after kills, damage and a file that cannot be used.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "a test starts programs and watches the clock, and fails by panicking"
)]

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot, watch};

use nbkp::daemon::messages::event::Record;
use nbkp::daemon::outlets::keeper::{self, HistoryQuestion, KeeperQuestion};
use nbkp::model::{Figures, HeavyDirectory, Ledger, Outcome, Pause, RunRecord, SyncName, Trigger};
use nbkp::os::history::{Entry, HistoryStore, RUNS, RUNS_A_SYNC};
use nbkp::os::state_dir;

/// The moment of every test.
fn now() -> Timestamp {
    "2026-11-22T17:30:00Z".parse().unwrap()
}

fn at(second: u32) -> Timestamp {
    now() + Duration::from_secs(u64::from(second))
}

fn record(number: u32, sync: &str, outcome: Outcome) -> RunRecord {
    RunRecord {
        run: format!("run-{number}").parse().unwrap(),
        sync: sync.parse().unwrap(),
        // A skipped run is remembered only if somebody asked for it.
        trigger: if outcome == Outcome::Skipped { Trigger::Request } else { Trigger::Drive },
        started: at(number),
        finished: at(number + 1),
        outcome,
        figures: Figures { files_transferred: 3, bytes_transferred: 4096, entries: 9, ..Figures::default() },
        heaviest: vec![HeavyDirectory { directory: "a b/c".into(), bytes: 4000 }],
        snapshot: Some("2026-11-22T17:30:00.000Z".parse().unwrap()),
        error: (outcome != Outcome::Ok).then(|| "why".to_owned()),
        warnings: vec!["one".into(), "two".into()],
    }
}

fn ended(record: RunRecord) -> Entry {
    Entry::Ended(Box::new(record))
}

fn began(number: u32, sync: &str) -> Entry {
    Entry::Began {
        run: format!("run-{number}").parse().unwrap(),
        sync: sync.parse().unwrap(),
        trigger: Trigger::Schedule,
        started: at(number),
    }
}

fn sync(name: &str) -> SyncName {
    name.parse().unwrap()
}

fn open(state_dir: &Path) -> HistoryStore {
    HistoryStore::open(state_dir, now()).unwrap()
}

/// The ids of the newest runs.
fn runs(state_dir: &Path, asked: Option<&str>, limit: usize) -> Vec<String> {
    let told = open(state_dir).recent(asked.map(sync).as_ref(), limit).unwrap();
    told.iter().map(|record| record.run.to_string()).collect()
}

#[test]
fn what_is_recorded_is_told_newest_first_though_the_clock_steps_back() {
    let root = tempfile::tempdir().unwrap();
    let mut history = open(root.path());
    let outcomes = [Outcome::Ok, Outcome::Held, Outcome::Failed, Outcome::Interrupted, Outcome::Skipped];
    // Each starts before the one that was recorded before it.
    let records: Vec<RunRecord> =
        (0_u32..).zip(outcomes).map(|(number, outcome)| record(90 - number, "documents", outcome)).collect();
    for record in &records {
        history.write(&[ended(record.clone())]).unwrap();
    }
    history.write(&[ended(record(200, "photos@blue", Outcome::Ok))]).unwrap();
    let told = history.recent(Some(&sync("documents")), 10).unwrap();
    assert_eq!(told, records.iter().rev().cloned().collect::<Vec<_>>());
    assert_eq!(runs(root.path(), None, 2), ["run-200", "run-86"]);
    assert_eq!(runs(root.path(), Some("photos"), 9), ["run-200"], "the name that copies share means all of them");
    assert!(runs(root.path(), Some("photo"), 9).is_empty());
    assert_eq!(fs::metadata(root.path().join("history.db")).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn what_is_forgotten_was_never_there() {
    let root = tempfile::tempdir().unwrap();
    let mut history = open(root.path());
    history.write(&[ended(record(1, "a", Outcome::Held)), began(2, "a")]).unwrap();
    history.write(&[Entry::Forgotten(record(2, "a", Outcome::Held).run)]).unwrap();
    assert_eq!(history.close_unfinished().unwrap(), [], "it was not cut short");
    assert_eq!(runs(root.path(), None, 9), ["run-1"]);
}

#[test]
fn a_name_is_never_taken_for_a_pattern() {
    let root = tempfile::tempdir().unwrap();
    let names = ["a_b@x", "axb@x", "A_B@x", "a_b", "a_bc@x"];
    let entries: Vec<Entry> =
        (0_u32..).zip(names).map(|(number, name)| ended(record(number, name, Outcome::Ok))).collect();
    open(root.path()).write(&entries).unwrap();
    assert_eq!(runs(root.path(), Some("a_b"), 9), ["run-3", "run-0"]);
}

#[test]
fn the_past_tells_what_decisions_need() {
    let root = tempfile::tempdir().unwrap();
    let mut history = open(root.path());
    let entries = [
        ended(record(91, "a", Outcome::Failed)),
        ended(record(92, "a", Outcome::Ok)),
        // The clock was set back an hour after that.
        ended(record(3, "a", Outcome::Failed)),
        ended(record(4, "a", Outcome::Interrupted)),
        ended(record(5, "a", Outcome::Failed)),
        ended(record(6, "a", Outcome::Skipped)),
        ended(record(7, "b", Outcome::Failed)),
        began(8, "c"),
    ];
    history.write(&entries).unwrap();
    let past = history.past().unwrap();
    assert_eq!(past.keys().map(SyncName::as_str).collect::<Vec<_>>(), ["a", "b"]);
    let a = &past[&sync("a")];
    let last = a.last_run.as_ref().unwrap();
    assert_eq!((last.run.as_str(), a.last_success, a.failures), ("run-5", Some(at(93)), 2));
    let b = &past[&sync("b")];
    assert_eq!((b.last_success, b.failures), (None, 1));
}

#[test]
fn runs_that_were_killed_are_closed_once() {
    let root = tempfile::tempdir().unwrap();
    let mut history = open(root.path());
    history.write(&[began(1, "a"), ended(record(1, "a", Outcome::Ok)), began(2, "a")]).unwrap();
    assert_eq!(history.recent(None, 9).unwrap().len(), 1, "one that has not ended is not told");
    let closed = history.close_unfinished().unwrap();
    assert_eq!((closed.len(), closed[0].run.as_str(), closed[0].outcome), (1, "run-2", Outcome::Interrupted));
    assert_eq!(closed[0].started, closed[0].finished, "nobody knows how long it took");
    assert_eq!(history.close_unfinished().unwrap(), []);
    let told = history.recent(None, 9).unwrap();
    assert_eq!((told[0].run.as_str(), told[0].outcome, told.len()), ("run-2", Outcome::Interrupted, 2));
    assert_eq!(told[0], closed[0]);
    assert_eq!(history.past().unwrap()[&sync("a")].failures, 0, "it is no failure");
    // One that ended after all, under the eyes of nobody, is corrected.
    history.write(&[ended(record(2, "a", Outcome::Ok))]).unwrap();
    assert_eq!(history.recent(None, 9).unwrap()[0].outcome, Outcome::Ok);
    assert_eq!(history.recent(None, 9).unwrap().len(), 2);
}

#[test]
fn it_stays_within_its_bounds_and_keeps_the_last_success() {
    let root = tempfile::tempdir().unwrap();
    let mut history = open(root.path());
    let outcome = |number| if number == 5 { Outcome::Ok } else { Outcome::Failed };
    let entries: Vec<Entry> = (0..1_200).map(|number| ended(record(number, "a", outcome(number)))).collect();
    history.write(&entries).unwrap();
    let told = history.recent(None, 5_000).unwrap();
    assert_eq!(u32::try_from(told.len()).unwrap(), RUNS_A_SYNC + 1);
    assert_eq!((told[0].run.as_str(), told.last().unwrap().run.as_str()), ("run-1199", "run-5"));
    let past = history.past().unwrap();
    assert_eq!((past[&sync("a")].last_success, past[&sync("a")].failures), (Some(at(6)), RUNS_A_SYNC));
    // Of many syncs the bound of all is the lower one.
    let many = |number: u32| ended(record(number, &format!("sync-{}", number % 60), Outcome::Failed));
    let entries: Vec<Entry> = (2_000..2_000 + RUNS + 3_000).map(many).collect();
    history.write(&entries).unwrap();
    let told = history.recent(None, usize::MAX).unwrap();
    assert_eq!(u32::try_from(told.len()).unwrap(), RUNS + 1);
    assert_eq!(told.last().unwrap().run.as_str(), "run-5", "the last success of `a`");
}

#[test]
fn sums_by_day_stay_of_what_is_forgotten_and_none_is_counted_twice() {
    let root = tempfile::tempdir().unwrap();
    let mut history = open(root.path());
    let outcomes = [Outcome::Ok, Outcome::Failed, Outcome::Interrupted, Outcome::Held, Outcome::Skipped];
    let mut records: Vec<RunRecord> = (0..2_500_u32)
        .map(|number| {
            let at = now() + Duration::from_hours(number.into());
            let outcome = outcomes[usize::try_from(number).unwrap() % outcomes.len()];
            RunRecord { started: at, finished: at + Duration::from_secs(5), ..record(number, "a@x", outcome) }
        })
        .collect();
    // A log on a drive may tell anything.
    for record in &mut records[..2] {
        record.figures.bytes_transferred = u64::MAX;
    }
    records[5].figures = Figures { size: 77, ..Figures::default() };
    records[10].figures = Figures { unreadable: 2, ..Figures::default() };
    for some in records.chunks(300) {
        history.write(&some.iter().cloned().map(ended).collect::<Vec<_>>()).unwrap();
    }
    let mut whole = nbkp::model::Days::new();
    nbkp::model::add_runs(&mut whole, &records, &jiff::tz::TimeZone::UTC);
    let mut told = history.days(Some(&sync("a"))).unwrap();
    assert!(history.days(Some(&sync("b"))).unwrap().is_empty());
    let forgotten: u64 = told[&sync("a@x")].values().map(nbkp::model::DaySum::runs).sum();
    let kept = history.recent(None, usize::MAX).unwrap();
    assert_eq!(forgotten + u64::try_from(kept.len()).unwrap(), 2_500);
    nbkp::model::add_runs(&mut told, &kept, &jiff::tz::TimeZone::UTC);
    // Except for what no sum can hold, both ways come to the same.
    for days in [&mut whole, &mut told] {
        let first = days.get_mut(&sync("a@x")).unwrap().values_mut().next().unwrap();
        assert!(first.bytes > 1 << 50, "{first:?}");
        first.bytes = 0;
    }
    assert_eq!(told, whole);
    assert_eq!(whole[&sync("a@x")].values().map(|day| day.partial).sum::<u64>(), 1);
    assert_eq!((whole[&sync("a@x")].values().next().unwrap().size, history.put_aside), (77, None));
}

/// A history of 200 runs, the last of which is `run-199`.
fn filled(state_dir: &Path) {
    let entries: Vec<Entry> = (0..200).map(|number| ended(record(number, "a", Outcome::Ok))).collect();
    open(state_dir).write(&entries).unwrap();
}

#[test]
fn the_first_version_is_read_for_ever() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/history-1.sql");
    let sample = fs::read_to_string(sample).unwrap();
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("history.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch(&sample).unwrap();
    // Whoever only looks sees the same, before and behind whatever carries it over.
    let expected = [record(4, "b", Outcome::Held), record(2, "a", Outcome::Failed), record(0, "a", Outcome::Ok)]
        .map(|record| RunRecord { heaviest: Vec::new(), ..record });
    let looked = || HistoryStore::look(root.path()).unwrap().recent(None, 9).unwrap();
    assert_eq!(looked(), expected);
    let mut history = open(root.path());
    assert_eq!((history.recent(None, 9).unwrap(), &history.put_aside), (expected.to_vec(), &None));
    assert_eq!(history.past().unwrap()[&sync("a")].failures, 1);
    assert_eq!(history.close_unfinished().unwrap().len(), 1);
    history.write(&[ended(record(9, "a", Outcome::Ok))]).unwrap();
    assert_eq!(history.put_aside, None);
    assert_eq!(runs(root.path(), None, 9), ["run-9", "run-5", "run-4", "run-2", "run-0"]);
    assert_eq!(looked().len(), 5);
}

#[test]
fn the_days_of_the_second_version_are_read_for_ever() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/history-2.sql");
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("history.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch(&fs::read_to_string(sample).unwrap()).unwrap();
    let day = "2026-09-04".parse().unwrap();
    let looked = HistoryStore::look(root.path()).unwrap().days(None).unwrap();
    let mut history = open(root.path());
    let kept = history.days(None).unwrap();
    assert_eq!((looked, &history.put_aside), (kept.clone(), &None));
    let sum = kept[&sync("a")][&day];
    assert_eq!((sum.ok, sum.unchanged, sum.partial, sum.failed, sum.bytes), (7, 2, 0, 1, 12_345));
}

#[test]
fn damage_and_newer_versions_are_put_aside() {
    type Spoil = fn(&Path);
    let spoil: [(&str, Spoil); 8] = [
        ("not a database", |path| fs::write(path, "not a database, but long enough to look at".repeat(50)).unwrap()),
        ("a damaged header", |path| File::options().write(true).open(path).unwrap().write_all(&[b'x'; 16]).unwrap()),
        ("a damaged list of tables", |path| {
            File::options().write(true).open(path).unwrap().write_all_at(&[0xff; 200], 100).unwrap();
        }),
        ("damaged pages", |path| {
            File::options().write(true).open(path).unwrap().write_all_at(&vec![0xff; 40_960], 4_096).unwrap();
        }),
        ("half a page", |path| {
            let file = File::options().write(true).open(path).unwrap();
            file.set_len(file.metadata().unwrap().len() - 2_000).unwrap();
        }),
        ("a newer version", |path| {
            rusqlite::Connection::open(path).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
        }),
        ("another column", |path| {
            rusqlite::Connection::open(path).unwrap().execute_batch("ALTER TABLE runs DROP COLUMN warnings").unwrap();
        }),
        ("somebody else's", |path| {
            let other = "DROP TABLE runs; CREATE TABLE theirs (x); PRAGMA user_version = 0";
            rusqlite::Connection::open(path).unwrap().execute_batch(other).unwrap();
        }),
    ];
    for (what, spoil) in spoil {
        let root = tempfile::tempdir().unwrap();
        filled(root.path());
        let path = root.path().join("history.db");
        spoil(&path);
        let spoilt = fs::read(&path).unwrap();
        let mut history = open(root.path());
        history.write(&[ended(record(900, "a", Outcome::Ok))]).unwrap();
        let aside = history.put_aside.unwrap_or_else(|| panic!("{what} was not put aside"));
        assert_eq!(aside, root.path().join(format!("history.db.broken-{}", now().as_second())));
        assert_eq!(fs::read(aside).unwrap(), spoilt, "{what}: kept as it was");
        let mut history = open(root.path());
        assert_eq!((history.recent(None, 9).unwrap().len(), &history.put_aside), (1, &None), "{what}");
    }
}

#[test]
fn damage_at_any_place_never_stops_a_record() {
    let root = tempfile::tempdir().unwrap();
    filled(root.path());
    let path = root.path().join("history.db");
    let whole = fs::read(&path).unwrap();
    let still_records = |what: &str| {
        open(root.path()).write(&[ended(record(900, "a", Outcome::Ok))]).unwrap();
        assert_eq!(runs(root.path(), None, 1), ["run-900"], "{what}");
    };
    for length in (0..whole.len()).step_by(3_001) {
        fs::write(&path, &whole[..length]).unwrap();
        still_records(&format!("cut at {length}"));
    }
    for place in (0..whole.len()).step_by(1_023) {
        let mut damaged = whole.clone();
        let end = (place + 64).min(whole.len());
        damaged[place..end].fill(0xa5);
        fs::write(&path, damaged).unwrap();
        still_records(&format!("damaged at {place}"));
    }
}

#[test]
fn a_link_in_its_place_is_not_followed() {
    let root = tempfile::tempdir().unwrap();
    let theirs = root.path().join("theirs");
    fs::write(&theirs, "").unwrap();
    symlink(&theirs, root.path().join("history.db")).unwrap();
    let error = HistoryStore::open(root.path(), now()).unwrap_err();
    assert!(error.to_string().contains("history.db"), "{error}");
    assert_eq!(fs::read(theirs).unwrap(), b"");
}

/// Ends a child that a test started, whatever happens.
struct Writer(Child);

impl Drop for Writer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Not a test by itself: the process that the next test kills while it writes.
#[test]
fn writes_until_it_is_killed() {
    let Some(state_dir) = std::env::var_os("NBKP_TEST_HISTORY") else { return };
    let mut history = open(Path::new(&state_dir));
    let told = Path::new(&state_dir).join("told");
    let mut told = File::options().append(true).create(true).open(told).unwrap();
    for number in 0.. {
        let entries = [began(number, "a"), ended(record(number, "a", Outcome::Ok)), began(number + 1, "a")];
        history.write(&entries).unwrap();
        // A byte for each record that is safe by its word.
        told.write_all(b".").unwrap();
    }
}

#[test]
fn what_a_destination_remembers_comes_before_what_is_known() {
    let root = tempfile::tempdir().unwrap();
    let mut history = open(root.path());
    history.write(&[began(9, "a")]).unwrap();
    let recalled = [record(1, "a", Outcome::Ok), record(2, "a", Outcome::Failed), record(9, "a", Outcome::Ok)];
    history.write(&[Entry::Recalled(recalled.to_vec()), ended(record(9, "a", Outcome::Failed))]).unwrap();
    let told: Vec<_> = history.recent(None, 9).unwrap();
    let runs: Vec<_> = told.iter().map(|record| (record.run.as_str(), record.outcome)).collect();
    assert_eq!(runs, [("run-9", Outcome::Failed), ("run-2", Outcome::Failed), ("run-1", Outcome::Ok)]);
    let past = history.past().unwrap();
    let past = past.values().next().unwrap();
    assert_eq!(past.last_success, Some(record(1, "a", Outcome::Ok).finished));
    // Once more adds nothing.
    history.write(&[Entry::Recalled(recalled.to_vec())]).unwrap();
    assert_eq!(history.recent(None, 9).unwrap().len(), 3);
}

#[test]
fn kills_at_any_moment_lose_no_record_and_leave_none_by_half() {
    for round in 0..20_u64 {
        let root = tempfile::tempdir().unwrap();
        let told = || fs::metadata(root.path().join("told")).map_or(0, |told| told.len());
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "writes_until_it_is_killed"]).env("NBKP_TEST_HISTORY", root.path());
        let mut writer = Writer(command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
        let start = Instant::now();
        while told() < 3 {
            assert!(start.elapsed() < Duration::from_secs(30), "the writer writes nothing");
            assert!(writer.0.try_wait().unwrap().is_none(), "the writer ended by itself");
            std::thread::yield_now();
        }
        // Another moment of a record in each round.
        let seen = start.elapsed();
        while start.elapsed() < seen + Duration::from_micros(round * 173) {}
        writer.0.kill().unwrap();
        writer.0.wait().unwrap();
        let mut history = open(root.path());
        let kept = u64::try_from(history.recent(None, 100_000).unwrap().len()).unwrap();
        assert!(kept == told() || kept == told() + 1, "round {round}: {kept} records, {} told", told());
        assert_eq!(history.close_unfinished().unwrap().len(), 1, "round {round}: the one that had begun");
        assert_eq!(history.put_aside, None, "round {round}: a kill is no damage");
    }
}

/// A keeper, and the ends of its channels.
struct Keeping {
    orders: mpsc::Sender<Record>,
    questions: mpsc::Sender<KeeperQuestion>,
    trouble: watch::Receiver<Option<String>>,
    task: tokio::task::JoinHandle<()>,
}

impl Keeping {
    fn start(state_dir: &Path) -> Self {
        let (orders, ordered) = mpsc::channel(16);
        let (questions, asked) = mpsc::channel(16);
        let (told, trouble) = watch::channel(None);
        let task = tokio::spawn(keeper::keep_records(state_dir.to_owned(), ordered, asked, told));
        Self { orders, questions, trouble, task }
    }

    async fn keep(&self, order: Record) {
        self.orders.send(order).await.unwrap();
    }

    async fn told(&self) -> Result<Vec<String>, String> {
        let (answer, answered) = oneshot::channel();
        self.questions.send(KeeperQuestion::Runs(HistoryQuestion { sync: None, limit: 9, answer })).await.unwrap();
        let told = answered.await.unwrap()?;
        Ok(told.iter().map(|record| record.run.to_string()).collect())
    }

    /// Whether all that was decided is on the disk.
    async fn has_kept(&self) -> Result<(), String> {
        let (answer, answered) = oneshot::channel();
        self.questions.send(KeeperQuestion::Kept(answer)).await.unwrap();
        answered.await.unwrap()
    }

    /// The trouble, once it is or is no more.
    async fn trouble(&mut self, wanted: fn(&Option<String>) -> bool) -> Option<String> {
        let found = self.trouble.wait_for(wanted);
        tokio::time::timeout(Duration::from_secs(30), found).await.unwrap().unwrap().clone()
    }
}

#[tokio::test]
async fn what_cannot_be_written_is_remembered_shown_and_written_later() {
    let root = tempfile::tempdir().unwrap();
    // Root may write anywhere, but not into a directory as if it were a file.
    let path = root.path().join("history.db");
    fs::create_dir(&path).unwrap();
    let mut keeping = Keeping::start(root.path());
    assert!(keeping.told().await.unwrap_err().contains("history.db"));
    keeping.keep(Record::Run(Entry::Ended(Box::new(record(1, "a", Outcome::Ok))))).await;
    let trouble = keeping.trouble(Option::is_some).await.unwrap();
    assert!(trouble.contains("history.db") && trouble.contains("remembered in memory"), "{trouble}");
    assert_eq!(keeping.told().await.unwrap(), ["run-1"]);
    // What people decided is written all the same.
    let ledger = Ledger { holds: [("usb".parse().unwrap(), Pause::UntilResumed)].into(), ..Ledger::default() };
    keeping.keep(Record::Ledger(Box::new(ledger))).await;
    let start = Instant::now();
    while !root.path().join("ledger.json").exists() {
        assert!(start.elapsed() < Duration::from_secs(30), "the ledger is not written");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    fs::remove_dir(&path).unwrap();
    keeping.keep(Record::Run(Entry::Ended(Box::new(record(2, "a", Outcome::Ok))))).await;
    assert_eq!(keeping.trouble(Option::is_none).await, None);
    assert_eq!(keeping.told().await.unwrap(), ["run-2", "run-1"]);
    assert_eq!(runs(root.path(), None, 9), ["run-2", "run-1"]);
}

#[tokio::test]
async fn what_is_decided_is_kept_when_that_is_said() {
    let root = tempfile::tempdir().unwrap();
    let keeping = Keeping::start(root.path());
    assert_eq!(keeping.has_kept().await, Ok(()), "nothing is yet to be kept");
    let holding =
        |volume: &str| Ledger { holds: [(volume.parse().unwrap(), Pause::UntilResumed)].into(), ..Ledger::default() };
    for volume in ["usb", "red"] {
        keeping.keep(Record::Ledger(Box::new(holding(volume)))).await;
        assert_eq!(keeping.has_kept().await, Ok(()));
        assert_eq!(state_dir::read_ledger(root.path()).unwrap(), holding(volume));
    }
    // Nothing can take the place of a directory that holds something.
    fs::remove_file(root.path().join("ledger.json")).unwrap();
    fs::create_dir_all(root.path().join("ledger.json/x")).unwrap();
    keeping.keep(Record::Ledger(Box::new(holding("usb")))).await;
    let why = keeping.has_kept().await.unwrap_err();
    assert!(why.contains("what was decided"), "{why}");
    assert!(keeping.has_kept().await.is_err(), "it is still not kept");
    fs::remove_dir_all(root.path().join("ledger.json")).unwrap();
    assert_eq!(keeping.has_kept().await, Ok(()));
    assert_eq!(state_dir::read_ledger(root.path()).unwrap(), holding("usb"));
}

#[tokio::test]
async fn a_history_that_breaks_meanwhile_is_begun_anew_and_that_is_told() {
    let root = tempfile::tempdir().unwrap();
    filled(root.path());
    let mut keeping = Keeping::start(root.path());
    assert_eq!(keeping.told().await.unwrap()[0], "run-199");
    fs::write(root.path().join("history.db"), "nonsense ".repeat(1_000)).unwrap();
    keeping.keep(Record::Run(Entry::Ended(Box::new(record(900, "a", Outcome::Ok))))).await;
    let trouble = keeping.trouble(Option::is_some).await.unwrap();
    assert!(trouble.contains("history.db.broken-"), "{trouble}");
    assert_eq!(keeping.told().await.unwrap(), ["run-900"]);
    // Also where it is a question that finds the damage.
    keeping.keep(Record::Run(Entry::Ended(Box::new(record(901, "a", Outcome::Ok))))).await;
    keeping.trouble(Option::is_none).await;
    fs::write(root.path().join("history.db"), "nonsense ".repeat(1_000)).unwrap();
    assert!(keeping.told().await.unwrap().is_empty());
    keeping.trouble(Option::is_some).await;
}

#[tokio::test]
async fn what_is_left_is_written_at_the_end() {
    let root = tempfile::tempdir().unwrap();
    let Keeping { orders, questions, trouble: _trouble, task } = Keeping::start(root.path());
    for number in 0..10 {
        orders.send(Record::Run(Entry::Ended(Box::new(record(number, "a", Outcome::Ok))))).await.unwrap();
    }
    drop(orders);
    // Somebody may still want to ask.
    tokio::time::timeout(Duration::from_secs(30), task).await.unwrap().unwrap();
    drop(questions);
    assert_eq!(runs(root.path(), None, 99).len(), 10);
}

/// SQLite would wait for somebody to write into it, and the daemon with it.
#[test]
fn a_pipe_is_put_aside() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("history.db");
    assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());
    let history = HistoryStore::open(root.path(), now()).unwrap();
    assert!(history.put_aside.is_some() && file.is_file());
}
