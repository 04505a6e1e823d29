//! What is read by a check: a tree here or at a server, asked for the same things.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::backup::failure::{of_directory, words};
use crate::backup::session::stop::Stops;
use crate::backup::session::{LONG, Session};
use crate::formats::ssh::calls::ProvenEnd;
use crate::formats::ssh::contents::{self, ContentsCall, FilesCall, FilesThere};
use crate::model::{Digest, End, FileFacts, NotDone, Step, Unread};
use crate::os::contents::{digest, file_facts};
use crate::os::directory::{Directory, Errno, Kind, Reach};
use crate::os::process::Wanted;

/// So many entries of one directory are looked at; memory is not without end.
const WIDEST: usize = 4_000_000;

/// What was read of files, or why it was not.
pub(super) type Sums = BTreeMap<PathBuf, Result<Digest, Unread>>;

/// A tree.
#[derive(Debug)]
pub(super) enum CheckedEnd<'a> {
    /// On this machine.
    Here(Directory),
    /// At a server.
    There {
        /// The connection.
        server: &'a Session,
        /// The end that it is a part of.
        end: &'a ProvenEnd,
        /// Which of both that is.
        which: End,
        /// The part of it; empty for all of it.
        place: PathBuf,
    },
}

/// What lies in some directories.
#[derive(Debug, Default)]
pub(super) struct Level {
    pub(super) there: FilesThere,
    /// Directories that the medium does not give back, and why.
    pub(super) broken: Vec<(PathBuf, String)>,
}

impl CheckedEnd<'_> {
    /// What lies in these directories.
    pub(super) fn level(&self, directories: &[PathBuf], stops: &mut Stops) -> Result<Level, NotDone> {
        match self {
            Self::Here(top) => {
                let mut level = Level::default();
                for directory in directories {
                    stops.check()?;
                    add_level(top, directory, &mut level)?;
                }
                Ok(level)
            }
            Self::There { server, end, which: _, place } => {
                let call = FilesCall { end, place, directories }.call();
                let answer = server.told(&call, (Step::Copy, LONG), stops)?;
                Ok(Level { there: contents::files(&answer), broken: Vec::new() })
            }
        }
    }

    /// How these files are; those that are not there are left out.
    pub(super) fn facts(&self, paths: &[PathBuf], stops: &mut Stops) -> Result<BTreeMap<PathBuf, FileFacts>, NotDone> {
        match self {
            _ if paths.is_empty() => Ok(BTreeMap::new()),
            Self::Here(top) => {
                let mut found = BTreeMap::new();
                for path in paths {
                    let facts = file_facts(top, path).map_err(|error| of_directory(Step::Copy, &error))?;
                    found.extend(facts.map(|facts| (path.clone(), facts)));
                }
                Ok(found)
            }
            Self::There { server, end, which, place } => {
                let call = ContentsCall { end, which: *which, place, paths }.facts();
                Ok(contents::facts_there(&server.told(&call, (Step::Copy, LONG), stops)?))
            }
        }
    }

    /// What their contents are known by.
    pub(super) fn sums(&self, paths: &[PathBuf], stops: &mut Stops) -> Result<Sums, NotDone> {
        match self {
            _ if paths.is_empty() => Ok(Sums::new()),
            Self::Here(top) => {
                let mut sums = Sums::new();
                for path in paths {
                    if stops.wanted() != Wanted::GoOn {
                        stops.check()?;
                    }
                    sums.insert(path.clone(), digest(top, path, &stops.told));
                }
                Ok(sums)
            }
            Self::There { server, end, which, place } => {
                let call = ContentsCall { end, which: *which, place, paths }.sums();
                let answer = server.told(&call, (Step::Copy, LONG), stops)?;
                Ok(contents::sums(&answer, paths))
            }
        }
    }

    /// The directory, where it is on this machine.
    fn here(&self) -> Option<&Directory> {
        match self {
            Self::Here(top) => Some(top),
            Self::There { .. } => None,
        }
    }
}

/// Reads files of two ends at the same time, as far as one of them is here.
pub(super) fn both(
    (copy, of_copy): (&CheckedEnd<'_>, &[PathBuf]),
    (source, of_source): (&CheckedEnd<'_>, &[PathBuf]),
    stops: &mut Stops,
) -> Result<(Sums, Sums), NotDone> {
    let told = Arc::clone(&stops.told);
    let apart = |top: &Directory, paths: &[PathBuf]| {
        paths.iter().map(|path| (path.clone(), digest(top, path, &told))).collect::<Sums>()
    };
    match (copy.here(), source.here()) {
        (_, Some(top)) => std::thread::scope(|scope| {
            let reading = scope.spawn(|| apart(top, of_source));
            let of_copy = copy.sums(of_copy, stops);
            Ok((of_copy?, reading.join().unwrap_or_default()))
        }),
        (Some(top), None) => std::thread::scope(|scope| {
            let reading = scope.spawn(|| apart(top, of_copy));
            let of_source = source.sums(of_source, stops);
            Ok((reading.join().unwrap_or_default(), of_source?))
        }),
        (None, None) => Ok((copy.sums(of_copy, stops)?, source.sums(of_source, stops)?)),
    }
}

fn add_level(top: &Directory, below: &Path, level: &mut Level) -> Result<(), NotDone> {
    let listed = top.open_below(below, Reach::SameMount).and_then(|directory| {
        let entries = directory.entries(WIDEST)?;
        Ok((directory, entries))
    });
    let (directory, entries) = match listed {
        Ok(listed) => listed,
        Err(error) => {
            let cause = error.cause();
            match cause {
                Errno::ACCESS | Errno::PERM => level.there.closed.push(below.to_owned()),
                Errno::IO | Errno::UCLEAN => level.broken.push((below.to_owned(), words(cause))),
                Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::XDEV if !below.as_os_str().is_empty() => {}
                _ => return Err(of_directory(Step::Copy, &error)),
            }
            return Ok(());
        }
    };
    for entry in entries {
        let path = below.join(&entry.name);
        let kind = entry.kind.map_or_else(|| directory.kind_of(&entry.name), Ok);
        match kind.map_err(|error| of_directory(Step::Copy, &error))? {
            Kind::Directory => level.there.directories.push(path),
            Kind::File => {
                let facts = file_facts(&directory, Path::new(&entry.name));
                let facts = facts.map_err(|error| of_directory(Step::Copy, &error))?;
                level.there.files.extend(facts.map(|facts| (path, facts)));
            }
            Kind::Nothing | Kind::Link | Kind::Special => {}
        }
    }
    Ok(())
}
