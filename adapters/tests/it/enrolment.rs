//! A real machine becomes a node: what only a real engine, a real sshd and real programs can show. The agent is one that
//! only runs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use adapters::docker::{DockerContainers, Settings};
use adapters::{CertificateAuthorities, DockerImages};
use async_trait::async_trait;
use bollard::query_parameters::RemoveImageOptions;
use chassis::system::{SystemClock, SystemEntropy};
use common::digest::{Digest, ImageRef};
use common::name::PartName;
use common::port::host::{Command, Credential, FilePath, Privilege};
use common::port::images::Error as ImagesError;
use common::port::machines::{MachineSpec, Shape};
use common::port::nodes::{Agent, Error, Issuer};
use common::port::part::{Part, PartImage, PartRemoval, PartSpec};
use common::port::{Authorities as _, Containers as _, Hosts as _, Images as _, Machines, Parts};
use futures::future::join_all;
use rollout::Code;
use rollout::machine::{AGENT, Goal, NoJournal, Ports, Trust, ensure, observe, plan, remove};
use rollout::platform::PlannedMachine;
use rollout::seed::Seed;

use crate::engine::{BASE, LOOPBACK, dockerfile};
use crate::local::{Rig, fresh_name, run, with_machine, with_rig};

/// An image of a program that only runs, another one for each test.
async fn program(rig: &Rig) -> Digest {
    let containers = DockerContainers::new(Settings {
        socket: "/var/run/docker.sock".into(),
        host_ip: LOOPBACK,
        subnets: "10.222.0.0/20".parse().unwrap(),
        build_env: "/nowhere".into(),
        registry: None,
        home: None,
    });
    let repository = repository(rig);
    let text = format!(
        "FROM {BASE}\nLABEL avishkar.test={repository}\nENTRYPOINT [\"sh\", \"-c\", \"exec sleep 600\"]\n"
    );
    let built = containers.build(&repository, dockerfile(&text)).await.unwrap();
    let images = DockerImages::new("/var/run/docker.sock".as_ref()).unwrap();
    assert_eq!(images.find(&repository).await.unwrap(), Some(built.clone()));
    assert_eq!(images.find("adapters-test/nobody").await.unwrap(), None);
    let missing = images.archive(&[Digest::of(b"nothing")]).await.err();
    assert!(matches!(missing, Some(ImagesError::NotFound(_))));
    built
}

fn repository(rig: &Rig) -> String {
    let folder = rig.folder.path().file_name().unwrap().to_string_lossy().to_lowercase();
    format!("adapters-test/agent-{}", folder.trim_matches('.').replace('_', "-"))
}

/// An agent that always answers.
#[derive(Debug)]
struct Answering;

const NOT_HERE: &str = "nobody asks for this here";

#[async_trait]
impl Parts for Answering {
    async fn parts(&self, _: &Agent) -> Result<Vec<Part>, Error> {
        Ok(Vec::new())
    }

    async fn ensure_part(&self, _: &Agent, _: Issuer, _: &PartSpec) -> Result<Part, Error> {
        unreachable!("{NOT_HERE}")
    }

    async fn remove_part(&self, _: &Agent, _: Issuer, _: &PartRemoval) -> Result<(), Error> {
        unreachable!("{NOT_HERE}")
    }

    async fn restart_part(&self, _: &Agent, _: Issuer, _: &PartName) -> Result<Part, Error> {
        unreachable!("{NOT_HERE}")
    }

    async fn part_logs(&self, _: &Agent, _: &PartName, _: usize) -> Result<Vec<String>, Error> {
        unreachable!("{NOT_HERE}")
    }

    async fn images(&self, _: &Agent) -> Result<Vec<ImageRef>, Error> {
        unreachable!("{NOT_HERE}")
    }

    async fn push_image(
        &self,
        _: &Agent,
        _: Issuer,
        _: &PartImage,
        _: &str,
    ) -> Result<ImageRef, Error> {
        unreachable!("{NOT_HERE}")
    }

    async fn registry_at(&self, _: &Agent, _: Issuer, _: SocketAddr) -> Result<(), Error> {
        unreachable!("{NOT_HERE}")
    }
}

fn ports(rig: &Rig) -> Ports {
    let authorities = CertificateAuthorities::new(Arc::new(SystemClock));
    let authority = authorities.open(&authorities.make().unwrap()).unwrap();
    let backend: Arc<dyn Machines> = rig.backend();
    Ports {
        hosts: Arc::new(rig.hosts.clone()),
        backends: BTreeMap::from([("local", backend)]),
        images: Arc::new(DockerImages::new("/var/run/docker.sock".as_ref()).unwrap()),
        clock: Arc::new(SystemClock),
        trust: Some(Trust { authority, parts: Arc::new(Answering) }),
    }
}

fn build_env() -> bytes::Bytes {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(5);
    header.set_mode(0o644);
    archive.append_data(&mut header, "etc/pip.conf", "hello".as_bytes()).unwrap();
    archive.into_inner().unwrap().into()
}

async fn goal(rig: &Rig) -> Goal {
    let program = program(rig).await;
    let key = rig.folder.path().join("key");
    Goal {
        platform: "test".parse().unwrap(),
        machine: PlannedMachine {
            name: fresh_name(),
            shape: Shape::Local(Rig::shape()),
            gate: None,
            address: None,
            user: "root".to_owned(),
            credential: Credential::KeyFile(key.clone()),
            id: None,
            host_key: None,
        },
        program: program.clone(),
        images: vec![program],
        denied_networks: vec!["192.0.2.0/24".to_owned()],
        key,
        ports: vec![5000],
        openings: Vec::new(),
        build_env: Some(build_env()),
    }
}

/// The machine's disk is the rig's; the image on this computer is this test's.
async fn forget_program(rig: &Rig) {
    rig.docker.remove_image(&repository(rig), None::<RemoveImageOptions>, None).await.unwrap();
}

#[tokio::test]
async fn a_real_machine_becomes_a_node_and_is_one_after_it_was_switched_off() {
    with_rig(async |rig| {
        let (ports, goal) = (ports(rig), goal(rig).await);
        let machine = ensure(&ports, &goal, &NoJournal).await.unwrap();
        let done = Goal { machine, ..goal.clone() };
        let seen = observe(&ports, &done).await.unwrap();
        assert_eq!(plan(&done, &seen).unwrap(), [], "{seen:?}");
        let inside = seen.inside.unwrap();
        assert!(inside.clock_ahead.abs() < 5 && inside.free_disk > Some(0), "{inside:?}");

        let found = rig.machines.look(&done.machine.name).await.unwrap().unwrap();
        let host = rig.signed_in(&found).await;
        let says = async |words: &[&str]| {
            let command = Command::new("docker").args(words.iter().copied());
            run(host.as_ref(), command).await.text()
        };
        let format =
            "{{.HostConfig.NetworkMode}} {{.HostConfig.PidMode}} {{.HostConfig.Privileged}}";
        assert_eq!(says(&["inspect", "--format", format, AGENT]).await, "host host true");
        let pip: FilePath = "/etc/avishkar/build-env/etc/pip.conf".parse().unwrap();
        let pip = host.read(&pip, Privilege::Root, 100);
        assert_eq!(pip.await.unwrap().unwrap(), "hello");
        let started = says(&["inspect", "--format", "{{.State.StartedAt}}", AGENT]).await;

        rig.machines.restart(&done.machine.name).await.unwrap();
        ensure(&ports, &done, &NoJournal).await.unwrap();
        let host = rig.signed_in(&found).await;
        let again =
            Command::new("docker").args(["inspect", "--format", "{{.State.StartedAt}}", AGENT]);
        assert_ne!(run(host.as_ref(), again).await.text(), started);

        remove(&ports, &done, &NoJournal).await.unwrap();
        assert_eq!(rig.machines.look(&done.machine.name).await.unwrap(), None);
        forget_program(rig).await;
    })
    .await;
}

#[tokio::test]
async fn a_port_that_somebody_has_on_a_real_machine_is_found() {
    with_rig(async |rig| {
        let (ports, goal) = (ports(rig), goal(rig).await);
        let name = goal.machine.name.clone();
        let shape = goal.machine.shape.clone();
        let spec = MachineSpec { name: name.clone(), authorized_key: rig.key.clone(), shape };
        rig.machines.create(&spec).await.unwrap();
        let listener =
            "my $s = IO::Socket::INET->new(LocalPort => 7443, Listen => 1) or die; sleep 600";
        let script = format!(
            "setsid perl -MIO::Socket::INET -e '{listener}' >/dev/null 2>&1 & \
             until grep -q :1D13 /proc/net/tcp; do sleep 0.05; done"
        );
        rig.on(&name, &script).await;
        let failure = ensure(&ports, &goal, &NoJournal).await.unwrap_err();
        assert_eq!(failure.code, Code::PortTaken, "{failure}");
        forget_program(rig).await;
    })
    .await;
}

#[tokio::test]
async fn of_several_who_begin_at_once_on_a_real_machine_one_makes_the_secret() {
    with_machine(async |rig, machine| {
        let mut seeds = Vec::new();
        for _ in 0..4 {
            seeds.push(Seed {
                machine: machine.name.clone(),
                host: rig.hosts.connect(&rig.root_of(machine)).await.unwrap(),
                entropy: Arc::new(SystemEntropy),
            });
        }
        let secrets = join_all(seeds.iter().map(|seed| seed.secret("jwt"))).await;
        let secrets: Vec<String> = secrets.into_iter().map(Result::unwrap).collect();
        assert!(secrets.iter().all(|secret| Some(secret) == secrets.first()), "{secrets:?}");
        let host = rig.signed_in(machine).await;
        let listed =
            Command::new("stat").args(["-c", "%a %U %n", "/var/lib/avishkar/platform/jwt"]);
        let listed = run(host.as_ref(), listed).await.text();
        assert_eq!(listed, "600 root /var/lib/avishkar/platform/jwt");
        let all = Command::new("ls").args(["-A", "/var/lib/avishkar/platform"]);
        assert_eq!(run(host.as_ref(), all).await.text(), "jwt");
    })
    .await;
}
