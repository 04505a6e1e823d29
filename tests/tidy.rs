//! The scripts that work at a destination of a server, run by real shells with the tools that servers have. They need
//! root, to become an account that is not root.
#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test starts programs, and fails by panicking"
)]

#[path = "common/required.rs"]
mod required;
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{self, Permissions};
use std::io::Write as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, UNIX_EPOCH};

use nbkp::formats::ssh::answers::{self, free, lines, looked};
use nbkp::formats::ssh::calls::{
    Begins, DeleteCall, Intent, LookCall, PrepareCall, ProvenEnd, PublishCall, ReadEnd, ScriptCall, SeenThere,
    SettleCall, TidyCall, TransferCall, Usage, WrittenEnd,
};
use nbkp::formats::ssh::contents::{self, ContentsCall, FilesCall};
use nbkp::formats::ssh::links::{DirectoriesCall, LinksCall};
use nbkp::formats::ssh::script::{self, Answer};
use nbkp::formats::ssh::sizes::{self, SampleCall, SizesCall};
use nbkp::formats::ssh::traps::{self, TrapsCall};
use nbkp::model::{DeletedKind, DeletedNames, End, Intruding, SentinelId, SnapshotKind, TidyDeed, layout};
use nbkp::model::{Digest, Unread};

const NAME: &str = "2026-11-22T17:30:00.000Z";
const USUAL: &str = "/usr/sbin:/usr/bin:/sbin:/bin";
const ANOTHER: [&str; 4] = ["/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];

/// Makes a destination with a snapshot that keeps modes which do not let its owner, and a link out of it.
const GROUND: &str = r#"
    mkdir -p .nbkp victim "snapshots/$1/mod/deep" "snapshots/$1/locked" "snapshots/$1/mounted"
    : >.nbkp-vol
    : >.nbkp-dst
    : >victim/kept
    cd "snapshots/$1"
    : >mod/deep/file
    : >locked/file
    ln -s ../../../victim mod/link
    chmod 0555 ../../victim mod/deep mod .
    chmod 0000 locked
"#;

/// Runs the words behind the first with something mounted in the snapshot, and looks whether it is still there.
const MOUNTED: &str = r#"
    mount -t tmpfs none "snapshots/$1/mounted"
    : >"snapshots/$1/mounted/kept"
    name=$1
    shift
    "$@"
    [ -e "snapshots/.trash-$name/mounted/kept" ]
"#;

fn is_root() -> bool {
    if rustix::process::geteuid().is_root() {
        return true;
    }
    assert!(!crate::required::all_must_run(), "becoming another user needs root");
    eprintln!("skipped: becoming another user needs root");
    false
}

/// A shell of a server, with the place where its tools are found, and a destination of that other account.
fn with_each_server(scenario: impl Fn(&[&str], &str, &Path)) {
    let tools = tempfile::tempdir().unwrap();
    fs::set_permissions(tools.path(), Permissions::from_mode(0o755)).unwrap();
    assert!(Command::new("busybox").args(["--install", "-s"]).arg(tools.path()).status().unwrap().success());
    let small = format!("{}:{USUAL}", tools.path().display());
    let servers: [(&[&str], &str); 3] =
        [(&["dash", "-s"], USUAL), (&["bash", "--posix", "-s"], USUAL), (&["busybox", "sh", "-s"], &small)];
    for (shell, path) in servers {
        let place = tempfile::tempdir().unwrap();
        let home = place.path().canonicalize().unwrap();
        chown(&home, Some(65534), Some(65534)).unwrap();
        let made = output(&[&ANOTHER[..], &["sh", "-c", GROUND, "sh", NAME]].concat(), USUAL, &home, b"");
        assert!(made.status.success(), "{made:?}");
        scenario(shell, path, &home);
    }
}

fn output(words: &[&str], path: &str, home: &Path, input: &[u8]) -> Output {
    let (program, arguments) = words.split_first().unwrap();
    let mut child = Command::new(program)
        .args(arguments)
        .env("PATH", path)
        .current_dir(home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

/// What is said to a shell to do this.
fn doing(home: &Path, deed: TidyDeed) -> Vec<u8> {
    let end = ProvenEnd { root: home.into(), volume: "".into(), directory: "".into(), end: "".into() };
    let deeds = [deed];
    let call = TidyCall { end: &end, run: None, deeds: &deeds }.call();
    script::text(call.script, &call.words)
}

/// What the script told before it told what is left on the filesystem, which it does in the end.
#[track_caller]
fn told(said: &Output) -> String {
    let Answer::Whole(0, told) = script::answer(&said.stdout) else { panic!("{said:?}") };
    assert!(free(&told).bytes.is_some(), "{said:?}");
    let told = String::from_utf8(told).unwrap();
    told.split("free ").next().unwrap().to_owned()
}

#[test]
fn a_snapshot_goes_whose_modes_do_not_let_its_owner() {
    if !is_root() {
        return;
    }
    with_each_server(|shell, path, home| {
        let said = output(&[&ANOTHER[..], shell].concat(), path, home, &doing(home, TidyDeed::Discard(NAME.into())));
        assert_eq!(told(&said), format!("gone {NAME}\n"), "{shell:?}: {said:?}");
        assert_eq!(fs::read_dir(home.join("snapshots")).unwrap().count(), 0, "{shell:?}");
        assert!(home.join("victim/kept").exists(), "{shell:?}");
        assert_eq!(fs::metadata(home.join("victim")).unwrap().permissions().mode() & 0o777, 0o555, "{shell:?}");
    });
}

#[test]
fn what_is_mounted_in_a_snapshot_stays() {
    if !is_root() {
        return;
    }
    with_each_server(|shell, path, home| {
        let within = ["/usr/bin/unshare", "--mount", "/bin/sh", "-c", MOUNTED, "sh", NAME];
        let said = output(&[&within[..], shell].concat(), path, home, &doing(home, TidyDeed::Discard(NAME.into())));
        assert!(said.status.success(), "{shell:?}: {said:?}");
        let told = told(&said);
        assert!(told.starts_with(&format!("warn {NAME} was not deleted: ")), "{shell:?}: {told}");
    });
}

/// What of `staging` no snapshot holds: a file, a directory with a name that needs quotes, a link out of it; and what
/// both hold, under another kind, too.
const STAGED: &str = r#"
    chmod 0755 "snapshots/$1" "snapshots/$1/mod" "snapshots/$1/locked"
    mkdir -p staging/mod/deep "staging/a b/$(printf 'x\ny')" staging/-d "snapshots/$1/both"
    : >staging/mod/deep/file
    : >staging/mod/new
    : >staging/both
    ln -s ../victim staging/out
    ln -s ../../victim staging/mod/link
    # A link to where something lies that the snapshot does not hold: a directory there.
    mkdir -p "snapshots/$1/mod/entered/sub" outside/sub
    : >outside/sub/kept
    ln -s ../../outside staging/mod/entered
"#;

#[test]
fn what_no_snapshot_holds_goes_from_a_full_drive_and_nothing_else() {
    if !is_root() {
        return;
    }
    with_each_server(|shell, path, home| {
        let made = output(&[&ANOTHER[..], &["sh", "-c", STAGED, "sh", NAME]].concat(), USUAL, home, b"");
        assert!(made.status.success(), "{made:?}");
        let relieve = |newest| {
            let deed = doing(home, TidyDeed::Relieve(newest));
            let said = output(&[&ANOTHER[..], shell].concat(), path, home, &deed);
            assert_eq!(told(&said), "", "{shell:?}: {said:?}");
            let find = ["find", "staging", "-mindepth", "1", "-printf", "%P\n"];
            let found = String::from_utf8(output(&find, USUAL, home, b"").stdout).unwrap();
            let mut left: Vec<_> = found.lines().map(str::to_owned).collect();
            left.sort();
            left
        };
        assert_eq!(relieve(Some(NAME.parse().unwrap())), ["both", "mod", "mod/deep", "mod/deep/file", "mod/link"]);
        assert_eq!(relieve(None), Vec::<String>::new());
        assert!(home.join("victim/kept").exists() && home.join("outside/sub/kept").exists(), "{shell:?}");
    });
}

/// What is to be deleted, and what must not be: below a directory that became a link, and where something is kept.
const DOOMED: &str = r#"
    echo run-1: >.nbkp/writer
    mkdir locked foreign full full/kept empty mounted
    : >locked/a
    : >foreign/a
    : >--
    : >"it's \$x
"
    ln -s victim linked
    chmod 0755 victim
    chmod 0555 locked
"#;

/// Runs the words behind the first with something mounted there.
const MOUNTED_AT: &str = r#"mount -t tmpfs none "$1" && shift && "$@""#;

#[test]
fn what_was_judged_is_deleted_and_nothing_else() {
    if !is_root() {
        return;
    }
    with_each_server(|shell, path, home| {
        let made = output(&[&ANOTHER[..], &["sh", "-c", DOOMED, "sh"]].concat(), USUAL, home, b"");
        assert!(made.status.success(), "{made:?}");
        chown(home.join("foreign"), Some(0), Some(0)).unwrap();
        let long_ago = UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        for kept in [home.to_owned(), home.join("locked")] {
            fs::File::open(kept).unwrap().set_modified(long_ago).unwrap();
        }
        let group = |parent: &str, kind, names: &[&str]| DeletedNames {
            parent: parent.into(),
            kind,
            names: names.iter().map(OsString::from).collect(),
        };
        let groups = [
            group("locked", DeletedKind::Other, &["a"]),
            group("foreign", DeletedKind::Other, &["a"]),
            group("linked", DeletedKind::Other, &["kept"]),
            group("", DeletedKind::Other, &["--", "it's $x\n", "gone already"]),
            group("", DeletedKind::Directory, &["full", "mounted", "empty"]),
        ];
        let end = ProvenEnd { root: home.into(), volume: "".into(), directory: "".into(), end: "".into() };
        let delete = |run: &str| {
            let call = DeleteCall { end: &end, run: OsStr::new(run), place: Path::new(""), groups: &groups }.call();
            let within = ["/usr/bin/unshare", "--mount", "/bin/sh", "-c", MOUNTED_AT, "sh", "mounted"];
            let words = script::text(call.script, &call.words);
            output(&[&within[..], &ANOTHER, shell].concat(), path, home, &words)
        };
        let Answer::Whole(1, told) = script::answer(&delete("run-2:").stdout) else { panic!("{shell:?}") };
        assert!(told.starts_with(b"superseded "), "{shell:?}: {told:?}");
        assert!(home.join("--").exists() && home.join("empty").exists(), "{shell:?}");

        let said = delete("run-1:");
        let Answer::Whole(0, told) = script::answer(&said.stdout) else { panic!("{shell:?}: {said:?}") };
        let words = lines(&told).filter(|(word, _)| !word.is_empty());
        let told: Vec<_> = words.map(|(word, text)| format!("{word} {}", answers::shown(text))).collect();
        let [locked, foreign, refused, root, directories, mounted] = told.as_slice() else { panic!("{told:?}") };
        assert_eq!((locked.as_str(), foreign.as_str(), root.as_str()), ("gone 1", "gone 0", "gone 2"), "{shell:?}");
        assert!(refused.starts_with("refused 1 ") && refused.contains("denied"), "{shell:?}: {refused}");
        assert_eq!(directories, "gone 1", "{shell:?}");
        assert!(mounted.starts_with("refused 1 ") && mounted.contains("busy"), "{shell:?}: {mounted}");
        for stays in ["victim/kept", "foreign/a", "full/kept", "mounted", "linked"] {
            assert!(home.join(stays).exists(), "{shell:?}: {stays}");
        }
        for gone in ["locked/a", "--", "it's $x\n", "empty"] {
            assert!(!home.join(gone).exists(), "{shell:?}: {gone}");
        }
        let locked = fs::metadata(home.join("locked")).unwrap();
        assert_eq!((locked.permissions().mode() & 0o777, locked.modified().unwrap()), (0o555, long_ago), "{shell:?}");
        assert_eq!(fs::metadata(home).unwrap().modified().unwrap(), long_ago, "{shell:?}");
    });
}

#[test]
fn links_and_directories_are_told_by_each_server() {
    if !is_root() {
        return;
    }
    with_each_server(|shell, path, home| {
        let end = ProvenEnd { root: home.into(), volume: "".into(), directory: "".into(), end: "".into() };
        let run = OsStr::new("run:");
        fs::write(home.join(".nbkp/writer"), "run:\n").unwrap();
        let odd = "2026-11-22T17:30:00.001Z";
        let snapshots = home.join("snapshots");
        fs::create_dir(snapshots.join(odd)).unwrap();
        std::os::unix::fs::symlink("x", snapshots.join(odd).join("a\nb")).unwrap();
        let names = [odd.to_owned(), NAME.to_owned()];
        let told = answers::links(&said(shell, path, home, &LinksCall { end: &end, run, names: &names }.call()));
        // What may not be listed counts as a link.
        let links = [Path::new("locked").to_owned(), Path::new("mod/link").to_owned()].into();
        assert_eq!(told, [(NAME.to_owned(), links)], "{shell:?}");
        let place = Path::new("snapshots").join(NAME);
        let paths = ["mod", "mod/deep", "mod/link", "mod/link/kept", "mod/deep/file", "gone", "mod/link/../mod"];
        let paths = paths.map(Path::new);
        for (follows, expected) in [(false, &["mod", "mod/deep"][..]), (true, &["mod", "mod/deep", "mod/link"])] {
            let call = DirectoriesCall { end: &end, which: End::Destination, place: &place, follows, paths: &paths };
            let found = answers::directories(&said(shell, path, home, &call.call()), &paths);
            assert_eq!(found, expected.iter().map(|path| Path::new(path).to_owned()).collect(), "{shell:?}");
        }
    });
}

#[test]
fn sizes_are_told_by_each_server() {
    if !is_root() {
        return;
    }
    with_each_server(|shell, path, home| {
        let end = ProvenEnd { root: home.into(), volume: "".into(), directory: "".into(), end: "".into() };
        let (place, odd) = (Path::new("snapshots"), OsStr::from_bytes(b"-n \xff [a]*"));
        for (name, size) in [(Path::new("a/b/c"), 7), (Path::new(odd), 0), (&Path::new("x\ny").join("z"), 3)] {
            let file = home.join(place).join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, vec![7; size]).unwrap();
        }
        let expected = [(Path::new("a/b/c").to_owned(), 7), (Path::new(odd).to_owned(), 0)].into();
        let paths = ["a/b/c", "a/b", "gone", "x\ny/z"].map(Path::new);
        let paths = [&paths[..], &[Path::new(odd)]].concat();
        let call = SizesCall { end: &end, which: End::Destination, place, paths: &paths };
        assert_eq!(sizes::sizes(&said(shell, path, home, &call.call())), expected, "{shell:?}");
        fs::remove_dir_all(home.join(place).join(NAME)).unwrap();
        let sample = |directories, files| {
            let call = SampleCall { end: &end, place, directories, files };
            sizes::sizes(&said(shell, path, home, &call.call()))
        };
        // What no line can hold is passed over.
        assert_eq!(sample(200, 500), expected, "{shell:?}");
        assert_eq!(sample(200, 1).len(), 1, "{shell:?}");
    });
}

#[test]
fn what_is_no_file_is_told_by_each_server() {
    if !is_root() {
        return;
    }
    with_each_server(|shell, path, home| {
        let end = ProvenEnd { root: home.into(), volume: "".into(), directory: "".into(), end: "".into() };
        let below = home.join("snapshots/x y");
        fs::create_dir_all(below.join("sub/.b")).unwrap();
        fs::write(below.join("sub/.a*"), "").unwrap();
        for (name, target) in [("sub/.c", ".a*"), ("sub/.d", "nowhere"), (".c", "/dev/null")] {
            std::os::unix::fs::symlink(target, below.join(name)).unwrap();
        }
        let made = Command::new("mkfifo").arg(below.join(".a*")).arg(below.join(".ab")).status().unwrap();
        assert!(made.success());
        let names = [".a*", ".b", ".c", ".d"].map(OsString::from).into();
        let call = TrapsCall { end: &end, which: End::Destination, place: Path::new("snapshots"), names: &names };
        let found = traps::traps(&said(shell, path, home, &call.call()));
        assert_eq!(found, ["x y/.a*", "x y/.c"].map(|path| Path::new(path).to_owned()).into(), "{shell:?}");
    });
}

/// What is in files is told by number, whatever they are called; what may not be read is told as that.
#[test]
fn contents_are_told_by_their_sums() {
    if !is_root() {
        return;
    }
    with_each_server(|shell, path, home| {
        let end = ProvenEnd { root: home.into(), volume: "".into(), directory: "".into(), end: "".into() };
        let place = home.join("snapshots/x y");
        fs::create_dir_all(place.join("-sub/de ep")).unwrap();
        for (name, content) in
            [("-sub/a\\b", "abc"), ("-sub/-n", "abd"), ("-sub/li\nne", "x"), ("secret", "s"), ("$(x)", "")]
        {
            fs::write(place.join(name), content).unwrap();
        }
        fs::set_permissions(place.join("secret"), Permissions::from_mode(0o000)).unwrap();
        std::os::unix::fs::symlink("a", place.join("-sub/link")).unwrap();
        std::os::unix::fs::symlink("-sub", place.join("other")).unwrap();
        let below = Path::new("snapshots/x y");
        let directories = ["", "-sub", "other", "gone"].map(Into::into);
        let call = FilesCall { end: &end, place: below, directories: &directories }.call();
        let found = contents::files(&said(shell, path, home, &call));
        let names: Vec<_> = found.files.keys().map(|name| name.to_str().unwrap()).collect();
        assert_eq!(names, ["$(x)", "-sub/-n", "-sub/a\\b", "secret"], "{shell:?}");
        let odd = BTreeMap::from([(PathBuf::from("-sub"), 1)]);
        assert_eq!((&found.odd, found.directories.len()), (&odd, 2), "{shell:?}: {found:?}");
        let paths = ["-sub/a\\b", "-sub/-n", "$(x)", "secret", "-sub/link", "gone"].map(Into::into);
        let asked = ContentsCall { end: &end, which: End::Destination, place: below, paths: &paths };
        let facts = contents::facts_there(&said(shell, path, home, &asked.facts()));
        assert_eq!(facts.len(), 4, "{shell:?}: {facts:?}");
        assert!(facts.iter().all(|(name, facts)| found.files.get(name) == Some(facts)), "{shell:?}");
        let sums = contents::sums(&said(shell, path, home, &asked.sums()), &paths);
        let beginning = |name: &str| sums[Path::new(name)].as_ref().map(|Digest(bytes)| bytes[0]);
        // As FIPS 180-2 has them.
        assert_eq!((beginning("-sub/a\\b"), beginning("$(x)")), (Ok(0xba), Ok(0xe3)), "{shell:?}");
        assert!(beginning("-sub/-n").is_ok_and(|byte| byte != 0xba), "{shell:?}");
        assert_eq!(beginning("secret"), Err(&Unread::Forbidden), "{shell:?}");
        assert_eq!((beginning("-sub/link"), beginning("gone")), (Err(&Unread::Gone), Err(&Unread::Gone)), "{shell:?}");
    });
}

fn said(shell: &[&str], path: &str, home: &Path, call: &ScriptCall) -> Vec<u8> {
    let said = output(&[&ANOTHER[..], shell].concat(), path, home, &script::text(call.script, &call.words));
    let Answer::Whole(0, told) = script::answer(&said.stdout) else { panic!("{shell:?}: {said:?}") };
    told
}

/// A device loses what was written, of which the kernel tells once. `busybox` has a `sync` of its own for that.
fn lost_writes_are_doubted_whoever_hears_of_them(
    (shell, path, home): (&[&str], &str, &Path),
    publish: &PublishCall<'_>,
    at: &Path,
) {
    let (bin, unfinished) = (tempfile::tempdir().unwrap(), at.join(".nbkp/unfinished"));
    let failing = bin.path().join("sync");
    fs::write(&failing, "#!/bin/sh\n[ \"$*\" != '-f .' ] || { echo lost >&2; exit 1; }\n").unwrap();
    for path in [bin.path(), failing.as_path()] {
        fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:{path}", bin.path().display());
    let answer = |call: &ScriptCall| {
        fs::write(&unfinished, "boot\n").unwrap();
        chown(&unfinished, Some(65534), Some(65534)).unwrap();
        let text = script::text(call.script, &call.words);
        script::answer(&output(&[&ANOTHER[..], shell].concat(), &path, home, &text).stdout)
    };
    let Answer::Whole(1, told) = answer(&publish.call()) else { panic!("{shell:?}") };
    let words: Vec<_> = lines(&told).map(|(word, _)| word).collect();
    assert_eq!(words.get(..2), Some(["step", "failed"].as_slice()), "{shell:?}: {told:?}");
    assert!(!at.join("snapshots").join(NAME).exists(), "{shell:?}");
    assert_eq!(fs::read_to_string(&unfinished).unwrap(), "doubtful\n", "{shell:?}");
    let (end, run, marker) = (publish.end, publish.run, publish.marker);
    let settle = SettleCall { end, run, marker, note: "flushed\n", doubt: "doubtful\n", record: "" };
    assert!(matches!(answer(&settle.call()), Answer::Whole(0, _)));
    assert_eq!(fs::read_to_string(&unfinished).unwrap(), "doubtful\n", "{shell:?}");
}

/// The log is cut to so many bytes at its end, and begins with a whole line then.
fn a_name_that_is_taken_stays_and_a_long_log_is_cut(
    (shell, path, home): (&[&str], &str, &Path),
    publish: &PublishCall<'_>,
    at: &Path,
) {
    let new = at.join("snapshots").join(layout::in_progress(NAME));
    output(&[&ANOTHER[..], &["mkdir", new.to_str().unwrap()]].concat(), USUAL, home, b"");
    let text = script::text(publish.call().script, &publish.call().words);
    let answer = script::answer(&output(&[&ANOTHER[..], shell].concat(), path, home, &text).stdout);
    let Answer::Whole(1, told) = answer else { panic!("{shell:?}") };
    let last = answers::last_word(&told).map(|last| last.text).unwrap_or_default();
    assert!(last.contains(NAME), "{shell:?}: {last}");
    assert!(new.exists(), "{shell:?}");

    let log = at.join(".nbkp/log.jsonl");
    let lines: Vec<_> = (0..100).map(|number| format!("line {number:04}\n")).collect();
    let append = |text: &str| {
        fs::write(&log, text).unwrap();
        chown(&log, Some(65534), Some(65534)).unwrap();
        let call = PublishCall {
            kind: SnapshotKind::None,
            name: None,
            standing: "",
            log_limit: 500,
            log_kept: 105,
            ..*publish
        };
        said(shell, path, home, &call.call());
        fs::read_to_string(&log).unwrap()
    };
    // A torn last line is ended first.
    let cut = append(&format!("{}torn", lines.concat()));
    assert_eq!(cut.lines().last(), Some("record"), "{shell:?}: {cut}");
    assert_eq!(cut.lines().next(), Some("line 0091"), "{shell:?}: {cut}");
    assert!(cut.contains("\nline 0099\ntorn\nrecord\n") && cut.len() <= 105, "{shell:?}: {cut}");
    assert_eq!(append("short\n"), "short\nrecord\n", "{shell:?}");
    let own: Vec<_> = fs::read_dir(at.join(".nbkp")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(own.iter().all(|name| !name.to_string_lossy().contains("new")), "{shell:?}: {own:?}");
}

#[test]
fn a_destination_is_prepared_looked_at_published_and_settled() {
    if !is_root() {
        return;
    }
    with_each_server(|shell, path, home| {
        let ids = (SentinelId("volume-1".into()), SentinelId("end-1".into()));
        fs::remove_file(home.join(".nbkp-vol")).unwrap();
        let (kind, directory) = (SnapshotKind::HardLink, Path::new("a b/$(touch pwned)"));
        let (root, end) = (home, End::Destination);
        let intruding = Intruding::Refused;
        let prepare = PrepareCall { root, directory, end, kind, volume_id: &ids.0, end_id: &ids.1, intruding };
        let made = said(shell, path, home, &prepare.call());
        assert_eq!(lines(&made).filter(|(word, _)| *word == "made").count(), 6, "{shell:?}: {made:?}");

        let (run, client) = (OsStr::new("run-1:"), OsStr::new("client:"));
        let (intent, marker) = (
            Intent::Write { known: "00000000000000aa", writer: "written-by 00000000000000aa 2026-11-22T17:30:00Z me" },
            layout::marker(kind),
        );
        let (volume, end) = (Some(&ids.0), Some(&ids.1));
        let looking = LookCall { intent, root, directory, kind, run, client, marker, volume, end };
        let seen = looked(&said(shell, path, home, &looking.call()));
        let at = home.join(directory);
        assert_eq!((seen.obstacle, seen.missing_tools, seen.at.as_ref()), (None, Vec::new(), Some(&at)), "{shell:?}");
        assert!(seen.free.bytes.is_some() && !seen.boot.is_empty(), "{shell:?}");
        assert_eq!(fs::read_to_string(at.join(".nbkp/writer")).unwrap(), "run-1:\n");

        let text = |text: &[u8]| OsString::from_vec(text.to_vec());
        let (volume, end) = (text(&seen.volume), text(&seen.end));
        let proven = ProvenEnd { root: home.into(), volume, directory: directory.into(), end };
        let name = NAME.parse().unwrap();
        let new = at.join("snapshots").join(layout::in_progress(NAME));
        output(&[&ANOTHER[..], &["mkdir", new.to_str().unwrap()]].concat(), USUAL, home, b"");
        let publish = PublishCall {
            end: &proven,
            run,
            kind,
            name: Some(name),
            standing: "standing",
            record: "record",
            marker,
            doubt: "doubtful\n",
            log_limit: 1 << 20,
            log_kept: 1 << 10,
        };
        if *shell != ["busybox", "sh", "-s"] {
            lost_writes_are_doubted_whoever_hears_of_them((shell, path, home), &publish, &at);
        }
        let told = said(shell, path, home, &publish.call());
        let words: Vec<_> = lines(&told).map(|(word, _)| word).collect();
        assert_eq!(
            words.iter().filter(|word| ["published", "recorded"].contains(word)).count(),
            2,
            "{shell:?}: {words:?}"
        );
        let seen = looked(&said(shell, path, home, &looking.call()));
        assert_eq!((seen.entries.unwrap().complete, seen.latest), (vec![name], Some(layout::in_snapshots(NAME))));

        // Who only looks learns of a copy that was killed, too.
        let glance = LookCall { intent: Intent::List, ..looking };
        assert_eq!(looked(&said(shell, path, home, &glance.call())).marker, None, "{shell:?}");
        output(&[&ANOTHER[..], &["touch", at.join(".nbkp/unfinished").to_str().unwrap()]].concat(), USUAL, home, b"");
        assert!(looked(&said(shell, path, home, &glance.call())).marker.is_some(), "{shell:?}");
        let settle = SettleCall { end: &proven, run, marker, note: "flushed\n", doubt: "doubtful\n", record: "end" };
        said(shell, path, home, &settle.call());
        assert_eq!(fs::read_to_string(at.join(".nbkp/unfinished")).unwrap(), "flushed\n", "{shell:?}");
        assert_eq!(fs::read_to_string(at.join(".nbkp/log.jsonl")).unwrap(), "standing\nrecord\nend\n", "{shell:?}");
        a_name_that_is_taken_stays_and_a_long_log_is_cut((shell, path, home), &publish, &at);
    });
}

#[test]
fn what_is_somebody_elses_is_left_alone_and_what_was_begun_goes_on() {
    if !is_root() {
        return;
    }
    with_each_server(|shell, path, home| {
        let ids = (SentinelId("volume-1".into()), SentinelId("end-1".into()));
        let theirs = home.join("theirs");
        fs::remove_file(home.join(".nbkp-vol")).unwrap();
        fs::create_dir(&theirs).unwrap();
        fs::write(theirs.join("a\nletter"), "dear reader").unwrap();
        output(
            &[&ANOTHER[..], &["mkdir", "-p", home.join("begun/snapshots").to_str().unwrap()]].concat(),
            USUAL,
            home,
            b"",
        );
        std::os::unix::fs::symlink("/dev/null", home.join("begun/latest")).unwrap();
        let told = |directory: &str, kind, intruding| {
            let (root, directory, end) = (home, Path::new(directory), End::Destination);
            let call = PrepareCall { root, directory, end, kind, volume_id: &ids.0, end_id: &ids.1, intruding };
            said(shell, path, home, &call.call())
        };
        for kind in [SnapshotKind::None, SnapshotKind::HardLink] {
            let refused = told("theirs", kind, Intruding::Refused);
            assert!(lines(&refused).any(|line| line == ("taken", &b"1"[..])), "{shell:?}: {refused:?}");
            assert_eq!(fs::read_dir(&theirs).unwrap().count(), 1, "{shell:?}");
            assert!(!home.join(".nbkp-vol").exists(), "{shell:?}: nothing is made");
        }
        let begun = told("begun", SnapshotKind::HardLink, Intruding::Refused);
        assert!(home.join("begun/.nbkp-dst").exists(), "{shell:?}: {begun:?}");
        // Many are counted up to a point, whatever they are called; a person who said yes is told of nothing.
        for number in 0..1200 {
            fs::write(theirs.join(format!("one\n{number}")), "").unwrap();
        }
        std::os::unix::fs::symlink("/dev/null", theirs.join("latest")).unwrap();
        let refused = told("theirs", SnapshotKind::HardLink, Intruding::Refused);
        assert!(lines(&refused).any(|line| line == ("taken", &b"1000"[..])), "{shell:?}: {refused:?}");
        fs::set_permissions(&theirs, fs::Permissions::from_mode(0o777)).unwrap();
        let allowed = told("theirs", SnapshotKind::HardLink, Intruding::Allowed);
        assert!(lines(&allowed).all(|(word, _)| word != "holds"), "{shell:?}: {allowed:?}");
        assert!(theirs.join(".nbkp-dst").exists(), "{shell:?}: {allowed:?}");
        fs::remove_file(theirs.join(".nbkp-dst")).unwrap();
        let mirror = told("theirs", SnapshotKind::None, Intruding::Allowed);
        assert!(lines(&mirror).any(|line| line == ("holds", &b"1000"[..])), "{shell:?}: {mirror:?}");
        let mirror = told("begun", SnapshotKind::None, Intruding::Refused);
        assert!(lines(&mirror).all(|(word, _)| word != "taken"), "a sentinel is there: {mirror:?}");
    });
}

/// In the place of rsync: tells what it sees, and what it may do.
const SPY: &str = r#"#!/bin/sh
[ "$1" != --version ] || exit 0
may() { "$@" 2>/dev/null && echo "may $*" || echo "may not $*"; }
echo in "$PWD" as "$@"
echo / holds /*
for path in "$1" ./link/outside ../old/file /source/mounted/inside; do
    [ -e "$path" ] && echo "sees ${path##*/}" || echo "misses ${path##*/}"
done
may touch ./written
may touch /source/written
may mkdir /usr/written
may mknod ./node c 1 3
may cat ./node
may mount -t tmpfs none .
"#;

#[test]
fn rsync_of_root_at_a_server_sees_both_ends_and_the_programs_and_nothing_else() {
    if !is_root() {
        return;
    }
    for shell in ["dash", "bash", "busybox"] {
        let place = tempfile::tempdir().unwrap();
        let home = place.path().canonicalize().unwrap();
        let here = home.display();
        // What is beside rsync is found by it: a server of this kind has no other tools.
        let tools = home.join("tools");
        let install = format!(
            "mkdir -p {here}/tools {here}/from/mounted {here}/to/.nbkp {here}/to/snapshots/old {here}/to/snapshots/new
             case {shell} in
                 busybox) busybox --install -s {here}/tools ;;
                 *) ln -s \"$(command -v {shell})\" {here}/tools/sh ;;
             esac
             cat >{here}/tools/rsync; chmod +x {here}/tools/rsync
             cd {here}; : >outside; : >from/.nbkp-vol; : >from/.nbkp-src; : >to/.nbkp-vol; : >to/.nbkp-dst
             printf r: >to/.nbkp/writer; ln -s {here} to/snapshots/new/link; : >to/snapshots/old/file"
        );
        let made = output(&["sh", "-ec", &install], USUAL, &home, SPY.as_bytes());
        assert!(made.status.success(), "{made:?}");
        let path = format!("{}:{USUAL}", tools.display());
        let at = |root: &str, kind: &str| ProvenEnd {
            root: home.join(root),
            volume: "".into(),
            directory: "".into(),
            end: kind.into(),
        };
        let (read, to) = (ReadEnd { end: at("from", ""), data: "".into() }, at("to", ""));
        let usage = Usage::Written { begins: Begins::AsItIs, run: "r:".as_ref(), marker: "m", note: "n" };
        let spied = |source, usage, outlook| {
            let written = WrittenEnd { end: &to, place: "snapshots/new".into(), usage };
            let mut call = TransferCall { most: 60, source, destination: Some(written), outlook }.call();
            call.words.push(home.join("outside").into_os_string());
            let script = script::timed(call.script, &call.words);
            let mounted = format!(
                "mount -t tmpfs none {here}/from/mounted; : >{here}/from/mounted/inside; exec {here}/tools/sh -s"
            );
            let within = ["/usr/bin/unshare", "--mount", "/bin/sh", "-ec", &mounted];
            let said = output(&within, &path, &home, &script);
            assert!(said.status.success(), "{shell}: {said:?}");
            String::from_utf8(said.stdout).unwrap()
        };
        let told = |said: &str, wanted: &[&str]| {
            let lines: Vec<_> = said.lines().filter(|line| !line.starts_with("/ holds")).collect();
            assert_eq!(lines[1..], *wanted, "{shell}: {said}");
        };
        // The `setpriv` of BusyBox cannot take these rights away.
        let mounts = if shell == "busybox" { "may mount -t tmpfs none ." } else { "may not mount -t tmpfs none ." };
        let said = spied(Some(&read), usage, SeenThere::Ends);
        assert!(said.starts_with("in /destination/snapshots/new as "), "{shell}: {said}");
        let sees = ["misses outside", "misses outside", "sees file", "sees inside"];
        let may = ["may touch ./written", "may not touch /source/written", "may not mkdir /usr/written"];
        told(&said, &[&sees[..], &may, &["may mknod ./node c 1 3", "may not cat ./node", mounts]].concat());
        fs::remove_file(home.join("to/snapshots/new/node")).unwrap();
        // What is only read is not written.
        let said = spied(None, Usage::Restored, SeenThere::Ends);
        let sees = ["misses outside", "misses outside", "sees file", "misses inside"];
        let may = ["may not touch ./written", "may not touch /source/written", "may not mkdir /usr/written"];
        told(&said, &[&sees[..], &may, &["may not mknod ./node c 1 3", "may not cat ./node", mounts]].concat());
        // Links that are followed lead anywhere.
        let said = spied(Some(&read), Usage::Compared, SeenThere::Everything);
        assert!(said.contains("sees outside\nsees outside\n"), "{shell}: {said}");
        assert_eq!(fs::read_dir(home.join("from")).unwrap().count(), 3, "{shell}");
    }
}

#[test]
fn rsync_at_a_server_runs_as_it_is_where_it_can_have_no_root_of_its_own() {
    if !is_root() {
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let home = place.path().canonicalize().unwrap();
    let here = home.display();
    let made = format!(
        "mkdir -p {here}/tools {here}/from; cat >{here}/tools/rsync; chmod +x {here}/tools/rsync; cd {here}; : >outside
         : >from/.nbkp-vol; : >from/.nbkp-src; printf '#!/bin/sh\nexit 1\n' >refuses; chmod +x refuses"
    );
    let made = output(&["sh", "-ec", &made], USUAL, &home, SPY.as_bytes());
    assert!(made.status.success(), "{made:?}");
    let end = ProvenEnd { root: home.join("from"), volume: "".into(), directory: "".into(), end: "".into() };
    let read = ReadEnd { end, data: "".into() };
    let mut call = TransferCall { most: 60, source: Some(&read), destination: None, outlook: SeenThere::Ends }.call();
    call.words.push(home.join("outside").into_os_string());
    let script = script::timed(call.script, &call.words);
    let path = format!("{here}/tools:{USUAL}");
    let said = |words: &[&str]| {
        let said = output(words, &path, &home, &script);
        assert!(said.status.success(), "{words:?}: {said:?}");
        String::from_utf8(said.stdout).unwrap()
    };
    // What the spy mounts stays with it.
    let usual = ["/usr/bin/unshare", "--mount", "sh", "-s"];
    assert!(said(&usual).contains("in /source as "));
    // At each step that may be refused to it.
    for tool in ["unshare", "mount", "cp", "chroot", "pivot_root", "umount"] {
        let link = home.join("tools").join(tool);
        fs::copy(home.join("refuses"), &link).unwrap();
        let said = said(&usual);
        assert!(said.starts_with(&format!("in {here}/from as ")), "{tool}: {said}");
        assert!(said.contains("sees outside"), "{tool}: {said}");
        fs::remove_file(link).unwrap();
    }
    // What is not to be bound anywhere else is there all the same, and does not pass for deleted.
    let unbindable = format!(
        "mkdir {here}/from/mounted; mount -t tmpfs none {here}/from/mounted; : >{here}/from/mounted/inside
         mount --make-unbindable {here}/from/mounted; exec sh -s"
    );
    let said = said(&["/usr/bin/unshare", "--mount", "/bin/sh", "-ec", &unbindable]);
    assert!(said.starts_with("in /source as ") && said.contains("sees inside"), "{said}");
}
