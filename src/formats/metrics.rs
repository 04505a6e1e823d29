//! The state of everything as the text file collector of Prometheus' node exporter reads it (text exposition format
//! 0.0.4; names and units by Prometheus' conventions).

use std::fmt::{Display, Write as _};

use jiff::Timestamp;

use crate::model::{Freshness, Outcome, RunRecord, Status, SyncState, SyncStatus};

/// The metrics of a state; `version` is that of the program.
#[must_use]
pub fn metrics(status: &Status, version: &str) -> String {
    let mut page = Page::default();
    page.metric("nbkp_build_info", "The version of nbkpd.", [([("version", version)], 1)]);
    page.metric("nbkp_start_time_seconds", "When nbkpd started.", [([], seconds(status.started))]);
    let is_refused = i64::from(status.config_error.is_some());
    page.metric(
        "nbkp_config_refused",
        "1 while the newest version of the configuration file has mistakes and is not in force.",
        [([], is_refused)],
    );
    let degraded = i64::try_from(status.degraded.len()).unwrap_or(i64::MAX);
    page.metric("nbkp_degraded_sources", "How many neighbours of nbkpd do not work.", [([], degraded)]);
    let volumes = status.volumes.iter().map(|volume| {
        let labels = [("volume", volume.name.as_str()), ("kind", volume.kind.as_str())];
        (labels, i64::from(volume.path.is_some()))
    });
    page.metric("nbkp_volume_present", "1 if a volume is within reach and proven.", volumes);
    of_syncs(&mut page, status);
    of_runs(&mut page, status);
    page.text
}

fn of_syncs(page: &mut Page, status: &Status) {
    let syncs = || status.syncs.iter().map(|sync| (sync, [("sync", sync.name.as_str())]));
    let one_hot = syncs().flat_map(|(sync, [label])| {
        SyncState::WORDS.iter().map(move |(word, state)| ([label, ("state", word)], i64::from(*state == sync.state)))
    });
    page.metric("nbkp_sync_state", "1 for the state of a sync, 0 for the others.", one_hot);
    page.metric(
        "nbkp_sync_overdue",
        "1 if the newest copy is older than max-age, or none was made for so long.",
        syncs().map(|(sync, labels)| (labels, i64::from(sync.freshness == Freshness::Overdue))),
    );
    page.metric(
        "nbkp_sync_damaged_files",
        "How many files of the copies are known to be damaged; the next run writes them anew.",
        syncs().map(|(sync, labels)| (labels, whole(sync.damaged))),
    );
    page.metric(
        "nbkp_sync_doubted_files",
        "How many files of the source are not what copies hold that agree, though size and time are the same.",
        syncs().map(|(sync, labels)| (labels, whole(sync.doubted))),
    );
    let moments = |of: fn(&SyncStatus) -> Option<Timestamp>| {
        syncs().filter_map(move |(sync, labels)| Some((labels, seconds(of(sync)?))))
    };
    page.metric(
        "nbkp_sync_last_success_timestamp_seconds",
        "When the newest copy was finished; missing if there is none.",
        moments(|sync| sync.last_success),
    );
    page.metric(
        "nbkp_sync_overdue_timestamp_seconds",
        "When the newest copy is or was overdue; missing where max-age is off.",
        moments(|sync| sync.overdue_at),
    );
    page.metric(
        "nbkp_sync_next_due_timestamp_seconds",
        "When the next copy is wanted; missing if no time alone makes it due.",
        moments(|sync| sync.next_due),
    );
    let obstacles = syncs().flat_map(|(sync, [label])| {
        let codes: std::collections::BTreeSet<&str> =
            sync.obstacles.iter().map(|obstacle| obstacle.code().as_str()).collect();
        codes.into_iter().map(move |code| ([label, ("code", code)], 1))
    });
    page.metric("nbkp_sync_obstacle", "1 for each kind of obstacle that stands in the way of a sync.", obstacles);
}

fn of_runs(page: &mut Page, status: &Status) {
    let runs = || {
        status.syncs.iter().filter_map(move |sync| Some(([("sync", sync.name.as_str())], sync.last_run.as_deref()?)))
    };
    let outcomes = runs().flat_map(|([label], run)| {
        Outcome::WORDS
            .iter()
            .map(move |(word, outcome)| ([label, ("outcome", word)], i64::from(*outcome == run.outcome)))
    });
    page.metric("nbkp_sync_last_run_outcome", "1 for how the last run of a sync ended, 0 for the rest.", outcomes);
    let figures = |of: fn(&RunRecord) -> i64| runs().map(move |(labels, run)| (labels, of(run)));
    page.metric(
        "nbkp_sync_last_run_timestamp_seconds",
        "When the last run ended.",
        figures(|run| seconds(run.finished)),
    );
    page.metric(
        "nbkp_sync_last_run_duration_seconds",
        "How long the last run took.",
        figures(|run| seconds(run.finished).saturating_sub(seconds(run.started)).max(0)),
    );
    page.metric(
        "nbkp_sync_last_run_transferred_files",
        "How many files the last run copied.",
        figures(|run| whole(run.figures.files_transferred)),
    );
    page.metric(
        "nbkp_sync_last_run_transferred_bytes",
        "How many bytes the last run copied.",
        figures(|run| whole(run.figures.bytes_transferred)),
    );
}

/// Seconds since 1970, rounded down.
fn seconds(moment: Timestamp) -> i64 {
    moment.as_second()
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The text so far.
#[derive(Default)]
struct Page {
    text: String,
}

impl Page {
    /// A gauge, if there is anything to say with it.
    fn metric<'a, const N: usize>(
        &mut self,
        name: &str,
        about: &str,
        samples: impl IntoIterator<Item = ([(&'a str, &'a str); N], i64)>,
    ) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        let _ = write!(self.text, "# HELP {name} {about}\n# TYPE {name} gauge\n");
        for (labels, value) in samples {
            let labels: Vec<String> =
                labels.iter().map(|(name, text)| format!("{name}=\"{}\"", escaped(text))).collect();
            let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
            self.line(name, &labels, value);
        }
    }

    fn line(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = writeln!(self.text, "{name}{labels} {value}");
    }
}

/// The value of a label.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}
