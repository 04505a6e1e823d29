//! The paths that a file names, and the file in which what they name is defined.

use std::collections::{BTreeMap, BTreeSet};

use crate::ROOMS;
use crate::source::{Source, words};

/// The names between the root of the crate (or of another crate) and a thing.
pub type Names = Vec<String>;

/// A path that a file names, in a `use` or in an expression.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Named {
    /// From the root of our own crate.
    Ours(Names),
    /// From `std`, which is its first name.
    Std(Names),
}

/// One `use` of a name.
struct Use {
    /// As it is written.
    names: Names,
    /// What it is called here.
    alias: String,
}

/// A file, and what it names.
pub struct File<'a> {
    /// The names of its module.
    pub own: Names,
    pub source: &'a Source,
    pub named: BTreeSet<Named>,
}

/// All modules, and what stands at their doors.
pub struct House<'a> {
    pub files: Vec<File<'a>>,
    modules: BTreeSet<Names>,
    /// What a module brings into its own scope, and with `pub` to others: module and name lead to the path behind it.
    scopes: BTreeMap<Names, BTreeMap<String, Named>>,
}

impl<'a> House<'a> {
    pub fn new(sources: &'a [Source]) -> Self {
        // A room is known even where nothing of it is at hand.
        let rooms = ROOMS.iter().map(|(path, _)| path.split('/').map(str::to_owned).collect::<Names>());
        let mut house = Self { files: Vec::new(), modules: rooms.collect(), scopes: BTreeMap::new() };
        for source in sources {
            let own: Names = source.modules().into_iter().map(str::to_owned).collect();
            house.modules.extend((0..=own.len()).map(|length| own[..length].to_vec()));
            house.files.push(File { own, source, named: BTreeSet::new() });
        }
        for at in 0..house.files.len() {
            let File { own, source, .. } = &house.files[at];
            let (own, source) = (own.clone(), *source);
            let uses = uses(&source.code);
            let absolute = |house: &Self, names: &Names| house.absolute(&own, source, names);
            // A path in a `use` may begin with a name that another `use` brings; so twice.
            for _ in 0..2 {
                let brought = uses.iter().filter(|one| one.alias != "_");
                let scope =
                    brought.filter_map(|one| Some((one.alias.clone(), absolute(&house, &one.names)?))).collect();
                house.scopes.insert(own.clone(), scope);
            }
            let written = uses.into_iter().map(|one| one.names).chain(paths_in_expressions(&source.code));
            house.files[at].named = written.filter_map(|names| absolute(&house, &names)).collect();
        }
        house
    }

    /// The path from the root of its crate.
    fn absolute(&self, own: &Names, source: &Source, names: &[String]) -> Option<Named> {
        let (first, rest) = names.split_first()?;
        let behind = |base: &[String], rest: &[String]| [base, rest].concat();
        match first.as_str() {
            "crate" if !source.is_door() => Some(Named::Ours(rest.to_vec())),
            "nbkp" if source.is_door() => Some(Named::Ours(rest.to_vec())),
            "std" => Some(Named::Std(names.to_vec())),
            "self" => Some(Named::Ours(behind(own, rest))),
            "super" => {
                let up = names.iter().take_while(|name| *name == "super").count();
                // A `mod.rs` is the module of its directory, so its `super` leads one further up; `own` says so
                // already.
                Some(Named::Ours(behind(own.get(..own.len().checked_sub(up)?)?, &names[up..])))
            }
            _ if self.modules.contains(&behind(own, &names[..1])) => Some(Named::Ours(behind(own, names))),
            _ => match self.scopes.get(own)?.get(first)? {
                Named::Ours(base) => Some(Named::Ours(behind(base, rest))),
                Named::Std(base) => Some(Named::Std(behind(base, rest))),
            },
        }
    }

    /// The longest part of a path that is a module.
    pub fn module_named(&self, path: &[String]) -> Names {
        let lengths = (0..=path.len()).rev();
        lengths.map(|length| path[..length].to_vec()).find(|part| self.modules.contains(part)).unwrap_or_default()
    }

    /// The module whose file defines what a path names: what a door only hands on is looked for where it comes from.
    pub fn defining_module(&self, path: &[String]) -> Option<Names> {
        let mut path = path.to_vec();
        // A chain of doors is short; what is longer goes round.
        for _ in 0..16 {
            let module = self.module_named(&path);
            let behind = path[module.len()..].to_vec();
            let handed_on = behind.first().and_then(|name| self.scopes.get(&module)?.get(name));
            match handed_on {
                Some(Named::Ours(target)) if *target != path => path = [target.as_slice(), &behind[1..]].concat(),
                Some(Named::Std(_)) => return None,
                Some(Named::Ours(_)) | None => return Some(module),
            }
        }
        None
    }

    /// Whether a file only orders its folder: it holds `mod` and `use`, and documentation.
    pub fn only_orders(&self, module: &[String]) -> bool {
        let Some(file) = self.files.iter().find(|file| file.own == module) else { return true };
        let statements = file.source.code.split(';').map(without_attributes);
        let orders = ["mod ", "pub mod ", "pub(crate) mod ", "pub(super) mod ", "use ", "pub use ", "pub(crate) use "];
        statements.into_iter().all(|statement| {
            statement.is_empty()
                || orders.iter().any(|order| statement.starts_with(order))
                || statement.starts_with("pub(super) use ")
        })
    }
}

fn without_attributes(statement: &str) -> &str {
    let mut rest = statement.trim();
    while rest.starts_with('#') {
        let Some(end) = rest.find(']') else { return rest };
        rest = rest[end + 1..].trim_start();
    }
    rest
}

/// All that a file brings into scope, at any depth of a tree.
fn uses(code: &str) -> Vec<Use> {
    let mut found = Vec::new();
    for (at, tree) in use_statements(code) {
        expand(&code[at..at + tree], &mut Vec::new(), &mut found);
    }
    found
}

/// Where the trees behind `use` begin, and their length.
fn use_statements(code: &str) -> Vec<(usize, usize)> {
    let keywords = words(code).into_iter().filter(|(_, word)| *word == "use");
    let trees = keywords.filter_map(|(at, word)| {
        let begin = at + word.len();
        // `use<'a>` is a capture, not an import.
        let tree = code[begin..].starts_with(char::is_whitespace).then_some(&code[begin..])?;
        Some((begin, tree.find(';').unwrap_or(tree.len())))
    });
    trees.collect()
}

/// Follows one `use` tree (`os::disks::X`, `{model, os::{a, b as c}}`) behind the names in `base`.
fn expand(tree: &str, base: &mut Names, found: &mut Vec<Use>) {
    let tree = tree.trim().trim_start_matches("::").trim_start();
    if let Some(inner) = tree.strip_prefix('{') {
        for branch in branches(inner) {
            expand(branch, &mut base.clone(), found);
        }
        return;
    }
    let name: String = tree.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    let behind = tree[name.len()..].trim_start();
    // `a::{self}` is `a`; what `a::*` brings is behind `a`, which is all that can be said of it here.
    let itself = name.is_empty() || (name == "self" && !base.is_empty());
    if !itself {
        base.push(name);
    }
    match behind.strip_prefix("::") {
        Some(deeper) if !itself => expand(deeper, base, found),
        _ => {
            let alias = behind.strip_prefix("as ").map(|alias| alias.trim().to_owned());
            let Some(alias) = alias.or_else(|| base.last().cloned()) else { return };
            found.push(Use { names: base.clone(), alias });
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
                break;
            }
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(&inner[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.into_iter().filter(|part| !part.trim().is_empty()).collect()
}

/// Each path of two names and more that stands outside of `use`.
fn paths_in_expressions(code: &str) -> Vec<Names> {
    let statements = use_statements(code);
    let in_use = |at: usize| {
        let next = statements.partition_point(|(begin, _)| *begin <= at);
        next.checked_sub(1).is_some_and(|last| at < statements[last].0 + statements[last].1)
    };
    let mut found = Vec::new();
    for (at, word) in words(code) {
        let begins = !code[..at].trim_end().ends_with("::") && !in_use(at);
        let mut names = vec![word.to_owned()];
        let mut rest = code[at + word.len()..].trim_start();
        while let Some(behind) = rest.strip_prefix("::") {
            let behind = behind.trim_start();
            let name: String = behind.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if name.is_empty() {
                break;
            }
            rest = behind[name.len()..].trim_start();
            names.push(name);
        }
        if begins && names.len() > 1 {
            found.push(names);
        }
    }
    found
}
