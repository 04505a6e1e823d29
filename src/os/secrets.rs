//! Where passphrases come from: the desktop's Secret Service, a command, a file, the environment.
//!
//! Nothing here prompts. It is called in a process that ends right afterwards (see `backup/drives/unlock.rs`).

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt;
use rustix::fs::{Mode, OFlags, open};
use zbus::message::Type;
use zbus::{Connection, MatchRule, Message, MessageStream, OwnedObjectPath, OwnedVariant, Variant};
use zeroize::Zeroizing;

use super::causes::chain;
use super::environment;
use super::guards;
use super::process::{self, Bell, Ended, Launch, Leftovers, Stream, Wanted};
use super::programs;
use super::secret::{LONGEST, Secret};
use crate::model::{CredentialName, CredentialProvider, FileSight, Owner, SecretSight};

/// How long one call to the Secret Service may take.
const CALL: Duration = Duration::from_secs(10);

const SERVICE: &str = "org.freedesktop.secrets";
const ROOT: &str = "/org/freedesktop/secrets";
const SERVICE_INTERFACE: &str = "org.freedesktop.Secret.Service";
const COLLECTION_INTERFACE: &str = "org.freedesktop.Secret.Collection";
const PROPERTIES_INTERFACE: &str = "org.freedesktop.DBus.Properties";
/// The attributes of our items: `secret-tool store --label=… service nbkp id NAME`.
const ATTRIBUTES: (&str, &str) = ("service", "nbkp");

/// Why there is no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// It is in a keyring that is locked.
    #[error("read it from the keyring, which is locked")]
    Locked,
    /// It is in no open keyring, and some are locked.
    #[error("find it in an open keyring")]
    MissingOrLocked,
    /// There is no keyring.
    #[error("find a keyring")]
    Absent,
    /// It is not there, or must not be used, for this reason.
    #[error("get it: {0}")]
    Missing(String),
}

fn missing(why: impl std::fmt::Display) -> SecretError {
    SecretError::Missing(why.to_string())
}

/// Fetches a secret.
pub fn fetch(provider: &CredentialProvider, name: &CredentialName) -> Result<Secret, SecretError> {
    match provider {
        CredentialProvider::SecretService => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(missing)?;
            runtime.block_on(from_service(name))
        }
        CredentialProvider::Command(command) => from_command(command, name),
        CredentialProvider::File => from_file(name),
        CredentialProvider::Environment => {
            let (variable, value) = environment::credential(name);
            let value = value.ok_or_else(|| missing(format!("the variable {variable} is not set")))?;
            secret(Zeroizing::new(std::os::unix::ffi::OsStringExt::into_vec(value)), &variable)
        }
    }
}

fn secret(bytes: Zeroizing<Vec<u8>>, from: &str) -> Result<Secret, SecretError> {
    Secret::new(bytes).ok_or_else(|| missing(format!("{from} holds nothing, or more than {LONGEST} bytes")))
}

/// Files that systemd hands over go first; what it hands over, it guards.
fn from_file(name: &CredentialName) -> Result<Secret, SecretError> {
    let handed = environment::credentials_directory().map(|place| place.join(name.as_str()));
    if let Some(path) = handed.filter(|path| path.exists()) {
        return read_file(&path, Guard::Systemd);
    }
    let place = environment::own_credentials().map_err(|error| missing(format!("could not {}", chain(&error))))?;
    read_file(&place.join(name.as_str()), Guard::Mode)
}

/// Who sees to it that nobody else reads a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guard {
    /// Its owner and mode.
    Mode,
    /// systemd.
    Systemd,
}

fn read_file(path: &Path, guard: Guard) -> Result<Secret, SecretError> {
    let shown = path.display();
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = open(path, flags, Mode::empty()).map_err(|cause| missing(format!("{shown}: {cause}")))?;
    let seen = rustix::fs::fstat(&file).map_err(|cause| missing(format!("{shown}: {cause}")))?;
    if rustix::fs::FileType::from_raw_mode(seen.st_mode) != rustix::fs::FileType::RegularFile {
        return Err(missing(format!("{shown} is not a regular file")));
    }
    if guard == Guard::Mode {
        let ours = rustix::process::geteuid().as_raw();
        if seen.st_uid != ours && seen.st_uid != 0 {
            return Err(missing(format!("{shown} belongs to another user; make it yours")));
        }
        if seen.st_mode & 0o077 != 0 {
            return Err(missing(format!("others may use {shown}; run `chmod 600 {shown}`")));
        }
    }
    // Room for all of it, so that it does not move while it grows.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST + 2));
    let most = u64::try_from(LONGEST + 2).unwrap_or(u64::MAX);
    let read = File::from(file).take(most).read_to_end(&mut bytes);
    read.map_err(|cause| missing(format!("{shown}: {cause}")))?;
    secret(bytes, &shown.to_string())
}

fn from_command(command: &[String], name: &CredentialName) -> Result<Secret, SecretError> {
    let words: Vec<String> = command.iter().map(|word| word.replace("{id}", name.as_str())).collect();
    let Some((program, arguments)) = words.split_first() else { return Err(missing("the command is empty")) };
    let path = programs::find_program(program).ok_or_else(|| missing(format!("the program `{program}` is missing")))?;
    let launch = Launch {
        program: path,
        arguments: arguments.iter().map(OsString::from).collect(),
        environment: programs::session_environment(),
        input: None,
        leftovers: Leftovers::Leave,
    };
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST + 2));
    let heard = |stream: Stream, heard: &[u8]| match stream {
        Stream::Output => {
            let room = (LONGEST + 2).saturating_sub(bytes.len());
            bytes.extend(heard.iter().take(room));
        }
        // A program may repeat the secret there, and what is told ends up in the journal.
        Stream::Errors => {}
    };
    let bell = Bell::new().map_err(missing)?;
    let ended = process::start_for_user(launch).and_then(|running| running.listen(&bell, heard, || Wanted::GoOn));
    match ended.map_err(|error| missing(format!("could not {}", chain(&error))))? {
        Ended::Code(0) => secret(bytes, &format!("what `{program}` prints")),
        Ended::Code(code) => {
            Err(missing(format!("`{program}` ended with code {code}; run it by hand to see what it says")))
        }
        Ended::Signal(signal) => Err(missing(format!("`{program}` was killed by signal {signal}"))),
    }
}

/// Whether a secret is where it should be. It is not fetched, no program is run, and nobody is asked to unlock
/// anything.
#[must_use]
pub fn sight(provider: &CredentialProvider, name: &CredentialName) -> SecretSight {
    match provider {
        CredentialProvider::SecretService => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime.map_err(missing).and_then(|runtime| runtime.block_on(item(name))) {
                Ok(()) => SecretSight::There("it is in an open keyring".into()),
                Err(SecretError::Locked) => SecretSight::Locked,
                Err(SecretError::MissingOrLocked) => SecretSight::MissingOrLocked,
                Err(SecretError::Missing(why)) => SecretSight::Missing(why),
                Err(SecretError::Absent) => SecretSight::NoKeyring("none runs in this session".into()),
            }
        }
        CredentialProvider::Command(command) => {
            let program = command.first().map(|word| word.replace("{id}", name.as_str())).unwrap_or_default();
            match programs::find_program(&program) {
                Some(path) => SecretSight::There(format!("{} is asked for it", path.display())),
                None => SecretSight::Missing(format!("the program `{program}` is missing")),
            }
        }
        CredentialProvider::File => file_sight(name),
        CredentialProvider::Environment => match environment::credential(name) {
            (variable, Some(_)) => SecretSight::There(format!("the variable {variable} is set")),
            (variable, None) => SecretSight::Missing(format!("the variable {variable} is not set")),
        },
    }
}

fn file_sight(name: &CredentialName) -> SecretSight {
    let handed = environment::credentials_directory().map(|place| place.join(name.as_str()));
    if let Some(path) = handed.filter(|path| path.exists()) {
        return SecretSight::There(format!("systemd hands it over: {}", path.display()));
    }
    let path = match environment::own_credentials() {
        Ok(place) => place.join(name.as_str()),
        Err(error) => return SecretSight::Missing(format!("could not {}", chain(&error))),
    };
    let shown = path.display().to_string();
    match guards::inspect(&path) {
        FileSight::Missing => SecretSight::Missing(format!("the file {shown} is missing")),
        FileSight::Unseen(why) => SecretSight::Missing(format!("{shown}: {why}")),
        FileSight::There(guarded) if guarded.is_readable_to_others() => {
            let command = match guarded.owner {
                Owner::Us | Owner::Root => format!("chmod 600 {shown}"),
                // The copy is ours, and the file stays whose it is.
                Owner::Other(_) => format!("cp {shown} {shown}.new && chmod 600 {shown}.new && mv {shown}.new {shown}"),
            };
            SecretSight::Exposed(format!("others may use {shown}"), command)
        }
        FileSight::There(_) => SecretSight::There(format!("{shown} is yours alone")),
    }
}

/// Looks for the item in the keyrings, which tell what they have without giving it away.
async fn item(name: &CredentialName) -> Result<(), SecretError> {
    let connection = session().await?;
    if !owned(&connection).await? {
        return Err(SecretError::Absent);
    }
    find(&connection, name).await.map(drop)
}

/// The item in an open keyring.
async fn find(connection: &Connection, name: &CredentialName) -> Result<OwnedObjectPath, SecretError> {
    let (unlocked, locked) = search(connection, name).await?;
    match unlocked.into_iter().next() {
        Some(item) => Ok(item),
        None if !locked.is_empty() => Err(SecretError::Locked),
        None if any_locked(connection).await? => Err(SecretError::MissingOrLocked),
        None => Err(missing(NO_ITEM)),
    }
}

/// What is said where no keyring has the item.
const NO_ITEM: &str = "no keyring has an item with the attributes `service nbkp` and `id` of that name";

type Items = (Vec<OwnedObjectPath>, Vec<OwnedObjectPath>);

/// The items of this name that are unlocked, and those that are locked.
async fn search(connection: &Connection, name: &CredentialName) -> Result<Items, SecretError> {
    let attributes = HashMap::from([ATTRIBUTES, ("id", name.as_str())]);
    call(connection, ROOT, SERVICE_INTERFACE, "SearchItems", &(attributes,)).await
}

/// What a secret is wrapped in: session, parameters, value, content type.
type Wrapped = (OwnedObjectPath, Vec<u8>, Vec<u8>, String);

async fn from_service(name: &CredentialName) -> Result<Secret, SecretError> {
    let connection = session().await?;
    if !owned(&connection).await? {
        return Err(SecretError::Absent);
    }
    let item = find(&connection, name).await?;
    let plain = ("plain", Variant::from(""));
    let (_, session): (OwnedVariant, OwnedObjectPath) =
        call(&connection, ROOT, SERVICE_INTERFACE, "OpenSession", &plain).await?;
    let (_, _, value, _) =
        call::<_, (Wrapped,)>(&connection, item.as_str(), "org.freedesktop.Secret.Item", "GetSecret", &(session,))
            .await?
            .0;
    secret(Zeroizing::new(value), "the item in the keyring")
}

async fn session() -> Result<Connection, SecretError> {
    let connected = zbus::connection::Builder::session().method_timeout(CALL).build().await;
    connected.map_err(|_| SecretError::Absent)
}

/// Whether there is a Secret Service. It is not started: one that the desktop has not started might ask questions.
async fn owned(connection: &Connection) -> Result<bool, SecretError> {
    let (bus, path) = ("org.freedesktop.DBus", "/org/freedesktop/DBus");
    let reply = connection.call_method(Some(bus), path, Some(bus), "NameHasOwner", &(SERVICE,)).await;
    let reply = reply.map_err(|_| SecretError::Absent)?;
    reply.body().deserialize().map_err(|_| SecretError::Absent)
}

/// Whether a keyring is locked. Some services do not find items in one that is.
async fn any_locked(connection: &Connection) -> Result<bool, SecretError> {
    let asked = (SERVICE_INTERFACE, "Collections");
    let (collections,): (OwnedVariant,) = call(connection, ROOT, PROPERTIES_INTERFACE, "Get", &asked).await?;
    for collection in Vec::<OwnedObjectPath>::try_from(collections).unwrap_or_default() {
        let asked = (COLLECTION_INTERFACE, "Locked");
        let (locked,): (OwnedVariant,) =
            call(connection, collection.as_str(), PROPERTIES_INTERFACE, "Get", &asked).await?;
        if bool::try_from(locked).unwrap_or(false) {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn call<B, R>(
    connection: &Connection,
    path: &str,
    interface: &str,
    method: &str,
    body: &B,
) -> Result<R, SecretError>
where
    B: zbus::export::serde::Serialize + zbus::DynamicType,
    R: for<'d> zbus::wire::DynamicDeserialize<'d>,
{
    let reply = connection.call_method(Some(SERVICE), path, Some(interface), method, body).await;
    let reply = reply.map_err(|error| {
        if let zbus::Error::MethodError(name, ..) = &error
            && name.as_str() == "org.freedesktop.Secret.Error.IsLocked"
        {
            return SecretError::Locked;
        }
        missing(format!("the keyring does not answer: {}", chain(&error)))
    })?;
    reply.body().deserialize().map_err(|error| missing(format!("the keyring cannot be understood: {}", chain(&error))))
}

/// Ears for keyrings.
#[derive(Debug)]
pub struct Listening {
    _connection: Connection,
    owner: MessageStream,
    collections: MessageStream,
    properties: MessageStream,
}

impl Listening {
    /// Listens on the session bus.
    pub async fn start() -> Result<Self, SecretError> {
        let connection = session().await?;
        let absent = |_: zbus::Error| SecretError::Absent;
        let rule = || MatchRule::builder().msg_type(Type::Signal);
        let owner = rule().sender("org.freedesktop.DBus").member("NameOwnerChanged").arg(0, SERVICE);
        let owner = owner.build().map_err(absent)?;
        // Not every service tells in its properties that a collection was unlocked.
        let collections = rule().sender(SERVICE).path(ROOT).interface(SERVICE_INTERFACE).build().map_err(absent)?;
        let properties = rule().sender(SERVICE).path_namespace(ROOT).interface(PROPERTIES_INTERFACE);
        let properties = properties.member("PropertiesChanged").build().map_err(absent)?;
        let owner = MessageStream::for_match_rule(owner, &connection, None).await.map_err(absent)?;
        let collections = MessageStream::for_match_rule(collections, &connection, None).await.map_err(absent)?;
        let properties = MessageStream::for_match_rule(properties, &connection, None).await.map_err(absent)?;
        Ok(Self { _connection: connection, owner, collections, properties })
    }

    /// Waits until a keyring comes, is locked or unlocked, or has other items. What else is done with it, such as
    /// reading from it, brings no secret within reach.
    pub async fn changed(&mut self) -> Result<(), SecretError> {
        loop {
            let heard = tokio::select! {
                heard = self.owner.next() => heard,
                heard = self.collections.next() => heard,
                heard = self.properties.next() => match heard {
                    Some(Ok(message)) if !tells_of_access(&message) => continue,
                    heard => heard,
                },
            };
            return match heard {
                Some(Ok(_)) => Ok(()),
                Some(Err(_)) | None => Err(SecretError::Absent),
            };
        }
    }
}

/// What a signal tells of properties: whose they are, what is in them now, and which have others now.
type Changed = (String, HashMap<String, OwnedVariant>, Vec<String>);

fn tells_of_access(message: &Message) -> bool {
    let body = message.body();
    let Ok((interface, changed, invalidated)) = body.deserialize::<Changed>() else { return false };
    changed.keys().chain(&invalidated).any(|property| gives_access(&interface, property))
}

/// Whether a secret may be within reach when this property has changed. Each item has a `Locked`, too, which changes
/// together with that of its collection.
fn gives_access(interface: &str, property: &str) -> bool {
    match interface {
        SERVICE_INTERFACE => property == "Collections",
        COLLECTION_INTERFACE => matches!(property, "Locked" | "Items"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_failed_command_says_is_not_repeated() {
        let command = ["sh", "-c", "echo correct-horse; echo correct-horse >&2; exit 3"].map(str::to_owned);
        let error = from_command(&command, &"usb".parse().unwrap()).err();
        let told = "`sh` ended with code 3; run it by hand to see what it says".to_owned();
        assert_eq!(error, Some(SecretError::Missing(told)));
    }

    #[test]
    fn a_command_that_cannot_be_started_is_told_with_its_cause() {
        // It lies there and may be run, and no kernel knows what to do with it.
        let program =
            tempfile::Builder::new().permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700)).tempfile();
        let program = program.unwrap().into_temp_path();
        std::fs::write(&program, "\0").unwrap();
        let error = from_command(&[program.to_string_lossy().into_owned()], &"usb".parse().unwrap()).err();
        let told = format!("could not start {}: {}", program.display(), std::io::Error::from_raw_os_error(8));
        assert_eq!(error, Some(SecretError::Missing(told)));
    }

    #[test]
    fn unlocking_gives_access_and_reading_does_not() {
        assert!(gives_access(COLLECTION_INTERFACE, "Locked") && gives_access(SERVICE_INTERFACE, "Collections"));
        assert!(gives_access(COLLECTION_INTERFACE, "Items"));
        assert!(!gives_access(COLLECTION_INTERFACE, "Modified") && !gives_access(COLLECTION_INTERFACE, "Label"));
        assert!(!gives_access("org.freedesktop.Secret.Item", "Locked"));
    }
}
