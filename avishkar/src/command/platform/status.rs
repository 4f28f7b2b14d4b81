//! `avishkar platform status`: what runs where, what is being changed, and what was tried in vain.

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::client::{ANSWER_WITHIN, Client};
use crate::command::instance::Reason;
use crate::output::{Output, table};

#[derive(Debug, Serialize, Deserialize)]
struct Shown {
    goal: Option<String>,
    state: Option<String>,
    failure: Option<Reason>,
    services: Vec<Service>,
    /// The newest change of each service that was asked for.
    #[serde(default)]
    changes: Vec<Changed>,
    /// What else there is, for programs.
    #[serde(flatten)]
    more: Map<String, Value>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Service {
    #[serde(rename = "service")]
    name: String,
    instances: Vec<Instance>,
    /// The last version that was tried in vain.
    #[serde(default)]
    backed_out: Option<BackedOut>,
    #[serde(flatten)]
    more: Map<String, Value>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Instance {
    node: String,
    address: String,
    state: String,
    failure: Option<Reason>,
    #[serde(flatten)]
    more: Map<String, Value>,
}

#[derive(Debug, Serialize, Deserialize)]
struct BackedOut {
    image: Option<String>,
    /// Of the version that runs.
    #[serde(default)]
    settings: bool,
    failure: Reason,
    #[serde(flatten)]
    more: Map<String, Value>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Changed {
    service: String,
    change: Kind,
    /// `proving`, `leaving`, `done` or `failed`.
    stage: String,
    failure: Option<Reason>,
    #[serde(flatten)]
    more: Map<String, Value>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
enum Kind {
    Upgrade { image: Option<String> },
    Move { from: String, to: String },
    Scale { instances: u16 },
}

pub(super) async fn run(client: &Client, output: Output) -> anyhow::Result<()> {
    let request = client.request_by_anyone(Method::GET, "/api/v1/platform");
    let shown: Shown = client.send(request.timeout(ANSWER_WITHIN)).await?;
    output.answer(&shown, &text(&shown))
}

fn text(shown: &Shown) -> String {
    let mut text = match (&shown.goal, &shown.state) {
        (Some(goal), Some(state)) => format!("the platform is {state}; it should be {goal}\n"),
        _ => "the platform was neither started nor stopped as a set yet\n".to_owned(),
    };
    if let Some(failure) = &shown.failure {
        text.push_str(&format!("{}: {}\n", failure.code, failure.message));
    }
    let rows: Vec<Vec<String>> = shown.services.iter().flat_map(rows).collect();
    if !rows.is_empty() {
        let head = ["SERVICE", "NODE", "ADDRESS", "STATE", "WHY"];
        text.push_str(&format!("\n{}\n", table(&head, &rows)));
    }
    let notes = shown.changes.iter().filter_map(|changed| note(changed, &shown.services));
    let notes: Vec<String> = shown.services.iter().filter_map(tried).chain(notes).collect();
    if !notes.is_empty() {
        text.push_str(&format!("\n{}\n", notes.join("\n")));
    }
    text
}

/// What did not become ready.
fn tried(service: &Service) -> Option<String> {
    let BackedOut { image, settings, failure, .. } = service.backed_out.as_ref()?;
    let tried = if *settings {
        "its settings were".to_owned()
    } else {
        format!("{} was", version(image.as_deref()))
    };
    let (code, why) = (&failure.code, &failure.message);
    Some(format!("{}: {tried} tried and taken back: {code}: {why}", service.name))
}

/// What is under way, and what came to nothing, if [`tried`] does not tell it.
fn note(changed: &Changed, services: &[Service]) -> Option<String> {
    let name = &changed.service;
    let is_version = |tried: &BackedOut| !tried.settings;
    let is_told = services
        .iter()
        .any(|one| one.name == *name && one.backed_out.as_ref().is_some_and(is_version));
    let why = changed.failure.as_ref().map(|why| format!("{}: {}", why.code, why.message));
    match (&changed.change, changed.stage.as_str()) {
        (Kind::Upgrade { image }, "proving") => {
            Some(format!("{name}: {} is being rolled out", version(image.as_deref())))
        }
        (Kind::Move { from, to }, "proving" | "leaving") => {
            Some(format!("{name}: an instance is being moved from {from} to {to}"))
        }
        (Kind::Upgrade { image }, "failed") if !is_told => {
            Some(format!("{name}: {} was not rolled out: {}", version(image.as_deref()), why?))
        }
        (Kind::Move { from, to }, "failed") => {
            Some(format!("{name}: it was not moved from {from} to {to}: {}", why?))
        }
        (Kind::Scale { instances }, "proving") => {
            Some(format!("{name}: its number of instances is being made {instances}"))
        }
        (Kind::Scale { instances }, "failed") => {
            Some(format!("{name}: its number of instances was not made {instances}: {}", why?))
        }
        (Kind::Upgrade { .. } | Kind::Move { .. } | Kind::Scale { .. }, _) => None,
    }
}

fn version(image: Option<&str>) -> &str {
    image.unwrap_or("the platform's own version")
}

fn rows(service: &Service) -> Vec<Vec<String>> {
    let name = service.name.clone();
    if service.instances.is_empty() {
        return vec![[name.as_str(), "-", "-", "gone", "-"].map(str::to_owned).into()];
    }
    let row = |one: &Instance| {
        let why = one.failure.as_ref();
        let why =
            why.map_or_else(|| "-".to_owned(), |why| format!("{}: {}", why.code, why.message));
        vec![name.clone(), one.node.clone(), one.address.clone(), one.state.clone(), why]
    };
    service.instances.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_instance_has_a_line() {
        let shown = json!({
            "goal": "on", "state": "running", "services": [
                { "service": "load_balancer", "instances": [
                    { "node": "node-1", "address": "192.0.2.1:8050", "state": "ready" },
                ], "backed_out": {
                    "image": "example.org/platform@sha256:00", "generation": 4,
                    "failure": { "code": "HEALTH_TIMEOUT", "message": "it was not ready within 60 s" },
                }},
                { "service": "monitoring", "instances": [
                    { "node": "node-2", "address": "192.0.2.2:8070", "state": "failed",
                      "failure": { "code": "IMAGE_UNAVAILABLE", "message": "it is gone" } },
                ], "backed_out": {
                    "settings": true, "generation": 2,
                    "failure": { "code": "HEALTH_TIMEOUT", "message": "it was not ready within 60 s" },
                }},
            ],
            "changes": [
                { "service": "load_balancer", "stage": "failed", "change": { "kind": "upgrade" } },
                { "service": "monitoring", "stage": "proving",
                  "change": { "kind": "move", "from": "node-2", "to": "node-3" } },
                { "service": "node_manager", "stage": "failed",
                  "change": { "kind": "move", "from": "node-1", "to": "node-3" },
                  "failure": { "code": "NODE_UNAVAILABLE", "message": "node-3 was lost" } },
                { "service": "app_manager", "stage": "done", "change": { "kind": "upgrade" } },
                { "service": "deployment_manager", "stage": "proving",
                  "change": { "kind": "scale", "instances": 3, "added": ["node-4"], "removed": [] } },
            ],
        });
        expect_test::expect![[r"
            the platform is running; it should be on

            SERVICE        NODE    ADDRESS         STATE   WHY
            load_balancer  node-1  192.0.2.1:8050  ready   -
            monitoring     node-2  192.0.2.2:8070  failed  IMAGE_UNAVAILABLE: it is gone

            load_balancer: example.org/platform@sha256:00 was tried and taken back: HEALTH_TIMEOUT: it was not ready within 60 s
            monitoring: its settings were tried and taken back: HEALTH_TIMEOUT: it was not ready within 60 s
            monitoring: an instance is being moved from node-2 to node-3
            node_manager: it was not moved from node-1 to node-3: NODE_UNAVAILABLE: node-3 was lost
            deployment_manager: its number of instances is being made 3
        "]]
        .assert_eq(&text(&serde_json::from_value(shown).unwrap()));
    }
}
