//! `avishkar platform start | stop | upgrade | move | scale | status`: asked of the app manager, or, while that is stopped, of a platform
//! initializer on its own machine.

mod status;

use std::time::Duration;

use chassis::system::SystemEntropy;
use common::port::Entropy as _;
use reqwest::{Method, RequestBuilder};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::instance::Reason;
use crate::cli::{Move, Platform, ScaleService, Start, StopPlatform, Upgrade, Version};
use crate::client::{ANSWER_WITHIN, Client};
use crate::failure::Failure;
use crate::output::Output;

const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Longer than a start, a stop or a change may take in the platform.
const PATIENCE: Duration = Duration::from_mins(61);
/// A request that was sent is known to the platform initializer soon.
const KNOWN_WITHIN: Duration = Duration::from_secs(30);
/// An initializer waits for the outcome before it answers.
const DONE_WITHIN: Duration = Duration::from_mins(16);
/// Another lifecycle manager leads soon after the one that led has died.
const LED_WITHIN: Duration = Duration::from_secs(15);
const NOBODY_LEADS: &str = "LIFECYCLE_UNAVAILABLE";
/// With it, a request that is sent again is done once.
const REQUEST: &str = "Idempotency-Key";
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
    /// What was done besides, where there is something to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    details: Option<Value>,
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Goal {
    Start,
    Stop,
    Upgrade,
    Move,
    Scale,
    Restart,
    AddMachine,
}

impl Goal {
    fn under_way(self) -> &'static str {
        match self {
            Goal::Start => "starting the platform's services",
            Goal::Stop => "stopping the platform's services",
            Goal::Upgrade => "rolling the version out, one instance after the other",
            Goal::Move => "starting an instance there, then ending the other one",
            Goal::Scale => {
                "starting the instances that are missing, or ending those that are too many"
            }
            Goal::Restart => "restarting it",
            Goal::AddMachine => "making a machine, and a node of it",
        }
    }

    fn done(self) -> &'static str {
        match self {
            Goal::Start => "the platform runs",
            Goal::Stop => "the platform is stopped; apps go on",
            Goal::Upgrade => "all instances run it",
            Goal::Move => "it is moved",
            Goal::Scale => "so many run",
            Goal::Restart => "it runs anew",
            Goal::AddMachine => "the machine is a node",
        }
    }

    /// The lifecycle manager is to do it. Of the others hints are about apps.
    fn is_upkeep(self) -> bool {
        matches!(self, Goal::Restart | Goal::AddMachine)
    }

    /// Starting and stopping may be asked of a platform initializer, which knows nobody by name.
    fn request(
        self,
        client: &Client,
        method: Method,
        path: &str,
    ) -> anyhow::Result<RequestBuilder> {
        match self {
            Goal::Restart | Goal::AddMachine => client.request(method, path),
            Goal::Start | Goal::Stop | Goal::Upgrade | Goal::Move | Goal::Scale => {
                Ok(client.request_by_anyone(method, path))
            }
        }
    }
}

/// A request to be made.
pub(super) struct Asked {
    pub(super) goal: Goal,
    pub(super) path: String,
    pub(super) body: Value,
    pub(super) no_wait: bool,
}

pub(crate) async fn run(client: &Client, args: Platform, output: Output) -> anyhow::Result<()> {
    let asked = match args {
        Platform::Start(Start { no_wait }) => {
            let path = "/api/v1/platform/start".to_owned();
            Asked { goal: Goal::Start, path, body: json!({}), no_wait }
        }
        Platform::Stop(StopPlatform { confirm, no_wait }) => {
            let path = "/api/v1/platform/stop".to_owned();
            Asked { goal: Goal::Stop, path, body: json!({ "confirm": confirm }), no_wait }
        }
        Platform::Upgrade(Upgrade { service, version, no_wait }) => {
            let image = match version {
                Version::Own => None,
                Version::Other(image) => Some(image),
            };
            let path = format!("/api/v1/platform/services/{service}/upgrade");
            Asked { goal: Goal::Upgrade, path, body: json!({ "image": image }), no_wait }
        }
        Platform::Move(Move { service, from, to, no_wait }) => {
            let path = format!("/api/v1/platform/services/{service}/move");
            Asked { goal: Goal::Move, path, body: json!({ "from": from, "to": to }), no_wait }
        }
        Platform::Scale(ScaleService { service, instances, no_wait }) => {
            let path = format!("/api/v1/platform/services/{service}/scale");
            Asked { goal: Goal::Scale, path, body: json!({ "instances": instances }), no_wait }
        }
        Platform::Status => return status::run(client, output).await,
    };
    ask(client, asked, output).await
}

/// Asks, and waits for the end unless nobody wants to.
pub(super) async fn ask(client: &Client, asked: Asked, output: Output) -> anyhow::Result<()> {
    let Asked { goal, path, body, no_wait } = asked;
    let id = SystemEntropy.uuid().to_string();
    let send = async || {
        let request = goal.request(client, Method::POST, &path)?.timeout(DONE_WITHIN).json(&body);
        client.send(if goal.is_upkeep() { request.header(REQUEST, &id) } else { request }).await
    };
    let accepted = taken(&id, output, send).await?;
    let Some(operation) = accepted.operation.clone() else {
        return output.answer(&accepted, goal.done());
    };
    if no_wait {
        let text = format!("accepted as {}", accepted.request_id);
        return output.answer(&accepted, &text);
    }
    output.progress(goal.under_way());
    let look = async || {
        let request = goal.request(client, Method::GET, &operation)?.timeout(ANSWER_WITHIN);
        client.send::<Operation>(request).await
    };
    match follow(&accepted, goal, look).await? {
        Some(operation) => output.answer(&operation, &told(goal, &operation)),
        None => {
            let ended = json!({ "request_id": accepted.request_id, "status": "stopping" });
            output.answer(&ended, &format!("the platform is stopping; apps go on\n{START_AGAIN}"))
        }
    }
}

/// Sends a request, and again while no lifecycle manager leads. Whether one that led took it is not known then.
async fn taken(
    id: &str,
    output: Output,
    send: impl AsyncFn() -> anyhow::Result<Accepted>,
) -> anyhow::Result<Accepted> {
    let (began, mut is_told) = (Instant::now(), false);
    loop {
        let err = match send().await {
            Ok(accepted) => return Ok(accepted),
            Err(err) => err,
        };
        match err.downcast_ref() {
            Some(Failure::Refused(problem)) if problem.code == NOBODY_LEADS => {}
            Some(_) | None => return Err(err),
        }
        if began.elapsed() > LED_WITHIN {
            return Err(err.context(format!("request {id} may have been taken")));
        }
        if !is_told {
            output.progress("waiting for a lifecycle manager");
            is_told = true;
        }
        sleep(LOOK_EVERY).await;
    }
}

/// Of a service it is told which instances were restarted.
fn told(goal: Goal, operation: &Operation) -> String {
    let restarted = operation.details.as_ref().and_then(|details| details["restarted"].as_array());
    let nodes: Vec<&str> = restarted.into_iter().flatten().filter_map(Value::as_str).collect();
    if nodes.is_empty() {
        return goal.done().to_owned();
    }
    format!("{}, on {}", goal.done(), nodes.join(", "))
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
                if let Some(ended) = ended(goal, operation) {
                    return Ok(Some(ended?));
                }
            }
            Err(err) => match err.downcast_ref() {
                Some(Failure::Unreachable { .. }) if goal == Goal::Stop => {
                    if heard_at.elapsed() >= SILENT_FOR {
                        return Ok(None);
                    }
                }
                // The app manager may be among what is being started or changed.
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

fn ended(goal: Goal, operation: Operation) -> Option<Result<Operation, Failure>> {
    let failed = |code: &str, message: &str, hint: Option<String>| {
        let (code, message) = (code.to_owned(), message.to_owned());
        Some(Err(Failure::Request { code, message, hint, output: Vec::new() }))
    };
    let hint = || Some("see `avishkar platform status`".to_owned());
    match operation.status.as_str() {
        "succeeded" => Some(Ok(operation)),
        "superseded" => failed("SUPERSEDED", "a newer request took its place", hint()),
        "failed" => match operation.failure {
            Some(Reason { code, message, hint: told, .. }) => {
                failed(&code, &message, told.filter(|_| goal.is_upkeep()).or_else(hint))
            }
            None => failed("INTERNAL", "the platform did not say why", hint()),
        },
        _ => None,
    }
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
        let (request_id, status) = ("r-1".to_owned(), status.to_owned());
        Operation { request_id, status, failure: None, details: None }
    }

    fn refused(status: u16, code: &str) -> anyhow::Error {
        Failure::Refused(Box::new(Problem::new(status, code, "title", "detail"))).into()
    }

    async fn unreachable() -> anyhow::Error {
        let source = reqwest::Client::new().get("http://127.0.0.1:1/").send().await.unwrap_err();
        Failure::Unreachable { server: "http://127.0.0.1:1".to_owned(), source }.into()
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_is_sent_again_while_nobody_leads_and_may_have_been_taken_at_last() {
        let sent = Cell::new(0);
        let send = async || {
            sent.set(sent.get() + 1);
            if sent.get() < 3 { Err(refused(503, NOBODY_LEADS)) } else { Ok(accepted()) }
        };
        taken("r-1", Output::new(true), send).await.unwrap();
        assert_eq!(sent.get(), 3);
        let send = async || Err(refused(503, NOBODY_LEADS));
        let err = taken("r-1", Output::new(true), send).await.unwrap_err();
        assert!(format!("{err:#}").contains("request r-1 may have been taken"), "{err:#}");
        let sent = Cell::new(0);
        let send = async || {
            sent.set(sent.get() + 1);
            Err(refused(403, "FORBIDDEN"))
        };
        taken("r-1", Output::new(true), send).await.unwrap_err();
        assert_eq!(sent.get(), 1, "what is refused is no question of who leads");
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
}
