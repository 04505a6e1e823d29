//! The rules: functions from sources to complaints. The first line of a complaint is its name.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::paths::{File, House, Named, Names};
use crate::source::{Source, blank_literals, words};
use crate::{CRATES, DOOR_LINES, LINES, ROOMS, UNSAFE_FILE, WIDTH, height};

/// How many free functions may share a name: what they do is said by their module, until it is said too often.
const NAMESAKES: usize = 3;

/// The one place outside of `os` that touches the machine itself: it makes a small machine to show the program on.
const DEMO: &str = "src/ctl/demo/";

/// A room knows what lies lower, in every folder whose rooms stand in the plan.
pub fn imports_that_point_up_or_sideways(house: &House) -> Vec<String> {
    let mut offences: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for File { own, source, named } in &house.files {
        for named in named {
            let Named::Ours(path) = named else { continue };
            // The door that is named must lie lower, and what it hands on as well.
            let targets = [Some(house.module_named(path)), house.defining_module(path)];
            for (from, to) in targets.iter().flatten().filter_map(|target| rooms_that_part(house, own, target)) {
                if height(&to) >= height(&from) {
                    let shown = format!("{}: `{}`", source.path, path.join("::"));
                    offences.entry((from, to)).or_default().insert(shown);
                }
            }
        }
    }
    let complaint = |((from, to), shown)| with_places(format!("`{from}` must not know `{to}`"), &shown);
    offences.into_iter().map(complaint).collect()
}

/// The rooms of the plan in which two modules part, if both are in one.
fn rooms_that_part(house: &House, one: &Names, other: &Names) -> Option<(String, String)> {
    let common = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let room = |module: &Names| house_child(house, module, common).filter(|room| height(room).is_some());
    let (one, other) = (room(one)?, room(other)?);
    (one != other).then_some((one, other))
}

/// The path of the child that a module is in, of the folder that is `depth` names deep.
fn house_child(house: &House, module: &Names, depth: usize) -> Option<String> {
    if module.len() > depth {
        return Some(module[..=depth].join("/"));
    }
    (!house.only_orders(module)).then(|| format!("{}/mod", module.join("/")))
}

/// In a folder whose rooms stand in the plan, there is nothing else.
pub fn files_in_no_room(house: &House) -> Vec<String> {
    let mut offences: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for File { own, source, .. } in &house.files {
        for depth in 0..=own.len() {
            let folder = own[..depth].join("/");
            let planned = ROOMS.iter().any(|(room, _)| match room.rsplit_once('/') {
                Some((parent, _)) => parent == folder,
                None => folder.is_empty(),
            });
            if let Some(child) = house_child(house, own, depth).filter(|child| planned && height(child).is_none()) {
                offences.entry(child).or_default().insert(source.path.clone());
            }
        }
    }
    let complaint = |(child, shown)| with_places(format!("`{child}` is in no room of the plan"), &shown);
    offences.into_iter().map(complaint).collect()
}

pub fn crates_out_of_place(sources: &[Source], dependencies: &BTreeSet<String>) -> Vec<String> {
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

/// What reads files, sleeps, starts children or looks at the environment stands in `os`.
pub fn machine_outside_of_os(house: &House) -> Vec<String> {
    let mut complaints = Vec::new();
    for File { source, named, .. } in &house.files {
        if source.room() == Some("os") || source.path.starts_with(DEMO) {
            continue;
        }
        let banned: BTreeSet<String> = named.iter().filter_map(|path| banned(source, path)).collect();
        complaints.extend(banned.iter().map(|name| format!("{}: `{name}` belongs into `os`", source.path)));
    }
    complaints
}

fn banned(source: &Source, path: &Named) -> Option<String> {
    let Named::Std(path) = path else { return None };
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    match path.as_slice() {
        // With what a program ends is for its doors to say.
        [_, "process", "ExitCode", ..] if matches!(source.room(), Some("bin" | "ctl")) => None,
        [_, part @ ("fs" | "env" | "process"), ..] => Some(format!("std::{part}")),
        [_, "thread", "sleep", ..] => Some("std::thread::sleep".to_owned()),
        _ => None,
    }
}

/// One name, one type: of all that are visible outside of their files.
pub fn types_of_one_name(sources: &[Source]) -> Vec<String> {
    let types = visible(sources, |thing| matches!(thing.keyword, "struct" | "enum" | "trait" | "union"));
    let doubles = types.into_iter().filter(|(_, places)| places.len() > 1);
    doubles.map(|(name, places)| with_places(format!("more than one type is called `{name}`"), &places)).collect()
}

/// A free function says with its module what it does; a name that stands everywhere says nothing.
pub fn functions_of_one_name(sources: &[Source]) -> Vec<String> {
    let functions = visible(sources, |thing| thing.keyword == "fn" && thing.depth == 0);
    let many = functions.into_iter().filter(|(_, places)| places.len() > NAMESAKES);
    let complaint =
        |(name, places)| with_places(format!("more than {NAMESAKES} functions are called `{name}`"), &places);
    many.map(complaint).collect()
}

/// Something that is declared `pub`, or `pub` within bounds.
struct Thing<'a> {
    keyword: &'a str,
    name: &'a str,
    /// In how many braces it stands.
    depth: usize,
}

/// The names of the things that are visible outside of their files, and where they are declared.
fn visible(sources: &[Source], wanted: impl Fn(&Thing<'_>) -> bool) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for source in sources {
        for thing in things(&source.code).into_iter().filter(|thing| wanted(thing)) {
            found.entry(thing.name.to_owned()).or_default().insert(source.path.clone());
        }
    }
    found
}

fn things(code: &str) -> Vec<Thing<'_>> {
    let all = words(code);
    let (mut found, mut depth, mut counted) = (Vec::new(), 0, 0);
    for (place, (at, _)) in all.iter().enumerate().filter(|(_, (_, word))| *word == "pub") {
        let between = &code[counted..*at];
        depth = depth + between.matches('{').count() - between.matches('}').count();
        counted = *at;
        let in_brackets = |word: &&(usize, &str)| {
            let between = &code[*at..word.0];
            between.matches('(').count() > between.matches(')').count()
        };
        // What stands between `pub` and the keyword: `(in crate::os)`, `async`, `const` …
        let modifier = |word: &&(usize, &str)| matches!(word.1, "async" | "const" | "unsafe" | "extern");
        let mut behind = all[place + 1..].iter().skip_while(in_brackets).skip_while(modifier);
        if let (Some((_, keyword)), Some((_, name))) = (behind.next(), behind.next()) {
            found.push(Thing { keyword, name, depth });
        }
    }
    found
}

/// No line is wider than a page.
pub fn lines_that_are_too_wide(sources: &[Source]) -> Vec<String> {
    let mut complaints = Vec::new();
    for source in sources {
        let lines = (1..).zip(source.text.lines());
        let wide: Vec<String> =
            lines.filter(|(_, line)| line.chars().count() > WIDTH).map(|(number, _)| number.to_string()).collect();
        if !wide.is_empty() {
            complaints.push(format!("{}: wider than {WIDTH} columns\n      in line {}", source.path, wide.join(", ")));
        }
    }
    complaints
}

/// Each word of the glossary once, in one sentence, in the order of the alphabet.
pub fn glossary_out_of_order(glossary: &str) -> Vec<String> {
    let lines = glossary.lines().filter_map(|line| line.strip_prefix("- **")?.split_once("**: "));
    let entries: Vec<(String, &str)> = lines.map(|(word, meaning)| (word.to_lowercase(), meaning)).collect();
    let mut complaints = Vec::new();
    if entries.is_empty() {
        complaints.push("docs/GLOSSARY.md: no entry, as `- **word**: what it means.`".to_owned());
    }
    for pair in entries.windows(2) {
        if let [(before, _), (word, _)] = pair
            && before >= word
        {
            complaints.push(format!("docs/GLOSSARY.md: `{word}` comes after `{before}`"));
        }
    }
    for (word, meaning) in &entries {
        if !meaning.ends_with('.') || meaning.contains(". ") {
            complaints.push(format!("docs/GLOSSARY.md: `{word}` is not explained in one sentence"));
        }
    }
    complaints
}

/// A complaint with the places that show it.
fn with_places(name: String, places: &BTreeSet<String>) -> String {
    places.iter().fold(name, |mut complaint, place| {
        // Writing to a string cannot fail.
        let _ = write!(complaint, "\n      {place}");
        complaint
    })
}

pub fn files_without_a_first_line(sources: &[Source]) -> Vec<String> {
    let silent = sources.iter().filter(|source| !source.text.starts_with("//! "));
    silent.map(|source| format!("{}: its first line must say what it is for: `//! …`", source.path)).collect()
}

pub fn files_that_are_too_long(sources: &[Source]) -> Vec<String> {
    let lines = |source: &Source| source.code.trim_end().lines().count();
    let limit = |source: &Source| if source.is_door() { DOOR_LINES } else { LINES };
    let long = sources.iter().filter(|source| lines(source) > limit(source));
    long.map(|source| format!("{}: {} lines, at most {}", source.path, lines(source), limit(source))).collect()
}

pub fn unsafe_code_elsewhere(sources: &[Source]) -> Vec<String> {
    let elsewhere = sources.iter().filter(|source| source.path != UNSAFE_FILE);
    let guilty = elsewhere.filter(|source| {
        let blanked = blank_literals(&source.text);
        blanked.contains("allow(unsafe_code)") || words(&blanked).iter().any(|(_, word)| *word == "unsafe")
    });
    guilty.map(|source| format!("{}: unsafe code belongs into {UNSAFE_FILE}", source.path)).collect()
}

pub fn things_never_written(sources: &[Source]) -> Vec<String> {
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
