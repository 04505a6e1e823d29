//! Unlocks a drive in a process of its own, which ends right behind it.
//!
//! Libraries keep copies of what passes through them; the end of a process is the one wipe that reaches them all. So
//! the daemon never sees a secret: it starts itself again by a hidden subcommand, which fetches the passphrase, hands it
//! to udisks and ends.

use std::ffi::OsString;
use std::io::Write;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use crate::formats::trouble as line;
use crate::model::{CredentialName, CredentialProvider, OpeningTrouble};
use crate::os::process::{self, Bell, Launch, Leftovers, Stream, Wanted};
use crate::os::programs;
use crate::os::secrets::{self, SecretError};
use crate::os::udisks::{Udisks, UdisksError};
use crate::os::{environment, secret};

/// The hidden subcommand.
pub const SUBCOMMAND: &str = "unlock-helper";

/// How long the helper lives at the most: a key derivation on a slow machine takes some seconds.
const LIFE: Duration = Duration::from_mins(1);

/// What the helper is told on its command line. None of it is secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The number of the device, major and minor.
    pub device: (u32, u32),
    /// The credential.
    pub name: CredentialName,
    /// Where it comes from.
    pub provider: CredentialProvider,
}

impl Request {
    fn arguments(&self) -> Vec<OsString> {
        let (word, command): (_, &[String]) = match &self.provider {
            CredentialProvider::SecretService => ("secret-service", &[]),
            CredentialProvider::Command(command) => ("command", command),
            CredentialProvider::File => ("file", &[]),
            CredentialProvider::Environment => ("env", &[]),
        };
        let (major, minor) = self.device;
        let fixed =
            [SUBCOMMAND.to_owned(), format!("{major}:{minor}"), self.name.to_string(), word.into(), "--".into()];
        fixed.iter().chain(command).map(OsString::from).collect()
    }

    /// Reads what follows the subcommand.
    #[must_use]
    pub fn parse(words: &[String]) -> Option<Self> {
        let [device, name, provider, command @ ..] = words else { return None };
        let (major, minor) = device.split_once(':')?;
        let command = command.strip_prefix(&["--".to_owned()]).unwrap_or(command);
        let provider = match provider.as_str() {
            "secret-service" => CredentialProvider::SecretService,
            "command" => CredentialProvider::Command(command.to_vec()),
            "file" => CredentialProvider::File,
            "env" => CredentialProvider::Environment,
            _ => return None,
        };
        Some(Self { device: (major.parse().ok()?, minor.parse().ok()?), name: name.parse().ok()?, provider })
    }
}

/// Unlocks the container on a device by a helper process.
pub(super) fn by_helper(
    device: (u32, u32),
    name: &CredentialName,
    provider: &CredentialProvider,
) -> Result<(), OpeningTrouble> {
    let other = |why: String| OpeningTrouble::Other(format!("unlock it: {why}"));
    let Some(program) = programs::own_program("nbkpd") else { return Err(other("nbkpd was not found".into())) };
    let request = Request { device, name: name.clone(), provider: provider.clone() };
    let launch = Launch {
        program,
        arguments: request.arguments(),
        environment: environment::for_unlocking(name),
        input: None,
        leftovers: Leftovers::End,
    };
    let (mut said, mut complained) = (Vec::new(), Vec::new());
    let heard = |stream: Stream, bytes: &[u8]| {
        let kept = match stream {
            Stream::Output => &mut said,
            Stream::Errors => &mut complained,
        };
        kept.extend(bytes.iter().take(secret::LONGEST.saturating_sub(kept.len())));
    };
    let bell = Bell::new().map_err(|cause| other(cause.to_string()))?;
    let running = process::start(launch, None).map_err(|error| other(error.to_string()))?;
    let ended = running.listen(&bell, heard, || Wanted::GoOn).map_err(|error| other(error.to_string()))?;
    line::read(&String::from_utf8_lossy(&said), name).unwrap_or_else(|| {
        Err(other(format!("the helper ended with {ended:?}: {}", String::from_utf8_lossy(&complained).trim())))
    })
}

/// What the helper does with the words of its command line; the exit code tells whether it could tell anything.
#[must_use]
pub fn obey(words: &[String]) -> u8 {
    let told = Request::parse(words).map(help);
    if matches!(told, Some(Ok(()))) { 0 } else { 2 }
}

/// The life of the helper: it unlocks, tells on standard output what became of it, and ends.
fn help(request: Request) -> std::io::Result<()> {
    secret::keep_to_ourselves();
    let name = request.name.clone();
    let (done, result) = sync_channel(1);
    // Left behind if it takes too long, and gone with the process.
    std::thread::Builder::new().name("unlock".into()).spawn(move || {
        let _ = done.send(unlock(&request));
    })?;
    let result = result.recv_timeout(LIFE).unwrap_or_else(|error| match error {
        RecvTimeoutError::Timeout => Err(OpeningTrouble::NoSecret(name, format!("nothing came within {LIFE:?}"))),
        RecvTimeoutError::Disconnected => Err(OpeningTrouble::Other("unlock it: the helper broke".into())),
    });
    let mut output = std::io::stdout();
    output.write_all(line::write(&result).as_bytes())?;
    output.flush()
}

fn unlock(request: &Request) -> Result<(), OpeningTrouble> {
    let name = || request.name.clone();
    let secret = secrets::fetch(&request.provider, &request.name).map_err(|error| match error {
        SecretError::Locked => OpeningTrouble::KeyringLocked(name()),
        SecretError::Absent => OpeningTrouble::KeyringAbsent(name()),
        SecretError::Missing(why) => OpeningTrouble::NoSecret(name(), why),
    })?;
    match Udisks::connect().and_then(|udisks| udisks.unlock(request.device, &secret)) {
        Ok(_) => Ok(()),
        Err(UdisksError::WrongSecret) => Err(OpeningTrouble::WrongSecret(name())),
        Err(error) => Err(trouble(&error)),
    }
}

/// From what udisks answers to what a person is told: the one place.
pub(super) fn trouble(error: &UdisksError) -> OpeningTrouble {
    match error {
        UdisksError::Absent(_) => OpeningTrouble::NoUdisks(error.to_string()),
        UdisksError::NotAuthorized(..) => OpeningTrouble::NotAuthorized(format!("could not {error}")),
        UdisksError::Gone(_)
        | UdisksError::Busy(..)
        | UdisksError::WrongSecret
        | UdisksError::Silent(..)
        | UdisksError::Refused(..) => OpeningTrouble::Other(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_helper_reads_what_it_is_told() {
        let command = CredentialProvider::Command(vec!["pass".into(), "show".into(), "--".into(), "nbkp/{id}".into()]);
        for provider in
            [command, CredentialProvider::SecretService, CredentialProvider::File, CredentialProvider::Environment]
        {
            let request = Request { device: (259, 3), name: "usb".parse().unwrap(), provider };
            let words: Vec<String> =
                request.arguments().iter().skip(1).map(|word| word.to_str().unwrap().to_owned()).collect();
            assert_eq!(Request::parse(&words), Some(request));
        }
        for words in [&["8:1", "usb"][..], &["8", "usb", "file"], &["8:1", "a b", "file"], &["8:1", "usb", "telepathy"]]
        {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(Request::parse(&words), None, "{words:?}");
        }
    }
}
