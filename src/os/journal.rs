//! Where log messages go: the journal, or standard error.

use std::io::{self, IsTerminal as _};

use tracing::level_filters::LevelFilter;
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::fmt::format::debug_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

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

/// Sends all log messages to the journal if standard error is connected to it, and to standard error otherwise.
///
/// In the journal each message carries its fields (`NBKP_SYNC`, `MESSAGE_ID`, …); on standard error it is a sentence.
pub fn begin(verbosity: Verbosity) {
    let level = match verbosity {
        Verbosity::Quiet => LevelFilter::WARN,
        Verbosity::Normal => LevelFilter::INFO,
        Verbosity::Verbose => LevelFilter::DEBUG,
    };
    let journal = if is_connected_to_journal() { tracing_journald::layer().ok() } else { None };
    let registry = tracing_subscriber::registry().with(level);
    if let Some(journal) = journal {
        let priorities =
            PriorityMappings { info: Priority::Informational, debug: Priority::Debug, ..PriorityMappings::new() };
        let journal = journal.with_field_prefix(None).with_priority_mappings(priorities);
        // A second start in one process keeps the first; that is only ever a test.
        let _ = registry.with(journal).try_init();
    } else {
        let sentences = tracing_subscriber::fmt::layer()
            .with_writer(io::stderr)
            .with_ansi(io::stderr().is_terminal())
            .with_target(false)
            .fmt_fields(debug_fn(|writer, field, value| match field.name() {
                "message" => write!(writer, "{value:?}"),
                _ => Ok(()),
            }));
        let _ = registry.with(sentences).try_init();
    }
}

/// systemd sets `JOURNAL_STREAM` to device and inode of the stream it connected (systemd.exec(5)); a redirection
/// after that makes them differ.
fn is_connected_to_journal() -> bool {
    let Some(stream) = crate::os::environment::journal_stream() else { return false };
    let Ok(stat) = rustix::fs::fstat(io::stderr()) else { return false };
    stream == format!("{}:{}", stat.st_dev, stat.st_ino)
}
