//! Listening to the nodes: one stream of samples each, opened again for ever.

use std::sync::Arc;
use std::time::Duration;

use common::port::nodes::Agent;
use common::record::node::Node;
use futures::StreamExt as _;
use futures::future::join_all;
use tokio::time::{sleep, timeout};

use crate::shared::Shared;

const OPEN_WITHIN: Duration = Duration::from_secs(3);
/// A stream that is silent for so long is given up: ten samples a second should come.
const SAMPLE_WITHIN: Duration = Duration::from_secs(2);
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(100);

/// Listens to all nodes; never ends. Who stands by listens too: once it leads, it knows since when a node has been silent.
pub(crate) async fn listen(shared: &Shared) {
    let ticking = async {
        loop {
            shared.heartbeats.tick();
            sleep(TICK).await;
        }
    };
    tokio::select! {
        biased;
        () = ticking => {}
        () = listen_to_members(shared) => {}
    }
}

/// Other nodes: all are listened to anew, which takes less than it takes to be missed.
async fn listen_to_members(shared: &Shared) {
    let mut members = shared.members().subscribe();
    loop {
        let nodes = Arc::clone(&members.borrow_and_update());
        let listening = join_all(nodes.iter().map(|node| listen_to(shared, node)));
        tokio::select! {
            biased;
            // Its sender lives as long as `shared`.
            _ = members.changed() => {}
            _ = listening, if !nodes.is_empty() => {}
        }
    }
}

async fn listen_to(shared: &Shared, node: &Node) {
    let agent = Agent { node: node.name.clone(), address: node.agent };
    let mut retry = FIRST_RETRY;
    loop {
        if hear(shared, &agent).await {
            retry = FIRST_RETRY;
        }
        shared.metrics.streams_lost.with_label_values(&[node.name.as_str()]).inc();
        sleep(retry).await;
        retry = (retry * 2).min(LAST_RETRY);
    }
}

/// Notes samples until they stop coming; says whether any came.
async fn hear(shared: &Shared, agent: &Agent) -> bool {
    let opening = timeout(OPEN_WITHIN, shared.ports.nodes.samples(agent)).await;
    let mut samples = match opening {
        Ok(Ok(samples)) => samples,
        Ok(Err(err)) => {
            tracing::debug!(error = &err as &dyn std::error::Error, node = %agent.node, "a node's samples cannot be heard");
            return false;
        }
        Err(_) => return false,
    };
    let mut heard = false;
    let count = shared.metrics.samples.with_label_values(&[agent.node.as_str()]);
    loop {
        match timeout(SAMPLE_WITHIN, samples.next()).await {
            Ok(Some(Ok(sample))) => {
                heard = true;
                count.inc();
                shared.heartbeats.note(&agent.node, sample);
            }
            Ok(Some(Err(err))) => {
                tracing::debug!(error = &err as &dyn std::error::Error, node = %agent.node, "a stream of samples broke");
                return heard;
            }
            Ok(None) | Err(_) => return heard,
        }
    }
}
