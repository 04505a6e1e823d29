//! The plain shell script that makes the copies of a configuration without nbkp.
//!
//! Its fixed text lies beside this file: `place.sh` is what is done at one end, `run.sh` how a copy is made. What is
//! written here is what differs from one configuration to another.

mod ends;
mod recipe;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::formats::rsync::arguments::{
    Comparison, CopyMode, Manner, Passage, RsyncCall, Unfinished, Veil, WHERE_IT_WORKS, options,
};
use crate::formats::ssh::arguments::{Purpose, connection};
use crate::formats::ssh::hops;
use crate::model::layout::assignments;
use crate::model::{
    EndpointName, Guard, KeepRules, Keeping, Privileges, Retention, SnapshotKind, Sync, SyncName, VolumeRoot, upstreams,
};

pub use recipe::{Recipe, Standpoint};
use words::{ScriptText, function_name, quoted};

const PLACE: &str = include_str!("place.sh");
const RUN: &str = include_str!("run.sh");

/// What stands for the way to the other end in a list of arguments; the script knows it when it runs.
const LATER: &str = "@later@";

/// The script.
#[must_use]
pub fn script(recipe: &Recipe<'_>) -> Vec<u8> {
    let mut page = ScriptText::default();
    head(recipe, &mut page);
    page.line("place() {\n    cat <<'END_OF_PLACE'");
    for line in assignments!().lines() {
        let is_used = line.split_once('=').is_some_and(|(name, _)| PLACE.contains(&format!("${name}")));
        if is_used {
            page.line(line);
        }
    }
    page.line(PLACE.trim_end());
    page.line("END_OF_PLACE\n}");
    page.line(RUN.split("# --- The command line").next().unwrap_or_default().trim_end());
    endpoints(recipe, &mut page);
    page.line("\n# --- The copies -----------------------------------------------------------------------------");
    let mut taken = BTreeSet::new();
    let named: Vec<_> = recipe.syncs.iter().map(|sync| (sync, function_name(sync.name.as_str(), &mut taken))).collect();
    let before = upstreams(&recipe.configuration.syncs);
    for (sync, function) in &named {
        let mut copy = ScriptText::default();
        copy_of(recipe, (sync, function), before.get(&sync.name), &mut copy);
        if sync.enabled {
            page.line("");
            page.bytes(&copy.done());
        } else {
            page.line(&format!("\n# `{}` is disabled:", sync.name));
            page.commented(&copy.done());
        }
    }
    let enabled: Vec<_> = named.iter().filter(|(sync, _)| sync.enabled).collect();
    let words: Vec<&str> = enabled.iter().map(|(sync, _)| sync.name.as_str()).collect();
    page.line(&format!("\nsyncs='{}'", words.join(" ")));
    page.line("\nrun_sync() {\n    case $1 in");
    for (sync, function) in enabled {
        page.line(&format!("        {}) sync_{function} ;;", sync.name));
    }
    page.line("    esac\n}\n");
    if let Some((_, rest)) = RUN.split_once("# --- The command line") {
        page.line(&format!("# --- The command line{}", rest.trim_end()));
    }
    page.done()
}

fn head(recipe: &Recipe<'_>, page: &mut ScriptText) {
    page.line("#!/bin/sh");
    page.line("# Makes the backups of a configuration of nbkp, without nbkp: with sh, rsync 3 and, for servers, ssh.");
    page.line("#");
    page.comment(&format!("Written by nbkpctl {} from {}.", recipe.version, recipe.origin.display()));
    page.line(
        "# `--help` shows how it is called; `--dry-run` shows what it would do. It asks for the same sentinels\n\
         # as nbkp, makes the same snapshots, and keeps and deletes the same ones, so that both can be used in\n\
         # turn. What it does not do: mount or unlock drives, wait for times of day, power or networks (`when`,\n\
         # `locations`), and look for drives that have the same UUID. It needs no rights but those of the files.",
    );
    page.line("# shellcheck disable=SC2016,SC2317 # Names may hold any sign; steps and hooks are called by theirs.");
    page.line("set -u\nunset CDPATH\nLC_ALL=C\nexport LC_ALL");
    if recipe.standpoint.is_used() {
        page.line("\n# Where this script lies: it can go with its drive.");
        page.line("here=$(cd -P -- \"$(dirname -- \"$0\")\" && pwd) || exit 1");
    }
    page.line("");
}

fn endpoints(recipe: &Recipe<'_>, page: &mut ScriptText) {
    let servers: BTreeSet<&EndpointName> = recipe
        .syncs
        .iter()
        .flat_map(|sync| [&sync.source.volume, &sync.destination.volume])
        .filter_map(|volume| match &recipe.configuration.volumes.get(volume)?.root {
            VolumeRoot::Server(server) => Some(&server.endpoints),
            VolumeRoot::Directory(_) | VolumeRoot::Drive(_) => None,
        })
        .flatten()
        .collect();
    page.line("\n# --- The ways to servers ----------------------------------------------------------------------\n");
    page.line(
        "# endpoint NAME: writes down how this one is reached, as a command that rsync and the steps above call.",
    );
    page.line("endpoint() {\n    case $1 in");
    for name in &servers {
        let Some(route) = recipe.configuration.route(name) else { continue };
        page.line(&format!("        {name}) # {route}"));
        let hops = hops::configuration(&route);
        let arguments = connection(&route, hops.as_ref().map(|_| Path::new(LATER)), Purpose::Alone);
        page.line("            cat >\"$scratch/$1\" <<'END_OF_WAY'");
        let words: Vec<Vec<u8>> =
            arguments.iter().map(|word| if word == LATER { b"\"$0.hops\"".to_vec() } else { quoted(word) }).collect();
        page.line("shift");
        page.bytes(&[b"exec ssh ".as_slice(), &words.join(&b' '), b" \"$@\"\n"].concat());
        page.line("END_OF_WAY");
        if let Some(hops) = hops {
            page.line("            cat >\"$scratch/$1.hops\" <<'END_OF_WAY'");
            page.bytes(&hops);
            page.line("END_OF_WAY");
        }
        page.line("            ;;");
    }
    page.line("    esac\n}");
}

fn copy_of(
    recipe: &Recipe<'_>,
    (sync, function): (&Sync, &str),
    before: Option<&BTreeSet<SyncName>>,
    page: &mut ScriptText,
) {
    page.comment(&format!("{}: {} -> {}", sync.name, sync.source, sync.destination));
    page.line(&format!("sync_{function}() {{"));
    let after: Vec<&str> = before.into_iter().flatten().map(SyncName::as_str).collect();
    page.line(&format!("    sync={} after='{}'", sync.name, after.join(" ")));
    let guard = match sync.guard {
        Guard::Off => "off".to_owned(),
        Guard::MaxDelete(share) => share.to_string(),
    };
    page.line(&format!("    kind={} keep='{}' guard={guard}", sync.snapshots.as_str(), kept(sync.keep)));
    let reads_latest = recipe.configuration.snapshot_destinations().contains(&sync.source);
    ends::write(recipe, sync, reads_latest, page);
    let hooks: BTreeMap<_, _> = sync.hooks.named().collect();
    for moment in ["before", "after", "failed", "interrupted"] {
        page.bytes(format!("    hook_{moment}() {{ ").as_bytes());
        match hooks.get(moment) {
            None => page.line(":; }"),
            Some(hook) => {
                let words = [&hook.program].into_iter().chain(&hook.arguments).map(|word| quoted(OsStr::new(word)));
                page.bytes(&words.collect::<Vec<_>>().join(&b' '));
                page.line("; }");
            }
        }
    }
    page.bytes(b"    backup");
    for word in rsync_options(recipe, sync) {
        page.bytes(b" \\\n        ");
        page.bytes(&quoted(&word));
    }
    page.line("\n}");
}

fn kept(keep: Retention) -> String {
    match keep {
        Retention::All => "all".to_owned(),
        Retention::Rules(KeepRules { last, hourly, daily, weekly, monthly, yearly }) => {
            [last, hourly, daily, weekly, monthly, yearly].map(|count| count.to_string()).join(" ")
        }
    }
}

/// The options of the very rsync that a run calls, without those by which it reports, and which the script finds out.
fn rsync_options(recipe: &Recipe<'_>, sync: &Sync) -> Vec<OsString> {
    let manner = match sync.snapshots {
        SnapshotKind::None => Manner::Replace(Unfinished::None),
        SnapshotKind::Btrfs => Manner::InPlace,
        SnapshotKind::HardLink => Manner::Link { bases: Vec::new(), unfinished: Unfinished::None },
    };
    let later = OsStr::new(LATER);
    let is_server = |volume| {
        recipe.configuration.volumes.get(volume).is_some_and(|volume| matches!(volume.root, VolumeRoot::Server(_)))
    };
    let passage = if is_server(&sync.source.volume) == is_server(&sync.destination.volume) {
        Passage::None
    } else {
        Passage::Network { shell: later, server: later }
    };
    let call = RsyncCall {
        passage,
        settings: &sync.rsync,
        mounts: sync.mounts,
        filters: &sync.filters,
        nested: None,
        spared: &BTreeSet::new(),
        veil: &Veil::default(),
        list: None,
        manner: &manner,
        comparison: Comparison::Nanoseconds,
        keeping: Keeping::default(),
        privileges: Privileges::Copied,
        effect: CopyMode::Tell,
        works_in: Path::new(WHERE_IT_WORKS),
        source: OsStr::new(""),
        destination: OsStr::new(""),
    };
    let mut kept: Vec<OsString> = Vec::new();
    for word in options(&call) {
        // `-e` and its word, and `--rsync-path`: the script knows them when it runs.
        if word.as_bytes().ends_with(LATER.as_bytes()) {
            kept.pop_if(|last| last == "-e");
        } else {
            kept.push(word);
        }
    }
    kept
}
