//! What `init` tells: what will be written, what was done, and what is next.

use std::fmt::Write as _;

use super::answers::Answers;
use super::done::SetUpDone;
use super::draft::Draft;
use super::start::Start;
use crate::ctl::called::called;
use crate::ctl::passphrases::storing;
use crate::decide::setup::{Drafted, losses};
use crate::formats::set_up::SetUpService;
use crate::formats::text::{printable, size};
use crate::model::{
    Additions, FoundPlace, Mounter, Mounting, SnapshotKind, Storing, SyncName, Vacancy, Volume, VolumeName,
};
use crate::os::environment::{self, Paths};
use crate::os::{account, service, unit};

/// What will be written, and what the chosen kind cannot keep there.
pub(super) fn draft(draft: &Draft, answers: &Answers, paths: &Paths) -> String {
    let mut text = String::new();
    for drafted in &draft.syncs {
        if let Drafted::Already(name) = drafted {
            let is_disabled = draft.configuration.syncs.get(name).is_some_and(|sync| !sync.enabled);
            let how = if is_disabled { ", and disabled (`enabled = false`)" } else { "" };
            let _ = writeln!(text, "`{name}` is set up already{how}");
        }
    }
    if draft.additions.is_empty() {
        return text;
    }
    let file = paths.config.display().to_string();
    let _ = writeln!(text, "This comes into {}:\n", printable(&file));
    for line in draft.lines.lines() {
        let line = if line.is_empty() { String::new() } else { format!("    {}", printable(line)) };
        let _ = writeln!(text, "{line}");
    }
    let free = answers.target.free.map(|free| format!(", {} free", size(free))).unwrap_or_default();
    let _ = writeln!(text, "\nCopies go to {}{free}.", answers.target.shown);
    let lost = answers.target.family.map(|family| losses(family, answers.snapshots)).unwrap_or_default();
    if !lost.is_empty() {
        let _ = writeln!(text, "With snapshots = \"{}\" they do not keep there:", answers.snapshots);
        for loss in lost {
            let _ = writeln!(text, "  - {loss}");
        }
    }
    for path in &draft.beside {
        let path = path.display().to_string();
        let path = printable(&path);
        let _ = writeln!(text, "{path} lies on the same disk: if that breaks, the copies are gone, too.");
    }
    for (name, vacancy) in &draft.vacancies {
        let Some(sync) = draft.configuration.syncs.get(name) else { continue };
        let client = called("nbkpctl", paths);
        if let Some(told) = of_vacancy(*vacancy, &sync.destination.to_string(), name, &client) {
            let _ = writeln!(text, "{}", printable(&told));
        }
    }
    text.push('\n');
    text
}

/// What is to be known of what lies where the copies of a new sync are to be.
fn of_vacancy(vacancy: Vacancy, place: &str, name: &SyncName, client: &str) -> Option<String> {
    match vacancy {
        Vacancy::Free | Vacancy::Taken => None,
        Vacancy::Copies => Some(format!(
            "{place} holds copies of nbkp already, and it cannot be told who made them: look with `{client} diff \
             {name}` first, or choose another name."
        )),
        Vacancy::Unseen => Some(format!(
            "What lies in {place} cannot be seen now. If it is something else than copies, it stays as it is, and \
             nothing is copied there before `{client} prepare {name}` says so."
        )),
    }
}

/// What is left to a person, and what happens by itself, one sentence each.
pub(super) fn next(draft: &Draft, answers: &Answers, deeds: &SetUpDone, start: &Start<'_>) -> Vec<String> {
    let mut next = Vec::new();
    let client = called("nbkpctl", start.paths);
    let all = joined(&draft.names());
    // What was opened for this has its passphrase where it belongs.
    let missing = |(volume, _): &(&VolumeName, String)| deeds.opened.as_ref() != Some(volume);
    for (volume, credential) in passphrases(&draft.additions).into_iter().filter(missing) {
        next.push(match storing(&draft.configuration.credentials, volume.as_str(), &credential) {
            Storing::Command(command) => format!("put the passphrase of `{volume}` into your keyring: `{command}`"),
            Storing::Words(words) => words,
        });
    }
    if deeds.is_for_another() {
        // Whatever asks at this socket asks the other one, which may know syncs by the same names.
        next.push(
            "once the other nbkpd is stopped, or with `--socket` and `--state-dir` that nobody else uses, the same \
             command does the rest"
                .to_owned(),
        );
    } else if !deeds.is_ready() {
        next.push(format!(
            "mend what keeps both ends from being ready, then `{client} prepare {all}` makes what they need"
        ));
    }
    if opens_drives(answers) && !environment::is_root() {
        next.push(format!(
            "`{client} drives polkit` prints the rule that lets nbkpd open the drive while nobody is logged in"
        ));
    }
    let (able, disabled) = draft.names().into_iter().partition::<Vec<_>, _>(|name| is_enabled(draft, name));
    if !disabled.is_empty() {
        next.push(format!(
            "nothing is copied by {} while `enabled = false` stands in the configuration file",
            joined(&disabled)
        ));
    }
    if !deeds.is_for_another() {
        next.extend(copies(draft, &able, deeds, start));
    }
    if let Some(volume) = &deeds.opened {
        next.push(format!("`{volume}` was opened for this, and stays open until `{client} eject {volume}` closes it"));
    }
    if matches!(deeds.service, SetUpService::WasOn | SetUpService::Enabled) {
        next.extend(linger());
    }
    next
}

/// How copies of these syncs come about.
fn copies(draft: &Draft, able: &[SyncName], deeds: &SetUpDone, start: &Start<'_>) -> Option<String> {
    let client = called("nbkpctl", start.paths);
    let has_new = able.iter().any(|name| draft.vacancies.contains_key(name));
    if deeds.has_daemon() {
        return Some(if has_new && deeds.is_ready() {
            format!("the first copy starts by itself once nothing stands in its way; `{client} status` shows it")
        } else {
            format!("nbkpd runs; `{client} status` shows how everything stands")
        });
    }
    let which = if has_new { "the first one" } else { "one" };
    let how = by_itself(deeds.service, start).map_or_else(
        || "once nbkpd runs, copies happen by themselves".to_owned(),
        |how| format!("`{how}` makes copies happen by themselves"),
    );
    (!able.is_empty()).then(|| {
        format!(
            "{how}; `{client} run {} --wait` makes {which} now, and `{client} status` shows how everything stands",
            joined(able)
        )
    })
}

/// What makes copies happen by themselves, where it is to be done and was not tried.
fn by_itself(service: SetUpService, start: &Start<'_>) -> Option<String> {
    match service {
        SetUpService::Left if environment::are_usual(start.paths) => Some(service::command("enable --now")),
        SetUpService::Left => Some(called("nbkpd", start.paths)),
        SetUpService::WasOn | SetUpService::Enabled | SetUpService::NotEnabled | SetUpService::NoManager => None,
    }
}

fn joined(names: &[SyncName]) -> String {
    names.iter().map(SyncName::to_string).collect::<Vec<_>>().join(" ")
}

fn is_enabled(draft: &Draft, name: &SyncName) -> bool {
    draft.configuration.syncs.get(name).is_some_and(|sync| sync.enabled)
}

/// The last words.
pub(super) fn end(draft: &Draft, next: &[String], deeds: &SetUpDone) -> String {
    let mut text = String::new();
    if draft.additions.is_empty() && deeds.is_ready() && !deeds.changed_something() {
        text.push_str("nothing was changed\n");
    }
    if !next.is_empty() {
        text.push_str("\nNext:\n");
    }
    for sentence in next {
        let _ = writeln!(text, "  - {sentence}");
    }
    text
}

/// The new volumes that a passphrase opens, and what it is called.
fn passphrases(additions: &Additions) -> Vec<(&VolumeName, String)> {
    let passphrase = |volume: &Volume| match volume.root.drive().map(|drive| &drive.mounting) {
        Some(Mounting::ForTheRun { passphrase }) => passphrase.as_ref().map(ToString::to_string),
        Some(Mounting::Elsewhere) | None => None,
    };
    additions.volumes.iter().filter_map(|volume| Some((&volume.name, passphrase(volume)?))).collect()
}

fn opens_drives(answers: &Answers) -> bool {
    match &answers.target.place {
        FoundPlace::OnDrive(drive, _) => drive.mounter == Mounter::Daemon,
        FoundPlace::Directory(_) | FoundPlace::OnServer(..) => false,
    }
}

/// Whether a service of a user ends with the session matters only for those who want copies meanwhile.
fn linger() -> Option<String> {
    let name = account::own_name().ok().filter(|_| !environment::is_root())?;
    (!unit::lingers(&name)).then(|| {
        "nbkpd runs while you are logged in; `loginctl enable-linger` lets it run from the start of the machine on"
            .into()
    })
}

/// The kinds of copies, for people.
pub(super) fn kind_in_words(kind: SnapshotKind) -> &'static str {
    match kind {
        SnapshotKind::Btrfs => "dated snapshots of btrfs, which share what did not change",
        SnapshotKind::HardLink => "dated directories, which share files that did not change",
        SnapshotKind::None => "one copy, without earlier versions",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Drive, VolumeRoot, WhenDone};

    #[test]
    fn what_lies_there_is_told_as_far_as_it_is_known() {
        let name = "documents".parse().unwrap();
        let told = |vacancy| of_vacancy(vacancy, "usb:documents", &name, "nbkpctl --config /c");
        assert_eq!((told(Vacancy::Free), told(Vacancy::Taken)), (None, None));
        let copies = told(Vacancy::Copies).unwrap();
        assert!(copies.contains("cannot be told who") && !copies.contains("its own"), "{copies}");
        assert!(copies.contains("`nbkpctl --config /c diff documents`"), "{copies}");
        let unseen = told(Vacancy::Unseen).unwrap();
        assert!(unseen.contains("`nbkpctl --config /c prepare documents`"), "{unseen}");
    }

    #[test]
    fn each_drive_that_takes_a_passphrase_is_told() {
        let volume = |name: &str, passphrase: Option<&str>| {
            let mounting = Mounting::ForTheRun { passphrase: passphrase.map(|name| name.parse().unwrap()) };
            let uuid = "2d577679-a7b6-429d-8250-3d0d80e034df".parse().unwrap();
            let root = VolumeRoot::Drive(Drive { uuid, mounting, when_done: WhenDone::Leave });
            Volume { name: name.parse().unwrap(), root, repositories: vec![] }
        };
        let volumes = vec![volume("one", Some("one")), volume("plain", None), volume("two", Some("two-2"))];
        let additions = Additions { volumes, ..Additions::default() };
        let told: Vec<_> = passphrases(&additions).into_iter().map(|(name, id)| format!("{name} {id}")).collect();
        assert_eq!(told, ["one one", "two two-2"]);
    }
}
