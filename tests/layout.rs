//! Holds that a name of ours on a drive or at a server is written in one file only: `src/model/layout.rs`.
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
const KEYS: [&str; 2] = ["src/formats/config/", "src/ctl/"];

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
