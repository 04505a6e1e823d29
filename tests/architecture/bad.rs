//! The rules, each shown a bad house and a good one.

use crate::circles::circles;
use crate::paths::House;
use crate::rules::{
    crates_out_of_place, files_in_no_room, files_that_are_too_long, files_without_a_first_line, functions_of_one_name,
    glossary_out_of_order, imports_that_point_up_or_sideways, lines_that_are_too_wide, machine_outside_of_os,
    things_never_written, types_of_one_name, unsafe_code_elsewhere,
};
use crate::source::{Source, blank_literals};
use crate::{DOOR_LINES, LINES, UNSAFE_FILE, WIDTH, dependencies, none};

fn bad(path: &str, text: &str) -> Vec<Source> {
    vec![Source::new(path, text)]
}

fn imports_up(sources: &[Source]) -> Vec<String> {
    imports_that_point_up_or_sideways(&House::new(sources))
}

#[test]
fn an_import_that_points_up_is_seen() {
    for text in [
        "use crate::os::disks;",
        "use crate::{model::Sync, os::{disks, mounts}};",
        "fn f() { crate::os::disks::enumerate(); }",
        "use super::super::os;",
    ] {
        assert_eq!(imports_up(&bad("src/decide/due.rs", text)).len().min(1), 1, "{text}");
    }
    assert_eq!(imports_up(&bad("src/decide/due.rs", "use crate::formats::text;")).len(), 1);
    assert_eq!(imports_up(&bad("src/ctl/run.rs", "use crate::daemon::ask;")).len(), 1);
    for text in
        ["use crate::model::Sync;", "use super::queue;", "// use crate::os;", "const A: &str = \"crate::os::x\";"]
    {
        none(&imports_up(&bad("src/decide/due.rs", text)));
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

/// The names of the complaints, without what shows them.
fn named(complaints: &[String]) -> Vec<&str> {
    complaints.iter().filter_map(|complaint| complaint.lines().next()).collect()
}

fn sources(files: &[(&str, &str)]) -> Vec<Source> {
    files.iter().map(|(path, text)| Source::new(path, text)).collect()
}

#[track_caller]
fn circles_in(files: &[(&str, &str)], expected: &[&str]) {
    let sources = sources(files);
    let complaints = circles(&House::new(&sources));
    assert_eq!(named(&complaints), expected, "{complaints:#?}");
}

#[test]
fn a_cycle_is_seen() {
    let ring = [
        ("src/os/a.rs", "use crate::os::b;"),
        ("src/os/b.rs", "use super::c::X;"),
        ("src/os/c.rs", "fn f() { crate::os::a::g() }"),
        ("src/os/d.rs", "use crate::os::a;"),
    ];
    circles_in(&ring, &["src/os: a circle: a, b, c"]);
    circles_in(&ring[1..], &[]);
    let sources = sources(&ring);
    let complaint = circles(&House::new(&sources)).concat();
    for shown in ["a -> b: src/os/a.rs: `os::b`", "b -> c: src/os/b.rs: `os::c::X`", "c -> a: src/os/c.rs: `os::a::g`"]
    {
        assert!(complaint.contains(shown), "{shown} in {complaint}");
    }
}

#[test]
fn a_cycle_is_seen_at_every_depth() {
    circles_in(
        &[
            ("src/os/ssh/deep/a.rs", "use super::{super::x, b::{self, Y}};"),
            ("src/os/ssh/deep/b.rs", "use crate::{model, os::ssh::{x, deep::{a as other}}};"),
            ("src/os/ssh/x.rs", "fn f() {}"),
        ],
        &["src/os/ssh/deep: a circle: a, b"],
    );
    // Two folders that know one another, though no two of their files do.
    circles_in(
        &[
            ("src/daemon/world/a.rs", "use crate::daemon::job::c;"),
            ("src/daemon/job/c.rs", "fn f() {}"),
            ("src/daemon/job/d.rs", "use super::super::world::b;"),
            ("src/daemon/world/b.rs", "fn f() {}"),
        ],
        &["src/daemon: a circle: job, world"],
    );
}

#[test]
fn a_cycle_through_a_door_is_seen() {
    let files = [
        ("src/os/mod.rs", "pub mod a; pub mod b; pub mod c; pub use a::{Hand as Arm, Foot};"),
        ("src/os/a.rs", "use super::b; pub struct Hand; pub struct Foot;"),
        ("src/os/b.rs", "use super::Arm;"),
        ("src/os/c.rs", "use super::Foot;"),
    ];
    circles_in(&files, &["src/os: a circle: a, b"]);
    circles_in(&[files[0], files[1], ("src/os/b.rs", ""), files[3]], &[]);
    // Handed on from door to door, and named by an expression.
    circles_in(
        &[
            ("src/os/mod.rs", "mod b; mod deep; pub use deep::Toe;"),
            ("src/os/deep/mod.rs", "mod toe; pub use toe::Toe;"),
            ("src/os/deep/toe.rs", "use crate::os::b::f; pub struct Toe;"),
            ("src/os/b.rs", "use crate::os; pub fn f() { os::Toe::new() }"),
        ],
        &["src/os: a circle: b, deep"],
    );
}

#[test]
fn a_file_that_does_more_than_order_its_folder_is_a_child_of_it() {
    let part = ("src/os/ssh/part.rs", "use super::Call;");
    let circle = ["src/os/ssh: a circle: mod, part"];
    circles_in(&[part, ("src/os/ssh/mod.rs", "mod part; use part::f; pub struct Call;")], &circle);
    circles_in(&[part, ("src/os/ssh.rs", "mod part; pub struct Call; fn g() { part::f() }")], &circle);
    circles_in(&[part, ("src/os/ssh/mod.rs", "mod part; pub struct Call;")], &[]);
    let door = "//! The door.\n#![warn(x)]\n#[cfg(y)]\nmod part;\npub(crate) use crate::os::call::{Call, b::C};\n";
    circles_in(&[part, ("src/os/ssh/mod.rs", door), ("src/os/call.rs", "pub struct Call;")], &[]);
}

#[test]
fn an_import_against_the_levels_of_a_floor_is_seen() {
    let complaints = |path, text| imports_up(&bad(path, text));
    for (path, text, complaint) in [
        ("src/daemon/world/plan.rs", "use crate::daemon::outlets::keeper;", "world` must not know `daemon/outlets"),
        (
            "src/daemon/serving/wire.rs",
            "use crate::daemon::{ask, dispatcher::X};",
            "serving` must not know `daemon/disp",
        ),
        ("src/daemon/dispatcher.rs", "fn f() { super::start::run() }", "dispatcher` must not know `daemon/start"),
        ("src/backup/layout.rs", "use super::run::Run;", "layout` must not know `backup/run"),
        ("src/backup/run.rs", "use crate::daemon::world;", "backup` must not know `daemon"),
    ] {
        let complaints = complaints(path, text);
        assert!(complaints.iter().any(|found| found.contains(complaint)), "{text}: {complaints:?}");
    }
    none(&complaints("src/daemon/outlets/keeper.rs", "use super::super::world::X; use super::notifier;"));
    none(&complaints("src/backup/run.rs", "use super::{layout, place::Here};"));
}

#[test]
fn an_import_that_hides_behind_a_door_is_seen() {
    let behind = [
        ("src/model/mod.rs", "pub use crate::os::disks::Disk;"),
        ("src/os/disks.rs", "pub struct Disk;"),
        ("src/decide/due.rs", "use crate::model::Disk;"),
    ];
    assert_eq!(named(&imports_up(&sources(&behind))), ["`decide` must not know `os`", "`model` must not know `os`"]);
}

#[test]
fn a_file_in_no_room_is_seen() {
    let stray = |path| files_in_no_room(&House::new(&bad(path, "fn f() {}"))).len();
    assert_eq!(stray("src/util.rs"), 1);
    assert_eq!(stray("src/daemon/helpers.rs"), 1);
    assert_eq!(stray("src/backup/misc/a.rs"), 1);
    assert_eq!(stray("src/daemon/mod.rs"), 1);
    assert_eq!(stray("src/daemon/world/anything.rs") + stray("src/os/anything.rs") + stray("src/backup/run.rs"), 0);
}

#[test]
fn the_machine_is_seen_where_it_does_not_belong() {
    let offences = |path, text| machine_outside_of_os(&House::new(&bad(path, text)));
    for text in [
        "use std::fs;",
        "use std::{collections::BTreeMap, fs::{self, File}};",
        "fn f() { std::env::temp_dir(); }",
        "use std::thread::sleep;",
        "use std::thread; fn f() { thread::sleep(g) }",
        "use std::process::{Command, id};",
        "use std::{thread::{self as threads}}; fn f() { threads::sleep(g) }",
    ] {
        assert_eq!(offences("src/daemon/world/plan.rs", text).len(), 1, "{text}");
        none(&offences("src/os/files.rs", text));
        none(&offences("src/ctl/demo/play.rs", text));
    }
    for text in ["use std::process::ExitCode;", "use std::thread; fn f() { thread::Builder::new() }", "// std::fs"] {
        none(&offences("src/ctl/problem.rs", text));
    }
    assert_eq!(offences("src/daemon/start/mod.rs", "use std::process::ExitCode;").len(), 1);
}

#[test]
fn a_name_that_stands_for_too_much_is_seen() {
    let types = |texts: [&str; 2]| {
        let files = [Source::new("src/os/a.rs", texts[0]), Source::new("src/model/b.rs", texts[1])];
        types_of_one_name(&files).len()
    };
    assert_eq!(types(["pub struct Way(u8);", "impl X {}\npub(super) enum Way { A }"]), 1);
    assert_eq!(types(["pub(in crate::os) trait Way {}", "mod inner { pub union Way { a: u8 } }"]), 1);
    assert_eq!(types(["pub struct Way;", "struct Way; enum Road { Way } pub type Way = u8; pub fn Way() {}"]), 0);

    let file = |path, text| Source::new(path, text);
    let mut files: Vec<Source> =
        ["src/os/a.rs", "src/os/b.rs", "src/os/c.rs"].map(|path| file(path, "pub(crate) async fn lay() {}")).into();
    none(&functions_of_one_name(&files));
    files.push(file("src/os/d.rs", "fn lay() {} impl X { pub fn lay(&self) {} }"));
    none(&functions_of_one_name(&files));
    files.push(file("src/os/e.rs", "impl X {}\npub const fn lay() {}"));
    assert_eq!(named(&functions_of_one_name(&files)), ["more than 3 functions are called `lay`"]);
}

#[test]
fn a_wide_line_is_seen() {
    let comment = |width: usize| format!("fn f() {{}}\n//{}\n", "ä".repeat(width - 2));
    assert_eq!(lines_that_are_too_wide(&bad("src/os/a.rs", &comment(WIDTH + 1))).len(), 1);
    none(&lines_that_are_too_wide(&bad("src/os/a.rs", &comment(WIDTH))));
}

#[test]
fn a_glossary_that_is_not_in_order_is_seen() {
    none(&glossary_out_of_order("# Words\n\n- **due**: a copy is wanted.\n- **Sync**: a copy one way.\n"));
    for text in [
        "# Words\n",
        "- **sync**: a copy.\n- **due**: wanted.\n",
        "- **due**: wanted.\n- **due**: wanted again.\n",
        "- **due**: wanted. And more.\n",
        "- **due**: wanted\n",
    ] {
        assert_eq!(glossary_out_of_order(text).len(), 1, "{text}");
    }
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
