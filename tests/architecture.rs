//! Holds the plan of the house that `docs/ARCHITECTURE.md` tells: floors, rooms, crates for each floor, small files.
//!
//! It reads the sources as text, comments and literals blanked out, so that a rule cannot be dodged by a macro or a
//! `cfg` that this build leaves out. Each rule is a function from sources to complaints, and is shown a bad house, too.
#![expect(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "all of this is a test, and fails by panicking"
)]

#[path = "architecture/bad.rs"]
mod bad;
#[path = "architecture/circles.rs"]
mod circles;
#[path = "architecture/paths.rs"]
mod paths;
#[path = "architecture/rules.rs"]
mod rules;
#[path = "architecture/source.rs"]
mod source;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crate::circles::circles;
use crate::paths::House;
use crate::rules::{
    crates_out_of_place, files_in_no_room, files_that_are_too_long, files_without_a_first_line, functions_of_one_name,
    glossary_out_of_order, imports_that_point_up_or_sideways, lines_that_are_too_wide, machine_outside_of_os,
    things_never_written, types_of_one_name, unsafe_code_elsewhere,
};
use crate::source::Source;

/// Each room of the house, and how high it lies. An import goes to a room that lies lower, or stays inside of its own;
/// rooms of one height do not know each other. The rooms of the two big floors have heights of their own, which count
/// between them. In a folder that has rooms in this table, a file that is in none of them is an offence; a room that
/// is not there yet is none.
const ROOMS: [(&str, u8); 31] = [
    ("model", 1),
    ("decide", 2),
    ("formats", 2),
    ("os", 3),
    ("backup", 4),
    ("backup/layout", 1),
    ("backup/failure", 1),
    ("backup/job", 1),
    ("backup/news", 2),
    ("backup/session", 2),
    ("backup/program", 3),
    ("backup/mirrors", 3),
    ("backup/snapshots", 3),
    ("backup/place", 4),
    ("backup/copy", 5),
    ("backup/run", 6),
    ("backup/restore", 5),
    ("backup/check", 5),
    ("backup/drives", 5),
    ("backup/errands", 6),
    ("daemon", 5),
    ("daemon/fatal", 1),
    ("daemon/messages", 1),
    ("daemon/inlets", 2),
    ("daemon/world", 3),
    ("daemon/outlets", 4),
    ("daemon/dispatcher", 5),
    ("daemon/serving", 5),
    ("daemon/start", 6),
    ("ctl", 5),
    ("bin", 6),
];

/// The crates that a room may use beside `std`. What is not listed here is not wanted there.
const CRATES: [(&str, &[&str]); 8] = [
    ("model", &["jiff"]),
    ("decide", &["ipnet", "jiff"]),
    (
        "formats",
        &[
            "annotate_snippets",
            "crc32fast",
            "granit_parser",
            "ipnet",
            "jiff",
            "schemars",
            "serde",
            "serde_json",
            "shlex",
            "strsim",
            "thiserror",
            "toml",
            "toml_edit",
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
            "sha2",
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
    (
        "ctl",
        &[
            "anstream",
            "clap",
            "clap_complete",
            "clap_mangen",
            "comfy_table",
            "indicatif",
            "jiff",
            "thiserror",
            "unicode_width",
        ],
    ),
    ("bin", &["anyhow", "clap", "tokio", "tracing"]),
];

/// The longest a file may be, without its tests.
const LINES: usize = 400;

/// How many characters a line may have, whatever stands in it.
const WIDTH: usize = 120;

/// The longest a door may be.
const DOOR_LINES: usize = 60;

/// The one file that may hold unsafe code.
const UNSAFE_FILE: &str = "src/os/sys.rs";

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

/// The height of a room of the plan.
fn height(room: &str) -> Option<u8> {
    ROOMS.iter().find(|(path, _)| *path == room).map(|(_, height)| *height)
}

/// All of it, read once.
fn everything() -> &'static [Source] {
    static EVERYTHING: LazyLock<Vec<Source>> = LazyLock::new(|| read("src").into_iter().chain(read("tests")).collect());
    &EVERYTHING
}

/// The sources of the program, without files that hold only tests.
fn program() -> &'static [Source] {
    static PROGRAM: LazyLock<Vec<Source>> = LazyLock::new(|| {
        let only_tests = |source: &Source| source.path.ends_with("/tests.rs") || source.path.contains("/tests/");
        let sources = everything().iter().filter(|source| source.path.starts_with("src/") && !only_tests(source));
        let sources: Vec<Source> = sources.cloned().collect();
        assert!(sources.len() > 40, "the sources were not found");
        sources
    });
    &PROGRAM
}

/// The program, with what its files name.
fn house() -> &'static House<'static> {
    static HOUSE: LazyLock<House<'static>> = LazyLock::new(|| House::new(program()));
    &HOUSE
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
    none(&imports_that_point_up_or_sideways(house()));
}

#[test]
fn each_file_of_the_big_floors_is_in_a_room() {
    none(&files_in_no_room(house()));
}

#[test]
fn there_is_no_circle_at_any_depth() {
    none(&circles(house()));
}

#[test]
fn only_os_touches_the_machine() {
    none(&machine_outside_of_os(house()));
}

#[test]
fn no_two_types_share_a_name() {
    none(&types_of_one_name(program()));
}

#[test]
fn names_of_functions_say_something() {
    none(&functions_of_one_name(program()));
}

#[test]
fn lines_fit_on_a_page() {
    none(&lines_that_are_too_wide(everything()));
}

#[test]
fn the_glossary_has_each_word_once() {
    none(&glossary_out_of_order(&std::fs::read_to_string(package().join("docs/GLOSSARY.md")).unwrap()));
}

#[test]
fn each_room_uses_its_own_crates_only() {
    none(&crates_out_of_place(program(), &dependencies()));
}

#[test]
fn each_file_says_first_what_it_is_for() {
    none(&files_without_a_first_line(everything()));
}

#[test]
fn files_are_small() {
    none(&files_that_are_too_long(program()));
}

#[test]
fn unsafe_code_is_in_one_file() {
    none(&unsafe_code_elsewhere(everything()));
}

#[test]
fn no_test_is_ignored_and_no_code_is_dead() {
    none(&things_never_written(everything()));
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
    let there = |room: &str| !room.contains('/') && package().join("src").join(room).exists();
    for (room, floor) in ROOMS.into_iter().filter(|(room, _)| there(room)) {
        assert!(story.contains(&format!("| {floor} | `{room}`")), "docs/ARCHITECTURE.md: room `{room}`, floor {floor}");
    }
}
