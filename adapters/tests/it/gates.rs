//! A real agent on a real machine of which this computer reaches nothing but its sshd.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use adapters::{AgentClient, CertificateAuthorities, DockerImages};
use chassis::system::SystemClock;
use common::port::machines::{Machine, Shape};
use common::port::nodes::{Agent, Error};
use common::port::{Authorities as _, Host, Hosts as _, Machines as _, Parts as _};
use common::service::ServiceName;
use rollout::machine::{Goal, NoJournal, Ports, Trust, ensure, observe, plan};
use rollout::platform::{AGENT_PORT, PlannedMachine};
use tokio::time::{sleep, timeout};

use crate::local::{Rig, with_machine};

/// The program as `make images` makes it.
const PROGRAM: &str = "avishkar/platform:dev";
/// On the machine's loopback: no other computer has a way there.
const INSIDE: Ipv4Addr = Ipv4Addr::new(10, 99, 0, 7);
const PATIENCE: Duration = Duration::from_mins(2);

/// The ways to machines, and a client that says who the lifecycle manager is.
fn ports(rig: &Rig) -> (Ports, AgentClient) {
    let authorities = CertificateAuthorities::new(Arc::new(SystemClock));
    let authority = authorities.open(&authorities.make().unwrap()).unwrap();
    let papers = authority.issue(ServiceName::LifecycleManager, &[]).unwrap();
    let (ca, identity) =
        (authority.certificate(), format!("{}\n{}", papers.certificate, papers.key));
    let client = AgentClient::with_forwards(ca.as_bytes(), identity.as_bytes()).unwrap();
    let ports = Ports {
        hosts: Arc::new(rig.hosts.clone()),
        backends: BTreeMap::new(),
        images: Arc::new(DockerImages::new("/var/run/docker.sock".as_ref()).unwrap()),
        clock: Arc::new(SystemClock),
        trust: Some(Trust { authority, parts: Arc::new(client.clone()) }),
    };
    (ports, client)
}

async fn goal(rig: &Rig, ports: &Ports, machine: &Machine) -> Goal {
    let program = ports.images.find(PROGRAM).await.unwrap().expect("`make images` makes it");
    Goal {
        platform: "test".parse().unwrap(),
        machine: PlannedMachine {
            name: machine.name.clone(),
            shape: Shape::Given,
            gate: Some(machine.entry.clone()),
            address: Some(INSIDE.into()),
            user: machine.user.clone(),
            credential: rig.credential(),
            id: None,
            host_key: machine.host_key.clone(),
        },
        program: program.clone(),
        images: vec![program],
        denied_networks: Vec::new(),
        key: rig.folder.path().join("key"),
        ports: vec![5000],
        openings: Vec::new(),
        build_env: None,
    }
}

/// The machine's own address, which it loses with its power.
async fn give_address(rig: &Rig, machine: &Machine) {
    rig.on(&machine.name, &format!("ip address add {INSIDE}/32 dev lo")).await;
}

fn is_unreachable<T>(answer: &Result<T, Error>) -> bool {
    matches!(answer, Err(Error::Unreachable { .. }))
}

#[tokio::test]
async fn an_agent_that_nobody_else_reaches_is_enrolled_and_asked_through_its_machines_gate() {
    with_machine(async |rig, machine| {
        give_address(rig, machine).await;
        let (ports, client) = ports(rig);
        let goal = goal(rig, &ports, machine).await;
        ensure(&ports, &goal, &NoJournal).await.unwrap();
        let seen = observe(&ports, &goal).await.unwrap();
        assert_eq!(plan(&goal, &seen).unwrap(), [], "{seen:?}");

        let address = (IpAddr::from(INSIDE), AGENT_PORT).into();
        let agent = Agent { node: machine.name.clone(), address };
        let direct = client.parts(&agent).await;
        assert!(is_unreachable(&direct), "it is not reached without: {direct:?}");
        let host: Arc<dyn Host> = rig.hosts.connect(&rig.root_of(machine)).await.unwrap();
        let way = host.forward(address).await.unwrap();
        drop(host);
        let through = Agent { address: way.at(), ..agent };
        assert_eq!(client.parts(&through).await.unwrap(), []);
        let other = Agent { node: "somebody-else".parse().unwrap(), ..through.clone() };
        let refused = client.parts(&other).await;
        assert!(is_unreachable(&refused), "its certificate is another's: {refused:?}");

        rig.machines.restart(&machine.name).await.unwrap();
        give_address(rig, machine).await;
        let back = async {
            while client.parts(&through).await.is_err() {
                sleep(Duration::from_millis(200)).await;
            }
        };
        timeout(PATIENCE, back).await.expect("the same way leads there again");
    })
    .await;
}
