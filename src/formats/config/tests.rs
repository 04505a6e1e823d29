//! Whole files, read and refused.

mod checks;
mod repositories;
mod table;
mod together;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use proptest::prelude::*;

use crate::formats::config::keys::{FILE, Keys, Shape};
use crate::formats::config::*;
use crate::model::{
    BatteryRule, CopyTraits, CredentialProvider, Every, Filter, Guard, KeepRules, MeteredRule, Mounting, MountsBelow,
    Notify, PingUrl, Retention, RsyncSettings, SnapshotKind, SubdirError, SyncName, VolumeRoot, WhenDone,
};

fn context() -> Context {
    Context { file: "config.toml".into(), home: "/home/a".into() }
}

fn read(text: &str) -> Configuration {
    parse(text, &context()).unwrap_or_else(|mistakes| panic!("{}", mistakes.render(Colour::Plain)))
}

/// The mistakes of a text as `line:column message (help)`.
fn mistakes(text: &str) -> Vec<String> {
    let Err(mistakes) = parse(text, &context()) else { return Vec::new() };
    let line = |m: &Mistake| {
        let help = m.help.as_ref().map(|help| format!(" ({help})")).unwrap_or_default();
        format!("{}:{} {}{help}", m.line, m.column, m.message)
    };
    mistakes.to_list().iter().map(line).collect()
}

/// Asserts that a text has one mistake that holds all these words.
fn refused(text: &str, words: &[&str]) {
    let found = mistakes(text);
    assert!(found.len() == 1 && words.iter().all(|word| found[0].contains(word)), "{text}\n{found:#?}\n{words:?}");
}

fn sync<'a>(configuration: &'a Configuration, name: &str) -> &'a crate::model::Sync {
    let name: SyncName = name.parse().expect("a name");
    configuration.syncs.get(&name).expect("the sync")
}

/// Volumes and a sync to begin with.
const BASE: &str = r#"
[volumes.laptop]
path = "~"
[volumes.usb]
drive = "2d577679-a7b6-429d-8250-3d0d80e034df"
[volumes.blue]
drive = "5E3F-1A2B"
[volumes.red]
drive = "5E3F-1A2C"
[groups.offsite]
volumes = ["blue", "red"]
"#;

fn with(rest: &str) -> String {
    format!("{BASE}{rest}")
}

const EVERYTHING: &str = include_str!("../../../tests/config/everything.toml");

#[test]
fn the_empty_file_is_a_configuration() {
    for text in ["", "\n", "# nothing yet\n", "[volumes]\n[syncs]\n", "\u{feff}"] {
        let configuration = read(text);
        assert!(configuration.syncs.is_empty() && configuration.volumes.is_empty());
        assert_eq!(configuration.daemon.max_parallel, 1);
        assert_eq!(configuration.daemon.settle, Duration::from_secs(2));
        assert_eq!(configuration.daemon.grace, Duration::from_secs(10));
        assert_eq!(configuration.daemon.notify, Notify::Problems);
        assert_eq!(configuration.credentials, CredentialProvider::SecretService);
    }
}

#[test]
fn everything_that_the_contract_names_is_read() {
    let configuration = read(EVERYTHING);
    let documents = sync(&configuration, "documents");
    assert_eq!(documents.destination.to_string(), "usb:documents");
    assert_eq!(documents.snapshots, SnapshotKind::Btrfs);
    let rules = KeepRules { last: 3, hourly: 24, daily: 7, weekly: 4, monthly: 12, yearly: 5 };
    assert_eq!(documents.keep, Retention::Rules(rules));
    assert_eq!(documents.max_age, Some(Duration::from_hours(168)));
    assert_eq!(documents.after, BTreeSet::from(["photos@blue".parse().unwrap(), "photos@red".parse().unwrap()]));
    assert_eq!(documents.filters.len(), 5);
    assert_eq!(documents.filters[2], Filter::Merge("/home/a/rules".into()));
    assert_eq!(documents.filter_file, Some("/home/a/.config/nbkp/documents.rules".into()));
    assert_eq!(documents.rsync.bandwidth, Some(5 * 1024 * 1024));
    assert_eq!(
        (documents.rsync.kept, documents.mounts),
        (CopyTraits { sparse: true, hard_links: true }, MountsBelow::LeftOut)
    );
    assert_eq!(documents.when.battery, BatteryRule::AtLeast(30));
    assert_eq!(documents.when.metered, MeteredRule::Avoid);
    assert_eq!(documents.hooks.before.as_ref().map(|hook| hook.arguments.len()), Some(1));
    assert_eq!(documents.hooks.named().count(), 5);
    let pings = ["documents", "photos@red", "music"].map(|name| sync(&configuration, name).ping.clone());
    let written = |path: &str| PingUrl::new(&format!("https://hc.example.org/{path}"));
    assert_eq!(pings, [written("documents"), written("uuid"), None]);
    let textfile = "/var/lib/prometheus/node-exporter/nbkp.prom";
    assert_eq!(configuration.monitoring.textfile.as_deref(), Some(std::path::Path::new(textfile)));
    assert_eq!(sync(&configuration, "photos@red").guard, Guard::Off);
    let wan = configuration.endpoints.get(&"nas-wan".parse().unwrap()).unwrap();
    assert_eq!(
        (wan.host.as_str(), wan.port, wan.locations.len(), wan.proxy_jump.len()),
        ("nas.example.org", Some(22), 0, 1)
    );
    assert_eq!(wan.key, Some("/home/a/.ssh/nas".into()));
    let VolumeRoot::Drive(usb) = &configuration.volumes.get(&"usb".parse().unwrap()).unwrap().root else { panic!() };
    assert_eq!(usb.mounting, Mounting::ForTheRun { passphrase: Some("usb".parse().unwrap()) });
    assert_eq!(usb.when_done, WhenDone::PowerOff);
}

#[test]
fn a_sync_that_says_nothing_has_the_defaults() {
    let configuration = read(&with("[syncs.a]\nsource = 'laptop'\ndestination = 'usb:a'\n"));
    let a = sync(&configuration, "a");
    assert!(a.enabled && a.source.subdir.is_root());
    assert_eq!((a.snapshots, a.keep, a.guard), (SnapshotKind::None, Retention::All, Guard::MaxDelete(25)));
    assert_eq!((a.every, a.max_age), (Every::Interval(Duration::from_hours(1)), None));
    assert_eq!((a.when.metered, a.when.battery, a.when.hours), (MeteredRule::Avoid, BatteryRule::Any, None));
    assert_eq!((&a.rsync, a.mounts), (&RsyncSettings::default(), MountsBelow::Copied));
}

#[test]
fn defaults_hold_where_a_sync_is_silent_and_can_be_turned_off() {
    let configuration = read(&with(
        r#"
[defaults]
every = "0s"
max-age = "7d"
max-snapshots = 5
snapshots = "btrfs"
when = { battery = "ac", hours = "22:00-06:00" }
rsync = { bandwidth = "1M", checksum = true }
hooks = { failed = ["notify"] }
after = ["first"]
[syncs.first]
source = "laptop:first"
destination = "usb:first"
[syncs.second]
source = "laptop:second"
destination = "usb:second"
keep = "all"
max-age = "off"
when = { hours = "any" }
rsync = { bandwidth = "off" }
hooks = { failed = [] }
"#,
    ));
    let (first, second) = (sync(&configuration, "first"), sync(&configuration, "second"));
    assert_eq!(first.keep, Retention::Rules(KeepRules { last: 5, ..KeepRules::default() }));
    assert_eq!((first.every, first.after.len()), (Every::Appearance, 0));
    assert_eq!((second.keep, second.max_age, second.when.hours), (Retention::All, None, None));
    assert_eq!((second.when.battery, second.rsync.bandwidth, second.rsync.checksum), (BatteryRule::Mains, None, true));
    assert_eq!((second.hooks.failed.as_ref(), second.after.len()), (None, 1));
    assert!(first.hooks.failed.is_some() && first.when.hours.is_some());
}

#[test]
fn a_sync_to_a_group_makes_a_copy_on_each_member() {
    let configuration = read(&with(
        "[syncs.a]\nsource = 'laptop:a'\ndestination = 'offsite:a'\n\
         [syncs.b]\nsource = 'laptop:b'\ndestination = 'usb:b'\nafter = ['a', 'a@red']\n",
    ));
    let names: Vec<_> = configuration.syncs.keys().map(SyncName::as_str).collect();
    assert_eq!(names, ["a@blue", "a@red", "b"]);
    assert_eq!(sync(&configuration, "a@red").destination.to_string(), "red:a");
    assert_eq!(sync(&configuration, "b").after.len(), 2);
}

#[test]
fn all_mistakes_are_told_at_once_in_their_order() {
    let text = "[volumes.usb]\ndrive = '5E3F-1A2B'\npath = '/x'\n\n[syncs.a]\nsource = 'laptop'\n\
                destination = 'ubs:x'\nevry = '1h'\nkeep = { dayly = 3 }\n";
    assert_eq!(
        mistakes(text),
        [
            "3:1 a volume has a `path` or a `drive`, not both (leave out `path`; a sync names a directory of the \
             drive as \"usb:DIRECTORY\")",
            "6:10 no volume `laptop` (known: usb)",
            "7:15 no volume `ubs` (did you mean `usb`?)",
            "8:1 [syncs.a] has no key `evry` (did you mean `every`?)",
            "9:1 `keep` keeps nothing (write keep = { daily = 7 }, or \"all\")",
            "9:10 `keep` has no key `dayly` (did you mean `daily`?)",
        ]
    );
}

#[test]
fn a_path_in_place_of_a_place_is_told_how_to_write_it() {
    let text = "[volumes.usb]\npath = '/x'\n[syncs.a]\nsource = '/home/a'\ndestination = 'usb:x'\n";
    refused(text, &["4:10", "no volume `/home/a`", "write it as \"VOLUME:DIRECTORY\"; known: usb"]);
}

#[test]
fn unknown_keys_are_refused_everywhere() {
    refused("sync = {}", &["1:1", "no key `sync`", "did you mean `syncs`?"]);
    refused("[daemon]\nmax_parallel = 2", &["2:1", "`max-parallel`"]);
    refused("[defaults]\nsource = 'a'", &["`defaults` has no key `source`"]);
    refused("[credentials]\nfoo = 1", &["`credentials` has no key `foo`", "provider, command"]);
    refused(&with("[groups.x]\nvolumes = ['usb']\nfoo = 1"), &["[groups.x] has no key `foo`"]);
    for (table, key) in [("rsync", "extra"), ("when", "hour"), ("guard", "max"), ("hooks", "befor")] {
        let text = format!("[defaults]\n{table} = {{ {key} = 1 }}");
        refused(&text, &[&format!("`{table}` has no key `{key}`")]);
    }
    refused("[defaults]\nfilters = [{ exclud = 'x', include = 'y' }]", &["`exclude`"]);
}

#[test]
fn wrong_kinds_say_what_should_stand_there() {
    refused("[defaults]\nevery = 5", &["2:9", "`every` must be a duration in quotes", "not a number"]);
    refused("[defaults]\nenabled = 'true'", &["`true` or `false`", "leave out the quotes"]);
    refused("[defaults]\nafter = 'x'", &["must be a list", "write [\"x\"]"]);
    refused("[defaults]\nsnapshots = 'btrf'", &["\"none\" or \"btrfs\" or \"hard-link\"", "did you mean `btrfs`?"]);
    refused("[daemon]\nmax-parallel = 0", &["a whole number from 1 to 1024, not 0"]);
    refused("[daemon]\nmax-parallel = -1", &["not -1"]);
    refused("[daemon]\nmax-parallel = 99999999999999999999", &["whole number"]);
    refused("[defaults]\nkeep = { last = 1.5 }", &["`last`", "not a fraction"]);
    refused("[defaults]\nkeep = 5", &["`keep` must be a table"]);
    refused("volumes = 5", &["`volumes` must be a table"]);
    refused("[volumes]\nusb = '/x'", &["[volumes.usb] must be a table"]);
    refused("[defaults]\nhooks = { before = [1] }", &["entry of `before`", "text in quotes"]);
    refused("[defaults]\nfilters = [5]", &["must be a table, not a number"]);
}

#[test]
fn bad_values_say_how_to_write_them() {
    refused("[defaults]\nevery = '1x'", &["\"x\" is not a unit", "w, d, h, m, s"]);
    refused("[defaults]\nmax-age = '0s'", &["not be zero"]);
    refused("[defaults]\nwhen = { battery = '130%' }", &["share", "\"ac\""]);
    refused("[defaults]\nwhen = { hours = '22-6' }", &["22:00-06:00"]);
    refused("[defaults]\nguard = { max-delete = '25' }", &["25%"]);
    refused("[defaults]\nkeep = { last = 0 }", &["keeps nothing"]);
    refused("[defaults]\nkeep = {}", &["keeps nothing"]);
    refused("[defaults]\nkeep = { last = 1 }\nmax-snapshots = 2", &["3:1", "twice"]);
    refused("[defaults]\nmax-snapshots = 0", &["from 1"]);
    refused("[defaults]\nrsync = { bandwidth = 'fast' }", &["is not a size"]);
    refused("[defaults]\nrsync = { options = ['--delete'] }", &["copy no directory", "\"-a\""]);
    refused("[defaults]\nfilters = ['*.tmp']", &["name of a filter rule"]);
    refused("[defaults]\nfilters = [{ exclude = 'a', include = 'b' }]", &["exactly one"]);
    refused("[defaults]\nfilters = [{ merge = 'rules' }]", &["relative path"]);
    refused("[defaults]\nhooks = { before = ['-x'] }", &["begins with `-`"]);
    refused("[credentials]\nprovider = 'command'", &["no `command`"]);
    refused("[credentials]\nprovider = 'command'\ncommand = []", &["no `command`"]);
}

#[test]
fn volumes_are_in_one_place() {
    refused("[volumes.a]", &["`a` is nowhere"]);
    refused("[volumes.a]\npath = 'x'", &["relative path"]);
    refused("[volumes.a]\npath = '/x'\nmount = true", &["`mount` is for a volume with `drive`"]);
    refused("[volumes.a]\ndrive = 'usb stick'", &["UUID", "lsblk"]);
    refused("[volumes.a]\ndrive = '5E3F-1A2B'\npassphrase = 'a'", &["without `mount = true`"]);
    refused("[volumes.a]\nssh = []", &["no endpoint"]);
    refused("[volumes.a]\nssh = ['x']", &["no ssh endpoint `x`"]);
    refused("[volumes.'a b']\npath = '/x'", &["1:10", "is not a name"]);
    refused("[volumes.a]\npath = '/x'\n[groups.g]\nvolumes = ['a', 'a']", &["twice"]);
    refused("[groups.g]\nvolumes = []", &["no volumes"]);
    refused("[groups.g]", &["no volumes"]);
    refused(&with("[groups.usb]\nvolumes = ['blue']"), &["both a volume and a group"]);
}

#[test]
fn a_file_that_is_not_toml_says_where() {
    let found = mistakes("[volumes.usb\ndrive = 5\n[syncs.a]\nsource = \n");
    assert!(found[0].starts_with("1:") && found[0].contains("not TOML"), "{found:#?}");
    assert_eq!(mistakes("a = 1\na = 2\n").len(), 1);
    let mistakes = parse_bytes(b"[volumes.usb]\npath = '/\xff'\n", &context()).unwrap_err();
    let first = &mistakes.to_list()[0];
    assert_eq!((first.line, first.column, first.message.as_str()), (2, 10, "the file is not UTF-8 here"));
    assert!(mistakes.render(Colour::Plain).contains("config.toml:2:10"));
}

#[test]
fn keys_of_a_later_version_are_refused_as_that() {
    let sync = "[syncs.a]\nsource = 'laptop:a'\ndestination = 'usb:a'\n";
    for text in [format!("{sync}source-snapshot = 'off'\n"), format!("{sync}full-every = '30d'\n")] {
        refused(&with(&text), &["has no key", "does not know it yet"]);
    }
}

#[test]
fn a_configuration_tells_whether_it_names_programs() {
    let sync = "[syncs.a]\nsource = 'laptop:a'\ndestination = 'usb:a'\n";
    for (text, names) in [
        (sync.to_owned(), false),
        (format!("{sync}hooks = {{ before = [] }}\n"), false),
        (format!("{sync}hooks = {{ failed = ['x'] }}\n"), true),
        (format!("{sync}hooks = {{ interrupted = ['x'] }}\n"), true),
        (format!("{sync}enabled = false\nhooks.after = ['x']\n"), true),
        (format!("{sync}[credentials]\nprovider = 'command'\ncommand = ['pass']\n"), true),
        (format!("{sync}[credentials]\ncommand = ['pass']\n"), false),
    ] {
        assert_eq!(read(&with(&text)).names_programs(), names, "{text}");
    }
}

#[test]
fn what_is_shown_is_read_back_as_the_same() {
    for text in ["", EVERYTHING, &with("[syncs.a]\nsource = 'laptop:a'\ndestination = 'offsite'\n")] {
        let configuration = read(text);
        let shown = show(&configuration);
        assert_eq!(parse(&shown, &context()).as_ref(), Ok(&configuration), "{shown}");
        assert_eq!(show(&read(&shown)), shown);
    }
}

#[test]
fn a_file_cut_anywhere_is_read_or_refused() {
    let whole = read(EVERYTHING);
    for (end, _) in EVERYTHING.char_indices() {
        match parse(EVERYTHING.get(..end).expect("a character begins here"), &context()) {
            Err(mistakes) => assert!(!mistakes.to_list().is_empty() && !mistakes.render(Colour::Plain).is_empty()),
            // What is left says nothing that the whole does not say: numbers apart, no value of TOML can be cut.
            Ok(part) => {
                assert!(part.syncs.keys().all(|name| whole.syncs.contains_key(name)), "cut at {end}");
                assert!(
                    part.volumes.iter().all(|(name, volume)| {
                        let whole = whole.volumes.get(name).expect("the volume");
                        let (VolumeRoot::Drive(part), VolumeRoot::Drive(whole)) = (&volume.root, &whole.root) else {
                            return volume == whole || matches!(volume.root, VolumeRoot::Server(_));
                        };
                        part.uuid == whole.uuid
                    }),
                    "cut at {end}"
                );
            }
        }
    }
}

#[test]
fn a_thousand_syncs_are_read() {
    let mut text = with("");
    for i in 0..1000 {
        let _ = write!(text, "[syncs.s{i}]\nsource = 'laptop:d{i}'\ndestination = 'usb:d{i}'\nsnapshots = 'btrfs'\n");
    }
    assert_eq!(read(&text).syncs.len(), 1000);
}

proptest! {
    #[test]
    fn random_edits_never_panic(
        edits in prop::collection::vec(
            (0..EVERYTHING.len(), 0_usize..40, "[\\[\\]{}='\"#.,a-z0-9\n\u{0}-\u{1f}é-]{0,8}"),
            1..6,
        ),
    ) {
        let mut text = EVERYTHING.to_owned();
        for (at, removed, added) in edits {
            let at = at.min(text.len());
            let start = (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            let end = (start + removed).min(text.len());
            let end = (end..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
            text.replace_range(start..end, &added);
        }
        match parse(&text, &context()) {
            Ok(configuration) => prop_assert_eq!(parse(&show(&configuration), &context()), Ok(configuration)),
            Err(mistakes) => {
                prop_assert!(!mistakes.to_list().is_empty());
                prop_assert!(!mistakes.render(Colour::Styled).is_empty() && !mistakes.summary().is_empty());
            }
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Err(mistakes) = parse_bytes(&bytes, &context()) {
            prop_assert!(!mistakes.render(Colour::Plain).is_empty());
        }
    }
}

#[test]
fn an_address_that_reports_nothing_is_refused() {
    for text in ["ping.example.org", "ftp://example.org", "https://a b", "-x", ""] {
        refused(&with(&format!("[monitoring]\nping = '{text}'\n")), &["no address to which runs can be reported"]);
    }
    refused(&with("[monitoring]\ntextfile = 'nbkp.prom'\n"), &["nbkp.prom"]);
}
