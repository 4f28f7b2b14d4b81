//! The registry: where nodes push what they built and pull what they run.

use common::port::part::{PartHealth, PartSpec};

use super::site::{Incomplete, REGISTRY, Site, own};
use crate::platform::Component;

/// It listens on its node's own address: on loopback every node's agent does, and forwards to it.
pub fn registry(site: &Site<'_>) -> Result<PartSpec, Incomplete> {
    site.number("registry", std::slice::from_ref(&site.platform.placement.registry))?;
    let at = site.at(REGISTRY)?.to_string();
    let image = site.by_id(Component::Registry)?;
    Ok(PartSpec {
        environment: [("REGISTRY_HTTP_ADDR".to_owned(), at)].into(),
        volumes: vec![own("registry", "/var/lib/registry")],
        health: Some(PartHealth { path: Some("/v2/".to_owned()), ..PartHealth::listens(REGISTRY) }),
        ..site.part("registry", image, 512)
    })
}
