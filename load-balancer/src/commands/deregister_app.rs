//! Document 001's `deregisterApp`. Only the deployment manager touches containers, so what it
//! deployed it is asked to stop, and this waits until it has; anything else only loses its route.

use std::time::Duration;

use chassis::owed;
use common::failure::FailureCode;
use common::id::{Generation, MessageId};
use common::message::DeploymentCommand;
use common::name::LegacyName;
use common::port::bus;
use common::record::deployment::{Deployment, Goal, State};
use common::record::owed::Owed;
use common::topic::Topic;
use tokio::time::{Instant, sleep, timeout};

use super::{Error, remove_route};
use crate::records::{deployment, route};
use crate::shared::Shared;

/// How long stopping a deployment may take, drain included.
const STOP_WITHIN: Duration = Duration::from_mins(1);
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long the bus may take to accept the request.
const ASK_WITHIN: Duration = Duration::from_secs(10);

/// Makes an instance go, whoever made it. An instance that nobody knows is gone already.
pub(crate) async fn run(shared: &Shared, instance: &LegacyName) -> Result<(), Error> {
    let store = &*shared.ports.store;
    store.sync().await?;
    match deployment(store, instance).await? {
        Some(standing) if is_being_stopped(&standing) => {
            wait_until_stopped(shared, instance, standing.generation).await
        }
        Some(standing) if !is_stopped(&standing) => {
            ask_to_stop(shared, &standing).await?;
            wait_until_stopped(shared, instance, standing.generation.next()).await
        }
        Some(_) | None => {
            let standing = route(store, instance).await?;
            let generation = standing.map(|stored| stored.record.generation);
            remove_route::run(shared, instance, generation.unwrap_or(Generation(0))).await
        }
    }
}

fn is_stopped(deployment: &Deployment) -> bool {
    matches!(deployment.state, State::Stopped | State::Removed)
}

fn is_being_stopped(deployment: &Deployment) -> bool {
    deployment.goal == Goal::Stopped && deployment.state < State::Failed
}

/// The request's id follows from the deployment: asking again is the same request.
async fn ask_to_stop(shared: &Shared, deployment: &Deployment) -> Result<(), Error> {
    let purpose = format!("deregister generation {}", deployment.generation);
    let request = deployment.request.derive(&purpose);
    let command = DeploymentCommand::Stop { instance: deployment.instance.clone() };
    let message = Owed {
        message_id: MessageId(request.derive("stop").0),
        key: deployment.instance.to_string(),
        envelope: command.envelope(Topic::LoadBalancer, request),
        details: None,
    };
    let asked = timeout(ASK_WITHIN, owed::publish(&*shared.ports.bus, &[message])).await;
    match asked {
        Ok(Ok(())) => Ok(()),
        Ok(Err(err)) => Err(not_asked(&err)),
        Err(_) => Err(Error::failed(FailureCode::DeadlineExceeded, "the bus does not answer")),
    }
}

fn not_asked(err: &bus::Error) -> Error {
    let message = format!("the deployment manager cannot be asked: {err}");
    Error::failed(FailureCode::RouteFailed, message)
}

/// `stop`: the generation of the stop; that an older one failed says nothing of it.
async fn wait_until_stopped(
    shared: &Shared,
    instance: &LegacyName,
    stop: Generation,
) -> Result<(), Error> {
    let store = &*shared.ports.store;
    let deadline = Instant::now() + STOP_WITHIN;
    while Instant::now() < deadline {
        store.sync().await?;
        let standing = deployment(store, instance).await?;
        if standing.as_ref().is_none_or(is_stopped) && route(store, instance).await?.is_none() {
            return Ok(());
        }
        let has_failed = |standing: &Deployment| {
            standing.goal == Goal::Stopped
                && standing.state == State::Failed
                && standing.generation >= stop
        };
        if let Some(failure) = standing.filter(has_failed) {
            let why = failure.failure.map_or_else(String::new, |failure| failure.to_string());
            return Err(Error::failed(
                FailureCode::RouteFailed,
                format!("it was not stopped: {why}"),
            ));
        }
        sleep(LOOK_EVERY).await;
    }
    let message = format!("it was not stopped within {} s", STOP_WITHIN.as_secs());
    Err(Error::failed(FailureCode::DeadlineExceeded, message))
}
