//! Where records stand.

use sha2::{Digest as _, Sha256};

use crate::digest::hex;
use crate::id::{ReleaseNumber, RequestId};
use crate::name::{AppName, HostName, LegacyName, NodeName, UserName};
use crate::port::store::Path;
use crate::service::ServiceName;

/// The two hexadecimal digits that choose the shard of a key.
pub fn shard(key: &str) -> String {
    let hash = Sha256::digest(key.as_bytes());
    hex(hash.get(..1).unwrap_or_default())
}

fn path(text: String) -> Path {
    text.try_into().expect("names and ids are printable ASCII without slashes")
}

/// The folder of all records of a kind: `/avishkar/<kind>`.
pub fn folder(kind: &str) -> Path {
    path(format!("/avishkar/{kind}"))
}

pub fn user(name: &UserName) -> Path {
    path(format!("/avishkar/users/{name}"))
}

pub fn app(app: &AppName) -> Path {
    path(format!("/avishkar/apps/{app}"))
}

pub fn releases(of: &AppName) -> Path {
    path(format!("/avishkar/apps/{of}/releases"))
}

/// Numbers are padded, so that names sort as numbers.
pub fn release(of: &AppName, number: ReleaseNumber) -> Path {
    path(format!("/avishkar/apps/{of}/releases/{:010}", number.0))
}

pub fn instance(name: &LegacyName) -> Path {
    path(format!("/avishkar/instances/{}/{name}", shard(name.as_str())))
}

pub fn schedule(name: &LegacyName) -> Path {
    path(format!("/avishkar/schedules/{}/{name}", shard(name.as_str())))
}

pub fn deployment(name: &LegacyName) -> Path {
    path(format!("/avishkar/deployments/{}/{name}", shard(name.as_str())))
}

pub fn route(name: &LegacyName) -> Path {
    path(format!("/avishkar/routes/{name}"))
}

pub fn certificate(host: &HostName) -> Path {
    path(format!("/avishkar/certificates/{host}"))
}

/// What becomes of asking a public authority for the certificate of a host name.
pub fn order(host: &HostName) -> Path {
    path(format!("/avishkar/orders/{host}"))
}

/// By whom the public authority knows the platform.
pub fn authority_account() -> Path {
    path("/avishkar/authority-account".to_owned())
}

pub fn scale(name: &LegacyName) -> Path {
    path(format!("/avishkar/scale/{name}"))
}

pub fn machine(name: &NodeName) -> Path {
    path(format!("/avishkar/machines/{name}"))
}

/// Where replicas go of apps that do not say it.
pub fn usual_placement() -> Path {
    path("/avishkar/usual-placement".to_owned())
}

/// The bounds of apps that say none.
pub fn usual_bounds() -> Path {
    path("/avishkar/usual-bounds".to_owned())
}

/// Whether the platform is on.
pub fn platform() -> Path {
    path("/avishkar/platform".to_owned())
}

/// Where a service should run.
pub fn placed_service(service: ServiceName) -> Path {
    path(format!("/avishkar/platform/services/{service}"))
}

/// The change of a service that somebody waits for.
pub fn service_change(service: ServiceName) -> Path {
    path(format!("/avishkar/platform/changes/{service}"))
}

/// How a placed service is.
pub fn running_service(service: ServiceName) -> Path {
    path(format!("/avishkar/running/{service}"))
}

pub fn node(name: &NodeName) -> Path {
    path(format!("/avishkar/nodes/{name}"))
}

pub fn alive(name: &NodeName) -> Path {
    path(format!("/avishkar/alive/{name}"))
}

pub fn drain(name: &NodeName) -> Path {
    path(format!("/avishkar/drains/{name}"))
}

pub fn node_port(node: &NodeName, port: u16) -> Path {
    path(format!("/avishkar/ports/{node}/{port}"))
}

pub fn edge_port(port: u16) -> Path {
    path(format!("/avishkar/ports/edge/{port}"))
}

/// The folder of a service's candidates.
pub fn leaders(service: ServiceName) -> Path {
    path(format!("/avishkar/leaders/{service}"))
}

/// What the store completes with a number.
pub fn candidate(service: ServiceName) -> Path {
    path(format!("/avishkar/leaders/{service}/candidate-"))
}

pub fn epoch(service: ServiceName) -> Path {
    path(format!("/avishkar/epochs/{service}"))
}

/// The last leader of a service that has looked for long enough to act.
pub fn settled(service: ServiceName) -> Path {
    path(format!("/avishkar/settled/{service}"))
}

/// What stands here since an operator accepted a store that is not the one its nodes knew.
pub fn restored() -> Path {
    path("/avishkar/restored".to_owned())
}

/// `kind` is one of the service's own command kinds: lower-case letters and `-`.
pub fn operation(request: RequestId, service: ServiceName, kind: &str) -> Path {
    let shard = shard(&request.to_string());
    path(format!("/avishkar/operations/{shard}/{request}.{service}.{kind}"))
}

/// Document 001's registry of services: `ip:port` as plain text.
pub fn registry_service(service: ServiceName) -> Path {
    path(format!("/services/{}/instance1", service.registry_name()))
}

/// Everything document 001's registry says of a service.
pub fn registry_of_service(service: ServiceName) -> Path {
    path(format!("/services/{}", service.registry_name()))
}

/// Document 001's registry of an app's replicas.
pub fn registry_app(instance: &LegacyName) -> Path {
    path(format!("/apps/{instance}"))
}

/// Document 001's registry: one replica, node ip and host port as plain text.
pub fn registry_replica(instance: &LegacyName, slot: crate::id::SlotNumber) -> Path {
    path(format!("/apps/{instance}/instance{slot}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_keeps_the_rule_of_names_has_its_records() {
        for text in ["zookeeper", "Z9", "a--b", "a_", &"a".repeat(80)] {
            let name: LegacyName = text.parse().unwrap();
            assert_eq!(instance(&name).name(), text);
            assert_eq!(deployment(&name).name(), text);
            assert_eq!(registry_app(&name).name(), text);
        }
        let user: UserName = "zookeeper".parse().unwrap();
        assert_eq!(super::user(&user).name(), "zookeeper");
    }
}
