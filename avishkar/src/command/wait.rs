//! Waiting for a request to end, with progress.

use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::instance::{Accepted, Instance, Reason};
use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;

const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Longer than any request may take in the platform.
const PATIENCE: Duration = Duration::from_mins(11);

/// `GET /api/v1/operations/{request id}`.
#[derive(Debug, Deserialize)]
struct Operation {
    /// `accepted`, then one of `succeeded`, `failed` and `superseded`.
    status: String,
    #[serde(default)]
    failure: Option<Reason>,
}

/// The request and its instance at one moment.
struct Seen {
    operation: Operation,
    instance: Instance,
}

/// Waits until the request has ended; returns the instance as it then is.
pub(crate) async fn until_done(
    client: &Client,
    accepted: &Accepted,
    output: Output,
) -> anyhow::Result<Instance> {
    let look = async || -> anyhow::Result<Seen> {
        let operation = client.get(&format!("/api/v1/operations/{}", accepted.request_id)).await?;
        let instance = client.get(&format!("/api/v1/instances/{}", accepted.instance)).await?;
        Ok(Seen { operation, instance })
    };
    follow(accepted, output, look).await
}

/// Looks again and again. The request goes on without us, and without the app manager: that it cannot be asked for a
/// while says nothing about it.
async fn follow(
    accepted: &Accepted,
    output: Output,
    look: impl AsyncFn() -> anyhow::Result<Seen>,
) -> anyhow::Result<Instance> {
    let give_up = Instant::now() + PATIENCE;
    let (name, id) = (&accepted.instance, &accepted.request_id);
    let mut told = String::new();
    loop {
        let seen = match look().await {
            Ok(seen) => Some(seen),
            Err(err) if is_passing(&err) => None,
            Err(err) => return Err(err.context(format!("request {id} was taken and goes on"))),
        };
        let now = seen.as_ref().map_or_else(
            || format!("{name}: waiting for the platform, which does not answer"),
            |seen| describe(&seen.instance),
        );
        if now != told {
            output.progress(&now);
            told = now;
        }
        if let Some(ended) = seen.and_then(|seen| outcome(seen, accepted)) {
            return Ok(ended?);
        }
        if Instant::now() > give_up {
            let hint = format!("request {id} goes on; see `avishkar status {name}`");
            return Err(Failure::TimedOut { what: format!("the request for {name}"), hint }.into());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// How the request ended, if it has.
fn outcome(seen: Seen, accepted: &Accepted) -> Option<Result<Instance, Failure>> {
    let Seen { operation, instance } = seen;
    // A request ends a moment before the app manager hears of it; URL and last words come with that.
    match operation.status.as_str() {
        _ if instance.awaits(&accepted.request_id) => None,
        "succeeded" => Some(Ok(instance)),
        "failed" => Some(Err(failed(operation.failure, instance))),
        "superseded" => Some(Err(superseded(&accepted.instance))),
        _ => None,
    }
}

/// Whether the platform could not be asked just now, as while it starts again or has lost its store.
fn is_passing(err: &anyhow::Error) -> bool {
    match err.downcast_ref::<Failure>() {
        Some(Failure::Unreachable { .. }) => true,
        Some(Failure::Refused(problem)) => problem.status >= 500,
        Some(_) | None => false,
    }
}

/// The app's last words stand with the instance, the rest with the request.
fn failed(reason: Option<Reason>, instance: Instance) -> Failure {
    let output = instance.failure.map(|failure| failure.output).unwrap_or_default();
    let (code, message, hint) = match reason {
        Some(reason) => (reason.code, reason.message, reason.hint),
        None => ("INTERNAL".to_owned(), "the platform did not say why".to_owned(), None),
    };
    let hint = hint.or_else(|| Some(format!("see `avishkar logs {}`", instance.name)));
    Failure::Request { code, message, hint, output }
}

fn superseded(name: &str) -> Failure {
    Failure::Request {
        code: "SUPERSEDED".to_owned(),
        message: "a newer request took its place".to_owned(),
        hint: Some(format!("see `avishkar status {name}`")),
        output: Vec::new(),
    }
}

fn describe(instance: &Instance) -> String {
    let serving = instance.replicas.iter().filter(|replica| replica.state == "ready").count();
    let all = instance.replicas.len();
    let step = instance.step.as_deref().unwrap_or(&instance.state);
    if all > 0 {
        format!("{}: {step}, {serving} of {all} replicas serve", instance.name)
    } else {
        format!("{}: {step}", instance.name)
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use common::problem::Problem;

    use super::*;

    fn accepted() -> Accepted {
        let (instance, request_id) = ("shop".to_owned(), "r-1".to_owned());
        Accepted { instance, request_id, waiting_for: None }
    }

    fn seen(status: &str) -> Seen {
        let instance = serde_json::json!({
            "name": "shop", "app": "shop", "release": 1, "state": "stopped", "url": null,
            "request_id": "r-1",
        });
        let operation = Operation { status: status.to_owned(), failure: None };
        Seen { operation, instance: serde_json::from_value(instance).unwrap() }
    }

    fn refused(status: u16) -> anyhow::Error {
        Failure::Refused(Box::new(Problem::new(status, "CODE", "title", "detail"))).into()
    }

    #[tokio::test(start_paused = true)]
    async fn a_platform_that_does_not_answer_for_a_while_is_waited_for() {
        let looks = Cell::new(0);
        let look = async || {
            looks.set(looks.get() + 1);
            match looks.get() {
                1 | 3 => Err(refused(503)),
                2 => Ok(seen("accepted")),
                _ => Ok(seen("succeeded")),
            }
        };
        assert_eq!(follow(&accepted(), Output::new(true), look).await.unwrap().name, "shop");
        assert_eq!(looks.get(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_gives_up_is_told_the_id_of_the_request_that_goes_on() {
        let began = Instant::now();
        let look = async || Err(refused(503));
        let err = follow(&accepted(), Output::new(true), look).await.unwrap_err();
        let hint = match err.downcast_ref() {
            Some(Failure::TimedOut { hint, .. }) => hint,
            other => panic!("{other:?}"),
        };
        assert!(hint.contains("r-1"), "{hint}");
        assert!(began.elapsed() >= PATIENCE);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_ends_the_waiting_at_once_and_names_the_request() {
        let err = follow(&accepted(), Output::new(true), async || Err(refused(401))).await;
        let err = err.unwrap_err();
        assert!(
            matches!(err.downcast_ref(), Some(Failure::Refused(problem)) if problem.status == 401)
        );
        assert!(format!("{err:#}").contains("r-1"), "{err:#}");
    }
}
