//! What only this service needs: machines whose power is that of the simulated nodes, an enrolment as a test wants it,
//! an authority.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use common::failure::{Failure, FailureCode};
use common::name::NodeName;
use common::port::authority::{self, Papers};
use common::port::host::Gate;
use common::port::machines::{Ability, Error, Machine, MachineSpec, Power};
use common::port::{Authority, Machines};
use common::service::ServiceName;
use lifecycle_manager::ports::{Enrolled, Enrolment, NotEnrolled};
use rollout::platform::Platform;
use testkit::nodes::Reach;
use testkit::{MemoryNodes, MemoryParts};

/// Papers that say what they are for.
#[derive(Debug)]
pub(crate) struct Notary;

impl Authority for Notary {
    fn certificate(&self) -> &'static str {
        "ca"
    }

    fn issue(&self, service: ServiceName, names: &[String]) -> Result<Papers, authority::Error> {
        let certificate = format!("{service} at {}", names.join(" "));
        Ok(Papers { key: format!("key of {certificate}"), certificate })
    }
}

/// The backend of the machines: clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct FleetMachines {
    nodes: MemoryNodes,
    parts: MemoryParts,
    power: Arc<Mutex<BTreeMap<NodeName, Power>>>,
    restarted: Arc<Mutex<Vec<NodeName>>>,
}

impl FleetMachines {
    pub(crate) fn new(nodes: MemoryNodes, parts: MemoryParts) -> Self {
        FleetMachines { nodes, parts, power: Arc::default(), restarted: Arc::default() }
    }

    /// Cuts or restores power and network of a machine, not by the platform.
    pub(crate) async fn set_reach(&self, node: &NodeName, reach: Reach) {
        self.nodes.set_reach(node, reach).await;
        self.parts.set_reach(node, reach).await;
        let power = if reach == Reach::Dead { Power::Stopped } else { Power::Running };
        self.power.lock().unwrap_or_else(PoisonError::into_inner).insert(node.clone(), power);
    }

    /// What was restarted by the platform.
    pub(crate) fn restarted(&self) -> Vec<NodeName> {
        self.restarted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A machine that is added has an agent from the moment of its enrolment.
    pub(crate) fn furnish(&self, node: &NodeName) -> std::net::IpAddr {
        self.nodes.add(node.as_str());
        self.parts.add(node.as_str()).address.ip()
    }

    fn machine(&self, name: &NodeName) -> Machine {
        let power = self.power.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied();
        Machine {
            name: name.clone(),
            power: power.unwrap_or(Power::Running),
            address: None,
            entry: Gate::new("192.0.2.1"),
            user: "root".to_owned(),
            host_key: None,
        }
    }
}

#[async_trait]
impl Machines for FleetMachines {
    fn lacks(&self, _: Ability) -> Option<&'static str> {
        None
    }

    async fn look(&self, name: &NodeName) -> Result<Option<Machine>, Error> {
        Ok(Some(self.machine(name)))
    }

    async fn list(&self) -> Result<Vec<Machine>, Error> {
        Ok(Vec::new())
    }

    async fn create(&self, spec: &MachineSpec) -> Result<Machine, Error> {
        Ok(self.machine(&spec.name))
    }

    async fn start(&self, name: &NodeName) -> Result<Machine, Error> {
        self.set_reach(name, Reach::Up).await;
        Ok(self.machine(name))
    }

    async fn stop(&self, name: &NodeName) -> Result<(), Error> {
        self.set_reach(name, Reach::Dead).await;
        Ok(())
    }

    async fn restart(&self, name: &NodeName) -> Result<Machine, Error> {
        self.restarted.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
        self.set_reach(name, Reach::Dead).await;
        tokio::time::sleep(std::time::Duration::from_secs(3)).await;
        self.set_reach(name, Reach::Up).await;
        Ok(self.machine(name))
    }

    async fn delete(&self, name: &NodeName) -> Result<(), Error> {
        self.set_reach(name, Reach::Dead).await;
        Ok(())
    }
}

/// What an enrolment comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Outcome {
    /// The machine runs, with its agent.
    #[default]
    Helps,
    DoesNotHelp,
    KeyChanged,
}

/// Enrolment as a test wants it.
#[derive(Debug, Clone)]
pub(crate) struct ScriptedEnrolment {
    machines: FleetMachines,
    outcome: Arc<Mutex<Outcome>>,
    asked: Arc<Mutex<Vec<NodeName>>>,
}

impl ScriptedEnrolment {
    pub(crate) fn new(machines: FleetMachines) -> Self {
        ScriptedEnrolment { machines, outcome: Arc::default(), asked: Arc::default() }
    }

    pub(crate) fn comes_to(&self, outcome: Outcome) {
        *self.outcome.lock().unwrap_or_else(PoisonError::into_inner) = outcome;
    }

    /// Which machines were to be enrolled, in order.
    pub(crate) fn asked(&self) -> Vec<NodeName> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Enrolment for ScriptedEnrolment {
    async fn enrol(&self, platform: &Platform, name: &NodeName) -> Result<Enrolled, NotEnrolled> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(name.clone());
        let outcome = *self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Outcome::Helps => {
                let address = match platform.address(name) {
                    Some(address) => address,
                    None => self.machines.furnish(name),
                };
                self.machines.set_reach(name, Reach::Up).await;
                Ok(Enrolled { address, gate: None, host_key: None })
            }
            Outcome::DoesNotHelp => {
                let failure = Failure::new(FailureCode::NodeUnavailable, "nobody listens there");
                Err(NotEnrolled::Failed(failure))
            }
            Outcome::KeyChanged => {
                let message = "it has another host key than the pinned one";
                let failure = Failure::new(FailureCode::NodeUnavailable, message);
                Err(NotEnrolled::HostKeyChanged(failure))
            }
        }
    }
}
