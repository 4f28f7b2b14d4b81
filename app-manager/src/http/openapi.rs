//! `GET /api/v1/openapi.json`: the interface as an OpenAPI 3.1 document.
//!
//! Owns how the table of routes becomes a document: paths, methods, parameters and callers are those of the rows. The
//! words and the shapes of bodies, which no row has, stand in `openapi/words.json`; each row has its words there.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use chassis::http::Endpoint;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::endpoints::ENDPOINTS;
use crate::domain::access::{Action, Grant, Role, grant};

/// The header of each operation that says whom it lets in.
const CALLERS: &str = "x-callers";

static TEXT: LazyLock<String> = LazyLock::new(|| openapi().to_string());

/// What no row of the table has.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    info: Map<String, Value>,
    tags: Value,
    /// Of the parameters in paths, by name.
    parameters: BTreeMap<String, Map<String, Value>>,
    /// By `METHOD path`.
    operations: BTreeMap<String, Map<String, Value>>,
    components: Value,
}

impl Words {
    fn read() -> Self {
        let text = include_str!("openapi/words.json");
        serde_json::from_str(text).expect("the file is part of the program, and a test reads it")
    }
}

pub(super) async fn show() -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::json()).body(TEXT.as_str())
}

/// The interface as an OpenAPI 3.1 document.
pub fn openapi() -> Value {
    let mut words = Words::read();
    words.info.insert("version".to_owned(), json!(env!("CARGO_PKG_VERSION")));
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for row in ENDPOINTS {
        let methods = paths.entry(row.path).or_default();
        let method = row.method.as_str().to_ascii_lowercase();
        let operation = methods.entry(method).or_insert_with(|| operation(row, &words));
        // A route that stands twice takes two kinds of bodies, each from its own callers.
        if let Some(Value::Array(known)) = operation.get_mut(CALLERS) {
            let new: Vec<Value> =
                callers(row.access).filter(|caller| !known.contains(caller)).collect();
            known.extend(new);
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": words.info,
        "tags": words.tags,
        "paths": paths,
        "components": words.components,
    })
}

fn operation(row: &Endpoint<Action>, words: &Words) -> Value {
    let route = format!("{} {}", row.method, row.path);
    let mut operation = words.operations.get(&route).cloned().unwrap_or_default();
    operation.insert("operationId".to_owned(), json!(id(&route)));
    let mut parameters: Vec<Value> =
        row.path.split('/').filter_map(|segment| parameter(segment, words)).collect();
    if let Some(Value::Array(others)) = operation.remove("parameters") {
        parameters.extend(others);
    }
    if !parameters.is_empty() {
        operation.insert("parameters".to_owned(), Value::Array(parameters));
    }
    let otherwise = match row.document {
        None => "#/components/responses/Problem",
        Some(_) => "#/components/responses/Failure",
    };
    if let Some(Value::Object(responses)) = operation.get_mut("responses") {
        responses.insert("default".to_owned(), json!({ "$ref": otherwise }));
    }
    if row.access != Action::SignIn {
        operation.insert("security".to_owned(), json!([{ "token": [] }]));
        operation.insert(CALLERS.to_owned(), Value::Array(Vec::new()));
    }
    Value::Object(operation)
}

/// `get_api_v1_apps_app` of `GET /api/v1/apps/{app}`.
fn id(route: &str) -> String {
    let words = route.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join("_").to_ascii_lowercase()
}

/// The parameter that a segment of a path is, if it is one.
fn parameter(segment: &str, words: &Words) -> Option<Value> {
    let name = segment.strip_prefix('{')?.strip_suffix('}')?;
    let mut parameter = words.parameters.get(name).cloned().unwrap_or_default();
    parameter.insert("name".to_owned(), json!(name));
    parameter.insert("in".to_owned(), json!("path"));
    parameter.insert("required".to_owned(), json!(true));
    Some(Value::Object(parameter))
}

/// Who may come in: `dev (own)` where a role may do it to what is its own.
fn callers(action: Action) -> impl Iterator<Item = Value> {
    Role::ALL.into_iter().filter_map(move |role| match grant(role, action) {
        Grant::Nothing => None,
        Grant::Own => Some(json!(format!("{role} (own)"))),
        Grant::OwnAndOfOwnApps => Some(json!(format!("{role} (own, and of own apps)"))),
        Grant::All => Some(json!(role.to_string())),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Every `$ref` below a value.
    fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
        match value {
            Value::Object(fields) => {
                found.extend(fields.get("$ref").and_then(Value::as_str));
                fields.values().for_each(|field| references(field, found));
            }
            Value::Array(items) => items.iter().for_each(|item| references(item, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    #[test]
    fn every_row_has_its_words_and_no_words_are_of_no_row() {
        let words = Words::read();
        let routes: BTreeSet<String> =
            ENDPOINTS.iter().map(|row| format!("{} {}", row.method, row.path)).collect();
        let described: BTreeSet<String> = words.operations.keys().cloned().collect();
        assert_eq!(described, routes);
        for (route, operation) in &words.operations {
            for word in ["tags", "summary", "responses"] {
                assert!(operation.contains_key(word), "{route} has no {word}");
            }
        }
        let names: BTreeSet<&str> = ENDPOINTS
            .iter()
            .flat_map(|row| row.path.split('/'))
            .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
            .collect();
        let described: BTreeSet<&str> = words.parameters.keys().map(String::as_str).collect();
        assert_eq!(described, names);
    }

    #[test]
    fn what_is_referred_to_is_there_and_what_is_there_is_referred_to() {
        let document = openapi();
        let mut referred = Vec::new();
        references(&document, &mut referred);
        for reference in &referred {
            let found = document.pointer(reference.trim_start_matches('#'));
            assert!(found.is_some(), "{reference}");
        }
        for (kind, parts) in document["components"].as_object().unwrap() {
            for part in parts.as_object().unwrap().keys().filter(|_| kind != "securitySchemes") {
                let reference = format!("#/components/{kind}/{part}");
                assert!(referred.contains(&reference.as_str()), "{reference} is of no use");
            }
        }
    }

    #[test]
    fn operations_have_names_of_their_own() {
        let document = openapi();
        let paths = document["paths"].as_object().unwrap();
        let methods = paths.values().flat_map(|path| path.as_object().unwrap().values());
        let mut ids = BTreeSet::new();
        for operation in methods {
            assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{operation}");
        }
        assert!(ids.contains("get_api_v1_apps_app"), "{ids:?}");
    }

    #[test]
    fn a_route_that_stands_twice_has_the_callers_of_both() {
        let releases = &openapi()["paths"]["/api/v1/apps/{app}/releases"]["post"];
        assert_eq!(releases[CALLERS], json!(["dev (own)", "admin"]));
        assert_eq!(releases["security"], json!([{ "token": [] }]));
        let kinds = releases["requestBody"]["content"].as_object().unwrap();
        assert!(
            kinds.contains_key("multipart/form-data") && kinds.contains_key("application/json")
        );
        assert!(openapi()["paths"]["/api/v1/login"]["post"].get("security").is_none());
    }
}
