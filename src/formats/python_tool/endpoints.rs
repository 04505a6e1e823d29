//! The endpoints of ssh: `extends` as the Python tool means it, where a table of options is inherited whole or not at
//! all; here each key is inherited by itself.

use std::collections::{BTreeMap, BTreeSet};

use toml::Value;

use crate::formats::config::quoted;
use crate::formats::python_tool::page::{Entries, Leaf, TomlKey, TomlLine, key, on_one_line};
use crate::formats::python_tool::reading::{Section, Written, YamlMistakes, in_short, plain_key};
use crate::formats::python_tool::values::YamlEntry;

/// What an endpoint may hold.
const KEYS: [&str; 10] = [
    "host",
    "port",
    "user",
    "key",
    "connection-options",
    "proxy-jump",
    "proxy-jumps",
    "location",
    "locations",
    "extends",
];

/// Pairs of which setting one takes the inherited other away.
const PAIRS: [[&str; 2]; 2] = [["proxy-jump", "proxy-jumps"], ["location", "locations"]];

/// The options that ssh's own program has no word for, or that are refused here, and why.
const LEFT_OUT: [(&str, &str); 5] = [
    ("banner-timeout", "`connect-timeout` bounds all of it"),
    ("auth-timeout", "`connect-timeout` bounds all of it"),
    ("channel-timeout", "it was for Paramiko alone; a silent server is given up by `ServerAliveInterval`"),
    ("forward-agent", "nothing is forwarded to a server"),
    ("disabled-algorithms", "it was for Paramiko alone; for ssh write options = [\"Ciphers=-NAME\"] and the like"),
];

/// The endpoints of a file under their names.
pub(super) type Endpoints<'a> = BTreeMap<&'a str, Section<'a>>;

/// The tables of all endpoints, and the locations that they name.
pub(super) fn leaves(findings: &mut YamlMistakes, order: &[&str], endpoints: &Endpoints<'_>) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    let mut locations = BTreeSet::new();
    for name in order {
        let Some(own) = endpoints.get(name) else { continue };
        leaves.push(leaf(findings, name, own, endpoints, &mut locations));
    }
    let templates = locations.into_iter().map(|location| {
        let mut leaf = Leaf::new("");
        leaf.remark(format!(
            "The location {}: nbkpd recognises a network by itself. Say by what (`ssids`, `connections`, \
             `gateways`, `subnets`), and take away the `#` here and at `locations` below:",
            quoted(&location)
        ));
        leaf.lines.push(TomlLine::Proposal(format!("[locations.{}]", key(&location))));
        leaf.lines.push(TomlLine::Proposal("ssids = [\"NAME OF THE WI-FI\"]".to_owned()));
        leaf
    });
    templates.collect::<Vec<_>>().into_iter().chain(leaves).collect()
}

fn leaf(
    findings: &mut YamlMistakes,
    name: &str,
    own: &Section<'_>,
    endpoints: &Endpoints<'_>,
    locations: &mut BTreeSet<String>,
) -> Leaf {
    let mut leaf = Leaf::new(format!("ssh-endpoints.{name}"));
    let parent = own.text(findings, "extends").map(|extends| extends.text);
    let whole = resolved(findings, name, endpoints);
    let keys = keys(findings, name, &whole, endpoints);
    let inherited = parent.filter(|parent| endpoints.contains_key(parent)).map(|parent| {
        let below = resolved(findings, parent, endpoints);
        (parent, over(&keys, &self::keys(findings, parent, &below, endpoints)))
    });
    match inherited {
        Some((parent, Some(changed))) => {
            leaf.key("extends", parent);
            put(&mut leaf, changed);
        }
        // Something that is inherited here, and was not there, cannot be unsaid: so all is said.
        Some((_, None)) | None => put(&mut leaf, keys),
    }
    remarks(findings, own, &mut leaf, locations);
    leaf
}

fn put(leaf: &mut Leaf, keys: Vec<(&'static str, Value)>) {
    for (name, value) in keys {
        leaf.lines.push(TomlLine::Key(TomlKey { name, value: Entries::One(value), refused: None }));
    }
}

/// What must be said of an endpoint that extends another one, if it can be.
fn over(keys: &[(&'static str, Value)], below: &[(&'static str, Value)]) -> Option<Vec<(&'static str, Value)>> {
    let has = |list: &[(&'static str, Value)], name: &str| list.iter().any(|(key, _)| *key == name);
    let mut changed: Vec<_> = keys.iter().filter(|line| !below.contains(line)).cloned().collect();
    for (name, _) in below.iter().filter(|(name, _)| !has(keys, name)) {
        changed.push(match *name {
            "proxy-jump" | "options" => (*name, Value::Array(Vec::new())),
            "connect-timeout" => (*name, "10s".into()),
            _ => return None,
        });
    }
    Some(changed)
}

/// An endpoint with what it takes from those that it extends.
fn resolved<'a>(findings: &mut YamlMistakes, name: &str, endpoints: &Endpoints<'a>) -> Section<'a> {
    let mut chain = vec![name];
    let mut all: Vec<&'a YamlEntry> = Vec::new();
    let mut at = 0..0;
    while let Some(section) = chain.last().and_then(|name| endpoints.get(name)) {
        if chain.len() == 1 {
            at = section.at.clone();
        }
        let known = |all: &[&YamlEntry], key: &str| all.iter().any(|entry| plain_key(&entry.key) == key);
        let known_before = all.clone();
        for entry in &section.entries {
            let key = plain_key(&entry.key);
            let pair = PAIRS.into_iter().find(|pair| pair.contains(&key.as_str()));
            let is_taken = known(&known_before, &key)
                || pair.is_some_and(|pair| pair.into_iter().any(|key| known(&known_before, key)));
            if !is_taken && key != "extends" {
                all.push(entry);
            }
        }
        let Some(Written { text, at: place }) = section.text(findings, "extends") else { break };
        if !findings.known(&Written { text, at: place.clone() }, "ssh endpoint", endpoints.keys().copied()) {
            break;
        }
        if chain.contains(&text) {
            let way = chain.iter().chain([&text]).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" -> ");
            findings.note(&place, format!("`extends` goes round in a circle: {way}"), "take one of them out of it");
            break;
        }
        chain.push(text);
    }
    Section { entries: all, at }
}

/// Our keys for an endpoint.
fn keys(
    findings: &mut YamlMistakes,
    name: &str,
    endpoint: &Section<'_>,
    endpoints: &Endpoints<'_>,
) -> Vec<(&'static str, Value)> {
    let mut keys = Vec::new();
    if let Some(host) = endpoint.needed(findings, "host", &format!("the ssh endpoint `{name}`")) {
        keys.push(("host", host.text.into()));
    }
    keys.extend(endpoint.whole(findings, "port", (1, 65_535)).map(|port| ("port", port.into())));
    for key in ["user", "key"] {
        keys.extend(endpoint.text(findings, key).map(|text| (key, text.text.into())));
    }
    for [one, several] in PAIRS {
        if endpoint.get(one).is_some() && endpoint.get(several).is_some() {
            let message = format!("the ssh endpoint `{name}` has both `{one}` and `{several}`");
            findings.note(&endpoint.at, message, "leave one of them out");
        }
    }
    let hops = several(findings, endpoint, "proxy-jump", "proxy-jumps");
    for hop in &hops {
        findings.known(hop, "ssh endpoint", endpoints.keys().copied());
    }
    if !hops.is_empty() {
        keys.push(("proxy-jump", Value::Array(hops.iter().map(|hop| hop.text.into()).collect())));
    }
    let connection = endpoint.section(findings, "connection-options");
    if let Some(seconds) = connection.whole(findings, "connect-timeout", (1, 86_400)) {
        keys.push(("connect-timeout", format!("{seconds}s").into()));
    }
    if let Some(file) = connection.text(findings, "known-hosts-file").filter(|file| file.text != "/dev/null") {
        keys.push(("known-hosts", file.text.into()));
    }
    let mut options: Vec<Value> = Vec::new();
    if let Some(seconds) = connection.whole(findings, "server-alive-interval", (1, 86_400)) {
        options.push(format!("ServerAliveInterval={seconds}").into());
    }
    for (key, is, option) in [
        ("compress", true, "Compression=yes"),
        ("allow-agent", false, "IdentityAgent=none"),
        ("look-for-keys", false, "IdentitiesOnly=yes"),
    ] {
        options.extend(connection.switch(findings, key).filter(|on| *on == is).map(|_| option.into()));
    }
    if !options.is_empty() {
        keys.push(("options", Value::Array(options)));
    }
    keys
}

fn several<'a>(findings: &mut YamlMistakes, section: &Section<'a>, one: &str, several: &str) -> Vec<Written<'a>> {
    let list = section.texts(findings, several).unwrap_or_default();
    section.text(findings, one).into_iter().chain(list).collect()
}

/// What is said beside an endpoint: what it says itself and this program has not.
fn remarks(findings: &mut YamlMistakes, own: &Section<'_>, leaf: &mut Leaf, locations: &mut BTreeSet<String>) {
    let named = several(findings, own, "location", "locations");
    if !named.is_empty() {
        let listed: Vec<&str> = named.iter().map(|location| location.text).collect();
        let shown = listed.iter().map(|location| quoted(location).trim_matches('`').to_owned()).collect::<Vec<_>>();
        let reason = "nothing tells yet by what nbkpd recognises it, so that this endpoint is tried anywhere";
        leaf.leave_out(format!("location {}", shown.join(", ")), reason);
        let list = Value::Array(listed.iter().map(|name| (*name).into()).collect());
        leaf.lines.push(TomlLine::Proposal(format!("locations = {}", on_one_line(&list))));
        locations.extend(listed.into_iter().map(str::to_owned));
    }
    let connection = own.section(findings, "connection-options");
    if connection.switch(findings, "strict-host-key-checking") == Some(false) {
        let reason = "a server must prove itself by its key: connect once by hand (`ssh HOST`) and accept it";
        leaf.leave_out("strict-host-key-checking: false", reason);
    }
    if connection.text(findings, "known-hosts-file").is_some_and(|file| file.text == "/dev/null") {
        let reason = "a server must prove itself, and /dev/null knows none";
        leaf.leave_out("known-hosts-file: /dev/null", reason);
    }
    for (key, reason) in LEFT_OUT {
        let Some(node) = connection.get(key) else { continue };
        if !(key == "forward-agent" && in_short(&node.value) == "false") {
            leaf.leave_out(format!("{key}: {}", in_short(&node.value)), reason);
        }
    }
    let known = [
        "connect-timeout",
        "compress",
        "server-alive-interval",
        "allow-agent",
        "look-for-keys",
        "strict-host-key-checking",
        "known-hosts-file",
    ];
    let known: Vec<&str> = known.into_iter().chain(LEFT_OUT.map(|(key, _)| key)).collect();
    strangers(&connection, &known, leaf);
    strangers(own, &KEYS, leaf);
}

/// Leaves out what the Python tool does not know either, and passes over.
pub(super) fn strangers(section: &Section<'_>, known: &[&str], leaf: &mut Leaf) {
    for entry in &section.entries {
        if !known.contains(&plain_key(&entry.key).as_str()) {
            let what = format!("{}: {}", entry.key.escape_debug(), in_short(&entry.node.value));
            leaf.leave_out(what, "the Python tool does not know it either");
        }
    }
}
