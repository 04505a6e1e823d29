//! Unlocks a drive in a process of its own, which ends right behind it.
//!
//! Libraries keep copies of what passes through them; the end of a process is the one wipe that reaches them all. So
//! the daemon never sees a secret: it starts itself again by a hidden subcommand, which fetches the passphrase, hands
//! it to udisks (here, or through ssh at a server) and ends.

use std::ffi::OsString;
use std::io::{Read as _, Write};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use crate::formats::ssh::drive::{self, Meant, State};
use crate::formats::ssh::script;
use crate::formats::trouble::{from_line, to_line};
use crate::formats::udisks as answers;
use crate::model::{BootTime, CredentialName, CredentialProvider, DeviceRole, OpeningTrouble};
use crate::os::causes::chain;
use crate::os::process::{self, Bell, Launch, Leftovers, Stream, Wanted};
use crate::os::secret::{self, Secret};
use crate::os::secrets::{self, SecretError};
use crate::os::server_drive::{self, ServerDriveError};
use crate::os::ssh::{self, NoAnswer};
use crate::os::udisks::{Udisks, UdisksError};
use crate::os::{clock, disks, environment, files, programs};

/// The hidden subcommand.
pub const SUBCOMMAND: &str = "unlock-helper";

/// How long the helper lives at the most: a key derivation on a slow machine takes some seconds.
const LIFE: Duration = Duration::from_mins(1);
/// So long before its end the helper gives up what it has a server do: nothing that it started outlives it.
const MARGIN: Duration = Duration::from_secs(10);

/// What the helper is told, on its command line and, of a server, on its standard input. None of it is secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnlockRequest {
    /// What is to be unlocked.
    pub container: LockedContainer,
    /// The credential.
    pub name: CredentialName,
    /// Where it comes from.
    pub provider: CredentialProvider,
}

/// A LUKS container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LockedContainer {
    /// On the device of this number of this machine, major and minor.
    Here((u32, u32)),
    /// On a server.
    There {
        /// Which drive it is.
        meant: Meant,
        /// What tells ssh the way to the server.
        way: Vec<OsString>,
    },
}

/// Stands in place of the number of a device where the container is on a server.
const THERE: &str = "there";
/// The most that is told of one, in bytes.
const MOST: u64 = 256 << 10;

impl UnlockRequest {
    fn arguments(&self) -> Vec<OsString> {
        let (word, command): (_, &[String]) = match &self.provider {
            CredentialProvider::SecretService => ("secret-service", &[]),
            CredentialProvider::Command(command) => ("command", command),
            CredentialProvider::File => ("file", &[]),
            CredentialProvider::Environment => ("env", &[]),
        };
        let container = match self.container {
            LockedContainer::Here((major, minor)) => format!("{major}:{minor}"),
            LockedContainer::There { .. } => THERE.to_owned(),
        };
        let fixed = [SUBCOMMAND.to_owned(), container, self.name.to_string(), word.into(), "--".into()];
        fixed.iter().chain(command).map(OsString::from).collect()
    }

    /// What it is told on its standard input: words that end in a zero byte.
    fn input(&self) -> Option<Vec<u8>> {
        let LockedContainer::There { meant, way } = &self.container else { return None };
        let words = meant.words();
        let words = words.iter().chain(way);
        Some(words.flat_map(|word| word.as_bytes().iter().copied().chain([0])).collect())
    }

    /// Reads what follows the subcommand; `input` is what comes on standard input, if that is wanted.
    #[must_use]
    pub fn parse(words: &[String], input: impl FnOnce() -> Vec<u8>) -> Option<Self> {
        let [container, name, provider, command @ ..] = words else { return None };
        let container = if container == THERE {
            let input = input();
            let words = input.strip_suffix(&[0])?.split(|byte| *byte == 0);
            let words: Vec<OsString> = words.map(|word| OsString::from_vec(word.to_vec())).collect();
            let (meant, way) = words.split_at_checked(drive::WORDS)?;
            LockedContainer::There { meant: Meant::read(meant)?, way: way.to_vec() }
        } else {
            let (major, minor) = container.split_once(':')?;
            LockedContainer::Here((major.parse().ok()?, minor.parse().ok()?))
        };
        let command = command.strip_prefix(&["--".to_owned()]).unwrap_or(command);
        let provider = match provider.as_str() {
            "secret-service" => CredentialProvider::SecretService,
            "command" => CredentialProvider::Command(command.to_vec()),
            "file" => CredentialProvider::File,
            "env" => CredentialProvider::Environment,
            _ => return None,
        };
        Some(Self { container, name: name.parse().ok()?, provider })
    }
}

/// Unlocks a container by a helper process.
pub(crate) fn by_helper(
    container: LockedContainer,
    name: &CredentialName,
    provider: &CredentialProvider,
) -> Result<(), OpeningTrouble> {
    let other = |why: String| OpeningTrouble::Other(format!("unlock it: {why}"));
    let Some(program) = programs::own_program("nbkpd") else { return Err(other("nbkpd was not found".into())) };
    let request = UnlockRequest { container, name: name.clone(), provider: provider.clone() };
    let input = request.input().map(|input| files::in_memory(&input)).transpose();
    let launch = Launch {
        program,
        arguments: request.arguments(),
        environment: environment::for_unlocking(name),
        input: input.map_err(|cause| other(cause.to_string()))?,
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
    let running = process::start(launch, None).map_err(|error| other(chain(&error)))?;
    let ended = running.listen(&bell, heard, || Wanted::GoOn).map_err(|error| other(chain(&error)))?;
    from_line(&String::from_utf8_lossy(&said), name).unwrap_or_else(|| {
        Err(other(format!("the helper ended with {ended:?}: {}", String::from_utf8_lossy(&complained).trim())))
    })
}

/// What the helper does with the words of its command line; the exit code tells whether it could tell anything.
#[must_use]
pub fn obey(words: &[String]) -> u8 {
    let input = || {
        let mut bytes = Vec::new();
        // Half of it is no request.
        let _cut = std::io::stdin().take(MOST).read_to_end(&mut bytes);
        bytes
    };
    let told = UnlockRequest::parse(words, input).map(help);
    if matches!(told, Some(Ok(()))) { 0 } else { 2 }
}

/// The life of the helper: it unlocks, tells on standard output what became of it, and ends.
fn help(request: UnlockRequest) -> std::io::Result<()> {
    secret::keep_to_ourselves();
    let name = request.name.clone();
    let end = clock::boot().after(LIFE);
    let (done, result) = sync_channel(1);
    // Left behind if it takes too long, and gone with the process.
    std::thread::Builder::new().name("unlock".into()).spawn(move || {
        let _ = done.send(unlock(&request, end));
    })?;
    let result = result.recv_timeout(LIFE).unwrap_or_else(|error| match error {
        RecvTimeoutError::Timeout => Err(OpeningTrouble::NoSecret(name, format!("nothing came within {LIFE:?}"))),
        RecvTimeoutError::Disconnected => Err(OpeningTrouble::Other("unlock it: the helper broke".into())),
    });
    let mut output = std::io::stdout();
    output.write_all(to_line(&result).as_bytes())?;
    output.flush()
}

fn unlock(request: &UnlockRequest, end: BootTime) -> Result<(), OpeningTrouble> {
    let name = || request.name.clone();
    let secret = secrets::fetch(&request.provider, &request.name).map_err(|error| match error {
        SecretError::Locked => OpeningTrouble::KeyringLocked(name()),
        SecretError::MissingOrLocked => OpeningTrouble::MissingOrLocked(name()),
        SecretError::Absent => OpeningTrouble::KeyringAbsent(name()),
        SecretError::Missing(why) => OpeningTrouble::NoSecret(name(), why),
    })?;
    match &request.container {
        LockedContainer::Here(device) => match Udisks::connect().and_then(|udisks| udisks.unlock(*device, &secret)) {
            Ok(_) => Ok(()),
            Err(UdisksError::WrongSecret) => Err(OpeningTrouble::WrongSecret(name())),
            Err(error) => Err(trouble(&error)),
        },
        LockedContainer::There { meant, way } => match unlock_there(meant, way, &secret, end) {
            Err(ServerDriveError::WrongSecret) => Err(OpeningTrouble::WrongSecret(name())),
            done => done.map_err(trouble_there),
        },
    }
}

/// Has `udisksctl` at a server unlock it. Of what comes back only a whole answer is told: a server may say anything,
/// also what it was just handed.
fn unlock_there(meant: &Meant, way: &[OsString], secret: &Secret, end: BootTime) -> Result<(), ServerDriveError> {
    const WHAT: &str = "unlock it";
    let unanswered = |why: &str| ServerDriveError::Unanswered(WHAT, why.into());
    let left = end.since(clock::boot()).saturating_sub(MARGIN);
    let said = ssh::hand_over(way.to_vec(), (script::UNLOCK, &meant.words()), secret, left);
    let said = said.map_err(|trouble| {
        unanswered(match trouble {
            NoAnswer::TooLate => "the server took too long",
            NoAnswer::NotStarted(_) => "ssh could not be started",
            NoAnswer::CalledOff | NoAnswer::Talking(_) | NoAnswer::Ssh(_) | NoAnswer::Broken(_) => {
                "the connection broke"
            }
        })
    })?;
    let facts = drive::facts_in(&said.output).ok_or_else(|| unanswered("the answer makes no sense"))?;
    match facts.why {
        // It is open, whatever was said: somebody else may have done it at this moment.
        Some(why) if facts.state == State::Locked => Err(match secret.text() {
            Some(text) if why.contains(text) => unanswered("the server repeats what it was handed"),
            Some(_) | None => server_drive::judge(WHAT, &why),
        }),
        Some(_) | None => Ok(()),
    }
}

/// From what udisks answers to what a person is told: the one place.
pub(crate) fn trouble(error: &UdisksError) -> OpeningTrouble {
    match error {
        UdisksError::Absent(_) => OpeningTrouble::NoUdisks(error.to_string()),
        UdisksError::NotAuthorized(..) => OpeningTrouble::NotAuthorized(format!("could not {error}")),
        UdisksError::Refused(_, words) if answers::damaged(words).is_some() => {
            damaged(words, error.to_string(), &filesystem_here(words).unwrap_or_default())
        }
        UdisksError::Gone(_)
        | UdisksError::Busy(..)
        | UdisksError::WrongSecret
        | UdisksError::Silent(..)
        | UdisksError::Refused(..) => OpeningTrouble::Other(error.to_string()),
    }
}

/// A filesystem of this type that has to be checked, as these words say.
fn damaged(words: &str, why: String, filesystem: &str) -> OpeningTrouble {
    let node = answers::damaged(words).unwrap_or_default();
    OpeningTrouble::Damaged { why, command: answers::check_command(filesystem, node) }
}

/// The type of the filesystem of which these words tell, on this machine.
fn filesystem_here(words: &str) -> Option<String> {
    let node = Path::new(answers::damaged(words)?);
    let device = disks::enumerate().ok()?.into_iter().find(|device| device.node == node)?;
    match device.role {
        DeviceRole::Filesystem(filesystem)
        | DeviceRole::Unlocked { filesystem, .. }
        | DeviceRole::OnMembers(filesystem) => Some(filesystem),
        DeviceRole::Container | DeviceRole::Member | DeviceRole::MemberInside(_) => None,
    }
}

/// The same for what `udisksctl` at a server answers.
pub(crate) fn trouble_there(error: ServerDriveError) -> OpeningTrouble {
    match error {
        ServerDriveError::OutOfReach(fault) => OpeningTrouble::OutOfReach(Box::new(fault)),
        ServerDriveError::Absent(_) => OpeningTrouble::NoUdisks(error.to_string()),
        ServerDriveError::NotAuthorized(..) => OpeningTrouble::NotAuthorized(format!("could not {error}")),
        // What type it is there, `fsck` finds out.
        ServerDriveError::Refused(_, ref words) if answers::damaged(words).is_some() => {
            damaged(words, error.to_string(), "")
        }
        ServerDriveError::Busy(..)
        | ServerDriveError::WrongSecret
        | ServerDriveError::Passing(..)
        | ServerDriveError::Unanswered(..)
        | ServerDriveError::Refused(..) => OpeningTrouble::Other(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::ssh::drive::Medium;

    #[test]
    fn the_helper_reads_what_it_is_told() {
        let command = CredentialProvider::Command(vec!["pass".into(), "show".into(), "--".into(), "nbkp/{id}".into()]);
        for provider in
            [command, CredentialProvider::SecretService, CredentialProvider::File, CredentialProvider::Environment]
        {
            let medium = Medium { node: "/dev/sdb1".into(), boot: "b".into(), seq: String::new() };
            let container = Some("2d577679-a7b6-429d-8250-3d0d80e034df".parse().unwrap());
            let meant = Meant { uuid: "5e3f-1a2b".parse().unwrap(), container, medium: Some(medium) };
            let way = ["-o", "IdentityFile=\"/home/a b/key\"", "--", "nas"].map(OsString::from).to_vec();
            for container in [LockedContainer::Here((259, 3)), LockedContainer::There { meant, way }] {
                let request = UnlockRequest { container, name: "usb".parse().unwrap(), provider: provider.clone() };
                let words: Vec<String> =
                    request.arguments().iter().skip(1).map(|word| word.to_str().unwrap().to_owned()).collect();
                assert_eq!(UnlockRequest::parse(&words, || request.input().unwrap()), Some(request));
            }
        }
        for words in [
            &["8:1", "usb"][..],
            &["8", "usb", "file"],
            &["8:1", "a b", "file"],
            &["8:1", "usb", "telepathy"],
            &["there", "usb", "file"],
        ] {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(UnlockRequest::parse(&words, Vec::new), None, "{words:?}");
        }
    }
}
