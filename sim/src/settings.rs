//! The numbers of a run: how large the world is, how long things may take in it. The services read
//! them through their own configuration files, with these values instead of the shipped ones.

mod fleet;

use std::path::Path;
use std::time::Duration;

use app_manager::config::{RawApps, RawAuth, RawSchedules, RawStorage, RawUploads};
use chassis::config::{SecretString, Sources};
use chassis::http;
use common::port::nodes::Agent;
use common::record::leader::Advertised;
use common::record::node::Node;
use deployment_manager::config::{RawBuild, RawDeployment};
use serde::Deserialize;
use serde::de::DeserializeOwned;

pub(crate) use self::fleet::{FleetConfigs, node_manager_at};
use crate::plant::Plant;
use crate::stage::Owner;

/// The numbers that the checker needs too.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// How long a released host port is kept back.
    pub(crate) quarantine: Duration,
    /// How many replicas anybody may ask for.
    pub(crate) most_replicas: u32,
    /// Within which time everything settles once nothing goes wrong any more.
    pub(crate) settles_within: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            quarantine: Duration::from_secs(5),
            most_replicas: 4,
            settles_within: Duration::from_mins(2),
        }
    }
}

/// The configurations of the four services.
#[derive(Debug, Clone)]
pub(crate) struct Configs {
    pub(crate) app_manager: app_manager::Config,
    pub(crate) deployment_manager: deployment_manager::Config,
    pub(crate) node_manager: node_manager::Config,
    pub(crate) load_balancer: load_balancer::Config,
}

/// Images of this registry may be released.
pub(crate) const REGISTRY: &str = "registry.example.org";

fn read<T: DeserializeOwned>(defaults: &str) -> T {
    chassis::config::read(defaults, &Sources::default()).expect("the shipped files are right")
}

impl Configs {
    pub(crate) fn new(
        settings: &Settings,
        agents: &[Agent],
        folder: &Path,
        plant: Option<Plant>,
    ) -> Self {
        Configs {
            app_manager: app_manager(folder),
            deployment_manager: deployment_manager(settings, folder),
            node_manager: node_manager(settings, agents, plant),
            load_balancer: load_balancer(settings),
        }
    }
}

impl Configs {
    /// For an instance of the services on a machine of its own.
    pub(crate) fn of_another_machine(&self, number: Owner) -> Self {
        let at = |port: u16| Advertised::plain(format!("198.51.100.{}:{port}", number % 250));
        let mut own = self.clone();
        own.app_manager.advertised = at(8010);
        own.deployment_manager.advertised = at(8030);
        own.node_manager.advertised = at(8040);
        own.load_balancer.advertised = at(8050);
        own
    }
}

fn app_manager(folder: &Path) -> app_manager::Config {
    #[derive(Deserialize)]
    struct File {
        http: http::Raw,
        auth: RawAuth,
        storage: RawStorage,
        uploads: RawUploads,
        apps: RawApps,
        schedules: RawSchedules,
    }
    let File { http, mut auth, mut storage, uploads, mut apps, schedules } =
        read(include_str!("../../config/app-manager.toml"));
    auth.jwt_secret = SecretString::new("0123456789abcdef0123456789abcdef".to_owned());
    storage.folder = folder.display().to_string();
    REGISTRY.clone_into(&mut apps.image_registries);
    let http = http.resolve().expect("the shipped file is right");
    let raw = app_manager::config::Raw { auth, storage, uploads, apps, schedules };
    raw.resolve(&http).expect("the settings are within bounds")
}

fn deployment_manager(settings: &Settings, folder: &Path) -> deployment_manager::Config {
    #[derive(Deserialize)]
    struct File {
        http: http::Raw,
        deployment: RawDeployment,
        build: RawBuild,
    }
    let File { http, deployment, build } =
        read(include_str!("../../config/deployment-manager.toml"));
    let mut own = deployment_manager::Raw { deployment, build };
    let times = &mut own.deployment;
    times.deploy_seconds = 40;
    times.stop_seconds = 30;
    times.undo_seconds = 15;
    times.ask_again_seconds = 3;
    times.node_seconds = 5;
    times.image_seconds = 8;
    times.health_seconds = 8;
    times.front_seconds = 8;
    times.scan_seconds = 15;
    times.sweep_seconds = 3;
    times.rebalance_seconds = 5;
    times.watch_seconds = 2;
    times.max_replicas = settings.most_replicas;
    own.build.folder = folder.join("builds").display().to_string();
    let http = http.resolve().expect("the shipped file is right");
    own.resolve(&http).expect("the settings are within bounds")
}

fn node_manager(
    settings: &Settings,
    agents: &[Agent],
    plant: Option<Plant>,
) -> node_manager::Config {
    let node = |agent: &Agent| Node {
        schema: 1,
        name: agent.node.clone(),
        ip: agent.address.ip(),
        agent: agent.address,
        os: "Debian 13".to_owned(),
        leaves: false,
    };
    let day = Duration::from_hours(24);
    let is = |one| plant == Some(one);
    node_manager::Config {
        nodes: node_manager::config::Nodes::Configured(agents.iter().map(node).collect()),
        data_folder: None,
        keep_samples_days: 7,
        keep_releases: 10,
        first_port: 20_000,
        last_port: 20_079,
        quarantine: if is(Plant::NoQuarantine) { Duration::ZERO } else { settings.quarantine },
        placement: node_manager::config::Strategy::Spread,
        patience: Duration::from_secs(6),
        suspect_after: Duration::from_secs(2),
        dead_after: if is(Plant::NobodyDies) { day } else { Duration::from_secs(6) },
        hold_down: Duration::from_secs(15),
        alert_percent: 90.0,
        document_001_gets: false,
        advertised: Advertised::plain("192.0.2.10:8040"),
    }
}

fn load_balancer(settings: &Settings) -> load_balancer::Config {
    load_balancer::Config {
        advertised_ip: [192, 0, 2, 10].into(),
        other: None,
        first_port: 2000,
        last_port: 2999,
        confirm_within: Duration::from_secs(5),
        drain_within: Duration::from_secs(3),
        max_replicas: settings.most_replicas,
        scale_within: Duration::from_secs(30),
        window_samples: 5,
        brake_after: 3,
        default_bounds: None,
        exports: None,
        first_host_port: 20_000,
        seal_file: "/nowhere".into(),
        document_001_gets: false,
        advertised: Advertised::plain("192.0.2.10:8050"),
    }
}
