//! Machines in containers for a test: made on a real engine, cleared up afterwards.

use std::os::unix::fs::symlink;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use adapters::machines::resolvers_of_this_computer;
use adapters::{LocalMachines, LocalSettings, SshHosts};
use bollard::Docker;
use bollard::models::ExecConfig;
use bollard::query_parameters::InspectContainerOptions;
use chassis::system::SystemEntropy;
use common::name::NodeName;
use common::port::host::{Access, Command, Credential, Gate, Output, PublicKey};
use common::port::machines::{LocalShape, Machine, MachineSpec, Shape};
use common::port::{Host, Hosts as _, Machines as _};
use futures::{FutureExt as _, StreamExt as _};
use tempfile::TempDir;

const SOCKET: &str = "/var/run/docker.sock";
/// What the project's own image of a machine is called on this computer.
const IMAGE: &str = "avishkar/machine:dev";
static RIGS: AtomicU32 = AtomicU32::new(0);
static NAMES: AtomicU32 = AtomicU32::new(0);

/// A backend with a name and a network of its own.
pub(crate) struct Rig {
    pub(crate) machines: LocalMachines,
    pub(crate) hosts: SshHosts,
    pub(crate) docker: Docker,
    pub(crate) key: PublicKey,
    pub(crate) folder: TempDir,
    platform: String,
    settings: LocalSettings,
    strangers: std::sync::Mutex<Vec<String>>,
}

/// Runs a test with a backend of machines, and clears up whatever happens.
pub(crate) async fn with_rig(test: impl AsyncFnOnce(&Rig)) {
    let rig = Rig::open().await;
    let result = AssertUnwindSafe(test(&rig)).catch_unwind().await;
    rig.close().await;
    if let Err(panic) = result {
        resume_unwind(panic);
    }
}

/// Runs a test with one machine.
pub(crate) async fn with_machine(test: impl AsyncFnOnce(&Rig, &Machine)) {
    with_rig(async |rig| {
        let machine = rig.machines.create(&rig.spec()).await.unwrap();
        rig.signed_in(&machine).await;
        test(rig, &machine).await;
    })
    .await;
}

#[expect(clippy::disallowed_methods, reason = "tests on real servers find them by the environment")]
fn need_an_engine() {
    assert!(
        std::env::var("AVISHKAR_TEST_DOCKER").is_ok(),
        "this test needs a Docker engine: run `make test`, or set AVISHKAR_TEST_DOCKER=1"
    );
}

impl Rig {
    async fn open() -> Self {
        need_an_engine();
        let number = RIGS.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        // Another process of these tests may have left its network.
        let third = (process % 60) * 4 + number % 4;
        let fourth = (number / 4 % 8) * 32;
        let platform = format!("test-{process}-{number}");
        let settings = LocalSettings {
            socket: SOCKET.into(),
            image: IMAGE.to_owned(),
            platform: platform.clone(),
            range: format!("10.223.{third}.{fourth}/27").parse().unwrap(),
            kept: None,
            resolvers: resolvers_of_this_computer(),
        };
        let machines = LocalMachines::new(settings.clone());
        let hosts = SshHosts::new(Arc::new(SystemEntropy));
        let folder = tempfile::tempdir().unwrap();
        let key = hosts.ensure_key(&folder.path().join("key"), "test").await.unwrap();
        Rig {
            machines: machines.unwrap(),
            hosts,
            docker: Docker::connect_with_unix_defaults().unwrap(),
            key,
            folder,
            platform,
            settings,
            strangers: std::sync::Mutex::default(),
        }
    }

    /// The same backend for somebody else.
    pub(crate) fn backend(&self) -> Arc<LocalMachines> {
        Arc::new(LocalMachines::new(self.settings.clone()).unwrap())
    }

    /// The same backend for somebody who knows the engine's socket by another path.
    pub(crate) fn backend_by_a_link(&self) -> LocalMachines {
        let socket = self.folder.path().join("engine.sock");
        symlink(SOCKET, &socket).unwrap();
        LocalMachines::new(LocalSettings { socket, ..self.settings.clone() }).unwrap()
    }

    /// Removes what this backend made, and the strangers of the test.
    async fn close(&self) {
        let strangers = std::mem::take(&mut *self.strangers.lock().unwrap());
        for name in strangers {
            let force = bollard::query_parameters::RemoveContainerOptionsBuilder::new().force(true);
            self.docker.remove_container(&name, Some(force.v(true).build())).await.unwrap();
        }
        for machine in self.machines.list().await.unwrap() {
            self.machines.delete(&machine.name).await.unwrap();
        }
        self.machines.delete(&fresh_name()).await.unwrap();
    }

    pub(crate) fn shape() -> LocalShape {
        LocalShape {
            memory_bytes: 1 << 30,
            cpu_millis: 1000,
            address: None,
            machines_socket: false,
        }
    }

    pub(crate) fn spec(&self) -> MachineSpec {
        let shape = Shape::Local(Rig::shape());
        MachineSpec { name: fresh_name(), authorized_key: self.key.clone(), shape }
    }

    pub(crate) fn container(&self, name: &NodeName) -> String {
        format!("{}_machine_{name}", self.platform)
    }

    pub(crate) fn credential(&self) -> Credential {
        Credential::KeyFile(self.folder.path().join("key"))
    }

    /// Root, by the key that the machine was made with.
    pub(crate) fn root_of(&self, machine: &Machine) -> Access {
        Access {
            at: machine.entry.clone(),
            user: machine.user.clone(),
            credential: self.credential(),
            host_key: machine.host_key.clone().unwrap(),
        }
    }

    /// As soon as the machine lets anybody in.
    pub(crate) async fn signed_in(&self, machine: &Machine) -> Arc<dyn Host> {
        let access = self.root_of(machine);
        loop {
            match self.hosts.connect(&access).await {
                Ok(host) => return host,
                Err(err) => assert!(err.is_retryable(), "{err:?}"),
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }

    /// Runs a script on a machine through the engine: no connection of ours is needed.
    pub(crate) async fn on(&self, name: &NodeName, script: &str) {
        let words = ["sh", "-c", script].map(str::to_owned).to_vec();
        let wanted = ExecConfig {
            cmd: Some(words),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..ExecConfig::default()
        };
        let made = self.docker.create_exec(&self.container(name), wanted).await.unwrap();
        let started = self.docker.start_exec(&made.id, None).await.unwrap();
        let mut said = String::new();
        if let bollard::exec::StartExecResults::Attached { mut output, .. } = started {
            while let Some(Ok(line)) = output.next().await {
                said.push_str(&line.to_string());
            }
        }
        let code = self.docker.inspect_exec(&made.id).await.unwrap().exit_code;
        assert_eq!(code, Some(0), "{script}: {said}");
    }

    /// Somebody else's container has the name of a machine.
    pub(crate) async fn occupy(&self, name: &NodeName) {
        let body = bollard::models::ContainerCreateBody {
            image: Some(IMAGE.to_owned()),
            entrypoint: Some(["sleep", "600"].map(str::to_owned).to_vec()),
            ..bollard::models::ContainerCreateBody::default()
        };
        let named = bollard::query_parameters::CreateContainerOptionsBuilder::new();
        let named = named.name(&self.container(name)).build();
        self.docker.create_container(Some(named), body).await.unwrap();
        self.strangers.lock().unwrap().push(self.container(name));
    }

    pub(crate) async fn exists(&self, name: &NodeName) -> bool {
        let container = self.container(name);
        self.docker.inspect_container(&container, None::<InspectContainerOptions>).await.is_ok()
    }
}

/// When a container was started last.
pub(crate) async fn started_at(docker: &Docker, container: &str) -> String {
    let found = docker.inspect_container(container, None::<InspectContainerOptions>).await;
    format!("{:?}", found.unwrap().state.unwrap().started_at)
}

/// A name that no other test uses.
pub(crate) fn fresh_name() -> NodeName {
    format!("node-{}", NAMES.fetch_add(1, Ordering::Relaxed)).parse().unwrap()
}

/// A command of a test's own, which may be a script.
pub(crate) fn script(text: &str) -> Command {
    Command::new("sh").args(["-c", text])
}

pub(crate) async fn run(host: &dyn Host, command: Command) -> Output {
    host.run(&command).await.unwrap()
}

/// A port of this computer on which nobody listens.
pub(crate) fn nobody() -> Gate {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    Gate { address: "127.0.0.1".to_owned(), port: listener.local_addr().unwrap().port() }
}
