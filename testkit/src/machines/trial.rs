//! The backend on which the suite tries machines in memory.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use common::name::NodeName;
use common::port::host::{Credential, PublicKey};
use common::port::machines::{LocalShape, MachineSpec, Shape};
use common::port::{Hosts, Machines};

use super::MemoryMachines;
use crate::MemoryHosts;
use crate::contract::machines::World;

const SMALL: LocalShape =
    LocalShape { memory_bytes: 1 << 30, cpu_millis: 1000, address: None, machines_socket: false };

/// A backend of an empty [`MemoryHosts`], and a key of this computer.
#[derive(Debug)]
pub struct Trial {
    machines: MemoryMachines,
    key: PublicKey,
    next: AtomicU32,
}

impl Trial {
    /// Without any machine.
    pub fn begin() -> Self {
        let hosts = MemoryHosts::new();
        let key = hosts.make_key("/keys/ops", "ops");
        Trial { machines: MemoryMachines::new(hosts), key, next: AtomicU32::new(1) }
    }

    /// The machines of this world.
    pub fn memory(&self) -> &MemoryMachines {
        &self.machines
    }

    /// Another small machine.
    pub fn spec(&self) -> MachineSpec {
        let shape = self.shape(None);
        MachineSpec { name: self.fresh_name(), authorized_key: self.key.clone(), shape }
    }
}

#[async_trait(?Send)]
impl World for Trial {
    fn machines(&self) -> &dyn Machines {
        &self.machines
    }

    fn hosts(&self) -> &dyn Hosts {
        self.machines.hosts()
    }

    fn credential(&self) -> Credential {
        Credential::KeyFile("/keys/ops".into())
    }

    fn authorized_key(&self) -> PublicKey {
        self.key.clone()
    }

    fn shape(&self, address: Option<Ipv4Addr>) -> Shape {
        Shape::Local(LocalShape { address, ..SMALL })
    }

    fn other_shape(&self) -> Shape {
        Shape::Local(LocalShape { cpu_millis: SMALL.cpu_millis / 2, ..SMALL })
    }

    fn fresh_name(&self) -> NodeName {
        format!("node-{}", self.next.fetch_add(1, Ordering::Relaxed)).parse().expect("it is a name")
    }

    async fn occupy_name(&self, name: &NodeName) {
        self.machines.occupy_name(name);
    }

    async fn is_occupied(&self, name: &NodeName) -> bool {
        self.machines.is_occupied(name)
    }

    async fn power_off(&self, name: &NodeName) {
        self.machines.power_off(name);
    }

    async fn boot(&self, name: &NodeName) -> String {
        let machine = self.machines.look(name).await.ok().flatten();
        let machine = machine.expect("the machine exists");
        self.machines.hosts().with(&machine.entry.address, |system| system.boots.to_string())
    }
}
