//! Deletions: what rsync told that it would delete is judged, and then exactly that is deleted, entry by entry,
//! whatever has become of the source since. Each directory is entered through no link, and goes only if it is empty by
//! then.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::backup::copy::orphans::Sent;
use crate::backup::failure::{failure, of_directory, words};
use crate::backup::place::way::{FarTarget, Target};
use crate::backup::session::LONG;
use crate::backup::session::stop::Stops;
use crate::decide::plights;
use crate::formats::fingerprint;
use crate::formats::rsync::output::{OutputLine, Tally, unescaped};
use crate::formats::ssh::answers;
use crate::formats::ssh::calls::{DeleteCall, Usage};
use crate::formats::text::printable;
use crate::model::layout::is_never_deleted;
use crate::model::{DeletedKind, DeletedNames, FailureKind, Named, NotDone, PathSet, Plight, Step};
use crate::os::directory::{ChangeMade, Directory, DirectoryError, Errno, Reach};
use crate::os::tree;

/// So many names of one directory are given to a server's tool at once: a command line is bounded.
const NAMES: usize = 200;
/// So many names are sent to a server in one script.
const SENT: usize = 20_000;
/// So many entries that could not be deleted are named.
const EXAMPLES: usize = 5;

/// So many orphans are not counted as deletions.
const MOST_ORPHANS: usize = 5;

/// What rsync told that it would delete.
#[derive(Debug, Default)]
pub(crate) struct Doomed(Vec<(PathBuf, DeletedKind)>);

/// What came of deleting it.
#[derive(Debug, Default)]
pub(crate) struct Deleted {
    /// Entries that are gone.
    pub(crate) count: u64,
    /// Entries that nobody was permitted to delete, some by name.
    refused: Named,
}

impl Doomed {
    /// Takes what a line of rsync's output says, if it tells of a deletion.
    pub(crate) fn hear(&mut self, said: &OutputLine) {
        let OutputLine::Deleted(name) = said else { return };
        let bytes = unescaped(name);
        let (path, kind) = match bytes.strip_suffix(b"/") {
            Some(path) => (path, DeletedKind::Directory),
            None => (bytes.as_slice(), DeletedKind::Other),
        };
        let path = Path::new(OsStr::from_bytes(path));
        // rsync keeps its hands off these. Whatever else makes a name one of them, they stay.
        if !is_never_deleted(path) {
            self.0.push((path.to_owned(), kind));
        }
    }

    /// Leaves out what is the copy of an entry that was only renamed, to other capital letters.
    pub(crate) fn spare_renamed(&mut self, told: &Tally) {
        told.keep_deleted(&mut self.0, |(path, _)| Some(path.as_os_str().as_bytes().to_vec()));
    }

    /// What of it is judged. What a killed rsync was writing when an earlier run ended is none of it: only so many as
    /// runs are killed in a row.
    pub(crate) fn judged(&self, sent: Option<&Sent>) -> PathSet {
        let is_orphan = |(path, kind): &(PathBuf, DeletedKind)| {
            *kind == DeletedKind::Other && sent.is_some_and(|sent| sent.was_begun_as(path))
        };
        let mut orphans = MOST_ORPHANS;
        let mut judged = PathSet::default();
        for entry in &self.0 {
            if orphans > 0 && is_orphan(entry) {
                orphans = orphans.saturating_sub(1);
            } else {
                judged.add(fingerprint::of_path(&entry.0));
            }
        }
        judged
    }

    /// The same by directory, what lies deepest first, so that a directory comes after all that is in it.
    fn by_directory(self) -> Vec<DeletedNames> {
        let mut entries: Vec<_> = self
            .0
            .into_iter()
            .filter_map(|(path, kind)| {
                let name = path.file_name()?.to_owned();
                Some((path.parent().unwrap_or(Path::new("")).to_owned(), kind, name))
            })
            .collect();
        let depth = |parent: &Path| parent.components().count();
        entries.sort_by(|one, other| {
            depth(&other.0).cmp(&depth(&one.0)).then_with(|| (&one.0, one.1).cmp(&(&other.0, other.1)))
        });
        let mut groups: Vec<DeletedNames> = Vec::new();
        for (parent, kind, name) in entries {
            match groups.last_mut() {
                Some(last) if last.parent == parent && last.kind == kind && last.names.len() < NAMES => {
                    last.names.push(name);
                }
                Some(_) | None => groups.push(DeletedNames { parent, kind, names: vec![name] }),
            }
        }
        groups
    }

    /// Deletes it.
    pub(crate) fn delete(self, target: &Target<'_>, stops: &mut Stops) -> Result<Deleted, NotDone> {
        let groups = self.by_directory();
        match target {
            Target::Here(here) => here_below(&here.directory, &groups, stops),
            Target::There(far) => there_below(far, &groups, stops),
        }
    }
}

impl Deleted {
    /// How a run ends of which something could not be deleted, though all else was done: a copy that keeps what is gone
    /// at the source is none.
    pub(crate) fn refusal(&self) -> Option<NotDone> {
        let told = || plights::told(Plight::Undeleted, &self.refused);
        (self.refused.count > 0).then(|| failure(Step::Copy, FailureKind::Permission, told()))
    }

    fn refuse(&mut self, count: u64, example: String) {
        self.refused.count = self.refused.count.saturating_add(count);
        if self.refused.examples.len() < EXAMPLES {
            self.refused.examples.push(example);
        }
    }
}

fn here_below(root: &Directory, groups: &[DeletedNames], stops: &mut Stops) -> Result<Deleted, NotDone> {
    let mut deleted = Deleted::default();
    for DeletedNames { parent, kind, names } in groups {
        stops.check()?;
        let directory = match root.open_below(parent, Reach::AnyMount) {
            Ok(directory) => directory,
            // It went away with all that was in it.
            Err(error) if error.cause() == Errno::NOENT => continue,
            Err(error) => return Err(of_directory(Step::Copy, &error)),
        };
        tree::at_its_time(&directory, || {
            names.iter().try_for_each(|name| match tree::remove_entry(&directory, name, *kind) {
                Ok(ChangeMade::Changed) => {
                    deleted.count = deleted.count.saturating_add(1);
                    Ok(())
                }
                Ok(ChangeMade::AlreadySo) => Ok(()),
                Err(error) => tolerated(&error, &parent.join(name), &mut deleted),
            })
        })?;
    }
    Ok(deleted)
}

/// What does not keep the rest from being deleted.
fn tolerated(error: &DirectoryError, entry: &Path, deleted: &mut Deleted) -> Result<(), NotDone> {
    match error.cause() {
        // Something in it is kept.
        Errno::NOTEMPTY | Errno::EXIST => Ok(()),
        Errno::ACCESS | Errno::PERM | Errno::BUSY => {
            deleted.refuse(1, format!("{}: {}", printable(&entry.to_string_lossy()), words(error.cause())));
            Ok(())
        }
        _ => Err(of_directory(Step::Copy, error)),
    }
}

fn there_below(far: &FarTarget<'_>, groups: &[DeletedNames], stops: &mut Stops) -> Result<Deleted, NotDone> {
    let mut deleted = Deleted::default();
    let run = match far.usage {
        Usage::Written { run, .. } => run,
        // Nothing is deleted where only a look is taken.
        Usage::Compared | Usage::Restored => return Ok(deleted),
    };
    let mut rest = groups;
    while !rest.is_empty() {
        let mut names = 0_usize;
        let fits = |group: &&DeletedNames| {
            names = names.saturating_add(group.names.len());
            names <= SENT
        };
        let (now, later) = rest.split_at(rest.iter().take_while(fits).count().max(1));
        rest = later;
        let call = DeleteCall { end: far.end, run, place: &far.place, groups: now }.call();
        let told = far.server.told(&call, (Step::Copy, LONG), stops)?;
        for (word, text) in answers::lines(&told) {
            let shown = answers::shown(text);
            match word {
                "gone" => deleted.count = deleted.count.saturating_add(shown.parse().unwrap_or(0)),
                "refused" => {
                    let (count, why) = shown.split_once(' ').unwrap_or((&shown, ""));
                    deleted.refuse(count.parse().unwrap_or(1), format!("{}: {why}", far.server.host()));
                }
                _ => {}
            }
        }
    }
    Ok(deleted)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    #[test]
    fn a_directory_comes_after_all_that_is_in_it() {
        let mut doomed = Doomed::default();
        for name in ["a/b/", "a/b/c\\#012d", "a/", "z", "a/x", "a/b/e", "a-b"] {
            doomed.hear(&OutputLine::Deleted(name.into()));
        }
        doomed.hear(&OutputLine::KeptDirectory);
        for ours in [".nbkp/", ".nbkp/log.jsonl", ".nbkp-dst", "a/.nbkp-vol"] {
            doomed.hear(&OutputLine::Deleted(ours.into()));
        }
        assert_eq!(doomed.judged(None).count(), 7);
        let groups: Vec<_> = doomed
            .by_directory()
            .into_iter()
            .map(|group| (group.parent.display().to_string(), group.kind, group.names))
            .collect();
        let names = |names: &[&str]| names.iter().map(OsString::from).collect::<Vec<_>>();
        assert_eq!(
            groups,
            [
                ("a/b".to_owned(), DeletedKind::Other, names(&["c\nd", "e"])),
                ("a".to_owned(), DeletedKind::Other, names(&["x"])),
                ("a".to_owned(), DeletedKind::Directory, names(&["b"])),
                (String::new(), DeletedKind::Other, names(&["z", "a-b"])),
                (String::new(), DeletedKind::Directory, names(&["a"])),
            ]
        );
    }
}
