//! A node manager that answers, as small as can be.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::failure::FailureCode;
use common::id::RequestId;
use common::message::{DeploymentCommand, Envelope, NodeAnswer, NodeChoice, NodeCommand};
use common::name::NodeName;
use common::port::Bus as _;
use common::port::bus::{self, Record};
use common::topic::Topic;
use testkit::MemoryBus;

/// How the node manager behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Placement {
    /// Each question gets the next node, and a port nobody else has.
    #[default]
    Spread,
    /// Nothing fits.
    Full,
    /// No disk has room for the image.
    FullDisks,
    /// It does not answer.
    Silent,
}

/// It gives the same answer to the same question, as the real one does.
#[derive(Debug, Default)]
pub(crate) struct NodeManager {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    placement: Placement,
    answers: BTreeMap<RequestId, NodeAnswer>,
    given: u16,
}

impl NodeManager {
    pub(crate) fn set_placement(&self, placement: Placement) {
        self.lock().placement = placement;
    }

    /// While the bus is away, so is the node manager.
    pub(crate) async fn answer_for_ever(&self, bus: &MemoryBus, live: impl Fn() -> Vec<NodeName>) {
        loop {
            drop(self.answer_while_it_lasts(bus, &live).await);
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn answer_while_it_lasts(
        &self,
        bus: &MemoryBus,
        live: &impl Fn() -> Vec<NodeName>,
    ) -> Result<(), bus::Error> {
        let topic = Topic::NodeManager.into();
        let mut consumer = bus.consume(&topic, "node-manager").await?;
        loop {
            let delivery = consumer.next().await?;
            let asked = Envelope::decode(&delivery.record.payload, Topic::NodeManager).unwrap();
            if let Some(answer) = self.answer(&asked, &live()) {
                let command = DeploymentCommand::AnswerNode(answer);
                let payload = command.envelope(Topic::NodeManager, asked.request_id).encode();
                let record = Record { key: None, headers: Vec::new(), payload };
                bus.publish(&Topic::DeploymentManager.into(), record).await?;
            }
            consumer.commit(delivery.offset.next()).await?;
        }
    }

    fn answer(&self, asked: &Envelope, live: &[NodeName]) -> Option<NodeAnswer> {
        let NodeCommand::GiveBestNode { instance } = NodeCommand::decode(&asked.msg).unwrap();
        let mut state = self.lock();
        if let Some(answer) = state.answers.get(&asked.request_id) {
            return Some(answer.clone());
        }
        let node = match state.placement {
            Placement::Silent => return None,
            Placement::Spread if !live.is_empty() => {
                state.given += 1;
                Ok(choice(&live[usize::from(state.given) % live.len()], 20000 + state.given))
            }
            Placement::Spread | Placement::Full => Err(FailureCode::NoNodeFits),
            Placement::FullDisks => Err(FailureCode::InsufficientStorage),
        };
        let answer = NodeAnswer { instance, node };
        state.answers.insert(asked.request_id, answer.clone());
        Some(answer)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn choice(node: &NodeName, port: u16) -> NodeChoice {
    let (id, os) = (node.to_string(), "linux".to_owned());
    NodeChoice { id, name: node.clone(), ip: address(node).parse().unwrap(), os, port }
}

/// Where a node's containers are reached.
pub(crate) fn address(node: &NodeName) -> String {
    node.as_str().replace("node-", "192.0.2.10")
}
