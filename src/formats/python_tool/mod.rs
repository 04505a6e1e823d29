//! The configuration of the Python tool of the same name: YAML in, our TOML out.
//!
//! Its documentation (`docs/config-reference.md` there) tells the keys. What has no counterpart becomes a comment with
//! its reason; our own reader has the last word on every line, so that what comes out is a configuration.

mod endpoints;
mod judge;
mod options;
mod page;
mod readers;
mod reading;
mod syncs;
mod tree;
mod values;
mod volumes;

use std::collections::{BTreeMap, BTreeSet};

use crate::formats::config::{Context, Mistakes, quoted, utf8};
use crate::formats::text::printable;
use crate::model::{CredentialName, SyncName};
use page::Leaf;
pub use page::LeftOut;
use reading::{Section, YamlMistakes};
use syncs::SyncPlaces;
use values::YamlEntry;

/// The tables of a file, and what else may stand beside them.
const TABLES: [&str; 4] = ["ssh-endpoints", "volumes", "sync-endpoints", "syncs"];
const OTHERS: [&str; 2] = ["credential-provider", "credential-command"];

/// What became of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// Our configuration.
    pub text: String,
    /// What is not in it.
    pub left_out: Vec<LeftOut>,
}

/// Turns a configuration of the Python tool into ours, or finds all its mistakes.
pub fn import(bytes: &[u8], context: &Context) -> Result<Imported, Mistakes> {
    let text = utf8(bytes, context)?;
    let refused = |found| Mistakes::new(&context.file, text, found);
    let root = tree::tree(text).map_err(refused)?;
    let mut findings = YamlMistakes::default();
    let Some(root) = root else {
        findings.note(&(0..0), "the file is empty", "name the config.yaml of the Python tool nbkp");
        return Err(refused(findings.found));
    };
    let Some(file) = findings.table(&root, "the file") else { return Err(refused(findings.found)) };
    if !TABLES.iter().any(|table| file.holds(table)) {
        let message = "this is no configuration of the Python tool nbkp: it has no `volumes` and no `syncs`";
        findings.note(&file.at, message, "name its config.yaml, or an installed one: ~/.config/nbkp/config.yaml");
        return Err(refused(findings.found));
    }
    let mut leaves = leaves(&mut findings, &file);
    if !findings.found.is_empty() {
        return Err(refused(findings.found));
    }
    let text = judge::judged(&head(context), &mut leaves, context)?;
    Ok(Imported { text, left_out: page::left_out(&leaves) })
}

fn head(context: &Context) -> Vec<String> {
    let file = context.file.display().to_string();
    let from = format!("Made from {} of the Python tool nbkp by `nbkpctl config import`.", printable(&file));
    let how = "What has no counterpart here is left out; a comment says so, and why. Prepared places go on as they \
               are. A copy is due each hour (`every`), and made when both its ends are within reach.";
    vec![from, how.to_owned(), "Next: nbkpctl config check".to_owned()]
}

fn leaves(findings: &mut YamlMistakes, file: &Section<'_>) -> Vec<Leaf> {
    let (endpoint_order, endpoints) = tables(findings, file, "ssh-endpoints", "an ssh endpoint");
    let (volume_order, volumes) = tables(findings, file, "volumes", "a volume");
    let (_, sync_endpoints) = tables(findings, file, "sync-endpoints", "a sync endpoint");
    let (sync_order, syncs) = tables(findings, file, "syncs", "a sync");
    let mut places = SyncPlaces { named: BTreeMap::new(), volumes: volumes.keys().copied().collect() };
    for (name, section) in &sync_endpoints {
        let whose = format!("the sync endpoint `{name}`");
        if let Some(place) = syncs::place(findings, &whose, section, volumes.keys().copied()) {
            places.named.insert(name, place);
        }
    }
    let mut leaves = endpoints::leaves(findings, &endpoint_order, &endpoints);
    let volume_leaf = |name: &&str| volumes.get(name).map(|volume| volumes::leaf(findings, name, volume, &endpoints));
    let volume_leaves: Vec<Leaf> = volume_order.iter().filter_map(volume_leaf).collect();
    leaves.extend(volumes::credentials(findings, file, &passphrases(&volume_leaves)));
    leaves.extend(volume_leaves);
    let sync_leaf = |name: &&str| syncs.get(name).map(|sync| syncs::leaf(findings, name, sync, &places));
    leaves.extend(sync_order.iter().filter_map(sync_leaf));
    let mut rest = Leaf::new("");
    let known: Vec<&str> = TABLES.into_iter().chain(OTHERS).collect();
    endpoints::strangers(file, &known, &mut rest);
    if !rest.lines.is_empty() {
        leaves.push(rest);
    }
    leaves
}

/// The tables of one kind under their names, and the order in which they stand.
fn tables<'a>(
    findings: &mut YamlMistakes,
    file: &Section<'a>,
    key: &str,
    what: &str,
) -> (Vec<&'a str>, BTreeMap<&'a str, Section<'a>>) {
    let (mut order, mut tables) = (Vec::new(), BTreeMap::new());
    for YamlEntry { key: name, at, node } in file.section(findings, key).entries {
        match name.parse::<SyncName>() {
            Err(error) => findings.note(at, format!("{} is not a name: {error}", quoted(name)), "give it another name"),
            Ok(_) if name.contains(['@', '.']) => {
                findings.note(at, format!("{} is not a name", quoted(name)), "write it without `@` and `.`");
            }
            Ok(_) => {
                if let Some(section) = findings.table(node, what) {
                    let at = if section.entries.is_empty() { at.clone() } else { section.at };
                    order.push(name.as_str());
                    tables.insert(name.as_str(), Section { entries: section.entries, at });
                }
            }
        }
    }
    (order, tables)
}

/// The names of the passphrases that volumes need, each once. What is no name is refused with its volume, and stands in
/// no command.
fn passphrases(leaves: &[Leaf]) -> Vec<String> {
    let keys = leaves.iter().filter_map(|leaf| leaf.value("passphrase")?.as_str());
    let keys = keys.filter(|name| name.parse::<CredentialName>().is_ok());
    keys.map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect()
}
