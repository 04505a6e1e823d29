//! Signs of life: whether a thread, and the processes that it started, still get on. A call into a filesystem that does
//! not answer never returns and cannot be ended; from outside it shows only by everything standing still.

use std::collections::BTreeMap;
use std::fs;

/// A thread of this process, as the kernel numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ThreadNumber(i32);

/// The thread that asks.
#[must_use]
pub fn this_thread() -> ThreadNumber {
    ThreadNumber(rustix::thread::gettid().as_raw_nonzero().get())
}

/// The name of a thread that starts processes for this one: they are counted as its own.
#[must_use]
pub fn helper(of: ThreadNumber) -> String {
    format!("for-{}", of.0)
}

/// What a thread and its processes have done so far, and what was done at its drives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulse {
    tasks: BTreeMap<String, Task>,
    /// Requests that the devices have completed, but for those to read.
    completed: Vec<u64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Task {
    /// It waits in a call that nothing interrupts: mostly for a device.
    waits: bool,
    /// Time on a processor, in ticks.
    ticks: u64,
    /// How often it stopped running, mostly to wait for something.
    switches: u64,
    /// Bytes and calls of reading and writing.
    transfers: u64,
}

impl Pulse {
    /// Whether something got on since `earlier`. One wake-up is none: who waits for another looks up now and then.
    /// Devices count for who waits for one; others may use them, too.
    #[must_use]
    pub fn beats_since(&self, earlier: &Self) -> bool {
        let worked = |now: &Task, then: &Task| {
            (now.ticks, now.transfers) != (then.ticks, then.transfers) || now.switches > then.switches.saturating_add(1)
        };
        !self.tasks.keys().eq(earlier.tasks.keys())
            || self.tasks.iter().any(|(name, now)| earlier.tasks.get(name).is_none_or(|then| worked(now, then)))
            || (self.completed != earlier.completed && self.tasks.values().any(|task| task.waits))
    }
}

/// Feels the pulse of a thread; `drives` are the devices, major and minor, that work for nobody else. `None` if the
/// kernel does not tell, or the thread has ended.
#[must_use]
pub fn feel(thread: ThreadNumber, drives: &[(u32, u32)]) -> Option<Pulse> {
    let own = format!("/proc/self/task/{}", thread.0);
    let mut tasks = BTreeMap::new();
    let mut next = children(&own)?;
    tasks.insert(String::new(), task(&own)?);
    for thread in helpers(thread) {
        // One that has ended meanwhile has no children any more.
        if let (Some(task), Some(more)) = (task(&thread), children(&thread)) {
            next.extend(more);
            tasks.insert(thread, task);
        }
    }
    while let Some(process) = next.pop() {
        let directory = format!("/proc/{process}");
        // One that has ended meanwhile is missing in the next list.
        if let (Some(task), Some(more)) = (task(&directory), children(&format!("{directory}/task/{process}"))) {
            next.extend(more.into_iter().filter(|more| !tasks.contains_key(more)));
            tasks.insert(process, task);
        }
    }
    let completed = drives.iter().map(|drive| completed(*drive).unwrap_or(0)).collect();
    Some(Pulse { tasks, completed })
}

fn helpers(of: ThreadNumber) -> Vec<String> {
    let name = helper(of);
    let threads = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let is_helper = |thread: &String| fs::read_to_string(format!("{thread}/comm")).is_ok_and(|it| it.trim() == name);
    threads.filter_map(|thread| thread.path().into_os_string().into_string().ok()).filter(is_helper).collect()
}

fn children(task: &str) -> Option<Vec<String>> {
    let list = fs::read_to_string(format!("{task}/children")).ok()?;
    Some(list.split_whitespace().map(ToOwned::to_owned).collect())
}

/// By `proc_pid_stat(5)` the state follows the name, which is in brackets and may hold any byte; times are the 14th and
/// 15th field.
fn task(directory: &str) -> Option<Task> {
    let text = |file: &str| fs::read(format!("{directory}/{file}")).map(|it| String::from_utf8_lossy(&it).into_owned());
    let stat = text("stat").ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    let state = fields.next()?;
    let ticks = fields.skip(10).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    let sum = |lines: &str, wanted: &str| {
        let counts = lines.lines().filter_map(|line| line.split_once(':')).filter(|(name, _)| name.ends_with(wanted));
        counts.filter_map(|(_, count)| count.trim().parse::<u64>().ok()).fold(0, u64::wrapping_add)
    };
    Some(Task {
        waits: state == "D",
        ticks,
        switches: sum(&text("status").ok()?, "ctxt_switches"),
        // Not everybody may read it.
        transfers: text("io").map_or(0, |io| sum(&io, "")),
    })
}

/// Block layer statistics: the completed writes, discards and flushes. Reads are none of it: whoever looks what is on a
/// device makes some (udev at each event), and a thread that waits for its own ones wakes up for each.
fn completed((major, minor): (u32, u32)) -> Option<u64> {
    let stat = fs::read_to_string(format!("/sys/dev/block/{major}:{minor}/stat")).ok()?;
    let fields: Vec<u64> = stat.split_whitespace().filter_map(|field| field.parse().ok()).collect();
    Some([4, 11, 15].iter().filter_map(|index| fields.get(*index)).fold(0, |sum, one| sum.wrapping_add(*one)))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    fn pulse(tasks: &[(&str, Task)], completed: u64) -> Pulse {
        let tasks = tasks.iter().map(|(name, task)| ((*name).to_owned(), task.clone())).collect();
        Pulse { tasks, completed: vec![completed] }
    }

    #[test]
    fn what_stands_still_is_told_from_what_is_slow() {
        let task = |waits, ticks, switches, transfers| Task { waits, ticks, switches, transfers };
        let then = pulse(&[("1", task(false, 5, 5, 5)), ("2", task(true, 5, 5, 5))], 7);
        let with = |second: Task, completed| pulse(&[("1", task(false, 5, 6, 5)), ("2", second)], completed);
        assert!(!with(task(true, 5, 6, 5), 7).beats_since(&then), "one wake-up is no sign of life");
        assert!(with(task(true, 5, 7, 5), 7).beats_since(&then));
        assert!(with(task(true, 6, 5, 5), 7).beats_since(&then));
        assert!(with(task(true, 5, 5, 6), 7).beats_since(&then));
        assert!(with(task(true, 5, 5, 5), 8).beats_since(&then), "its device works for it");
        assert!(!with(task(false, 5, 5, 5), 8).beats_since(&then), "the device works for others");
        assert!(pulse(&[("1", task(false, 5, 5, 5))], 7).beats_since(&then), "a process has ended");
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the test starts a process that works")]
    fn what_a_helper_starts_counts_as_its_own() {
        let number = this_thread();
        let (tell, told) = sync_channel(0);
        let (end, wait) = sync_channel::<()>(0);
        let name = super::helper(number);
        let thread = std::thread::Builder::new().name(name).spawn(move || {
            let works = "while :; do :; done";
            let mut child = std::process::Command::new("/bin/sh").args(["-c", works]).spawn().unwrap();
            tell.send(()).unwrap();
            let _ended = wait.recv();
            child.kill().unwrap();
            child.wait().unwrap();
        });
        told.recv().unwrap();
        let first = feel(number, &[]).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(200));
        let mut now = feel(number, &[]).unwrap();
        // Only the child counts.
        now.tasks.insert(String::new(), first.tasks[""].clone());
        assert!(now.tasks.len() >= 3 && now.beats_since(&first));
        drop(end);
        thread.unwrap().join().unwrap();
    }

    #[test]
    fn a_thread_that_waits_and_one_that_works_are_told_apart() {
        let (tell, told) = sync_channel(0);
        let (go_on, wait) = sync_channel::<()>(0);
        let thread = std::thread::spawn(move || {
            tell.send(this_thread()).unwrap();
            wait.recv().unwrap();
            for _ in 0..8 {
                let _ = fs::read("/proc/self/stat").unwrap();
            }
            tell.send(this_thread()).unwrap();
            let _ended = wait.recv();
        });
        let number = told.recv().unwrap();
        let first = feel(number, &[]).unwrap();
        assert!(!feel(number, &[]).unwrap().beats_since(&first));
        go_on.send(()).unwrap();
        told.recv().unwrap();
        assert!(feel(number, &[]).unwrap().beats_since(&first));
        drop(go_on);
        thread.join().unwrap();
        assert_eq!(feel(number, &[]), None);
    }
}
