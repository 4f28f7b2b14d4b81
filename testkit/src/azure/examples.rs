//! Examples of requests and answers that Azure publishes: `examples.json`, facts of its public REST specifications. Owns
//! how they are read; what is compared with them is the business of tests, of this crate and of who asks Azure.

use serde_json::Value;

use super::SUBSCRIPTION;

const EXAMPLES: &str = include_str!("examples.json");

/// Whatever is said of one, under the names that `examples.json` explains.
pub fn examples() -> Vec<Value> {
    let read: Value = serde_json::from_str(EXAMPLES).expect("the file is JSON");
    let all = read["examples"].as_array().cloned().unwrap_or_default();
    all.iter().map(named).collect()
}

/// The body of the answer of one.
pub fn example_answer(name: &str) -> Value {
    let mut all = examples().into_iter();
    all.find(|one| one["example"] == name).expect("there is one of this name")["gives"].take()
}

/// The fields of something that is defined and has no example.
pub fn defined_fields(name: &str) -> Vec<String> {
    let read: Value = serde_json::from_str(EXAMPLES).expect("the file is JSON");
    let mut all = read["definitions"].as_array().into_iter().flatten();
    let found = all.find(|one| one["definition"] == name).expect("there is one of this name");
    let fields = found["fields"].as_array().into_iter().flatten();
    fields.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The path of the group that an example is in.
pub fn group_of(example: &Value) -> String {
    let group = example["group"].as_str().unwrap_or_default();
    format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/{group}")
}

/// With the path of its group where that is meant.
fn named(example: &Value) -> Value {
    let text = example.to_string().replace("{g}", &group_of(example));
    serde_json::from_str(&text).expect("a path needs no escape")
}
