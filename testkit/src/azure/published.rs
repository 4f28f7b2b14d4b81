//! What Azure publishes of its interface: `published.json`, and whether requests and answers keep it.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde_json::Value;

use super::path::Kind;

static PUBLISHED: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("published.json")).expect("the file is JSON")
});

/// The version of the interface that is spoken.
pub(super) fn version(kind: Kind) -> &'static str {
    PUBLISHED[kind.name()]["version"].as_str().expect("every kind has a version")
}

/// A field of a request for a resource that nobody knows.
pub(super) fn unknown_in_request(kind: Kind, body: &Value) -> Option<String> {
    unknown(&PUBLISHED[kind.name()]["takes"], body)
}

/// A field of a resource that Azure would not have.
#[cfg(test)]
pub(super) fn unknown_in_answer(kind: Kind, body: &Value) -> Option<String> {
    unknown(&PUBLISHED[kind.name()]["gives"], body)
}

/// Whether Azure answers a method, or a verb, so when nothing is wrong.
#[cfg(test)]
pub(super) fn may_answer(kind: Kind, method: &str, status: u16) -> bool {
    let answers = PUBLISHED[kind.name()]["answers"][method].as_array();
    answers.is_some_and(|answers| answers.contains(&status.into()))
}

fn unknown(known: &Value, body: &Value) -> Option<String> {
    let known: Option<Vec<&str>> =
        known.as_array().map(|known| known.iter().filter_map(Value::as_str).collect());
    let known = known.expect("every kind says what it knows");
    leaves(body, "").into_iter().find(|leaf| !known.contains(&leaf.as_str()))
}

/// The paths of all values that are not made of others.
fn leaves(value: &Value, path: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let name = if path == "tags" { "*" } else { name };
                let dot = if path.is_empty() { "" } else { "." };
                found.extend(leaves(value, &format!("{path}{dot}{name}")));
            }
        }
        Value::Array(entries) => {
            let path = format!("{path}[]");
            found.extend(entries.iter().flat_map(|entry| leaves(entry, &path)));
        }
        Value::Null => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            found.insert(path.to_owned());
        }
    }
    found
}
