//! Whether answers are as the interface's OpenAPI document says: asked of every answer of every story.

use std::sync::LazyLock;

use reqwest::Method;
use serde_json::Value;

use crate::world::Answer;

static DOCUMENT: LazyLock<Value> = LazyLock::new(app_manager::openapi);

/// Where an answer is not as it is described.
pub(crate) fn flaw(method: &Method, path: &str, answer: &Answer) -> Option<String> {
    let responses = &operation(method, path)?["responses"];
    let exact = responses.get(answer.status.to_string());
    if (200..300).contains(&answer.status) && exact.is_none() {
        return Some(format!("it answers {}", answer.status));
    }
    let content = &resolved(exact.unwrap_or_else(|| &responses["default"]))["content"];
    let json = content.get("application/json").or_else(|| content.get("application/problem+json"));
    mismatch(&json?["schema"], &answer.body, "it")
}

/// A path that is written out is meant before one with a name in it.
fn operation(method: &Method, path: &str) -> Option<&'static Value> {
    let fits = |template: &str| {
        let (template, path) = (template.split('/'), path.split('/'));
        template.clone().count() == path.clone().count()
            && template.zip(path).all(|(part, given)| part.starts_with('{') || part == given)
    };
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let methods = paths
        .get(path)
        .or_else(|| paths.iter().find(|(template, _)| fits(template)).map(|(_, methods)| methods));
    methods?.get(method.as_str().to_ascii_lowercase())
}

fn resolved(value: &'static Value) -> &'static Value {
    match value.get("$ref").and_then(Value::as_str) {
        Some(reference) => DOCUMENT.pointer(reference.trim_start_matches('#')).unwrap(),
        None => value,
    }
}

/// Where a value is not as a schema says, in the words of schemas that the document uses.
fn mismatch(schema: &'static Value, value: &Value, at: &str) -> Option<String> {
    let schema = resolved(schema);
    if let Some(choices) = schema.get("oneOf").and_then(Value::as_array) {
        let fitting = choices.iter().filter(|one| mismatch(one, value, at).is_none()).count();
        return (fitting != 1).then(|| format!("{at} fits {fitting} of the choices"));
    }
    let listed = schema.get("enum").and_then(Value::as_array);
    let is_one = listed.is_none_or(|listed| listed.contains(value))
        && schema.get("const").is_none_or(|only| only == value)
        && is_of_kind(schema, value);
    if !is_one {
        return Some(format!("{at} is {value}"));
    }
    if let Some(items) = value.as_array() {
        let item = schema.get("items")?;
        return items.iter().find_map(|value| mismatch(item, value, &format!("{at}[]")));
    }
    let fields = value.as_object()?;
    let required = schema.get("required").and_then(Value::as_array);
    let mut required = required.into_iter().flatten().filter_map(Value::as_str);
    if let Some(missing) = required.find(|name| !fields.contains_key(*name)) {
        return Some(format!("{at} has no {missing}"));
    }
    let others = schema.get("additionalProperties");
    fields.iter().find_map(|(name, value)| {
        let at = format!("{at}.{name}");
        match (schema.get("properties").and_then(|known| known.get(name)), others) {
            (None, Some(Value::Bool(false))) => Some(format!("{at} is not described")),
            (Some(known), _) | (None, Some(known)) => mismatch(known, value, &at),
            (None, None) => None,
        }
    })
}

fn is_of_kind(schema: &Value, value: &Value) -> bool {
    let is_of = |kind: &Value| match kind.as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => unreachable!("the document has no {other}"),
    };
    match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().any(is_of),
        Some(kind) => is_of(kind),
        None => true,
    }
}
