//! One request and its answer: who asks, for what, in which version, and what goes wrong on demand.

use std::collections::VecDeque;

use serde_json::{Value, json};

use super::faults::Fault;
use super::path::{Kind, Target};
use super::state::{Begun, State};
use super::{compute, network, operations, published};

/// A request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub query: String,
    /// Names are in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn parameter(&self, name: &str) -> Option<String> {
        let pairs = self.query.split('&').filter_map(|pair| pair.split_once('='));
        let mut named = pairs.filter(|(found, _)| found.replace("%24", "$") == name);
        named.next().map(|(_, value)| value.to_owned())
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    /// Null for none.
    pub body: Value,
}

impl Answer {
    pub(super) fn new(status: u16, body: Value) -> Self {
        Answer { status, headers: Vec::new(), body }
    }

    pub(super) fn refused(status: u16, code: &str, message: &str) -> Self {
        Answer::new(status, json!({"error": {"code": code, "message": message}}))
    }

    pub(super) fn missing(id: &str) -> Self {
        Answer::refused(404, "ResourceNotFound", &format!("The Resource {id} was not found."))
    }

    pub(super) fn with(mut self, name: &'static str, value: String) -> Self {
        self.headers.push((name, value));
        self
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| *found == name).map(|(_, value)| value.as_str())
    }
}

/// Answers; none if the connection is to be cut.
pub(super) fn answer(state: &mut State, request: &Request) -> Option<Answer> {
    let target = Target::of(&request.path);
    state.asked.push(format!("{} {}", request.method, target.noted()));
    let key = (request.method.clone(), target.fault_kind());
    let fault = state.faults.get_mut(&key).and_then(VecDeque::pop_front);
    let busy = "Another operation on this or dependent resource is in progress.";
    match fault {
        Some(Fault::NotReceived) => None,
        Some(Fault::Throttled(seconds)) => {
            let refused =
                Answer::refused(429, "TooManyRequests", "The request is being throttled.");
            Some(refused.with("retry-after", seconds.to_string()))
        }
        Some(Fault::Busy) => Some(Answer::refused(409, "AnotherOperationInProgress", busy)),
        Some(Fault::Broken) => Some(Answer::refused(503, "ServerUnavailable", "Try again.")),
        Some(Fault::Refused(status, code, message)) => Some(Answer::refused(status, code, message)),
        Some(Fault::AnswerLost) => {
            done(state, request, &target);
            None
        }
        Some(
            Fault::EndsFailed(..) | Fault::LocationOnly | Fault::NoLink | Fault::LinkElsewhere,
        )
        | None => {
            state.next = fault;
            let answered = done(state, request, &target);
            state.next = None;
            Some(answered)
        }
    }
}

fn done(state: &mut State, request: &Request, target: &Target) -> Answer {
    if *target == Target::Token {
        let base = state.base.clone();
        return state.tokens.give(request, &base);
    }
    if let Some(refused) = state.tokens.refuse(request) {
        return refused;
    }
    let kind = match target {
        Target::Resource { kind, .. } | Target::All { kind, .. } => Some(*kind),
        Target::Verb { .. } => Some(Kind::Computer),
        Target::Token | Target::Operation { .. } | Target::Nothing | Target::OtherSubscription => {
            None
        }
    };
    if let Some(kind) = kind
        && request.parameter("api-version").as_deref() != Some(published::version(kind))
    {
        let message = "The api-version query parameter is missing or unknown.";
        return Answer::refused(400, "InvalidApiVersionParameter", message);
    }
    match (request.method.as_str(), target) {
        ("GET", Target::Operation { number, is_result }) => {
            operations::look(state, *number, *is_result)
        }
        ("GET", Target::Resource { kind, id }) => get(state, request, *kind, id),
        ("GET", Target::All { kind, group }) => list(state, request, *kind, group),
        ("PUT", Target::Resource { kind, id }) => put(state, request, *kind, id),
        ("DELETE", Target::Resource { kind, id }) => delete(state, *kind, id),
        ("POST", Target::Verb { id, verb }) => compute::switch(state, id, verb),
        (_, Target::OtherSubscription) => {
            Answer::refused(404, "SubscriptionNotFound", "The subscription could not be found.")
        }
        _ => Answer::refused(404, "InvalidResourceType", "There is nothing of this kind."),
    }
}

fn no_group(state: &State, id: &str) -> Option<Answer> {
    let group = id.split("/providers/").next().unwrap_or_default();
    let missing = !state.has(group);
    missing.then(|| Answer::refused(404, "ResourceGroupNotFound", "There is no such group."))
}

fn get(state: &mut State, request: &Request, kind: Kind, id: &str) -> Answer {
    operations::looked_at(state, id);
    if let Some(refused) = no_group(state, id) {
        return refused;
    }
    let found = network::shown(state, kind, id);
    let Some(mut found) = found else { return Answer::missing(id) };
    if request.parameter("$expand").as_deref() != Some("instanceView") {
        compute::without_view(&mut found);
    }
    Answer::new(200, found)
}

fn list(state: &State, request: &Request, kind: Kind, group: &str) -> Answer {
    if let Some(refused) = no_group(state, group) {
        return refused;
    }
    let skipped = request.parameter("$skiptoken").and_then(|count| count.parse().ok()).unwrap_or(0);
    let all = state.of_kind(kind.name());
    let mut all: Vec<Value> = all.skip(skipped).take(state.page + 1).cloned().collect();
    all.iter_mut().for_each(compute::without_view);
    let mut page = json!({});
    if all.len() > state.page {
        all.truncate(state.page);
        let (base, version, next) = (&state.base, published::version(kind), skipped + state.page);
        let path = &request.path;
        page["nextLink"] = format!("{base}{path}?api-version={version}&$skiptoken={next}").into();
    }
    page["value"] = all.into();
    Answer::new(200, page)
}

fn put(state: &mut State, request: &Request, kind: Kind, id: &str) -> Answer {
    let Ok(body) = serde_json::from_str::<Value>(&request.body) else {
        return Answer::refused(400, "InvalidRequestContent", "The request content is no JSON.");
    };
    if let Some(field) = published::unknown_in_request(kind, &body) {
        let message = format!("Could not find member '{field}' on object.");
        return Answer::refused(400, "InvalidRequestContent", &message);
    }
    if kind != Kind::Group
        && let Some(refused) = no_group(state, id)
    {
        return refused;
    }
    let existed = network::shown(state, kind, id).is_some();
    if existed && request.header("if-none-match") == Some("*") {
        return Answer::refused(412, "PreconditionFailed", "The resource exists.");
    }
    if let Some(busy) = operations::busy(state, id) {
        return busy;
    }
    let location = (body["location"].as_str(), state.find(id).map(|found| &found["location"]));
    match location {
        (None, _) if kind != Kind::Subnet => {
            return Answer::refused(400, "LocationRequired", "The location is required.");
        }
        (Some(wanted), Some(found)) if found != wanted => {
            return Answer::refused(409, "InvalidResourceLocation", "It exists elsewhere.");
        }
        _ => {}
    }
    let begun = match kind {
        Kind::Group => Ok(state.put_group(id, &body)),
        Kind::Computer => compute::put(state, id, &body),
        Kind::Disk => Err(Answer::refused(400, "InvalidParameter", "Disks come with machines.")),
        Kind::Network | Kind::Subnet | Kind::Rules | Kind::Address | Kind::Interface => {
            network::put(state, kind, id, &body)
        }
    };
    let status = if existed { 200 } else { 201 };
    match begun {
        Err(refused) => refused,
        Ok(Begun::Ended(value)) => Answer::new(status, value),
        Ok(Begun::Operation(number)) => {
            let mut shown = network::shown(state, kind, id).unwrap_or_default();
            compute::without_view(&mut shown);
            operations::linked(state, number, Answer::new(status, shown))
        }
    }
}

fn delete(state: &mut State, kind: Kind, id: &str) -> Answer {
    if !state.has(id) {
        return Answer::new(204, Value::Null);
    }
    if let Some(busy) = operations::busy(state, id) {
        return busy;
    }
    if let Some(refused) = network::in_use(state, kind, id) {
        return refused;
    }
    let number = operations::begin(state, id, operations::Effect::Remove);
    operations::linked(state, number, Answer::new(202, Value::Null))
}
