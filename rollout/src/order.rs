//! In which order the base of a platform comes up: what stands where already, what is left, one step after another.

mod apply;
mod ensure;
mod plan;
mod step;

use std::collections::BTreeMap;

use common::id::Generation;
use common::name::NodeName;
use common::port::nodes::Issuer;
use common::port::part::{Part, PartSpec};
use common::port::{Authority, Parts};
use common::service::ServiceName;

use crate::failure::{Failure, Why};
use crate::parts::{self, BasePart, Secrets, ServicePapers, Site};
use crate::platform::Platform;

pub use apply::{Pushed, apply_part};
pub use ensure::{ensure_code, ensure_part};
pub use plan::plan_parts;
pub use step::{PartAction, PartStep};

/// The base of a platform, and who orders it in whose name.
#[derive(Debug, Clone, Copy)]
pub struct Base<'a> {
    pub platform: &'a Platform,
    /// Of the parts that are to be run: one of a higher generation stays.
    pub generation: Generation,
    pub issuer: Issuer,
    pub parts: &'a dyn Parts,
    pub authority: &'a dyn Authority,
    pub secrets: &'a Secrets,
}

/// What was seen of the nodes; one that is missing could not be asked.
pub type PartsSeen = BTreeMap<NodeName, Vec<Part>>;

impl Base<'_> {
    fn site<'a>(&'a self, node: &'a NodeName) -> Site<'a> {
        Site { platform: self.platform, node, generation: self.generation }
    }

    /// What a part should be on a node.
    pub(crate) fn spec(&self, part: BasePart, node: &NodeName) -> Result<PartSpec, Why> {
        let site = self.site(node);
        let service = |service| {
            let papers = ServicePapers::of(&site, service, self.authority, self.secrets)?;
            Ok::<_, Why>(parts::service(&site, service, None, &papers)?)
        };
        Ok(match part {
            BasePart::Registry => parts::registry(&site)?,
            BasePart::ZooKeeper => parts::zookeeper(&site)?,
            BasePart::Kafka => parts::kafka(&site)?,
            BasePart::Edge => parts::edge(&site)?,
            BasePart::Address => parts::address(&site)?,
            BasePart::LifecycleManager => service(ServiceName::LifecycleManager)?,
            BasePart::PlatformInitializer => service(ServiceName::PlatformInitializer)?,
        })
    }
}

/// Asks every node that answers what stands on it.
pub async fn observe_parts(platform: &Platform, parts: &dyn Parts) -> Result<PartsSeen, Failure> {
    let mut seen = PartsSeen::new();
    for machine in &platform.machines {
        let Some(agent) = platform.agent(&machine.name) else { continue };
        match parts.parts(&agent).await {
            Ok(parts) => drop(seen.insert(machine.name.clone(), parts)),
            Err(err) if err.is_retryable() => {}
            Err(err) => {
                let name = &machine.name;
                return Err(Failure::of(name, format!("look at the parts on {name}"), err.into()));
            }
        }
    }
    Ok(seen)
}
