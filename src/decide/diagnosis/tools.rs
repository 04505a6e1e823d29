//! Programs and files that runs use.

use std::path::Path;

use super::{alone, mend};
use crate::model::{Area, Examined, FileSight, Finding, Flaw, OthersRights, ProgramVersion, SyncName, Verdict};

/// The oldest rsync that understands what it is told: `--modify-window=-1` came with it.
pub const OLDEST_RSYNC: ProgramVersion = ProgramVersion(3, 1, 3);

/// rsync, as it tells of itself: nothing if it is missing.
#[must_use]
pub fn rsync(said: Option<&Result<ProgramVersion, String>>) -> Examined {
    let verdict = match said {
        None => Flaw::ToolMissing
            .error("the program `rsync` is missing, which copies", "install it: `apt install rsync`")
            .into(),
        Some(Ok(found)) if *found >= OLDEST_RSYNC => Verdict::Well(format!("version {found}")),
        Some(Ok(found)) => Flaw::ToolOutdated
            .error(
                format!("rsync {found} is too old: it takes {OLDEST_RSYNC} at least"),
                "install a newer one: `apt install rsync`",
            )
            .into(),
        Some(Err(why)) => Flaw::ToolMissing
            .error(
                format!("rsync does not tell its version: {why}"),
                "install it anew: `apt install --reinstall rsync`",
            )
            .into(),
    };
    Area::Tools.examined("rsync", verdict)
}

/// A program that something in the configuration needs, by the package that has it.
#[must_use]
pub fn program(name: &str, package: &str, found: Option<&Path>, purpose: &str) -> Examined {
    match found {
        Some(path) => Area::Tools.well(name, path.display().to_string()),
        None => Area::Tools.examined(
            name,
            Flaw::ToolMissing.error(
                format!("the program `{name}` is missing, which {purpose}"),
                format!("install it: `apt install {package}`"),
            ),
        ),
    }
}

/// The private key of an endpoint. ssh passes over one that others may use.
#[must_use]
pub fn key(path: &Path, sight: &FileSight) -> Examined {
    let shown = path.display();
    let verdict = match sight {
        FileSight::Missing => Flaw::KeyMissing
            .error(
                format!("the private key {shown} is missing"),
                format!("make it (`ssh-keygen -f {shown}`) and put its public half on the server, or correct `key`"),
            )
            .into(),
        FileSight::Unseen(why) => Flaw::KeyMissing
            .error(
                format!("the private key {shown} cannot be looked at: {why}"),
                "give the user that runs nbkpd access to it",
            )
            .into(),
        FileSight::There(guarded) if guarded.is_readable_to_others() => Flaw::KeyExposed
            .error(
                format!("others may use the private key {shown}, so ssh does not take it"),
                alone(guarded, "600", &shown, "name a key of your own in `key` (`install -m 600` makes a copy)"),
            )
            .mended_by(mend(guarded, path, OthersRights::All))
            .into(),
        FileSight::There(_) => Verdict::Well("it is yours alone".into()),
    };
    Area::Tools.examined(format!("key {shown}"), verdict)
}

/// The program of a hook, and why it has to run within the limits of the daemon's own unit, if it has to.
#[must_use]
pub fn hook(sync: &SyncName, when: &str, program: &str, (found, confined): (Option<&Path>, Option<&str>)) -> Examined {
    let subject = format!("hook `{when}` of {sync}");
    match (found, confined) {
        (Some(path), None) => Area::Tools.well(subject, path.display().to_string()),
        (Some(path), Some(why)) => Area::Tools.examined(subject, within_limits(path, why)),
        (None, _) => Area::Tools.examined(
            subject,
            Flaw::HookMissing.error(
                format!("the program `{program}` is missing, which sync `{sync}` runs as hook `{when}`"),
                format!("install it, or correct `hooks` of [syncs.{sync}]"),
            ),
        ),
    }
}

/// The command that prints passphrases, where it has to run within the limits of the daemon's own unit.
#[must_use]
pub fn passphrase_command(program: &Path, why: &str) -> Examined {
    Area::Tools.examined("command for passphrases", within_limits(program, why))
}

/// Programs that work by hand, and fail there, seem to have no reason to.
fn within_limits(program: &Path, why: &str) -> Finding {
    Flaw::HookConfined.warning(
        format!(
            "{} runs within the limits of nbkpd's own unit: set-user-id programs (`sudo`, `su`, `ping`), other users' \
             privileges and programs that map code (node, java) fail there (could not {why})",
            program.display()
        ),
        "let nbkpd reach the service manager: a system bus for root, the bus of the user's session else \
         (`apt install dbus-user-session`, and log in anew)",
    )
}

/// A file of filters.
#[must_use]
pub fn filter_file(sync: &SyncName, path: &Path, sight: &FileSight) -> Examined {
    let shown = path.display();
    let verdict = match sight {
        FileSight::There(_) => Verdict::Well("it is there".into()),
        FileSight::Missing => Flaw::FilterFileMissing
            .error(
                format!("the filters of sync `{sync}` are missing: {shown}"),
                format!("write it, or take it out of [syncs.{sync}]"),
            )
            .into(),
        FileSight::Unseen(why) => Flaw::FilterFileMissing
            .error(
                format!("the filters of sync `{sync}` cannot be looked at: {shown}: {why}"),
                "give the user that runs nbkpd access to it",
            )
            .into(),
    };
    Area::Tools.examined(format!("filters {shown}"), verdict)
}
