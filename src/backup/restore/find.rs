//! Names in the copies, each told from the newest that has it: copies here are walked, those at a server asked for.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::backup::failure::could_not;
use crate::backup::job::{SyncAsSeen, sentence};
use crate::backup::place::copies::{Copies, FarCopies, HereCopies};
use crate::backup::restore::holdings::{ids, place};
use crate::backup::restore::origin::{SourceSight, origin};
use crate::backup::restore::sought::source_here;
use crate::backup::session::LONG;
use crate::backup::session::stop::Stops;
use crate::decide::versions::best_first;
use crate::formats::pattern::{NamePattern, PatternScope};
use crate::formats::ssh::find::{FarNames, FindCall, FoundThere, NamesThere, found};
use crate::formats::wire::{FindEnd, FindNews, FoundEntry, Moment, UnreachedCopies};
use crate::model::layout::{PARTIAL, is_never_deleted};
use crate::model::{Among, CopyId, EntryState, FindWish, Step};
use crate::os::directory::Reach;
use crate::os::entry;
use crate::os::ssh::SshPlace;
use crate::os::walk::{Way, walk};

/// So many names are looked at between two signs of life.
const STRIDE: u64 = 8192;
/// So many entries are told at once.
const TOLD: usize = 64;
/// So many directories of sources that could not be looked into are named.
const SHUT: usize = 10;

/// Looks for names. What is found goes to `hear` as it is found.
pub(crate) fn search(
    wish: &FindWish,
    all: &[SyncAsSeen],
    ssh: &SshPlace,
    (stops, hear): (&mut Stops, &mut dyn FnMut(FindNews)),
) -> Result<FindEnd, String> {
    let pattern = NamePattern::parse(&wish.pattern)?;
    let mut end = FindEnd::default();
    let mut sources = BTreeMap::new();
    let mut opened = Vec::new();
    for seen in all.iter().filter(|seen| wish.syncs.is_empty() || wish.syncs.contains(&seen.sync.name)) {
        let first = origin(seen, all);
        let source = sources.entry(&first.sync.source).or_insert_with(|| match wish.among {
            Among::All => SourceSight::Unasked,
            Among::Deleted => SourceSight::of(first, ssh, stops),
        });
        let copies = match source {
            SourceSight::Away(message) => Err(message.clone()),
            SourceSight::Unasked | SourceSight::Here(_) | SourceSight::There(_) => Copies::open(seen, ssh, stops),
        };
        match copies {
            Ok(copies) => {
                let ids = ids(seen, &copies);
                opened.push(OpenedCopies { seen, first, ids, far: None, copies });
            }
            Err(message) => end.unreached.push(unreached(seen, message)),
        }
    }
    let mut rounds: Vec<(usize, CopyId)> = opened
        .iter()
        .enumerate()
        .flat_map(|(at, opened)| opened.ids.iter().map(move |copy| (at, copy.clone())))
        .collect();
    rounds.sort_by(|(_, one), (_, other)| best_first(one, other));
    let told = BTreeMap::new();
    let (ahead, shut) = (Vec::new(), BTreeSet::new());
    let mut search = Search { pattern: &pattern, hear, stops, told, shut, ahead, names: 0, end };
    for (at, copy) in rounds {
        let Some(opened) = opened.get_mut(at) else { continue };
        let source = sources.get(&opened.first.sync.source).unwrap_or(&SourceSight::Unasked);
        search.look(opened, &copy, source)?;
    }
    let Search { shut, mut end, .. } = search;
    let more = shut.len().saturating_sub(SHUT);
    let told = shut.into_iter().take(SHUT);
    end.remarks
        .extend(told.map(|shut| format!("{shut} could not be looked into, and is not told to have lost anything")));
    if more > 0 {
        end.remarks.push(format!("{more} more directories of the sources could not be looked into"));
    }
    Ok(end)
}

/// The copies of a sync that are looked through.
struct OpenedCopies<'a> {
    seen: &'a SyncAsSeen,
    /// The sync that copies what all of them come from.
    first: &'a SyncAsSeen,
    ids: Vec<CopyId>,
    copies: Copies,
    /// What the server told of all copies, once it was asked.
    far: Option<FoundThere>,
}

/// An entry that fits, below its copy.
type Fitting = (PathBuf, Option<EntryState>);

struct Search<'a> {
    pattern: &'a NamePattern,
    hear: &'a mut dyn FnMut(FindNews),
    stops: &'a mut Stops,
    /// What was told already or cannot be told, by the place that it comes from.
    told: BTreeMap<String, HashSet<PathBuf>>,
    /// The directories of sources that could not be looked into.
    shut: BTreeSet<String>,
    /// What is about to be told.
    ahead: Vec<FoundEntry>,
    /// How many names were looked at.
    names: u64,
    end: FindEnd,
}

impl Search<'_> {
    /// Looks through one copy.
    fn look(&mut self, opened: &mut OpenedCopies<'_>, copy: &CopyId, source: &SourceSight) -> Result<(), String> {
        self.stops.check().map_err(|why| sentence(&why, &copy.sync))?;
        self.tell(copy);
        let fitting = match &opened.copies {
            Copies::Here(here) => {
                let mut fitting = Vec::new();
                let walked = self.walk(here, copy, &mut |search, found: Fitting| {
                    fitting.push(found);
                    // What the source is here for is told at once; a server is asked once for all.
                    if !matches!(source, SourceSight::There(_)) {
                        search.take(opened, copy, source, std::mem::take(&mut fitting));
                    }
                });
                if let Err(message) = walked {
                    self.end.remarks.push(format!("`{}`: {message}", copy.sync));
                }
                fitting
            }
            Copies::There(far) => {
                let told = match opened.far.take() {
                    Some(told) => told,
                    None => match self.ask(far, &opened.ids) {
                        Ok(told) => told,
                        Err(message) => {
                            self.end.unreached.push(unreached(opened.seen, message));
                            FoundThere::default()
                        }
                    },
                };
                let there = place(copy);
                let of_copy = |names: &&NamesThere| names.copy == there;
                let fitting = told.copies.iter().filter(of_copy).flat_map(|names| names.entries.clone());
                let fitting: Vec<Fitting> = fitting.filter(|(path, _)| self.fits(path)).collect();
                if told.copies.iter().filter(of_copy).any(|names| names.is_partial) {
                    self.end.remarks.push(format!("{}: some of it could not be read", opened.copies.shown(&there)));
                }
                opened.far = Some(told);
                fitting
            }
        };
        self.take(opened, copy, source, fitting);
        self.tell(copy);
        self.stops.check().map_err(|why| sentence(&why, &copy.sync))
    }

    /// Walks a copy here.
    fn walk(
        &mut self,
        here: &HereCopies,
        copy: &CopyId,
        take: &mut dyn FnMut(&mut Self, Fitting),
    ) -> Result<(), String> {
        let open = || here.directory.open_below(&place(copy), Reach::SameMount).map_err(|error| could_not(&error));
        let (top, again) = (open()?, open()?);
        let mut path = Vec::new();
        let unread = walk(top, &mut |seen| {
            self.names = self.names.wrapping_add(1);
            if self.names.is_multiple_of(STRIDE) {
                self.tell(copy);
                if self.stops.check().is_err() {
                    return ControlFlow::Break(());
                }
            }
            let name = seen.name.as_bytes();
            if name.starts_with(b".") && is_ours(&seen.parent.join(seen.name)) {
                return ControlFlow::Continue(Way::Past);
            }
            let fits = match self.pattern.scope() {
                PatternScope::Name => self.pattern.fits(name),
                PatternScope::Path => {
                    path.clear();
                    let parent = seen.parent.as_os_str().as_bytes();
                    let slash: &[u8] = if parent.is_empty() { b"" } else { b"/" };
                    path.extend([parent, slash, name].into_iter().flatten());
                    self.pattern.fits(&path)
                }
            };
            if fits {
                let below = seen.parent.join(seen.name);
                let state = entry::entry_state(&again, &below).ok().flatten();
                take(self, (below, state));
            }
            ControlFlow::Continue(Way::Into)
        });
        let unread = unread.map_err(|error| could_not(&error))?;
        if let Some(first) = unread.first.first() {
            let more = match unread.count.saturating_sub(1) {
                0 => String::new(),
                more => format!(", and {more} more like it"),
            };
            let at = here.directory.path_of(&place(copy));
            let why = could_not(first);
            self.end.remarks.push(format!("not all of {} could be looked at: {why}{more}", at.display()));
        }
        Ok(())
    }

    fn ask(&mut self, far: &FarCopies, ids: &[CopyId]) -> Result<FoundThere, String> {
        let far = &far.destination;
        let mut newest_first = ids.to_vec();
        newest_first.sort_by(best_first);
        let copies: Vec<PathBuf> = newest_first.iter().map(place).collect();
        let mut answer = |names| {
            let call = FindCall { end: &far.end, names, pattern: self.pattern, copies: &copies }.call();
            let answer = far.server.told(&call, (Step::Prove, LONG), self.stops);
            answer.map(|answer| found(&answer)).map_err(|why| why.to_string())
        };
        let mut told = answer(FarNames::Plain)?;
        if told.has_odd {
            told.copies.extend(answer(FarNames::Odd)?.copies);
        }
        if told.is_cut {
            let host = far.server.host();
            self.end.remarks.push(format!("{host} has more of these names than it can tell; narrow the pattern"));
        }
        Ok(told)
    }

    /// Whether what a server told of was asked for.
    fn fits(&self, below: &Path) -> bool {
        let is_hidden = is_ours(below) || below.components().any(|part| part.as_os_str() == PARTIAL);
        let text = match self.pattern.scope() {
            PatternScope::Name => below.file_name().unwrap_or_default(),
            PatternScope::Path => below.as_os_str(),
        };
        !is_hidden && self.pattern.fits(text.as_bytes())
    }

    /// Takes in what fits: what is new, and wanted.
    fn take(&mut self, opened: &OpenedCopies<'_>, copy: &CopyId, source: &SourceSight, mut fitting: Vec<Fitting>) {
        let from = &opened.first.sync.source;
        let from_where = from.to_string();
        if let Some(told) = self.told.get(&from_where) {
            fitting.retain(|(below, _)| !told.contains(below));
        }
        let untold = source.leave_deleted(&mut fitting, self.stops);
        self.end.unsure = self.end.unsure.saturating_add(u64::try_from(untold.entries.len()).unwrap_or(u64::MAX));
        // Nothing of it is asked again for an older copy.
        self.told.entry(from_where.clone()).or_default().extend(untold.entries);
        self.shut.extend(untold.shut);
        let newer = opened.ids.iter().filter_map(|other| other.made).filter(|made| Some(*made) > copy.made).min();
        for (below, state) in fitting {
            let name = match source_here(opened.first) {
                Some(source) => source.join(&below).display().to_string(),
                None => format!("{}:{}", from.volume, from.subdir.as_path().join(&below).display()),
            };
            self.end.count = self.end.count.saturating_add(1);
            self.ahead.push(FoundEntry {
                name,
                modified: state.as_ref().map(|state| Moment(state.modified)),
                size: state.as_ref().map(|state| state.size),
                kind: state.as_ref().map(|state| state.kind.into()),
                sync: copy.sync.to_string(),
                snapshot: copy.snapshot.map(|name| name.to_string()),
                path: opened.copies.shown(&place(copy).join(&below)),
                made: copy.made.map(Moment),
                gone: newer.map(Moment).filter(|_| !matches!(source, SourceSight::Unasked)),
            });
            self.told.entry(from_where.clone()).or_default().insert(below);
            if self.ahead.len() >= TOLD {
                self.tell(copy);
            }
        }
    }

    /// Tells what was found, and how far it is.
    fn tell(&mut self, copy: &CopyId) {
        (self.hear)(FindNews {
            found: std::mem::take(&mut self.ahead),
            sync: Some(copy.sync.to_string()),
            snapshot: copy.snapshot.map(|name| name.to_string()),
            names: Some(self.names),
        });
    }
}

/// What lies in a copy and is none of what was copied.
fn is_ours(below: &Path) -> bool {
    is_never_deleted(below) || below.file_name().is_some_and(|name| name == PARTIAL)
}

fn unreached(seen: &SyncAsSeen, message: String) -> UnreachedCopies {
    UnreachedCopies { sync: seen.sync.name.to_string(), message, last_success: seen.last_success.map(Moment) }
}
