//! Reading JSON that a stranger wrote: bounded in depth, no key twice, with the place of what is wrong.

use std::fmt;

use common::nesting::{MAX_DEPTH, too_deep_at};
use common::problem::excerpt;
use serde::de::{
    Deserialize, DeserializeOwned, Deserializer, Error as _, MapAccess, SeqAccess, Visitor,
};
use serde_json::{Map, Number, Value};

/// What is wrong, and where: line and column from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {why}")]
pub(crate) struct Error {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) why: String,
}

impl Error {
    /// Whether it is a key that nobody asked for.
    pub(crate) fn is_unknown_field(&self) -> bool {
        self.why.starts_with("unknown field")
    }
}

/// Reads a value.
pub(crate) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Error> {
    let text = std::str::from_utf8(bytes).map_err(|err| {
        let (line, column) = place(bytes, err.valid_up_to());
        Error { line, column, why: "the text is not UTF-8".to_owned() }
    })?;
    if let Some(at) = too_deep_at(text) {
        let (line, column) = place(bytes, at);
        return Err(Error { line, column, why: format!("it is nested deeper than {MAX_DEPTH}") });
    }
    serde_json::from_str(text).map_err(|err| {
        let text = err.to_string();
        // The place stands at the end of the message too; once is enough.
        let why = text.rsplit_once(" at line ").map_or(text.as_str(), |(why, _)| why);
        Error { line: err.line(), column: err.column(), why: tamed(why) }
    })
}

/// A reader's sentence about a stranger's text: what it quotes is cut and harmless.
pub(super) fn tamed(sentence: &str) -> String {
    let parts: Vec<String> = sentence.split_inclusive(['`', '"']).map(excerpt).collect();
    let shown = parts.concat().replace("\\\"", "\"").replace("\\'", "'");
    shown.chars().take(300).collect()
}

/// The line and column of a byte, from 1.
pub(super) fn place(bytes: &[u8], at: usize) -> (usize, usize) {
    let before = bytes.get(..at).unwrap_or(bytes);
    let line = before.split(|byte| *byte == b'\n').count();
    let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1);
    (line, before.len() - start + 1)
}

/// Any value, in which no object has a key twice.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Strict(pub(crate) Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Strict;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Strict, E> {
        Ok(Strict(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Strict, E> {
        Ok(Strict(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Strict, E> {
        Ok(Strict(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Strict, E> {
        Ok(Strict(Number::from_f64(value).map_or(Value::Null, Value::Number)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Strict, E> {
        Ok(Strict(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Strict, E> {
        Ok(Strict(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Strict, A::Error> {
        let mut array = Vec::new();
        while let Some(Strict(element)) = elements.next_element()? {
            array.push(element);
        }
        Ok(Strict(Value::Array(array)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Strict, A::Error> {
        let mut object = Map::new();
        while let Some(key) = pairs.next_key::<String>()? {
            if object.contains_key(&key) {
                let shown = excerpt(&key);
                return Err(A::Error::custom(format!("the key \"{shown}\" stands twice")));
            }
            let Strict(value) = pairs.next_value()?;
            object.insert(key, value);
        }
        Ok(Strict(Value::Object(object)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> (usize, usize, String) {
        let err = read::<Strict>(text.as_bytes()).unwrap_err();
        (err.line, err.column, err.why)
    }

    #[test]
    fn ordinary_json_is_read() {
        let Strict(value) = read(br#"{"a": [1, 2.5, null, true, "x"], "b": {"a": -1}}"#).unwrap();
        assert_eq!(value["b"]["a"], -1);
        assert_eq!(value["a"][1], 2.5);
    }

    #[test]
    fn a_key_that_stands_twice_is_found_at_any_depth() {
        let (line, _, why) = refused("{\"a\": {\n\"b\": 1,\n\"b\": 2}}");
        assert_eq!((line, why.as_str()), (3, "the key \"b\" stands twice"));
    }

    #[test]
    fn depth_has_a_bound() {
        let deep = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
        assert!(read::<Strict>(deep(32).as_bytes()).is_ok());
        assert_eq!(refused(&deep(33)).1, 33);
        assert_eq!(refused(&"[".repeat(10_000)).1, 33);
        assert!(read::<Strict>(format!("\"{}\"", "[".repeat(99)).as_bytes()).is_ok());
    }

    #[test]
    fn what_is_quoted_is_cut() {
        let long = "x".repeat(5000);
        assert_eq!(tamed(&format!("unknown field `{long}`, expected `a`")).len(), 93);
        assert_eq!(tamed("the key \"a\" stands\n twice"), "the key \"a\" stands\\n twice");
    }

    #[test]
    fn the_place_of_what_is_wrong_is_said() {
        assert_eq!(refused("{\n  \"a\": nope}").0, 2);
        let err = read::<Strict>(b"\"ab\n\xff\"").unwrap_err();
        assert_eq!((err.line, err.column), (2, 1));
    }
}
