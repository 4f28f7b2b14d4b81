//! Reading JSON that a stranger wrote: no key twice.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use crate::nesting::too_deep_at;

/// Whether the text is one JSON object that is not too deep.
pub(super) fn is_object(text: &str) -> bool {
    text.starts_with('{')
        && too_deep_at(text).is_none()
        && serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// An object's values under some known keys. What stands under other keys is read over.
#[derive(Debug, Default)]
pub(super) struct Fields {
    values: BTreeMap<String, Option<Value>>,
    pub(super) repeated: bool,
}

impl Fields {
    /// What a key's text is; none if the key is missing or is no text.
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.values.get(key)?.as_ref()?.as_str()
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Fields::default();
        while let Some(key) = map.next_key::<String>()? {
            let value = match key.as_str() {
                "to_topic" | "from_topic" | "request_id" | "msg" => Some(map.next_value()?),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    None
                }
            };
            fields.repeated |= fields.values.insert(key, value).is_some();
        }
        Ok(fields)
    }
}
