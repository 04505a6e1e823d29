//! Asks udisks2 whether it would mount a drive, in a way that cannot succeed.
//!
//! udisks2 (seen with 2.9.4) checks the type of the filesystem and the options of a mount first, then asks polkit about
//! the drive, then mounts. `umsdos` is a type that it takes for well-known, and that no kernel since 2.6.11 has: behind
//! the authorization nothing can be mounted by it. An option that is not allowed would be refused before.
//!
//! A drive with a line in `/etc/fstab` is another matter: type and options are passed over there, and it would be
//! mounted. Such a drive is not asked about.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use zbus::{OwnedVariant, Variant};

use super::answers::judge;
use super::objects::{BLOCK, ENCRYPTED, FILESYSTEM, interface, property};
use super::{SERVICE, Udisks, UdisksError};
use crate::formats::udisks::Meaning;
use crate::model::{ContainerSight, DrivePlace, DriveSight, Trial};

/// No kernel can mount it.
const IMPOSSIBLE: &str = "umsdos";

/// What keeps libblockdev's part for LUKS, which udisks2 loads, in the versions of udisks2 up to 2.9 and from 2.10 on.
const PLUGINS: [&str; 2] = ["libbd_crypto.so.2", "libbd_crypto.so.3"];

impl Udisks {
    /// Its version.
    pub fn version(&self) -> Result<String, UdisksError> {
        let asked = async {
            let (path, interface) = ("/org/freedesktop/UDisks2/Manager", "org.freedesktop.DBus.Properties");
            let question = ("org.freedesktop.UDisks2.Manager", "Version");
            let reply = self.connection.call_method(Some(SERVICE), path, Some(interface), "Get", &question).await?;
            let (version,): (OwnedVariant,) = reply.body().deserialize()?;
            String::try_from(version)
        };
        self.runtime.block_on(asked).map_err(|error| UdisksError::Absent(judge(&error).words))
    }

    /// How it sees the drive on the device of this number, and whether it would mount it. Nothing is mounted.
    pub fn examine(&self, device: (u32, u32)) -> Result<DriveSight, UdisksError> {
        self.runtime.block_on(async {
            let found = self.known(device, "look at it").await?;
            let objects = self.objects().await.map_err(|error| UdisksError::Absent(judge(&error).words))?;
            let is_true = |object: &_, name| interface(&objects, object, BLOCK).and_then(|block| property(block, name));
            let outer = found.container.as_ref().or(found.filesystem.as_ref().map(|filesystem| &filesystem.object));
            let place = outer.and_then(|object| is_true(object, "HintSystem"));
            let place = place.map(|system: bool| if system { DrivePlace::System } else { DrivePlace::Removable });
            let size = found
                .container
                .as_ref()
                .and_then(|container| property::<u64>(interface(&objects, container, ENCRYPTED)?, "MetadataSize"));
            let container = size.map(|size| if size == 0 { ContainerSight::Unread } else { ContainerSight::Read });
            let trial = match &found.filesystem {
                _ if found.is_locked() => Trial::Locked,
                None => Trial::Unclear("it finds no filesystem".into()),
                Some(filesystem) if !filesystem.points.is_empty() => Trial::Mounted,
                Some(filesystem) => {
                    let block = interface(&objects, &filesystem.object, BLOCK);
                    match block.and_then(|block| block.get("Configuration")).map(in_fstab) {
                        Some(false) => self.attempt(filesystem.object.as_str()).await,
                        Some(true) => Trial::InFstab,
                        None => Trial::Unclear("it does not tell whether /etc/fstab has it".into()),
                    }
                }
            };
            Ok(DriveSight { trial, place, container })
        })
    }

    async fn attempt(&self, object: &str) -> Trial {
        let options: HashMap<&str, Variant<'_>> = HashMap::from([
            ("auth.no_user_interaction", Variant::from(true)),
            ("fstype", Variant::from(IMPOSSIBLE)),
            ("options", Variant::from("ro")),
        ]);
        match self.connection.call_method(Some(SERVICE), object, Some(FILESYSTEM), "Mount", &(options,)).await {
            // It cannot be; but what was mounted for a question does not stay.
            Ok(_) => {
                let none: (HashMap<&str, Variant<'_>>,) = (HashMap::new(),);
                let undo = self.connection.call_method(Some(SERVICE), object, Some(FILESYSTEM), "Unmount", &none);
                match undo.await {
                    Ok(_) => Trial::Allowed,
                    Err(error) => Trial::Unclear(judge(&error).words),
                }
            }
            Err(error) => trial(&error),
        }
    }
}

/// What the answer to the impossible says.
fn trial(error: &zbus::Error) -> Trial {
    if let zbus::Error::MethodError(name, Some(words), _) = error {
        let name = name.as_str().trim_start_matches("org.freedesktop.UDisks2.Error.");
        return match name {
            // It was let, and failed as it had to.
            "Failed" if words.contains(IMPOSSIBLE) => Trial::Allowed,
            "AlreadyMounted" => Trial::Mounted,
            _ if judge(error).kind == Meaning::NotAuthorized => Trial::Refused(words.clone()),
            _ => Trial::Unclear(words.clone()),
        };
    }
    let answer = judge(error);
    if answer.kind == Meaning::NotAuthorized { Trial::Refused(answer.words) } else { Trial::Unclear(answer.words) }
}

/// Whether a `Configuration` of udisks2 holds a line of `/etc/fstab`. One that cannot be read may.
fn in_fstab(configuration: &OwnedVariant) -> bool {
    let read = configuration
        .try_clone()
        .ok()
        .and_then(|value| Vec::<(String, HashMap<String, OwnedVariant>)>::try_from(value).ok());
    read.is_none_or(|entries| entries.iter().any(|(kind, _)| kind == "fstab"))
}

/// Where udisks2's plug-in for LUKS lies, in the directories that the loader looks into; `None` if it is in none.
#[must_use]
pub fn crypto_plugin() -> Option<PathBuf> {
    let roots = ["/usr/lib64", "/usr/lib", "/lib64", "/lib", "/usr/local/lib"].map(PathBuf::from);
    let below = roots.iter().flat_map(|root| {
        let entries = std::fs::read_dir(root).into_iter().flatten().filter_map(Result::ok);
        entries.map(|entry| entry.path()).filter(|path| is_of_an_architecture(path))
    });
    roots.iter().cloned().chain(below).flat_map(|place| PLUGINS.map(|name| place.join(name))).find(|path| path.exists())
}

/// Debian keeps libraries in directories such as `x86_64-linux-gnu`.
fn is_of_an_architecture(path: &Path) -> bool {
    path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.contains("-linux-"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_that_is_not_understood_may_be_of_fstab() {
        let entries = |kind: &str| {
            let entry: Vec<(String, HashMap<String, Variant<'_>>)> = vec![(kind.to_owned(), HashMap::new())];
            OwnedVariant::try_from(Variant::from(entry)).unwrap()
        };
        assert!(in_fstab(&entries("fstab")) && !in_fstab(&entries("crypttab")));
        assert!(in_fstab(&OwnedVariant::from(7_u32)));
    }
}
