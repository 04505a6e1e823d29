//! udisks2, over the system bus: unlocks, mounts, unmounts, locks and powers off drives.
//!
//! Each operation names what it wants, looks whether it is so already, asks for it, and looks again: the desktop may do
//! the same at this moment, and udisksd may die in the middle of it. What is true is what its objects say, not what a
//! call was answered.

mod answers;
mod objects;
pub mod trial;

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use tokio::runtime::Runtime;
use zbus::fdo::ManagedObjects;
use zbus::{Connection, OwnedObjectPath, Variant};

use super::clock;
use super::directory::ChangeMade;
use super::machine::{self, DeviceState};
use super::secret::Secret;
use crate::formats::udisks::Meaning;
use answers::judge;
use objects::{DRIVE, ENCRYPTED, FILESYSTEM, facts};
pub use objects::{Power, VolumeFacts};

/// How long one call may take. What takes longer goes on in udisksd, and is looked for.
const CALL: Duration = Duration::from_secs(25);
/// How long an operation may take with all that is tried.
const PATIENCE: Duration = Duration::from_mins(2);
/// How long a device that the kernel knows may be unknown to udisks: after a plug-in it hears of it a little later.
const ARRIVAL: Duration = Duration::from_secs(5);
/// How long to wait before the next look.
const PAUSE: Duration = Duration::from_millis(100);

const SERVICE: &str = "org.freedesktop.UDisks2";

/// Why udisks did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum UdisksError {
    /// There is no system bus, or no udisks on it.
    #[error("reach udisks2 on the system bus: {0}")]
    Absent(String),
    /// The device is gone.
    #[error("{0}: it is not plugged in any more")]
    Gone(&'static str),
    /// polkit does not let this user do it.
    #[error("{0}: polkit does not let this user do it: {1}")]
    NotAuthorized(&'static str, String),
    /// Somebody uses it.
    #[error("{0}: it is in use: {1}")]
    Busy(&'static str, String),
    /// The passphrase opens nothing.
    #[error("unlock it: the passphrase is not the right one")]
    WrongSecret,
    /// It does not come about, and nobody says why.
    #[error("{0}: it did not come about within {PATIENCE:?}: {1}")]
    Silent(&'static str, String),
    /// udisks says no.
    #[error("{0}: {1}")]
    Refused(&'static str, String),
}

/// The way to udisks. The calls wait for their answers: they are for threads that have nothing else to do.
#[derive(Debug)]
pub struct Udisks {
    runtime: Runtime,
    connection: Connection,
}

impl Udisks {
    /// Connects to the system bus. udisks itself is started by the bus when it is asked something.
    pub fn connect() -> Result<Self, UdisksError> {
        let absent = |cause: &dyn std::fmt::Display| UdisksError::Absent(cause.to_string());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| absent(&e))?;
        let connecting = zbus::connection::Builder::system().method_timeout(CALL).build();
        // A bus that hangs takes the connection and says nothing.
        let connection = runtime.block_on(async { tokio::time::timeout(CALL, connecting).await });
        let connection = connection.map_err(|_| UdisksError::Absent("the bus does not answer".into()))?;
        Ok(Self { connection: connection.map_err(|e| absent(&e))?, runtime })
    }

    /// What is known of the volume on the device of this number, be that the filesystem or the container around it.
    pub fn facts(&self, device: (u32, u32)) -> Result<VolumeFacts, UdisksError> {
        self.runtime.block_on(self.known(device, "look at it"))
    }

    /// What is in use on its drive, of this volume or of others, now: the nodes.
    pub fn in_use_on_drive(&self, facts: &VolumeFacts) -> Result<Vec<PathBuf>, UdisksError> {
        let objects = self.runtime.block_on(self.objects());
        let objects = objects.map_err(|error| UdisksError::Absent(judge(&error).words))?;
        let parts = machine::parts_of_disk(facts.carrier);
        Ok(objects::in_use(&objects, facts, &parts, machine::is_held))
    }

    /// Opens its LUKS container.
    pub fn unlock(&self, device: (u32, u32), secret: &Secret) -> Result<ChangeMade, UdisksError> {
        self.runtime.block_on(self.bring_about(device, &Wish::Unlocked(secret)))
    }

    /// Mounts it: where fstab says, or below `/run/media`.
    pub fn mount(&self, device: (u32, u32)) -> Result<ChangeMade, UdisksError> {
        self.runtime.block_on(self.bring_about(device, &Wish::Mounted))
    }

    /// Unmounts it wherever it is mounted.
    pub fn unmount(&self, device: (u32, u32)) -> Result<ChangeMade, UdisksError> {
        self.runtime.block_on(self.bring_about(device, &Wish::Unmounted))
    }

    /// Closes its LUKS container.
    pub fn lock(&self, device: (u32, u32)) -> Result<ChangeMade, UdisksError> {
        self.runtime.block_on(self.bring_about(device, &Wish::Locked))
    }

    /// Powers its drive off, which makes it go away. A drive that cannot be powered off stays as it is.
    pub fn power_off(&self, device: (u32, u32)) -> Result<ChangeMade, UdisksError> {
        self.runtime.block_on(self.bring_about(device, &Wish::Off))
    }

    async fn bring_about(&self, device: (u32, u32), wish: &Wish<'_>) -> Result<ChangeMade, UdisksError> {
        let begun = clock::boot();
        let what = wish.words();
        let mut done = ChangeMade::AlreadySo;
        loop {
            let facts = match self.known(device, what).await {
                // It went because it was powered off.
                Err(UdisksError::Gone(_)) if matches!(wish, Wish::Off) && done == ChangeMade::Changed => {
                    return Ok(done);
                }
                known => known?,
            };
            let age = clock::boot().since(begun);
            let (object, interface) = match wish.state(&facts) {
                State::AsWished => return Ok(done),
                State::Otherwise(object, interface) => (object, interface),
                State::Unknown if age > ARRIVAL => {
                    return Err(UdisksError::Refused(what, "udisks2 finds no filesystem on it".into()));
                }
                State::Unknown => {
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            };
            let late = age > PATIENCE;
            match self.ask(wish, object, interface).await {
                Ok(()) if late => return Err(UdisksError::Silent(what, "it was asked for, and accepted".into())),
                Ok(()) => done = ChangeMade::Changed,
                Err(error) => {
                    let answer = judge(&error);
                    match answer.kind {
                        // Somebody else does the same: the next look tells, and it is theirs.
                        Meaning::Passing if !late => {}
                        // What was asked may go on, and is ours.
                        Meaning::Unanswered if !late => done = ChangeMade::Changed,
                        Meaning::Passing | Meaning::Unanswered => return Err(UdisksError::Silent(what, answer.words)),
                        Meaning::Absent => return Err(UdisksError::Absent(answer.words)),
                        Meaning::NotAuthorized => return Err(UdisksError::NotAuthorized(what, answer.words)),
                        Meaning::Busy => return Err(UdisksError::Busy(what, answer.words)),
                        Meaning::WrongSecret => return Err(UdisksError::WrongSecret),
                        Meaning::Refused => return Err(UdisksError::Refused(what, answer.words)),
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    async fn ask(&self, wish: &Wish<'_>, object: &OwnedObjectPath, interface: &str) -> zbus::Result<()> {
        // Nobody is there to answer a question.
        let mut options: HashMap<&str, Variant<'_>> = [("auth.no_user_interaction", Variant::from(true))].into();
        let call = |method| (Some(SERVICE), object.as_str(), Some(interface), method);
        let (destination, path, interface, method) = call(wish.method());
        let connection = &self.connection;
        let reply = match wish {
            Wish::Unlocked(secret) => {
                let passphrase = secret.text().unwrap_or_default();
                if passphrase.is_empty() {
                    options.insert("keyfile_contents", Variant::from(secret.bytes()));
                }
                connection.call_method(destination, path, interface, method, &(passphrase, options)).await
            }
            Wish::Mounted | Wish::Unmounted | Wish::Locked | Wish::Off => {
                connection.call_method(destination, path, interface, method, &(options,)).await
            }
        };
        reply.map(drop)
    }

    /// What is known, once udisks knows the device.
    async fn known(&self, device: (u32, u32), what: &'static str) -> Result<VolumeFacts, UdisksError> {
        let begun = clock::boot();
        loop {
            let late = clock::boot().since(begun) > ARRIVAL;
            // udisks keeps the object of some devices whose medium is out.
            let gone = machine::device_state(device) == DeviceState::Gone;
            match self.objects().await {
                Ok(_) if gone => return Err(UdisksError::Gone(what)),
                Ok(objects) => match facts(&objects, device) {
                    Some(facts) => return Ok(facts),
                    None if late => return Err(UdisksError::Gone(what)),
                    None => {}
                },
                Err(error) => {
                    let answer = judge(&error);
                    if late || answer.kind == Meaning::Absent {
                        return Err(UdisksError::Absent(answer.words));
                    }
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn objects(&self) -> zbus::Result<ManagedObjects> {
        let (path, interface) = ("/org/freedesktop/UDisks2", "org.freedesktop.DBus.ObjectManager");
        let method = "GetManagedObjects";
        let reply = self.connection.call_method(Some(SERVICE), path, Some(interface), method, &()).await?;
        reply.body().deserialize()
    }
}

/// Whether it is so.
enum State<'f> {
    AsWished,
    /// This object has to be asked, by this interface.
    Otherwise(&'f OwnedObjectPath, &'static str),
    /// It cannot be told yet.
    Unknown,
}

/// What is to be so.
enum Wish<'a> {
    Unlocked(&'a Secret),
    Mounted,
    Unmounted,
    Locked,
    Off,
}

impl Wish<'_> {
    fn state<'f>(&self, facts: &'f VolumeFacts) -> State<'f> {
        let (container, filesystem) = (facts.container.as_ref(), facts.filesystem.as_ref());
        let asked = match self {
            Self::Unlocked(_) => container.filter(|_| facts.is_locked()).map(|it| (it, ENCRYPTED)),
            // Right after a plug-in or an unlocking, udisks knows the device and has not looked what is on it.
            Self::Mounted if filesystem.is_none() => return State::Unknown,
            Self::Mounted => filesystem.filter(|it| it.points.is_empty()).map(|it| (&it.object, FILESYSTEM)),
            Self::Unmounted => filesystem.filter(|it| !it.points.is_empty()).map(|it| (&it.object, FILESYSTEM)),
            Self::Locked => container.filter(|_| facts.is_unlocked()).map(|it| (it, ENCRYPTED)),
            Self::Off => facts.drive.as_ref().filter(|_| facts.power == Power::CanBeCut).map(|it| (it, DRIVE)),
        };
        asked.map_or(State::AsWished, |(object, interface)| State::Otherwise(object, interface))
    }

    fn method(&self) -> &'static str {
        match self {
            Self::Unlocked(_) => "Unlock",
            Self::Mounted => "Mount",
            Self::Unmounted => "Unmount",
            Self::Locked => "Lock",
            Self::Off => "PowerOff",
        }
    }

    fn words(&self) -> &'static str {
        match self {
            Self::Unlocked(_) => "unlock it",
            Self::Mounted => "mount it",
            Self::Unmounted => "unmount it",
            Self::Locked => "lock it",
            Self::Off => "power it off",
        }
    }
}
