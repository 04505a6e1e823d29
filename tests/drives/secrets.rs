//! Passphrases on a mini host: from a real keyring, a served one, a command, a file; handed to udisks by a helper that
//! nobody can look into, and found nowhere else.

use std::collections::HashMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{SyncSender, sync_channel};

use nbkp::model::{CredentialProvider, SecretSight};
use nbkp::os::secrets::{Listening, SecretError, fetch, sight};
use tokio::sync::mpsc::{self, Receiver};
use zbus::connection::Builder;
use zbus::{Connection, ObjectPath, OwnedObjectPath, OwnedVariant, interface};

use crate::bus::{Neighbour, bus, system_bus};
use crate::keyring::keyring;
use crate::mini::{Stick, host, sh, uuid};

const CANARY: &str = "correct-horse-canary-staple";
const SESSION: &str = "/run/user-bus";

fn session_bus() -> Neighbour {
    bus("session", SESSION)
}

/// A device that is really there, for an encrypted drive that is only served: this kernel has no device-mapper.
fn stick() -> (tempfile::TempDir, Stick, (u32, u32)) {
    let place = tempfile::tempdir().unwrap();
    let mut stick = Stick::new(&place.path().join("image"), &format!("mkfs.ext4 -q -U {}", uuid()));
    let device = std::fs::metadata(stick.plug()).unwrap().rdev();
    (place, stick, (rustix::fs::major(device), rustix::fs::minor(device)))
}

/// The helper as the daemon starts it: what it says of an unlocking.
fn helper(device: (u32, u32), provider: &str, command: &[&str], variables: &[(&str, &str)]) -> String {
    let mut helper = Command::new(env!("CARGO_BIN_EXE_nbkpd"));
    helper.args(["unlock-helper", &format!("{}:{}", device.0, device.1), "usb", provider, "--"]).args(command);
    helper.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", "/run/home").stdin(Stdio::null());
    helper.env("DBUS_SESSION_BUS_ADDRESS", format!("unix:path={SESSION}")).envs(variables.iter().copied());
    let output = helper.output().unwrap();
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The helper as a user without rights starts it, where cores are wanted: with a command that prints the canary.
fn helper_of_nobody(device: (u32, u32)) -> String {
    // Where it was built, that user may not read.
    std::fs::copy(env!("CARGO_BIN_EXE_nbkpd"), "/run/nbkpd").unwrap();
    let (major, minor) = device;
    sh(&format!(
        "ulimit -c unlimited; exec setpriv --reuid 65534 --regid 65534 --clear-groups \
         /run/nbkpd unlock-helper {major}:{minor} usb command -- cat '/run/store/{{id}}'"
    ))
}

// --- a served udisks ---------------------------------------------------------------------------------------------

struct Manager {
    number: u64,
}

#[interface(name = "org.freedesktop.DBus.ObjectManager")]
impl Manager {
    fn get_managed_objects(&self) -> HashMap<OwnedObjectPath, HashMap<String, HashMap<String, OwnedVariant>>> {
        let block = HashMap::from([
            ("DeviceNumber".to_owned(), OwnedVariant::from(self.number)),
            ("CryptoBackingDevice".to_owned(), ObjectPath::try_from("/").unwrap().into()),
            ("Drive".to_owned(), ObjectPath::try_from("/").unwrap().into()),
        ]);
        let clear = if Path::new("/run/unlocked").exists() { "/clear" } else { "/" };
        let encrypted = HashMap::from([("CleartextDevice".to_owned(), ObjectPath::try_from(clear).unwrap().into())]);
        let interfaces = HashMap::from([
            ("org.freedesktop.UDisks2.Block".to_owned(), block),
            ("org.freedesktop.UDisks2.Encrypted".to_owned(), encrypted),
        ]);
        HashMap::from([(ObjectPath::try_from("/container").unwrap().into(), interfaces)])
    }
}

struct Encrypted {
    gate: Option<Receiver<()>>,
    asked: SyncSender<Vec<u8>>,
}

#[interface(name = "org.freedesktop.UDisks2.Encrypted")]
impl Encrypted {
    async fn unlock(
        &mut self,
        passphrase: String,
        options: HashMap<String, OwnedVariant>,
    ) -> Result<OwnedObjectPath, Failure> {
        let keyfile = options.get("keyfile_contents").and_then(|it| Vec::<u8>::try_from(it.try_clone().unwrap()).ok());
        let given = keyfile.unwrap_or_else(|| passphrase.into_bytes());
        assert_eq!(bool::try_from(options["auth.no_user_interaction"].try_clone().unwrap()), Ok(true));
        let right = given == CANARY.as_bytes();
        self.asked.send(given).unwrap();
        if let Some(gate) = &mut self.gate {
            gate.recv().await.unwrap();
        }
        if !right {
            return Err(Failure::Failed(
                "Error unlocking /dev/x: Failed to activate device: Incorrect passphrase.".into(),
            ));
        }
        std::fs::write("/run/unlocked", "").unwrap();
        Ok(ObjectPath::try_from("/clear").unwrap().into())
    }
}

#[derive(Debug, zbus::DBusError)]
#[zbus(prefix = "org.freedesktop.UDisks2.Error")]
enum Failure {
    #[zbus(error)]
    ZBus(zbus::Error),
    Failed(String),
}

/// Runs something beside services that are served until it has ended.
fn beside<T: Send + 'static>(
    serve: impl Future<Output = Vec<Connection>>,
    act: impl FnOnce() -> T + Send + 'static,
) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let _served = serve.await;
        tokio::task::spawn_blocking(act).await.unwrap()
    })
}

async fn served_udisks(device: (u32, u32), gate: Option<Receiver<()>>, asked: SyncSender<Vec<u8>>) -> Connection {
    let number = rustix::fs::makedev(device.0, device.1);
    let builder = Builder::system().name("org.freedesktop.UDisks2");
    let builder = builder.serve_at("/org/freedesktop/UDisks2", Manager { number });
    builder.serve_at("/container", Encrypted { gate, asked }).build().await.unwrap()
}

// --- where secrets come from -------------------------------------------------------------------------------------

#[test]
fn files_commands_and_variables_unlock_a_drive() {
    host("secrets::files_commands_and_variables_unlock_a_drive", || {
        let _bus = system_bus();
        let (_place, mut stick, device) = stick();
        let (asked, given) = sync_channel(16);
        beside(async move { vec![served_udisks(device, None, asked).await] }, move || {
            let locked = || std::fs::remove_file("/run/unlocked").unwrap();
            let opened = "opened \n";
            assert_eq!(helper(device, "env", &[], &[("NBKP_CREDENTIAL_USB", CANARY)]), opened);
            // What is open is not opened again.
            assert_eq!(helper(device, "env", &[], &[("NBKP_CREDENTIAL_USB", CANARY)]), opened);
            assert_eq!(given.try_iter().count(), 1);
            locked();
            let script = format!("test \"$1\" = nbkp/usb && echo {CANARY}");
            assert_eq!(helper(device, "command", &["sh", "-c", &script, "sh", "nbkp/{id}"], &[]), opened);
            locked();
            let refused = helper(device, "command", &["sh", "-c", "echo the store is closed >&2; exit 3"], &[]);
            assert_eq!(refused, "no-secret `sh` ended with code 3; run it by hand to see what it says\n");

            // Root's own files are those of the system.
            std::fs::create_dir_all("/etc/nbkp").unwrap();
            sh("mount -t tmpfs -o mode=700 tmpfs /etc/nbkp && mkdir /etc/nbkp/credentials");
            let file = Path::new("/etc/nbkp/credentials/usb");
            assert!(helper(device, "file", &[], &[]).starts_with("no-secret /etc/nbkp/credentials/usb: "));
            std::fs::write(file, format!("{CANARY}\n")).unwrap();
            std::fs::set_permissions(file, PermissionsExt::from_mode(0o640)).unwrap();
            let refused = helper(device, "file", &[], &[]);
            assert!(refused.contains("others may use") && refused.contains("chmod 600"), "{refused}");
            std::fs::set_permissions(file, PermissionsExt::from_mode(0o400)).unwrap();
            assert_eq!(helper(device, "file", &[], &[]), opened);
            locked();
            std::os::unix::fs::chown(file, Some(4711), None).unwrap();
            assert!(helper(device, "file", &[], &[]).contains("belongs to another user"));
            std::fs::remove_file(file).unwrap();
            std::os::unix::fs::symlink("/etc/hostname", file).unwrap();
            assert!(helper(device, "file", &[], &[]).starts_with("no-secret"));

            // What systemd hands over goes first.
            std::fs::create_dir("/run/handed").unwrap();
            std::fs::write("/run/handed/usb", "wrong").unwrap();
            let handed = [("CREDENTIALS_DIRECTORY", "/run/handed")];
            assert_eq!(helper(device, "file", &[], &handed), "wrong-secret \n");
            std::fs::write("/run/handed/usb", CANARY).unwrap();
            assert_eq!(helper(device, "file", &[], &handed), opened);
        });
        stick.pull();
        assert_eq!(
            helper(device, "env", &[], &[("NBKP_CREDENTIAL_USB", CANARY)]),
            "no-udisks reach udisks2 on the \
             system bus: The name org.freedesktop.UDisks2 was not provided by any .service files\n"
        );
    });
}

fn on_session(line: &str) -> String {
    sh(&format!("export DBUS_SESSION_BUS_ADDRESS=unix:path={SESSION}; {line}"))
}

#[test]
fn a_real_keyring_unlocks_a_drive_and_a_locked_one_is_waited_for() {
    host("secrets::a_real_keyring_unlocks_a_drive_and_a_locked_one_is_waited_for", || {
        let (_bus, _session) = (system_bus(), session_bus());
        let (_place, _stick, device) = stick();
        let (asked, _given) = sync_channel(16);
        assert_eq!(helper(device, "secret-service", &[], &[]), "keyring-absent \n");
        beside(async move { vec![served_udisks(device, None, asked).await] }, move || {
            let mut keyring = keyring("the password of the login", SESSION);
            let missing = helper(device, "secret-service", &[], &[]);
            assert!(missing.starts_with("no-secret no keyring has an item"), "{missing}");
            // As the documentation says.
            on_session(&format!("printf %s {CANARY} | secret-tool store --label='nbkp usb' service nbkp id usb"));
            assert_eq!(helper(device, "secret-service", &[], &[]), "opened \n");
            std::fs::remove_file("/run/unlocked").unwrap();

            let (service, login) = ("/org/freedesktop/secrets", "/org/freedesktop/secrets/collection/login");
            on_session(&format!(
                "busctl --user call org.freedesktop.secrets {service} org.freedesktop.Secret.Service Lock ao 1 {login}"
            ));
            assert_eq!(helper(device, "secret-service", &[], &[]), "keyring-locked \n");
            keyring.kill();
            assert_eq!(helper(device, "secret-service", &[], &[]), "keyring-absent \n");
        });
    });
}

#[test]
fn it_is_seen_whether_a_secret_is_there() {
    host("secrets::it_is_seen_whether_a_secret_is_there", || {
        let _session = session_bus();
        let usb = "usb".parse().unwrap();
        let seen = || sight(&CredentialProvider::SecretService, &usb);
        assert!(matches!(seen(), SecretSight::NoKeyring(_)), "{:?}", seen());
        let keyring = keyring("the password of the login", SESSION);
        assert!(matches!(seen(), SecretSight::Missing(_)), "{:?}", seen());
        on_session(&format!("printf %s {CANARY} | secret-tool store --label='nbkp usb' service nbkp id usb"));
        assert!(matches!(seen(), SecretSight::There(_)), "{:?}", seen());
        let (service, login) = ("/org/freedesktop/secrets", "/org/freedesktop/secrets/collection/login");
        on_session(&format!(
            "busctl --user call org.freedesktop.secrets {service} org.freedesktop.Secret.Service Lock ao 1 {login}"
        ));
        assert!(matches!(seen(), SecretSight::Locked | SecretSight::MissingOrLocked), "{:?}", seen());
        drop(keyring);

        let command = |words: &[&str]| {
            let words = words.iter().map(|word| (*word).to_owned()).collect();
            sight(&CredentialProvider::Command(words), &usb)
        };
        assert!(matches!(command(&["touch", "/run/touched"]), SecretSight::There(_)));
        assert!(!Path::new("/run/touched").exists(), "the command is not run");
        assert!(matches!(command(&["no-such-program"]), SecretSight::Missing(_)));
        assert!(matches!(sight(&CredentialProvider::Environment, &usb), SecretSight::Missing(_)));

        std::fs::create_dir_all("/etc/nbkp").unwrap();
        sh("mount -t tmpfs -o mode=700 tmpfs /etc/nbkp && mkdir /etc/nbkp/credentials");
        let file = || sight(&CredentialProvider::File, &usb);
        assert!(matches!(file(), SecretSight::Missing(_)));
        let path = Path::new("/etc/nbkp/credentials/usb");
        std::fs::write(path, CANARY).unwrap();
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o640)).unwrap();
        assert!(matches!(file(), SecretSight::Exposed(..)));
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
        assert!(matches!(file(), SecretSight::There(_)));
    });
}

/// A keyring that takes down what it is asked, with an item that is unlocked, or with none.
struct Watching {
    asked: SyncSender<String>,
    items: Vec<OwnedObjectPath>,
}

#[interface(name = "org.freedesktop.Secret.Service")]
impl Watching {
    fn search_items(&self, mut attributes: HashMap<String, String>) -> (Vec<OwnedObjectPath>, Vec<OwnedObjectPath>) {
        let mut asked = |name: &str| attributes.remove(name).unwrap_or_default();
        self.asked.send(format!("search {} {}", asked("service"), asked("id"))).unwrap();
        (self.items.clone(), vec![])
    }

    fn unlock(&self, objects: Vec<OwnedObjectPath>) -> (Vec<OwnedObjectPath>, OwnedObjectPath) {
        self.asked.send(format!("unlock {objects:?}")).unwrap();
        (objects, ObjectPath::try_from("/").unwrap().into())
    }

    #[zbus(property)]
    fn collections(&self) -> Vec<OwnedObjectPath> {
        let _ = self.asked.send("collections".into());
        vec![ObjectPath::try_from("/collection").unwrap().into()]
    }
}

/// Some services do not find what is in one that is locked.
struct Collection(bool);

#[interface(name = "org.freedesktop.Secret.Collection")]
impl Collection {
    #[zbus(property)]
    fn locked(&self) -> bool {
        self.0
    }
}

/// What is seen of the secret in such a keyring, and what it was asked.
fn looked_for(items: &[&str], locked: bool) -> (SecretSight, Vec<String>) {
    in_keyring(items, locked, || sight(&CredentialProvider::SecretService, &"usb".parse().unwrap()))
}

fn in_keyring<T: Send + 'static>(
    items: &[&str],
    locked: bool,
    look: impl FnOnce() -> T + Send + 'static,
) -> (T, Vec<String>) {
    let (asked, heard) = sync_channel(16);
    let items = items.iter().map(|item| ObjectPath::try_from((*item).to_owned()).unwrap().into()).collect();
    let service = async move {
        let builder = Builder::session().name("org.freedesktop.secrets");
        let builder = builder.serve_at("/org/freedesktop/secrets", Watching { asked, items });
        vec![builder.serve_at("/collection", Collection(locked)).build().await.unwrap()]
    };
    let found = beside(service, look);
    (found, heard.try_iter().collect())
}

#[test]
fn a_secret_that_is_only_looked_for_is_not_fetched() {
    host("secrets::a_secret_that_is_only_looked_for_is_not_fetched", || {
        let _session = session_bus();
        let (found, asked) = looked_for(&["/item"], false);
        assert!(matches!(found, SecretSight::There(_)), "{found:?}");
        assert_eq!(asked, ["search nbkp usb"]);
        let (found, asked) = looked_for(&[], true);
        assert_eq!(found, SecretSight::MissingOrLocked);
        // Nobody is told to unlock the keyring that has it: perhaps none has.
        let (fetched, _) = in_keyring(&[], true, || fetch(&CredentialProvider::SecretService, &"usb".parse().unwrap()));
        assert_eq!(fetched.err(), Some(SecretError::MissingOrLocked));
        assert_eq!(asked, ["search nbkp usb", "collections"], "nobody is asked to unlock it");
        let (found, _) = looked_for(&[], false);
        assert!(matches!(found, SecretSight::Missing(_)), "{found:?}");
    });
}

#[test]
fn a_keyring_is_heard_when_it_comes_and_when_it_changes() {
    host("secrets::a_keyring_is_heard_when_it_comes_and_when_it_changes", || {
        let _session = session_bus();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut listening = Listening::start().await.unwrap();
            let keyring = tokio::task::spawn_blocking(|| keyring("password", SESSION)).await.unwrap();
            listening.changed().await.unwrap();
            tokio::task::spawn_blocking(|| {
                on_session(&format!("printf %s {CANARY} | secret-tool store --label=x service nbkp id usb"));
            })
            .await
            .unwrap();
            listening.changed().await.unwrap();
            drop(keyring);
            listening.changed().await.unwrap();
        });
    });
}

// --- nobody else learns it ---------------------------------------------------------------------------------------

/// The files of `/proc` in which a process shows itself, and all that is written anywhere in `/run`, that hold the
/// canary.
fn leaks(but: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
        if entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()) {
            found.extend(["cmdline", "environ", "comm", "status"].map(|name| entry.path().join(name)));
        }
    }
    found.extend(sh("find /run -xdev -type f").lines().map(PathBuf::from));
    let holds = |path: &PathBuf| {
        let bytes = std::fs::read(path).unwrap_or_default();
        bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes())
    };
    found.retain(|path| holds(path) && !but.iter().any(|but| path.starts_with(but)));
    found
}

#[test]
fn the_secret_shows_nowhere_while_it_is_used() {
    host("secrets::the_secret_shows_nowhere_while_it_is_used", || {
        let (_bus, _session) = (system_bus(), session_bus());
        let (_place, _stick, device) = stick();
        let (asked, given) = sync_channel(16);
        let (open, gate) = mpsc::channel(1);
        std::fs::create_dir("/run/store").unwrap();
        std::fs::write("/run/store/usb", CANARY).unwrap();
        beside(async move { vec![served_udisks(device, Some(gate), asked).await] }, move || {
            let helper = std::thread::spawn(move || helper_of_nobody(device));
            // The secret has reached udisks; the helper waits for its answer.
            given.recv().unwrap();
            let pids = sh("pgrep -x nbkpd");
            let [pid] = pids.lines().collect::<Vec<_>>()[..] else { panic!("one helper: {pids}") };
            // What cannot be looked into by others of its user shows in that its files in /proc are root's.
            let owner = std::fs::metadata(format!("/proc/{pid}/environ")).unwrap().uid();
            assert_eq!(owner, 0, "another process of this user may look into it");
            let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
            let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
            assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"], "{core}");
            assert_eq!(leaks(&["/run/store"]), Vec::<PathBuf>::new());
            // The search finds what is there.
            assert!(leaks(&[]).contains(&PathBuf::from("/run/store/usb")));
            open.blocking_send(()).unwrap();
            assert_eq!(helper.join().unwrap(), "opened");
        });
    });
}
