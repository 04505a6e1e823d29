//! Holds that a name of ours on a drive or at a server is written in one file only: `src/model/layout.rs`. And that
//! `docs/safety.md` has each fault once, and names no test that is not there.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

use nbkp::model::layout::{
    DESTINATION_SENTINEL, IN_PROGRESS, LATEST, LOG, MARKER, NEW_LATEST, NEW_LOG, NEW_WRITER, OWN, PARTIAL, SNAPSHOTS,
    SOURCE_SENTINEL, STAGING, STAGING_MARKER, STALE, TRASH, VOLUME_SENTINEL, WRITER,
};

/// Where they are written.
const HOME: &str = "src/model/layout.rs";

/// Names that are nothing else: no text may hold them, except as a part of a longer word.
const NAMES: [&str; 13] = [
    OWN,
    VOLUME_SENTINEL,
    SOURCE_SENTINEL,
    DESTINATION_SENTINEL,
    LOG,
    NEW_LOG,
    NEW_WRITER,
    NEW_LATEST,
    STAGING_MARKER,
    STAGING,
    IN_PROGRESS,
    STALE,
    TRASH,
];

/// Words that are something else, too, such as a key of the configuration: no text may be one of them alone where paths
/// are made, or hold one as a part of a path.
const WORDS: [&str; 5] = [SNAPSHOTS, LATEST, WRITER, MARKER, PARTIAL];

/// Where such a word alone is a key or a command for people.
const KEYS: [&str; 3] = ["src/formats/config/", "src/formats/python_tool/", "src/ctl/"];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

fn has_extension(path: &str, wanted: &str) -> bool {
    Path::new(path).extension().is_some_and(|extension| extension == wanted)
}

/// The texts in a source: what stands in quotes outside of comments and tests; of a script, all that is no comment.
fn texts(path: &str, source: &str) -> Vec<String> {
    let is_script = has_extension(path, "sh");
    let comment = if is_script { "#" } else { "//" };
    let code = source.split("#[cfg(test)]\nmod tests {").next().unwrap();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with(comment));
    if is_script {
        return lines.map(str::to_owned).collect();
    }
    lines.flat_map(|line| line.split('"').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// Whether a text holds this name, and not as a part of a longer one.
fn holds(text: &str, name: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || "_$".contains(c);
    text.match_indices(name).any(|(at, _)| {
        let (before, behind) = text.split_at(at);
        let behind = behind.get(name.len()..).unwrap_or_default();
        let ends = name.ends_with('-') || !behind.starts_with(|c: char| part(c) || c == '.' || c == '-');
        !before.ends_with(part) && ends
    })
}

fn offends(path: &str, text: &str) -> bool {
    let in_path = |word: &&str| text.contains(&format!("{word}/")) || text.contains(&format!("/{word}"));
    let alone = |word: &&str| text == *word && !KEYS.iter().any(|key| path.starts_with(key));
    NAMES.iter().any(|name| holds(text, name)) || WORDS.iter().any(|word| in_path(word) || alone(word))
}

fn offences(path: &str, source: &str) -> Vec<String> {
    let texts = texts(path, source).into_iter();
    texts.filter(|text| offends(path, text)).map(|text| format!("{path}: {}", text.trim())).collect()
}

#[test]
fn a_name_on_a_drive_is_written_in_one_file() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut all = Vec::new();
    files(&root.join("src"), &mut all);
    let mut found = Vec::new();
    for file in all {
        let path = file.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        let tests = path.contains("/tests");
        if path != HOME && !tests && ["rs", "sh"].iter().any(|wanted| has_extension(&path, wanted)) {
            found.extend(offences(&path, &fs::read_to_string(&file).unwrap()));
        }
    }
    assert!(found.is_empty(), "\n  {}\n", found.join("\n  "));
}

#[test]
fn a_name_that_is_written_elsewhere_is_seen() {
    let count = |path: &str, text: &str| offences(path, text).len();
    for bad in [".nbkp", "/x/.nbkp-vol", "staging", ".stale-{name}", "snapshots/{name}", "latest", "a/staging.dirty"] {
        assert_eq!(count("src/os/a.rs", &format!("let a = \"{bad}\";")), 1, "{bad}");
    }
    assert_eq!(count("src/formats/ssh/scripts/a.sh", "mkdir .nbkp/x"), 1);
    for good in ["org.nbkp.Daemon", "nbkp-hop-2", "the latest of them", "{STAGING}", "too many snapshots"] {
        assert_eq!(count("src/os/a.rs", &format!("let a = \"{good}\";")), 0, "{good}");
    }
    assert_eq!(count("src/formats/config/a.rs", "key(\"snapshots\")"), 0);
    assert_eq!(count("src/os/a.rs", "// `.nbkp`\n#[cfg(test)]\nmod tests {\n\".nbkp\"}"), 0);
}

/// How many faults there are of each letter.
const FAULTS: [(char, u32); 6] = [('A', 13), ('B', 26), ('C', 15), ('D', 18), ('E', 29), ('F', 24)];

/// The text of a file below the root of the project; none if it is not there.
fn text(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap_or_default()
}

/// Whether this is a test: `worker::ends::NAME` of `tests/worker/ends.rs`, `os::tree::NAME` of the tests in
/// `src/os/tree.rs`, a scenario that `tests/whole.rs` lists.
fn is_test(path: &str) -> bool {
    let Some((file, name)) = path.rsplit_once("::") else { return false };
    let file = file.replace("::", "/");
    let is_marked = |source: String| {
        let lines: Vec<_> = source.lines().map(str::trim_start).collect();
        let at = lines.iter().position(|line| line.contains(&format!("fn {name}(")));
        let marks = lines.iter().take(at.unwrap_or_default()).rev().take_while(|line| line.starts_with("#["));
        marks.into_iter().any(|line| line.ends_with("test]"))
    };
    let is_listed = |room: &str| {
        let all = text("tests/whole.rs");
        let (_, list) = all.split_once("\nscenarios! {").unwrap_or_default();
        let listed = list.split_once(&format!("\n    {room}:")).unwrap_or_default().1.split(';').next();
        listed.unwrap_or_default().split_whitespace().any(|listed| listed == name)
    };
    match file.strip_prefix("whole/") {
        Some(room) => is_listed(room),
        None => ["tests/FILE.rs", "src/FILE.rs", "src/FILE/mod.rs"]
            .iter()
            .any(|place| is_marked(text(&place.replace("FILE", &file)))),
    }
}

/// The rows of the table of faults: the label of each, and the tests that it names.
fn faults(document: &str) -> Vec<(&str, Vec<&str>)> {
    let rows = document.lines().filter_map(|line| {
        let [_, fault, _, tests, _] = line.split('|').collect::<Vec<_>>()[..] else { return None };
        let label = fault.split_whitespace().next()?;
        let is_label = label.starts_with(char::is_uppercase) && label.ends_with(|c: char| c.is_ascii_digit());
        is_label.then(|| (label, tests.split('`').skip(1).step_by(2).filter(|word| word.contains("::")).collect()))
    });
    rows.collect()
}

#[test]
fn each_fault_is_told_once_with_tests_that_are_there() {
    let document = text("docs/safety.md");
    let rows = faults(&document);
    let labels: Vec<_> = rows.iter().map(|(label, _)| (*label).to_owned()).collect();
    let all = FAULTS.iter().flat_map(|(letter, count)| (1..=*count).map(move |number| format!("{letter}{number}")));
    assert_eq!(labels, all.collect::<Vec<_>>());
    let missing: Vec<_> = rows.iter().flat_map(|(_, tests)| tests).filter(|test| !is_test(test)).collect();
    assert!(missing.is_empty(), "{missing:#?}");
    for line in document.lines().filter(|line| line.starts_with("| ") && !line.contains("::")) {
        let is_heading = line.starts_with("| fault ");
        assert!(is_heading || line.contains("nothing tests it"), "neither a test nor that there is none: {line}");
    }
}

#[test]
fn a_test_that_is_not_there_is_seen() {
    for there in [
        "layout::a_test_that_is_not_there_is_seen",
        "worker::ends::another_id_is_another_place",
        "daemon::world::tests::runs::plugged_twice_quickly_is_one_run",
        "formats::config::tests::what_is_shown_is_read_back_as_the_same",
        "whole::plug::is_copied_plainly",
    ] {
        assert!(is_test(there), "{there}");
    }
    for gone in ["layout::is_test", "worker::ends::is_copied_plainly", "whole::plug::is_copied", "worker::none::x", "x"]
    {
        assert!(!is_test(gone), "{gone}");
    }
    assert_eq!(faults("| A1 x | y | `a::b`, `c` |\n| fault | x | y |\nA2"), [("A1", vec!["a::b"])]);
}

#[test]
fn a_panic_ends_the_whole_program() {
    let manifest = text("Cargo.toml");
    let release = manifest.split("\n[").find(|section| section.starts_with("profile.release]")).unwrap();
    assert!(release.contains("\npanic = \"abort\"\n"), "a task that panics would leave half a daemon alive");
}
