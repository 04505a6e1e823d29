//! A note at the destination that a copy is under way, and so, if it is found at the start, that one was cut short.
//!
//! It decides how far the next copy may trust what lies there. Files that reached the destination but were not flushed
//! are whole as long as the machine runs and the medium stays in; after a power cut or a pulled drive they may have
//! the right size and time and the wrong content. Filesystems keep the order of what happens to names, so the note
//! needs no flush of its own: it lasts at least as long as the names that came after it.

use crate::model::layout;
use crate::model::{FailureKind, NotDone, SnapshotKind, Step};
use crate::os::directory::{Directory, DirectoryError, Identity};
use crate::os::process::Wanted;
use crate::os::{files, machine};

/// What an earlier copy left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Earlier {
    /// It was finished.
    Nothing,
    /// Files that are what they seem.
    Trusted,
    /// Files whose content must be compared.
    Doubtful,
    /// Files whose content must be compared, some of which cannot even be read: they are replaced, not changed.
    Damaged,
}

/// The note of a destination on this machine.
#[derive(Debug)]
pub(crate) struct Marker {
    name: &'static str,
    text: String,
}

const FLUSHED: &str = "flushed\n";
/// What is noted of files whose content must be compared.
pub(crate) const DOUBTFUL: &str = "doubtful\n";
const DAMAGED: &str = "damaged\n";

/// What tells this mount of this medium from another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MountProof {
    /// The number of the mount, which no other has until the next boot.
    pub(crate) mount: Option<u64>,
    /// The sequence number of the medium of a drive.
    pub(crate) medium: Option<u64>,
}

/// What tells this boot, place and medium from another.
pub(crate) fn text(boot: &str, device: (u32, u32), medium: Option<u64>) -> String {
    let medium = medium.map(|number| number.to_string()).unwrap_or_default();
    format!("{boot} {}:{} {medium}\n", device.0, device.1)
}

/// The same for a place on this machine. What another medium in the same mount point holds was written by others, so
/// that where nothing tells the two apart nothing is trusted.
fn text_here(boot: &str, device: (u32, u32), proof: MountProof) -> String {
    let MountProof { mount, medium } = proof;
    if mount.is_none() && medium.is_none() {
        return DOUBTFUL.to_owned();
    }
    let number = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
    format!("{boot} {}:{} {} mount {}\n", device.0, device.1, number(medium), number(mount))
}

/// What an earlier copy left that noted this, where a copy now would note `text`.
pub(crate) fn earlier(found: &[u8], text: &str) -> Earlier {
    if found == FLUSHED.as_bytes() || (found == text.as_bytes() && text != DOUBTFUL) {
        Earlier::Trusted
    } else if found == DAMAGED.as_bytes() {
        Earlier::Damaged
    } else {
        Earlier::Doubtful
    }
}

/// What is noted while a copy is under way. While content is compared the doubt stays.
pub(crate) fn while_copying(earlier: Earlier, text: &str) -> &str {
    match earlier {
        Earlier::Nothing | Earlier::Trusted => text,
        Earlier::Doubtful => DOUBTFUL,
        Earlier::Damaged => DAMAGED,
    }
}

/// What is noted of a copy at a server that was not finished, once what it wrote is flushed; empty for what stands
/// there.
pub(crate) fn afterwards(earlier: Earlier, why: &NotDone) -> &'static str {
    match (why, earlier) {
        (NotDone::Failed(failure), _) if failure.at == Step::Flush => DOUBTFUL,
        (NotDone::Failed(failure), Earlier::Doubtful)
            if failure.at == Step::Copy && failure.kind == FailureKind::Io =>
        {
            DAMAGED
        }
        (_, Earlier::Nothing | Earlier::Trusted) => FLUSHED,
        (_, Earlier::Doubtful | Earlier::Damaged) => "",
    }
}

impl Marker {
    /// The note of a destination.
    pub(crate) fn new(kind: SnapshotKind, place: Identity, proof: MountProof) -> Self {
        let text = text_here(&machine::boot_id().unwrap_or_default(), place.device, proof);
        Self { name: layout::marker(kind), text }
    }

    /// What an earlier copy left; `own` is our directory at the destination.
    pub(crate) fn earlier(&self, own: &Directory) -> Earlier {
        match files::read_small(own, self.name, 4096) {
            Err(files::ReadError::Missing) => Earlier::Nothing,
            Ok(found) => earlier(&found, &self.text),
            Err(_) => Earlier::Doubtful,
        }
    }

    /// Notes that a copy is under way.
    pub(crate) fn set(&self, own: &Directory, earlier: Earlier) -> Result<(), DirectoryError> {
        self.write(own, while_copying(earlier, &self.text))
    }

    /// Notes what a copy that was not finished is worth to the next. Once it is on the device, a pulled plug takes
    /// nothing of it away. Of writes that were lost the kernel tells once only, and what is lost looks whole for as
    /// long as the kernel remembers it.
    pub(crate) fn settle(
        &self,
        (own, destination): (&Directory, &Directory),
        earlier: Earlier,
        why: &NotDone,
        wanted: Wanted,
    ) -> Result<(), DirectoryError> {
        let failed = match why {
            NotDone::Failed(failure) => Some((failure.at, failure.kind)),
            NotDone::Skipped(_) | NotDone::Interrupted(_) | NotDone::Held(_) => None,
        };
        match (failed, earlier) {
            (Some((Step::Flush, _)), _) => self.write(own, DOUBTFUL),
            // btrfs knows what it lost, and lets nobody read it or change a part of it.
            (Some((Step::Copy, FailureKind::Io)), Earlier::Doubtful) => self.write(own, DAMAGED),
            _ if wanted == Wanted::Kill => Ok(()),
            _ if destination.flush_filesystem().is_err() => self.write(own, DOUBTFUL),
            (_, Earlier::Nothing | Earlier::Trusted) => self.write(own, FLUSHED),
            (_, Earlier::Doubtful | Earlier::Damaged) => Ok(()),
        }
    }

    /// Notes that the copy is finished.
    pub(crate) fn clear(&self, own: &Directory) -> Result<(), DirectoryError> {
        own.remove_file(self.name).map(drop)
    }

    fn write(&self, own: &Directory, text: &str) -> Result<(), DirectoryError> {
        files::write_hint(own, self.name, text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_mount_of_the_same_medium_is_trusted() {
        let text = |mount, medium| text_here("boot", (8, 1), MountProof { mount, medium });
        let left = text(Some(7), None);
        assert_eq!(earlier(left.as_bytes(), &text(Some(7), None)), Earlier::Trusted);
        for other in [text(Some(8), None), text(None, Some(7)), text(None, None), text(Some(7), Some(7))] {
            assert_eq!(earlier(left.as_bytes(), &other), Earlier::Doubtful, "{other}");
        }
        let unproven = text(None, None);
        assert_eq!(earlier(unproven.as_bytes(), &unproven), Earlier::Doubtful, "nothing tells two mediums apart");
    }
}
