//! The JSON Schema of the configuration file (draft 2020-12), for editors.

use serde_json::{Map, Value, json};

use super::keys::{self, Keys, Need, Shape};

/// The grammar of the names that a file gives.
const NAME: &str = "^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$";

/// The JSON Schema of the configuration file, with a line end.
#[must_use]
pub fn schema() -> String {
    let mut schema = object(keys::FILE);
    schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".to_owned(), json!("Configuration of Nomad Backup"));
    format!("{:#}\n", Value::Object(schema))
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
