//! The JSON Schema of the configuration file (draft 2020-12), for editors.

use serde_json::{Map, Value, json};

use super::keys::{self, Keys, Need, Shape};
use super::{rsync_options, ssh_options};

/// The grammar of the names that a file gives.
const NAME: &str = "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$";

/// The JSON Schema of the configuration file, with a line end.
#[must_use]
pub fn schema() -> String {
    let mut schema = object(keys::FILE);
    schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".to_owned(), json!("Configuration of Nomad Backup"));
    let mut schema = Value::Object(schema);
    for (place, more) in together() {
        if let (Some(Value::Object(there)), Value::Object(more)) = (schema.pointer_mut(&place), more) {
            there.extend(more);
        }
    }
    format!("{schema:#}\n")
}

/// What holds of several keys together, and of lists, by the place of the table or list in the schema.
fn together() -> Vec<(String, Value)> {
    let of = |table: &str, more: Value| (format!("/properties/{table}"), more);
    let mut all = vec![
        of("volumes/additionalProperties", volume()),
        of("groups/additionalProperties/properties/volumes", json!({ "minItems": 1, "uniqueItems": true })),
        of(
            "ssh-endpoints/additionalProperties",
            json!({ "anyOf": [{ "required": ["host"] }, { "required": ["extends"] }] }),
        ),
        of("ssh-endpoints/additionalProperties/properties/options/items", json!({ "pattern": ssh_options::pattern() })),
        of(
            "credentials",
            json!({
                "if": { "properties": { "provider": { "const": "command" } }, "required": ["provider"] },
                "then": { "required": ["command"], "properties": { "command": { "minItems": 1 } } },
            }),
        ),
        of("credentials/properties/command", command()),
    ];
    for table in ["defaults", "syncs/additionalProperties"] {
        let mut of = |place: &str, more: Value| all.push((format!("/properties/{table}{place}"), more));
        of("", json!({ "not": { "required": ["keep", "max-snapshots"] } }));
        of("/properties/keep/anyOf/0", keeps_something());
        for list in ["options", "extra-options"] {
            let place = format!("/properties/rsync/properties/{list}/items");
            of(&place, json!({ "pattern": rsync_options::pattern() }));
        }
        let recursing = json!({ "contains": { "pattern": "^(--archive|--recursive|-[^-]*[ar].*)$" } });
        of("/properties/rsync/properties/options", recursing);
        for hook in keys::HOOKS.iter().copied().flatten() {
            of(&format!("/properties/hooks/properties/{}", hook.name), command());
        }
    }
    all
}

/// A volume is in one place, and what is for drives is for drives.
fn volume() -> Value {
    let absolute = json!({ "path": { "pattern": "^(?!.*(^|/)\\.\\.(/|$))(~|~?/.*)$" } });
    let elsewhere = json!({ "anyOf": [{ "required": ["drive"] }, { "required": ["ssh"] }] });
    json!({
        "anyOf": [{ "required": ["path"] }, { "required": ["drive"] }, { "required": ["ssh"] }],
        "if": { "required": ["ssh"] },
        "then": { "properties": { "ssh": { "minItems": 1, "uniqueItems": true } } },
        "else": { "not": { "required": ["path", "drive"] }, "properties": absolute },
        "dependentSchemas": { "git": { "required": ["path"], "not": elsewhere } },
        "dependentRequired": { "mount": ["drive"], "passphrase": ["drive", "mount"], "when-done": ["drive"] },
    })
}

/// One of the counts is not zero.
fn keeps_something() -> Value {
    let counts = keys::KEEP
        .iter()
        .copied()
        .flatten()
        .map(|count| json!({ "required": [count.name], "properties": { count.name: { "minimum": 1 } } }));
    json!({ "anyOf": counts.collect::<Vec<_>>() })
}

/// A program that is no option and no relative path, and its arguments.
fn command() -> Value {
    let program = "^(/.*|~/.*|[^-/~\\x00-\\x1f\\x7f][^/\\x00-\\x1f\\x7f]*)$";
    json!({ "prefixItems": [{ "type": "string", "pattern": program }] })
}

fn object(keys: Keys) -> Map<String, Value> {
    let properties = keys.iter().copied().flatten().map(|key| {
        let mut value = value(&key.shape);
        value.insert("description".to_owned(), json!(key.about));
        (key.name.to_owned(), Value::Object(value))
    });
    let mut object = fields(json!({ "type": "object", "additionalProperties": false }));
    object.insert("properties".to_owned(), Value::Object(properties.collect()));
    let needed = keys.iter().copied().flatten().filter(|key| key.need == Need::Always).map(|key| key.name);
    let needed: Vec<_> = needed.collect();
    if !needed.is_empty() {
        object.insert("required".to_owned(), json!(needed));
    }
    object
}

fn value(shape: &Shape) -> Map<String, Value> {
    match shape {
        Shape::Switch => fields(json!({ "type": "boolean" })),
        Shape::Whole(least, most) => fields(json!({ "type": "integer", "minimum": least, "maximum": most })),
        Shape::Text => fields(json!({ "type": "string" })),
        Shape::Pattern(pattern, _) => fields(json!({ "type": "string", "pattern": pattern })),
        Shape::Choice(texts) => fields(json!({ "enum": texts })),
        Shape::List(entry) => fields(json!({ "type": "array", "items": value(entry) })),
        Shape::Table(keys) => object(keys),
        Shape::OneOf(keys) => {
            let mut one = object(keys);
            one.extend(fields(json!({ "minProperties": 1, "maxProperties": 1 })));
            one
        }
        Shape::Named(keys) => fields(
            json!({ "type": "object", "propertyNames": { "pattern": NAME }, "additionalProperties": object(keys) }),
        ),
        Shape::Either(shapes) => fields(json!({ "anyOf": shapes.iter().map(value).collect::<Vec<_>>() })),
    }
}

/// The fields of a literal object.
fn fields(value: Value) -> Map<String, Value> {
    if let Value::Object(fields) = value { fields } else { Map::new() }
}
