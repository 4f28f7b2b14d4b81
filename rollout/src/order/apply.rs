//! One step of the base, done.

use std::net::SocketAddr;
use std::time::Duration;

use common::digest::ImageRef;
use common::name::NodeName;
use common::port::nodes::Agent;
use common::port::part::PartImage;
use tokio::time::{Instant, sleep};

use super::Base;
use super::ensure::ensure_part;
use super::step::{PartAction, PartStep};
use crate::failure::{Code, Failure, Why};
use crate::parts::{BasePart, REGISTRY_PORT};
use crate::platform::Component;

/// How long a part may take until it is ready: the first start of Kafka on a small machine.
const READY: Duration = Duration::from_mins(4);
const LOOK_AGAIN: Duration = Duration::from_millis(300);
/// How many of its last lines are told of a part that does not become ready.
const LAST_LINES: usize = 3;

/// What the registry calls an image from now on: to be kept in the description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    pub component: Component,
    pub image: ImageRef,
}

/// Does one step. May be repeated.
pub async fn apply_part(base: &Base<'_>, step: &PartStep) -> Result<Option<Pushed>, Failure> {
    let applied = act(base, &step.node, step.action).await;
    applied.map_err(|why| Failure::of(&step.node, step, why))
}

async fn act(base: &Base<'_>, node: &NodeName, action: PartAction) -> Result<Option<Pushed>, Why> {
    let agent = agent(base, node)?;
    match action {
        PartAction::Run(part) => {
            let spec = base.spec(part, node)?;
            ensure_part(base.parts, &agent, base.issuer, &spec, base.secrets).await?;
            Ok(None)
        }
        PartAction::Await(part) => ready(base, &agent, part).await.map(|()| None),
        PartAction::PointToRegistry => {
            let registry = &base.platform.placement.registry;
            let address = base.platform.address(registry).ok_or_else(|| unknown(registry))?;
            let registry = SocketAddr::new(address, REGISTRY_PORT);
            base.parts.registry_at(&agent, base.issuer, registry).await?;
            Ok(None)
        }
        PartAction::Push(component) => push(base, &agent, component).await.map(Some),
    }
}

fn unknown(node: &NodeName) -> Why {
    Why::incomplete(format!("where other machines reach {node} is not known"))
}

fn agent(base: &Base<'_>, node: &NodeName) -> Result<Agent, Why> {
    base.platform.agent(node).ok_or_else(|| unknown(node))
}

async fn push(base: &Base<'_>, agent: &Agent, component: Component) -> Result<Pushed, Why> {
    let image = base.platform.images.get(&component);
    let image = image.ok_or_else(|| Why::incomplete("the image is not known"))?;
    let by_id = PartImage::Id(image.id.clone());
    let pushed = base.parts.push_image(agent, base.issuer, &by_id, component.repository()).await?;
    Ok(Pushed { component, image: pushed })
}

async fn ready(base: &Base<'_>, agent: &Agent, part: BasePart) -> Result<(), Why> {
    let until = Instant::now() + READY;
    let name = part.name();
    let mut last = None;
    while Instant::now() < until {
        match base.parts.parts(agent).await {
            Ok(parts) => {
                let found = parts.into_iter().find(|found| found.name == name);
                if found.is_some_and(|found| found.healthy == Some(true)) {
                    return Ok(());
                }
                last = None;
            }
            Err(err) if err.is_retryable() => last = Some(err),
            Err(err) => return Err(err.into()),
        }
        sleep(LOOK_AGAIN).await;
    }
    if let Some(err) = last {
        return Err(err.into());
    }
    let lines = base.parts.part_logs(agent, &name, LAST_LINES).await.unwrap_or_default();
    let message = format!("it is not ready within {READY:?}; it said last: {}", lines.join(" / "));
    let hint = format!("see what {part} says: docker logs on its machine");
    Err(Why::new(Code::PartNotReady, message, hint).but_later())
}
