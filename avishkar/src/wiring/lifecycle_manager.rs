//! The lifecycle manager on a bus, a store, the nodes' agents, and the backends of the machines that are described.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use adapters::kafka::KafkaSettings;
use adapters::zookeeper::ZooKeeperSettings;
use adapters::{
    AgentClient, CertificateAuthorities, DockerImages, GivenMachine, GivenMachines, LocalMachines,
    LocalSettings, SshHosts,
};
use anyhow::Context as _;
use async_trait::async_trait;
use chassis::config::Problem;
use chassis::service::Service as Running;
use chassis::system::{SystemClock, SystemEntropy};
use chassis::{http, telemetry};
use common::digest::Digest;
use common::port::authority::Papers;
use common::port::host::{Access, ChunkStream};
use common::port::images;
use common::port::machines::Shape;
use common::port::{Authorities as _, Authority, Hosts, Images, Machines, Parts};
use common::service::ServiceName;
use lifecycle_manager::config::{Raw, RawLifecycle, RawProvision, RawRestarts, RawRollout};
use lifecycle_manager::{Backends, Config, Ports, RolloutEnrolment, Service, Vault};
use rollout::machine::{self, Trust};
use rollout::parts::Secrets;
use rollout::platform::Platform;
use serde::{Deserialize, Serialize};

use super::{Frame, Wiring, bus, nodes, store, take};

/// `config/lifecycle-manager.toml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    http: http::Raw,
    telemetry: telemetry::Config,
    kafka: bus::Raw,
    zookeeper: store::Raw,
    platform: RawPlatform,
    lifecycle: RawLifecycle,
    restarts: RawRestarts,
    rollout: RawRollout,
    provision: RawProvision,
}

/// `[platform]`: what the bootstrapper leaves.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPlatform {
    description: PathBuf,
    authority: PathBuf,
    token_secret: PathBuf,
    ssh_key: PathBuf,
    machines_socket: PathBuf,
}

pub(crate) struct Meant {
    kafka: KafkaSettings,
    zookeeper: ZooKeeperSettings,
    platform: RawPlatform,
    /// The description as it is written: lifecycle managers are given it whole.
    description: Option<String>,
    config: Config,
}

impl Wiring for File {
    const SERVICE: ServiceName = ServiceName::LifecycleManager;
    const DEFAULTS: &'static str = include_str!("../../../config/lifecycle-manager.toml");
    type Meant = Meant;

    fn resolve(self) -> Result<(Frame, Meant), Vec<Problem>> {
        let mut problems = Vec::new();
        let http = take(self.http.resolve(), &mut problems);
        let kafka = take(self.kafka.resolve(Self::SERVICE), &mut problems);
        let zookeeper = take(self.zookeeper.resolve(), &mut problems);
        let described = take(described(&self.platform.description), &mut problems);
        let (description, platform) = described.flatten().unzip();
        let File { lifecycle, restarts, rollout, provision, .. } = self;
        let own = Raw { lifecycle, restarts, rollout, provision };
        let config =
            http.as_ref().and_then(|http| take(own.resolve(http, platform), &mut problems));
        match (http, kafka, zookeeper, config) {
            (Some(http), Some(kafka), Some(zookeeper), Some(config)) if problems.is_empty() => {
                let platform = self.platform;
                let meant = Meant { kafka, zookeeper, platform, description, config };
                Ok((Frame { http, telemetry: self.telemetry }, meant))
            }
            _ => Err(problems),
        }
    }

    async fn connect(meant: Meant, frame: &Frame) -> anyhow::Result<Arc<dyn Running>> {
        let identity = nodes::identity(&frame.http, Self::SERVICE)?;
        let client = AgentClient::new(&identity.ca, &identity.client_pem());
        let agents = Arc::new(client.context("the certificate cannot be used")?);
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        let hosts: Arc<dyn Hosts> = Arc::new(SshHosts::new(entropy.clone()));
        let vault = meant.vault()?;
        let trust = vault.as_ref().map(|vault| Trust {
            authority: Arc::clone(&vault.authority),
            parts: Arc::clone(&agents) as Arc<dyn Parts>,
        });
        let by_kind = meant.backends(&hosts)?;
        let backends = by_kind
            .iter()
            .fold(Backends::default(), |all, (&kind, backend)| all.with(kind, Arc::clone(backend)));
        let images = DockerImages::new(&meant.platform.machines_socket);
        let enrolment = RolloutEnrolment {
            ports: machine::Ports {
                hosts,
                backends: by_kind,
                images: match images {
                    Ok(images) => Arc::new(images),
                    Err(_) => Arc::new(NoImages),
                },
                clock: clock.clone(),
                trust,
            },
            key: meant.platform.ssh_key.clone(),
        };
        let ports = Ports {
            bus: bus::connect(&meant.kafka)?,
            store: store::connect(&meant.zookeeper)?,
            nodes: agents.clone(),
            parts: agents,
            backends,
            enrolment: Arc::new(enrolment),
            vault,
            clock,
            entropy,
        };
        Ok(Arc::new(Service::new(ports, meant.config)))
    }
}

impl Meant {
    /// Who vouches for nodes and services; none where no platform is described.
    fn vault(&self) -> anyhow::Result<Option<Vault>> {
        let Some(description) = &self.description else { return Ok(None) };
        let papers = text(&self.platform.authority)?;
        let papers: Papers = serde_json::from_str(&papers)
            .with_context(|| format!("{} is damaged", self.platform.authority.display()))?;
        let authorities = CertificateAuthorities::new(Arc::new(SystemClock));
        let authority: Arc<dyn Authority> =
            authorities.open(&papers).context("the platform's authority cannot be used")?;
        let secrets = Secrets {
            authority: papers,
            jwt: text(&self.platform.token_secret)?,
            ssh_key: text(&self.platform.ssh_key)?,
            platform: description.clone(),
        };
        Ok(Some(Vault { authority, secrets }))
    }

    /// Those of the description's machines that this process has a way to.
    fn backends(
        &self,
        hosts: &Arc<dyn Hosts>,
    ) -> anyhow::Result<BTreeMap<&'static str, Arc<dyn Machines>>> {
        let mut backends: BTreeMap<&'static str, Arc<dyn Machines>> = BTreeMap::new();
        let Some(platform) = &self.config.platform else { return Ok(backends) };
        let given = platform.machines.iter().filter(|one| matches!(one.shape, Shape::Given));
        let given: Vec<GivenMachine> = given
            .filter_map(|machine| {
                let access = Access {
                    at: machine.gate.clone()?,
                    user: machine.user.clone(),
                    credential: machine.credential.clone(),
                    host_key: machine.host_key.clone()?,
                };
                Some(GivenMachine { name: machine.name.clone(), access })
            })
            .collect();
        if !given.is_empty() {
            let given = GivenMachines::new(Arc::clone(hosts), given);
            backends.insert(Shape::Given.kind(), Arc::new(given));
        }
        if let Some(local) = &platform.local {
            let settings = LocalSettings {
                socket: self.platform.machines_socket.clone(),
                image: local.image.clone(),
                platform: platform.name.to_string(),
                range: local.range.parse().context("the range of local machines is none")?,
                resolvers: local.resolvers.clone(),
            };
            match LocalMachines::new(settings) {
                Ok(local) => drop(backends.insert("local", Arc::new(local))),
                Err(err) => {
                    tracing::warn!(
                        error = &err as &dyn std::error::Error,
                        "local machines cannot be reached from here; they are looked after over SSH only"
                    );
                }
            }
        }
        Ok(backends)
    }
}

/// The description as it is written and as it is meant; none where there is no such file.
fn described(path: &Path) -> Result<Option<(String, Platform)>, Vec<Problem>> {
    let problem = |message: String| vec![Problem::new("platform.description", message)];
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(err) if err.kind() == ErrorKind::NotFound => return Ok(None),
        Err(err) => return Err(problem(format!("{} cannot be read: {err}", path.display()))),
    };
    match serde_json::from_str(&text) {
        Ok(platform) => Ok(Some((text, platform))),
        Err(err) => Err(problem(format!("{} is no description: {err}", path.display()))),
    }
}

fn text(path: &Path) -> anyhow::Result<String> {
    fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))
}

/// Where no engine is at hand: machines that lack the platform's images cannot be given them from here.
#[derive(Debug)]
struct NoImages;

#[async_trait]
impl Images for NoImages {
    async fn find(&self, _: &str) -> Result<Option<Digest>, images::Error> {
        Ok(None)
    }

    async fn archive(&self, images: &[Digest]) -> Result<ChunkStream, images::Error> {
        let names: Vec<String> = images.iter().map(ToString::to_string).collect();
        Err(images::Error::NotFound(names.join(", ")))
    }
}
