//! A real container engine for a test: found by the environment, cleared up afterwards.

use std::any::Any;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, TcpListener};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use adapters::docker::{DockerContainers, Settings};
use async_trait::async_trait;
use bollard::Docker;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    CreateContainerOptions, CreateContainerOptionsBuilder, InspectContainerOptions,
    KillContainerOptions, ListImagesOptionsBuilder, PruneNetworksOptionsBuilder,
    RemoveContainerOptionsBuilder, RemoveImageOptionsBuilder, StartContainerOptions,
};
use bytes::Bytes;
use common::digest::ImageRef;
use common::id::{Generation, SlotNumber};
use common::name::{ContainerName, InstanceName};
use common::port::Containers;
use common::port::container::{ContainerSpec, ContainerState, Limits};
use common::port::containers::Follow;
use common::port::disk::{Kind, StoredImage};
use futures::{FutureExt as _, StreamExt as _};
use testkit::contract::containers::World;

pub(crate) const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// What the project's own base image is called on this machine.
pub(crate) const BASE: &str = "avishkar/debian:dev";
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Engine {
    pub(crate) containers: DockerContainers,
    pub(crate) docker: Docker,
    pub(crate) image: ImageRef,
    instances: Mutex<BTreeSet<InstanceName>>,
    strangers: Mutex<Vec<String>>,
}

static NEXT: AtomicU32 = AtomicU32::new(1);

pub(crate) fn fresh_instance() -> InstanceName {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("test-{}-{number}", std::process::id()).parse().unwrap()
}

pub(crate) fn fresh_port() -> u16 {
    TcpListener::bind((LOOPBACK, 0)).unwrap().local_addr().unwrap().port()
}

/// Runs a test with an engine whose image runs this command, and clears up whatever happens.
pub(crate) async fn with_engine(command: &str, test: impl AsyncFnOnce(&Engine)) {
    let engine = Engine::open(command).await;
    let result = AssertUnwindSafe(test(&engine)).catch_unwind().await;
    engine.close().await;
    if let Err(panic) = result {
        resume_unwind(panic);
    }
}

/// An image of the base image and one command. It shares no layer with those of other tests, which remove theirs while it
/// is built.
fn context(command: &str, instance: &InstanceName) -> Bytes {
    let command = serde_json::to_string(&["sh", "-c", command]).unwrap();
    dockerfile(&format!("FROM {BASE}\nLABEL avishkar.test={instance}\nCMD {command}\n"))
}

pub(crate) fn dockerfile(text: &str) -> Bytes {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, "Dockerfile", text.as_bytes()).unwrap();
    archive.into_inner().unwrap().into()
}

#[expect(clippy::disallowed_methods, reason = "tests on real servers find them by the environment")]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

impl Engine {
    async fn open(command: &str) -> Engine {
        assert!(
            setting("AVISHKAR_TEST_DOCKER").is_some(),
            "this test needs a Docker engine: run `make test`, or set AVISHKAR_TEST_DOCKER=1"
        );
        let containers = DockerContainers::new(Settings {
            socket: "/var/run/docker.sock".into(),
            host_ip: LOOPBACK,
            subnets: "10.222.0.0/20".parse().unwrap(),
            build_env: "/nowhere".into(),
            registry: setting("AVISHKAR_TEST_REGISTRY"),
            home: None,
        });
        let docker = Docker::connect_with_unix_defaults().unwrap();
        let instance = fresh_instance();
        let repository = format!("adapters-test/{instance}");
        containers.build(&repository, context(command, &instance)).await.unwrap();
        let image = containers.push(&repository).await.unwrap();
        let (instances, strangers) = (Mutex::new([instance].into()), Mutex::default());
        Engine { containers, docker, image, instances, strangers }
    }

    pub(crate) fn own_instance(&self) -> InstanceName {
        let instance = fresh_instance();
        self.instances.lock().unwrap().insert(instance.clone());
        instance
    }

    pub(crate) fn spec(&self) -> ContainerSpec {
        ContainerSpec {
            instance: self.own_instance(),
            slot: SlotNumber(1),
            generation: Generation(1),
            image: self.image.clone(),
            container_port: 8080,
            host_port: fresh_port(),
            environment: [("GREETING".to_owned(), "hello".to_owned())].into(),
            limits: Limits::default(),
            read_only: false,
            files: Vec::new(),
            health_path: None,
        }
    }

    pub(crate) async fn network_of(&self, name: &ContainerName) -> String {
        let found = self.docker.inspect_container(name.as_str(), None::<InspectContainerOptions>);
        found.await.unwrap().host_config.unwrap().network_mode.unwrap()
    }

    /// What builds on this engine left behind besides their images.
    pub(crate) async fn stages(&self) -> Vec<StoredImage> {
        let mut stored = self.containers.stored_images().await.unwrap();
        stored.retain(|image| image.kind == Kind::Stage);
        stored
    }

    pub(crate) async fn exit_of(&self, name: &ContainerName) -> ContainerState {
        let ended = async {
            loop {
                let listed = self.containers.list().await.unwrap();
                let found = listed.into_iter().find(|container| container.name == *name).unwrap();
                if matches!(found.state, ContainerState::Exited { .. }) {
                    return found.state;
                }
            }
        };
        tokio::time::timeout(PATIENCE, ended).await.unwrap()
    }

    pub(crate) async fn output_of(&self, name: &ContainerName) -> String {
        let lines = self.containers.logs(name, 100, Follow::No).await.unwrap();
        let lines: Vec<Bytes> = lines.map(Result::unwrap).collect().await;
        String::from_utf8(lines.concat()).unwrap()
    }

    /// Removes the images whose repositories were named after instances of this engine.
    async fn remove_images(&self) {
        let filters = [("label", vec!["avishkar.platform=image"])].into();
        let built = ListImagesOptionsBuilder::new().filters(&filters).build();
        let built = self.docker.list_images(Some(built)).await.unwrap();
        let instances = self.instances.lock().unwrap().clone();
        let own = |tag: &String| instances.iter().any(|own| tag.contains(&format!("/{own}:")));
        let force = RemoveImageOptionsBuilder::new().force(true).build();
        for tag in built.iter().flat_map(|image| &image.repo_tags).filter(|tag| own(tag)) {
            self.docker.remove_image(tag, Some(force.clone()), None).await.unwrap();
        }
    }

    /// Starts a container that is not the platform's; gives its address.
    pub(crate) async fn stranger(&self, command: &str) -> IpAddr {
        let command = ["sh", "-c", command].map(str::to_owned).to_vec();
        let body = ContainerCreateBody {
            image: Some(BASE.to_owned()),
            cmd: Some(command),
            ..ContainerCreateBody::default()
        };
        let made =
            self.docker.create_container(None::<CreateContainerOptions>, body).await.unwrap();
        self.strangers.lock().unwrap().push(made.id.clone());
        self.docker.start_container(&made.id, None::<StartContainerOptions>).await.unwrap();
        let found = self.docker.inspect_container(&made.id, None::<InspectContainerOptions>);
        let networks = found.await.unwrap().network_settings.unwrap().networks.unwrap();
        let address = networks.get("bridge").and_then(|network| network.ip_address.as_deref());
        address.unwrap().parse().unwrap()
    }

    /// Builds and pushes an image that is removed with this engine.
    pub(crate) async fn build(&self, context: Bytes) -> ImageRef {
        let repository = format!("adapters-test/{}", self.own_instance());
        self.containers.build(&repository, context).await.unwrap();
        self.containers.push(&repository).await.unwrap()
    }

    /// Removes what this engine was asked to make, and what the test made beside it.
    async fn close(&self) {
        for container in self.containers.list().await.unwrap() {
            let ours = self.instances.lock().unwrap().contains(&container.instance);
            if ours {
                self.containers.ensure_absent(&container.name).await.unwrap();
            }
        }
        let strangers = std::mem::take(&mut *self.strangers.lock().unwrap());
        let force = RemoveContainerOptionsBuilder::new().force(true).build();
        for name in strangers {
            self.docker.remove_container(&name, Some(force.clone())).await.unwrap();
        }
        self.remove_images().await;
        let filters = [("label", vec!["avishkar.platform=network"])].into();
        let unused = PruneNetworksOptionsBuilder::new().filters(&filters).build();
        // Another test may be at it, or about to use one: both are no failure.
        drop(self.docker.prune_networks(Some(unused)).await);
    }
}

#[async_trait]
impl World for Engine {
    fn containers(&self) -> &dyn Containers {
        &self.containers
    }

    fn image(&self) -> ImageRef {
        self.image.clone()
    }

    fn build_context(&self) -> Bytes {
        // The same each time, and for this engine only.
        let (_, instance) = self.image.repository().rsplit_once('/').unwrap();
        context("echo built; exec sleep 600", &instance.parse().unwrap())
    }

    fn fresh_instance(&self) -> InstanceName {
        self.own_instance()
    }

    fn fresh_port(&self) -> u16 {
        fresh_port()
    }

    async fn occupy_port(&self, port: u16) -> Box<dyn Any + Send> {
        Box::new(TcpListener::bind((LOOPBACK, port)).unwrap())
    }

    async fn occupy_name(&self, name: &ContainerName) {
        let options = CreateContainerOptionsBuilder::new().name(name.as_str()).build();
        let image = Some(self.image.digest().to_string());
        let by_digest = ContainerCreateBody { image, ..ContainerCreateBody::default() };
        let by_name =
            ContainerCreateBody { image: Some(self.image.to_string()), ..by_digest.clone() };
        let made = self.docker.create_container(Some(options.clone()), by_name).await;
        if made.is_err() {
            self.docker.create_container(Some(options), by_digest).await.unwrap();
        }
        self.strangers.lock().unwrap().push(name.to_string());
    }

    async fn kill(&self, name: &ContainerName) {
        self.docker.kill_container(name.as_str(), None::<KillContainerOptions>).await.unwrap();
    }
}
