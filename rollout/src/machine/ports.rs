//! What the steps of machines are done through.

use std::collections::BTreeMap;
use std::sync::Arc;

use common::port::machines::Shape;
use common::port::{Authority, Clock, Hosts, Images, Machines, Parts};

/// The ways to machines.
#[derive(Debug, Clone)]
pub struct Ports {
    pub hosts: Arc<dyn Hosts>,
    /// By [`Shape::kind`]; given machines need none.
    pub backends: BTreeMap<&'static str, Arc<dyn Machines>>,
    pub images: Arc<dyn Images>,
    pub clock: Arc<dyn Clock>,
    /// None before the platform has an authority: then machines can be looked at, and prepared up to there.
    pub trust: Option<Trust>,
}

/// Who vouches for agents, and who asks them in its name.
#[derive(Debug, Clone)]
pub struct Trust {
    pub authority: Arc<dyn Authority>,
    pub parts: Arc<dyn Parts>,
}

impl Ports {
    /// Who makes machines of this shape; none for those that are given.
    pub(super) fn backend(&self, shape: &Shape) -> Option<&dyn Machines> {
        match shape {
            Shape::Given => None,
            Shape::Local(_) | Shape::Azure(_) => self.backends.get(shape.kind()).map(AsRef::as_ref),
        }
    }
}
