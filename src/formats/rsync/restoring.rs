//! How rsync is called to give files back, and what it then says of files that are there already.

use std::ffi::{OsStr, OsString};

use crate::formats::rsync::arguments::{POWERLESS, POWERLESS_ATTRIBUTES, Passage, TIMEOUT};
use crate::formats::rsync::chosen::{is_short, keeps_hard_links, own_options};
use crate::formats::rsync::output::ITEM_FORMAT;
use crate::model::layout::{OWN, PARTIAL, SENTINELS};
use crate::model::{Earnest, Existing, Fineness, Keeping, Privileges, Rights, RsyncSettings};

/// One call of rsync that gives back.
#[derive(Debug, Clone)]
pub struct RestoreCall<'a> {
    /// What lies between the copy and here.
    pub passage: Passage<'a>,
    /// The settings by which the copy was made; `None` where they are not known.
    pub settings: Option<&'a RsyncSettings>,
    /// What the filesystem of the copy keeps.
    pub keeping: Keeping,
    /// Whether what gives a file power is given back.
    pub privileges: Privileges,
    /// What becomes of what is there.
    pub existing: Existing,
    /// Whether anything is changed.
    pub earnest: Earnest,
    /// A file with the paths that are given back, relative to the source, each ended by a zero byte.
    pub list: &'a OsStr,
    /// The directory that they are relative to, with a slash at its end.
    pub source: &'a OsStr,
    /// The directory that they come to, the same.
    pub destination: &'a OsStr,
}

/// The arguments of a call.
#[must_use]
pub fn restore_arguments(call: &RestoreCall<'_>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = ["-a", "--recursive", "--from0"].map(OsString::from).to_vec();
    arguments.extend(traits(call.settings).map(OsString::from));
    if call.keeping.rights == Rights::Fixed {
        // What such a filesystem says of owners and modes is true of nothing.
        arguments.extend(["--no-perms", "--no-owner", "--no-group"].map(OsString::from));
    }
    match call.keeping.times {
        Fineness::Nanoseconds => arguments.push("--modify-window=-1".into()),
        Fineness::Seconds => {}
        Fineness::TwoSeconds => arguments.push("--modify-window=2".into()),
    }
    match call.privileges {
        Privileges::Copied => {}
        Privileges::LeftOut => {
            arguments.extend(POWERLESS.map(OsString::from));
            // Without settings they are all asked for, and a drive that nobody knows may give a program what it likes.
            let attributes = POWERLESS_ATTRIBUTES.iter().filter(|_| has_attributes(call.settings));
            arguments.extend(attributes.map(OsString::from));
        }
    }
    if let Passage::Network { shell, server } = call.passage {
        let mut path = OsString::from("--rsync-path=");
        path.push(server);
        arguments.extend([TIMEOUT.into(), "-e".into(), shell.to_owned(), path]);
        if call.settings.is_some_and(|settings| settings.compress) {
            arguments.push("--compress".into());
        }
    }
    // A file that is not whole never has its name: the next call goes on with it.
    arguments.push(format!("--partial-dir={PARTIAL}").into());
    if call.existing == Existing::Stays {
        arguments.push("--ignore-existing".into());
    }
    arguments.extend(ours().map(OsString::from));
    match call.earnest {
        Earnest::Real => {}
        Earnest::Pretended => arguments.push("--dry-run".into()),
    }
    arguments.extend(["--no-h", "--info=progress2,stats2,flist0,skip2"].map(OsString::from));
    arguments.push(format!("--out-format={ITEM_FORMAT}").into());
    let mut list = OsString::from("--files-from=");
    list.push(call.list);
    arguments.extend([list, "--".into(), call.source.to_owned(), call.destination.to_owned()]);
    arguments
}

/// The options for what the copy has beside content, owners, modes and times.
fn traits(settings: Option<&RsyncSettings>) -> impl Iterator<Item = &'static str> {
    let all = [
        (settings.is_none_or(keeps_hard_links), "--hard-links"),
        (has_attributes(settings), "--xattrs"),
        (has(settings, "--acls", 'A'), "--acls"),
        (settings.is_some_and(|settings| settings.kept.sparse), "--sparse"),
    ];
    all.into_iter().filter(|(wanted, _)| *wanted).map(|(_, option)| option)
}

fn has_attributes(settings: Option<&RsyncSettings>) -> bool {
    has(settings, "--xattrs", 'X')
}

fn has(settings: Option<&RsyncSettings>, long: &str, letter: char) -> bool {
    settings.is_none_or(|settings| own_options(settings).any(|option| option == long || is_short(option, letter)))
}

/// What of a destination is ours and none of the copy.
fn ours() -> impl Iterator<Item = String> {
    let sentinels = SENTINELS.into_iter().map(|name| format!("--exclude={name}"));
    sentinels.chain([format!("--exclude=/{OWN}/"), format!("--exclude={PARTIAL}/")])
}

/// A file that stays although the copy has it: its name as rsync escapes it, and whether it differs.
#[must_use]
pub fn stays(line: &str) -> Option<(&str, bool)> {
    // Before 3.2.4 rsync does not tell whether they differ.
    let differing = [" exists (type change)", " exists (sum change)", " exists (file change)", " exists (attr change)"];
    if let Some(name) = line.strip_suffix(" exists (uptodate)") {
        return Some((name, false));
    }
    differing.iter().chain([&" exists"]).find_map(|suffix| line.strip_suffix(suffix)).map(|name| (name, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_stays_unless_it_is_replaced() {
        let settings = RsyncSettings { extra_options: vec!["-X".into()], ..RsyncSettings::default() };
        let mut call = RestoreCall {
            passage: Passage::None,
            settings: Some(&settings),
            keeping: Keeping::default(),
            privileges: Privileges::LeftOut,
            existing: Existing::Stays,
            earnest: Earnest::Pretended,
            list: OsStr::new("/list"),
            source: OsStr::new("/copy/"),
            destination: OsStr::new("./"),
        };
        let words =
            |call: &RestoreCall<'_>| restore_arguments(call).iter().map(|word| word.display().to_string()).collect();
        let usual: Vec<String> = words(&call);
        assert!(usual.iter().any(|word| word == "--filter=-x security.capability"), "{usual:?}");
        for wanted in ["--ignore-existing", "--dry-run", "--xattrs", "--no-devices", "--partial-dir=.rsync-partial"] {
            assert!(usual.iter().any(|word| word == wanted), "{wanted}: {usual:?}");
        }
        assert_eq!(usual.iter().rev().take(4).rev().collect::<Vec<_>>(), ["--files-from=/list", "--", "/copy/", "./"]);
        assert!(!usual.iter().any(|word| word.contains("delete") || word == "--acls"), "{usual:?}");
        call.existing = Existing::Replaced;
        call.earnest = Earnest::Real;
        call.settings = None;
        let forced: Vec<String> = words(&call);
        assert!(!forced.iter().any(|word| word == "--ignore-existing" || word == "--dry-run"), "{forced:?}");
        assert!(forced.iter().any(|word| word == "--acls") && forced.iter().any(|word| word == "--hard-links"));
    }

    #[test]
    fn a_file_that_stays_is_told_from_one_that_is_the_same() {
        // As rsync 3.2.7 and 3.1.3 say it.
        assert_eq!(stays("a b (1).txt exists (uptodate)"), Some(("a b (1).txt", false)));
        assert_eq!(stays("dir/x exists (file change)"), Some(("dir/x", true)));
        assert_eq!(stays("x exists (type change)"), Some(("x", true)));
        assert_eq!(stays("x exists"), Some(("x", true)));
        assert_eq!(stays("recv|>f+++++++++|3|3|x//"), None);
    }
}
