//! Writes additions into the text of a configuration: comments, order and everything else in it stay as they are.

use std::fmt;
use std::path::Path;

use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, Value};

use super::{Context, Mistakes, parse_bytes};
use crate::formats::duration;
use crate::model::{
    Additions, Configuration, Drive, Endpoint, EndpointName, Every, Filter, KeepRules, Mounting, Retention, Sync,
    Volume, VolumeRoot,
};

/// What a new file begins with.
const HEAD: &str = "\
# What nbkp copies, from where to where. `nbkpctl config check` finds mistakes,
# `nbkpctl config show` prints every key with its value.

";

/// A configuration with additions in it.
#[derive(Debug)]
pub struct Extended {
    /// The text.
    pub text: String,
    /// What it says.
    pub configuration: Configuration,
}

/// Why a configuration was not extended.
#[derive(Debug)]
pub enum ExtendError {
    /// It has mistakes, before anything comes into it or behind that.
    Mistakes(Mistakes),
    /// It is written in a way that takes nothing in, or would mean something else; these lines are what it lacks.
    Rigid(String),
}

impl fmt::Display for ExtendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mistakes(mistakes) => f.write_str(&mistakes.summary()),
            Self::Rigid(_) => f.write_str(
                "the file is written in a way that cannot be extended without changing it; add these lines by hand",
            ),
        }
    }
}

/// The text with the additions, checked as the daemon will read it: what was in it still means the same.
pub fn extend(old: &[u8], additions: &Additions, context: &Context) -> Result<Extended, ExtendError> {
    let before = parse_bytes(old, context).map_err(ExtendError::Mistakes)?;
    let rigid = || ExtendError::Rigid(added_lines(additions, &context.home));
    // It was read as UTF-8 and as TOML already.
    let old = std::str::from_utf8(old).map_err(|_| rigid())?;
    let is_new = old.trim().is_empty();
    let mut document: DocumentMut = old.parse().map_err(|_| rigid())?;
    add(&mut document, additions, &context.home).ok_or_else(rigid)?;
    let text = if is_new { format!("{HEAD}{}", document.to_string().trim_start()) } else { document.to_string() };
    let configuration = match parse_bytes(text.as_bytes(), context) {
        Ok(configuration) => configuration,
        // What was put in the wrong place is no mistake of whoever wrote the file.
        Err(mistakes) if is_well_formed(&text) => return Err(ExtendError::Mistakes(mistakes)),
        Err(_) => return Err(rigid()),
    };
    if holds_all_of(&configuration, &before, additions) { Ok(Extended { text, configuration }) } else { Err(rigid()) }
}

/// The additions alone, as they stand in a file.
#[must_use]
pub fn added_lines(additions: &Additions, home: &Path) -> String {
    let mut document = DocumentMut::new();
    // A file without anything takes everything in.
    let _ = add(&mut document, additions, home);
    document.to_string().trim_start().to_owned()
}

fn is_well_formed(text: &str) -> bool {
    text.parse::<DocumentMut>().is_ok()
}

fn holds_all_of(after: &Configuration, before: &Configuration, additions: &Additions) -> bool {
    let mut expected = before.clone();
    expected.endpoints.extend(additions.endpoints.iter().map(|new| (new.name.clone(), new.clone())));
    expected.volumes.extend(additions.volumes.iter().map(|new| (new.name.clone(), new.clone())));
    let mut seen = after.clone();
    // What a new sync says of itself may be completed by `[defaults]`.
    let new: Vec<_> = additions.syncs.iter().map(|sync| seen.syncs.remove(&sync.name)).collect();
    let as_wanted = new.iter().zip(&additions.syncs).all(|(seen, wanted)| {
        seen.as_ref().is_some_and(|seen| {
            (&seen.source, &seen.destination, seen.snapshots, &seen.filters)
                == (&wanted.source, &wanted.destination, wanted.snapshots, &wanted.filters)
        })
    });
    as_wanted && seen == expected
}

/// Puts the additions behind what is there of their kind; nothing, if a place for them is no table.
fn add(document: &mut DocumentMut, additions: &Additions, home: &Path) -> Option<()> {
    for new in &additions.endpoints {
        insert(document, "ssh-endpoints", new.name.as_str(), endpoint(new))?;
    }
    for new in &additions.volumes {
        insert(document, "volumes", new.name.as_str(), volume(new, home)?)?;
    }
    for new in &additions.syncs {
        insert(document, "syncs", new.name.as_str(), sync(new))?;
    }
    Some(())
}

fn insert(document: &mut DocumentMut, kind: &str, name: &str, mut table: Table) -> Option<()> {
    let root = document.as_table_mut();
    let last = root.get(kind).and_then(|item| last_position(item.as_table()?));
    // Nothing of this kind yet: it comes behind everything.
    let position = last.or_else(|| last_position(root));
    let place = root.entry(kind).or_insert_with(|| {
        let mut implicit = Table::new();
        implicit.set_implicit(true);
        Item::Table(implicit)
    });
    match place {
        Item::Table(place) => {
            table.set_position(position);
            place.insert(name, Item::Table(table));
        }
        Item::Value(Value::InlineTable(place)) => {
            place.insert(name, Value::InlineTable(table.into_inline_table()));
        }
        Item::None | Item::Value(_) | Item::ArrayOfTables(_) => return None,
    }
    Some(())
}

/// The place of the last table in a table, itself included.
fn last_position(table: &Table) -> Option<isize> {
    let below = table.iter().filter_map(|(_, item)| match item {
        Item::Table(table) => last_position(table),
        Item::ArrayOfTables(tables) => tables.iter().filter_map(last_position).max(),
        Item::None | Item::Value(_) => None,
    });
    below.max().max(table.position())
}

fn endpoint(new: &Endpoint) -> Table {
    let mut table = Table::new();
    table.insert("host", text(&new.host));
    if let Some(user) = &new.user {
        table.insert("user", text(user));
    }
    table
}

/// `None` for a path that is no text.
fn volume(new: &Volume, home: &Path) -> Option<Table> {
    let mut table = Table::new();
    match &new.root {
        VolumeRoot::Directory(path) => {
            table.insert("path", text(&local(path, home)?));
        }
        VolumeRoot::Drive(drive) => self::drive(&mut table, drive),
        VolumeRoot::Server(server) => {
            let endpoints: Array = server.endpoints.iter().map(EndpointName::as_str).collect();
            table.insert("ssh", Item::Value(endpoints.into()));
            if !server.path.as_os_str().is_empty() {
                table.insert("path", text(server.path.to_str()?));
            }
        }
    }
    Some(table)
}

fn drive(table: &mut Table, drive: &Drive) {
    table.insert("drive", text(drive.uuid.as_str()));
    if let Mounting::ForTheRun { passphrase } = &drive.mounting {
        table.insert("mount", Item::Value(true.into()));
        if let Some(passphrase) = passphrase {
            table.insert("passphrase", text(passphrase.as_str()));
        }
    }
}

fn local(path: &Path, home: &Path) -> Option<String> {
    match path.strip_prefix(home) {
        Ok(below) if home.parent().is_none() => Some(format!("/{}", below.to_str()?)),
        Ok(below) if below.as_os_str().is_empty() => Some("~".to_owned()),
        Ok(below) => Some(format!("~/{}", below.to_str()?)),
        Err(_) => path.to_str().map(str::to_owned),
    }
}

fn sync(new: &Sync) -> Table {
    let mut table = Table::new();
    table.insert("source", text(&new.source.to_string()));
    table.insert("destination", text(&new.destination.to_string()));
    table.insert("snapshots", text(&new.snapshots.to_string()));
    if let Retention::Rules(rules) = &new.keep {
        table.insert("keep", Item::Value(Value::InlineTable(keep(*rules))));
    }
    if let Every::Interval(every) = new.every {
        table.insert("every", text(&duration::format(every)));
    }
    if let Some(age) = new.max_age {
        table.insert("max-age", text(&duration::format(age)));
    }
    let filters: Vec<_> = new.filters.iter().filter_map(filter).collect();
    if !filters.is_empty() {
        table.insert("filters", Item::Value(Value::Array(one_a_line(filters))));
    }
    table
}

fn keep(rules: KeepRules) -> InlineTable {
    let KeepRules { last, hourly, daily, weekly, monthly, yearly } = rules;
    let all = [
        ("last", last),
        ("hourly", hourly),
        ("daily", daily),
        ("weekly", weekly),
        ("monthly", monthly),
        ("yearly", yearly),
    ];
    let wanted = all.into_iter().filter(|(_, count)| *count > 0);
    wanted.map(|(rule, count)| (rule, Value::from(i64::from(count)))).collect()
}

/// Only patterns are ever added.
fn filter(filter: &Filter) -> Option<Value> {
    let (kind, pattern) = match filter {
        Filter::Exclude(pattern) => ("exclude", pattern),
        Filter::Include(pattern) => ("include", pattern),
        Filter::Merge(_) | Filter::DirMerge(_) | Filter::Rule(_) => return None,
    };
    Some(Value::InlineTable([(kind, Value::from(pattern.as_str()))].into_iter().collect()))
}

fn one_a_line(values: Vec<Value>) -> Array {
    let mut array = Array::new();
    for mut value in values {
        value.decor_mut().set_prefix("\n  ");
        array.push_formatted(value);
    }
    array.set_trailing("\n");
    array.set_trailing_comma(true);
    array
}

fn text(text: &str) -> Item {
    Item::Value(Value::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Place, SnapshotKind, Subdir};

    const OLD: &str = "\
# mine
[daemon]
notify = \"none\" # quiet

[volumes.laptop] # this one
path = \"~\"

# about documents
[syncs.documents]
source = \"laptop:Documents\"
destination = \"laptop-copies:documents\"
[syncs.documents.guard]
max-delete = \"10%\"

# the copies
[volumes.laptop-copies]
path = \"/srv/copies\"
# the end
";

    fn context() -> Context {
        Context { file: "config.toml".into(), home: "/home/ada".into() }
    }

    fn additions() -> Additions {
        let place = |text: &str| {
            let (volume, subdir) = text.split_once(':').unwrap();
            Place { volume: volume.parse().unwrap(), subdir: subdir.parse::<Subdir>().unwrap() }
        };
        let drive = Drive {
            uuid: "5E3F-1A2B".parse().unwrap(),
            mounting: Mounting::ForTheRun { passphrase: Some("usb".parse().unwrap()) },
            when_done: crate::model::WhenDone::Leave,
        };
        let root = VolumeRoot::Drive(drive);
        let odd = VolumeRoot::Directory("/srv/\"odd\\\" 'path' #1/äß".into());
        let sync = Sync {
            snapshots: SnapshotKind::HardLink,
            keep: Retention::Rules(KeepRules { daily: 7, ..KeepRules::default() }),
            filters: vec![Filter::Exclude("/.cache/".into()), Filter::Exclude("*.\"x\"".into())],
            ..Sync::new("odd".parse().unwrap(), place("odd:a \"b\" 'c'"), place("usb:copies/odd"))
        };
        Additions {
            endpoints: Vec::new(),
            volumes: vec![
                Volume { name: "usb".parse().unwrap(), root, repositories: vec![] },
                Volume { name: "odd".parse().unwrap(), root: odd, repositories: vec![] },
            ],
            syncs: vec![sync],
        }
    }

    #[test]
    fn comments_and_order_stay_and_new_things_stand_behind_those_of_their_kind() {
        let extended = extend(OLD.as_bytes(), &additions(), &context()).unwrap();
        let text = &extended.text;
        let kept: Vec<&str> = OLD.lines().collect();
        let mut rest = text.lines();
        for line in &kept {
            assert!(rest.any(|found| found == *line), "{line:?} is not in its place in\n{text}");
        }
        let at = |wanted: &str| text.find(wanted).unwrap_or_else(|| panic!("no {wanted} in\n{text}"));
        assert!(at("[syncs.documents.guard]") < at("[syncs.odd]") && at("[syncs.odd]") < at("# the copies"), "{text}");
        assert!(at("[volumes.laptop-copies]") < at("[volumes.usb]"), "{text}");
        assert_eq!(extended.configuration.syncs.len(), 2);
    }

    #[test]
    fn a_new_file_begins_with_what_it_is() {
        let extended = extend(b"", &additions(), &context()).unwrap();
        assert!(extended.text.starts_with("# What nbkp copies"), "{}", extended.text);
        assert!(
            extended.text.contains("\n\n[volumes.usb]\ndrive = \"5e3f-1a2b\"\nmount = true\n"),
            "{}",
            extended.text
        );
        assert!(extended.text.contains("filters = [\n  { exclude = \"/.cache/\" },\n"), "{}", extended.text);
        assert!(added_lines(&additions(), Path::new("/home/ada")).starts_with("[volumes.usb]\n"));
    }

    #[test]
    fn odd_paths_are_read_back_as_they_are() {
        let extended = extend(b"", &additions(), &context()).unwrap();
        assert_eq!(extended.configuration.volumes.values().cloned().collect::<Vec<_>>(), {
            let mut volumes = additions().volumes;
            volumes.sort_by(|a, b| a.name.cmp(&b.name));
            volumes
        });
        let sync = extended.configuration.syncs.values().next().unwrap();
        assert_eq!(sync.filters, additions().syncs[0].filters);
    }

    #[test]
    fn tables_in_one_line_and_dotted_keys_are_extended_or_left_alone() {
        let inline = "volumes = { laptop = { path = \"~\" } }\n";
        let extended = extend(inline.as_bytes(), &additions(), &context()).unwrap();
        assert!(extended.text.contains("laptop = { path = \"~\" }"), "{}", extended.text);
        let dotted = "volumes.laptop.path = \"~\" # mine\n";
        match extend(dotted.as_bytes(), &additions(), &context()) {
            Ok(extended) => assert!(extended.text.contains("# mine"), "{}", extended.text),
            Err(ExtendError::Rigid(lines)) => assert!(lines.contains("[volumes.usb]"), "{lines}"),
            Err(ExtendError::Mistakes(mistakes)) => panic!("{}", mistakes.summary()),
        }
    }

    #[test]
    fn a_broken_file_is_not_extended_and_a_bad_addition_neither() {
        for old in ["[volumes.laptop\n", "[volumes.laptop]\npth = \"~\"\n"] {
            assert!(matches!(extend(old.as_bytes(), &additions(), &context()), Err(ExtendError::Mistakes(_))), "{old}");
        }
        let twice = Additions { volumes: Vec::new(), ..additions() };
        let error = extend(b"", &twice, &context()).unwrap_err();
        assert!(matches!(error, ExtendError::Mistakes(_)), "{error}");
    }

    #[test]
    fn directories_are_written_as_people_do() {
        let home = Path::new("/home/ada");
        for (path, home, written) in [
            ("/home/ada", home, "~"),
            ("/home/ada/x", home, "~/x"),
            ("/home/adam", home, "/home/adam"),
            ("/srv", Path::new("/"), "/srv"),
        ] {
            assert_eq!(local(Path::new(path), home).as_deref(), Some(written));
        }
    }
}
