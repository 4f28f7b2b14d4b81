//! Document 001's `app.json`: checked where a bundle has one.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::{Map, Value, json};

use super::json::{self, Strict};

/// How large the file may be.
pub(crate) const LARGEST: u64 = 64 * 1024;
const LARGEST_VALUE: usize = 24 * 1024;
const LONGEST_DESCRIPTION: usize = 256;

/// The keys of document 001, each of which may be left out.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct AppJson {
    pub(crate) application_name: Option<String>,
    pub(crate) application_description: Option<String>,
    pub(crate) application_type: Option<Words>,
    pub(crate) sensor_types: Option<Words>,
    pub(crate) location: Option<Strict>,
    pub(crate) user_email: Option<String>,
}

impl AppJson {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, json::Error> {
        // A list of six would be taken for the six keys.
        if let Some(at) = bytes.iter().position(|byte| !byte.is_ascii_whitespace())
            && bytes.get(at) == Some(&b'[')
        {
            let (line, column) = json::place(bytes, at);
            return Err(json::Error {
                line,
                column,
                why: "it is a list, not an object".to_owned(),
            });
        }
        let app: AppJson = json::read(bytes)?;
        let description = app.application_description.as_deref().unwrap_or_default();
        if description.chars().count() > LONGEST_DESCRIPTION {
            let why = format!("the description is longer than {LONGEST_DESCRIPTION} characters");
            return Err(json::Error { line: 1, column: 1, why });
        }
        // It is kept in a record, and again in each instance's.
        if app.value().to_string().len() > LARGEST_VALUE {
            let why = format!("without white space it is larger than {LARGEST_VALUE} bytes");
            return Err(json::Error { line: 1, column: 1, why });
        }
        Ok(app)
    }

    /// The keys that are there, as the app's record keeps them.
    pub(crate) fn value(&self) -> Value {
        let mut keys = Map::new();
        let mut put = |key: &str, value: Option<Value>| {
            if let Some(value) = value {
                keys.insert(key.to_owned(), value);
            }
        };
        put("applicationName", self.application_name.clone().map(Value::from));
        put("applicationDescription", self.application_description.clone().map(Value::from));
        put("applicationType", self.application_type.as_ref().map(Words::value));
        put("sensorTypes", self.sensor_types.as_ref().map(Words::value));
        put("location", self.location.clone().map(|Strict(value)| value));
        put("userEmail", self.user_email.clone().map(Value::from));
        Value::Object(keys)
    }
}

/// An `app.json` as an instance gets it: the app's, with the location and the address of whoever deploys.
pub(crate) fn completed(manifest: Option<&Value>, location: Value, user_email: &str) -> String {
    let mut keys = match manifest {
        Some(Value::Object(keys)) => keys.clone(),
        Some(_) | None => Map::new(),
    };
    keys.insert("location".to_owned(), location);
    keys.insert("userEmail".to_owned(), json!(user_email));
    Value::Object(keys).to_string()
}

/// One word or a list of words: the originals write both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Words {
    One(String),
    Several(Vec<String>),
}

impl Words {
    fn value(&self) -> Value {
        match self {
            Words::One(word) => word.as_str().into(),
            Words::Several(words) => words.clone().into(),
        }
    }
}

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordsVisitor)
    }
}

struct WordsVisitor;

impl<'de> Visitor<'de> for WordsVisitor {
    type Value = Words;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text or a list of texts")
    }

    fn visit_str<E>(self, word: &str) -> Result<Words, E> {
        Ok(Words::One(word.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Words, A::Error> {
        let mut words = Vec::new();
        while let Some(word) = elements.next_element()? {
            words.push(word);
        }
        Ok(Words::Several(words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn document_001s_file_is_read_and_kept() {
        let text =
            br#"{"applicationType": "web", "sensorTypes": ["temperature"], "location": {"room": 1},
            "applicationName": "shop", "applicationDescription": "sells", "userEmail": ""}"#;
        let app = AppJson::read(text).unwrap();
        assert_eq!(app.value(), serde_json::from_slice::<Value>(text).unwrap());
    }

    #[test]
    fn unknown_keys_double_keys_and_wrong_types_are_refused_with_their_place() {
        for (text, line) in [
            ("{\n\"role\": 1}", 2),
            ("{\"applicationName\": \"a\",\n\"applicationName\": \"b\"}", 2),
            ("{\n\"applicationName\": 5}", 2),
            ("{\"sensorTypes\":\n[1]}", 2),
            ("{\"location\": {\"a\": 1,\n\"a\": 2}}", 2),
            ("[\n]", 1),
            ("\n[\"shop\", \"sells\", \"web\", [], {}, \"\"]", 2),
            ("", 1),
            ("{} {}", 1),
        ] {
            let err = AppJson::read(text.as_bytes()).unwrap_err();
            assert!(err.line == line || text.len() < 6, "{text}: {err}");
            assert_eq!(err.is_unknown_field(), text.contains("role"), "{text}: {err}");
        }
        let long = format!("{{\"applicationDescription\": \"{}\"}}", "x".repeat(257));
        assert!(AppJson::read(long.as_bytes()).is_err());
    }

    #[test]
    fn completing_replaces_place_and_address_only() {
        let manifest = json!({"applicationName": "shop", "userEmail": "old@example.org"});
        let text = completed(Some(&manifest), json!({"room": 2}), "new@example.org");
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            value,
            json!({"applicationName": "shop", "location": {"room": 2}, "userEmail": "new@example.org"})
        );
    }
}
