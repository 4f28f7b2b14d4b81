//! The platform's own services.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use common::name::NodeName;
use common::port::machines::Shape;
use common::port::part::{PartFile, PartHealth, PartImage, PartSpec, PartVolume, VolumeSource};
use common::service::ServiceName;

use super::base::BasePart;
use super::configured::{self, environment};
use super::edge::shared;
use super::images_file::images_file;
use super::papers::ServicePapers;
use super::site::{Incomplete, KAFKA, Site, ZOOKEEPER, own, turn};
use crate::machine::REGISTRY;
use crate::platform::{Component, Platform};

/// What a lifecycle manager gets as files: the description, the authority's certificate and key, and its private key
/// for machines.
pub const PLATFORM: &str = "/etc/avishkar/platform.json";
pub const AUTHORITY: &str = "/etc/avishkar/authority.json";
pub const SSH_KEY: &str = "/etc/avishkar/ssh/key";
/// The service principal for Azure, where machines are made there.
pub const AZURE_PRINCIPAL: &str = "/etc/avishkar/secrets/azure.json";
/// The shares that services' code comes from, with what opens them.
pub const SHARES: &str = "/etc/avishkar/secrets/shares.json";
/// What is said of services themselves, with what requests about alerts are signed with.
pub const CONFIGURED: &str = "/etc/avishkar/secrets/configured.json";
/// Of what was given later than the platform began, which these are.
pub const GIVEN: &str = "/etc/avishkar/secrets/given";
/// Where a lifecycle manager finds what it is given while it runs, in its folder `/data`.
pub const CREDENTIALS_FILE: &str = "credentials.json";
/// What signs tokens, for app managers.
pub const JWT: &str = "/etc/avishkar/secrets/jwt";
/// What keys of visitors' certificates are sealed with, for load balancers.
const SEAL: &str = "/etc/avishkar/secrets/seal";
/// By what certificates the public authority is trusted, for load balancers, where it is no usual one.
const ACME_TRUSTED: &str = "/etc/avishkar/acme.pem";
const IMAGES: &str = "/etc/avishkar/images.toml";
const PKI: &str = "/etc/avishkar/pki";
const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A service's ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listeners {
    pub plain: u16,
    pub mutual_tls: u16,
}

/// The ports of a service in a fleet; none for the agent, which is no part.
pub fn listeners(service: ServiceName) -> Option<Listeners> {
    let (plain, mutual_tls) = match service {
        ServiceName::AppManager => (8010, 9010),
        ServiceName::DeploymentManager => (8030, 9030),
        ServiceName::NodeManager => (8040, 9040),
        // Its usual one is the platform initializer's plain one.
        ServiceName::LoadBalancer => (8050, 9051),
        ServiceName::Monitoring => (8070, 9070),
        ServiceName::LifecycleManager => (8080, 9080),
        ServiceName::PlatformInitializer => (9050, 10050),
        ServiceName::NodeAgent => return None,
    };
    Some(Listeners { plain, mutual_tls })
}

/// A service on a node. `image` is another version than the platform's own.
pub fn service(
    site: &Site<'_>,
    service: ServiceName,
    image: Option<PartImage>,
    papers: &ServicePapers,
) -> Result<PartSpec, Incomplete> {
    let name = service.as_str();
    let listeners = listeners(service).ok_or(Incomplete::NoPart(name))?;
    let own = || match site.platform.code.get(&service) {
        Some(code) => Ok(PartImage::Built(code.clone())),
        None => site.by_id(version_of(site, service)),
    };
    let image = image.map_or_else(own, Ok)?;
    let mut platforms = everywhere(site, service, listeners)?;
    platforms.extend(of_its_own(site, service, listeners)?);
    // Whatever a setting is called, what the platform itself says of a service comes last.
    let platforms = platforms.into_iter().map(|(key, value)| (key.to_owned(), value));
    let environment = environment(&papers.settings).chain(platforms);
    let environment = environment.map(|(key, value)| (format!("AVISHKAR_{key}"), value)).collect();
    let mut command = vec!["service".to_owned(), name.to_owned()];
    if service == ServiceName::DeploymentManager {
        command.extend(["--config", IMAGES].map(str::to_owned));
    }
    command.extend(configured::arguments(&papers.receivers).iter().copied().map(str::to_owned));
    Ok(PartSpec {
        command,
        environment,
        files: files(site, service, papers),
        volumes: volumes(site, service),
        health: Some(PartHealth {
            path: Some("/readyz".to_owned()),
            turn: turn_of(site, service),
            ..PartHealth::listens(listeners.plain)
        }),
        ..site.part(name, image, 256)
    })
}

fn version_of(site: &Site<'_>, service: ServiceName) -> Component {
    let is_of_base =
        matches!(service, ServiceName::LifecycleManager | ServiceName::PlatformInitializer);
    let is_another = site.platform.images.contains_key(&Component::Base);
    if is_of_base && is_another { Component::Base } else { Component::Platform }
}

type Own = BTreeMap<&'static str, String>;

fn everywhere(
    site: &Site<'_>,
    service: ServiceName,
    listeners: Listeners,
) -> Result<Own, Incomplete> {
    let placement = &site.platform.placement;
    let bind = if service == ServiceName::AppManager { site.platform.door } else { LOOPBACK };
    Ok(Own::from([
        ("HTTP__ADDRESS", SocketAddr::new(bind, listeners.plain).to_string()),
        ("HTTP__INTERNAL_ADDRESS", site.at(listeners.mutual_tls)?.to_string()),
        ("HTTP__ADVERTISED", site.at(listeners.plain)?.to_string()),
        ("KAFKA__BROKERS", site.addresses(&placement.kafka, KAFKA)?),
        ("ZOOKEEPER__SERVERS", site.addresses(&placement.zookeeper, ZOOKEEPER)?),
    ]))
}

/// What differs from `config/<service>.toml`, besides what differs everywhere.
fn of_its_own(site: &Site<'_>, service: ServiceName, own: Listeners) -> Result<Own, Incomplete> {
    let platform = site.platform;
    // Only its own machine can call: the plain listener is on loopback.
    let gets = || ("HTTP__DOCUMENT_001_GETS", "true".to_owned());
    let bundles = || ("STORAGE__KIND", "agents".to_owned());
    Ok(match service {
        ServiceName::AppManager => [
            ("AUTH__JWT_SECRET_FILE", JWT.to_owned()),
            ("APPS__IMAGE_REGISTRIES", REGISTRY.to_owned()),
            bundles(),
        ]
        .into(),
        ServiceName::DeploymentManager => {
            [bundles(), ("DEPLOYMENT__SPARE_IMAGES", "true".to_owned())].into()
        }
        ServiceName::NodeManager => [gets(), ("NODE_MANAGER__NODES", "store".to_owned())].into(),
        ServiceName::LoadBalancer => {
            let edges = &platform.placement.edge;
            let first = || {
                let missing = || Incomplete::NotPlaced { part: "edge", node: site.node.clone() };
                site.address_of(edges.first().ok_or_else(missing)?)
            };
            let announced =
                platform.edge_advertised.or_else(|| platform.edge.address.map(IpAddr::V4));
            let mut settings = Own::from([
                gets(),
                ("EDGE__ADVERTISED", announced.map_or_else(first, Ok)?.to_string()),
            ]);
            if let Some(other) = edges.iter().find(|edge| *edge != site.node) {
                let others = SocketAddr::new(site.address_of(other)?, own.mutual_tls);
                settings.insert("EDGE__OTHER", others.to_string());
            }
            settings.extend(public_authority(platform));
            settings
        }
        ServiceName::PlatformInitializer => {
            let mut settings =
                Own::from([gets(), ("MACHINES__EDGE", named(&platform.placement.edge))]);
            if !platform.door.is_loopback() {
                // Who comes through the front door must find the app manager behind it.
                settings.insert("PLATFORM__FRONT_DOORS", ServiceName::AppManager.to_string());
            }
            settings
        }
        ServiceName::Monitoring => [("PROBES__SERVICES", "running".to_owned())].into(),
        ServiceName::LifecycleManager => {
            let mut settings = provision(platform);
            settings.insert("LIFECYCLE__DOCUMENT_000_PATHS", "true".to_owned());
            settings
        }
        ServiceName::NodeAgent => Own::new(),
    })
}

/// What is said of machines that are added where apps need more room.
fn provision(platform: &Platform) -> Own {
    let most = platform.max_machines.map(|most| ("PROVISION__MAX_MACHINES", most.to_string()));
    let idle = platform.idle_seconds.map(|idle| ("PROVISION__IDLE_SECONDS", idle.to_string()));
    most.into_iter().chain(idle).collect()
}

/// Whom certificates of host names are asked of, if of anybody.
fn public_authority(platform: &Platform) -> Own {
    let Some(acme) = &platform.acme else { return Own::new() };
    let mut settings = Own::from([
        ("ACME__DIRECTORY", acme.directory.clone()),
        ("ACME__AGREE_TO_TERMS", "true".to_owned()),
    ]);
    if !acme.contacts.is_empty() {
        settings.insert("ACME__CONTACTS", acme.contacts.join(","));
    }
    if acme.trusted.is_some() {
        settings.insert("ACME__TRUSTED_FILE", ACME_TRUSTED.to_owned());
    }
    settings
}

/// Separated by commas.
fn named(nodes: &[NodeName]) -> String {
    nodes.iter().map(NodeName::as_str).collect::<Vec<_>>().join(",")
}

/// Those of the base stand on fixed machines; what hangs of all others is first the lifecycle manager's to restart.
fn turn_of(site: &Site<'_>, service: ServiceName) -> u16 {
    let name = service.as_str();
    let base = BasePart::ALL.into_iter().find(|part| part.as_str() == name);
    let number = base.and_then(|part| site.number(name, part.nodes(site.platform)).ok());
    number.map_or(0, turn)
}

fn files(site: &Site<'_>, service: ServiceName, papers: &ServicePapers) -> Vec<PartFile> {
    let file = |path: String, content: &str| PartFile { path, content: content.to_owned() };
    let mut files = vec![
        file(format!("{PKI}/ca.pem"), &papers.authority),
        file(format!("{PKI}/{service}.pem"), &papers.own.certificate),
        file(format!("{PKI}/{service}.key"), &papers.own.key),
    ];
    files.extend(papers.seal.iter().map(|seal| file(SEAL.to_owned(), seal)));
    files.extend(configured::files(&papers.settings, &papers.receivers));
    match (service, &papers.secrets) {
        (ServiceName::DeploymentManager, _) => {
            files.push(file(IMAGES.to_owned(), &images_file(site.platform)));
        }
        (ServiceName::LoadBalancer, _) => {
            let trusted = site.platform.acme.iter().filter_map(|acme| acme.trusted.as_ref());
            files.extend(trusted.map(|text| file(ACME_TRUSTED.to_owned(), text)));
        }
        (ServiceName::AppManager, Some(secrets)) => files.push(file(JWT.to_owned(), &secrets.jwt)),
        (ServiceName::LifecycleManager, Some(secrets)) => {
            let authority = serde_json::to_string(&secrets.authority).expect("papers are text");
            files.extend([
                file(PLATFORM.to_owned(), &secrets.platform),
                file(AUTHORITY.to_owned(), &authority),
                file(SSH_KEY.to_owned(), &secrets.ssh_key),
                file(JWT.to_owned(), &secrets.jwt),
            ]);
            let azure = secrets.azure.iter();
            files.extend(azure.map(|text| file(AZURE_PRINCIPAL.to_owned(), text)));
            if !secrets.shares.is_empty() {
                let shares = serde_json::to_string(&secrets.shares).expect("shares are text");
                files.push(file(SHARES.to_owned(), &shares));
            }
            if !secrets.configured.is_plain() {
                let said = serde_json::to_string(&secrets.configured).expect("settings are text");
                files.push(file(CONFIGURED.to_owned(), &said));
            }
            if secrets.given > 0 {
                files.push(file(GIVEN.to_owned(), &secrets.given.to_string()));
            }
        }
        (
            ServiceName::AppManager
            | ServiceName::NodeManager
            | ServiceName::Monitoring
            | ServiceName::LifecycleManager
            | ServiceName::PlatformInitializer
            | ServiceName::NodeAgent,
            _,
        ) => {}
    }
    files
}

fn volumes(site: &Site<'_>, service: ServiceName) -> Vec<PartVolume> {
    let mut volumes =
        vec![own(service.as_str(), "/data"), own(&format!("{service}-logs"), "/logs")];
    if service == ServiceName::LoadBalancer {
        volumes.extend(shared());
    }
    let machine = site.platform.machine(site.node);
    let makes_machines = machine.is_some_and(|machine| match &machine.shape {
        Shape::Local(shape) => shape.machines_socket,
        Shape::Azure(_) | Shape::Given => false,
    });
    if service == ServiceName::LifecycleManager && makes_machines {
        let path = "/run/avishkar/machines.sock".to_owned();
        volumes.push(PartVolume { from: VolumeSource::MachinesSocket, path, read_only: false });
    }
    volumes
}
