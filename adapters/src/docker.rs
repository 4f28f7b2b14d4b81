//! The machine's container engine: [`Containers`] on Docker, by its API and the classic builder, and beside it
//! [`PartContainers`](common::port::PartContainers).
//!
//! Owns how a specification becomes a container, which is ours, and what the engine's answers mean.
//! Never decides what should run, and never touches what does not carry the platform's labels.
//! Engines from 20.10 on are supported.

mod body;
mod build_env;
mod edge;
mod ensure;
mod events;
mod failure;
mod found;
mod images;
mod logs;
mod networks;
mod parts;
mod remains;
mod stored;
mod subnets;
mod survey;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bollard::{API_DEFAULT_VERSION, Docker};
use bytes::Bytes;
use common::digest::{Digest, ImageRef};
use common::id::Epoch;
use common::name::ContainerName;
use common::port::Containers;
use common::port::container::{Container, ContainerSpec};
use common::port::containers::{Error, Event, Follow, LineStream};
use common::port::disk::{Removed, StoredImage};
use futures::stream::BoxStream;
use tokio::sync::RwLock;

pub use edge::{EdgeContainer, EdgeContainerSettings, EdgePorts};
use failure::{classify, within};
use networks::Networks;
pub use remains::{Home, Remains};
pub use subnets::{NotSubnets, Subnets};
pub use survey::{Running, Survey, Unusable, survey};

/// What the engine answers at once takes at most this long.
const QUICK: Duration = Duration::from_secs(10);
/// Starting a process, or making a network.
const START: Duration = Duration::from_secs(30);
/// A build, a push or a pull.
const LONG: Duration = Duration::from_mins(10);

/// How this machine's engine is used.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The engine's Unix socket.
    pub socket: PathBuf,
    /// The address of this machine on which containers' ports are published.
    pub host_ip: IpAddr,
    /// Where apps' networks get their addresses from.
    pub subnets: Subnets,
    /// How packages are reached from this machine, laid out like a root file system: what builder
    /// stages get. A folder that does not exist is left out.
    pub build_env: PathBuf,
    /// `host:port` of the registry; without one, images stay on this machine.
    pub registry: Option<String>,
    /// The folder of the platform on one machine that all of it belongs to; none for an agent of its own.
    pub home: Option<String>,
}

/// This machine's Docker engine. Clones are the same.
#[derive(Debug, Clone)]
pub struct DockerContainers {
    settings: Settings,
    engine: Arc<OnceLock<Engine>>,
}

/// The engine, once its socket has been there.
#[derive(Debug, Clone)]
struct Engine {
    docker: Docker,
    settings: Settings,
    networks: Arc<Networks>,
    /// Held by builds; by who removes layers, alone: the builder would not find what it took from its cache.
    layers: Arc<RwLock<()>>,
}

impl DockerContainers {
    /// Prepares to speak to the engine; whether it answers is seen at each call.
    pub fn new(settings: Settings) -> Self {
        DockerContainers { settings, engine: Arc::default() }
    }

    /// The client refuses to be made before the socket is there, and an engine may start later.
    fn engine(&self) -> Result<&Engine, Error> {
        if let Some(engine) = self.engine.get() {
            return Ok(engine);
        }
        let settings = self.settings.clone();
        let socket = settings.socket.to_string_lossy();
        let docker = Docker::connect_with_unix(&socket, LONG.as_secs(), API_DEFAULT_VERSION)
            .map_err(classify)?;
        let networks = Arc::new(Networks::new(docker.clone(), &settings));
        let layers = Arc::default();
        Ok(self.engine.get_or_init(|| Engine { docker, settings, networks, layers }))
    }
}

#[async_trait]
impl Containers for DockerContainers {
    async fn ensure_running(&self, spec: &ContainerSpec, epoch: Epoch) -> Result<Container, Error> {
        self.engine()?.make_running(spec, epoch).await
    }

    async fn stop(&self, name: &ContainerName) -> Result<(), Error> {
        self.engine()?.stop_app(name).await
    }

    async fn ensure_absent(&self, name: &ContainerName) -> Result<(), Error> {
        self.engine()?.make_absent(name).await
    }

    async fn list(&self) -> Result<Vec<Container>, Error> {
        self.engine()?.list_ours().await
    }

    async fn find(&self, name: &ContainerName) -> Result<Option<Container>, Error> {
        Ok(self.engine()?.look(name.as_str()).await?.and_then(|found| found.container))
    }

    async fn events(&self) -> Result<BoxStream<'static, Event>, Error> {
        let engine = self.engine()?;
        within(QUICK, engine.docker.ping()).await?;
        engine.networks.work_ahead();
        Ok(events::stream(engine.docker.clone(), events::APPS))
    }

    async fn build(&self, repository: &str, context: Bytes) -> Result<Digest, Error> {
        self.engine()?.build_image(repository, context).await
    }

    async fn push(&self, repository: &str) -> Result<ImageRef, Error> {
        self.engine()?.push_image(repository).await
    }

    async fn pull(&self, image: &ImageRef) -> Result<(), Error> {
        self.engine()?.pull_image(image).await
    }

    async fn has_image(&self, image: &ImageRef) -> Result<bool, Error> {
        self.engine()?.image_is_present(image).await
    }

    async fn stored_images(&self) -> Result<Vec<StoredImage>, Error> {
        self.engine()?.list_stored().await
    }

    async fn remove_image(&self, id: &Digest) -> Result<Removed, Error> {
        self.engine()?.remove_stored(id).await
    }

    async fn logs(
        &self,
        name: &ContainerName,
        tail: usize,
        follow: Follow,
    ) -> Result<LineStream, Error> {
        self.engine()?.read_logs(name, tail, follow).await
    }

    async fn process_id(&self, name: &ContainerName) -> Result<Option<u32>, Error> {
        let found = self.engine()?.look(name.as_str()).await?;
        let found = found.filter(|found| found.container.is_some());
        found.map(|found| found.process_id).ok_or_else(|| Error::Absent(name.clone()))
    }
}
