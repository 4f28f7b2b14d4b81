//! The replicas of instances as people see them: how far the deployment manager is with each, and how
//! those that are served did when their nodes looked at them last.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chassis::records;
use common::name::{ContainerName, NodeName};
use common::port::nodes::{Agent, ContainerUse};
use common::record::deployment::{Deployment, Slot, SlotState};
use common::record::node::Node;
use common::record::path;
use futures::StreamExt as _;
use futures::future::try_join_all;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::context::Context;

/// Nodes measure ten times a second.
const MEASURED_WITHIN: Duration = Duration::from_secs(1);

/// The containers of each node that told of them in time.
pub(super) type Measured = BTreeMap<NodeName, Vec<ContainerUse>>;

/// Asks the nodes of all replicas that are served.
pub(super) async fn measure(
    context: &Context,
    deployments: impl Iterator<Item = &Deployment>,
) -> Result<Measured, records::Error> {
    let served =
        deployments.flat_map(|deployment| &deployment.slots).filter(|slot| is_served(slot));
    let nodes: BTreeSet<&NodeName> =
        served.filter_map(|slot| Some(&slot.place.as_ref()?.node)).collect();
    let told = nodes.into_iter().map(|node| async move {
        let told = containers(context, node).await?;
        Ok::<_, records::Error>(told.map(|told| (node.clone(), told)))
    });
    Ok(try_join_all(told).await?.into_iter().flatten().collect())
}

async fn containers(
    context: &Context,
    node: &NodeName,
) -> Result<Option<Vec<ContainerUse>>, records::Error> {
    let known = records::load::<Node>(context.ports.store.as_ref(), &path::node(node)).await?;
    let Some(known) = known else { return Ok(None) };
    let agent = Agent { node: node.clone(), address: known.record.agent };
    let first = async { context.ports.nodes.samples(&agent).await.ok()?.next().await?.ok() };
    let sample = timeout(MEASURED_WITHIN, first).await.ok().flatten();
    Ok(sample.map(|sample| sample.containers))
}

/// The replicas of one instance, by number.
pub(super) fn views(deployment: &Deployment, measured: &Measured) -> Vec<Value> {
    let one = |slot: &Slot| {
        let node = slot.place.as_ref().map(|place| &place.node);
        let told = node.and_then(|node| measured.get(node)).map(Vec::as_slice);
        json!({ "slot": slot.number, "node": node, "state": state(deployment, slot, told) })
    };
    deployment.slots.iter().map(one).collect()
}

/// A replica's state: ready is what the edge serves and its node finds well.
fn state(deployment: &Deployment, slot: &Slot, told: Option<&[ContainerUse]>) -> &'static str {
    use SlotState as S;
    match slot.state {
        S::Asked => "asked",
        S::Placed => "placed",
        S::Started => "started",
        S::Ready => "healthy",
        S::Routed => match told {
            None => "unreachable",
            Some(told) if told.iter().any(|one| is_it(deployment, slot, one) && is_well(one)) => {
                "ready"
            }
            Some(_) => "unhealthy",
        },
        S::Leaving | S::Drained => "leaving",
    }
}

fn is_served(slot: &Slot) -> bool {
    slot.state == SlotState::Routed
}

fn is_it(deployment: &Deployment, slot: &Slot, container: &ContainerUse) -> bool {
    let instance = deployment.instance.as_str().parse();
    instance.is_ok_and(|instance| {
        container.name == ContainerName::new(&instance, slot.number)
            && container.generation == slot.generation
    })
}

/// What was not looked at yet answered its first probe.
fn is_well(container: &ContainerUse) -> bool {
    container.running && container.healthy.unwrap_or(true)
}
