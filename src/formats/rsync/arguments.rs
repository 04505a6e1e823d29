//! How rsync is called.
//!
//! The user's own options come first; what safety needs comes behind them, where rsync lets it win.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use crate::formats::rsync::chosen::{in_place, is_short, keeps_hard_links, own_options};
use crate::formats::rsync::output::ITEM_FORMAT;
use crate::model::layout::{LATEST, OWN, PARTIAL, SENTINELS, SNAPSHOTS};
use crate::model::{Filter, Keeping, Letters, MountsBelow, Privileges, Rights, RsyncOptions, RsyncSettings};

/// Where rsync works, as an absolute path. Directories from which unchanged files are linked are named by it. A
/// relative path would do for all but one thing: the 3.2.7 of Debian 12 does not continue a file from below a path with
/// `..` in it unless that is absolute (it copies the whole file twice).
pub const WHERE_IT_WORKS: &str = "/proc/self/cwd";

/// How the files come to lie at the destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manner {
    /// Each file is written beside the old one and replaces it.
    Replace(Unfinished),
    /// Each file is changed where it lies, so that snapshots share what did not change. Never where files are shared
    /// by hard links: it would write through into every older one.
    InPlace,
    /// An empty directory is filled; what is unchanged is linked from the first of these directories that has it.
    Link {
        /// Paths relative to the destination, best first.
        bases: Vec<OsString>,
        /// Whether one of them may hold unfinished files.
        unfinished: Unfinished,
    },
}

/// Whether an earlier run may have left unfinished files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfinished {
    /// It left none: files are copied whole, which is quickest.
    None,
    /// It may have: they are continued. A local rsync would copy them whole otherwise.
    Possible,
}

/// What tells that a file is unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comparison {
    /// Its size and its time to the nanosecond.
    Nanoseconds,
    /// Its size and its time to the second.
    Seconds,
    /// Its size and its time to two seconds.
    TwoSeconds,
    /// Its content.
    Content,
}

/// What rsync may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyMode {
    /// Copy, and delete nothing.
    Copy,
    /// Only tell what it would do.
    Tell,
}

/// What of the source is left to a later call, because a copy that files are linked from has a link in its place: rsync
/// 3.2.7 looks for files through that, wherever it leads. All paths are relative to the source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Veil {
    /// Passed over, should they be directories by now.
    pub hidden: BTreeSet<PathBuf>,
    /// Directories that are made, and filled later.
    pub emptied: BTreeSet<PathBuf>,
    /// Nothing else is copied; all is if there are none.
    pub only: BTreeSet<PathBuf>,
}

/// What lies between the two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passage<'a> {
    /// Nothing: both are on the machine that rsync runs on.
    None,
    /// A network.
    Network {
        /// The command that leads to the other end, as rsync's `-e` reads it.
        shell: &'a OsStr,
        /// The command that is rsync at the other end, for the shell there.
        server: &'a OsStr,
    },
}

/// One call of rsync.
#[derive(Debug, Clone)]
pub struct RsyncCall<'a> {
    /// What lies between the two ends.
    pub passage: Passage<'a>,
    /// The user's settings.
    pub settings: &'a RsyncSettings,
    /// What becomes of what is mounted below the source.
    pub mounts: MountsBelow,
    /// The user's filters, without files and `!` (see [`flat`](super::rules::flat)).
    pub filters: &'a [Filter],
    /// Where the destination lies inside the source, relative to it: it is not copied into itself.
    pub nested: Option<&'a Path>,
    /// What of the source is passed over and stays at the destination as it is, relative to both.
    pub spared: &'a BTreeSet<PathBuf>,
    /// What of it is left to a later call.
    pub veil: &'a Veil,
    /// A file with the paths that alone are copied, each ended by a zero byte; `None` where rsync runs at a server.
    pub list: Option<&'a OsStr>,
    /// How files come to lie at the destination.
    pub manner: &'a Manner,
    /// What tells that a file is unchanged.
    pub comparison: Comparison,
    /// What the filesystem of the destination keeps.
    pub keeping: Keeping,
    /// Whether what gives a file power is copied.
    pub privileges: Privileges,
    /// What rsync may do.
    pub effect: CopyMode,
    /// Where rsync works, as an absolute path: the new directory, wherever it is.
    pub works_in: &'a Path,
    /// The source, with a slash at its end.
    pub source: &'a OsStr,
    /// The destination.
    pub destination: &'a OsStr,
}

/// The arguments of a call.
#[must_use]
pub fn arguments(call: &RsyncCall<'_>) -> Vec<OsString> {
    let mut arguments = options(call);
    arguments.push("--no-h".into());
    match call.effect {
        CopyMode::Copy => {
            arguments.push("--max-delete=0".into());
            arguments.push("--info=progress2,stats2,flist0".into());
        }
        // Without progress: of a copy from a server the first deletion comes on the line of the last progress.
        CopyMode::Tell => {
            arguments.push("--dry-run".into());
            arguments.push("--info=progress0,stats2,flist0".into());
        }
    }
    arguments.push(format!("--out-format={ITEM_FORMAT}").into());
    sources(call, &mut arguments);
    arguments.push(call.destination.to_owned());
    arguments
}

/// The options that say what is copied and how; none of those by which rsync reports or that keep it in bounds.
#[must_use]
pub fn options(call: &RsyncCall<'_>) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = Vec::with_capacity(48);
    match &call.settings.options {
        RsyncOptions::Default => arguments.extend(default_options(call).into_iter().map(OsString::from)),
        RsyncOptions::Replaced(options) => arguments.extend(options.iter().map(OsString::from)),
    }
    arguments.extend(call.settings.extra_options.iter().map(OsString::from));
    plain_keys(call, &mut arguments);
    if let Some(bandwidth) = call.settings.bandwidth {
        // Without a suffix rsync counts in KiB; 0 would mean no limit.
        arguments.push(format!("--bwlimit={}", (bandwidth / 1024).max(1)).into());
    }
    passage(call, &mut arguments);
    comparison(call, &mut arguments);
    keeping(call, &mut arguments);
    privileges(call, &mut arguments);
    manner(call, &mut arguments);
    filters(call, &mut arguments);
    arguments
}

fn sources(call: &RsyncCall<'_>, arguments: &mut Vec<OsString>) {
    let only = &call.veil.only;
    if !only.is_empty() {
        // What is gone by now is no gap.
        arguments.push("--ignore-missing-args".into());
    }
    match call.list {
        Some(list) if !only.is_empty() => {
            let mut from = OsString::from("--files-from=");
            from.push(list);
            arguments.extend(["--recursive".into(), "--from0".into(), from, "--".into(), call.source.to_owned()]);
        }
        None if !only.is_empty() => {
            arguments.extend(["--relative", "--"].map(OsString::from));
            arguments.extend(only.iter().map(|path| Path::new(call.source).join(Path::new(".").join(path)).into()));
        }
        Some(_) | None => arguments.extend(["--".into(), call.source.to_owned()]),
    }
}

fn plain_keys(call: &RsyncCall<'_>, arguments: &mut Vec<OsString>) {
    if call.settings.kept.sparse {
        arguments.push("--sparse".into());
    }
    if call.settings.kept.hard_links {
        arguments.push("--hard-links".into());
    }
    match call.mounts {
        MountsBelow::Copied => {}
        MountsBelow::LeftOut => arguments.push("--one-file-system".into()),
    }
}

/// A stuck process at the other end shows only by this: what keeps the connection alive does not notice it. More than
/// twice the time that ssh takes to notice that nothing comes back (see [`crate::formats::ssh`]).
pub(super) const TIMEOUT: &str = "--timeout=42";

/// The same where contents are compared: rsync says nothing while it reads a file for that, however large it is.
const TIMEOUT_FOR_CONTENT: &str = "--timeout=21600";

fn passage(call: &RsyncCall<'_>, arguments: &mut Vec<OsString>) {
    let Passage::Network { shell, server } = call.passage else { return };
    if !own_options(call.settings).any(|option| option.starts_with("--timeout")) {
        arguments.push(if compares_content(call) { TIMEOUT_FOR_CONTENT } else { TIMEOUT }.into());
    }
    if call.settings.compress {
        arguments.push("--compress".into());
    }
    arguments.extend(["-e".into(), shell.to_owned()]);
    let mut path = OsString::from("--rsync-path=");
    path.push(server);
    arguments.push(path);
}

fn compares_content(call: &RsyncCall<'_>) -> bool {
    call.settings.checksum
        || call.comparison == Comparison::Content
        || own_options(call.settings).any(|option| option == "--checksum" || is_short(option, 'c'))
}

fn default_options(call: &RsyncCall<'_>) -> Vec<&'static str> {
    match call.manner {
        // Deleting comes last, so that a source that fails half-way has deleted nothing.
        Manner::Replace(_) if in_place(call.settings) => vec!["-a", "--delete-delay", "--delete-excluded"],
        Manner::Replace(_) => vec!["-a", "--delete-delay", "--delete-excluded", "--partial-dir=.rsync-partial"],
        Manner::InPlace => vec!["-a", "--delete-delay", "--delete-excluded"],
        // The directory is new: there is nothing to delete in it.
        Manner::Link { .. } => vec!["-a"],
    }
}

fn comparison(call: &RsyncCall<'_>, arguments: &mut Vec<OsString>) {
    match call.comparison {
        Comparison::Nanoseconds => arguments.push("--modify-window=-1".into()),
        Comparison::Seconds => {}
        Comparison::TwoSeconds => arguments.push("--modify-window=2".into()),
        Comparison::Content => arguments.push("--checksum".into()),
    }
    if call.settings.checksum && call.comparison != Comparison::Content {
        arguments.push("--checksum".into());
    }
}

fn keeping(call: &RsyncCall<'_>, arguments: &mut Vec<OsString>) {
    match call.keeping.rights {
        Rights::Kept => {}
        // Otherwise all files differ for ever from what they should be.
        Rights::Fixed => arguments.extend(["--no-perms", "--no-owner", "--no-group"].map(OsString::from)),
    }
    match call.keeping.names {
        Letters::Apart => {}
        // Twice: of unchanged files, too. Only who sees all names sees which fall together.
        Letters::Same => arguments.extend(["--itemize-changes", "--itemize-changes"].map(OsString::from)),
    }
    if !call.keeping.holds_specials() {
        arguments.extend(["--no-devices", "--no-specials"].map(OsString::from));
    }
}

/// The options that leave out what gives a file power.
pub(super) const POWERLESS: [&str; 2] = ["--no-devices", "--chmod=Fug-s"];
/// And those where extended attributes are copied: with a rule for attributes rsync leaves out none of the system's by
/// itself any more.
pub(super) const POWERLESS_ATTRIBUTES: [&str; 2] = ["--filter=-x security.capability", "--filter=-x system.*"];

fn privileges(call: &RsyncCall<'_>, arguments: &mut Vec<OsString>) {
    match call.privileges {
        Privileges::Copied => return,
        Privileges::LeftOut => arguments.extend(POWERLESS.map(OsString::from)),
    }
    if own_options(call.settings).any(|option| option == "--xattrs" || is_short(option, 'X')) {
        arguments.extend(POWERLESS_ATTRIBUTES.map(OsString::from));
    }
}

fn manner(call: &RsyncCall<'_>, arguments: &mut Vec<OsString>) {
    let continued = match call.manner {
        Manner::Replace(unfinished) => *unfinished,
        // Two names that were one file and are not any more are still one file here: what is written into it under one
        // of them would be the content of both.
        Manner::InPlace if keeps_hard_links(call.settings) => {
            arguments.extend(["--partial".into(), "--no-inplace".into()]);
            Unfinished::Possible
        }
        Manner::InPlace => {
            arguments.push("--inplace".into());
            Unfinished::Possible
        }
        Manner::Link { bases, unfinished } => {
            arguments.push("--partial".into());
            arguments.push("--no-inplace".into());
            for base in bases {
                let mut option = OsString::from("--link-dest=");
                option.push(call.works_in.join(base));
                arguments.push(option);
            }
            *unfinished
        }
    };
    if continued == Unfinished::Possible {
        arguments.push("--no-whole-file".into());
    }
}

fn filters(call: &RsyncCall<'_>, arguments: &mut Vec<OsString>) {
    let mut add = |rule: OsString| {
        let mut argument = OsString::from("--filter=");
        argument.push(rule);
        arguments.push(argument);
    };
    // Hidden and protected one by one: `--delete-excluded` would take the protection off a plain exclusion.
    // `p` lets go of it in a directory that is deleted as a whole. No link of that name is copied either: rsync would
    // write to files behind it.
    add(format!("Hp {PARTIAL}").into());
    add(format!("Pp {PARTIAL}/").into());
    for name in SENTINELS {
        add(format!("H {name}").into());
        add(format!("P {name}").into());
    }
    if let Some(nested) = call.nested {
        add(anchored("H", nested, "/"));
    }
    for path in call.spared {
        add(anchored("H", path, ""));
        add(anchored("P", path, ""));
    }
    call.veil.hidden.iter().for_each(|path| add(anchored("H", path, "/")));
    call.veil.emptied.iter().for_each(|path| add(anchored("H", path, "/*")));
    add(format!("H /{OWN}/").into());
    add(format!("P /{OWN}/").into());
    match call.manner {
        // The destination itself is written; what it holds if it was one with history once is none of this copy's.
        Manner::Replace(_) => {
            add(format!("P /{SNAPSHOTS}/").into());
            add(format!("P /{LATEST}").into());
        }
        Manner::InPlace | Manner::Link { .. } => {}
    }
    for filter in call.filters {
        match filter {
            Filter::Exclude(pattern) => add(format!("- {pattern}").into()),
            Filter::Include(pattern) => add(format!("+ {pattern}").into()),
            Filter::Merge(file) => add(merge(file)),
            Filter::DirMerge(name) => add(format!(": {name}").into()),
            Filter::Rule(rule) => add(rule.clone()),
        }
    }
}

/// A rule for one entry below the source and the destination, taken literally: a backslash escapes only where there is
/// something to escape.
fn anchored(rule: &str, below: &Path, tail: &str) -> OsString {
    let path = below.as_os_str().as_bytes();
    let is_special = |byte: &u8| matches!(byte, b'*' | b'?' | b'[');
    let has_special = path.iter().chain(tail.as_bytes()).any(is_special);
    let mut rule = format!("{rule} /").into_bytes();
    for byte in path {
        if has_special && (is_special(byte) || *byte == b'\\') {
            rule.push(b'\\');
        }
        rule.push(*byte);
    }
    rule.extend_from_slice(tail.as_bytes());
    OsString::from_vec(rule)
}

fn merge(file: &Path) -> OsString {
    let mut rule = OsString::from(". ");
    rule.push(file);
    rule
}

/// A directory as rsync takes it whose content is meant: with a slash at its end.
#[must_use]
pub fn slash(path: &Path) -> OsString {
    path.components().collect::<PathBuf>().join("").into_os_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::CopyTraits;

    fn check(manner: &Manner, effect: CopyMode, change: impl FnOnce(&mut RsyncSettings)) -> Vec<String> {
        let mut settings = RsyncSettings::default();
        change(&mut settings);
        let call = RsyncCall {
            passage: Passage::None,
            settings: &settings,
            mounts: MountsBelow::LeftOut,
            filters: &[Filter::Exclude("*.tmp".into()), Filter::Rule("H .git".into())],
            nested: Some(Path::new("mnt/usb/all [1]")),
            spared: &["private".into(), "a*/b".into()].into(),
            veil: &Veil {
                hidden: ["l".into()].into(),
                emptied: ["d\\[".into(), "e\\".into()].into(),
                ..Veil::default()
            },
            list: None,
            manner,
            comparison: Comparison::Nanoseconds,
            keeping: Keeping::default(),
            privileges: Privileges::Copied,
            effect,
            works_in: Path::new(WHERE_IT_WORKS),
            source: OsStr::new("/proc/self/fd/9/"),
            destination: OsStr::new("./"),
        };
        arguments(&call).into_iter().map(|argument| argument.into_string().unwrap()).collect()
    }

    fn has(arguments: &[String], wanted: &str) -> bool {
        arguments.iter().any(|argument| argument == wanted)
    }

    #[test]
    fn a_mirror_deletes_last_and_keeps_unfinished_files() {
        let arguments = check(&Manner::Replace(Unfinished::None), CopyMode::Copy, |_| {});
        for wanted in [
            "-a",
            "--delete-delay",
            "--delete-excluded",
            "--partial-dir=.rsync-partial",
            "--modify-window=-1",
            "--max-delete=0",
            "--filter=Hp .rsync-partial",
            "--filter=Pp .rsync-partial/",
        ] {
            assert!(has(&arguments, wanted), "{wanted} in {arguments:?}");
        }
        assert!(!has(&arguments, "--no-whole-file"));
        assert_eq!(arguments.iter().rev().take(3).collect::<Vec<_>>(), ["./", "/proc/self/fd/9/", "--"]);
        let resumed = check(&Manner::Replace(Unfinished::Possible), CopyMode::Copy, |_| {});
        assert!(has(&resumed, "--no-whole-file") && has(&resumed, "--max-delete=0"));
    }

    #[test]
    fn what_safety_needs_stays_though_the_options_are_replaced() {
        let arguments = check(&Manner::Replace(Unfinished::None), CopyMode::Copy, |settings| {
            settings.options = RsyncOptions::Replaced(vec!["-rlt".into(), "--delete".into()]);
        });
        assert_eq!(arguments.first().map(String::as_str), Some("-rlt"));
        for wanted in ["--max-delete=0", "--filter=P .nbkp-dst", "--filter=P /.nbkp/", "--filter=Pp .rsync-partial/"] {
            assert!(has(&arguments, wanted), "{wanted}");
        }
        assert!(!has(&arguments, "-a"));
    }

    #[test]
    fn our_names_are_filtered_before_the_user_has_a_word() {
        let arguments = check(&Manner::InPlace, CopyMode::Copy, |_| {});
        let place = |wanted: &str| arguments.iter().position(|argument| argument == wanted).expect(wanted);
        assert!(place("--filter=H .nbkp-src") < place("--filter=- *.tmp"));
        assert!(place("--filter=- *.tmp") < place("--filter=H .git"));
        assert!(place(r"--filter=H /mnt/usb/all \[1]/") < place("--filter=- *.tmp"));
        for rule in ["H /l/", r"H /d\\\[/*", r"H /e\\/*"] {
            assert!(has(&arguments, &format!("--filter={rule}")), "{rule} in {arguments:?}");
        }
        for rule in [r"--filter=H /a\*/b", r"--filter=P /a\*/b", "--filter=H /private", "--filter=P /private"] {
            assert!(place(rule) < place("--filter=- *.tmp"));
        }
    }

    #[test]
    fn hard_links_are_never_written_through() {
        let bases = vec![OsString::from("../.stale-x"), OsString::from("../2026-11-22T17:30:00.000Z")];
        let manner = Manner::Link { bases, unfinished: Unfinished::Possible };
        let arguments = check(&manner, CopyMode::Copy, |_| {});
        assert!(!has(&arguments, "--inplace") && has(&arguments, "--no-inplace") && has(&arguments, "--partial"));
        assert!(!arguments.iter().any(|argument| argument.starts_with("--partial-dir")));
        let bases: Vec<_> = arguments.iter().filter(|argument| argument.starts_with("--link-dest")).collect();
        let here = "--link-dest=/proc/self/cwd/..";
        assert_eq!(bases, [&format!("{here}/.stale-x"), &format!("{here}/2026-11-22T17:30:00.000Z")]);
    }

    #[test]
    fn in_place_and_a_directory_for_partial_files_exclude_each_other() {
        let staging = check(&Manner::InPlace, CopyMode::Copy, |_| {});
        assert!(has(&staging, "--inplace") && has(&staging, "--no-whole-file"));
        let chosen = check(&Manner::Replace(Unfinished::None), CopyMode::Tell, |settings| {
            settings.extra_options = vec!["--inplace".into()];
            settings.bandwidth = Some(5 << 20);
        });
        for arguments in [&staging, &chosen] {
            assert!(!arguments.iter().any(|argument| argument.starts_with("--partial-dir")));
        }
        assert!(has(&chosen, "--dry-run") && has(&chosen, "--bwlimit=5120"));
    }

    #[test]
    fn plain_keys_are_options() {
        let manner = Manner::Replace(Unfinished::None);
        let plain = check(&manner, CopyMode::Copy, |_| {});
        assert!(has(&plain, "--one-file-system") && !has(&plain, "--sparse") && !has(&plain, "--hard-links"));
        let kept = CopyTraits { sparse: true, hard_links: true };
        for options in [RsyncOptions::Default, RsyncOptions::Replaced(vec!["-rt".into()])] {
            let arguments = check(&manner, CopyMode::Tell, |settings| {
                (settings.kept, settings.options) = (kept, options);
            });
            assert!(has(&arguments, "--sparse") && has(&arguments, "--hard-links"), "{arguments:?}");
        }
    }

    #[test]
    fn where_files_have_several_names_none_is_changed_in_place() {
        let staging = |change: &dyn Fn(&mut RsyncSettings)| check(&Manner::InPlace, CopyMode::Copy, change);
        let extra =
            |option: &'static str| move |settings: &mut RsyncSettings| settings.extra_options.push(option.into());
        for arguments in [
            staging(&|settings| settings.kept.hard_links = true),
            staging(&extra("--hard-links")),
            staging(&extra("-aHX")),
            staging(&|settings| settings.options = RsyncOptions::Replaced(vec!["-rlH".into(), "--inplace".into()])),
        ] {
            assert!(has(&arguments, "--partial") && has(&arguments, "--no-whole-file"), "{arguments:?}");
            let last = arguments.iter().rfind(|argument| argument.ends_with("inplace")).map(String::as_str);
            assert_eq!(last, Some("--no-inplace"));
        }
        let taken_back = staging(&|settings| {
            settings.options = RsyncOptions::Replaced(vec!["-aH".into(), "--no-H".into()]);
        });
        assert!(has(&taken_back, "--inplace"));
    }

    #[test]
    fn over_a_network_a_stuck_end_is_noticed_and_the_way_is_told() {
        let mut settings = RsyncSettings { compress: true, ..RsyncSettings::default() };
        let called = |settings: &RsyncSettings| {
            let passage = Passage::Network { shell: OsStr::new("ssh -S x"), server: OsStr::new("sh -c 'rsync'") };
            let (source, destination) = (OsStr::new("/proc/self/fd/9/"), OsStr::new("nbkp:./"));
            let (manner, comparison, effect) = (&Manner::InPlace, Comparison::Nanoseconds, CopyMode::Tell);
            let (filters, nested) = (&[][..], None);
            let call = RsyncCall {
                passage,
                settings,
                mounts: MountsBelow::Copied,
                filters,
                nested,
                spared: &BTreeSet::new(),
                veil: &Veil::default(),
                list: None,
                manner,
                comparison,
                keeping: Keeping { rights: Rights::Fixed, names: Letters::Same, ..Keeping::default() },
                privileges: Privileges::LeftOut,
                effect,
                works_in: Path::new(WHERE_IT_WORKS),
                source,
                destination,
            };
            arguments(&call).into_iter().map(|argument| argument.into_string().unwrap()).collect::<Vec<_>>()
        };
        let arguments = called(&settings);
        for wanted in ["--no-perms", "--no-owner", "--no-group", "--no-devices", "--no-specials", "--chmod=Fug-s"] {
            assert!(has(&arguments, wanted), "{wanted} in {arguments:?}");
        }
        assert_eq!(arguments.iter().filter(|argument| *argument == "--itemize-changes").count(), 2);
        for wanted in ["--timeout=42", "--compress", "-e", "ssh -S x", "--rsync-path=sh -c 'rsync'", "nbkp:./"] {
            assert!(has(&arguments, wanted), "{wanted} in {arguments:?}");
        }
        settings.checksum = true;
        let patient = called(&settings);
        assert!(has(&patient, "--timeout=21600") && !has(&patient, "--timeout=42"), "{patient:?}");
        (settings.checksum, settings.extra_options) = (false, vec!["-Hc".into()]);
        assert!(has(&called(&settings), "--timeout=21600"));
        settings.extra_options = vec!["--timeout=300".into()];
        let arguments = called(&settings);
        assert!(has(&arguments, "--timeout=300") && !has(&arguments, "--timeout=42"), "{arguments:?}");
    }
}
