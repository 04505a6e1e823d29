//! A served udisks2 with one LUKS container, which is what this kernel cannot have: it lacks device-mapper. What is in
//! the container is another device, mounted and unmounted in earnest.

use std::collections::HashMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, sync_channel};

use zbus::connection::Builder;
use zbus::{ObjectPath, OwnedObjectPath, OwnedVariant, Variant, interface};

const CONTAINER: &str = "/org/freedesktop/UDisks2/block_devices/container";
const CLEAR: &str = "/org/freedesktop/UDisks2/block_devices/clear";
/// It is there while the container is open.
const UNLOCKED: &str = "/run/luks-unlocked";
/// It is there while an answer is held back.
const HESITATION: &str = "/run/luks-hesitation";
/// It is there while the container holds another filesystem than the one that is known.
const ANOTHER: &str = "/run/luks-another";
/// Where it is mounted.
const POINT: &str = "/media/inside";

/// The container.
pub struct Luks {
    given: std::cell::RefCell<Vec<String>>,
    heard: Receiver<String>,
    hesitation: PathBuf,
    unlocked: PathBuf,
    another: PathBuf,
}

impl Luks {
    /// Serves a container on a device, opened by this passphrase, with another device in it. `lsblk` shows what a
    /// kernel with device-mapper would.
    pub fn serve(container: &Path, clear: &Path, passphrase: &str) -> Self {
        show_what_is_in_it(container, clear);
        let (hear, heard) = sync_channel(16);
        let (ready, served) = sync_channel(1);
        let devices = Devices { container: container.into(), clear: clear.into() };
        let (encrypted, filesystem) = (
            Encrypted { passphrase: passphrase.into(), hear, unlocked: UNLOCKED.into() },
            Filesystem { device: clear.into(), point: POINT.into() },
        );
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let builder = Builder::system().name("org.freedesktop.UDisks2");
                let builder = builder.serve_at("/org/freedesktop/UDisks2", devices);
                let builder = builder.serve_at(CONTAINER, encrypted).serve_at(CLEAR, filesystem);
                let _connection = builder.build().await.unwrap();
                ready.send(()).unwrap();
                std::future::pending::<()>().await;
            });
        });
        served.recv().unwrap();
        Self {
            given: std::cell::RefCell::default(),
            heard,
            hesitation: HESITATION.into(),
            unlocked: UNLOCKED.into(),
            another: ANOTHER.into(),
        }
    }

    /// The passphrases that it was given.
    pub fn given(&self) -> Vec<String> {
        self.given.borrow_mut().extend(self.heard.try_iter());
        self.given.borrow().clone()
    }

    /// From now on it does not answer whoever unlocks it.
    pub fn hesitate(&self) {
        std::fs::write(&self.hesitation, "").unwrap();
    }

    /// It answers.
    pub fn go_on(&self) {
        std::fs::remove_file(&self.hesitation).unwrap();
    }

    /// From now on another filesystem is in it than the one that is known.
    pub fn hold_another(&self) {
        std::fs::write(&self.another, "").unwrap();
    }

    /// The one that is known is in it again.
    pub fn hold_its_own(&self) {
        std::fs::remove_file(&self.another).unwrap();
    }

    /// Whether it is open.
    pub fn is_unlocked(&self) -> bool {
        self.unlocked.exists()
    }
}

/// Puts an `lsblk` in front of the real one that tells of what is in the container, while it is open, and of nothing
/// there otherwise.
fn show_what_is_in_it(container: &Path, clear: &Path) {
    let (container, clear) = (container.display(), clear.display());
    std::fs::copy("/usr/bin/lsblk", "/run/lsblk").unwrap();
    let script = format!(
        "#!/bin/sh\ncase $*/$(ls {UNLOCKED} {ANOTHER} 2>/dev/null) in\n\
         '-nrpo UUID,FSTYPE,KNAME/{UNLOCKED}') exec /run/lsblk \"$@\" ;;\n\
         '-nrpo UUID,FSTYPE,KNAME/'*) /run/lsblk \"$@\" | grep -v ' {clear}$' ;;\n\
         '-nrpo TYPE,KNAME {container}/'*{UNLOCKED}*) /run/lsblk \"$@\"; echo 'crypt {clear}' ;;\n\
         '-dnro TYPE,FSTYPE {clear}/'*) /run/lsblk \"$@\" | sed 's/^loop/crypt/' ;;\n\
         '-nrpso KNAME {clear}/'*) printf '%s\\n' {clear} {container} ;;\n\
         *) exec /run/lsblk \"$@\" ;;\nesac\n"
    );
    std::fs::write("/run/lsblk.sh", script).unwrap();
    std::fs::set_permissions("/run/lsblk.sh", PermissionsExt::from_mode(0o755)).unwrap();
    sh("mount --bind /run/lsblk.sh /usr/bin/lsblk");
    // Nor would udev link what it does not see.
    sh("mount -t tmpfs -o ro tmpfs /dev/disk/by-uuid");
}

#[expect(clippy::disallowed_methods, reason = "the tests start real programs")]
fn sh(line: &str) -> String {
    let output = Command::new("sh").args(["-ec", line]).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

fn object(path: &str) -> OwnedObjectPath {
    ObjectPath::try_from(path.to_owned()).unwrap().into()
}

fn link(path: &str) -> OwnedVariant {
    ObjectPath::try_from(path.to_owned()).unwrap().into()
}

struct Devices {
    container: PathBuf,
    clear: PathBuf,
}

type Properties = HashMap<String, OwnedVariant>;

fn bytes(path: &Path) -> Vec<u8> {
    path.to_str().unwrap().bytes().chain([0]).collect()
}

fn block(device: &Path, backing: &str) -> Properties {
    let owned = |value: Variant<'_>| OwnedVariant::try_from(value).unwrap();
    HashMap::from([
        ("Device".to_owned(), owned(Variant::from(bytes(device)))),
        ("PreferredDevice".to_owned(), owned(Variant::from(bytes(device)))),
        ("Symlinks".to_owned(), owned(Variant::from(Vec::<Vec<u8>>::new()))),
        ("DeviceNumber".to_owned(), std::fs::metadata(device).unwrap().rdev().into()),
        ("CryptoBackingDevice".to_owned(), link(backing)),
        ("Drive".to_owned(), link("/")),
    ])
}

#[interface(name = "org.freedesktop.DBus.ObjectManager")]
impl Devices {
    fn get_managed_objects(&self) -> HashMap<OwnedObjectPath, HashMap<String, Properties>> {
        let is_open = Path::new(UNLOCKED).exists();
        let clear = if is_open { CLEAR } else { "/" };
        let name = |name: &str| format!("org.freedesktop.UDisks2.{name}");
        let encrypted = HashMap::from([("CleartextDevice".to_owned(), link(clear))]);
        let container = HashMap::from([(name("Block"), block(&self.container, "/")), (name("Encrypted"), encrypted)]);
        let mut objects = HashMap::from([(object(CONTAINER), container)]);
        if is_open {
            let points: Vec<Vec<u8>> =
                if sh("cat /proc/mounts").contains(POINT) { vec![bytes(Path::new(POINT))] } else { Vec::new() };
            let points = OwnedVariant::try_from(Variant::from(points)).unwrap();
            let filesystem = HashMap::from([("MountPoints".to_owned(), points)]);
            let block = block(&self.clear, CONTAINER);
            objects.insert(object(CLEAR), HashMap::from([(name("Block"), block), (name("Filesystem"), filesystem)]));
        }
        objects
    }
}

/// Nobody is there who could answer a question of polkit.
fn asks_nobody(mut options: HashMap<String, OwnedVariant>) {
    let told = options.remove("auth.no_user_interaction").and_then(|told| bool::try_from(told).ok());
    assert_eq!(told, Some(true));
}

struct Encrypted {
    passphrase: String,
    unlocked: PathBuf,
    hear: std::sync::mpsc::SyncSender<String>,
}

#[interface(name = "org.freedesktop.UDisks2.Encrypted")]
impl Encrypted {
    async fn unlock(
        &self,
        passphrase: String,
        options: HashMap<String, OwnedVariant>,
    ) -> Result<OwnedObjectPath, Failure> {
        let contents = options.get("keyfile_contents").and_then(|it| Vec::<u8>::try_from(it.try_clone().unwrap()).ok());
        let given = contents.map_or(passphrase, |bytes| String::from_utf8(bytes).unwrap());
        asks_nobody(options);
        self.hear.send(given.clone()).unwrap();
        while Path::new(HESITATION).exists() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        if given != self.passphrase {
            let why = "Error unlocking /dev/x: Failed to activate device: Incorrect passphrase.";
            return Err(Failure::Failed(why.into()));
        }
        std::fs::write(&self.unlocked, "").unwrap();
        Ok(object(CLEAR))
    }

    fn lock(&self, options: HashMap<String, OwnedVariant>) {
        asks_nobody(options);
        std::fs::remove_file(&self.unlocked).unwrap();
    }
}

struct Filesystem {
    device: PathBuf,
    point: PathBuf,
}

#[interface(name = "org.freedesktop.UDisks2.Filesystem")]
impl Filesystem {
    fn mount(&self, options: HashMap<String, OwnedVariant>) -> String {
        asks_nobody(options);
        let point = self.point.display();
        sh(&format!("mkdir -p {point} && mount {} {point}", self.device.display()));
        point.to_string()
    }

    fn unmount(&self, options: HashMap<String, OwnedVariant>) {
        asks_nobody(options);
        sh(&format!("umount {}", self.point.display()));
    }
}

#[derive(Debug, zbus::DBusError)]
#[zbus(prefix = "org.freedesktop.UDisks2.Error")]
enum Failure {
    #[zbus(error)]
    ZBus(zbus::Error),
    Failed(String),
}
