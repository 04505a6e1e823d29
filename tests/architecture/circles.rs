//! Circles between the children of a folder, at every depth.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::paths::{File, House, Named, Names};

/// What one child of a folder uses of another: for each, an import that shows it.
type Arrows = BTreeMap<String, BTreeMap<String, String>>;

/// What a file that is the module of its folder is called among the children of that folder.
const OWN_FILE: &str = "mod";

/// Complains of each knot: children of a folder that all reach one another. Shows its shortest way round.
pub fn circles(house: &House) -> Vec<String> {
    let mut complaints = Vec::new();
    for (folder, arrows) in arrows_by_folder(house) {
        let mut seen = BTreeSet::new();
        for child in arrows.keys() {
            let knot = knot(&arrows, child);
            if !knot.is_empty() && seen.insert(knot.clone()) {
                complaints.push(complaint(&folder, &arrows, &knot));
            }
        }
    }
    complaints
}

fn arrows_by_folder(house: &House) -> BTreeMap<Names, Arrows> {
    let mut folders: BTreeMap<Names, Arrows> = BTreeMap::new();
    for File { own, source, named } in &house.files {
        for named in named {
            let Named::Ours(path) = named else { continue };
            let Some(target) = house.defining_module(path) else { continue };
            let common = own.iter().zip(&target).take_while(|(a, b)| a == b).count();
            let folder = own[..common].to_vec();
            let (Some(from), Some(to)) = (child(house, &folder, own), child(house, &folder, &target)) else { continue };
            if from != to {
                let shown = format!("{}: `{}`", source.path, path.join("::"));
                folders.entry(folder).or_default().entry(from).or_default().entry(to).or_insert(shown);
            }
        }
    }
    folders
}

/// The child of a folder that a module is, or is in. A file that only orders the folder is none.
fn child(house: &House, folder: &[String], module: &[String]) -> Option<String> {
    match module.get(folder.len()) {
        Some(name) => Some(name.clone()),
        None if house.only_orders(module) => None,
        None => Some(OWN_FILE.to_owned()),
    }
}

/// All children that a child reaches and that reach it; empty if it is in no circle.
fn knot(arrows: &Arrows, child: &str) -> BTreeSet<String> {
    let there = reached(arrows, child);
    there.iter().filter(|other| reached(arrows, other).contains(child)).cloned().collect()
}

fn reached(arrows: &Arrows, from: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from.to_owned()];
    while let Some(next) = open.pop() {
        for to in arrows.get(&next).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(to.clone()) {
                open.push(to.clone());
            }
        }
    }
    reached
}

/// The shortest way from a child back to itself.
fn way_round(arrows: &Arrows, child: &str) -> Option<Vec<String>> {
    let mut ways = vec![vec![child.to_owned()]];
    let mut seen = BTreeSet::new();
    while !ways.is_empty() {
        let mut longer = Vec::new();
        for way in ways {
            for to in arrows.get(way.last()?).into_iter().flat_map(BTreeMap::keys) {
                let next = [way.as_slice(), std::slice::from_ref(to)].concat();
                if to == child {
                    return Some(next);
                }
                if seen.insert(to.clone()) {
                    longer.push(next);
                }
            }
        }
        ways = longer;
    }
    None
}

fn complaint(folder: &[String], arrows: &Arrows, knot: &BTreeSet<String>) -> String {
    let members: Vec<&str> = knot.iter().map(String::as_str).collect();
    let path = [&["src".to_owned()], folder].concat().join("/");
    let way = knot.iter().filter_map(|child| way_round(arrows, child)).min_by_key(Vec::len).unwrap_or_default();
    let mut complaint = format!("{path}: a circle: {}", members.join(", "));
    for step in way.windows(2) {
        if let [from, to] = step
            && let Some(shown) = arrows.get(from).and_then(|targets| targets.get(to))
        {
            // Writing to a string cannot fail.
            let _ = write!(complaint, "\n      {from} -> {to}: {shown}");
        }
    }
    complaint
}
