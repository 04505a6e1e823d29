//! The ears: one thread that listens where tokio cannot safely, and turns what it hears into hints.
//!
//! A hint says "look again" and carries nothing else. Each kind has a channel of capacity one: if it is full, a look
//! is already owed. What happens between the start of the ears and the first look is heard, since they listen before
//! they are handed out.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use jiff::Timestamp;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::Errno;
use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_recv_buffer_size_force};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::model::BootTime;
use crate::os::causes::chain;
use crate::os::config_watch::{ConfigWatch, FileEvent};
use crate::os::{clock, mounts};

/// Why there are no ears.
#[derive(Debug, thiserror::Error)]
pub enum EarsError {
    /// The kernel gave no descriptor.
    #[error("make a {0}")]
    Descriptor(&'static str, #[source] io::Error),
    /// The kernel gave no thread.
    #[error("start the thread that listens for events")]
    Thread(#[source] io::Error),
    /// The alarm was not set.
    #[error("set the alarm to {0}")]
    Alarm(Timestamp, #[source] io::Error),
}

/// What is heard. If a channel closes, the thread ended although it should not have.
#[derive(Debug)]
pub struct Ears {
    /// Block devices came, went or changed, and udev's rules have run for them.
    pub blocks: Receiver<BlockHint>,
    /// The mount table changed.
    pub mounts: Receiver<()>,
    /// The configuration file changed, came or went.
    pub config: Receiver<()>,
    /// The alarm went off.
    pub deadline: Receiver<()>,
    /// The wall clock was set, or the machine woke from sleep with another time.
    pub clock: Receiver<()>,
    /// The daemon's one alarm.
    pub alarm: Alarm,
    /// What cannot be heard, as sentences.
    pub degraded: Vec<String>,
    /// Ends the thread when dropped.
    pub stop: StopListening,
}

/// What was heard of block devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockHint {
    /// Something changed.
    Seen,
    /// More changed than the socket could hold, so that the kernel dropped some of it.
    Overrun,
}

/// Bytes that the udev socket may hold: 8 MiB were never overrun by 400 devices that changed at once, 4 KiB were.
pub const RECEIVE_BUFFER: usize = 8 << 20;

impl Ears {
    /// Begins to listen. An ear that cannot be had is told in `degraded`; the others work.
    pub fn start(config_file: Option<&Path>) -> Result<Self, EarsError> {
        Self::start_with(config_file, RECEIVE_BUFFER)
    }

    /// Begins to listen, with this many bytes for the udev socket.
    pub fn start_with(config_file: Option<&Path>, receive_buffer: usize) -> Result<Self, EarsError> {
        let (blocks_in, blocks) = channel(1);
        let (mounts_in, mounts) = channel(1);
        let (config_in, config) = channel(1);
        let (deadline_in, deadline) = channel(1);
        let (clock_in, clock) = channel(1);
        let stop = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|error| EarsError::Descriptor("stop signal", error.into()))?;
        let timer = timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK)
            .map_err(|error| EarsError::Descriptor("timer", error.into()))?;
        let copy = |fd: &OwnedFd| fd.try_clone().map_err(|error| EarsError::Descriptor("second descriptor", error));
        let alarm = Alarm { timer: copy(&timer)?, clock: clock_in.clone() };
        // Also without a deadline: only a timer that is set tells of a clock that is.
        alarm.set(None)?;
        let senders =
            Senders { blocks: blocks_in, mounts: mounts_in, config: config_in, deadline: deadline_in, clock: clock_in };
        let ends = (copy(&stop)?, timer);
        let config_file = config_file.map(Path::to_owned);
        let (ready, started) = sync_channel(1);
        let run = move || listen(ends, senders, config_file.as_deref(), receive_buffer, &ready);
        std::thread::Builder::new().name("nbkp-ears".into()).spawn(run).map_err(EarsError::Thread)?;
        let degraded = started.recv().map_err(|error| EarsError::Thread(io::Error::other(error)))?;
        Ok(Self { blocks, mounts, config, deadline, clock, alarm, degraded, stop: StopListening(stop) })
    }
}

/// Ends the thread of the ears when dropped.
#[derive(Debug)]
pub struct StopListening(OwnedFd);

impl Drop for StopListening {
    fn drop(&mut self) {
        // The counter is zero before this, so there is always room.
        let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
    }
}

/// The daemon's one alarm, on the wall clock. It counts sleep, and follows a clock that is set.
#[derive(Debug)]
pub struct Alarm {
    timer: OwnedFd,
    clock: Sender<()>,
}

impl Alarm {
    /// Sets the alarm to this moment in place of the one before; `None` for never. One that has passed goes off at
    /// once.
    pub fn set(&self, at: Option<Timestamp>) -> Result<(), EarsError> {
        let at = at.unwrap_or(Timestamp::MAX);
        // Zero would turn the timer off, and what is before 1970 is refused.
        let value = if at.as_second() > 0 {
            Timespec { tv_sec: at.as_second(), tv_nsec: at.subsec_nanosecond().into() }
        } else {
            Timespec { tv_sec: 0, tv_nsec: 1 }
        };
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: value };
        match timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET, &once) {
            Ok(_) => Ok(()),
            // The timer is set all the same, but the clock was set just before, and the thread is not told again.
            Err(Errno::CANCELED) => {
                owe(&self.clock, ());
                Ok(())
            }
            Err(error) => Err(EarsError::Alarm(at, error.into())),
        }
    }
}

struct Senders {
    blocks: Sender<BlockHint>,
    mounts: Sender<()>,
    config: Sender<()>,
    deadline: Sender<()>,
    clock: Sender<()>,
}

/// Owes a look. A full channel owes one already; a closed one belongs to somebody who looks no more.
fn owe<T>(sender: &Sender<T>, hint: T) -> bool {
    sender.try_send(hint).is_ok()
}

/// What the thread listens to.
struct Listener {
    senders: Senders,
    stop: OwnedFd,
    timer: OwnedFd,
    blocks: Option<udev::MonitorSocket>,
    mounts: Option<File>,
    config: Option<ConfigWatch>,
    /// An overrun that found the channel full, so that the next hint says it.
    overrun: BlockHint,
    errors_pace: Pace,
    mounts_pace: Pace,
    config_pace: Pace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Stop,
    Timer,
    Blocks,
    Mounts,
    Config,
}

fn listen(
    (stop, timer): (OwnedFd, OwnedFd),
    senders: Senders,
    config_file: Option<&Path>,
    receive_buffer: usize,
    ready: &SyncSender<Vec<String>>,
) {
    let mut degraded = Vec::new();
    let blocks = match monitor(receive_buffer) {
        // Where the kernel makes the device nodes, a udevd that starts later is heard all the same.
        Ok(socket) => {
            if !Path::new(UDEVD).exists() {
                degraded.push(format!("drives that come and go are not heard: no udevd runs ({UDEVD} is missing)"));
            }
            Some(socket)
        }
        Err(error) => {
            degraded.push(format!("drives that come and go are not heard: could not listen to udev: {error}"));
            None
        }
    };
    let mounts = match File::open(mounts::TABLE) {
        Ok(table) => Some(table),
        Err(error) => {
            degraded.push(format!("mounts are not heard: could not open {}: {error}", mounts::TABLE));
            None
        }
    };
    let config = config_file.and_then(|file| match ConfigWatch::new(file) {
        Ok(watch) => Some(watch),
        Err(error) => {
            let why = chain(&error);
            degraded.push(format!("changes of the configuration are not heard (SIGHUP still is): could not {why}"));
            None
        }
    });
    let (errors_pace, mounts_pace, config_pace) = Default::default();
    let overrun = BlockHint::Seen;
    let listener =
        Listener { senders, stop, timer, blocks, mounts, config, overrun, errors_pace, mounts_pace, config_pace };
    if ready.send(degraded).is_ok() {
        listener.run();
    }
}

/// Where a running udevd can be told of.
const UDEVD: &str = "/run/udev/control";

fn monitor(receive_buffer: usize) -> io::Result<udev::MonitorSocket> {
    // The filter before the socket listens: it works in the kernel, and nothing else ever arrives.
    let builder = udev::MonitorBuilder::new()?.match_subsystem("block")?;
    // Past the limit of the system as root, up to it as a user. A smaller buffer overruns sooner, and that is heard.
    let _ = set_socket_recv_buffer_size_force(&builder, receive_buffer)
        .or_else(|_| set_socket_recv_buffer_size(&builder, receive_buffer));
    builder.listen()
}

impl Listener {
    fn run(mut self) {
        while let Ok(ready) = self.wait() {
            for source in ready {
                match source {
                    Source::Stop => return,
                    Source::Timer => self.hear_timer(),
                    Source::Blocks => self.hear_blocks(),
                    Source::Mounts => {
                        self.mounts_pace.woke(clock::boot());
                        owe(&self.senders.mounts, ());
                    }
                    Source::Config => {
                        self.config_pace.woke(clock::boot());
                        if self.config.as_mut().map(ConfigWatch::heard) == Some(FileEvent::Change) {
                            owe(&self.senders.config, ());
                        }
                    }
                }
            }
        }
    }

    /// Sleeps until something can be heard. A source that came too often is left out for a moment: what it has to say
    /// is kept by the kernel.
    fn wait(&self) -> Result<Vec<Source>, Errno> {
        let now = clock::boot();
        let mut fds = vec![
            (Source::Stop, PollFd::new(&self.stop, PollFlags::IN)),
            (Source::Timer, PollFd::new(&self.timer, PollFlags::IN)),
        ];
        let mut rest: Option<Duration> = None;
        let mut offer = |source, fd, pace: &Pace| match pace.rest(now) {
            None => fds.push((source, fd)),
            Some(pause) => rest = Some(rest.map_or(pause, |rest| rest.min(pause))),
        };
        if let Some(blocks) = &self.blocks {
            offer(Source::Blocks, PollFd::new(blocks, PollFlags::IN), &self.errors_pace);
        }
        if let Some(mounts) = &self.mounts {
            // Each poll says once whether the table changed since the one before; nothing is read.
            offer(Source::Mounts, PollFd::new(mounts, PollFlags::PRI), &self.mounts_pace);
        }
        if let Some(config) = &self.config {
            offer(Source::Config, PollFd::from_borrowed_fd(config.as_fd(), PollFlags::IN), &self.config_pace);
        }
        let timeout = rest.and_then(|rest| Timespec::try_from(rest).ok());
        let (sources, mut fds): (Vec<_>, Vec<_>) = fds.into_iter().unzip();
        match poll(&mut fds, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
        let ready = sources.into_iter().zip(&fds).filter(|(_, fd)| !fd.revents().is_empty());
        Ok(ready.map(|(source, _)| source).collect())
    }

    fn hear_timer(&self) {
        let mut expirations = [0; 8];
        match rustix::io::read(&self.timer, &mut expirations) {
            Ok(_) => {
                owe(&self.senders.deadline, ());
            }
            // The clock was set. The timer stays set, and follows it.
            Err(Errno::CANCELED) => {
                owe(&self.senders.clock, ());
            }
            // The alarm was set again in the meantime.
            Err(_) => {}
        }
    }

    /// Takes all that the socket holds. The events are not read: what is true is what the look finds.
    fn hear_blocks(&mut self) {
        let Some(socket) = &self.blocks else { return };
        let mut events = socket.iter();
        loop {
            if events.next().is_some() {
                continue;
            }
            // The iterator ends for an empty socket, for lost events and for a message that makes no sense alike;
            // only the error number, read before anything else, tells them apart.
            match io::Error::last_os_error().raw_os_error().map(Errno::from_raw_os_error) {
                Some(Errno::NOBUFS) => self.overrun = BlockHint::Overrun,
                Some(Errno::INTR) => {}
                Some(Errno::AGAIN) | None => break,
                // A message that makes no sense is gone once it is read. If the socket itself is broken, this comes
                // again and again, so it is paced.
                Some(_) => {
                    self.overrun = BlockHint::Overrun;
                    self.errors_pace.woke(clock::boot());
                    break;
                }
            }
        }
        if owe(&self.senders.blocks, self.overrun) {
            self.overrun = BlockHint::Seen;
        }
    }
}

/// Lets the first wake-ups of a burst through at once, and then makes it wait: ten thousand mounts in a second are
/// some eighty wake-ups.
#[derive(Debug, Default)]
struct Pace {
    since: BootTime,
    wakes: u32,
}

impl Pace {
    const WINDOW: Duration = Duration::from_millis(50);
    const WAKES: u32 = 4;

    fn woke(&mut self, now: BootTime) {
        if now.since(self.since) >= Self::WINDOW {
            *self = Self { since: now, wakes: 0 };
        }
        self.wakes = self.wakes.saturating_add(1);
    }

    /// How long to leave the source out.
    fn rest(&self, now: BootTime) -> Option<Duration> {
        let left = Self::WINDOW.saturating_sub(now.since(self.since));
        (self.wakes >= Self::WAKES && !left.is_zero()).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_slowed_and_single_wakes_are_not() {
        let at = |millis: u64| BootTime(Duration::from_millis(1000 + millis));
        let mut pace = Pace::default();
        let mut wakes = 0;
        for now in 0..1000 {
            if pace.rest(at(now)).is_none() {
                pace.woke(at(now));
                wakes += 1;
            }
        }
        assert_eq!(wakes, 1000 / 50 * 4);
        let mut pace = Pace::default();
        for now in (0..1000).step_by(20) {
            assert_eq!(pace.rest(at(now)), None, "at {now}");
            pace.woke(at(now));
        }
    }

    #[test]
    fn an_alarm_that_has_passed_goes_off_and_one_that_is_far_does_not() {
        let mut ears = Ears::start(None).unwrap();
        ears.alarm.set(Some(Timestamp::MAX)).unwrap();
        ears.alarm.set(None).unwrap();
        assert!(ears.deadline.try_recv().is_err());
        for at in [Timestamp::UNIX_EPOCH, Timestamp::MIN, clock::now().wall] {
            ears.alarm.set(Some(at)).unwrap();
            assert_eq!(ears.deadline.blocking_recv(), Some(()), "{at}");
        }
        assert!(ears.deadline.try_recv().is_err(), "each alarm goes off once");
    }

    #[test]
    fn dropping_the_stop_ends_the_thread() {
        let Ears { mut mounts, stop, .. } = Ears::start(None).unwrap();
        drop(stop);
        while mounts.blocking_recv().is_some() {}
    }
}
