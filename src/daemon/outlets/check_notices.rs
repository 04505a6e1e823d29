//! What the journal is told of copies that are read back.

use std::path::PathBuf;

use crate::daemon::outlets::message_id;
use crate::formats::text;
use crate::model::{CheckRecord, DamagedFile, RunId, SampleShare, SyncName};

pub(super) fn tell_start_of_check(run: &RunId, sync: &SyncName, share: SampleShare) {
    tracing::info!(
        message_id = message_id::CHECK_STARTED,
        nbkp.sync = sync.as_str(),
        nbkp.run = run.as_str(),
        "{sync}: {} % of its copy is read back and compared",
        share.as_percent()
    );
}

pub(super) fn write_check(record: &CheckRecord) {
    let (sync, run, outcome, sums) = (record.sync.as_str(), record.run.as_str(), record.outcome.as_str(), &record.sums);
    match &record.error {
        None if sums.files == 0 => tracing::info!(
            message_id = message_id::CHECK_OK,
            nbkp.sync = sync,
            nbkp.run = run,
            nbkp.outcome = outcome,
            "{sync}: its copy holds no files, so there was nothing to read back"
        ),
        None => tracing::info!(
            message_id = message_id::CHECK_OK,
            nbkp.sync = sync,
            nbkp.run = run,
            nbkp.outcome = outcome,
            nbkp.files = sums.files,
            nbkp.bytes = sums.bytes,
            "{sync}: {} ({}) of its copy read back, {} compared, nothing is damaged",
            text::count(sums.files, "file"),
            text::size(sums.bytes),
            text::grouped(sums.compared)
        ),
        Some(error) => tracing::warn!(
            message_id = message_id::CHECK_FAILED,
            nbkp.sync = sync,
            nbkp.run = run,
            nbkp.outcome = outcome,
            nbkp.damaged = sums.damaged,
            "{sync}: {}",
            text::printable(error)
        ),
    }
}

/// How many there are, and the first by name: all of them would be no line.
fn named<'a>(files: impl ExactSizeIterator<Item = &'a PathBuf>) -> String {
    const NAMED: usize = 5;
    let all = files.len();
    let names = files.take(NAMED).map(|path| format!("`{}`", text::printable(&path.to_string_lossy())));
    let names = names.collect::<Vec<_>>().join(", ");
    let count = text::count(u64::try_from(all).unwrap_or(u64::MAX), "file");
    format!("{count}: {names}{}", if all > NAMED { " and more" } else { "" })
}

pub(super) fn tell_damage(sync: &SyncName, files: &[DamagedFile]) {
    tracing::warn!(
        message_id = message_id::DAMAGED,
        nbkp.sync = sync.as_str(),
        nbkp.damaged = files.len(),
        "{sync}: damaged in its copy: {}; the next run writes anew what the source has",
        named(files.iter().map(|file| &file.path))
    );
}

pub(super) fn tell_doubt(sync: &SyncName, files: &[PathBuf]) {
    tracing::warn!(
        message_id = message_id::SOURCE_DOUBTED,
        nbkp.sync = sync.as_str(),
        "{sync}: not what all its copies hold, though size and time are the same: {}; perhaps the source is what is \
         damaged; {}",
        named(files.iter()),
        text::doubt_remedy(sync.as_str())
    );
}
