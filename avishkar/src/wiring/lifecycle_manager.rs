//! The lifecycle manager on a bus, a store, the nodes' agents, and the backends of the machines that are described.

mod credentials;
mod machines;

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use adapters::kafka::KafkaSettings;
use adapters::zookeeper::ZooKeeperSettings;
use adapters::{AgentClient, CertificateAuthorities, SshHosts};
use anyhow::Context as _;
use chassis::config::Problem;
use chassis::service::Service as Running;
use chassis::system::{SystemClock, SystemEntropy};
use chassis::{http, telemetry};
use common::port::authority::Papers;
use common::port::machines::Shape;
use common::port::{Authorities as _, Authority, Hosts, Nodes, Parts};
use common::service::ServiceName;
use lifecycle_manager::config::{Raw, RawLifecycle, RawProvision, RawRestarts, RawRollout};
use lifecycle_manager::ports::NeverChanged;
use lifecycle_manager::{Backends, Config, Ports, RolloutEnrolment, Service, Vault};
use rollout::machine::{Ports as WaysIn, Trust};
use rollout::parts::{Configured, Secrets};
use rollout::platform::Platform;
use serde::{Deserialize, Serialize};

use self::credentials::{GivenFile, given};
use super::sections::{Resolved, Sections};
use super::{Frame, ThisMachine, Wiring, Within, bus, nodes, store, take};

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
    azure_principal: PathBuf,
    shares: PathBuf,
    configured: PathBuf,
    given: PathBuf,
    credentials: PathBuf,
}

#[derive(Clone)]
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
        let described = take(described(&self.platform.description), &mut problems);
        let (description, platform) = described.flatten().unzip();
        let File { lifecycle, restarts, rollout, provision, .. } = self;
        let own = Raw { lifecycle, restarts, rollout, provision };
        let File { http, telemetry, kafka, zookeeper, .. } = self;
        let sections = Sections { http, telemetry, kafka, zookeeper };
        let resolved =
            sections.resolve(Self::SERVICE, problems, |http| own.resolve(http, platform))?;
        let Resolved { frame, kafka, zookeeper, own: config } = resolved;
        let platform = self.platform;
        let meant = Meant { kafka, zookeeper, platform, description, config };
        Ok((frame, meant))
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
        let secrets = vault.as_ref().map(|vault| &vault.secrets);
        let begun = secrets.map(|secrets| secrets.given).unwrap_or_default();
        let principal = secrets.and_then(|secrets| secrets.azure.as_deref());
        let platform = meant.config.platform.as_ref();
        let by_kind = machines::backends(&meant.platform, platform, &hosts, principal);
        let credentials = GivenFile::new(meant.platform.credentials.clone(), begun);
        let backends = by_kind
            .iter()
            .fold(Backends::default(), |all, (&kind, backend)| all.with(kind, Arc::clone(backend)));
        let enrolment = RolloutEnrolment {
            ports: WaysIn {
                hosts,
                backends: by_kind,
                images: machines::images(&meant.platform.machines_socket),
                clock: clock.clone(),
                trust,
            },
            key: meant.platform.ssh_key.clone(),
            secrets: vault.as_ref().map(|vault| vault.secrets.clone()),
            entropy: entropy.clone(),
        };
        let ports = Ports {
            bus: bus::connect(&meant.kafka)?,
            store: store::connect(&meant.zookeeper)?,
            nodes: agents.clone(),
            parts: agents,
            backends,
            enrolment: Arc::new(enrolment),
            credentials: Arc::new(credentials),
            vault,
            clock,
            entropy,
        };
        Ok(Arc::new(Service::new(ports, meant.config)))
    }
}

impl Meant {
    /// The service in the process that `within` describes, where `doors` says how the others are found: it looks after
    /// one machine, and makes none.
    pub(crate) fn place(
        &self,
        within: &Within,
        nodes: Arc<dyn Nodes>,
        machine: &ThisMachine,
        doors: &BTreeMap<ServiceName, SocketAddr>,
    ) -> Service {
        let machine = Arc::new(machine.clone());
        let ports = Ports {
            bus: within.bus(),
            store: within.session(),
            nodes,
            parts: machine.clone(),
            backends: Backends::default().with(Shape::Given.kind(), machine.clone()),
            enrolment: machine,
            credentials: Arc::new(NeverChanged),
            vault: None,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
        };
        let mut config = self.config.clone();
        config.platform = None;
        config.doors.clone_from(doors);
        Service::new(ports, config)
    }

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
            azure: match fs::read_to_string(&self.platform.azure_principal) {
                Ok(text) => Some(text),
                Err(err) if err.kind() == ErrorKind::NotFound => None,
                Err(err) => return Err(err).context("the service principal cannot be read"),
            },
            shares: match fs::read_to_string(&self.platform.shares) {
                Ok(text) => serde_json::from_str(&text).context("what shares are is damaged")?,
                Err(err) if err.kind() == ErrorKind::NotFound => BTreeMap::new(),
                Err(err) => return Err(err).context("what shares are cannot be read"),
            },
            configured: match fs::read_to_string(&self.platform.configured) {
                Ok(text) => {
                    serde_json::from_str(&text).context("what is said of services is damaged")?
                }
                Err(err) if err.kind() == ErrorKind::NotFound => Configured::default(),
                Err(err) => return Err(err).context("what is said of services cannot be read"),
            },
            given: match fs::read_to_string(&self.platform.given) {
                Ok(text) => {
                    text.trim().parse().context("which credentials were given is damaged")?
                }
                Err(err) if err.kind() == ErrorKind::NotFound => 0,
                Err(err) => return Err(err).context("which credentials were given cannot be read"),
            },
        };
        let secrets = match given(&self.platform.credentials) {
            Some(given) => secrets.with(given),
            None => secrets,
        };
        Ok(Some(Vault { authority, secrets }))
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
