//! What `init` tells: what will be written, what was done, and what is next.

use std::fmt::Write as _;

use super::answers::Answers;
use super::draft::Draft;
use super::start::Start;
use crate::decide::setup::{Drafted, losses};
use crate::formats::set_up::SetUpService;
use crate::formats::text::{printable, size};
use crate::model::{
    Configuration, CredentialProvider, FoundPlace, Mounter, Mounting, SnapshotKind, SyncName, Vacancy, VolumeName,
    VolumeRoot,
};
use crate::os::environment::{self, Paths};
use crate::os::{account, service, unit};

/// What will be written, and what the chosen kind cannot keep there.
pub(super) fn draft(draft: &Draft, answers: &Answers, paths: &Paths) -> String {
    let mut text = String::new();
    for drafted in &draft.syncs {
        if let Drafted::Already(name) = drafted {
            let _ = writeln!(text, "`{name}` is set up already");
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
        let place = sync.destination.to_string();
        let told = match vacancy {
            Vacancy::Free | Vacancy::Taken => continue,
            Vacancy::Copies => format!(
                "{place} holds copies of nbkp already: this machine goes on with its own, and those of another one are \
                 asked about before anything is changed."
            ),
            Vacancy::Unseen => format!(
                "What lies in {place} cannot be seen now. If it is something else than copies, it stays as it is, and \
                 nothing is copied there before `nbkpctl prepare {name}` says so."
            ),
        };
        let _ = writeln!(text, "{}", printable(&told));
    }
    text.push('\n');
    text
}

/// What is left to a person, and what happens by itself, one sentence each.
pub(super) fn next(
    draft: &Draft,
    answers: &Answers,
    service: SetUpService,
    is_done: bool,
    start: &Start<'_>,
) -> Vec<String> {
    let mut next = Vec::new();
    let names: Vec<String> = draft.names().iter().map(SyncName::to_string).collect();
    let names = names.join(" ");
    if let Some((volume, credential)) = passphrase(draft) {
        let drive = VolumeName::to_string(&volume);
        next.push(store(&draft.configuration, &drive, &credential));
    }
    if !is_done {
        next.push(format!("mend what is named above, then `nbkpctl prepare {names}` makes what both ends need"));
    }
    if opens_drives(answers) && !environment::is_root() {
        next.push(
            "`nbkpctl drives polkit` prints the rule that lets nbkpd open the drive while nobody is logged in".into(),
        );
    }
    match service {
        SetUpService::WasOn | SetUpService::Enabled if is_done => {
            next.push("the first copy starts by itself in a moment; `nbkpctl status` shows it".into());
            next.extend(linger());
        }
        SetUpService::WasOn | SetUpService::Enabled => {
            next.push("nbkpd runs; `nbkpctl status` shows how everything stands".into());
            next.extend(linger());
        }
        SetUpService::Left | SetUpService::NotEnabled | SetUpService::NoManager => {
            let how = match (service, environment::are_usual(start.paths)) {
                (SetUpService::NoManager, true) => "nbkpd".to_owned(),
                (_, true) => service::command("enable --now"),
                (_, false) => format!("nbkpd --config {}", start.paths.config.display()),
            };
            next.push(format!(
                "`{how}` makes copies happen by themselves; `nbkpctl run {names} --wait` makes the first one now, and \
                 `nbkpctl status` shows how everything stands"
            ));
        }
    }
    next
}

/// The last words.
pub(super) fn end(draft: &Draft, next: &[String], is_done: bool) -> String {
    let mut text = String::new();
    let is_new = |drafted: &&Drafted| matches!(drafted, Drafted::New(_));
    if is_done && !draft.syncs.iter().any(|drafted| is_new(&drafted)) {
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

/// The volume of the destination, if a passphrase opens it.
fn passphrase(draft: &Draft) -> Option<(VolumeName, String)> {
    draft.additions.volumes.iter().find_map(|volume| match &volume.root {
        VolumeRoot::Drive(drive) => match &drive.mounting {
            Mounting::ForTheRun { passphrase: Some(passphrase) } => Some((volume.name.clone(), passphrase.to_string())),
            Mounting::ForTheRun { passphrase: None } | Mounting::Elsewhere => None,
        },
        VolumeRoot::Directory(_) | VolumeRoot::Server(_) => None,
    })
}

fn store(configuration: &Configuration, drive: &str, credential: &str) -> String {
    match &configuration.credentials {
        CredentialProvider::SecretService => format!(
            "put the passphrase of `{drive}` into your keyring: `secret-tool store --label='Backup drive {drive}' \
             service nbkp id {credential}`"
        ),
        CredentialProvider::Command(_) => {
            format!("let the `command` of [credentials] print the passphrase of `{drive}` for the id `{credential}`")
        }
        CredentialProvider::File => match environment::own_credentials() {
            Ok(place) => {
                format!("write the passphrase of `{drive}` into {}, with mode 600", place.join(credential).display())
            }
            Err(_) => format!("write the passphrase of `{drive}` into the file `{credential}` of your credentials"),
        },
        CredentialProvider::Environment => format!(
            "give nbkpd the passphrase of `{drive}` in NBKP_CREDENTIAL_{}",
            credential.to_ascii_uppercase().replace(['-', '.'], "_")
        ),
    }
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
