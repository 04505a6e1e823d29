//! What each script is told that works at an end of a sync: fields with names, turned into the words that the script
//! knows by their place once, here. A script and its part of this file belong together.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use super::script;
use crate::model::{
    DeletedKind, DeletedNames, End, Intruding, MOST_INTRUDERS, SentinelId, SnapshotKind, SnapshotName, TidyDeed,
};

/// A script with its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptCall {
    /// The script.
    pub script: &'static str,
    /// Its words.
    pub words: Vec<OsString>,
}

impl ScriptCall {
    pub(super) fn new<const N: usize>(script: &'static str, words: [&OsStr; N]) -> Self {
        Self { script, words: words.map(OsStr::to_owned).to_vec() }
    }

    pub(super) fn at<const N: usize>(script: &'static str, end: &ProvenEnd, words: [&OsStr; N]) -> Self {
        let words = end.words().into_iter().chain(words).map(OsStr::to_owned).collect();
        Self { script, words }
    }
}

/// One end, as it proved itself: each later script goes there and proves it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenEnd {
    /// The root of the volume, as `cd` takes it.
    pub root: PathBuf,
    /// The text of the sentinel of the volume.
    pub volume: OsString,
    /// The directory of the sync, below the root.
    pub directory: PathBuf,
    /// The text of its own sentinel.
    pub end: OsString,
}

impl ProvenEnd {
    pub(super) fn words(&self) -> [&OsStr; 4] {
        [self.root.as_os_str(), &self.volume, self.directory.as_os_str(), &self.end]
    }
}

/// What a look at an end is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intent<'a> {
    /// It is read.
    Read,
    /// It is a destination that is only looked at.
    List,
    /// It is a destination that is about to be written.
    Write {
        /// Whose it may be, with blanks between them; whoever else has it keeps it.
        known: &'a str,
        /// Who writes it from now on, as its lock file tells.
        writer: &'a str,
    },
}

/// `look.sh`.
#[derive(Debug, Clone, Copy)]
pub struct LookCall<'a> {
    /// What the look is for.
    pub intent: Intent<'a>,
    /// The root of the volume, as `cd` takes it.
    pub root: &'a Path,
    /// The directory of the sync, below it.
    pub directory: &'a Path,
    /// The kind of its snapshots; for a source any kind, where it is read through its `latest`.
    pub kind: SnapshotKind,
    /// The run.
    pub run: &'a OsStr,
    /// Whose processes are ours.
    pub client: &'a OsStr,
    /// The note that a copy is under way.
    pub marker: &'a str,
    /// The id that the sentinel of the volume must carry, if one is known.
    pub volume: Option<&'a SentinelId>,
    /// The same for its own sentinel.
    pub end: Option<&'a SentinelId>,
}

impl LookCall<'_> {
    /// The call.
    #[must_use]
    pub fn call(&self) -> ScriptCall {
        let (intent, known, writer) = match self.intent {
            Intent::Read => ("read", "", ""),
            Intent::List => ("list", "", ""),
            Intent::Write { known, writer } => ("write", known, writer),
        };
        let id = |id: Option<&SentinelId>| OsString::from(id.map_or("", |id| id.0.as_str()));
        let (volume, end) = (id(self.volume), id(self.end));
        let words = [
            OsStr::new(intent),
            self.root.as_os_str(),
            self.directory.as_os_str(),
            OsStr::new(word(self.kind)),
            self.run,
            self.client,
            OsStr::new(self.marker),
            &volume,
            &end,
            OsStr::new(known),
            OsStr::new(writer),
        ];
        ScriptCall::new(script::LOOK, words)
    }
}

/// `transfer.sh`, for the arguments of rsync to follow.
#[derive(Debug, Clone)]
pub struct TransferCall<'a> {
    /// rsync may take so long, in seconds.
    pub most: u32,
    /// What is read there, if it is.
    pub source: Option<&'a ReadEnd>,
    /// What is written there, if it is.
    pub destination: Option<WrittenEnd<'a>>,
    /// What has a path for rsync there.
    pub outlook: SeenThere,
}

/// What has a path for rsync at a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeenThere {
    /// Both ends and the programs, where the account is root's and can have that.
    Ends,
    /// All: a person has links followed, wherever they lead.
    Everything,
}

/// What is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadEnd {
    /// The source.
    pub end: ProvenEnd,
    /// What of it is read; empty for all of it.
    pub data: PathBuf,
}

/// What is written.
#[derive(Debug, Clone)]
pub struct WrittenEnd<'a> {
    /// The destination.
    pub end: &'a ProvenEnd,
    /// What of it is written; empty for all of it.
    pub place: PathBuf,
    /// Whether it is changed.
    pub usage: Usage<'a>,
}

/// What happens to a destination.
#[derive(Debug, Clone, Copy)]
pub enum Usage<'a> {
    /// It is only compared.
    Compared,
    /// It is read, and nobody prunes meanwhile.
    Restored,
    /// It is written.
    Written {
        /// Whether what is written is a directory that is made first.
        begins: Begins,
        /// The run.
        run: &'a OsStr,
        /// The note that a copy is under way.
        marker: &'a str,
        /// What it says meanwhile.
        note: &'a str,
    },
}

/// What a copy begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begins {
    /// With what is there.
    AsItIs,
    /// With a new directory in `snapshots`.
    Anew,
}

impl TransferCall<'_> {
    /// The call.
    #[must_use]
    pub fn call(&self) -> ScriptCall {
        let none = OsStr::new("");
        let mut words = vec![OsString::from(self.most.to_string())];
        match self.source {
            None => words.extend([none; 5].map(OsStr::to_owned)),
            Some(ReadEnd { end, data }) => {
                words.extend(end.words().into_iter().chain([data.as_os_str()]).map(OsStr::to_owned));
            }
        }
        match &self.destination {
            None => words.extend([none; 9].map(OsStr::to_owned)),
            Some(WrittenEnd { end, place, usage }) => {
                let rest = match *usage {
                    Usage::Compared => [none; 4],
                    Usage::Restored => [OsStr::new("share"), none, none, none],
                    Usage::Written { begins, run, marker, note } => {
                        let make = match begins {
                            Begins::AsItIs => "",
                            Begins::Anew => "make",
                        };
                        [OsStr::new(make), run, OsStr::new(marker), OsStr::new(note)]
                    }
                };
                let all = end.words().into_iter().chain([place.as_os_str()]).chain(rest);
                words.extend(all.map(OsStr::to_owned));
            }
        }
        words.push(match self.outlook {
            SeenThere::Ends => script::APART.into(),
            SeenThere::Everything => OsString::new(),
        });
        ScriptCall { script: script::TRANSFER, words }
    }
}

/// `publish.sh`.
#[derive(Debug, Clone, Copy)]
pub struct PublishCall<'a> {
    /// The destination.
    pub end: &'a ProvenEnd,
    /// The run.
    pub run: &'a OsStr,
    /// The kind of snapshots.
    pub kind: SnapshotKind,
    /// The snapshot that is made, if one is.
    pub name: Option<SnapshotName>,
    /// What the log is told before it has its name; empty for nothing.
    pub standing: &'a str,
    /// What the log is told in the end.
    pub record: &'a str,
    /// The note that a copy is under way.
    pub marker: &'a str,
    /// What it says until all is flushed.
    pub doubt: &'a str,
    /// From which size on the log is cut, in bytes.
    pub log_limit: u64,
    /// To which it is cut.
    pub log_kept: u64,
}

impl PublishCall<'_> {
    /// The call.
    #[must_use]
    pub fn call(&self) -> ScriptCall {
        let name = self.name.map(|name| name.to_string()).unwrap_or_default();
        let (limit, kept) = (self.log_limit.to_string(), self.log_kept.to_string());
        let kind = word(self.kind);
        let words = [kind, &name, self.standing, self.record, self.marker, self.doubt, &limit, &kept].map(OsStr::new);
        let mut call = ScriptCall::at(script::PUBLISH, self.end, [self.run]);
        call.words.extend(words.map(OsStr::to_owned));
        call
    }
}

/// `settle.sh`.
#[derive(Debug, Clone, Copy)]
pub struct SettleCall<'a> {
    /// The destination.
    pub end: &'a ProvenEnd,
    /// The run.
    pub run: &'a OsStr,
    /// The note that a copy is under way.
    pub marker: &'a str,
    /// What it says from now on, once all is flushed; empty for what it says.
    pub note: &'a str,
    /// What it says if flushing fails.
    pub doubt: &'a str,
    /// What the log is told.
    pub record: &'a str,
}

impl SettleCall<'_> {
    /// The call.
    #[must_use]
    pub fn call(&self) -> ScriptCall {
        let text = OsStr::new;
        let words = [self.run, text(self.marker), text(self.note), text(self.doubt), text(self.record)];
        ScriptCall::at(script::SETTLE, self.end, words)
    }
}

/// `tidy.sh`.
#[derive(Debug, Clone, Copy)]
pub struct TidyCall<'a> {
    /// The destination.
    pub end: &'a ProvenEnd,
    /// The run; `None` for a person's order, which a run may be followed by.
    pub run: Option<&'a OsStr>,
    /// What is done, in this order.
    pub deeds: &'a [TidyDeed],
}

impl TidyCall<'_> {
    /// The call.
    #[must_use]
    pub fn call(&self) -> ScriptCall {
        let mut call = ScriptCall::at(script::TIDY, self.end, [self.run.unwrap_or_default()]);
        for deed in self.deeds {
            let named = |name: &Option<SnapshotName>| name.map_or("none".to_owned(), |name| name.to_string());
            let (verb, name) = match deed {
                TidyDeed::MakeDirectory => ("directory", "none".to_owned()),
                TidyDeed::Discard(name) => ("discard", name.clone()),
                TidyDeed::KeepAsBasis(name) => ("stale", name.clone()),
                TidyDeed::Relieve(name) => ("relieve", named(name)),
                TidyDeed::RemoveLink(name) => ("remove", name.clone()),
                TidyDeed::PointLatest(name) => ("point", named(name)),
            };
            call.words.extend([OsString::from(verb), OsString::from(name)]);
        }
        call
    }
}

/// `delete.sh`.
#[derive(Debug, Clone, Copy)]
pub struct DeleteCall<'a> {
    /// The destination.
    pub end: &'a ProvenEnd,
    /// The run.
    pub run: &'a OsStr,
    /// The directory of the copy, below the destination; empty for the destination itself.
    pub place: &'a Path,
    /// What is deleted, in this order.
    pub groups: &'a [DeletedNames],
}

impl DeleteCall<'_> {
    /// The call.
    #[must_use]
    pub fn call(&self) -> ScriptCall {
        let mut call = ScriptCall::at(script::DELETE, self.end, [self.run, self.place.as_os_str()]);
        for DeletedNames { parent, kind, names } in self.groups {
            let kind = match kind {
                DeletedKind::Other => "other",
                DeletedKind::Directory => "directory",
            };
            call.words.extend([kind.into(), parent.clone().into_os_string(), names.len().to_string().into()]);
            // No name is taken for an option or for a number of the shell.
            call.words.extend(names.iter().map(|name| Path::new(".").join(name).into_os_string()));
        }
        call
    }
}

/// `prepare.sh`.
#[derive(Debug, Clone, Copy)]
pub struct PrepareCall<'a> {
    /// The root of the volume, as `cd` takes it.
    pub root: &'a Path,
    /// The directory of the sync, below it.
    pub directory: &'a Path,
    /// Which end it is.
    pub end: End,
    /// The kind of snapshots.
    pub kind: SnapshotKind,
    /// The id of a new sentinel of the volume.
    pub volume_id: &'a SentinelId,
    /// The same for its own.
    pub end_id: &'a SentinelId,
    /// What becomes of a destination in which something else lies.
    pub intruding: Intruding,
}

impl PrepareCall<'_> {
    /// The call.
    #[must_use]
    pub fn call(&self) -> ScriptCall {
        let end = match self.end {
            End::Source => "src",
            End::Destination => "dst",
        };
        let (root, directory, most) = (self.root.as_os_str(), self.directory.as_os_str(), MOST_INTRUDERS.to_string());
        let intruding = match self.intruding {
            Intruding::Allowed => "",
            Intruding::Refused => "refuse",
        };
        let words = [end, word(self.kind), &self.volume_id.0, &self.end_id.0, intruding, &most];
        let [end, kind, volume, id, intruding, most] = words.map(OsStr::new);
        ScriptCall::new(script::PREPARE, [root, directory, end, kind, volume, id, intruding, most])
    }
}

fn word(kind: SnapshotKind) -> &'static str {
    match kind {
        SnapshotKind::None => "none",
        SnapshotKind::Btrfs => "btrfs",
        SnapshotKind::HardLink => "link",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end() -> ProvenEnd {
        ProvenEnd { root: "/srv".into(), volume: "v".into(), directory: "docs".into(), end: "e".into() }
    }

    /// The words with the names that the first lines of a script give to them.
    #[track_caller]
    fn check(call: &ScriptCall, words: &[&str]) {
        assert_eq!(call.words, words.iter().map(OsString::from).collect::<Vec<_>>());
    }

    #[test]
    fn each_word_stands_where_its_script_looks_for_it() {
        let (end, run) = (end(), OsStr::new("r:"));
        let id = SentinelId("i".into());
        let look = LookCall {
            intent: Intent::Write { known: "a b", writer: "writer a" },
            root: Path::new("/srv"),
            directory: Path::new("docs"),
            kind: SnapshotKind::HardLink,
            run,
            client: OsStr::new("c:"),
            marker: "m",
            volume: None,
            end: Some(&id),
        };
        check(&look.call(), &["write", "/srv", "docs", "link", "r:", "c:", "m", "", "i", "a b", "writer a"]);
        let name: SnapshotName = "2026-11-22T17:30:00.000Z".parse().unwrap();
        let publish = PublishCall {
            end: &end,
            run,
            kind: SnapshotKind::Btrfs,
            name: Some(name),
            standing: "s",
            record: "l",
            marker: "m",
            doubt: "d",
            log_limit: 4,
            log_kept: 2,
        };
        let words = ["/srv", "v", "docs", "e", "r:", "btrfs", "2026-11-22T17:30:00.000Z", "s", "l", "m", "d", "4", "2"];
        check(&publish.call(), &words);
        let settle = SettleCall { end: &end, run, marker: "m", note: "n", doubt: "d", record: "l" };
        check(&settle.call(), &["/srv", "v", "docs", "e", "r:", "m", "n", "d", "l"]);
        let deeds = [TidyDeed::Discard("x".into()), TidyDeed::PointLatest(None)];
        let tidy = TidyCall { end: &end, run: None, deeds: &deeds };
        check(&tidy.call(), &["/srv", "v", "docs", "e", "", "discard", "x", "point", "none"]);
        let prepare = PrepareCall {
            root: Path::new("/srv"),
            directory: Path::new("docs"),
            end: End::Source,
            kind: SnapshotKind::None,
            volume_id: &SentinelId("a".into()),
            end_id: &id,
            intruding: Intruding::Refused,
        };
        check(&prepare.call(), &["/srv", "docs", "src", "none", "a", "i", "refuse", "1000"]);
    }

    #[test]
    fn what_is_not_at_the_server_leaves_its_words_empty() {
        let end = end();
        let read = ReadEnd { end: end.clone(), data: "snapshots/x".into() };
        let usage = Usage::Written { begins: Begins::Anew, run: OsStr::new("r:"), marker: "m", note: "n" };
        let destination = WrittenEnd { end: &end, place: "new".into(), usage };
        let outlook = SeenThere::Everything;
        let pull = TransferCall { most: 9, source: Some(&read), destination: None, outlook };
        let words = ["9", "/srv", "v", "docs", "e", "snapshots/x", "", "", "", "", "", "", "", "", "", ""];
        check(&pull.call(), &words);
        let push = TransferCall { most: 9, source: None, destination: Some(destination.clone()), outlook };
        let words = ["9", "", "", "", "", "", "/srv", "v", "docs", "e", "new", "make", "r:", "m", "n", ""];
        check(&push.call(), &words);
        let looked_at = WrittenEnd { usage: Usage::Compared, ..destination };
        let look = TransferCall { most: 9, source: None, destination: Some(looked_at), outlook: SeenThere::Ends };
        let words = ["9", "", "", "", "", "", "/srv", "v", "docs", "e", "new", "", "", "", "", script::APART];
        check(&look.call(), &words);
    }
}
