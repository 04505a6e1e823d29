//! Shows announcements on the desktop, one notification for each subject. Nobody waits for that. What somebody has to
//! know is kept until there is a desktop that shows it; the rest is worth nothing by then.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use crate::daemon::messages::ask::Ask;
use crate::decide::backoff;
use crate::formats::announcement::notification;
use crate::model::{Announcement, BootTime, Button, Configuration, Matter, Notify, Remedy, Subject};
use crate::os::causes::chain;
use crate::os::clock;
use crate::os::notifications::{self, Desk, NotificationId, NotificationsError, Reaction};

/// Where announcements wait for the notifier: the newest of each subject, so that it is never full.
#[derive(Debug)]
pub struct Board(watch::Sender<BTreeMap<Subject, Matter>>);

/// The notifier's side of the board.
#[derive(Debug)]
pub struct Mail {
    board: watch::Sender<BTreeMap<Subject, Matter>>,
    news: watch::Receiver<BTreeMap<Subject, Matter>>,
}

/// An empty board.
#[must_use]
pub fn board() -> (Board, Mail) {
    let (board, news) = watch::channel(BTreeMap::new());
    (Board(board.clone()), Mail { board, news })
}

impl Board {
    /// Puts an announcement up, in the place of what was not yet read of its subject.
    pub fn post(&self, announcement: Announcement) {
        let Announcement { subject, matter } = announcement;
        self.0.send_modify(|board| {
            board.insert(subject, matter);
        });
    }
}

impl Mail {
    /// Waits until there is something on the board, and takes it all.
    async fn take(&mut self) -> BTreeMap<Subject, Matter> {
        // The board has a sender on this side, too, so that it does not close.
        let _ = self.news.changed().await;
        let mut taken = BTreeMap::new();
        self.board.send_if_modified(|board| {
            taken = std::mem::take(board);
            false
        });
        taken
    }
}

/// Shows what is announced and wanted, until it is aborted. A connection to the desktop is held only while something
/// that is shown may have to be replaced, or its button be pressed.
pub async fn show_announcements(
    mut mail: Mail,
    configuration: watch::Receiver<Arc<Configuration>>,
    asks: mpsc::Sender<Ask>,
) {
    let (mut wall, mut untold) = (Wall::default(), Untold::default());
    loop {
        let has_news = tokio::select! {
            news = mail.take() => {
                untold.add(news);
                true
            }
            () = untold.may_be_told() => {
                untold.failures = untold.failures.saturating_add(1);
                true
            }
            reaction = wall.reaction() => {
                match reaction {
                    // It goes with its button; what says so comes when another may have its number.
                    Some(Reaction::Pressed(id, Button::Hold)) => hold(wall.forget(id), &asks).await,
                    Some(Reaction::Closed(id)) => drop(wall.forget(id)),
                    None => wall = Wall::default(),
                }
                false
            }
        };
        if has_news {
            let notify = configuration.borrow().daemon.notify;
            untold.tell(&mut wall, notify).await;
        }
        if wall.shown.is_empty() {
            wall.desk = None;
        }
    }
}

/// Does what `nbkpctl hold` does. What comes of it is announced by itself.
async fn hold(subject: Option<Subject>, asks: &mpsc::Sender<Ask>) {
    let Some(Subject::Drive(volume)) = subject else { return };
    let (answer, _nobody_waits) = oneshot::channel();
    // Without a dispatcher the daemon is ending.
    let _ = asks.send(Ask::Hold { volume, length: None, answer }).await;
}

/// What nobody could be told yet, and since when.
#[derive(Debug, Default)]
struct Untold {
    matters: BTreeMap<Subject, (Matter, BootTime)>,
    /// How often in a row it was told in vain though somebody was there.
    failures: u32,
}

impl Untold {
    fn add(&mut self, news: BTreeMap<Subject, Matter>) {
        let now = clock::boot();
        self.matters.extend(news.into_iter().map(|(subject, matter)| (subject, (matter, now))));
    }

    /// Waits until it may be worth trying; for ever where nothing is to be told.
    async fn may_be_told(&self) {
        if self.matters.is_empty() {
            return std::future::pending().await;
        }
        if self.failures > 0 {
            tokio::time::sleep(backoff::wait(self.failures, Remedy::TryAgain, 0)).await;
        }
        notifications::somebody_is_there().await;
    }

    /// Tells all of it, as far as somebody hears. What is only good to know at the time is dropped otherwise.
    async fn tell(&mut self, wall: &mut Wall, notify: Notify) {
        while let Some((subject, (matter, since))) = self.matters.pop_first() {
            // What is not wanted takes back what was said before all the same.
            let wanted =
                if notify.wants(&matter) { matter.after(clock::boot().since(since)) } else { Matter::Withdrawn };
            if let Err(error) = wall.tell(Announcement { subject: subject.clone(), matter: wanted }).await {
                tracing::debug!("could not {}", chain(&error));
                *wall = Wall::default();
                self.matters.insert(subject, (matter, since));
                self.matters.retain(|_, (matter, _)| matter.lasts() && notify.wants(matter));
                return;
            }
        }
        self.failures = 0;
    }
}

/// What is shown, and where.
#[derive(Debug, Default)]
struct Wall {
    desk: Option<Desk>,
    shown: BTreeMap<Subject, NotificationId>,
}

impl Wall {
    async fn tell(&mut self, announcement: Announcement) -> Result<(), NotificationsError> {
        if announcement.matter == Matter::Withdrawn {
            return match (&self.desk, self.shown.remove(&announcement.subject)) {
                (Some(desk), Some(id)) => desk.close(id).await,
                (_, _) => Ok(()),
            };
        }
        if self.desk.is_some() {
            match self.show(&announcement).await {
                // The service that we knew may have another one in its place, which knows nothing of what was shown.
                Err(error) if error.is_gone() => *self = Self::default(),
                shown => return shown,
            }
        }
        self.desk = Some(Desk::find().await?);
        self.show(&announcement).await
    }

    async fn show(&mut self, announcement: &Announcement) -> Result<(), NotificationsError> {
        let Some(desk) = &self.desk else { return Ok(()) };
        let Some(notification) = notification(announcement, desk.buttons()) else { return Ok(()) };
        let replaced = self.shown.get(&announcement.subject).copied();
        let id = desk.show(&notification, replaced).await?;
        // A service may have given the number of one that it no longer shows.
        self.shown.retain(|_, shown| *shown != id);
        self.shown.insert(announcement.subject.clone(), id);
        Ok(())
    }

    /// Waits for what a person does; for ever where nothing is shown.
    async fn reaction(&mut self) -> Option<Reaction> {
        match &mut self.desk {
            Some(desk) => desk.reaction().await,
            None => std::future::pending().await,
        }
    }

    /// What is shown no longer, and what it was about.
    fn forget(&mut self, id: NotificationId) -> Option<Subject> {
        self.shown.extract_if(.., |_, shown| *shown == id).next().map(|(subject, _)| subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_board_keeps_the_newest_of_each_subject_and_is_never_full() {
        let (board, mut mail) = board();
        let subject = |name: &str| Subject::Drive(name.parse().unwrap());
        for _ in 0..100_000 {
            board.post(Announcement { subject: subject("usb"), matter: Matter::OnHold });
        }
        board.post(Announcement { subject: subject("red"), matter: Matter::OnHold });
        board.post(Announcement { subject: subject("usb"), matter: Matter::Withdrawn });
        let taken = mail.take().await;
        assert_eq!(taken, [(subject("red"), Matter::OnHold), (subject("usb"), Matter::Withdrawn)].into());
        // What was taken is not there any more, and does not come back with what follows.
        board.post(Announcement { subject: subject("blue"), matter: Matter::OnHold });
        assert_eq!(mail.take().await.len(), 1);
    }
}
