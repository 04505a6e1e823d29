//! The syncs: places, defaults under each, and one copy for each member of a group.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::PathBuf;

use toml::Spanned;

use crate::formats::config::layer::{Layer, Setting};
use crate::formats::config::mistake::quoted;
use crate::formats::config::names::{Names, distinct, given};
use crate::formats::config::reader::{BadValue, Fields, Reading};
use crate::formats::config::rsync_options;
use crate::model::{
    Conditions, CopyTraits, Filter, Group, GroupName, Hooks, PingUrl, Place, RsyncOptions, RsyncSettings, SnapshotKind,
    Subdir, Sync, SyncName, VolumeName,
};

/// The names that syncs refer to.
pub(super) struct Known<'a> {
    pub volumes: &'a Names<'a>,
    pub group_names: &'a Names<'a>,
    pub groups: &'a BTreeMap<GroupName, Group>,
    pub syncs: &'a Names<'a>,
    /// Where runs are reported of syncs that name no address of their own.
    pub ping: Option<&'a PingUrl>,
}

/// Where in the file a sync says what.
#[derive(Debug, Clone)]
pub(super) struct SyncSpans {
    pub name: Range<usize>,
    pub source: Range<usize>,
    pub destination: Range<usize>,
    /// What it says in `after` itself.
    pub after: Vec<Spanned<String>>,
    /// Its filters, its own or those of the defaults.
    pub filters: Vec<Spanned<Filter>>,
    /// Its file of filters, likewise.
    pub filter_file: Option<Spanned<PathBuf>>,
    /// Which snapshots stay, likewise.
    pub keep: Option<Range<usize>>,
    /// The programs of hooks that hold blanks and have no arguments.
    pub one_text_hooks: Vec<Spanned<String>>,
}

/// All syncs, with the places of what they say.
pub(super) fn syncs(
    reading: &mut Reading<'_>,
    file: &Fields<'_>,
    known: &Known<'_>,
) -> BTreeMap<SyncName, (Sync, SyncSpans)> {
    let defaults = file.table(reading, "defaults").map(|fields| Layer::read(reading, &fields)).unwrap_or_default();
    for after in defaults.after.iter().flatten() {
        if let Err(problem) = upstream(known, after.get_ref()) {
            reading.mistake(after.span(), problem);
        }
    }
    let mut syncs = BTreeMap::new();
    for (name, fields) in file.named(reading, "syncs") {
        let own = Layer::read(reading, &fields);
        own_after(reading, &name, &own, known);
        let after = own.after.clone().unwrap_or_default();
        let mut layer = own.over(&defaults);
        layer.ping = layer.ping.or_else(|| known.ping.cloned().map(Setting::On));
        let spans = SyncSpans {
            name: name.span(),
            source: fields.get("source").map_or_else(|| name.span(), Spanned::span),
            destination: fields.get("destination").map_or_else(|| name.span(), Spanned::span),
            after,
            filters: layer.filters.clone().unwrap_or_default(),
            filter_file: layer.filter_file.clone(),
            keep: layer.keep.as_ref().map(Spanned::span),
            one_text_hooks: layer.one_text_hooks.clone(),
        };
        for sync in sync(reading, &name, &fields, &layer, known) {
            syncs.insert(sync.name.clone(), (sync, spans.clone()));
        }
    }
    expand_after(reading, &mut syncs);
    syncs
}

/// One sync of the file: one copy, or one for each member of a group.
fn sync(
    reading: &mut Reading<'_>,
    place: &Spanned<&str>,
    fields: &Fields<'_>,
    layer: &Layer,
    known: &Known<'_>,
) -> Vec<Sync> {
    let name = sync_name(reading, place);
    in_place(reading, place, layer);
    let source = end(reading, place, fields, "source").and_then(|(at, volume, subdir)| {
        source_volume(reading, &at, volume, known).map(|volume| Place { volume, subdir })
    });
    let destination = end(reading, place, fields, "destination").and_then(|(at, volume, subdir)| {
        destination_volumes(reading, &at, volume, known).map(|volumes| (volumes, subdir))
    });
    let (Some(name), Some(source), Some((volumes, subdir))) = (name, source, destination) else { return Vec::new() };
    let lowered = |name, volume| lowered(layer, name, source.clone(), Place { volume, subdir: subdir.clone() });
    match volumes {
        Destination::Volume(volume) => vec![lowered(name, volume)],
        Destination::Group(members) => members.into_iter().map(|member| lowered(name.on(&member), member)).collect(),
    }
}

fn sync_name(reading: &mut Reading<'_>, place: &Spanned<&str>) -> Option<SyncName> {
    if place.get_ref().contains('@') {
        let problem = BadValue::new(format!("{} is not a name: it holds `@`", quoted(place.get_ref())));
        let help = "`@` stands between a sync and the member of the group that it writes to; leave it out";
        reading.mistake(place.span(), problem.help(help));
        return None;
    }
    given(reading, place)
}

/// The volume and the directory that one end of a sync names.
fn end<'a>(
    reading: &mut Reading<'_>,
    name: &Spanned<&str>,
    fields: &Fields<'a>,
    key: &str,
) -> Option<(Spanned<&'a str>, &'a str, Subdir)> {
    if fields.get(key).is_none() {
        let problem = BadValue::new(format!("the sync {} has no `{key}`", quoted(name.get_ref())));
        reading.mistake(name.span(), problem.help(format!("write {key} = \"VOLUME:DIRECTORY\"")));
    }
    let text = fields.text(reading, key)?;
    let (volume, subdir) = text.get_ref().split_once(':').unwrap_or((text.get_ref(), ""));
    match subdir.parse() {
        Ok(subdir) => Some((text, volume, subdir)),
        Err(error) => {
            let error: crate::model::SubdirError = error;
            reading.mistake(text.span(), BadValue::new(format!("{} is not a subdirectory: {error}", quoted(subdir))));
            None
        }
    }
}

fn source_volume(reading: &mut Reading<'_>, at: &Spanned<&str>, volume: &str, known: &Known<'_>) -> Option<VolumeName> {
    if known.volumes.contain(volume) {
        return volume.parse().ok();
    }
    let problem = if known.group_names.contain(volume) {
        BadValue::new(format!("{} is a group; a group can only be a destination", quoted(volume)))
            .help("name one of its volumes")
    } else {
        known.volumes.missing(volume)
    };
    reading.mistake(at.span(), problem);
    None
}

enum Destination {
    Volume(VolumeName),
    Group(Vec<VolumeName>),
}

fn destination_volumes(
    reading: &mut Reading<'_>,
    at: &Spanned<&str>,
    volume: &str,
    known: &Known<'_>,
) -> Option<Destination> {
    if known.volumes.contain(volume) {
        return volume.parse().ok().map(Destination::Volume);
    }
    if known.group_names.contain(volume) {
        let group: GroupName = volume.parse().ok()?;
        return known.groups.get(&group).map(|group| Destination::Group(group.volumes.clone()));
    }
    let near = crate::formats::similar::did_you_mean(volume, known.volumes.iter().chain(known.group_names.iter()));
    let problem = known.volumes.missing(volume);
    reading.mistake(at.span(), BadValue { help: near.or_else(|| problem.help.clone()), ..problem });
    None
}

/// Whether a text names a sync that can go first: as in the file, or with the member of the group that it writes to.
fn upstream(known: &Known<'_>, text: &str) -> Result<(), BadValue> {
    let base = text.split_once('@').map_or(text, |(base, _)| base);
    if known.syncs.contain(base) { Ok(()) } else { Err(known.syncs.missing(text)) }
}

fn own_after(reading: &mut Reading<'_>, name: &Spanned<&str>, own: &Layer, known: &Known<'_>) {
    let Some(after) = &own.after else { return };
    distinct(reading, "after", after);
    for text in after {
        if text.get_ref() == name.get_ref() {
            let problem = BadValue::new(format!("the sync {} cannot go after itself", quoted(name.get_ref())));
            reading.mistake(text.span(), problem.help("leave it out"));
        } else if let Err(problem) = upstream(known, text.get_ref()) {
            reading.mistake(text.span(), problem);
        }
    }
}

/// Notes options that would write into finished snapshots.
fn in_place(reading: &mut Reading<'_>, name: &Spanned<&str>, layer: &Layer) {
    let snapshots = layer.snapshots.unwrap_or(SnapshotKind::None);
    for option in layer.options.iter().chain(&layer.extra_options).flatten() {
        if let Err(problem) = rsync_options::fits(option.get_ref(), snapshots) {
            let message = format!("in the sync {}: {}", quoted(name.get_ref()), problem.message);
            reading.mistake(option.span(), BadValue { message, ..problem });
        }
    }
}

fn lowered(layer: &Layer, name: SyncName, source: Place, destination: Place) -> Sync {
    let plain = |options: &[Spanned<String>]| options.iter().map(|option| option.get_ref().clone()).collect();
    let unsaid = Sync::new(name, source, destination);
    // Each key is named: one that is new is not forgotten.
    Sync {
        enabled: layer.enabled.unwrap_or(unsaid.enabled),
        snapshots: layer.snapshots.unwrap_or(unsaid.snapshots),
        keep: layer.keep.as_ref().map_or(unsaid.keep, |keep| *keep.get_ref()),
        every: layer.every.unwrap_or(unsaid.every),
        max_age: layer.max_age.and_then(Setting::value),
        // A default "after" names syncs that it holds for, too; none of them goes after itself.
        after: (layer.after.iter().flatten().map(Spanned::get_ref))
            .filter(|after| *after != unsaid.name.base())
            .filter_map(|after| after.parse().ok())
            .collect(),
        filters: layer.filters.iter().flatten().map(|filter| filter.get_ref().clone()).collect(),
        filter_file: layer.filter_file.as_ref().map(|file| file.get_ref().clone()),
        mounts: layer.mounts.unwrap_or(unsaid.mounts),
        unchanged: layer.unchanged.unwrap_or(unsaid.unchanged),
        rsync: RsyncSettings {
            compress: layer.compress.unwrap_or(false),
            checksum: layer.checksum.unwrap_or(false),
            kept: CopyTraits { sparse: layer.sparse.unwrap_or(false), hard_links: layer.hard_links.unwrap_or(false) },
            bandwidth: layer.bandwidth.and_then(Setting::value),
            options: layer.options.as_deref().map_or(RsyncOptions::Default, |own| RsyncOptions::Replaced(plain(own))),
            extra_options: plain(layer.extra_options.as_deref().unwrap_or_default()),
        },
        when: Conditions {
            metered: layer.metered.unwrap_or(unsaid.when.metered),
            battery: layer.battery.unwrap_or(unsaid.when.battery),
            hours: layer.hours.and_then(Setting::value),
        },
        guard: layer.guard.unwrap_or(unsaid.guard),
        hooks: Hooks {
            before: layer.before.clone().and_then(Setting::value),
            after: layer.after_success.clone().and_then(Setting::value),
            failed: layer.failed.clone().and_then(Setting::value),
            interrupted: layer.interrupted.clone().and_then(Setting::value),
            overdue: layer.overdue.clone().and_then(Setting::value),
        },
        verify: layer.verify.and_then(Setting::value),
        ping: layer.ping.clone().and_then(Setting::value),
        name: unsaid.name,
        source: unsaid.source,
        destination: unsaid.destination,
    }
}

/// Replaces the name of a sync to a group in `after` by the names of all its copies.
fn expand_after(reading: &mut Reading<'_>, syncs: &mut BTreeMap<SyncName, (Sync, SyncSpans)>) {
    let mut copies: BTreeMap<String, BTreeSet<SyncName>> = BTreeMap::new();
    for name in syncs.keys() {
        copies.entry(name.base().to_owned()).or_default().insert(name.clone());
    }
    for (sync, spans) in syncs.values_mut() {
        let mut expanded = BTreeSet::new();
        for after in &sync.after {
            let of_base = copies.get(after.base());
            if after.as_str() == after.base() {
                expanded.extend(of_base.into_iter().flatten().cloned());
            } else if of_base.is_none_or(|copies| copies.contains(after)) {
                expanded.insert(after.clone());
            } else {
                let place = spans.after.iter().find(|text| text.get_ref() == after.as_str());
                let problem = BadValue::new(format!("the sync `{}` makes no copy `{after}`", after.base()));
                let all = of_base.into_iter().flatten().map(SyncName::as_str).collect::<Vec<_>>().join(", ");
                reading.mistake(
                    place.map_or_else(|| spans.name.clone(), Spanned::span),
                    problem.help(format!("known: {all}")),
                );
            }
        }
        sync.after = expanded;
    }
}
