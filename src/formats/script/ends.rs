//! Where both ends of a copy lie, as a script says it.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use super::recipe::Recipe;
use super::words::{ScriptText, quoted};
use crate::model::layout::LATEST;
use crate::model::{End, EndpointName, Place, Sync, VolumeRoot};

/// Writes both ends of a sync.
pub(super) fn write(recipe: &Recipe<'_>, sync: &Sync, reads_latest: bool, page: &mut ScriptText) {
    for (end, prefix) in [(End::Source, "from"), (End::Destination, "to")] {
        let place = sync.place(end);
        let Some(lies) = lies(recipe, end, place) else { continue };
        let set = |page: &mut ScriptText, key: &str, word: &[u8]| {
            page.bytes(format!(" {prefix}_{key}=").as_bytes());
            page.bytes(word);
        };
        page.bytes(b"   ");
        set(page, "servers", &quoted(OsStr::new(&lies.servers)));
        set(page, "where", lies.how.as_bytes());
        set(page, "root", &lies.root);
        page.bytes(b"\n   ");
        set(page, "drive", &quoted(OsStr::new(&lies.drive)));
        set(page, "directory", &quoted(place.subdir.as_path().as_os_str()));
        if end == End::Source {
            set(page, "reads", if reads_latest { LATEST.as_bytes() } else { b"''" });
        }
        page.line("");
    }
}

/// Where one end lies.
struct Lies {
    servers: String,
    how: &'static str,
    /// As a word of the shell.
    root: Vec<u8>,
    drive: String,
}

fn lies(recipe: &Recipe<'_>, end: End, place: &Place) -> Option<Lies> {
    let standpoint = recipe.standpoint.of(end);
    let here = |below: &Path| [b"\"$here\"/".as_slice(), &quoted(below.as_os_str())].concat();
    let nowhere = String::new;
    Some(match (&recipe.configuration.volumes.get(&place.volume)?.root, standpoint) {
        (VolumeRoot::Directory(path), None) => {
            Lies { servers: nowhere(), how: "directory", root: quoted(path.as_os_str()), drive: nowhere() }
        }
        (VolumeRoot::Directory(path), Some(from)) => {
            Lies { servers: nowhere(), how: "directory", root: here(&way(from, path)), drive: nowhere() }
        }
        (VolumeRoot::Drive(drive), None) => {
            Lies { servers: nowhere(), how: "drive", root: b"''".to_vec(), drive: drive.uuid.to_string() }
        }
        (VolumeRoot::Drive(drive), Some(_)) => {
            Lies { servers: nowhere(), how: "above", root: b"\"$here\"".to_vec(), drive: drive.uuid.to_string() }
        }
        (VolumeRoot::Server(server), _) => {
            let names: Vec<&str> = server.endpoints.iter().map(EndpointName::as_str).collect();
            let on_drive = server.path.strip_prefix("/").unwrap_or(&server.path);
            let (how, root, drive) = match &server.drive {
                Some(drive) => ("drive", on_drive, drive.uuid.to_string()),
                None => ("directory", server.path.as_path(), nowhere()),
            };
            Lies { servers: names.join(" "), how, root: quoted(root.as_os_str()), drive }
        }
    })
}

/// The way from one absolute path to another.
fn way(from: &Path, to: &Path) -> PathBuf {
    let (from, to): (Vec<Component<'_>>, Vec<Component<'_>>) = (from.components().collect(), to.components().collect());
    let common = from.iter().zip(&to).take_while(|(one, other)| one == other).count();
    let up = from.iter().skip(common).map(|_| Component::ParentDir);
    up.chain(to.iter().skip(common).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_goes_up_and_down() {
        for (from, to, expected) in
            [("/a/b", "/a/b", ""), ("/a/b", "/a/b/c d", "c d"), ("/a/b", "/a/x", "../x"), ("/a/b", "/", "../..")]
        {
            assert_eq!(way(Path::new(from), Path::new(to)), Path::new(expected), "{from} {to}");
        }
    }
}
