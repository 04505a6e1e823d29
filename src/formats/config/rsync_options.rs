//! The options of rsync that a configuration may hold: those that cannot make rsync run a program, write outside the
//! destination, or tell another story than the one the daemon reads.

use super::mistake::quoted;
use super::reader::BadValue;
use super::words::{Read, clean};
use crate::formats::similar::closest;
use crate::model::SnapshotKind;

/// Whether an option carries a value behind `=`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    Without,
    With,
}
use Value::{With, Without};

/// An option that is allowed: its letter, its name, and whether it carries a value.
type Entry = (Option<char>, &'static str, Value);

/// What is copied of each file. None of these changes where something is written.
const PRESERVED: &[Entry] = &[
    (Some('a'), "archive", Without),
    (Some('r'), "recursive", Without),
    (Some('l'), "links", Without),
    (Some('H'), "hard-links", Without),
    (Some('p'), "perms", Without),
    (Some('E'), "executability", Without),
    (Some('A'), "acls", Without),
    (Some('X'), "xattrs", Without),
    (Some('o'), "owner", Without),
    (Some('g'), "group", Without),
    (Some('D'), "D", Without),
    (None, "devices", Without),
    (None, "specials", Without),
    (Some('t'), "times", Without),
    (Some('U'), "atimes", Without),
    (Some('N'), "crtimes", Without),
    (Some('O'), "omit-dir-times", Without),
    (Some('J'), "omit-link-times", Without),
    (None, "super", Without),
    (None, "fake-super", Without),
    (None, "numeric-ids", Without),
    (None, "chmod", With),
    (None, "chown", With),
    (None, "usermap", With),
    (None, "groupmap", With),
];

/// What is done with links in the source. Following them reads more than the source, and it is the user who says so;
/// what follows links in the destination (`--keep-dirlinks`) is not here, since it writes outside.
const LINKS: &[Entry] = &[
    (Some('L'), "copy-links", Without),
    (None, "copy-unsafe-links", Without),
    (None, "safe-links", Without),
    (None, "munge-links", Without),
    (Some('k'), "copy-dirlinks", Without),
    (None, "copy-devices", Without),
];

/// Which files are looked at, and which of them are copied.
const CHOSEN: &[Entry] = &[
    (Some('c'), "checksum", Without),
    (Some('I'), "ignore-times", Without),
    (None, "size-only", Without),
    (None, "modify-window", With),
    (Some('u'), "update", Without),
    (None, "existing", Without),
    (None, "ignore-non-existing", Without),
    (None, "ignore-existing", Without),
    (Some('x'), "one-file-system", Without),
    (Some('m'), "prune-empty-dirs", Without),
    (None, "max-size", With),
    (None, "min-size", With),
];

/// How data travels and is written, always to the file it belongs to.
const TRAVEL: &[Entry] = &[
    (Some('z'), "compress", Without),
    (None, "compress-choice", With),
    (None, "compress-level", With),
    (None, "compress-threads", With),
    (None, "skip-compress", With),
    (None, "checksum-choice", With),
    (None, "checksum-seed", With),
    (None, "block-size", With),
    (Some('W'), "whole-file", Without),
    (Some('y'), "fuzzy", Without),
    (Some('S'), "sparse", Without),
    (None, "preallocate", Without),
    (None, "partial", Without),
    (None, "inplace", Without),
    (None, "fsync", Without),
    (None, "open-noatime", Without),
    (None, "bwlimit", With),
    (None, "timeout", With),
    (None, "max-alloc", With),
    (None, "inc-recursive", Without),
    (None, "protocol", With),
    (Some('4'), "ipv4", Without),
    (Some('6'), "ipv6", Without),
];

/// What is deleted at the destination. When is ours to say (`--delete-delay`), how much is the guard's.
const DELETED: &[Entry] = &[
    (None, "delete", Without),
    (None, "delete-delay", Without),
    (None, "delete-excluded", Without),
    (None, "force", Without),
];

/// Options that people reach for, and why they are refused or what takes their place.
const REFUSED: &[(&[&str], &str)] = &[
    (
        &["rsh", "rsync-path", "remote-option", "daemon", "config", "sockopts", "address", "port", "password-file"],
        "it decides what runs at the other end; name the server in [ssh-endpoints]",
    ),
    (
        &["blocking-io", "early-input", "contimeout", "copy-as", "old-args", "trust-sender"],
        "it changes how the other end is spoken to",
    ),
    (
        &["filter", "exclude", "include", "exclude-from", "include-from", "cvs-exclude", "from0"],
        "use `filters` or `filter-file`, which keep their order with the rules that protect the destination",
    ),
    (
        &["files-from", "relative", "no-implied-dirs", "dirs", "mkpath"],
        "it changes where files lie; use the subdirectory of `source`",
    ),
    (&["partial-dir", "temp-dir", "delay-updates"], "the daemon has its own place for unfinished files"),
    (&["link-dest", "copy-dest", "compare-dest"], "use snapshots = \"hard-link\""),
    (&["backup", "backup-dir", "suffix"], "use `snapshots`, which keep old versions"),
    (&["remove-source-files"], "a backup never changes its source"),
    (&["write-batch", "only-write-batch", "read-batch"], "it writes or reads files outside the copy"),
    (&["keep-dirlinks", "insecure-links", "write-devices"], "it can write outside the destination"),
    (&["iconv"], "names would differ between both ends, where deletions and gaps are told by name"),
    (&["append", "append-verify"], "it takes what is at the destination for good without looking"),
    (
        &["ignore-errors", "delete-missing-args", "ignore-missing-args"],
        "a source that cannot be read must not empty a backup",
    ),
    (
        &["del", "delete-before", "delete-during", "delete-after"],
        "files are deleted after the copy (`--delete-delay`), so that an interrupted file can go on; write --delete",
    ),
    (&["max-delete"], "use guard = { max-delete = \"25%\" }"),
    (&["dry-run", "list-only"], "it would copy nothing; `nbkpctl run --dry-run` shows what would be done"),
    (&["stop-after", "stop-at", "time-limit"], "it would leave copies unfinished; use when = { hours = \"…\" }"),
    (
        &[
            "verbose",
            "quiet",
            "progress",
            "info",
            "debug",
            "stats",
            "human-readable",
            "itemize-changes",
            "out-format",
            "log-format",
            "log-file",
            "log-file-format",
            "8-bit-output",
            "outbuf",
            "stderr",
            "msgs2stderr",
            "no-motd",
            "version",
            "help",
        ],
        "it changes the output, which the daemon reads itself",
    ),
    (&["secluded-args", "protect-args"], "it is used where it is needed"),
];

/// Letters whose long names are refused above.
const LETTERS: &[(char, &str)] = &[
    ('e', "rsh"),
    ('M', "remote-option"),
    ('f', "filter"),
    ('F', "filter"),
    ('C', "cvs-exclude"),
    ('0', "from0"),
    ('R', "relative"),
    ('d', "dirs"),
    ('T', "temp-dir"),
    ('b', "backup"),
    ('K', "keep-dirlinks"),
    ('n', "dry-run"),
    ('v', "verbose"),
    ('q', "quiet"),
    ('P', "progress"),
    ('h', "human-readable"),
    ('i', "itemize-changes"),
    ('8', "8-bit-output"),
    ('V', "version"),
    ('s', "secluded-args"),
    ('@', "modify-window"),
    ('B', "block-size"),
];

/// What may be turned off by `--no-NAME`: what `--archive` turned on, and how data travels. Recursion is not in here:
/// without it nothing is copied.
const TURNED_OFF: &[&str] = &[
    "links",
    "l",
    "perms",
    "p",
    "owner",
    "o",
    "group",
    "g",
    "devices",
    "specials",
    "D",
    "times",
    "t",
    "acls",
    "A",
    "xattrs",
    "X",
    "hard-links",
    "H",
    "atimes",
    "U",
    "crtimes",
    "N",
    "omit-dir-times",
    "O",
    "omit-link-times",
    "J",
    "super",
    "sparse",
    "S",
    "whole-file",
    "W",
    "compress",
    "z",
    "checksum",
    "c",
    "fuzzy",
    "y",
    "inc-recursive",
    "i-r",
    "one-file-system",
    "x",
    "prune-empty-dirs",
    "m",
    "open-noatime",
    "force",
    "bwlimit",
    "numeric-ids",
];

fn allowed() -> impl Iterator<Item = &'static Entry> {
    [PRESERVED, LINKS, CHOSEN, TRAVEL, DELETED].into_iter().flatten()
}

/// What the options that are allowed look like, as a regular expression for editors.
pub(super) fn pattern() -> String {
    let named = |wanted: Value| {
        let names = allowed().filter(move |(_, name, value)| *value == wanted && *name != "D");
        names.map(|(_, name, _)| *name).collect::<Vec<_>>().join("|")
    };
    let letters: String =
        allowed().filter(|(.., value)| *value == Without).filter_map(|(letter, ..)| *letter).collect();
    format!("^(--({})|--({})=.+|--no-({})|-[{letters}]+)$", named(Without), named(With), TURNED_OFF.join("|"))
}

/// An option as it may be passed to rsync, as one argument.
pub(super) fn option(text: &str) -> Read<String> {
    clean(text)?;
    if let Some(long) = text.strip_prefix("--") {
        long_option(text, long)?;
    } else if let Some(letters) = text.strip_prefix('-').filter(|letters| !letters.is_empty()) {
        letters.chars().try_for_each(|letter| short_option(text, letter))?;
    } else {
        return Err(BadValue::new(format!("{} is not an option of rsync", quoted(text)))
            .help("write an option and its value as one text, such as \"--max-size=1G\""));
    }
    Ok(text.to_owned())
}

fn long_option(text: &str, long: &str) -> Read<()> {
    let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
    if let Some(off) = name.strip_prefix("no-") {
        if value.is_none() && TURNED_OFF.contains(&off) {
            return Ok(());
        }
        return Err(refused(text, name));
    }
    // `-D` has a letter only; `--D` is none of rsync's.
    let found = allowed().find(|(_, known, _)| *known == name && name != "D");
    match (found, value) {
        (Some((_, _, Without)), None) => Ok(()),
        (Some((_, _, With)), Some(value)) if !value.is_empty() => Ok(()),
        (Some((_, _, With)), _) => Err(BadValue::new(format!("the rsync option {} has no value", quoted(text)))
            .help(format!("write it as one text: \"--{name}=VALUE\""))),
        (Some((_, _, Without)), Some(_)) => {
            Err(BadValue::new(format!("the rsync option `--{name}` takes no value"))
                .help(format!("write \"--{name}\"")))
        }
        (None, _) => Err(refused(text, name)),
    }
}

fn short_option(text: &str, letter: char) -> Read<()> {
    let known = allowed().any(|(short, _, value)| *short == Some(letter) && *value == Without);
    if known {
        return Ok(());
    }
    match LETTERS.iter().find(|(short, _)| *short == letter) {
        Some((_, name)) if allowed().any(|(_, long, _)| long == name) => {
            Err(BadValue::new(format!("the rsync option `-{letter}` in {} carries a value", quoted(text)))
                .help(format!("write it as \"--{name}=VALUE\"")))
        }
        Some((_, name)) => Err(refused(&format!("-{letter}"), name)),
        None => {
            Err(BadValue::new(format!("rsync has no option `-{letter}` that can be used here, in {}", quoted(text))))
        }
    }
}

fn refused(text: &str, name: &str) -> BadValue {
    let problem = BadValue::new(format!("the rsync option {} cannot be used here", quoted(text)));
    if let Some((_, reason)) = REFUSED.iter().find(|(names, _)| names.contains(&name)) {
        return problem.help(*reason);
    }
    match closest(name, allowed().map(|(_, long, _)| *long)) {
        Some(near) if near != name => problem.help(format!("did you mean `--{near}`?")),
        Some(_) | None => problem.help("only options that cannot leave the destination are allowed"),
    }
}

/// Whether an option fits the kind of snapshots that a sync keeps.
pub(super) fn fits(option: &str, snapshots: SnapshotKind) -> Read<()> {
    if option != "--inplace" {
        return Ok(());
    }
    match snapshots {
        SnapshotKind::Btrfs => Ok(()),
        SnapshotKind::HardLink => {
            Err(BadValue::new("`--inplace` with snapshots = \"hard-link\" would write into finished snapshots")
                .help("leave it out, or use snapshots = \"btrfs\""))
        }
        SnapshotKind::None => {
            Err(BadValue::new("rsync cannot combine `--inplace` with the directory from which unfinished files go on")
                .help("leave it out; snapshots = \"btrfs\" copies in place by itself"))
        }
    }
}

/// Whether options that replace the basic ones still copy directories.
pub(super) fn recurse<'a>(options: impl IntoIterator<Item = &'a str>) -> bool {
    options.into_iter().any(|option| match option.strip_prefix("--") {
        Some(long) => long == "archive" || long == "recursive",
        None => option.contains(['a', 'r']),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_stay_in_the_destination_are_allowed() {
        for text in [
            "-a",
            "-aAX",
            "-aHAXz",
            "--archive",
            "--xattrs",
            "--delete",
            "--delete-excluded",
            "--max-size=1G",
            "--no-owner",
            "--no-W",
            "--no-D",
            "-D",
            "--numeric-ids",
            "--chmod=D755,F644",
            "--bwlimit=5M",
            "--one-file-system",
        ] {
            assert_eq!(option(text), Ok(text.to_owned()));
        }
    }

    #[test]
    fn options_that_could_do_harm_are_refused_with_a_reason() {
        for text in [
            "--rsh=sh",
            "-e",
            "-esh",
            "-ae",
            "--rsync-path=x",
            "--daemon",
            "--files-from=x",
            "--log-file=x",
            "--write-batch=x",
            "--read-batch=x",
            "--temp-dir=/tmp",
            "-T/tmp",
            "--backup-dir=x",
            "-b",
            "--link-dest=x",
            "--copy-dest=x",
            "--compare-dest=x",
            "--partial-dir=x",
            "--password-file=x",
            "--sockopts=x",
            "--delete-before",
            "--remove-source-files",
            "--dry-run",
            "-n",
            "-an",
            "--out-format=x",
            "-v",
            "-P",
            "-K",
            "--keep-dirlinks",
            "--append",
            "--write-devices",
            "-M--x",
            "--filter=. /etc/shadow",
            "-f",
            "-F",
            "--info=all",
            "--ignore-errors",
            "--max-delete=5",
            "--relative",
            "-R",
            "--no-partial-dir",
            "--no-recursive",
            "--no-r",
        ] {
            assert!(option(text).is_err_and(|problem| problem.help.is_some()), "{text}");
        }
    }

    #[test]
    fn what_is_no_option_is_refused() {
        for text in [
            "",
            "-",
            "--",
            "x",
            "/etc/passwd",
            "host::module",
            "--max-size",
            "--delete=1",
            "--max-size=",
            "-a\n",
            "-ä",
            "--D",
            "--=",
            "-a -e",
        ] {
            assert!(option(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_misspelt_option_finds_its_name() {
        let problem = option("--xatrs").unwrap_err();
        assert_eq!(problem.help.as_deref(), Some("did you mean `--xattrs`?"));
    }

    #[test]
    fn in_place_only_where_no_finished_copy_shares_the_file() {
        assert_eq!(fits("--inplace", SnapshotKind::Btrfs), Ok(()));
        assert!(fits("--inplace", SnapshotKind::HardLink).is_err());
        assert!(fits("--inplace", SnapshotKind::None).is_err());
        assert_eq!(fits("--sparse", SnapshotKind::HardLink), Ok(()));
    }

    #[test]
    fn replaced_options_must_recurse() {
        assert!(recurse(["-rt"]) && recurse(["--archive"]) && recurse(["--delete", "-aX"]));
        assert!(!recurse(["--delete", "-tl"]) && !recurse([]));
    }

    #[test]
    fn every_letter_leads_to_a_reason() {
        for (letter, name) in LETTERS {
            let explained = REFUSED.iter().any(|(names, _)| names.contains(name));
            let valued = allowed().any(|(_, long, value)| long == name && *value == With);
            assert!(explained != valued, "{letter}");
            assert!(allowed().all(|(short, ..)| *short != Some(*letter)), "{letter}");
        }
    }
}
