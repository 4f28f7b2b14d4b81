//! The platform initializer on a bus and a store, and on the load balancer for front doors.

use std::collections::BTreeMap;
use std::fs::File as FsFile;
use std::io::Read as _;
use std::sync::Arc;

use adapters::RoutesClient;
use adapters::kafka::KafkaSettings;
use adapters::zookeeper::ZooKeeperSettings;
use anyhow::Context as _;
use chassis::config::Problem;
use chassis::service::Service as Running;
use chassis::system::{SystemClock, SystemEntropy};
use chassis::{http, telemetry};
use common::port::{Bus, Routes, Store};
use common::service::ServiceName;
use platform_initializer::config::{Documents, Raw, RawMachines, RawPlatform};
use platform_initializer::{Config, Ports, Service};
use serde::{Deserialize, Serialize};

use super::sections::{Resolved, Sections};
use super::{Frame, Wiring, Within, bus, nodes, store};

/// Document 001's files are not longer.
const LARGEST_DOCUMENT: u64 = 1024 * 1024;

/// `config/platform-initializer.toml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    http: http::Raw,
    telemetry: telemetry::Config,
    kafka: bus::Raw,
    zookeeper: store::Raw,
    platform: RawPlatform,
    machines: RawMachines,
    dependencies: BTreeMap<String, Vec<String>>,
}

#[derive(Clone)]
pub(crate) struct Meant {
    kafka: KafkaSettings,
    zookeeper: ZooKeeperSettings,
    config: Config,
}

impl Wiring for File {
    const SERVICE: ServiceName = ServiceName::PlatformInitializer;
    const DEFAULTS: &'static str = include_str!("../../../config/platform-initializer.toml");
    type Meant = Meant;

    fn resolve(self) -> Result<(Frame, Meant), Vec<Problem>> {
        let mut problems = Vec::new();
        let documents = Documents {
            services: document(
                "platform.services_file",
                &self.platform.services_file,
                &mut problems,
            ),
            machines: document("machines.file", &self.machines.file, &mut problems),
        };
        let (platform, machines) = (self.platform, self.machines);
        let own = Raw { platform, machines, dependencies: self.dependencies };
        let File { http, telemetry, kafka, zookeeper, .. } = self;
        let sections = Sections { http, telemetry, kafka, zookeeper };
        let resolved =
            sections.resolve(Self::SERVICE, problems, |http| own.resolve(http, &documents))?;
        let Resolved { frame, kafka, zookeeper, own: config } = resolved;
        let meant = Meant { kafka, zookeeper, config };
        Ok((frame, meant))
    }

    async fn connect(meant: Meant, frame: &Frame) -> anyhow::Result<Arc<dyn Running>> {
        let identity = nodes::identity(&frame.http, Self::SERVICE)?;
        let (store, bus) = (store::connect(&meant.zookeeper)?, bus::connect(&meant.kafka)?);
        let routes = RoutesClient::new(Arc::clone(&store), &identity.ca, &identity.client_pem());
        let routes = Arc::new(routes.context("the load balancer cannot be asked")?);
        Ok(meant.make(store, bus, routes))
    }
}

impl Meant {
    /// The service in the process that `within` describes.
    pub(crate) fn place(&self, within: &Within, routes: Arc<dyn Routes>) -> Arc<dyn Running> {
        self.clone().make(within.session(), within.bus(), routes)
    }

    fn make(
        self,
        store: Arc<dyn Store>,
        bus: Arc<dyn Bus>,
        routes: Arc<dyn Routes>,
    ) -> Arc<dyn Running> {
        let (clock, entropy) = (Arc::new(SystemClock), Arc::new(SystemEntropy));
        Arc::new(Service::new(Ports { bus, store, routes, clock, entropy }, self.config))
    }
}

/// One of document 001's files, if the configuration names one.
fn document(key: &str, path: &str, problems: &mut Vec<Problem>) -> Option<String> {
    if path.is_empty() {
        return None;
    }
    let read = || {
        let mut text = String::new();
        let length = FsFile::open(path)?.take(LARGEST_DOCUMENT + 1).read_to_string(&mut text)?;
        Ok::<_, std::io::Error>((text, length))
    };
    match read() {
        Ok((text, length))
            if u64::try_from(length).is_ok_and(|length| length <= LARGEST_DOCUMENT) =>
        {
            Some(text)
        }
        Ok(_) => {
            problems.push(Problem::new(key, format!("{path} is larger than 1 MiB")));
            None
        }
        Err(err) => {
            problems.push(Problem::new(key, format!("{path} cannot be read: {err}")));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use chassis::config::{self, Sources};

    use super::*;

    fn file(overrides: &[(&str, &str)]) -> File {
        let given = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        let overrides = overrides.iter().map(given).collect();
        config::read(File::DEFAULTS, &Sources { overrides, ..Sources::default() }).unwrap()
    }

    #[test]
    fn what_ships_is_right() {
        assert!(file(&[]).resolve().is_ok());
    }

    #[test]
    fn document_001s_files_are_read_and_everything_wrong_with_them_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let (services, machines) =
            (folder.path().join("services.json"), folder.path().join("vm.json"));
        std::fs::write(&services, "[{\"service_name\": \"toaster\"}]").unwrap();
        std::fs::write(&machines, "[{\"vm_name\": \"VM1\", \"vm_ip\": \"192.0.2.1\"}]").unwrap();
        let (services, machines) = (services.to_str().unwrap(), machines.to_str().unwrap());
        let wrong = file(&[
            ("platform.services_file", services),
            ("machines.file", "/nowhere/vm-details.json"),
            ("platform.instances", "0"),
        ]);
        let problems = wrong.resolve().err().unwrap();
        let keys: Vec<&str> = problems.iter().map(|problem| problem.key.as_str()).collect();
        let expected =
            ["machines.file", "platform.instances", "platform.services_file[0].service_name"];
        assert_eq!(keys, expected);
        assert!(file(&[("machines.file", machines)]).resolve().is_ok());
    }
}
