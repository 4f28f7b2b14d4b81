//! Nodes whose agents were led from another store: known by their refusals, held, and told to who looks.

use std::collections::BTreeMap;

use common::id::Epoch;
use common::name::NodeName;
use tokio::sync::watch;

use super::Seat;
use crate::lifecycle::Lifecycle;

/// The nodes that a leader leaves as they are, each with the epoch that its agent has heard.
#[derive(Debug, Default)]
pub struct HeldNodes(watch::Sender<BTreeMap<NodeName, Epoch>>);

/// Why an agent does not listen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Another instance leads; this one's run ends.
    Deposed,
    /// It was led from another store.
    Held,
}

impl HeldNodes {
    /// An agent has heard of a higher epoch. Either another leads, whose epoch stands in the store by now; or the
    /// store is not the one that the agent was led from. Then every further lead would only come closer to what it
    /// heard, and would take what runs there for nobody's: so the node is held, until an operator has looked.
    pub async fn refused(&self, seat: &Seat, node: &NodeName, seen: Epoch) -> Refused {
        // Who cannot be sure goes, too.
        if seat.still_leads().await.is_err() {
            seat.depose();
            return Refused::Deposed;
        }
        let is_news = self.0.send_if_modified(|held| held.insert(node.clone(), seen) != Some(seen));
        if is_news {
            let epoch = seat.issuer().epoch;
            tracing::error!(node.id = %node, %seen, %epoch, "the node was led from another store; nothing is changed there");
        }
        Refused::Held
    }

    /// Says in the condition `nodes` which are held, until the process stops.
    pub async fn tell(&self, lifecycle: &Lifecycle) {
        let condition = lifecycle.condition("nodes");
        let mut held = self.0.subscribe();
        let telling = async {
            loop {
                let names: Vec<String> =
                    held.borrow_and_update().keys().map(ToString::to_string).collect();
                if names.is_empty() {
                    condition.holds();
                } else {
                    let nodes = names.join(", ");
                    condition.fails(format!("{nodes}: led from another store, which this one took the place of; nothing is changed there"));
                }
                if held.changed().await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            biased;
            () = lifecycle.stopping() => {}
            () = telling => {}
        }
    }
}
