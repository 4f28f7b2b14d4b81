//! What there is: resources by their ids, operations, and the machines behind them.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Value, json};

use super::faults::Fault;
use super::operations::Operation;
use super::path::Kind;
use super::tokens::Tokens;
use super::{SUBSCRIPTION, compute};
use crate::MemoryHosts;

/// Everything.
#[derive(Debug)]
pub(super) struct State {
    pub(super) hosts: MemoryHosts,
    pub(super) base: String,
    pub(super) tokens: Tokens,
    /// By their ids in lower case.
    pub(super) resources: BTreeMap<String, Value>,
    pub(super) operations: BTreeMap<u32, Operation>,
    pub(super) faults: BTreeMap<(String, String), VecDeque<Fault>>,
    /// What goes wrong with the operation that the request at hand begins.
    pub(super) next: Option<Fault>,
    pub(super) asked: Vec<String>,
    pub(super) looks: u32,
    pub(super) retry_after: u32,
    pub(super) page: usize,
    /// How many public addresses were given.
    pub(super) given: u8,
}

/// What a request brought about.
#[derive(Debug)]
pub(super) enum Begun {
    /// It is done; the resource as it is.
    Ended(Value),
    /// It goes on.
    Operation(u32),
}

impl State {
    pub(super) fn new(hosts: MemoryHosts, base: String) -> Self {
        State {
            hosts,
            base,
            tokens: Tokens::default(),
            resources: BTreeMap::new(),
            operations: BTreeMap::new(),
            faults: BTreeMap::new(),
            next: None,
            asked: Vec::new(),
            looks: 2,
            retry_after: 0,
            page: 50,
            given: 9,
        }
    }

    pub(super) fn has(&self, id: &str) -> bool {
        self.find(id).is_some()
    }

    pub(super) fn find(&self, id: &str) -> Option<&Value> {
        self.resources.get(&id.to_ascii_lowercase())
    }

    pub(super) fn find_mut(&mut self, id: &str) -> Option<&mut Value> {
        self.resources.get_mut(&id.to_ascii_lowercase())
    }

    pub(super) fn keep(&mut self, id: &str, value: Value) {
        self.resources.insert(id.to_ascii_lowercase(), value);
    }

    pub(super) fn drop(&mut self, id: &str) -> Option<Value> {
        self.resources.remove(&id.to_ascii_lowercase())
    }

    /// All resources of a kind, in the order of their ids.
    pub(super) fn of_kind(&self, kind: &str) -> impl Iterator<Item = &Value> {
        let kind = Kind::named(kind).map(Kind::full_name);
        self.resources.values().filter(move |value| {
            value["type"].as_str().is_some_and(|found| Some(found) == kind.as_deref())
        })
    }

    /// What every resource has.
    pub(super) fn frame(kind: Kind, id: &str, body: &Value) -> Value {
        let mut value = json!({
            "id": id,
            "name": id.rsplit('/').next().unwrap_or_default(),
            "type": kind.full_name(),
            "location": body["location"],
            "properties": body["properties"],
        });
        for field in ["tags", "sku"] {
            if !body[field].is_null() {
                value[field] = body[field].clone();
            }
        }
        value
    }

    pub(super) fn ensure_group(&mut self, name: &str) -> String {
        let id = format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/{name}");
        if !self.has(&id) {
            drop(self.put_group(&id, &json!({"location": "westeurope"})));
        }
        id
    }

    pub(super) fn put_group(&mut self, id: &str, body: &Value) -> Begun {
        let mut value = State::frame(Kind::Group, id, body);
        value["properties"] = json!({"provisioningState": "Succeeded"});
        self.keep(id, value.clone());
        Begun::Ended(value)
    }

    pub(super) fn power_off(&mut self, name: &str) {
        let found = self.of_kind(Kind::Computer.name()).find(|value| value["name"] == name);
        let id = found.and_then(|found| found["id"].as_str()).map(str::to_owned);
        let id = id.expect("there is a virtual machine of this name");
        compute::stand_still(self, &id, "stopped");
    }

    pub(super) fn public_address(&self, name: &str) -> Option<String> {
        let computers = self.of_kind(Kind::Computer.name());
        let computer = computers.into_iter().find(|value| value["name"] == name)?;
        compute::address(self, computer)
    }
}
