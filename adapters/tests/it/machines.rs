//! The contract of machines in containers and of given ones, and what only a real engine can show.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use adapters::{GivenMachine, GivenMachines};
use async_trait::async_trait;
use bollard::Docker;
use bollard::models::ContainerStateStatusEnum;
use bollard::query_parameters::{
    InspectContainerOptions, InspectNetworkOptions, KillContainerOptions,
};
use common::name::NodeName;
use common::port::host::{Access, Command, Credential, PublicKey};
use common::port::machines::{Error, LocalShape, Machine, MachineSpec, Power, Shape};
use common::port::{Hosts, Machines};
use testkit::contract::machines::{GivenWorld, World, holds, holds_for_given};

use crate::local::{Rig, fresh_name, nobody, run, started_at, with_machine, with_rig};

#[async_trait(?Send)]
impl World for Rig {
    fn machines(&self) -> &dyn Machines {
        &self.machines
    }

    fn hosts(&self) -> &dyn Hosts {
        &self.hosts
    }

    fn credential(&self) -> Credential {
        self.credential()
    }

    fn authorized_key(&self) -> PublicKey {
        self.key.clone()
    }

    fn shape(&self, address: Option<Ipv4Addr>) -> Shape {
        Shape::Local(LocalShape { address, ..Rig::shape() })
    }

    fn other_shape(&self) -> Shape {
        let shape = Rig::shape();
        Shape::Local(LocalShape { cpu_millis: shape.cpu_millis / 2, ..shape })
    }

    fn fresh_name(&self) -> NodeName {
        fresh_name()
    }

    async fn occupy_name(&self, name: &NodeName) {
        self.occupy(name).await;
    }

    async fn is_occupied(&self, name: &NodeName) -> bool {
        self.exists(name).await
    }

    async fn power_off(&self, name: &NodeName) {
        let container = self.container(name);
        self.docker.kill_container(&container, None::<KillContainerOptions>).await.unwrap();
    }

    async fn boot(&self, name: &NodeName) -> String {
        started_at(&self.docker, &self.container(name)).await
    }
}

struct Given {
    machines: GivenMachines,
    docker: Docker,
    container: String,
    name: NodeName,
    key: PublicKey,
}

const SILENT: &str = "a-silent-one";

impl Given {
    /// One that runs, and one that nobody ever switched on.
    fn new(rig: &Rig, machine: &Machine) -> Self {
        let access = rig.root_of(machine);
        let silent = Access { at: nobody(), ..access.clone() };
        let given = vec![
            GivenMachine { name: machine.name.clone(), access },
            GivenMachine { name: SILENT.parse().unwrap(), access: silent },
        ];
        Given {
            machines: GivenMachines::new(Arc::new(rig.hosts.clone()), given),
            docker: rig.docker.clone(),
            container: rig.container(&machine.name),
            name: machine.name.clone(),
            key: rig.key.clone(),
        }
    }
}

#[async_trait(?Send)]
impl GivenWorld for Given {
    fn machines(&self) -> &dyn Machines {
        &self.machines
    }

    fn given(&self) -> NodeName {
        self.name.clone()
    }

    fn silent(&self) -> NodeName {
        SILENT.parse().unwrap()
    }

    fn authorized_key(&self) -> PublicKey {
        self.key.clone()
    }

    async fn boot(&self, _: &NodeName) -> String {
        started_at(&self.docker, &self.container).await
    }
}

#[tokio::test]
async fn the_contract_is_kept_by_machines_in_containers() {
    with_rig(async |rig| holds(rig).await).await;
}

#[tokio::test]
async fn the_contract_is_kept_by_machines_that_were_given() {
    with_machine(async |rig, machine| holds_for_given(&Given::new(rig, machine)).await).await;
}

#[tokio::test]
async fn a_machine_has_an_engine_that_runs_containers_and_name_servers_for_them() {
    with_machine(async |rig, machine| {
        let host = rig.signed_in(machine).await;
        let engine = Command::new("docker").args(["info", "-f", "{{.Driver}}"]);
        let up = async {
            loop {
                let said = run(host.as_ref(), engine.clone()).await;
                if said.succeeded() {
                    return said.text();
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        };
        let driver = tokio::time::timeout(Duration::from_mins(1), up).await.unwrap();
        assert_eq!(driver, "overlay2");
        // Its disk is a volume of its own, not a layer on a layer.
        let disk = Command::new("stat").args(["-f", "-c", "%T", "/var/lib/docker"]);
        assert_ne!(run(host.as_ref(), disk).await.text(), "overlayfs");
        let hostname = run(host.as_ref(), Command::new("hostname")).await.text();
        assert_eq!(hostname, machine.name.as_str());
        let engine = run(host.as_ref(), Command::new("cat").args(["/proc/1/environ"])).await.text();
        assert!(!engine.contains("NODE_DNS=\0"), "it was given name servers");
    })
    .await;
}

#[tokio::test]
async fn a_machine_has_the_memory_and_the_processors_that_it_was_given_and_no_privilege() {
    with_machine(async |rig, machine| {
        let container = rig.container(&machine.name);
        let found = rig.docker.inspect_container(&container, None::<InspectContainerOptions>);
        let host = found.await.unwrap().host_config.unwrap();
        assert_eq!((host.memory, host.nano_cpus), (Some(1 << 30), Some(1_000_000_000)));
        assert_eq!(host.privileged, Some(false));
    })
    .await;
}

/// As a lifecycle manager on a machine makes one: where it is, the engine's socket has another path.
#[tokio::test]
async fn whoever_makes_a_machine_it_finds_the_engine_where_this_computer_has_it() {
    with_rig(async |rig| {
        let elsewhere = rig.backend_by_a_link();
        for machines in [&rig.machines, &elsewhere] {
            let shape = LocalShape { machines_socket: true, ..Rig::shape() };
            let spec = MachineSpec { shape: Shape::Local(shape), ..rig.spec() };
            machines.create(&spec).await.unwrap();
            let container = rig.container(&spec.name);
            let found = rig.docker.inspect_container(&container, None::<InspectContainerOptions>);
            let binds = found.await.unwrap().host_config.unwrap().binds.unwrap();
            assert_eq!(binds, ["/var/run/docker.sock:/run/avishkar/machines.sock"]);
        }
    })
    .await;
}

#[tokio::test]
async fn a_machine_that_this_computer_is_too_small_for_is_refused() {
    with_rig(async |rig| {
        let huge = [
            LocalShape { memory_bytes: 1 << 50, ..Rig::shape() },
            LocalShape { cpu_millis: 1_000_000, ..Rig::shape() },
        ];
        for shape in huge {
            let spec = MachineSpec { shape: Shape::Local(shape), ..rig.spec() };
            let refused = rig.machines.create(&spec).await;
            assert!(matches!(refused, Err(Error::Quota { .. })), "{refused:?}");
            assert_eq!(rig.machines.look(&spec.name).await.unwrap(), None);
        }
        let outside = LocalShape { address: "192.0.2.1".parse().ok(), ..Rig::shape() };
        let spec = MachineSpec { shape: Shape::Local(outside), ..rig.spec() };
        let refused = rig.machines.create(&spec).await;
        assert!(matches!(refused, Err(Error::InUse { .. })), "{refused:?}");
    })
    .await;
}

#[tokio::test]
async fn a_machine_that_was_made_but_never_started_is_finished() {
    with_rig(async |rig| {
        let spec = rig.spec();
        rig.machines.create(&spec).await.unwrap();
        rig.machines.stop(&spec.name).await.unwrap();
        // As after a crash between making it and letting anybody in.
        let container = rig.container(&spec.name);
        rig.machines.start(&spec.name).await.unwrap();
        rig.on(&spec.name, "rm -r ~root/.ssh").await;
        rig.docker.kill_container(&container, None::<KillContainerOptions>).await.unwrap();
        let machine = rig.machines.create(&spec).await.unwrap();
        rig.signed_in(&machine).await;
    })
    .await;
}

#[tokio::test]
async fn a_machine_that_hangs_is_neither_running_nor_stopped_and_can_be_restarted() {
    with_machine(async |rig, machine| {
        rig.docker.pause_container(&rig.container(&machine.name)).await.unwrap();
        let seen = rig.machines.look(&machine.name).await.unwrap().unwrap();
        assert_eq!(seen.power, Power::Unknown);
        let restarted = rig.machines.restart(&machine.name).await.unwrap();
        assert_eq!(restarted, *machine);
        rig.signed_in(machine).await;
    })
    .await;
}

#[tokio::test]
async fn nothing_is_left_of_the_last_machine() {
    with_rig(async |rig| {
        let spec = rig.spec();
        rig.machines.create(&spec).await.unwrap();
        let container = rig.container(&spec.name);
        let found = rig.docker.inspect_container(&container, None::<InspectContainerOptions>);
        let found = found.await.unwrap();
        let volume = found.mounts.unwrap().into_iter().find_map(|mount| mount.name).unwrap();
        let network = found.host_config.unwrap().network_mode.unwrap();
        rig.machines.delete(&spec.name).await.unwrap();
        assert!(rig.docker.inspect_volume(&volume).await.is_err());
        assert!(rig.docker.inspect_network(&network, None::<InspectNetworkOptions>).await.is_err());
    })
    .await;
}

/// Killed between making and starting: nobody could sign in to what a start alone would give.
#[tokio::test]
async fn what_was_cut_off_before_its_first_start_is_no_machine_and_is_finished_when_it_is_made_again()
 {
    with_rig(async |rig| {
        let spec = rig.spec();
        let container = rig.container(&spec.name);
        let state = async || {
            let found = rig.docker.inspect_container(&container, None::<InspectContainerOptions>);
            found.await.ok().and_then(|found| found.state?.status)
        };
        let mut seen = None;
        for _ in 0..20 {
            let exists = async { while state().await.is_none() {} };
            tokio::select! {
                made = rig.machines.create(&spec) => drop(made.unwrap()),
                () = exists => {}
            }
            seen = state().await;
            if seen == Some(ContainerStateStatusEnum::CREATED) {
                break;
            }
            rig.machines.delete(&spec.name).await.unwrap();
        }
        assert_eq!(seen, Some(ContainerStateStatusEnum::CREATED), "it is always started by then");
        assert_eq!(rig.machines.look(&spec.name).await.unwrap(), None);
        assert_eq!(
            rig.machines.list().await.unwrap().len(),
            1,
            "whoever removes all has to know of it"
        );
        let machine = rig.machines.create(&spec).await.unwrap();
        assert_eq!(machine.power, Power::Running);
        rig.signed_in(&machine).await;
    })
    .await;
}
