//! Checks on behalf of a client.

use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use crate::backup::check::{CheckProgress, check_copy};
use crate::backup::job::SyncAsSeen;
use crate::backup::session::stop;
use crate::daemon::messages::ask::{Ask, Refusal};
use crate::daemon::messages::errand::{ErrandNews, ErrandResult};
use crate::decide::checking::next_turn;
use crate::decide::rounds::outcome;
use crate::formats::text::check_sentence;
use crate::formats::wire::{CheckEnd, CheckNews, CheckedCopy, SyncProblem};
use crate::model::{CheckRecord, CheckReport, CheckWish, Interruption, RunId, Trigger};
use crate::os::clock;
use crate::os::ssh::SshPlace;

/// What was found in the copies of these syncs, which is kept. It ends when the client leaves.
pub(super) fn checked(
    all: &[SyncAsSeen],
    wish: CheckWish,
    ssh: &SshPlace,
    (news, asks): (&mpsc::Sender<ErrandNews>, &mpsc::Sender<Ask>),
) -> ErrandResult {
    let (teller, mut stops) = match stop::pair() {
        Ok(pair) => pair,
        Err(cause) => return ErrandResult::Refused(Refusal::Failed(format!("could not start: {cause}; try again"))),
    };
    let mut end = CheckEnd::default();
    for seen in all {
        let sync = seen.sync.name.to_string();
        let mut hear = |now: CheckProgress| {
            let told = CheckNews { sync: sync.clone(), files: now.files, bytes: now.bytes };
            if news.blocking_send(ErrandNews::Checking(told)).is_err() {
                teller.tell(Interruption::Cancelled);
            }
        };
        let started = clock::now().wall;
        let turn = seen.turn.unwrap_or_else(|| fastrand::u8(0..100));
        match check_copy(seen, (wish, turn), ssh, (&mut stops, &mut hear)) {
            Ok(report) => {
                end.checked.push(CheckedCopy::from(&report));
                let (answer, kept) = oneshot::channel();
                let (share, turn) = (wish.share, next_turn(wish.share, turn));
                let record = Box::new(record(&report, (started, clock::now().wall)));
                let ask = Ask::Checked { report: Box::new(report), record, share, turn, answer };
                // A daemon that ends keeps nothing more; the person is told all the same.
                if asks.blocking_send(ask).is_ok() {
                    let _ = kept.blocking_recv();
                }
            }
            Err(message) => end.problems.push(SyncProblem { sync, message }),
        }
        if stops.check().is_err() {
            break;
        }
    }
    ErrandResult::Checked(end)
}

/// The check for the history.
fn record(report: &CheckReport, (started, finished): (Timestamp, Timestamp)) -> CheckRecord {
    let sums = report.sums();
    CheckRecord {
        run: RunId::new(started, fastrand::u16(..)),
        sync: report.sync.clone(),
        trigger: Trigger::Request,
        started,
        finished: finished.max(started),
        outcome: outcome(&sums),
        sums,
        error: check_sentence(&report.sync, &sums),
    }
}
