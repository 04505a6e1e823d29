//! The table of keys, the parser, the schema and the reference know the same.

use super::*;

/// Every key of the table with its path and shape.
fn all_keys(keys: Keys, path: &str, found: &mut Vec<(String, &'static Shape)>) {
    for key in keys.iter().copied().flatten() {
        let path = format!("{path}/{}", key.name);
        found.push((path.clone(), &key.shape));
        inside(&key.shape, &path, found);
    }
}

fn inside(shape: &'static Shape, path: &str, found: &mut Vec<(String, &'static Shape)>) {
    match shape {
        Shape::Table(keys) | Shape::OneOf(keys) => all_keys(keys, path, found),
        Shape::Named(keys) => all_keys(keys, &format!("{path}/x"), found),
        Shape::List(entry) => inside(entry, path, found),
        Shape::Either(shapes) => shapes.iter().for_each(|shape| inside(shape, path, found)),
        Shape::Switch | Shape::Whole(..) | Shape::Text | Shape::Pattern(..) | Shape::Choice(_) => {}
    }
}

/// A file that holds one key with one value.
fn holding(path: &str, value: &str) -> String {
    let parts: Vec<_> = path.split('/').skip(1).collect();
    match parts.iter().position(|part| *part == "filters") {
        Some(at) if at + 1 < parts.len() => {
            format!("{} = [{{ {} = {value} }}]", parts[..=at].join("."), parts[at + 1])
        }
        _ => format!("{} = {value}", parts.join(".")),
    }
}

#[test]
fn every_key_of_the_table_is_read() {
    let mut keys = Vec::new();
    all_keys(FILE, "", &mut keys);
    assert!(keys.len() > 90, "{}", keys.len());
    for (path, _) in keys {
        // A date is right nowhere: whoever reads the key must say so, at its place.
        let text = holding(&path, "1979-05-27");
        let name = path.rsplit('/').next().unwrap();
        let found = mistakes(&text);
        assert!(found.iter().any(|m| m.contains("a date or time") && m.contains(name)), "{text}\n{found:#?}");
        assert!(found.iter().all(|m| !m.contains("no key")), "{text}\n{found:#?}");
    }
}

#[test]
fn every_choice_of_the_table_is_understood() {
    let mut keys = Vec::new();
    all_keys(FILE, "", &mut keys);
    let mut tried = 0;
    for (path, shape) in keys {
        let alternatives = if let Shape::Either(shapes) = shape { shapes } else { std::slice::from_ref(shape) };
        for shape in alternatives {
            let Shape::Choice(texts) = shape else { continue };
            for text in *texts {
                let found = mistakes(&holding(&path, &format!("'{text}'")));
                assert!(
                    found.iter().all(|m| !m.contains(" must be ") && !m.contains(" is not ")),
                    "{path} {text} {found:?}"
                );
                tried += 1;
            }
        }
    }
    assert!(tried > 20, "{tried}");
}

#[test]
fn schema_and_parser_know_the_same_keys() {
    fn properties(schema: &serde_json::Value, path: &str, found: &mut BTreeSet<String>) {
        for (name, value) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}/{name}");
            properties(value, &path, found);
            found.insert(path);
        }
        for inner in schema["anyOf"].as_array().into_iter().flatten().chain(schema.get("items")) {
            properties(inner, path, found);
        }
        if let Some(named) = schema.get("additionalProperties").filter(|value| value.is_object()) {
            properties(named, &format!("{path}/x"), found);
        }
    }
    let schema: serde_json::Value = serde_json::from_str(&schema()).expect("JSON");
    let mut in_schema = BTreeSet::new();
    properties(&schema, "", &mut in_schema);
    let mut keys = Vec::new();
    all_keys(FILE, "", &mut keys);
    assert_eq!(in_schema, keys.into_iter().map(|(path, _)| path).collect());
    assert_eq!(schema["properties"]["syncs"]["additionalProperties"]["required"][0], "source");
}

#[test]
fn the_reference_names_every_key() {
    let page = include_str!("../../../../docs/configuration.md");
    let mut keys = Vec::new();
    all_keys(FILE, "", &mut keys);
    for (path, _) in keys {
        let name = path.rsplit('/').next().unwrap();
        let told = [format!("`{name}`"), format!("{name} = "), format!("[{name}"), format!("{name}: ")];
        assert!(told.iter().any(|told| page.contains(told)), "{path}");
    }
    let examples = page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    let whole: Vec<_> = examples.filter(|example| example.contains("[volumes.usb]")).collect();
    assert_eq!(whole, [FIRST]);
    read(FIRST);
}
