//! What lies in the directory that a new sync is to get at its destination, looked at before anything is written.

use std::path::Path;

use super::places::{self, CopyTarget};
use crate::model::{SyncName, Vacancy, layout};
use crate::os::directory::{Directory, Kind};
use crate::os::entry;
use crate::os::ssh::SshPlace;

/// What lies at a destination under the name of a sync. Where nobody can tell, `prepare` looks once more, and leaves
/// alone what is somebody else's.
pub(super) fn vacancy(target: &CopyTarget, name: &SyncName, ssh: &SshPlace) -> Vacancy {
    match (&target.at, &target.there) {
        (Some(at), _) => here(&at.join(name.as_str())),
        (None, Some((route, directory))) => {
            let told = places::asked(route, &directory.join(name.as_str()), ssh);
            told.map_or(Vacancy::Unseen, |site| site.vacancy)
        }
        (None, None) => Vacancy::Unseen,
    }
}

fn here(place: &Path) -> Vacancy {
    if entry::look_at(place).is_none() {
        return Vacancy::Free;
    }
    // What is no directory, or may not be entered, is not ours; no sync goes through a link.
    let opened = place.parent().zip(place.file_name()).and_then(|(parent, name)| {
        let parent = Directory::open_root(parent).ok()?;
        (parent.kind_of(name).ok()? == Kind::Directory).then(|| Directory::open_root(place).ok())?
    });
    let Some(directory) = opened else { return Vacancy::Taken };
    if directory.kind_of(layout::DESTINATION_SENTINEL).is_ok_and(|kind| kind != Kind::Nothing) {
        return Vacancy::Copies;
    }
    match directory.entries(1) {
        Ok(entries) if entries.is_empty() => Vacancy::Free,
        Ok(_) | Err(_) => Vacancy::Taken,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_empty_is_free_and_what_is_ours_is_told_apart() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| here(&place.path().join(name));
        assert_eq!(at("missing"), Vacancy::Free);
        for name in ["empty", "theirs", "ours"] {
            std::fs::create_dir(place.path().join(name)).unwrap();
        }
        std::fs::write(place.path().join("theirs/letter"), "").unwrap();
        std::fs::write(place.path().join("ours/.nbkp-dst"), "").unwrap();
        std::os::unix::fs::symlink("empty", place.path().join("link")).unwrap();
        let found = ["empty", "theirs", "theirs/letter", "ours", "link"].map(at);
        assert_eq!(found, [Vacancy::Free, Vacancy::Taken, Vacancy::Taken, Vacancy::Copies, Vacancy::Taken]);
    }
}
