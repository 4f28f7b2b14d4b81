//! The configurations of the services that keep a fleet, each for the machine that it is on.

use std::collections::BTreeMap;
use std::net::IpAddr;

use chassis::http;
use common::name::NodeName;
use common::port::nodes::Agent;
use common::record::leader::Advertised;
use common::service::ServiceName;
use monitoring::config::{RawAlerts, RawProbes, RawWebhook, Services};
use platform_initializer::config::{Documents, RawMachines, RawPlatform};
use rollout::parts::listeners;
use rollout::platform::Platform;
use serde::Deserialize;

use super::read;
use crate::fleet;
use crate::plant::Plant;

/// Who is told of incidents.
const PAGER: &str = "pager";

/// The shipped files, with the numbers of the simulation.
#[derive(Debug)]
pub(crate) struct FleetConfigs {
    platform: Platform,
    lifecycle_manager: LifecycleManager,
    platform_initializer: PlatformInitializer,
    monitoring: Monitoring,
}

#[derive(Debug, Clone, Deserialize)]
struct LifecycleManager {
    http: http::Raw,
    lifecycle: lifecycle_manager::config::RawLifecycle,
    restarts: lifecycle_manager::config::RawRestarts,
    rollout: lifecycle_manager::config::RawRollout,
    provision: lifecycle_manager::config::RawProvision,
}

#[derive(Debug, Clone, Deserialize)]
struct PlatformInitializer {
    http: http::Raw,
    platform: RawPlatform,
    machines: RawMachines,
    dependencies: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, Clone, Deserialize)]
struct Monitoring {
    http: http::Raw,
    probes: RawProbes,
    restarts: monitoring::config::RawRestarts,
    alerts: RawAlerts,
}

/// The section `[http]` of a service on this machine.
fn at(raw: http::Raw, service: ServiceName, ip: IpAddr) -> http::Config {
    let ports = listeners(service).expect("every service listens");
    let raw = http::Raw { advertised: format!("{ip}:{}", ports.plain), ..raw };
    raw.resolve().expect("the shipped file is right")
}

impl FleetConfigs {
    pub(crate) fn new(agents: &[Agent], plant: Option<Plant>) -> Self {
        let platform = fleet::platform(agents);
        let edge = platform.placement.edge.first().expect("there is an edge").clone();
        FleetConfigs {
            platform,
            lifecycle_manager: of_lifecycle_manager(plant),
            platform_initializer: of_platform_initializer(&edge),
            monitoring: of_monitoring(),
        }
    }

    pub(crate) fn lifecycle_manager(&self, ip: IpAddr) -> lifecycle_manager::Config {
        let LifecycleManager { http, lifecycle, restarts, rollout, provision } =
            self.lifecycle_manager.clone();
        let http = at(http, ServiceName::LifecycleManager, ip);
        let raw = lifecycle_manager::config::Raw { lifecycle, restarts, rollout, provision };
        let platform = Some(self.platform.clone());
        raw.resolve(&http, platform).expect("the settings are within bounds")
    }

    pub(crate) fn platform_initializer(&self, ip: IpAddr) -> platform_initializer::Config {
        let PlatformInitializer { http, platform, machines, dependencies } =
            self.platform_initializer.clone();
        let http = at(http, ServiceName::PlatformInitializer, ip);
        let raw = platform_initializer::config::Raw { platform, machines, dependencies };
        raw.resolve(&http, &Documents::default()).expect("the settings are within bounds")
    }

    pub(crate) fn monitoring(&self, ip: IpAddr) -> monitoring::Config {
        let Monitoring { http, probes, restarts, alerts } = self.monitoring.clone();
        let http = at(http, ServiceName::Monitoring, ip);
        let raw = monitoring::config::Raw { probes, restarts, alerts };
        raw.resolve(&http).expect("the settings are within bounds")
    }
}

/// The node manager of a storm, but that the lifecycle manager says which nodes there are.
pub(crate) fn node_manager_at(
    of_storms: &node_manager::Config,
    ip: IpAddr,
) -> node_manager::Config {
    let nodes = node_manager::config::Nodes::Stored;
    let advertised = Advertised::plain(format!("{ip}:8040"));
    node_manager::Config { nodes, advertised, ..of_storms.clone() }
}

fn of_lifecycle_manager(plant: Option<Plant>) -> LifecycleManager {
    let mut own: LifecycleManager = read(include_str!("../../../config/lifecycle-manager.toml"));
    own.lifecycle.window_seconds = 3;
    own.lifecycle.repair_after_seconds = 15;
    own.restarts.within_seconds = 60;
    own.restarts.machine_within_seconds = 90;
    own.restarts.last_wait_seconds = 60;
    own.restarts.calm_seconds = 120;
    own.restarts.limit = 30;
    own.rollout.ready_within_seconds = 30;
    own.rollout.registry_after_seconds = 16;
    own.rollout.effect_within_seconds = 20;
    if plant == Some(Plant::NoBrake) {
        own.lifecycle.brake_percent = 100;
    }
    own
}

fn of_platform_initializer(edge: &NodeName) -> PlatformInitializer {
    let mut own: PlatformInitializer =
        read(include_str!("../../../config/platform-initializer.toml"));
    own.platform.start_within_seconds = 240;
    own.platform.ready_within_seconds = 60;
    own.platform.stop_within_seconds = 40;
    own.platform.status_file = String::new();
    own.machines.edge = edge.to_string();
    own
}

fn of_monitoring() -> Monitoring {
    let mut own: Monitoring = read(include_str!("../../../config/monitoring.toml"));
    own.probes.services = Services::Running;
    own.probes.grace_seconds = 20;
    own.restarts.last_wait_seconds = 60;
    own.restarts.calm_seconds = 120;
    own.restarts.limit = 30;
    own.alerts.webhooks = vec![RawWebhook {
        name: PAGER.to_owned(),
        url: "https://hooks.example.org/fleet".to_owned(),
        secret_file: String::new(),
        secret_variable: "PAGER".to_owned(),
        internal: false,
    }];
    own
}
