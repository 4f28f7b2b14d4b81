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

/// Waits until the request has ended; returns the instance as it then is.
pub(crate) async fn until_done(
    client: &Client,
    accepted: &Accepted,
    output: Output,
) -> anyhow::Result<Instance> {
    let give_up = Instant::now() + PATIENCE;
    let name = &accepted.instance;
    let mut told = String::new();
    loop {
        let path = format!("/api/v1/operations/{}", accepted.request_id);
        let operation: Operation = client.get(&path).await?;
        let instance: Instance = client.get(&format!("/api/v1/instances/{name}")).await?;
        let now = describe(&instance);
        if now != told {
            output.progress(&now);
            told = now;
        }
        // A request ends a moment before the app manager hears of it; URL and last words come with that.
        match operation.status.as_str() {
            _ if instance.awaits(&accepted.request_id) => {}
            "succeeded" => return Ok(instance),
            "failed" => return Err(failed(operation.failure, instance).into()),
            "superseded" => return Err(superseded(name).into()),
            _ => {}
        }
        if Instant::now() > give_up {
            let hint = format!("see `avishkar status {name}`");
            return Err(Failure::TimedOut { what: format!("the request for {name}"), hint }.into());
        }
        tokio::time::sleep(LOOK_EVERY).await;
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
