//! How mistakes in a configuration file look to the person who made them: each `tests/config/bad/*.toml` beside the
//! text that is shown for it. `SNAPSHOTS=overwrite` writes the texts anew.

#[path = "common/required.rs"]
mod required;
use std::error::Error;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use nbkp::formats::config::{Colour, Context, Doubt, Mistakes, Surroundings, check, parse};
use nbkp::formats::python_tool::import;
use nbkp::model::{Filter, RsyncOptions, Volume, VolumeRoot};
use proptest::prelude::*;
use snapbox::{Data, assert_data_eq};

/// Reads a bad file and compares what is shown with the text beside it.
fn shown(name: &str) -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/bad");
    let text = std::fs::read_to_string(folder.join(name).with_extension("toml"))?;
    let context = Context { file: "config.toml".into(), home: "/home/a".into() };
    let Err(mistakes) = parse(&text, &context) else { return Err("the file has no mistakes".into()) };
    let expected = Data::read_from(&folder.join(name).with_extension("txt"), None);
    assert_data_eq!(mistakes.render(Colour::Plain), expected.raw());
    Ok(())
}

#[test]
fn what_can_be_used_and_is_hardly_meant() -> Result<(), Box<dyn Error>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/doubtful");
    let text = std::fs::read(folder.join("all.toml"))?;
    let context = Context { file: "config.toml".into(), home: "/home/a".into() };
    let around = Surroundings {
        rules: &|file| match file.to_str() {
            Some("/home/a/excludes.txt") => Ok(b"# a list\n.cache\n*.tmp\n".to_vec()),
            Some("/home/a/patterns") => Ok(b"- ok\n- ~/x\n+ {a,b}\n".to_vec()),
            _ => Err("read it: No such file or directory (os error 2)".to_owned()),
        },
        drive: &|uuid, _| {
            let doubt = Doubt { message: "it is a partition".into(), help: "write another".into() };
            (uuid.as_str() == "aaaa-0001").then_some(doubt)
        },
        is_there: &|path| {
            ["/var", "/home", "/home/a", "/home/a/Documents"].into_iter().any(|there| path == Path::new(there))
        },
    };
    let checked = check(&text, &context, &around).map_err(|mistakes| mistakes.summary())?;
    let expected = Data::read_from(&folder.join("all.txt"), None);
    assert_data_eq!(checked.warnings.render(Colour::Plain), expected.raw());
    // A file that means what it says is not nagged about.
    let everything = std::fs::read(folder.with_file_name("everything.toml"))?;
    let readable = Surroundings { rules: &|_| Ok(b"- *.o\n".to_vec()), ..around };
    let checked = check(&everything, &context, &readable).map_err(|mistakes| mistakes.summary())?;
    assert_eq!(checked.warnings.to_list(), []);
    Ok(())
}

/// The folder with configurations of the Python tool.
fn of_the_python_tool() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config/python")
}

#[test]
fn the_configuration_of_the_python_tool_is_taken_over_whole() -> Result<(), Box<dyn Error>> {
    let folder = of_the_python_tool();
    let context = Context { file: "config.yaml".into(), home: "/home/a".into() };
    for entry in std::fs::read_dir(&folder)? {
        let file = entry?.path();
        if file.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let imported = import(&std::fs::read(&file)?, &context).map_err(|mistakes| mistakes.summary())?;
        let expected = Data::read_from(&file.with_extension("toml"), None);
        assert_data_eq!(&imported.text, expected.raw());
        parse(&imported.text, &context).map_err(|mistakes| format!("{}: {mistakes}", file.display()))?;
        let said = imported.text.matches("# Left out: ").count();
        assert_eq!(imported.left_out.len(), said, "{:#?}", imported.left_out);
        assert!(imported.text.lines().all(|line| !line.starts_with('#') || line.chars().count() <= 78));
    }
    Ok(())
}

/// Our own options delete. Who replaced those of the Python tool, by none or by what is left out here, never gets them.
#[test]
fn who_replaced_the_options_never_gets_ours() -> Result<(), Box<dyn Error>> {
    let context = Context { file: "config.yaml".into(), home: "/home/a".into() };
    for (options, expected) in [
        ("default-options-override: []", None),
        ("default-options-override: [--progress]", None),
        ("default-options-override: [--delete]", None),
        ("default-options-override: [-e]", None),
        ("default-options-override: [], extra-options: [-rt]", Some(&["-rt"][..])),
        (
            "default_options_override: [--progress], extra_options: [-v, -a, --bwlimit, '5']",
            Some(&["-a", "--bwlimit=5"]),
        ),
        ("default-options-override: [-a], extra-options: []", Some(&["-a"])),
    ] {
        let yaml = format!(
            "volumes: {{a: {{type: local, path: /a}}, b: {{type: local, path: /b}}}}\n\
             sync-endpoints: {{a: {{volume: a}}, b: {{volume: b}}}}\n\
             syncs: {{s: {{source: a, destination: b, rsync-options: {{{options}}}}}}}\n"
        );
        let imported = import(yaml.as_bytes(), &context).map_err(|mistakes| mistakes.summary())?;
        let configuration = parse(&imported.text, &context).map_err(|mistakes| mistakes.summary())?;
        let sync = configuration.syncs.values().next().ok_or("there is no sync")?;
        match (&sync.rsync.options, expected) {
            (RsyncOptions::Replaced(options), Some(expected)) => {
                assert!(sync.enabled && options == expected, "{}", imported.text);
                assert!(sync.rsync.extra_options.is_empty(), "{}", imported.text);
            }
            (RsyncOptions::Default, None) => {
                assert!(!sync.enabled, "{}", imported.text);
                assert!(imported.text.contains("copy no directory") || options.contains("-e"), "{}", imported.text);
            }
            (other @ (RsyncOptions::Default | RsyncOptions::Replaced(_)), _) => {
                return Err(format!("{options}: {other:?}\n{}", imported.text).into());
            }
        }
    }
    Ok(())
}

/// Who reads the `latest` that another sync writes is off where that one is, and so is who reads what this one writes.
#[test]
fn a_reader_is_off_with_its_writer() -> Result<(), Box<dyn Error>> {
    let context = Context { file: "config.yaml".into(), home: "/home/a".into() };
    let history = "hard-link-snapshots: {enabled: true}";
    for (what, first, kept, second, on) in [
        ("all is well", "", history, "", "first second third"),
        ("the writer is left out", "source: bad", history, "", ""),
        ("it is off for an option", "rsync-options: {extra-options: [-e]}", history, "", ""),
        ("it was off there, too", "enabled: false", history, "", "second third"),
        ("it was off there, and is left out", "source: bad, enabled: false", history, "", ""),
        ("a mirror is left out", "source: bad", "slug: x", "", ""),
        ("the reader is left out", "", history, "filter-file: relative", "first"),
        ("the reader was off there", "source: bad", history, "enabled: false", "third"),
        ("another name of the place has no history", "destination: plain", history, "", "first"),
        ("another name of the place has history", "destination: old", "slug: x", "", "first"),
    ] {
        let mut one = String::from("source: a, destination: b");
        for change in first.split(", ").filter(|change| !change.is_empty()) {
            let key = change.split(':').next().unwrap_or_default();
            let rest: Vec<&str> = one.split(", ").filter(|part| !part.starts_with(&format!("{key}:"))).collect();
            one = format!("{}, {change}", rest.join(", ")).trim_start_matches(", ").to_owned();
        }
        let two = format!("source: b, destination: c{}{second}", if second.is_empty() { "" } else { ", " });
        let yaml = format!(
            "volumes:\n  a: {{type: local, path: /a}}\n  b: {{type: local, path: /b}}\n  \
             bad: {{type: local, path: relative}}\n\
             sync-endpoints:\n  a: {{volume: a}}\n  b: {{volume: b, subdir: b, {kept}}}\n  bad: {{volume: bad}}\n  \
             plain: {{volume: b, subdir: b/}}\n  old: {{volume: b, subdir: b//., {history}}}\n  \
             c: {{volume: b, subdir: c}}\n  below: {{volume: b, subdir: c/below}}\n  d: {{volume: b, subdir: d}}\n\
             syncs:\n  third: {{source: below, destination: d}}\n  second: {{{two}}}\n  first: {{{one}}}\n"
        );
        let imported =
            import(yaml.as_bytes(), &context).map_err(|mistakes| format!("{what}: {}", mistakes.summary()))?;
        let configuration = parse(&imported.text, &context).map_err(|mistakes| mistakes.summary())?;
        let are_on = configuration.syncs.values().filter(|sync| sync.enabled);
        let are_on = are_on.map(|sync| sync.name.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(are_on, on, "{what}:\n{}", imported.text);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    /// Any text, at any place where one may stand: it is read back as it is, or stays in comments.
    #[test]
    fn no_text_of_the_other_file_becomes_anything_else_here(
        text in r#"[ -~\n\r\t\x7f\u{85}\u{2028}\u{202e}é"'\\\[\]=#]{1,40}|[a-z \n"'#\[\]=]{1,30}|\PC{1,20}"#,
    ) {
        let fail = |mistakes: Mistakes| TestCaseError::fail(mistakes.summary());
        let context = Context { file: "config.yaml".into(), home: "/home/a".into() };
        let imported = import(with_text_everywhere(&text).as_bytes(), &context).map_err(fail)?;
        let configuration = parse(&imported.text, &context).map_err(fail)?;
        prop_assert!(configuration.syncs.keys().all(|name| ["s", "t"].contains(&name.as_str())), "{}", imported.text);
        let volumes = ["a", "b", "c", "d"];
        prop_assert!(configuration.volumes.keys().all(|name| volumes.contains(&name.as_str())), "{}", imported.text);
        prop_assert!(configuration.locations.is_empty(), "{}", imported.text);
        let b = configuration.volumes.values().find(|volume| volume.name.as_str() == "b");
        if let Some(Volume { root: VolumeRoot::Directory(path), .. }) = b {
            prop_assert!(path == Path::new(&format!("/{text}")), "{}", imported.text);
        }
        if let Some(sync) = configuration.syncs.values().find(|sync| sync.enabled && sync.name.as_str() == "s") {
            prop_assert!(sync.filters.contains(&Filter::Exclude(format!("x{text}"))), "{}", imported.text);
        }
        // Nothing of it is obeyed by a terminal.
        let is_obeyed = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        prop_assert!(!imported.text.contains(is_obeyed), "{}", imported.text.escape_debug());
    }
}

/// A configuration of the Python tool with a text at each place that takes any.
fn with_text_everywhere(text: &str) -> String {
    const YAML: &str = r"
credential-provider: command
credential-command: [TEXT, show, '{id}']
ssh-endpoints:
  e: {host: TEXT, user: TEXT, key: TEXT, location: TEXT}
  f: {host: f, locations: [home, TEXT], stranger: TEXT, connection-options: {known-hosts-file: TEXT}}
volumes:
  a: {type: local, path: /a}
  b: {type: local, path: /TEXT}
  c:
    type: local
    path: TEXT
    mount: {device-uuid: TEXT, strategy: TEXT, encryption: {type: luks, passphrase-id: TEXT}}
  d: {type: remote, ssh-endpoint: f, path: TEXT}
sync-endpoints:
  a: {volume: a}
  b: {volume: a, subdir: TEXT}
  c: {volume: d, subdir: ok, hard-link-snapshots: {enabled: true}}
  e: {volume: b, subdir: e}
syncs:
  s: {source: a, destination: e, filters: [{exclude: xTEXT}]}
  t:
    source: c
    destination: b
    filters: [TEXT, {dir-merge: TEXT}, {merge: TEXT}]
    filter-file: TEXT
    rsync-options: {extra-options: [TEXT, --xTEXT], stranger: TEXT}
";
    let quoted = |before: &str| {
        let escaped = format!("{before}{text}").chars().fold(String::new(), |mut escaped, c| {
            let written = match c {
                '"' | '\\' => write!(escaped, "\\{c}"),
                ' '..='~' => write!(escaped, "{c}"),
                c => write!(escaped, "\\U{:08x}", u32::from(c)),
            };
            assert!(written.is_ok());
            escaped
        });
        format!("\"{escaped}\"")
    };
    let parts = YAML.split("TEXT");
    let mut yaml = String::new();
    for part in parts {
        let before = ["--x", "x", "/"].into_iter().find(|before| yaml.ends_with(before)).unwrap_or_default();
        if !yaml.is_empty() {
            yaml.truncate(yaml.len() - before.len());
            yaml += &quoted(before);
        }
        yaml += part;
    }
    yaml
}

/// Whatever a person leaves out or mistypes: mistakes are told, or what comes out is a configuration.
#[test]
fn what_is_taken_over_is_a_configuration_whatever_comes_in() -> Result<(), Box<dyn Error>> {
    let context = Context { file: "config.yaml".into(), home: "/home/a".into() };
    let (mut taken, mut refused) = (0, 0);
    for name in ["everything.yaml", "refused.yaml"] {
        let text = std::fs::read_to_string(of_the_python_tool().join(name))?;
        let lines: Vec<&str> = text.lines().collect();
        for at in 0..lines.len() {
            let bare = lines.get(at).and_then(|line| line.split_once(": ")).map_or("", |(key, _)| key);
            for change in [String::new(), format!("{bare}: /.. -x\u{1b}")] {
                let mut changed = lines.clone();
                changed.splice(at..=at, [change.as_str()]);
                match import(changed.join("\n").as_bytes(), &context) {
                    Ok(imported) => {
                        parse(&imported.text, &context).map_err(|mistakes| format!("line {at}: {mistakes}"))?;
                        taken += 1;
                    }
                    Err(mistakes) => {
                        assert!(!mistakes.to_list().is_empty());
                        refused += 1;
                    }
                }
            }
        }
    }
    assert!(taken > 50 && refused > 50, "{taken} taken over, {refused} refused");
    Ok(())
}

#[test]
fn what_is_no_configuration_of_the_python_tool_is_told_with_its_line() -> Result<(), Box<dyn Error>> {
    let context = Context { file: "config.yaml".into(), home: "/home/a".into() };
    for entry in std::fs::read_dir(of_the_python_tool().join("bad"))? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "yaml") {
            let Err(mistakes) = import(&std::fs::read(&file)?, &context) else {
                return Err(format!("{} has no mistakes", file.display()).into());
            };
            let expected = Data::read_from(&file.with_extension("txt"), None);
            assert_data_eq!(mistakes.render(Colour::Plain), expected.raw());
        }
    }
    Ok(())
}

/// What is tried with the schema of editors: lines of a file (`|` for a line end) that are refused by a check, and by
/// the schema.
const REFUSED: &str = r#"
[volumes.x]
[volumes.x]|path="home/a"
[volumes.x]|path="/a/../b"
[volumes.x]|path="/a"|drive="2d577679-a7b6-429d-8250-3d0d80e034df"
[volumes.x]|path="/a"|mount=true
[volumes.x]|drive="2d577679-a7b6-429d-8250-3d0d80e034df"|passphrase="x"
[volumes.x]|ssh=[]
[groups.g]|volumes=[]
[groups.g]|volumes=["usb","usb"]
[ssh-endpoints.e]|user="x"
[ssh-endpoints.e]|host="x"|options=["ProxyCommand=x"]
[ssh-endpoints.e]|host="x"|options=["StrictHostKeyChecking=no"]
[ssh-endpoints.e]|host="x"|user="-x"
[credentials]|provider="command"
[locations.l]|gateways=["xx"]
[locations.l]|subnets=["10.0.0.0"]
[defaults]|every="1.5h"
[defaults]|max-age="0s"
[defaults]|keep={last=0}
[defaults]|keep={}
[defaults]|keep={daily=1}|max-snapshots=2
[defaults]|rsync={extra-options=["--rsh=sh"]}
[defaults]|rsync={extra-options=["--xatrs"]}
[defaults]|rsync={extra-options=["-ae"]}
[defaults]|rsync={options=["--delete"]}
[defaults]|rsync={bandwidth="0"}
[defaults]|filters=[{exclude=""}]
[defaults]|filters=[{exclude="a",include="b"}]
[defaults]|filters=["*.tmp"]
[defaults]|filters=[{dir-merge="a/b"}]
[defaults]|filters=[{merge="x"}]
[defaults]|filter-file="x"
[defaults]|hooks={before="x"}
[defaults]|hooks={before=["-x"]}
[defaults]|hooks={before=["bin/x"]}
[defaults]|when={hours="24:30-01:00"}
[defaults]|unchanged="never"
[defaults]|full-every="30d"
[syncs.b]|source="laptop:../x"|destination="usb:b"
[syncs.b]|source="laptop:/x"|destination="usb:b"
[syncs."b@c"]|source="laptop:x"|destination="usb:b"
"#;

/// What is right, by both.
const ACCEPTED: &str = r#"
[ssh-endpoints.e]|host="x"|options=["serveraliveinterval 15"]|[volumes.x]|ssh=["e"]|path="backups"
[ssh-endpoints.e]|host="x"|options=["StrictHostKeyChecking=accept-new"]|[volumes.x]|ssh=["e"]|path="backups"
[defaults]|rsync={extra-options=["-HAX","--max-size=1G","--no-owner"],options=["-rt"]}
[defaults]|filters=["H .git","merge,- ~/x","!","dir-merge,n- .rules",":C"]|hooks={before=["~/bin/x","-a/b"],after=[]}
[defaults]|keep={last=0,daily=3}|[syncs.b]|source="laptop:..x/y"|destination="usb:b"
[defaults]|unchanged="skip"|[syncs.b]|source="laptop:x"|destination="usb:b"|unchanged="snapshot"
"#;

/// Prints for each file of the directory whether the schema beside it takes it.
const VALIDATE: &str = r#"
import glob, json, sys, tomllib, jsonschema
schema = json.load(open(sys.argv[1] + "/schema.json"))
jsonschema.Draft202012Validator.check_schema(schema)
check = jsonschema.Draft202012Validator(schema)
for name in sorted(glob.glob(sys.argv[1] + "/*.toml")):
    print(name.rsplit("/", 1)[1], "right" if check.is_valid(tomllib.load(open(name, "rb"))) else "refused")
"#;

#[test]
#[expect(clippy::disallowed_methods, reason = "the schema is tried by a validator that others wrote")]
fn editors_refuse_what_a_check_refuses() -> Result<(), Box<dyn Error>> {
    let python = |script: &str, argument: &Path| Command::new("python3").args(["-c", script]).arg(argument).output();
    let place = tempfile::tempdir()?;
    if !python("import jsonschema, tomllib", place.path()).is_ok_and(|output| output.status.success()) {
        assert!(!crate::required::all_must_run(), "this test needs python3-jsonschema");
        eprintln!("skipped: this test needs a JSON Schema validator (`apt install python3-jsonschema`)");
        return Ok(());
    }
    std::fs::write(place.path().join("schema.json"), nbkp::formats::config::schema())?;
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config");
    // A schema cannot say that places overlap, and what is not TOML never comes to it.
    for name in ["everything", "bad/names", "bad/values"] {
        let copy = place.path().join(name.replace('/', "-")).with_extension("toml");
        std::fs::copy(own.join(name).with_extension("toml"), copy)?;
    }
    let base =
        "[volumes.laptop]|path='~'|[volumes.usb]|drive='5E3F-1A2B'|[syncs.a]|source='laptop:a'|destination='usb:a'";
    let context = Context { file: "config.toml".into(), home: "/home/a".into() };
    let mut expected = String::from("bad-names.toml refused\nbad-values.toml refused\neverything.toml right\n");
    for (kind, samples, word) in [("no", REFUSED, "refused"), ("yes", ACCEPTED, "right")] {
        for (number, sample) in samples.lines().filter(|line| !line.is_empty()).enumerate() {
            let text = format!("{base}|{sample}|").replace('|', "\n");
            let checked = parse(&text, &context);
            assert_eq!(checked.is_err(), word == "refused", "{sample}: {checked:?}");
            std::fs::write(place.path().join(format!("{kind}-{number:02}.toml")), text)?;
            writeln!(expected, "{kind}-{number:02}.toml {word}")?;
        }
    }
    let output = python(VALIDATE, place.path())?;
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[test]
fn names_that_lead_nowhere() -> Result<(), Box<dyn Error>> {
    shown("names")
}

#[test]
fn values_that_mean_nothing_or_harm() -> Result<(), Box<dyn Error>> {
    shown("values")
}

#[test]
fn syncs_that_stand_in_each_others_way() -> Result<(), Box<dyn Error>> {
    shown("overlap")
}

#[test]
fn what_is_not_toml() -> Result<(), Box<dyn Error>> {
    shown("syntax")
}
