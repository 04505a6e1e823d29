//! Holds the plan of the house that `docs/ARCHITECTURE.md` tells: floors, rooms, crates for each floor, small files.
//!
//! It reads the sources as text, comments and literals blanked out, so that a rule cannot be dodged by a macro or a
//! `cfg` that this build leaves out. Each rule is a function from sources to complaints, and is shown a bad house, too.
#![expect(
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "all of this is a test, and fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Each room of the house and its floor. Rooms of one floor do not know each other.
const ROOMS: [(&str, u8); 8] =
    [("model", 1), ("decide", 2), ("formats", 2), ("os", 3), ("backup", 4), ("daemon", 5), ("ctl", 5), ("bin", 6)];

/// The crates that a room may use beside `std`. What is not listed here is not wanted there.
const CRATES: [(&str, &[&str]); 8] = [
    ("model", &["jiff"]),
    ("decide", &["ipnet", "jiff"]),
    (
        "formats",
        &[
            "annotate_snippets",
            "crc32fast",
            "ipnet",
            "jiff",
            "schemars",
            "serde",
            "serde_json",
            "shlex",
            "strsim",
            "thiserror",
            "toml",
        ],
    ),
    (
        "os",
        &[
            "fastrand",
            "futures_util",
            "jiff",
            "landlock",
            "listenfd",
            "nix",
            "rtnetlink",
            "rusqlite",
            "rustix",
            "sd_notify",
            "thiserror",
            "tokio",
            "tokio_util",
            "tracing",
            "tracing_journald",
            "tracing_subscriber",
            "udev",
            "zbus",
            "zeroize",
        ],
    ),
    ("backup", &["fastrand", "jiff", "thiserror", "tracing"]),
    ("daemon", &["fastrand", "futures_util", "jiff", "thiserror", "tokio", "tokio_util", "tracing"]),
    ("ctl", &["anstream", "clap", "clap_complete", "clap_mangen", "comfy_table", "indicatif", "jiff", "thiserror"]),
    ("bin", &["anyhow", "clap", "tokio", "tracing"]),
];

/// The longest a file may be, without its tests.
const LINES: usize = 400;

/// The longest a door may be.
const DOOR_LINES: usize = 60;

/// The one file that may hold unsafe code.
const UNSAFE_FILE: &str = "src/os/sys.rs";

/// A source file, as the rules see it.
struct Source {
    /// Relative to the package, with `/`.
    path: String,
    /// As it is.
    text: String,
    /// Without tests; comments, strings and characters are blanks.
    code: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        let blanked = blank_literals(text);
        let end = start_of_tests(&blanked).unwrap_or(blanked.len());
        Self { path: path.to_owned(), text: text.to_owned(), code: blanked[..end].to_owned() }
    }

    /// The modules from the root of the crate to this file: `src/os/disks.rs` is `["os", "disks"]`.
    fn modules(&self) -> Vec<&str> {
        let path = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        path.split('/').filter(|part| *part != "mod" && *part != "lib").collect()
    }

    fn room(&self) -> Option<&str> {
        self.modules().first().copied().filter(|room| floor(room).is_some())
    }

    fn is_door(&self) -> bool {
        self.room() == Some("bin")
    }
}

fn floor(room: &str) -> Option<u8> {
    ROOMS.iter().find(|(name, _)| *name == room).map(|(_, floor)| *floor)
}

/// Where the tests begin: they are the last thing in a file.
fn start_of_tests(blanked: &str) -> Option<usize> {
    let mark = "#[cfg(test)]";
    let mut from = 0;
    while let Some(found) = blanked[from..].find(mark) {
        let at = from + found;
        // A module in a file of its own ends nothing here.
        let next = blanked[at + mark.len()..].trim_start().lines().next().unwrap_or_default();
        if next.starts_with("mod ") && next.trim_end().ends_with('{') {
            return Some(at);
        }
        from = at + mark.len();
    }
    None
}

/// Replaces comments, strings and characters by blanks and keeps the lines.
fn blank_literals(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = literal_length(rest, out.chars().next_back());
        if length == 0 {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            out.extend(rest[..length].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[length..];
        }
    }
    out
}

/// The length of the comment, string or character at the start of `rest`; 0 if there is none.
fn literal_length(rest: &str, before: Option<char>) -> usize {
    let in_name = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return rest.find("*/").map_or(rest.len(), |end| end + 2);
    }
    if rest.starts_with('"') {
        return closing_quote(rest, 1);
    }
    if !in_name && (rest.starts_with("r\"") || rest.starts_with("r#")) {
        let hashes = rest[1..].chars().take_while(|c| *c == '#').count();
        if rest[1 + hashes..].starts_with('"') {
            let close = format!("\"{}", "#".repeat(hashes));
            let body = 2 + hashes;
            return rest[body..].find(&close).map_or(rest.len(), |end| body + end + close.len());
        }
    }
    if rest.starts_with('\'') {
        // A character, unless it is a lifetime or a label: those have no quote behind the first character.
        let mut chars = rest.char_indices().skip(1);
        return match (chars.next(), chars.next()) {
            (Some((_, '\\')), Some((at, escaped))) => {
                let from = at + escaped.len_utf8();
                rest[from..].find('\'').map_or(0, |end| from + end + 1)
            }
            (Some(_), Some((at, '\''))) => at + 1,
            _ => 0,
        };
    }
    0
}

fn closing_quote(rest: &str, from: usize) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(from) {
        match c {
            '\\' if !escaped => escaped = true,
            '"' if !escaped => return at + 1,
            _ => escaped = false,
        }
    }
    rest.len()
}

/// The paths from the root of the crate that a file names, as far as two modules deep.
fn imports(source: &Source) -> BTreeSet<Vec<String>> {
    let mut found = BTreeSet::new();
    let own: Vec<String> = source.modules().into_iter().map(str::to_owned).collect();
    let root = if source.is_door() { "nbkp" } else { "crate" };
    for (at, word) in words(&source.code) {
        let behind = &source.code[at + word.len()..];
        let previous = source.code[..at].trim_end();
        if word == root && behind.starts_with("::") {
            expand(&behind[2..], &mut Vec::new(), &mut found);
        } else if word == "super" && behind.starts_with("::") && !previous.ends_with("super::") {
            let mut rest = behind;
            // A `mod.rs` is the module of its directory, so its `super` leads one further up; `own` says so already.
            let mut base = own.clone();
            base.pop();
            while let Some(further) = rest.strip_prefix("::super") {
                base.pop();
                rest = further;
            }
            expand(rest.trim_start_matches("::"), &mut base, &mut found);
        }
    }
    found
}

/// Follows one `use` tree (`os::disks::X`, `{model, os::{a, b}}`) behind the modules in `base`.
fn expand(tree: &str, base: &mut Vec<String>, found: &mut BTreeSet<Vec<String>>) {
    let tree = tree.trim_start();
    if let Some(inner) = tree.strip_prefix('{') {
        for branch in branches(inner) {
            expand(branch, &mut base.clone(), found);
        }
        return;
    }
    let name: String = tree.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    if name.is_empty() {
        return;
    }
    base.push(name.clone());
    match tree[name.len()..].strip_prefix("::") {
        Some(deeper) if base.len() < 2 => expand(deeper, base, found),
        Some(_) | None => {
            base.truncate(2);
            found.insert(base.clone());
        }
    }
}

/// Splits the inside of a brace at its own commas, up to its closing brace.
fn branches(inner: &str) -> Vec<&str> {
    let (mut depth, mut start, mut parts) = (0_usize, 0, Vec::new());
    for (at, c) in inner.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => {
                parts.push(&inner[start..at]);
                return parts;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inner[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts
}

/// All names in a text, with where they start.
fn words(code: &str) -> Vec<(usize, &str)> {
    let mut found = Vec::new();
    let mut start = None;
    for (at, c) in code.char_indices().chain([(code.len(), ' ')]) {
        let part = c.is_alphanumeric() || c == '_';
        match (start, part) {
            (None, true) => start = Some(at),
            (Some(from), false) => {
                found.push((from, &code[from..at]));
                start = None;
            }
            _ => {}
        }
    }
    found
}

// --- the rules ------------------------------------------------------------------------------------------------------

fn imports_that_point_up_or_sideways(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in sources {
        let Some(room) = source.room() else { continue };
        for path in imports(source) {
            let Some(other) = path.first().filter(|other| floor(other).is_some() && *other != room) else { continue };
            if floor(other) >= floor(room) {
                complaints.push(format!("{}: `{room}` must not know `{}`", source.path, path.join("::")));
            }
        }
    }
    complaints
}

fn crates_out_of_place(sources: &[Source], dependencies: &BTreeSet<String>) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in sources {
        let Some(room) = source.room() else { continue };
        let allowed = CRATES.iter().find(|(name, _)| *name == room).map_or(&[][..], |(_, crates)| crates);
        let mut used = BTreeSet::new();
        for (at, word) in words(&source.code) {
            let before = source.code[..at].trim_end();
            let from_root = !before.ends_with("::");
            let named = source.code[at + word.len()..].starts_with("::") || before.ends_with("use");
            if from_root && named && dependencies.contains(word) {
                used.insert(word);
            }
        }
        for name in used {
            if !allowed.contains(&name) {
                complaints.push(format!("{}: `{room}` must not use the crate `{name}`", source.path));
            }
        }
    }
    complaints
}

fn cycles_between_files_of_a_room(sources: &[Source]) -> Vec<String> {
    // The nouns are one vocabulary, re-exported flat, and may name each other.
    let mut complaints = Vec::new();
    for (room, _) in ROOMS.iter().filter(|(room, _)| *room != "model" && *room != "bin") {
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let files: BTreeSet<String> = sources
            .iter()
            .filter(|source| source.room() == Some(room))
            .filter_map(|source| source.modules().get(1).map(|name| (*name).to_owned()))
            .collect();
        for source in sources.iter().filter(|source| source.room() == Some(room)) {
            let Some(name) = source.modules().get(1).map(|name| (*name).to_owned()) else { continue };
            for path in imports(source) {
                if let [first, second] = path.as_slice()
                    && first == room
                    && *second != name
                    && files.contains(second)
                {
                    edges.entry(name.clone()).or_default().insert(second.clone());
                }
            }
        }
        complaints.extend(cycle(&edges).map(|way| format!("src/{room}: a cycle: {}", way.join(" -> "))));
    }
    complaints
}

/// Takes away what leads nowhere until only cycles are left.
fn cycle(edges: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    let mut left = edges.clone();
    loop {
        let leaves: Vec<String> = left
            .iter()
            .filter(|(_, to)| !to.iter().any(|other| left.contains_key(other)))
            .map(|(name, _)| name.clone())
            .collect();
        if leaves.is_empty() {
            break;
        }
        left.retain(|name, _| !leaves.contains(name));
    }
    let mut way = vec![left.keys().next()?.clone()];
    loop {
        let next = left.get(way.last()?)?.iter().find(|other| left.contains_key(*other))?.clone();
        if let Some(at) = way.iter().position(|name| *name == next) {
            way.push(next);
            return Some(way.split_off(at));
        }
        way.push(next);
    }
}

fn files_without_a_first_line(sources: &[Source]) -> Vec<String> {
    let silent = sources.iter().filter(|source| !source.text.starts_with("//! "));
    silent.map(|source| format!("{}: its first line must say what it is for: `//! …`", source.path)).collect()
}

fn files_that_are_too_long(sources: &[Source]) -> Vec<String> {
    let lines = |source: &Source| source.code.trim_end().lines().count();
    let limit = |source: &Source| if source.is_door() { DOOR_LINES } else { LINES };
    let long = sources.iter().filter(|source| lines(source) > limit(source));
    long.map(|source| format!("{}: {} lines, at most {}", source.path, lines(source), limit(source))).collect()
}

fn unsafe_code_elsewhere(sources: &[Source]) -> Vec<String> {
    let elsewhere = sources.iter().filter(|source| source.path != UNSAFE_FILE);
    let guilty = elsewhere.filter(|source| {
        let blanked = blank_literals(&source.text);
        blanked.contains("allow(unsafe_code)") || words(&blanked).iter().any(|(_, word)| *word == "unsafe")
    });
    guilty.map(|source| format!("{}: unsafe code belongs into {UNSAFE_FILE}", source.path)).collect()
}

fn things_never_written(sources: &[Source]) -> Vec<String> {
    const NEVER: [(&str, &str); 5] = [
        ("#[ignore", "a test that cannot run says why and shows as skipped"),
        ("allow(dead_code", "code that nobody calls goes"),
        ("expect(dead_code", "code that nobody calls goes"),
        ("todo!", "finish it or leave it out"),
        ("unimplemented!", "finish it or leave it out"),
    ];
    let mut complaints = Vec::new();
    for source in sources {
        let blanked = blank_literals(&source.text);
        for (text, why) in NEVER {
            if blanked.contains(text) {
                complaints.push(format!("{}: `{text}`: {why}", source.path));
            }
        }
    }
    complaints
}

// --- the house as it is -----------------------------------------------------------------------------------------------

fn package() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(folder: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    let mut folders = vec![package().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                sources.push(read_one(&path));
            }
        }
    }
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

fn read_one(path: &Path) -> Source {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Source::new(path.strip_prefix(package()).unwrap().to_str().unwrap(), &text)
}

/// The sources of the program, without files that hold only tests.
fn house() -> Vec<Source> {
    let only_tests = |source: &Source| source.path.ends_with("/tests.rs") || source.path.contains("/tests/");
    let sources: Vec<Source> = read("src").into_iter().filter(|source| !only_tests(source)).collect();
    assert!(sources.len() > 40, "the sources were not found");
    sources
}

fn everything() -> Vec<Source> {
    house().into_iter().chain(read("tests")).collect()
}

fn dependencies() -> BTreeSet<String> {
    let manifest = std::fs::read_to_string(package().join("Cargo.toml")).unwrap();
    let section = manifest.split("[dependencies]").nth(1).unwrap().split("\n[").next().unwrap().to_owned();
    section.lines().filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.trim().replace('-', "_")).collect()
}

#[track_caller]
fn none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n  {}\n", complaints.join("\n  "));
}

#[test]
fn imports_point_down_only() {
    none(&imports_that_point_up_or_sideways(&house()));
}

#[test]
fn each_room_uses_its_own_crates_only() {
    none(&crates_out_of_place(&house(), &dependencies()));
}

#[test]
fn files_of_a_room_form_no_cycle() {
    none(&cycles_between_files_of_a_room(&house()));
}

#[test]
fn each_file_says_first_what_it_is_for() {
    none(&files_without_a_first_line(&everything()));
}

#[test]
fn files_are_small() {
    none(&files_that_are_too_long(&house()));
}

#[test]
fn unsafe_code_is_in_one_file() {
    none(&unsafe_code_elsewhere(&everything()));
}

#[test]
fn no_test_is_ignored_and_no_code_is_dead() {
    none(&things_never_written(&everything()));
}

#[test]
fn every_dependency_is_wanted_somewhere() {
    let wanted: BTreeSet<&str> = CRATES.iter().flat_map(|(_, crates)| crates.iter().copied()).collect();
    let unwanted: Vec<String> = dependencies()
        .into_iter()
        .filter(|name| !wanted.contains(name.as_str()))
        .map(|name| format!("Cargo.toml: no room may use `{name}`"))
        .collect();
    none(&unwanted);
}

#[test]
fn the_plan_and_its_story_point_at_each_other() {
    let story = std::fs::read_to_string(package().join("docs/ARCHITECTURE.md")).unwrap();
    assert!(story.contains("tests/architecture.rs"));
    for (room, floor) in ROOMS {
        assert!(story.contains(&format!("| {floor} | `{room}`")), "docs/ARCHITECTURE.md: room `{room}`, floor {floor}");
    }
}

// --- the rules, shown a bad house -------------------------------------------------------------------------------------

fn bad(path: &str, text: &str) -> Vec<Source> {
    vec![Source::new(path, text)]
}

#[test]
fn an_import_that_points_up_is_seen() {
    for text in [
        "use crate::os::disks;",
        "use crate::{model::Sync, os::{disks, mounts}};",
        "fn f() { crate::os::disks::enumerate(); }",
        "use super::super::os;",
    ] {
        assert_eq!(imports_that_point_up_or_sideways(&bad("src/decide/due.rs", text)).len().min(1), 1, "{text}");
    }
    assert_eq!(imports_that_point_up_or_sideways(&bad("src/decide/due.rs", "use crate::formats::text;")).len(), 1);
    assert_eq!(imports_that_point_up_or_sideways(&bad("src/ctl/run.rs", "use crate::daemon::ask;")).len(), 1);
    for text in
        ["use crate::model::Sync;", "use super::queue;", "// use crate::os;", "const A: &str = \"crate::os::x\";"]
    {
        none(&imports_that_point_up_or_sideways(&bad("src/decide/due.rs", text)));
    }
}

#[test]
fn a_crate_out_of_place_is_seen() {
    let dependencies = dependencies();
    let complaints = |path, text| crates_out_of_place(&bad(path, text), &dependencies).len();
    assert_eq!(complaints("src/model/sync.rs", "use serde::Serialize;"), 1);
    assert_eq!(complaints("src/ctl/run.rs", "fn f() { tokio::spawn(g()); }"), 1);
    assert_eq!(complaints("src/daemon/world.rs", "use serde_json::Value;"), 1);
    assert_eq!(complaints("src/formats/log.rs", "use serde::Serialize;"), 0);
    assert_eq!(complaints("src/model/sync.rs", "fn f() { crate::os::udev::x() }"), 0);
}

#[test]
fn a_cycle_is_seen() {
    let ring = [
        Source::new("src/os/a.rs", "use crate::os::b;"),
        Source::new("src/os/b.rs", "use super::c::X;"),
        Source::new("src/os/c.rs", "fn f() { crate::os::a::g() }"),
        Source::new("src/os/d.rs", "use crate::os::a;"),
    ];
    assert_eq!(cycles_between_files_of_a_room(&ring), ["src/os: a cycle: a -> b -> c -> a"]);
    none(&cycles_between_files_of_a_room(&ring[1..]));
}

#[test]
fn other_offences_are_seen() {
    assert_eq!(files_without_a_first_line(&bad("src/os/a.rs", "use std::fs;")).len(), 1);
    let long = format!("//! Long.\n{}", "fn f() {}\n".repeat(LINES));
    assert_eq!(files_that_are_too_long(&bad("src/os/a.rs", &long)).len(), 1);
    let tested = format!("//! Short.\n#[cfg(test)]\nmod tests {{\n{}}}\n", "fn f() {}\n".repeat(LINES));
    none(&files_that_are_too_long(&bad("src/os/a.rs", &tested)));
    assert_eq!(files_that_are_too_long(&bad("src/bin/nbkpd.rs", &"fn f() {}\n".repeat(DOOR_LINES + 1))).len(), 1);
    assert_eq!(unsafe_code_elsewhere(&bad("src/os/a.rs", "fn f() { unsafe { g() } }")).len(), 1);
    none(&unsafe_code_elsewhere(&bad("src/os/a.rs", "// unsafe\nfn f() { let unsafe_code = 'x'; }")));
    none(&unsafe_code_elsewhere(&bad(UNSAFE_FILE, "fn f() { unsafe { g() } }")));
    assert_eq!(things_never_written(&bad("tests/a.rs", "#[ignore = \"slow\"]\nfn f() {}")).len(), 1);
}

#[test]
fn literals_are_blanked_and_lifetimes_are_not() {
    let text =
        "fn f<'a>(x: &'a str) -> char { let _ = (\"a \\\" b\", r#\"c \" d\"#, '\\'', '\\u{1F600}', b'x'); 'y' } // z";
    let blanked = blank_literals(text);
    assert!(blanked.contains("fn f<'a>(x: &'a str)") && blanked.contains("let _ = ("), "{blanked}");
    for gone in ["\"", "\\", "1F600", "'y'", "'x'", "z"] {
        assert!(!blanked.contains(gone), "{gone}: {blanked}");
    }
    assert_eq!(blanked.chars().count(), text.chars().count());
}
