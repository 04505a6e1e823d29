//! Announcements in words, short and plain, for a desktop.

use std::borrow::Cow;
use std::time::Duration;

use crate::formats::text;
use crate::model::{
    Announcement, Button, Deeds, Failure, Matter, Notification, Obstacle, OpeningTrouble, Remedy, Subject, SyncName,
    Unclean, VolumeName, Weight,
};

/// The most characters of a message that comes from elsewhere; the journal has the rest.
const LONGEST: usize = 300;

/// Whether notifications can have buttons.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Buttons {
    /// They can.
    Shown,
    /// They cannot, so that the sentence names the command instead.
    Left,
}

/// The announcement in words; `None` for one that only takes back what was said before.
#[must_use]
pub fn notification(announcement: &Announcement, buttons: Buttons) -> Option<Notification> {
    let Announcement { subject, matter } = announcement;
    let plain = |summary: String, body: String, weight| Some(Notification { summary, body, weight, button: None });
    match matter {
        Matter::Starting { syncs, after } => Some(starting(subject, syncs, *after, buttons)),
        Matter::OnHold => {
            let body = format!("Nothing starts on it. `nbkpctl release {}` ends the hold.", name(subject));
            plain(format!("{} is on hold", title(subject)), body, Weight::Passing(None))
        }
        Matter::Done(deeds) => plain(format!("{}: done", title(subject)), done(deeds), Weight::Passing(None)),
        Matter::SafeToRemove(deeds) => {
            let body =
                if deeds.syncs.is_empty() { "Nothing was copied while it was in.".to_owned() } else { done(deeds) };
            plain(format!("{} is safe to remove", title(subject)), body, Weight::Passing(None))
        }
        Matter::Failed(failure) => {
            plain(format!("{} failed", title(subject)), failed(failure, name(subject)), Weight::Standing)
        }
        Matter::NotOpened(drive, trouble) => {
            let (what, advice) = (sentence(&trouble.to_string()), sentence(&trouble.hint(drive)));
            let body = format!("{what}\n{advice} {}", again(trouble));
            plain(format!("{} could not be opened", title(subject)), body.trim_end().into(), Weight::Standing)
        }
        Matter::Unclean(Unclean { why, command }) => {
            let how = format!("Unmount it (`nbkpctl unmount {}`), then `sudo {command}`.", name(subject));
            let body = format!("{}\nIt is used all the same. {how}", sentence(why));
            plain(format!("{} should be checked", title(subject)), body, Weight::Standing)
        }
        Matter::Unusable(obstacle, sync) => {
            let body = waits(obstacle, &Subject::Sync(sync.clone()));
            plain(format!("{} cannot be used", title(subject)), body, Weight::Standing)
        }
        Matter::Held(obstacles) => {
            let sentences: Vec<_> = obstacles.iter().map(|obstacle| waits(obstacle, subject)).collect();
            plain(format!("{} needs your approval", title(subject)), sentences.join("\n"), Weight::Pressing)
        }
        Matter::Damaged(files, doubted) => Some(of_damage(subject, (*files, *doubted))),
        Matter::Overdue { syncs, age, waits_for, fresh_at } => {
            let told = match (syncs.len(), age) {
                (1, Some(age)) => format!("its last copy is {} old", text::span(*age)),
                (_, Some(age)) => format!("the oldest copy is {} old", text::span(*age)),
                (1, None) => "never copied".to_owned(),
                (_, None) => "not all were ever copied".to_owned(),
            };
            let mut body = format!("{}: {told}.", names(syncs));
            if let (Some(fresh), Subject::Overdue(volume)) = (fresh_at, subject) {
                let body = format!("{body}\nOn {fresh} is a fresh copy.");
                return plain(format!("{volume} is due to rotate in"), body, Weight::Standing);
            }
            if let Some(obstacle) = waits_for {
                body.push('\n');
                body.push_str(&waits(obstacle, &Subject::Sync(syncs.first()?.clone())));
            }
            plain(format!("{} is overdue", title(subject)), body, Weight::Pressing)
        }
        Matter::Withdrawn => None,
    }
}

/// The text as a server shows it that takes `<b>` and `&amp;` for markup.
#[must_use]
pub fn without_markup(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>']) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"))
}

fn starting(subject: &Subject, syncs: &[SyncName], after: Duration, buttons: Buttons) -> Notification {
    let (button, way_out) = match buttons {
        Buttons::Shown => (Some(Button::Hold), String::new()),
        Buttons::Left => (None, format!(" `nbkpctl hold {}` keeps hands off it.", name(subject))),
    };
    Notification {
        // Nobody counts what is left of a second.
        summary: format!("{}: backup starts in {}", title(subject), text::span(after + Duration::from_millis(999))),
        body: format!("{} will be copied.{way_out}", names(syncs)),
        weight: Weight::Passing(Some(after)),
        button,
    }
}

/// What checks found: so many damaged files of copies, and so many of a source that differ from copies that agree.
fn of_damage(subject: &Subject, (files, doubted): (u64, u64)) -> Notification {
    let are = |number: u64| if number == 1 { "is" } else { "are" };
    let mut body = Vec::new();
    if files > 0 {
        let count = text::count(files, "file");
        body.push(format!("{count} {} damaged. The next run writes anew what the source has.", are(files)));
    }
    if doubted > 0 {
        let (count, are) = (text::count(doubted, "file"), are(doubted));
        body.push(format!("{count} of the source {are} not what its copies hold: perhaps the source is damaged."));
    }
    body.push(format!("`nbkpctl verify {}` tells more.", name(subject)));
    let what = if files > 0 { "is damaged" } else { "differs from its source" };
    let (summary, body) = (format!("{} {what}", title(subject)), body.join("\n"));
    Notification { summary, body, weight: Weight::Pressing, button: None }
}

fn done(deeds: &Deeds) -> String {
    let syncs = names(&deeds.syncs);
    match deeds.files {
        0 => format!("{syncs}: nothing had changed."),
        files => format!("{syncs}: {}, {} copied.", text::count(files, "file"), text::size(deeds.bytes)),
    }
}

fn failed(failure: &Failure, sync: &str) -> String {
    let (what, advice) = (sentence(&failure.detail), sentence(failure.kind.advice()));
    let afterwards = match failure.kind.remedy() {
        Remedy::TryAgain => "It is tried again by itself. At first after half a minute, at last once an hour.".into(),
        Remedy::WaitForChange => "It goes on by itself then.".to_owned(),
        Remedy::AskPerson => format!("Then: `nbkpctl run {sync}`."),
    };
    format!("{what}\n{advice} {afterwards}")
}

/// How often it is tried again to open a drive, and until when.
fn again(trouble: &OpeningTrouble) -> &'static str {
    match trouble {
        // It is tried as soon as the keyring tells that it is open.
        OpeningTrouble::KeyringLocked(_) | OpeningTrouble::MissingOrLocked(_) | OpeningTrouble::KeyringAbsent(_) => "",
        OpeningTrouble::NoSecret(..) | OpeningTrouble::WrongSecret(_) | OpeningTrouble::NotAuthorized(_) => {
            "While it is plugged in, it is tried again once an hour."
        }
        OpeningTrouble::Damaged { .. } => "While it is plugged in, it is tried again when that is done.",
        OpeningTrouble::NoUdisks(_) | OpeningTrouble::OutOfReach(_) | OpeningTrouble::Other(_) => {
            "While it is plugged in, it is tried again, at first after half a minute, at last once an hour."
        }
    }
}

/// What stands in the way, and what to do about it.
fn waits(obstacle: &Obstacle, subject: &Subject) -> String {
    let what = sentence(&obstacle.to_string());
    match subject {
        Subject::Sync(sync) | Subject::Damage(sync) => format!("{what} {}", sentence(&obstacle.hint(sync))),
        Subject::Drive(_) | Subject::Overdue(_) => what,
    }
}

/// A fragment as a sentence. It may hold the names of strangers' files, so it is made harmless, and cut.
fn sentence(fragment: &str) -> String {
    let harmless = text::printable(fragment);
    let mut rest = harmless.chars();
    let mut shown: String = rest.by_ref().take(1).flat_map(char::to_uppercase).collect();
    shown.extend(rest.by_ref().take(LONGEST));
    shown.push(if rest.next().is_some() { '…' } else { '.' });
    shown
}

fn title(subject: &Subject) -> String {
    match subject {
        Subject::Sync(sync) => format!("Backup {sync}"),
        Subject::Damage(sync) => format!("The copy of {sync}"),
        Subject::Drive(volume) => format!("Drive {volume}"),
        Subject::Overdue(volume) => format!("Backup to {volume}"),
    }
}

fn name(subject: &Subject) -> &str {
    match subject {
        Subject::Sync(sync) | Subject::Damage(sync) => sync.as_str(),
        Subject::Drive(volume) | Subject::Overdue(volume) => VolumeName::as_str(volume),
    }
}

/// At most a few names: a notification is no list.
fn names(syncs: &[SyncName]) -> String {
    const SHOWN: usize = 5;
    let shown: Vec<&str> = syncs.iter().take(SHOWN).map(SyncName::as_str).collect();
    match syncs.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Absence, End, FailureKind, HoldReason, PathSet, StandingHold, Step};

    fn syncs(names: &[&str]) -> Vec<SyncName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    fn shown(subject: Subject, matter: Matter) -> Notification {
        notification(&Announcement { subject, matter }, Buttons::Shown).unwrap()
    }

    fn drive() -> Subject {
        Subject::Drive("usb".parse().unwrap())
    }

    fn sync() -> Subject {
        Subject::Sync("documents".parse().unwrap())
    }

    fn failure(kind: FailureKind, detail: &str) -> Matter {
        Matter::Failed(Failure { at: Step::Copy, kind, detail: detail.to_owned() })
    }

    #[test]
    fn a_start_can_be_held_by_a_button_or_by_a_command() {
        let matter = Matter::Starting { syncs: syncs(&["documents", "photos"]), after: Duration::from_millis(9_944) };
        let with = shown(drive(), matter.clone());
        assert_eq!(with.summary, "Drive usb: backup starts in 10 s");
        assert_eq!(with.body, "documents, photos will be copied.");
        assert_eq!(
            (with.button, with.weight),
            (Some(Button::Hold), Weight::Passing(Some(Duration::from_millis(9_944))))
        );
        let without = notification(&Announcement { subject: drive(), matter }, Buttons::Left).unwrap();
        assert_eq!(without.body, "documents, photos will be copied. `nbkpctl hold usb` keeps hands off it.");
        assert_eq!(without.button, None);
    }

    #[test]
    fn what_checks_found_is_told_for_copies_and_for_sources() {
        let told = |files, doubted| {
            let shown = shown(Subject::Damage("documents".parse().unwrap()), Matter::Damaged(files, doubted));
            format!("{}: {}", shown.summary, shown.body.replace('\n', " "))
        };
        let (anew, more) = ("The next run writes anew what the source has.", "`nbkpctl verify documents` tells more.");
        let perhaps = "not what its copies hold: perhaps the source is damaged.";
        assert_eq!(told(2, 0), format!("The copy of documents is damaged: 2 files are damaged. {anew} {more}"));
        let doubted = format!("1 file of the source is {perhaps} {more}");
        assert_eq!(told(0, 1), format!("The copy of documents differs from its source: {doubted}"));
        assert_eq!(told(1, 1), format!("The copy of documents is damaged: 1 file is damaged. {anew} {doubted}"));
    }

    #[test]
    fn what_was_done_is_told_with_figures() {
        let deeds = Deeds { syncs: syncs(&["documents"]), files: 41, bytes: 3 << 20 };
        let done = shown(drive(), Matter::Done(deeds.clone()));
        assert_eq!(
            (done.summary.as_str(), done.body.as_str()),
            ("Drive usb: done", "documents: 41 files, 3.0 MiB copied.")
        );
        let none = Deeds { files: 0, ..deeds.clone() };
        assert_eq!(shown(sync(), Matter::Done(none)).body, "documents: nothing had changed.");
        let safe = shown(drive(), Matter::SafeToRemove(deeds));
        assert_eq!(safe.summary, "Drive usb is safe to remove");
        assert_eq!(safe.body, "documents: 41 files, 3.0 MiB copied.");
        let untouched = shown(drive(), Matter::SafeToRemove(Deeds::default()));
        assert_eq!(untouched.body, "Nothing was copied while it was in.");
        let many = Deeds { syncs: syncs(&["a", "b", "c", "d", "e", "f", "g"]), files: 1, bytes: 1 };
        assert_eq!(shown(drive(), Matter::Done(many)).body, "a, b, c, d, e and 2 more: 1 file, 1 B copied.");
    }

    #[test]
    fn a_failure_says_what_to_do() {
        let body = |kind| shown(sync(), failure(kind, "could not write /media/usb/a")).body;
        assert_eq!(
            body(FailureKind::NoSpace),
            "Could not write /media/usb/a.\nMake room on the destination (`df -h` and `df -i` tell what is short), or \
             keep fewer snapshots. It goes on by itself then."
        );
        assert!(
            body(FailureKind::Io).contains("`dmesg` tells more. It is tried again by itself. At first after"),
            "{}",
            body(FailureKind::Io)
        );
        assert!(body(FailureKind::Permission).ends_with("Then: `nbkpctl run documents`."));
    }

    #[test]
    fn a_drive_that_cannot_be_opened_says_why_and_until_when_it_is_tried() {
        let check = |trouble: OpeningTrouble, expected: &str| {
            let volume: VolumeName = "usb".parse().unwrap();
            let shown = shown(drive(), Matter::NotOpened(volume.into(), trouble));
            assert_eq!(shown.summary, "Drive usb could not be opened");
            assert_eq!(shown.body, expected);
        };
        check(
            OpeningTrouble::KeyringLocked("usb".parse().unwrap()),
            "The keyring that keeps its passphrase `usb` is locked.\nUnlock your keyring; it goes on by itself.",
        );
        check(
            OpeningTrouble::WrongSecret("usb".parse().unwrap()),
            "Its passphrase `usb` does not open it.\nStore the right one: `secret-tool store --label='nbkp usb' \
             service nbkp id usb`, or as `provider` in [credentials] says. While it is plugged in, it is tried again \
             once an hour.",
        );
        check(
            OpeningTrouble::Damaged { why: "mount it: bad superblock".into(), command: "e2fsck -f /dev/sdb1".into() },
            "Could not mount it: bad superblock.\nIts filesystem seems to be damaged: `sudo e2fsck -f /dev/sdb1` \
             checks and mends it. While it is plugged in, it is tried again when that is done.",
        );
    }

    #[test]
    fn a_drive_that_must_not_be_used_says_why_and_what_to_do() {
        let devices = ["/dev/sda1", "/dev/sdb1"].map(Into::into).to_vec();
        let twice = Obstacle::DuplicateUuid { volume: "usb".parse().unwrap(), devices };
        let shown = shown(drive(), Matter::Unusable(twice, "documents".parse().unwrap()));
        assert_eq!((shown.summary.as_str(), shown.weight), ("Drive usb cannot be used", Weight::Standing));
        assert_eq!(
            shown.body,
            "2 devices carry the UUID of drive `usb`: /dev/sda1, /dev/sdb1. Unplug all but one, or give the copy \
             another UUID (`btrfstune -u`, `tune2fs -U random`)."
        );
    }

    #[test]
    fn what_needs_a_person_is_pressing() {
        let reason =
            HoldReason::Deletions { paths: PathSet::default(), before: 100, allowed_percent: 25, against: None };
        let since = jiff::Timestamp::UNIX_EPOCH;
        let asked = Obstacle::Held(StandingHold { reason, since, looked: since });
        let held = shown(sync(), Matter::Held(vec![asked]));
        assert_eq!((held.summary.as_str(), held.weight), ("Backup documents needs your approval", Weight::Pressing));
        assert!(
            held.body.ends_with("Look with `nbkpctl diff documents`, then `nbkpctl approve documents`."),
            "{held:?}"
        );
        let volume: VolumeName = "usb".parse().unwrap();
        let absent =
            Obstacle::VolumeAbsent { end: End::Destination, volume: volume.clone(), absence: Absence::NotPlugged };
        let overdue = |age| {
            let (syncs, waits_for) = (syncs(&["documents"]), Some(absent.clone()));
            let matter = Matter::Overdue { syncs, age, waits_for, fresh_at: None };
            shown(Subject::Overdue(volume.clone()), matter)
        };
        let never = overdue(None);
        assert_eq!(never.body, "documents: never copied.\nDrive `usb` is not plugged in. Plug it in.");
        let overdue = overdue(Some(Duration::from_hours(24 * 9)));
        assert_eq!((overdue.summary.as_str(), overdue.weight), ("Backup to usb is overdue", Weight::Pressing));
        assert_eq!(overdue.body, "documents: its last copy is 9 days old.\nDrive `usb` is not plugged in. Plug it in.");
        let (syncs, fresh_at) = (syncs(&["documents@usb"]), Some("blue".parse().unwrap()));
        let turn = Matter::Overdue { syncs, age: None, waits_for: Some(absent), fresh_at };
        let turn = shown(Subject::Overdue(volume), turn);
        assert_eq!((turn.summary.as_str(), turn.weight), ("usb is due to rotate in", Weight::Standing));
        assert_eq!(turn.body, "documents@usb: never copied.\nOn blue is a fresh copy.");
    }

    #[test]
    fn names_of_strangers_do_no_harm() {
        let detail = "could not read \u{1b}[31m<img src=x>&amp;\u{202e}gpj\n";
        let shown = shown(sync(), failure(FailureKind::Io, detail));
        assert!(
            shown.body.starts_with("Could not read \\u{1b}[31m<img src=x>&amp;\\u{202e}gpj\\n.\n"),
            "{}",
            shown.body
        );
        let escaped = without_markup(&shown.body);
        assert!(escaped.contains("&lt;img src=x&gt;&amp;amp;"), "{escaped}");
    }

    proptest! {
        #[test]
        fn whatever_a_name_holds_the_body_is_short_plain_and_without_markup(detail in any::<String>()) {
            let shown = shown(sync(), failure(FailureKind::Other, &detail));
            prop_assert!(shown.body.chars().count() < LONGEST + 200);
            prop_assert_eq!(shown.body.matches('\n').count(), 1, "a line break of a stranger");
            prop_assert!(!shown.body.chars().any(|c| c.is_control() && c != '\n'));
            let escaped = without_markup(&shown.body);
            prop_assert!(!escaped.contains(['<', '>']));
            let back = escaped.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
            prop_assert_eq!(back, shown.body);
        }
    }
}
