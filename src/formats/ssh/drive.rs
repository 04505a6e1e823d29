//! A drive of a server: what the scripts are told that work on it, and what they answer.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use super::answers::{lines, shown};
use crate::model::{DriveUuid, HeldBy, Holder};

/// What is done with a drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// It is looked at.
    Look,
    /// Those who use it are looked for.
    Users,
    /// Its filesystem is mounted.
    Mount,
    /// What is not on it yet is written, and it is unmounted.
    Unmount,
    /// Its container is locked.
    Lock,
    /// The hardware that it is a part of is powered off.
    PowerOff,
}

impl Verb {
    fn word(self) -> &'static str {
        match self {
            Self::Look => "look",
            Self::Users => "users",
            Self::Mount => "mount",
            Self::Unmount => "unmount",
            Self::Lock => "lock",
            Self::PowerOff => "power-off",
        }
    }
}

/// Which drive of a server is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meant {
    /// What it carries.
    pub uuid: DriveUuid,
    /// The LUKS container in which the filesystem lies, or lay, that it is named by.
    pub container: Option<DriveUuid>,
    /// The one medium of those that carry it; none if there must not be several.
    pub medium: Option<Medium>,
}

/// A medium of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Medium {
    /// The node that carries the UUID, or that of the LUKS container around it.
    pub node: PathBuf,
    /// The boot of the server.
    pub boot: String,
    /// The number of the medium in it; empty where the kernel does not number media.
    pub seq: String,
}

/// How many words name a drive.
pub const WORDS: usize = 5;

impl Meant {
    /// The words that name it to a script.
    #[must_use]
    pub fn words(&self) -> [OsString; WORDS] {
        let uuid = self.uuid.as_str().into();
        let container = self.container.as_ref().map_or("", DriveUuid::as_str).into();
        match &self.medium {
            None => [uuid, container, OsString::new(), OsString::new(), OsString::new()],
            Some(Medium { node, boot, seq }) => {
                [uuid, container, node.clone().into_os_string(), boot.clone().into(), seq.clone().into()]
            }
        }
    }

    /// Reads such words.
    #[must_use]
    pub fn read(words: &[OsString]) -> Option<Self> {
        let [uuid, container, node, boot, seq] = words else { return None };
        let text = |word: &OsString| word.to_str().map(str::to_owned);
        let medium = Medium { node: node.into(), boot: text(boot)?, seq: text(seq)? };
        let container = Some(text(container)?).filter(|text| !text.is_empty());
        Some(Self {
            uuid: text(uuid)?.parse().ok()?,
            container: container.map(|text| text.parse()).transpose().ok()?,
            medium: Some(medium).filter(|medium| !medium.boot.is_empty()),
        })
    }
}

/// What a script is told that does this with a drive.
#[must_use]
pub fn arguments(meant: &Meant, verb: Verb) -> Vec<OsString> {
    meant.words().into_iter().chain([verb.word().into()]).collect()
}

/// How a drive stands at a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// How far it is open.
    pub state: State,
    /// Whether there is a LUKS container around it.
    pub role: Encryption,
    /// The nodes that carry its UUID, or that of its container.
    pub nodes: Vec<PathBuf>,
    /// The node of the LUKS container, for one that is in such.
    pub container: Option<PathBuf>,
    /// The UUID of that, for one that is named by the filesystem in it.
    pub outer: Option<DriveUuid>,
    /// The boot of the server.
    pub boot: String,
    /// The number of the medium; empty where the kernel does not number media.
    pub seq: String,
    /// What else is in use of the same hardware.
    pub others: Vec<PathBuf>,
    /// Whether its filesystem lives in the kernel there, mounted or not.
    pub life: Life,
    /// Whether `udisksctl` is there.
    pub tool: Tool,
    /// Those who use it, where they were looked for.
    pub users: Vec<Holder>,
    /// Whether what was asked for was done.
    pub deed: DriveDeed,
    /// Why it was not done, in the words of the program that was to do it.
    pub why: Option<String>,
    /// Why what was written to it did not reach it.
    pub unflushed: Option<String>,
}

/// How far a drive is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// No device carries its UUID.
    Unplugged,
    /// Several do.
    Ambiguous,
    /// Its container is locked.
    Locked,
    /// The container in which it lay is open, and holds something else.
    Other,
    /// It is not mounted.
    Closed,
    /// It is mounted there.
    Open(PathBuf),
}

/// What is around a filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encryption {
    /// A LUKS container.
    Encrypted,
    /// Nothing.
    Plain,
}

/// Whether a filesystem lives in the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It does.
    Alive,
    /// It does not, or nobody knows.
    Gone,
}

/// Whether something was done. It is not, without any reason told, where there was nothing to do: the drive was so
/// already, is gone, or is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriveDeed {
    /// It was, by the program that was asked to do it.
    Done,
    /// It was not.
    Undone,
}

/// Whether a program is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tool {
    /// It is.
    There,
    /// It is not.
    Missing,
}

impl Facts {
    /// The medium, for those who mean this very one; none where it is not there, or is one of several.
    #[must_use]
    pub fn medium(&self) -> Option<Medium> {
        // What is in a container has another node after each unlocking.
        let node = self.container.as_ref().or(self.nodes.first())?.clone();
        Some(Medium { node, boot: self.boot.clone(), seq: self.seq.clone() })
    }
}

/// Reads the answer of a script; none if it is no such answer.
#[must_use]
pub fn facts_in(answer: &[u8]) -> Option<Facts> {
    let path = |text: &[u8]| Some(PathBuf::from(OsString::from_vec(text.to_vec()))).filter(|path| path.is_absolute());
    let mut facts = Facts {
        state: State::Unplugged,
        role: Encryption::Plain,
        nodes: Vec::new(),
        container: None,
        outer: None,
        boot: String::new(),
        seq: String::new(),
        others: Vec::new(),
        life: Life::Gone,
        tool: Tool::There,
        users: Vec::new(),
        deed: DriveDeed::Undone,
        why: None,
        unflushed: None,
    };
    let (mut state, mut point, mut name) = (None, None, String::new());
    for (word, text) in lines(answer) {
        match word {
            "state" => state = Some(shown(text)),
            "role" if text == b"encrypted" => facts.role = Encryption::Encrypted,
            "node" => facts.nodes.extend(path(text)),
            "container" => facts.container = path(text),
            "outer" => facts.outer = shown(text).parse().ok(),
            "point" => point = path(text),
            "boot" => facts.boot = shown(text),
            "seq" => facts.seq = shown(text),
            "other" => facts.others.extend(path(text)),
            "alive" => facts.life = Life::Alive,
            "done" => facts.deed = DriveDeed::Done,
            "missing" => facts.tool = Tool::Missing,
            "why" => facts.why = Some(shown(text)),
            "unflushed" => facts.unflushed = Some(shown(text)),
            "name" => name = shown(text),
            "uses" | "elsewhere" => facts.users.extend(holder(word, text, &name)),
            _ => {}
        }
    }
    let mut told = BTreeSet::new();
    facts.users.retain(|user| told.insert(user.pid));
    facts.state = match (state?.as_str(), point) {
        ("unplugged", _) => State::Unplugged,
        ("ambiguous", _) => State::Ambiguous,
        ("locked", _) => State::Locked,
        ("other", _) => State::Other,
        ("closed", _) => State::Closed,
        ("open", Some(point)) => State::Open(point),
        _ => return None,
    };
    Some(facts)
}

fn holder(word: &str, text: &[u8], name: &str) -> Option<Holder> {
    let shown = shown(text);
    let (pid, path) = shown.split_once(' ')?;
    let path = Path::new(path).to_owned();
    let by = if word == "uses" { HeldBy::Path(path) } else { HeldBy::Namespace(path) };
    Some(Holder { pid: pid.parse().ok()?, name: name.to_owned(), by })
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "2d577679-a7b6-429d-8250-3d0d80e034df";

    #[test]
    fn an_answer_is_read_line_by_line() {
        let answer = b"why Error unmounting\nstate open\nrole encrypted\ncontainer /dev/sdb1\n\
            outer 2d577679-a7b6-429d-8250-3d0d80e034df\ninside /dev/dm-0\nboot b\nseq 9\nnode /dev/dm-0\n\
            point /media/my drive\nalive\nother /dev/sdb2\nname sleep\nuses 4711 /media/my drive/x\n\
            elsewhere 12 /mnt\nuses 4711 /media/my drive/y\nnonsense\n";
        let facts = facts_in(answer).unwrap();
        assert_eq!((facts.state.clone(), facts.role), (State::Open("/media/my drive".into()), Encryption::Encrypted));
        assert_eq!(facts.medium().unwrap(), Medium { node: "/dev/sdb1".into(), boot: "b".into(), seq: "9".into() });
        assert_eq!((facts.outer, facts.container), (Some(UUID.parse().unwrap()), Some("/dev/sdb1".into())));
        assert_eq!((facts.life, facts.tool, facts.others.len()), (Life::Alive, Tool::There, 1));
        let users: Vec<String> = facts.users.iter().map(ToString::to_string).collect();
        assert_eq!(
            users,
            [
                "sleep (process 4711) uses /media/my drive/x",
                "sleep (process 12) has it mounted at /mnt in a namespace of its own"
            ]
        );
    }

    #[test]
    fn what_is_no_answer_tells_nothing() {
        for answer in [&b""[..], b"state\n", b"state open\n", b"state open\npoint relative\n", b"role plain\n"] {
            assert_eq!(facts_in(answer), None, "{answer:?}");
        }
        assert_eq!(facts_in(b"state unplugged\n").unwrap().medium(), None);
    }

    #[test]
    fn what_is_meant_is_read_as_it_was_written() {
        let medium = Medium { node: "/dev/sdb1".into(), boot: "b".into(), seq: String::new() };
        for (medium, container) in [(None, None), (Some(medium), Some(UUID.parse().unwrap()))] {
            let meant = Meant { uuid: "5e3f-1a2b".parse().unwrap(), container, medium };
            assert_eq!(Meant::read(&meant.words()), Some(meant));
        }
        for (uuid, container) in [("x", ""), (UUID, "x")] {
            assert_eq!(Meant::read(&[uuid, container, "", "", ""].map(OsString::from)), None, "{uuid} {container}");
        }
    }
}
