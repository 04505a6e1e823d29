//! The tables `[daemon]` and `[monitoring]`.

use std::time::Duration;

use toml::Spanned;

use super::reader::{Fields, Reading};
use super::words;
use crate::model::{DaemonSettings, Monitoring, Notify};

/// Which desktop notifications are shown, under the names of the file.
pub(super) const NOTIFY: [(&str, Notify); 3] =
    [("all", Notify::All), ("problems", Notify::Problems), ("none", Notify::None)];

/// What the file says of the daemon itself.
pub(super) fn settings(reading: &mut Reading<'_>, file: &Fields<'_>) -> DaemonSettings {
    let mut settings = DaemonSettings {
        max_parallel: 1,
        settle: Duration::from_secs(2),
        grace: Duration::from_secs(10),
        notify: Notify::Problems,
    };
    let Some(fields) = file.table(reading, "daemon") else { return settings };
    if let Some(count) = fields.whole(reading, "max-parallel").and_then(|count| usize::try_from(count).ok()) {
        settings.max_parallel = count;
    }
    if let Some(settle) = fields.parsed(reading, "settle", words::interval) {
        settings.settle = settle.into_inner();
    }
    if let Some(grace) = fields.parsed(reading, "grace", words::interval) {
        settings.grace = grace.into_inner();
    }
    if let Some(notify) = fields.choice(reading, "notify", &NOTIFY) {
        settings.notify = notify;
    }
    settings
}

/// What the file says of monitoring.
pub(super) fn monitoring(reading: &mut Reading<'_>, file: &Fields<'_>) -> Monitoring {
    let context = reading.context;
    let Some(fields) = file.table(reading, "monitoring") else { return Monitoring::default() };
    let textfile = fields.parsed(reading, "textfile", |text| words::path(text, context));
    let ping = fields.parsed(reading, "ping", words::ping_url);
    Monitoring { textfile: textfile.map(Spanned::into_inner), ping: ping.map(Spanned::into_inner) }
}
