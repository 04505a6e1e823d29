//! The figures that the program is to reach, taken side by side with the bare commands; `tests/bench/run.sh` prints
//! them.
//!
//! They depend on the machine and on who else uses it, so no test asserts them.

#[path = "measure.rs"]
mod measure;
#[path = "restores.rs"]
mod restores;
#[path = "servers.rs"]
mod servers;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use measure::{ExecEar, Table, bare_listener, median, memory, milliseconds, processor_time, threads, wall};
use nbkp::model::{Figures, Outcome, RunRecord, Trigger};
use nbkp::os::history::{Entry, HistoryStore};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::process::Signal;

use crate::common::daemon::{Daemon, Wrapping};
use crate::common::drive::Drive;
use crate::common::drive::Filesystem::{Btrfs, Ext4};
use crate::common::folder::{Folder, noise};
use crate::common::harness::FIGURES;
use crate::common::mini_host::{MiniHost, array};
use crate::common::{run, until};

/// How much is measured.
struct Effort {
    /// How often ours and theirs are measured, one after the other.
    pairs: usize,
    /// How long nothing happens.
    idle: Duration,
    /// How many files there are where nothing is to do.
    files: u32,
    /// How big the big file is, in MiB.
    big: usize,
}

/// Prints the whole table.
pub fn all(host: &MiniHost) {
    let quick = std::env::var(FIGURES).is_ok_and(|value| value == "quick");
    let effort = if quick {
        Effort { pairs: 3, idle: Duration::from_secs(10), files: 20_000, big: 256 }
    } else {
        Effort { pairs: 7, idle: Duration::from_mins(1), files: 100_000, big: 1024 }
    };
    let table = Table::begin();
    start_and_status(host, &effort, &table);
    evaluation(host, &table);
    event_to_exec(host, &effort, &table);
    one_tiny_sync(host, &effort, &table);
    many_tiny_syncs(host, &effort, &table);
    nothing_to_do(host, &effort, &table);
    a_small_edit_in_a_big_file(host, &effort, &table);
    a_burst_of_mounts(host, &table);
    a_report(host, &effort, &table);
    servers::address_to_question(host, &effort, &table);
    servers::nothing_to_do_there(host, &effort, &table);
    restores::versions_of_a_file(host, &effort, &table);
    restores::many_files_back(host, &effort, &table);
    restores::names_in_a_copy(host, &effort, &table);
    restores::a_copy_read_back(host, &effort, &table);
    idle(host, &effort, &table);
    table.end();
}

/// The page of twenty syncs that ran every hour for three years.
fn a_report(host: &MiniHost, effort: &Effort, table: &Table) {
    let mut syncs = String::new();
    let mut history = HistoryStore::open(&host.state(), Timestamp::now()).unwrap();
    let began = Timestamp::now() - SignedDuration::from_hours(3 * 365 * 24);
    for number in 0..20 {
        host.source(&format!("s{number}"));
        let place = format!("source = \"laptop:s{number}\"\ndestination = \"laptop:copies/{number}\"");
        writeln!(syncs, "[syncs.s{number}]\n{place}").unwrap();
        for days in (0..3 * 365).step_by(30) {
            let hours = days * 24..(days + 30).min(3 * 365) * 24;
            let runs = hours.map(|hour| hourly(&format!("s{number}"), began, hour));
            history.write(&runs.collect::<Vec<_>>()).unwrap();
        }
    }
    host.configure(&host.config().also(&syncs));
    let daemon = host.start();
    let page = host.root.join("page.html");
    let write = || drop(host.ctl(&["report", "-o", page.to_str().unwrap()]).exits(0));
    let took = (0..effort.pairs).map(|_| milliseconds(wall(write)));
    table.figure("report of 20 syncs, hourly for 3 years", "ms", median(took.collect()), 1000.0);
    let size = std::fs::metadata(&page).unwrap().len();
    table.figure("the same, its size", "kB", f64::from(u32::try_from(size / 1000).unwrap()), 2000.0);
    daemon.stop();
    std::fs::remove_dir_all(host.state()).unwrap();
}

fn hourly(sync: &str, began: Timestamp, hour: i64) -> Entry {
    let started = began + SignedDuration::from_hours(hour);
    let outcome = if hour % 50 == 7 { Outcome::Failed } else { Outcome::Ok };
    Entry::Ended(Box::new(RunRecord {
        run: format!("{sync}-{hour}").parse().unwrap(),
        sync: sync.parse().unwrap(),
        trigger: Trigger::Schedule,
        started,
        finished: started + SignedDuration::from_secs(20 + hour % 60),
        outcome,
        figures: Figures { files_transferred: 9, bytes_transferred: 9 << 20, size: 9 << 30, ..Figures::default() },
        heaviest: Vec::new(),
        snapshot: None,
        error: (outcome != Outcome::Ok).then(|| "the drive is full; make room on it".to_owned()),
        warnings: Vec::new(),
    }))
}

/// A thousand syncs to a drive that is not there.
fn thousand(host: &MiniHost) -> String {
    let mut lines = "[volumes.absent]\ndrive = \"99999999-9999-4999-8999-999999999999\"\n".to_owned();
    for number in 0..1000 {
        host.source(&format!("s{number:03}"));
        let source = format!("source = \"laptop:s{number:03}\"");
        writeln!(lines, "[syncs.s{number:03}]\n{source}\ndestination = \"absent:s{number:03}\"").unwrap();
    }
    lines
}

fn start_and_status(host: &MiniHost, effort: &Effort, table: &Table) {
    host.configure(&host.config().also(&thousand(host)));
    let starts = (0..effort.pairs).map(|_| {
        let began = Instant::now();
        let daemon = host.launch("nbkpd", &Wrapping::Plain);
        daemon.wait_until_ready();
        let took = milliseconds(began.elapsed());
        daemon.stop();
        took
    });
    table.figure("start to READY with 1,000 syncs", "ms", median(starts.collect()), 40.0);
    host.source("documents");
    host.configure(&host.config().also("[syncs.one]\nsource = \"laptop:documents\"\ndestination = \"laptop:copy\""));
    let daemon = host.start();
    let asks = (0..effort.pairs * 5).map(|_| milliseconds(wall(|| drop(host.ctl(&["status"]).exits(0)))));
    table.figure("nbkpctl status", "ms", median(asks.collect()), 5.0);
    daemon.stop();
}

fn evaluation(host: &MiniHost, table: &Table) {
    host.configure(&host.config().also(&thousand(host)));
    let daemon = host.start();
    let pid = daemon.pid().as_raw_nonzero().to_string();
    host.ctl(&["scan"]).exits(0);
    let before = processor_time(&pid);
    for _ in 0..50 {
        host.ctl(&["scan", "-q"]).exits(0);
    }
    let each = milliseconds(processor_time(&pid).saturating_sub(before)) / 50.0;
    table.figure("evaluating 1,000 syncs from nothing, CPU (with its answer)", "ms", each, 20.0);

    let point = host.root.join("event");
    std::fs::create_dir(&point).unwrap();
    let before = processor_time(&pid);
    for _ in 0..100 {
        mount("tmpfs", &point, "tmpfs", MountFlags::empty(), None).unwrap();
        // Long enough for a look of its own; the time that is counted is the processor's.
        std::thread::sleep(Duration::from_millis(120));
        unmount(&point, UnmountFlags::DETACH).unwrap();
        std::thread::sleep(Duration::from_millis(120));
    }
    let each = milliseconds(processor_time(&pid).saturating_sub(before)) / 200.0;
    table.figure("evaluating 1,000 syncs after one event, CPU", "ms", each, 2.0);
    daemon.stop();
}

fn own_rsync(host: &MiniHost) -> PathBuf {
    own_program(host, "rsync")
}

/// A copy of a program of our own, so that nobody else's is heard.
fn own_program(host: &MiniHost, name: &str) -> PathBuf {
    let program = host.root.join("bin").join(name);
    if !program.exists() {
        std::fs::create_dir_all(program.parent().unwrap()).unwrap();
        let system = run("sh", &[&"-c", &format!("command -v {name}")]);
        std::fs::copy(system, &program).unwrap();
    }
    program
}

/// What anybody would write instead of a sync.
fn bare(rsync: &Path, source: &Path, destination: &Path) -> Command {
    let mut command = Command::new(rsync);
    command.env_clear().env("LC_ALL", "C").stdin(Stdio::null());
    command.args(["-a", "--delete-delay", "--partial-dir=.rsync-partial", "--modify-window=-1"]);
    // Without `--delete-excluded`, what is left out is not deleted either: the sentinels stay.
    command.arg("--exclude=.nbkp*").arg("--").arg(source.join("")).arg(destination.join(""));
    command
}

fn event_to_exec(host: &MiniHost, effort: &Effort, table: &Table) {
    let rsync = own_rsync(host);
    let source = host.source("documents");
    source.fill(3);
    let mut usb = host.drive("usb", Ext4).prepared_plainly_for("documents");
    let config = host.config().drive(&usb).also(&thousand(host));
    host.configure(&config.sync("documents", "usb", "none", "every = \"0s\""));
    let daemon = host.start();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for pair in 0..effort.pairs {
        usb.attach();
        host.stopped_by("documents", "destination-not-mounted");
        let ear = ExecEar::at(&rsync);
        let moment = Instant::now();
        usb.mount_at_once();
        ours.push(milliseconds(ear.since(moment)));
        host.run_ends("documents", pair + 1, "ok");
        usb.unplug();

        // The daemon sleeps through the turn of the other.
        host.stopped_by("documents", "destination-volume-absent");
        daemon.signal(Signal::STOP);
        usb.attach();
        theirs.push(their_turn(&rsync, &source, &usb));
        usb.unplug();
        daemon.signal(Signal::CONT);
    }
    table.difference("mount to exec of rsync, 1,000 syncs", "ms", median(ours), median(theirs), 1.0);
    daemon.stop();
}

fn their_turn(rsync: &Path, source: &Folder, usb: &Drive) -> f64 {
    let ear = ExecEar::at(rsync);
    let (ready, is_ready) = std::sync::mpsc::sync_channel(1);
    let mut copy = bare(rsync, &source.path, &usb.point().join("documents"));
    std::thread::scope(|scope| {
        scope.spawn(|| bare_listener(usb.point(), &mut copy, &ready));
        is_ready.recv().unwrap();
        // The listener says ready before it waits; give it the moment until it does.
        std::thread::sleep(Duration::from_millis(20));
        let moment = Instant::now();
        usb.mount_at_once();
        milliseconds(ear.since(moment))
    })
}

/// A sync from one directory to another, each a volume, without snapshots.
fn directory_sync(host: &MiniHost, name: &str, files: u32) -> (Folder, PathBuf, String) {
    let source = host.source(name);
    source.fill(files);
    let destination = host.root.join("copies").join(name);
    std::fs::create_dir_all(&destination).unwrap();
    std::fs::write(source.path.join(".nbkp-vol"), "").unwrap();
    std::fs::write(destination.join(".nbkp-vol"), "").unwrap();
    std::fs::write(destination.join(".nbkp-dst"), "").unwrap();
    let volumes = format!(
        "[volumes.from-{name}]\npath = \"{}\"\n[volumes.to-{name}]\npath = \"{}\"",
        source.path.display(),
        destination.display()
    );
    let sync = format!("[syncs.{name}]\nsource = \"from-{name}\"\ndestination = \"to-{name}\"\nevery = \"52w\"\n");
    (source, destination, format!("{volumes}\n{sync}"))
}

fn one_tiny_sync(host: &MiniHost, effort: &Effort, table: &Table) {
    const BATCH: usize = 40;
    let rsync = own_rsync(host);
    let (source, destination, lines) = directory_sync(host, "tiny", 3);
    host.configure(&host.config().also(&lines));
    let daemon = host.start();
    let pid = daemon.pid().as_raw_nonzero().to_string();
    host.run_ends("tiny", 1, "ok");
    let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..effort.pairs {
        let used = || processor_time(&pid) + processor_time("self");
        let before = used();
        for _ in 0..BATCH {
            host.ctl(&["run", "tiny", "--wait", "-q"]).exits(0);
        }
        let our = milliseconds(used().saturating_sub(before)) / 40.0;
        let before = processor_time("self");
        for _ in 0..BATCH {
            assert!(bare(&rsync, &source.path, &destination).status().unwrap().success());
        }
        let their = milliseconds(processor_time("self").saturating_sub(before)) / 40.0;
        ours.push(our);
        theirs.push(their);
        ratios.push(our / their);
    }
    let reference = median(theirs);
    table.ratio("one tiny sync through a warm daemon, CPU", "ms", median(ratios) * reference, reference, 1.25);
    daemon.stop();
}

fn many_tiny_syncs(host: &MiniHost, effort: &Effort, table: &Table) {
    let rsync = own_rsync(host);
    let syncs: Vec<_> = (0..100).map(|number| directory_sync(host, &format!("many{number}"), 3)).collect();
    let lines: Vec<&str> = syncs.iter().map(|(_, _, lines)| lines.as_str()).collect();
    let config = host.config().with("[daemon]\n", "[daemon]\nmax-parallel = 16\n").also(&lines.join("\n"));
    host.configure(&config);
    let daemon = host.start();
    until("all have run once", || array(&host.status()["syncs"]).iter().all(|sync| sync["freshness"] == "fresh"));
    let (mut theirs, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..effort.pairs {
        let our = wall(|| drop(host.ctl(&["run", "--wait", "-q"]).exits(0)));
        let their = wall(|| {
            for (source, destination, _) in &syncs {
                assert!(bare(&rsync, &source.path, destination).status().unwrap().success());
            }
        });
        theirs.push(milliseconds(their));
        ratios.push(milliseconds(our) / milliseconds(their));
    }
    let reference = median(theirs);
    table.ratio("100 tiny syncs, 16 at a time, wall", "ms", median(ratios) * reference, reference, 0.2);
    daemon.stop();
}

fn nothing_to_do(host: &MiniHost, effort: &Effort, table: &Table) {
    let rsync = own_rsync(host);
    let (source, destination, lines) = directory_sync(host, "large", effort.files);
    host.configure(&host.config().also(&lines));
    let daemon = host.start();
    host.run_ends("large", 1, "ok");
    let (mut theirs, mut ratios) = (Vec::new(), Vec::new());
    for _ in 0..effort.pairs {
        let our = wall(|| drop(host.ctl(&["run", "large", "--wait", "-q"]).exits(0)));
        let their = wall(|| assert!(bare(&rsync, &source.path, &destination).status().unwrap().success()));
        theirs.push(milliseconds(their));
        ratios.push(milliseconds(our) / milliseconds(their));
    }
    let reference = median(theirs);
    let what = format!("nothing to do over {} files, wall", effort.files);
    table.ratio(&what, "ms", median(ratios) * reference, reference, 1.03);
    daemon.stop();
    for path in [&source.path, &destination] {
        std::fs::remove_dir_all(path).unwrap();
    }
}

fn a_small_edit_in_a_big_file(host: &MiniHost, effort: &Effort, table: &Table) {
    let source = host.source("image");
    source.write_big("disk.img", effort.big, 1);
    let mut usb = host.drive_of("usb", Btrfs, 4 * 1024 + 512).prepared_for("image");
    host.configure(&host.config().drive(&usb).sync("image", "usb", "btrfs", ""));
    let daemon = host.start();
    usb.plug();
    host.run_ends("image", 1, "ok");
    let bare_copy = usb.point().join("bare");
    run("btrfs", &[&"subvolume", &"create", &bare_copy]);
    let copy = || run("rsync", &[&"-a", &format!("{}/", source.path.display()), &bare_copy]);
    copy();
    run("btrfs", &[&"subvolume", &"snapshot", &"-r", &bare_copy, &usb.point().join("bare-1")]);

    // A hundred pages here and there.
    let image = std::fs::OpenOptions::new().write(true).open(source.path.join("disk.img")).unwrap();
    for (number, offset) in (0..).zip((0..effort.big << 20).step_by((effort.big << 20) / 100)) {
        std::os::unix::fs::FileExt::write_all_at(&image, &noise(4096, number + 7), u64::try_from(offset).unwrap())
            .unwrap();
    }
    drop(image);
    let before = used_bytes(&usb);
    host.ctl(&["run", "image", "--wait"]).exits(0);
    let ours = used_bytes(&usb) - before;
    let before = used_bytes(&usb);
    copy();
    run("btrfs", &[&"subvolume", &"snapshot", &"-r", &bare_copy, &usb.point().join("bare-2")]);
    let theirs = used_bytes(&usb) - before;
    let what = format!("{} MiB file with 400 KiB changed, btrfs: new space", effort.big);
    println!("{:<58} {:>8.2} MiB  (rsync -a into a snapshotted directory)", "", theirs);
    table.figure(&what, "MiB", ours, 4.0);
    daemon.stop();
    usb.unplug();
}

/// What a btrfs filesystem uses, in MiB.
fn used_bytes(usb: &Drive) -> f64 {
    usb.flush();
    let usage = run("btrfs", &[&"filesystem", &"usage", &"-b", &usb.point()]);
    let line = usage.lines().find(|line| line.trim_start().starts_with("Used:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|bytes| bytes.parse::<f64>().ok()).unwrap_or_default() / 1_048_576.0
}

fn a_burst_of_mounts(host: &MiniHost, table: &Table) {
    host.configure(&host.config().also(&thousand(host)));
    let daemon = host.start();
    let pid = daemon.pid().as_raw_nonzero().to_string();
    let point = host.root.join("burst");
    std::fs::create_dir_all(&point).unwrap();
    let (before, began, used) = (memory(&pid), Instant::now(), processor_time(&pid));
    let mut slowest = Duration::ZERO;
    for number in 0..5000_u32 {
        mount("tmpfs", &point, "tmpfs", MountFlags::empty(), None).unwrap();
        unmount(&point, UnmountFlags::DETACH).unwrap();
        if number.is_multiple_of(250) {
            slowest = slowest.max(wall(|| drop(host.ctl(&["status", "s000"]).exits(0))));
        }
    }
    let share = (processor_time(&pid).saturating_sub(used)).as_secs_f64() / began.elapsed().as_secs_f64();
    let growth = memory(&pid).saturating_sub(before);
    table.figure("10,000 mount changes: slowest status meanwhile", "ms", milliseconds(slowest), 1000.0);
    table.figure("10,000 mount changes: share of a processor", "%", share * 100.0, 25.0);
    table.figure("10,000 mount changes: memory kept", "KiB", f64::from(u32::try_from(growth).unwrap()), 1024.0);
    daemon.stop();
}

fn idle(host: &MiniHost, effort: &Effort, table: &Table) {
    host.source("quiet").fill(10);
    let mut usb = host.drive("usb", Btrfs).prepared_for("quiet");
    host.configure(&host.config().drive(&usb).sync("quiet", "usb", "btrfs", "every = \"1h\""));
    let daemon = host.start();
    usb.plug();
    host.run_ends("quiet", 1, "ok");
    host.stands("quiet", "idle");
    let pid = daemon.pid().as_raw_nonzero().to_string();
    // Whatever the run left to be done is done.
    until("it has come to rest", || rests_for(&daemon, Duration::from_secs(2)) == 0);
    let woken = rests_for(&daemon, effort.idle);
    table.figure("idle, a drive plugged in: wake-ups", "", f64::from(u32::try_from(woken).unwrap()), 0.0);
    let kib = |kib: u64| f64::from(u32::try_from(kib).unwrap());
    table.figure("idle: memory (PSS)", "MiB", kib(memory(&pid)) / 1024.0, 4.0);
    table.figure("idle: threads", "", kib(threads(&pid)), 3.0);
    daemon.stop();
}

fn rests_for(daemon: &Daemon, length: Duration) -> u64 {
    let before = daemon.wake_ups();
    std::thread::sleep(length);
    // A thread that ended takes its count with it; that is no rest, either.
    daemon.wake_ups().abs_diff(before)
}
