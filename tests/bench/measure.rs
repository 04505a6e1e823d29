//! How figures are taken: processor time, memory, moments of exec, medians, and the table.

use std::cell::Cell;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;

use crate::common::text_of;

/// The processor time of a process, and that of its children that have ended; in steps of a clock tick.
pub fn processor_time(process: &str) -> Duration {
    let stat = text_of(format!("/proc/{process}/stat"));
    let behind_name = stat.rsplit_once(')').map(|(_, rest)| rest.to_owned()).unwrap_or_default();
    let ticks: u64 =
        behind_name.split_whitespace().skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 1000 / rustix::param::clock_ticks_per_second())
}

/// The memory of a process, shared pages divided among those who share them, in KiB.
pub fn memory(process: &str) -> u64 {
    number_behind(&text_of(format!("/proc/{process}/smaps_rollup")), "Pss:")
}

/// The number of threads of a process.
pub fn threads(process: &str) -> u64 {
    number_behind(&text_of(format!("/proc/{process}/status")), "Threads:")
}

fn number_behind(text: &str, key: &str) -> u64 {
    let line = text.lines().find(|line| line.starts_with(key)).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// Runs something and takes its wall time.
pub fn wall(work: impl FnOnce()) -> Duration {
    let started = Instant::now();
    work();
    started.elapsed()
}

/// The middle of several values.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A duration in milliseconds.
pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// Hears when a program is executed: the kernel opens its file then.
pub struct ExecEar(rustix::fd::OwnedFd);

impl ExecEar {
    /// Listens to the program at this path.
    pub fn at(program: &Path) -> Self {
        let ear = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).unwrap();
        inotify::add_watch(&ear, program, inotify::WatchFlags::OPEN).unwrap();
        Self(ear)
    }

    /// Waits for the next execution and gives the time until then.
    pub fn since(&self, moment: Instant) -> Duration {
        let patience = Timespec { tv_sec: 30, tv_nsec: 0 };
        let heard = poll(&mut [PollFd::new(&self.0, PollFlags::IN)], Some(&patience)).unwrap();
        let passed = moment.elapsed();
        assert!(heard > 0, "nothing was executed");
        passed
    }
}

/// What anybody would write: a poll on the mount table, a read of it, and the copy. Gives the moment of no return.
pub fn bare_listener(point: &Path, copy: &mut Command, ready: &std::sync::mpsc::SyncSender<()>) {
    let table = File::open("/proc/self/mountinfo").unwrap();
    ready.send(()).unwrap();
    let point = point.display().to_string();
    while !text_of("/proc/self/mountinfo").contains(&point) {
        poll(&mut [PollFd::new(&table, PollFlags::PRI | PollFlags::ERR)], None).unwrap();
    }
    copy.stdout(Stdio::null()).status().unwrap();
}

/// The table of figures, printed line by line as they come.
pub struct Table {
    over: Cell<u32>,
}

impl Table {
    /// Begins it.
    pub fn begin() -> Self {
        println!("{:<58} {:>12} {:>12} {:>8} {:>10}", "what", "ours", "reference", "ratio", "at most");
        Self { over: Cell::new(0) }
    }

    /// Says how many figures are over their limits.
    pub fn end(self) {
        println!("{} over their limits", self.over.get());
    }

    /// A figure beside its reference, judged by their ratio.
    pub fn ratio(&self, what: &str, unit: &str, ours: f64, reference: f64, limit: f64) {
        let ratio = ours / reference;
        let (ours, reference) = (format!("{ours:.2} {unit}"), format!("{reference:.2} {unit}"));
        self.line(what, &ours, &reference, &format!("{ratio:.2} x"), &format!("{limit:.2} x"), ratio <= limit);
    }

    /// A figure beside its reference, judged by their difference.
    pub fn difference(&self, what: &str, unit: &str, ours: f64, reference: f64, limit: f64) {
        let (text, beside) = (format!("{ours:.2} {unit}"), format!("{reference:.2} {unit}"));
        let difference = ours - reference;
        self.line(what, &text, &beside, &format!("{difference:+.2}"), &format!("+{limit} {unit}"), difference <= limit);
    }

    /// A figure by itself.
    pub fn figure(&self, what: &str, unit: &str, ours: f64, limit: f64) {
        self.line(what, &format!("{ours:.2} {unit}"), "", "", &format!("{limit} {unit}"), ours <= limit);
    }

    fn line(&self, what: &str, ours: &str, reference: &str, ratio: &str, limit: &str, reached: bool) {
        self.over.set(self.over.get() + u32::from(!reached));
        let mark = if reached { "" } else { "  <- over" };
        println!("{what:<58} {ours:>12} {reference:>12} {ratio:>8} {limit:>10}{mark}");
    }
}
