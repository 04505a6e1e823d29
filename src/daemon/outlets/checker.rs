//! Checks that the daemon makes by itself: each on a thread of its own, which gives way to everything else.

use tokio::sync::mpsc::Sender;

use crate::backup::check::order::{CheckEnding, CheckOrder, CheckTelling, EndedCheck};
use crate::backup::check::{CheckProgress, check_copy};
use crate::backup::session::stop;
use crate::model::{CheckWish, Interruption, RunId, SyncName};
use crate::os::ssh::SshPlace;

/// A check under way.
#[derive(Debug)]
pub struct Checker(stop::Teller);

impl Checker {
    /// Tells it to stop, without waiting for it; it reads no further than the piece of a file that it is at.
    pub fn stop(&self, why: Interruption) {
        self.0.tell(why);
    }
}

/// Tells how a check ended, once, whatever made it end.
struct LastWord {
    run: RunId,
    sync: SyncName,
    end: CheckEnding,
    news: Sender<CheckTelling>,
}

impl Drop for LastWord {
    fn drop(&mut self) {
        let end = std::mem::replace(&mut self.end, CheckEnding::Stopped);
        let ended = EndedCheck { run: self.run.clone(), sync: self.sync.clone(), end };
        // Nobody listens any more when the daemon has ended.
        let _gone = self.news.blocking_send(CheckTelling::Ended(Box::new(ended)));
    }
}

/// Starts a check; what belongs to its connections lies at `ssh`. Exactly one `CheckTelling::Ended` follows.
pub fn start_check(order: CheckOrder, ssh: SshPlace, news: Sender<CheckTelling>) -> std::io::Result<Checker> {
    let (teller, mut stops) = stop::pair()?;
    let sync = order.seen.sync.name.clone();
    std::thread::Builder::new()
        .name(format!("check-{sync}"))
        .spawn(move || {
            let run = order.run.clone();
            let end = CheckEnding::Failed("the check ended without a result".into());
            let mut last = LastWord { run: run.clone(), sync, end, news: news.clone() };
            let mut hear = |progress: CheckProgress| {
                // Progress that nobody takes is told anew soon.
                let _full = news.try_send(CheckTelling::Progress(run.clone(), progress));
            };
            let wish = CheckWish { share: order.share, snapshot: None };
            last.end = match check_copy(&order.seen, (wish, order.turn), &ssh, (&mut stops, &mut hear)) {
                Ok(report) => CheckEnding::Read(Box::new(report)),
                Err(_) if stops.check().is_err() => CheckEnding::Stopped,
                Err(why) => CheckEnding::Failed(why),
            };
        })
        .map(|_detached| Checker(teller))
}
