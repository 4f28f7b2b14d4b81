//! Waiting for a request to end, with progress.

use std::time::Duration;

use tokio::time::Instant;

use super::instance::Instance;
use crate::client::Client;
use crate::failure::Failure;
use crate::output::Output;

const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Longer than any request may take in the platform.
const PATIENCE: Duration = Duration::from_mins(11);

/// What is wanted of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    Deployed,
    Stopped,
    Replicas(u32),
}

/// Waits until the instance is as wanted, or the platform says why it will not be.
pub(crate) async fn until(
    client: &Client,
    name: &str,
    wanted: Wanted,
    output: Output,
) -> anyhow::Result<Instance> {
    let give_up = Instant::now() + PATIENCE;
    let mut told = String::new();
    loop {
        let instance: Instance = client.get(&format!("/api/v1/instances/{name}")).await?;
        let now = describe(&instance);
        if now != told {
            output.progress(&now);
            told = now;
        }
        if is_as_wanted(&instance, wanted) {
            return Ok(instance);
        }
        if let Some(failure) = failed(&instance) {
            return Err(failure.into());
        }
        if Instant::now() > give_up {
            let hint = format!("see `avishkar status {name}`");
            return Err(Failure::TimedOut { what: format!("the request for {name}"), hint }.into());
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn is_as_wanted(instance: &Instance, wanted: Wanted) -> bool {
    match wanted {
        Wanted::Deployed => instance.state == "deployed",
        Wanted::Stopped => instance.state == "stopped",
        Wanted::Replicas(count) => {
            let serving =
                instance.replicas.iter().filter(|replica| replica.state == "ready").count();
            serving == count as usize && instance.replicas.len() == count as usize
        }
    }
}

fn failed(instance: &Instance) -> Option<Failure> {
    if !instance.state.ends_with("failed") {
        return None;
    }
    let failure = instance.failure.clone()?;
    let hint = failure.hint.or_else(|| Some(format!("see `avishkar logs {}`", instance.name)));
    Some(Failure::Request {
        code: failure.code,
        message: failure.message,
        hint,
        output: failure.output,
    })
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
