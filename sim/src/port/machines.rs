//! Where machines come from, and how they become nodes.

use std::time::Duration;

use async_trait::async_trait;
use common::failure::{Failure, FailureCode};
use common::name::NodeName;
use common::port::Machines;
use common::port::host::Gate as Entry;
use common::port::machines::{Ability, Error, Machine, MachineSpec, Power};
use lifecycle_manager::ports::{Enrolled, Enrolment, NotEnrolled};
use rollout::machine::Journal;
use rollout::platform::Platform;
use testkit::nodes::Reach;

use crate::call::CallKind;
use crate::fleet::{self, Fleet};
use crate::gate::{Call, Gate, Lost};
use crate::plant::Plant;

/// How long somebody takes who signs in to a machine and sees to it.
const SEEING_TO: (u64, u64) = (400, 4000);

/// The backend of all machines.
#[derive(Debug)]
pub(crate) struct SimMachines {
    gate: Gate,
}

/// Enrolment, which brings a machine back that can be brought back.
#[derive(Debug)]
pub(crate) struct SimEnrolment {
    gate: Gate,
}

impl SimMachines {
    pub(crate) fn new(gate: Gate) -> Self {
        SimMachines { gate }
    }
}

impl SimEnrolment {
    pub(crate) fn new(gate: Gate) -> Self {
        SimEnrolment { gate }
    }
}

fn lost(_: Lost) -> Error {
    Error::Unavailable("simulated".into())
}

fn machine(fleet: &Fleet, name: &NodeName) -> Machine {
    let power = match fleet.reach(name) {
        _ if fleet.is_unpowered(name) => Power::Unknown,
        Reach::Dead => Power::Stopped,
        Reach::Up | Reach::Partitioned | Reach::Hung => Power::Running,
    };
    Machine {
        name: name.clone(),
        id: None,
        power,
        address: None,
        entry: Entry::new("192.0.2.1"),
        user: "root".to_owned(),
        host_key: None,
    }
}

/// The lifecycle manager leaves it to enrolment to make and start machines.
fn never<T>() -> Result<T, Error> {
    Err(Error::Refused("nobody asks for that here".to_owned()))
}

#[async_trait]
impl Machines for SimMachines {
    fn lacks(&self, _: Ability) -> Option<&'static str> {
        None
    }

    async fn look(&self, name: &NodeName) -> Result<Option<Machine>, Error> {
        let what = self.gate.world.essence(format_args!("look at machine {name}"));
        let looked = async { Ok(Some(machine(&self.gate.world.truth.fleet, name))) };
        self.gate.ask(CallKind::MachinesLook, what, lost, looked).await
    }

    async fn list(&self) -> Result<Vec<Machine>, Error> {
        never()
    }

    async fn create(&self, _: &MachineSpec) -> Result<Machine, Error> {
        never()
    }

    async fn start(&self, _: &NodeName) -> Result<Machine, Error> {
        never()
    }

    async fn stop(&self, _: &NodeName) -> Result<(), Error> {
        never()
    }

    async fn restart(&self, name: &NodeName) -> Result<Machine, Error> {
        let what = self.gate.world.essence(format_args!("restart machine {name}"));
        let call = Call { kind: CallKind::MachinesRestart, what, step: &|| None };
        let (gate, name) = (self.gate.clone(), name.clone());
        let body = move |_| async move {
            gate.world.checker().machine_restarted(&name, gate.world.stage.now());
            let (world, node) = (gate.world.clone(), name.clone());
            // The backend goes on whatever becomes of who asked.
            let cycled = async move {
                if world.has(Plant::MachinesCycleTwice) && fleet::cycle(&world, &node).await {
                    world.checker().machine_restarted(&node, world.stage.now());
                }
                fleet::cycle(&world, &node).await
            };
            match gate.world.stage.call(0, cycled).await {
                Some(true) => Ok(machine(&gate.world.truth.fleet, &name)),
                Some(false) | None => Err(Error::DeadlineExceeded {
                    name,
                    what: Ability::Restart,
                    after: Duration::from_secs(3),
                }),
            }
        };
        self.gate.order(call, lost, body).await
    }

    async fn delete(&self, _: &NodeName) -> Result<(), Error> {
        never()
    }
}

fn failed(name: &NodeName, why: &str) -> NotEnrolled {
    NotEnrolled::Failed(Failure::new(FailureCode::NodeUnavailable, format!("{name}: {why}")))
}

#[async_trait]
impl Enrolment for SimEnrolment {
    async fn enrol(
        &self,
        platform: &Platform,
        name: &NodeName,
        _: &dyn Journal,
    ) -> Result<Enrolled, NotEnrolled> {
        let what = self.gate.world.essence(format_args!("enrol {name}"));
        let call = Call { kind: CallKind::Enrol, what, step: &|| None };
        let address = platform.address(name).ok_or_else(|| failed(name, "it has no address"))?;
        let (gate, node) = (self.gate.clone(), name.clone());
        let body = move |_| async move {
            let span = gate.world.dice().millis(SEEING_TO.0, SEEING_TO.1);
            gate.world.stage.sleep(span).await;
            let (world, on) = (gate.world.clone(), node.clone());
            let seen_to = async move { fleet::power_on(&world, &on).await };
            match gate.world.stage.call(0, seen_to).await {
                Some(true) => Ok(Enrolled { address, gate: None, host_key: None }),
                Some(false) | None => Err(failed(&node, "nobody listens there")),
            }
        };
        let on_its_way = name.clone();
        let lost = move |_| failed(&on_its_way, "the connection was lost");
        self.gate.order(call, lost, body).await
    }
}
