//! Where log messages go: the journal, or standard error. A thread of its own writes them, so that neither a journal
//! nor a terminal that takes nothing (seen: 8 s for one message) can stop whoever has something to say.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::with_default;
use tracing::{Event, Level, Subscriber, event};
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::format::debug_fn;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

/// How many messages may wait to be written. Those that do not fit are counted, and the count is told.
const WAITING: usize = 1024;

/// The fields that the journal keeps beside the sentence.
const FIELDS: [&str; 10] = [
    "message_id",
    "nbkp.sync",
    "nbkp.run",
    "nbkp.trigger",
    "nbkp.outcome",
    "nbkp.files",
    "nbkp.bytes",
    "nbkp.volume",
    "nbkp.locations",
    "nbkp.host",
];

/// How long the last messages may take at the end of the process.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How much is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verbosity {
    /// What a person should know some day.
    Quiet,
    /// Also what started and ended.
    Normal,
    /// Also decisions and their reasons.
    Verbose,
}

impl Verbosity {
    /// What a command line asks for.
    #[must_use]
    pub fn chosen(verbose: bool, quiet: bool) -> Self {
        match (verbose, quiet) {
            (true, _) => Self::Verbose,
            (false, true) => Self::Quiet,
            (false, false) => Self::Normal,
        }
    }
}

/// What has messages written. When it is dropped, it waits until those that are left are written, but not for long.
#[derive(Debug)]
pub struct Journal {
    queue: SyncSender<Option<Message>>,
    written: Receiver<()>,
}

impl Drop for Journal {
    fn drop(&mut self) {
        // A queue that is full is one that nobody reads: then there is nothing to wait for.
        if self.queue.try_send(None).is_ok() {
            let _ = self.written.recv_timeout(LAST_WORDS);
        }
    }
}

/// Sends all log messages to the journal if standard error is connected to it, and to standard error otherwise.
///
/// In the journal each message carries its fields (`NBKP_SYNC`, `MESSAGE_ID`, …); on standard error it is a sentence.
pub fn begin(verbosity: Verbosity) -> io::Result<Journal> {
    let level = match verbosity {
        Verbosity::Quiet => LevelFilter::WARN,
        Verbosity::Normal => LevelFilter::INFO,
        Verbosity::Verbose => LevelFilter::DEBUG,
    };
    let dropped = Arc::new(AtomicU64::new(0));
    let (queue, messages) = sync_channel(WAITING);
    let (done, written) = sync_channel(1);
    let lost = Arc::clone(&dropped);
    std::thread::Builder::new().name("journal".into()).spawn(move || {
        let all = || write_all(&messages, &lost);
        match if is_connected_to_journal() { tracing_journald::layer().ok() } else { None } {
            Some(journal) => with_default(tracing_subscriber::registry().with(in_fields(journal)), all),
            None => with_default(tracing_subscriber::registry().with(in_sentences()), all),
        }
        // Whoever waited for it may have given up.
        let _ = done.send(());
    })?;
    // A second start in one process keeps the first; that is only ever a test.
    let _ = tracing_subscriber::registry().with(level).with(Queue { queue: queue.clone(), dropped }).try_init();
    Ok(Journal { queue, written })
}

fn in_fields(journal: tracing_journald::Layer) -> tracing_journald::Layer {
    let priorities =
        PriorityMappings { info: Priority::Informational, debug: Priority::Debug, ..PriorityMappings::new() };
    journal.with_field_prefix(None).with_priority_mappings(priorities)
}

fn in_sentences<S>() -> impl Layer<S>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        .with_target(false)
        .fmt_fields(debug_fn(|writer, field, value| match field.name() {
            "message" => write!(writer, "{value:?}"),
            _ => Ok(()),
        }))
}

/// A warning of a program that says little else: on standard error where that is the journal, which takes its weight
/// from the number before it (sd-daemon(3)), and nowhere else.
pub fn warn_as_service(sentence: &str) {
    if is_connected_to_journal() {
        let _nobody_else_to_tell = writeln!(io::stderr(), "<4>{sentence}");
    }
}

/// systemd sets `JOURNAL_STREAM` to device and inode of the stream it connected (systemd.exec(5)); a redirection
/// after that makes them differ.
fn is_connected_to_journal() -> bool {
    let Some(stream) = crate::os::environment::journal_stream() else { return false };
    let Ok(stat) = rustix::fs::fstat(io::stderr()) else { return false };
    stream == format!("{}:{}", stat.st_dev, stat.st_ino)
}

/// Takes messages in, in the thread of whoever says them, and never waits.
struct Queue {
    queue: SyncSender<Option<Message>>,
    dropped: Arc<AtomicU64>,
}

impl<S: Subscriber> Layer<S> for Queue {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        let mut message =
            Message { level: *event.metadata().level(), sentence: String::new(), fields: BTreeMap::new() };
        event.record(&mut message);
        if self.queue.try_send(Some(message)).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A message that waits to be written.
#[derive(Debug)]
struct Message {
    level: Level,
    sentence: String,
    fields: BTreeMap<&'static str, String>,
}

impl Visit for Message {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let name = field.name();
        if name == "message" {
            self.sentence.insert_str(0, &format!("{value:?}"));
        } else if FIELDS.contains(&name) {
            self.fields.insert(name, format!("{value:?}"));
        } else {
            // What a library tells beside its sentence.
            let _ = write!(self.sentence, " {name}={value:?}");
        }
    }
}

/// Writes what is taken in until the end of the process; and how many messages were lost, once others get through.
fn write_all(messages: &Receiver<Option<Message>>, dropped: &AtomicU64) {
    while let Ok(Some(message)) = messages.recv() {
        message.write();
        let lost = dropped.swap(0, Ordering::Relaxed);
        if lost > 0 {
            event!(Level::WARN, "{lost} messages were dropped: what writes them down took none for a while");
        }
    }
}

impl Message {
    fn write(&self) {
        let field = |name: &str| self.fields.get(name).map(String::as_str);
        // The level of a message is a part of the place that says it.
        macro_rules! write_at {
            ($level:expr) => {
                event!(
                    $level,
                    message_id = field("message_id"),
                    nbkp.sync = field("nbkp.sync"),
                    nbkp.run = field("nbkp.run"),
                    nbkp.trigger = field("nbkp.trigger"),
                    nbkp.outcome = field("nbkp.outcome"),
                    nbkp.files = field("nbkp.files"),
                    nbkp.bytes = field("nbkp.bytes"),
                    nbkp.volume = field("nbkp.volume"),
                    nbkp.locations = field("nbkp.locations"),
                    nbkp.host = field("nbkp.host"),
                    "{}",
                    self.sentence
                )
            };
        }
        match self.level {
            Level::ERROR => write_at!(Level::ERROR),
            Level::WARN => write_at!(Level::WARN),
            Level::INFO => write_at!(Level::INFO),
            Level::DEBUG | Level::TRACE => write_at!(Level::DEBUG),
        }
    }
}
