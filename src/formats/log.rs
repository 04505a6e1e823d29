//! The log at a destination, one line a run, each checked by a CRC of its own.
//!
//! It tells and never decides: a line may keep a snapshot from being counted as good, but makes nobody delete one.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{Outcome, RunId, SnapshotName, Standing, SyncName, Worded};

/// The version that is written. Lines of a later one are passed over.
const VERSION: u32 = 1;
/// The newest lines that are kept when the log is cut.
const LINES: usize = 10_000;
/// The size from which on the log is cut, in bytes.
pub const LIMIT: u64 = 4 << 20;
/// The size to which it is cut, in bytes, so that this is seldom.
pub const CUT_TO: u64 = 2 << 20;

/// One run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRecord {
    /// The run.
    pub run: RunId,
    /// Its sync.
    pub sync: SyncName,
    /// The machine that made it.
    pub host: String,
    /// What tells it, with its source, from others.
    pub writer: Option<String>,
    /// When it started.
    pub started: Timestamp,
    /// When it ended.
    pub finished: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it did not end well.
    pub error: Option<String>,
    /// The snapshot it made.
    pub snapshot: Option<SnapshotName>,
    /// How far what it made can be trusted.
    pub standing: Standing,
    /// Entries of the copy.
    pub entries: u64,
    /// Files whose data was sent.
    pub files: u64,
    /// Bytes that were sent.
    pub bytes: u64,
    /// Entries that were deleted.
    pub deletions: u64,
}

#[derive(Serialize, Deserialize)]
struct Line {
    version: u32,
    run: String,
    sync: String,
    host: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    writer: Option<String>,
    started: String,
    finished: String,
    outcome: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    snapshot: Option<String>,
    standing: String,
    entries: u64,
    files: u64,
    bytes: u64,
    deletions: u64,
}

const CRC: &str = ",\"crc\":\"";

/// The line of a run, without the line feed.
#[must_use]
pub fn record_line(record: &LogRecord) -> String {
    let line = Line {
        version: VERSION,
        run: record.run.to_string(),
        sync: record.sync.to_string(),
        host: record.host.clone(),
        writer: record.writer.clone(),
        started: record.started.to_string(),
        finished: record.finished.to_string(),
        outcome: record.outcome.as_str().to_owned(),
        error: record.error.clone(),
        snapshot: record.snapshot.map(|name| name.to_string()),
        standing: record.standing.as_str().to_owned(),
        entries: record.entries,
        files: record.files,
        bytes: record.bytes,
        deletions: record.deletions,
    };
    // Such a structure of texts and numbers always has a JSON form.
    let text = serde_json::to_string(&line).unwrap_or_else(|_| "{}".to_owned());
    let body = text.strip_suffix('}').unwrap_or(&text);
    format!("{body}{CRC}{:08x}\"}}", crc32fast::hash(text.as_bytes()))
}

/// The runs of a log, oldest first. Torn, damaged and foreign lines are passed over.
#[must_use]
pub fn records(bytes: &[u8]) -> Vec<LogRecord> {
    bytes.split(|byte| *byte == b'\n').filter_map(record).collect()
}

fn record(line: &[u8]) -> Option<LogRecord> {
    let text = std::str::from_utf8(line).ok()?;
    let (body, crc) = text.rsplit_once(CRC)?;
    let crc = u32::from_str_radix(crc.strip_suffix("\"}")?, 16).ok()?;
    let whole = format!("{body}}}");
    if crc32fast::hash(whole.as_bytes()) != crc {
        return None;
    }
    let line: Line = serde_json::from_str(&whole).ok()?;
    if line.version != VERSION {
        return None;
    }
    let snapshot = match line.snapshot {
        Some(name) => Some(name.parse().ok()?),
        None => None,
    };
    Some(LogRecord {
        run: line.run.parse().ok()?,
        sync: line.sync.parse().ok()?,
        host: line.host,
        writer: line.writer,
        started: line.started.parse().ok()?,
        finished: line.finished.parse().ok()?,
        outcome: Outcome::of_word(&line.outcome)?,
        error: line.error,
        snapshot,
        standing: Standing::of_word(&line.standing)?,
        entries: line.entries,
        files: line.files,
        bytes: line.bytes,
        deletions: line.deletions,
    })
}

/// The newest lines of a log that has grown too long, as they were.
#[must_use]
pub fn cut(bytes: &[u8]) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = Vec::new();
    let mut size = 0_usize;
    for line in bytes.split(|byte| *byte == b'\n').rev().filter(|line| !line.is_empty()).take(LINES) {
        size = size.saturating_add(line.len()).saturating_add(1);
        if u64::try_from(size).is_ok_and(|size| size > CUT_TO) {
            break;
        }
        lines.push(line);
    }
    lines.into_iter().rev().flat_map(|line| line.iter().copied().chain([b'\n'])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> LogRecord {
        LogRecord {
            run: "20261122T173000.123Z-9f3a".parse().unwrap(),
            sync: "documents@blue".parse().unwrap(),
            host: "lap\"top".into(),
            writer: Some("00000000000000aa".into()),
            started: "2026-11-22T17:30:00Z".parse().unwrap(),
            finished: "2026-11-22T17:31:00Z".parse().unwrap(),
            outcome: Outcome::Ok,
            error: Some("a \"quoted\" path,\"crc\":\"x\"}\nand a line".into()),
            snapshot: Some("2026-11-22T17:30:00.123Z".parse().unwrap()),
            standing: Standing::Partial,
            entries: 7,
            files: 3,
            bytes: 12,
            deletions: 1,
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let line = record_line(&sample());
        assert!(!line.contains('\n'), "{line}");
        assert_eq!(records(line.as_bytes()), [sample()]);
    }

    #[test]
    fn a_line_of_the_first_release_is_still_read() {
        let line = concat!(
            r#"{"version":1,"run":"20261122T173000.123Z-9f3a","sync":"a","host":"h","started":"2026-11-22T17:30:00Z","#,
            r#""finished":"2026-11-22T17:31:00Z","outcome":"ok","snapshot":"2026-11-22T17:30:00.123Z","#,
            r#""standing":"good","entries":7,"files":3,"bytes":12,"deletions":1,"crc":"CRC"}"#
        );
        let body = line.replace(",\"crc\":\"CRC\"", "");
        let line = line.replace("CRC", &format!("{:08x}", crc32fast::hash(body.as_bytes())));
        assert_eq!(records(line.as_bytes()).len(), 1, "{line}");
    }

    #[test]
    fn no_truncation_and_no_changed_byte_passes() {
        let line = record_line(&sample());
        let two = format!("{line}\n{line}");
        for end in 0..two.len() {
            let whole = usize::from(end >= line.len());
            assert_eq!(records(two.as_bytes().get(..end).unwrap()).len(), whole, "{end}");
        }
        for place in 0..line.len() {
            let mut bytes = line.clone().into_bytes();
            bytes[place] ^= 1;
            let read = records(&bytes);
            // A changed letter case of the CRC itself is the same number.
            assert!(read.is_empty() || read == [sample()], "{place}");
        }
    }

    #[test]
    fn a_long_log_keeps_its_newest_lines() {
        let line = record_line(&sample());
        let mut log = String::new();
        for number in 0..15_000 {
            log.push_str(&line.replace("9f3a", &format!("{number:04x}")));
            log.push('\n');
        }
        let kept = cut(log.as_bytes());
        assert!((CUT_TO / 2..=CUT_TO).contains(&u64::try_from(kept.len()).unwrap()), "{}", kept.len());
        assert!(log.as_bytes().ends_with(&kept));
    }
}
