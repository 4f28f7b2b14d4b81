//! `avishkar platform start | stop | status`: asked of the app manager, or, while that is stopped, of a platform
//! initializer on its own machine.

use std::time::Duration;

use reqwest::Method;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};

use super::instance::Reason;
use crate::cli::{Platform, Start, StopPlatform};
use crate::client::{ANSWER_WITHIN, Client};
use crate::failure::Failure;
use crate::output::{Output, table};

const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Longer than a start or a stop may take in the platform.
const PATIENCE: Duration = Duration::from_mins(31);
/// A request that was sent is known to the platform initializer soon.
const KNOWN_WITHIN: Duration = Duration::from_secs(30);
/// An initializer waits for the outcome before it answers.
const DONE_WITHIN: Duration = Duration::from_mins(16);
/// The app manager is among the services that are stopped: silent for so long, it is gone.
const SILENT_FOR: Duration = Duration::from_secs(5);
const START_AGAIN: &str = "the app manager is stopped with the platform; to start it again, ask a platform \
    initializer on its machine: avishkar platform start --server http://127.0.0.1:9050";

/// What was taken, or what is done already.
#[derive(Debug, Serialize, Deserialize)]
struct Accepted {
    request_id: String,
    /// Where its outcome is told; none where it is done.
    operation: Option<String>,
}

/// How a request ended, if it has.
#[derive(Debug, Serialize, Deserialize)]
struct Operation {
    request_id: String,
    /// `accepted`, then one of `succeeded`, `failed` and `superseded`.
    status: String,
    failure: Option<Reason>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Shown {
    goal: Option<String>,
    state: Option<String>,
    failure: Option<Reason>,
    services: Vec<Service>,
    /// What else there is, for programs.
    #[serde(flatten)]
    more: Map<String, Value>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Service {
    #[serde(rename = "service")]
    name: String,
    instances: Vec<Instance>,
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

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goal {
    Start,
    Stop,
}

pub(crate) async fn run(client: &Client, args: Platform, output: Output) -> anyhow::Result<()> {
    match args {
        Platform::Start(Start { no_wait }) => {
            switch(client, Goal::Start, json!({}), no_wait, output).await
        }
        Platform::Stop(StopPlatform { confirm, no_wait }) => {
            let body = json!({ "confirm": confirm });
            switch(client, Goal::Stop, body, no_wait, output).await
        }
        Platform::Status => status(client, output).await,
    }
}

async fn switch(
    client: &Client,
    goal: Goal,
    body: Value,
    no_wait: bool,
    output: Output,
) -> anyhow::Result<()> {
    let (path, done) = match goal {
        Goal::Start => ("/api/v1/platform/start", "the platform runs"),
        Goal::Stop => ("/api/v1/platform/stop", "the platform is stopped; apps go on"),
    };
    let request = client.request_by_anyone(Method::POST, path).timeout(DONE_WITHIN).json(&body);
    let accepted: Accepted = client.send(request).await?;
    let Some(operation) = accepted.operation.clone() else {
        return output.answer(&accepted, done);
    };
    if no_wait {
        let text = format!("accepted as {}", accepted.request_id);
        return output.answer(&accepted, &text);
    }
    output.progress(match goal {
        Goal::Start => "starting the platform's services",
        Goal::Stop => "stopping the platform's services",
    });
    let look = async || {
        let request = client.request_by_anyone(Method::GET, &operation).timeout(ANSWER_WITHIN);
        client.send::<Operation>(request).await
    };
    match follow(&accepted, goal, look).await? {
        Some(operation) => output.answer(&operation, done),
        None => {
            let ended = json!({ "request_id": accepted.request_id, "status": "stopping" });
            output.answer(&ended, &format!("the platform is stopping; apps go on\n{START_AGAIN}"))
        }
    }
}

/// Waits for the end of a request. None: whoever was asked has been stopped by it.
async fn follow(
    accepted: &Accepted,
    goal: Goal,
    look: impl AsyncFn() -> anyhow::Result<Operation>,
) -> anyhow::Result<Option<Operation>> {
    let began = Instant::now();
    let mut heard_at = began;
    loop {
        match look().await {
            Ok(operation) => {
                heard_at = Instant::now();
                if let Some(ended) = ended(operation) {
                    return Ok(Some(ended?));
                }
            }
            Err(err) => match err.downcast_ref() {
                Some(Failure::Unreachable { .. }) if goal == Goal::Stop => {
                    if heard_at.elapsed() >= SILENT_FOR {
                        return Ok(None);
                    }
                }
                // The app manager may be among what is being started.
                Some(Failure::Unreachable { .. }) => {}
                Some(Failure::Refused(problem)) if problem.status >= 500 => {}
                Some(Failure::Refused(problem))
                    if problem.code == "REQUEST_UNKNOWN" && began.elapsed() < KNOWN_WITHIN => {}
                Some(_) | None => {
                    let id = &accepted.request_id;
                    return Err(err.context(format!("request {id} was taken and goes on")));
                }
            },
        }
        if began.elapsed() > PATIENCE {
            let hint = "see `avishkar platform status`".to_owned();
            return Err(Failure::TimedOut { what: "the request".to_owned(), hint }.into());
        }
        sleep(LOOK_EVERY).await;
    }
}

fn ended(operation: Operation) -> Option<Result<Operation, Failure>> {
    let failed = |code: &str, message: &str, hint: Option<String>| {
        let (code, message) = (code.to_owned(), message.to_owned());
        Some(Err(Failure::Request { code, message, hint, output: Vec::new() }))
    };
    let hint = || Some("see `avishkar platform status`".to_owned());
    match operation.status.as_str() {
        "succeeded" => Some(Ok(operation)),
        "superseded" => failed("SUPERSEDED", "a newer request took its place", hint()),
        "failed" => match operation.failure {
            Some(Reason { code, message, .. }) => failed(&code, &message, hint()),
            None => failed("INTERNAL", "the platform did not say why", hint()),
        },
        _ => None,
    }
}

async fn status(client: &Client, output: Output) -> anyhow::Result<()> {
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
    text
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
    use std::cell::Cell;

    use common::problem::Problem;

    use super::*;

    fn accepted() -> Accepted {
        Accepted { request_id: "r-1".to_owned(), operation: Some("/x".to_owned()) }
    }

    fn operation(status: &str) -> Operation {
        Operation { request_id: "r-1".to_owned(), status: status.to_owned(), failure: None }
    }

    fn refused(status: u16, code: &str) -> anyhow::Error {
        Failure::Refused(Box::new(Problem::new(status, code, "title", "detail"))).into()
    }

    async fn unreachable() -> anyhow::Error {
        let source = reqwest::Client::new().get("http://127.0.0.1:1/").send().await.unwrap_err();
        Failure::Unreachable { server: "http://127.0.0.1:1".to_owned(), source }.into()
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_is_waited_for_until_it_ends() {
        let looks = Cell::new(0);
        let look = async || {
            looks.set(looks.get() + 1);
            match looks.get() {
                1 => Err(refused(404, "REQUEST_UNKNOWN")),
                2 => Err(refused(503, "STORE_UNAVAILABLE")),
                3 => Ok(operation("accepted")),
                _ => Ok(operation("succeeded")),
            }
        };
        let ended = follow(&accepted(), Goal::Start, look).await.unwrap();
        assert_eq!(ended.unwrap().status, "succeeded");
    }

    #[tokio::test]
    async fn whoever_is_asked_may_be_stopped_by_the_request() {
        let look = async || Err(unreachable().await);
        tokio::time::pause();
        assert!(follow(&accepted(), Goal::Stop, look).await.unwrap().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_nobody_took_ends_the_waiting() {
        let look = async || Err(refused(404, "REQUEST_UNKNOWN"));
        let err = follow(&accepted(), Goal::Start, look).await.unwrap_err();
        assert!(format!("{err:#}").contains("r-1"), "{err:#}");
    }

    #[test]
    fn every_instance_has_a_line() {
        let shown = json!({
            "goal": "on", "state": "running", "services": [
                { "service": "load_balancer", "instances": [
                    { "node": "node-1", "address": "192.0.2.1:8050", "state": "ready" },
                ]},
                { "service": "monitoring", "instances": [
                    { "node": "node-2", "address": "192.0.2.2:8070", "state": "failed",
                      "failure": { "code": "IMAGE_UNAVAILABLE", "message": "it is gone" } },
                ]},
            ],
        });
        expect_test::expect![[r"
            the platform is running; it should be on

            SERVICE        NODE    ADDRESS         STATE   WHY
            load_balancer  node-1  192.0.2.1:8050  ready   -
            monitoring     node-2  192.0.2.2:8070  failed  IMAGE_UNAVAILABLE: it is gone
        "]]
        .assert_eq(&text(&serde_json::from_value(shown).unwrap()));
    }
}
