//! Monitoring on a bus and a store, services over HTTP, apps through the load balancer, receivers of webhooks.

use std::collections::BTreeMap;
use std::fs::File as FsFile;
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use adapters::kafka::KafkaSettings;
use adapters::webhooks::{Reach, Receiver, check_url};
use adapters::zookeeper::ZooKeeperSettings;
use adapters::{HttpProbes, RoutesClient, WebhookClient};
use anyhow::{Context as _, bail};
use chassis::config::{Problem, secret_variable};
use chassis::service::Service as Running;
use chassis::system::{SystemClock, SystemEntropy};
use chassis::{http, telemetry};
use common::port::{Bus, Routes, Store};
use common::service::ServiceName;
use monitoring::config::{Raw, RawAlerts, RawProbes, RawRestarts, RawWebhook, SecretSource};
use monitoring::{Config, Ports, Service};
use serde::{Deserialize, Serialize};

use super::sections::{Resolved, Sections};
use super::{Frame, Wiring, Within, bus, nodes, store};

/// A secret is not longer.
const LARGEST_SECRET: u64 = 4096;

/// `config/monitoring.toml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    http: http::Raw,
    telemetry: telemetry::Config,
    kafka: bus::Raw,
    zookeeper: store::Raw,
    probes: RawProbes,
    restarts: RawRestarts,
    alerts: RawAlerts,
}

#[derive(Clone)]
pub(crate) struct Meant {
    kafka: KafkaSettings,
    zookeeper: ZooKeeperSettings,
    webhooks: Vec<RawWebhook>,
    config: Config,
}

impl Wiring for File {
    const SERVICE: ServiceName = ServiceName::Monitoring;
    const DEFAULTS: &'static str = include_str!("../../../config/monitoring.toml");
    type Meant = Meant;

    fn resolve(self) -> Result<(Frame, Meant), Vec<Problem>> {
        let mut problems = Vec::new();
        let webhooks = self.alerts.webhooks.clone();
        problems.extend(wrong_urls(&webhooks));
        let own = Raw { probes: self.probes, restarts: self.restarts, alerts: self.alerts };
        let File { http, telemetry, kafka, zookeeper, .. } = self;
        let sections = Sections { http, telemetry, kafka, zookeeper };
        let resolved = sections.resolve(Self::SERVICE, problems, |http| own.resolve(http))?;
        let Resolved { frame, kafka, zookeeper, own: config } = resolved;
        let meant = Meant { kafka, zookeeper, webhooks, config };
        Ok((frame, meant))
    }

    async fn connect(meant: Meant, frame: &Frame) -> anyhow::Result<Arc<dyn Running>> {
        let identity = nodes::identity(&frame.http, Self::SERVICE)?;
        let (store, bus) = (store::connect(&meant.zookeeper)?, bus::connect(&meant.kafka)?);
        let routes = RoutesClient::new(Arc::clone(&store), &identity.ca, &identity.client_pem());
        let routes = Arc::new(routes.context("the load balancer cannot be asked")?);
        let probes = HttpProbes::with_certificates(&identity.ca, &identity.client_pem());
        let probes = probes.context("the certificates cannot be used")?;
        meant.make(store, bus, routes, probes)
    }
}

impl Meant {
    /// The service in the process that `within` describes.
    pub(crate) fn place(
        &self,
        within: &Within,
        routes: Arc<dyn Routes>,
    ) -> anyhow::Result<Arc<dyn Running>> {
        self.clone().make(within.session(), within.bus(), routes, HttpProbes::new()?)
    }

    fn make(
        self,
        store: Arc<dyn Store>,
        bus: Arc<dyn Bus>,
        routes: Arc<dyn Routes>,
        probes: HttpProbes,
    ) -> anyhow::Result<Arc<dyn Running>> {
        let probes = Arc::new(probes);
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        let receivers =
            self.webhooks.iter().map(receiver).collect::<anyhow::Result<BTreeMap<_, _>>>()?;
        let webhooks = Arc::new(WebhookClient::new(receivers, clock.clone())?);
        let ports = Ports { bus, store, probes, routes, webhooks, clock, entropy };
        Ok(Arc::new(Service::new(ports, self.config)))
    }
}

fn reach(webhook: &RawWebhook) -> Reach {
    if webhook.internal { Reach::Anywhere } else { Reach::PublicOnly }
}

/// The URLs are not shown: some hold a secret of the receiver's.
fn wrong_urls(webhooks: &[RawWebhook]) -> Vec<Problem> {
    let problem = |(number, webhook): (usize, &RawWebhook)| {
        let err = check_url(&webhook.url, reach(webhook)).err()?;
        Some(Problem::new(&format!("alerts.webhooks[{number}].url"), err.to_string()))
    };
    webhooks.iter().enumerate().filter_map(problem).collect()
}

fn receiver(webhook: &RawWebhook) -> anyhow::Result<(String, Receiver)> {
    let name = &webhook.name;
    let secret = match webhook.secret() {
        Some(SecretSource::File(path)) => from_file(&path),
        Some(SecretSource::Variable(variable)) => {
            let secret = secret_variable(&variable).map(|secret| secret.expose().into());
            secret.with_context(|| format!("the environment has no {variable}"))
        }
        None => Err(anyhow::anyhow!("it has no secret")),
    };
    let secret: Vec<u8> = secret.with_context(|| format!("the webhook {name} cannot be used"))?;
    let receiver = Receiver::new(&webhook.url, &secret, reach(webhook))
        .with_context(|| format!("the webhook {name} cannot be used"))?;
    Ok((name.clone(), receiver))
}

/// White space around the secret is not part of it.
fn from_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    let file = FsFile::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let mode = file.metadata()?.permissions().mode();
    if mode & 0o077 != 0 {
        bail!("{} can be read by others; make its mode 0600", path.display());
    }
    let mut secret = Vec::new();
    file.take(LARGEST_SECRET).read_to_end(&mut secret)?;
    Ok(secret.trim_ascii().to_vec())
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};

    use chassis::config::{self, Sources};

    use super::*;

    fn file(lines: &str) -> File {
        let layer = format!("[[alerts.webhooks]]\n{lines}\n");
        config::read(File::DEFAULTS, &Sources { layer, ..Sources::default() }).unwrap()
    }

    #[test]
    fn a_webhook_that_would_reach_inside_is_refused_and_its_url_is_not_shown() {
        let url = "https://169.254.169.254/hidden";
        let common = "name = \"pager\"\nsecret_file = \"/a\"\nsecret_variable = \"\"";
        let refused = file(&format!("{common}\nurl = \"{url}\"\ninternal = false"));
        let problems = refused.resolve().err().unwrap();
        assert_eq!(problems.len(), 1, "{problems:?}");
        assert_eq!(problems[0].key, "alerts.webhooks[0].url");
        assert!(!problems[0].message.contains("hidden"));
        assert!(file(&format!("{common}\nurl = \"{url}\"\ninternal = true")).resolve().is_ok());
    }

    #[test]
    fn a_secret_that_others_can_read_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pager");
        fs::write(&path, "0123456789abcdef\n").unwrap();
        for (mode, is_fine) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(from_file(&path).is_ok(), is_fine, "{mode:o}");
        }
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(from_file(&path).unwrap(), b"0123456789abcdef");
    }
}
