//! What the daemon keeps: the state directory, the history, the clock that both depend on.

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use super::{alone, mend};
use crate::model::{Area, Examined, FileSight, Flaw, HistorySight, OthersRights, Room, Status, Verdict};

/// Less room than this, in bytes, is hardly any: the history of a busy year takes some megabytes.
const HARDLY_ANY: u64 = 16 << 20;

/// So many inodes are needed for what is written anew beside the old.
const FEW: u64 = 16;

/// How far the clock may be behind what was recorded: another daemon may have written a moment ago.
const BEHIND: Duration = Duration::from_mins(2);

/// The state directory: whose it is, whether it takes what is written, and how much room is left.
#[must_use]
pub fn directory(path: &Path, sight: &FileSight, written: &Result<(), String>, room: Option<Room>) -> Examined {
    let shown = path.display();
    let mut findings = Vec::new();
    if let FileSight::There(guarded) = sight {
        if guarded.is_open_to_others() {
            let finding = Flaw::StateExposed.error(
                format!("others may write to {shown}, where it is kept which drives are trusted; nbkpd will not start"),
                alone(guarded, "700", &shown, "name a directory of your own with --state-dir"),
            );
            findings.push(finding.mended_by(mend(guarded, path, OthersRights::All)));
        } else if guarded.is_readable_to_others() {
            let finding = Flaw::StateExposed.warning(
                format!("others may look into {shown}, where the history of your backups lies"),
                format!("run `chmod 700 {shown}`"),
            );
            findings.push(finding.mended_by(mend(guarded, path, OthersRights::All)));
        }
    }
    match (written, room) {
        (Err(why), _) => findings.push(Flaw::StateUnusable.error(
            format!("nothing can be written to {shown}: {why}; history is lost, and nbkpd may not start again"),
            format!("make room there, or make it writable (`findmnt -T {shown}` shows its filesystem)"),
        )),
        (Ok(()), Some(room)) if room.bytes < HARDLY_ANY || room.inodes.is_some_and(|inodes| inodes < FEW) => {
            let what = if room.bytes < HARDLY_ANY { "room" } else { "inodes" };
            findings.push(Flaw::StateFull.warning(
                format!("hardly any {what} is left on the filesystem of {shown}"),
                format!("make room there (`df -h {shown}`, `df -i {shown}`)"),
            ));
        }
        (Ok(()), _) => {}
    }
    Area::State
        .examined("directory", Verdict::of(findings, || format!("{shown} is yours alone and takes what is written")))
}

/// A state directory that is not there, while no daemon runs that would have made it: whether it can be made.
#[must_use]
pub fn directory_to_come(path: &Path, room_for_it: &Result<(), String>) -> Examined {
    let shown = path.display();
    match room_for_it {
        Ok(()) => Area::State.well("directory", format!("{shown} is not there yet; nbkpd makes it when it starts")),
        Err(why) => Area::State.examined(
            "directory",
            Flaw::StateUnusable.error(
                format!("{shown} is not there, and cannot be made: {why}; nbkpd will not start"),
                "make it by hand, or name another with --state-dir",
            ),
        ),
    }
}

/// What people decided; why it cannot be read, if so.
#[must_use]
pub fn ledger(read: &Result<(), String>) -> Examined {
    match read {
        Ok(()) => Area::State.well("ledger", "holds, pauses and approvals are kept"),
        Err(why) => Area::State.examined(
            "ledger",
            Flaw::LedgerBroken.warning(
                format!("could not {why}; when nbkpd starts, holds, pauses and approvals are forgotten"),
                "give them again then (`nbkpctl hold`, `nbkpctl pause`, `nbkpctl approve`); nbkpd begins a new file",
            ),
        ),
    }
}

/// The history, as SQLite checks it.
#[must_use]
pub fn history_file(path: &Path, checked: &HistorySight) -> Examined {
    match checked {
        HistorySight::NoneYet => Area::State.well("history", "none is kept yet"),
        HistorySight::CutOff => {
            Area::State.well("history", "its last write was cut off, which nbkpd undoes before it uses it")
        }
        HistorySight::Sound => Area::State.well("history", "SQLite finds no fault in it"),
        HistorySight::Broken(why) => Area::State.examined(
            "history",
            Flaw::HistoryBroken.warning(
                format!("{} cannot be used as it is: {why}; what is due may be judged wrongly", path.display()),
                format!("put it aside and restart nbkpd, which begins a new one: `mv {0} {0}.old`", path.display()),
            ),
        ),
    }
}

/// The clock, beside the newest run that was recorded.
#[must_use]
pub fn clock(status: &Status, now: Timestamp) -> Examined {
    let latest = status.syncs.iter().filter_map(|sync| sync.last_run.as_ref().map(|run| run.finished)).max();
    let behind = latest.filter(|latest| now.checked_add(BEHIND).is_ok_and(|limit| *latest > limit));
    match behind {
        None => Area::State.well("clock", "it is not behind what was recorded"),
        Some(latest) => Area::State.examined(
            "clock",
            Flaw::ClockBehind.warning(
                format!("it is {now:.0}, which is before the end of the last recorded run, {latest:.0}"),
                "set the clock (`timedatectl set-ntp true`); if it was ahead before and is right now, run \
                 `nbkpctl run` once",
            ),
        ),
    }
}
