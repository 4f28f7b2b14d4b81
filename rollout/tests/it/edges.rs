//! A pair of edges with an address between them, and the ports of an edge.

use std::collections::BTreeMap;

use common::digest::{Digest, ImageRef};
use common::id::Generation;
use common::port::part::{PartRight, PartSpec};
use common::service::ServiceName;
use rollout::order::plan_parts;
use rollout::parts::{self, BasePart, Incomplete, base_parts};
use rollout::platform::{Acme, Component, Image, Platform};

use crate::parts::{on, platform, service};

/// Two edges, and an address that moves between them.
pub(crate) fn pair() -> Platform {
    let mut platform = platform(3);
    platform.placement.edge = vec!["node-4".parse().unwrap(), "node-3".parse().unwrap()];
    platform.edge.address = Some([192, 0, 2, 20].into());
    let id = Digest::of(b"address");
    let named = ImageRef::new("127.0.0.1:5000/avishkar/address", id.clone()).unwrap();
    platform.images.insert(Component::Address, Image { id, named: Some(named) });
    platform
}

#[test]
fn each_of_two_edges_has_beside_it_what_moves_their_address() {
    let platform = pair();
    for (node, own, peer) in
        [("node-4", "192.0.2.4", "192.0.2.3"), ("node-3", "192.0.2.3", "192.0.2.4")]
    {
        let part = on(&platform, node, |site| parts::address(site).unwrap());
        let said = |key: &str| part.environment.get(key).map(String::as_str);
        assert_eq!((said("ADDRESS"), said("ADDRESS_ID")), (Some("192.0.2.20"), Some("20")));
        assert_eq!((said("ADDRESS_OWN"), said("ADDRESS_PEER")), (Some(own), Some(peer)));
        assert_eq!((said("EDGE_HOST_PORT"), part.user), (Some("8088"), 0));
        let rights = [PartRight::NetworkAdmin, PartRight::RawNetwork, PartRight::SetGroups];
        assert_eq!(part.rights, rights);
    }
    let elsewhere = Incomplete::NotPlaced { part: "address", node: "node-1".parse().unwrap() };
    assert_eq!(on(&platform, "node-1", |site| parts::address(site).unwrap_err()), elsewhere);
    assert_eq!(
        base_parts(&platform, &"node-4".parse().unwrap()),
        [BasePart::Edge, BasePart::Address]
    );
}

#[test]
fn of_two_load_balancers_each_knows_the_other_and_both_announce_the_address_that_moves() {
    let mut platform = pair();
    for (node, other) in [("node-4", "192.0.2.3:9051"), ("node-3", "192.0.2.4:9051")] {
        let part = service(&platform, node, ServiceName::LoadBalancer);
        let said = |key: &str| part.environment.get(key).map(String::as_str);
        assert_eq!(said("AVISHKAR_EDGE__OTHER"), Some(other));
        assert_eq!(said("AVISHKAR_EDGE__ADVERTISED"), Some("192.0.2.20"));
    }
    let initializer = service(&platform, "node-1", ServiceName::PlatformInitializer);
    assert_eq!(initializer.environment["AVISHKAR_MACHINES__EDGE"], "node-4,node-3");
    platform.edge_advertised = Some([192, 0, 2, 250].into());
    let part = service(&platform, "node-4", ServiceName::LoadBalancer);
    assert_eq!(part.environment["AVISHKAR_EDGE__ADVERTISED"], "192.0.2.250");
}

#[test]
fn an_edge_is_told_of_its_ports_and_its_bound_where_somebody_named_them() {
    let mut platform = platform(3);
    let plain = on(&platform, "node-4", |site| parts::edge(site).unwrap());
    assert_eq!(plain.environment.keys().collect::<Vec<_>>(), ["EDGE_BIND", "EDGE_RESERVED"]);
    assert_eq!(BasePart::Edge.ports(&platform), [8088, 8443]);
    platform.edge.host_port = Some(8100);
    platform.edge.tls_port = Some(9443);
    platform.edge.tls_announced = Some(443);
    platform.edge.requests_per_address = Some(0);
    let edge = on(&platform, "node-4", |site| parts::edge(site).unwrap());
    for (key, number) in [
        ("EDGE_HOST_PORT", "8100"),
        ("EDGE_TLS_PORT", "9443"),
        ("EDGE_TLS_ANNOUNCED", "443"),
        ("EDGE_REQUESTS_PER_ADDRESS", "0"),
    ] {
        assert_eq!(edge.environment[key], number);
    }
    assert_eq!(edge.health.map(|health| health.port), Some(8100));
    assert_eq!(BasePart::Edge.ports(&platform), [8100, 9443]);
}

#[test]
fn of_two_edges_one_is_ready_before_the_other_is_touched_and_then_they_get_their_address() {
    let seen = BTreeMap::new();
    let steps = plan_parts(&pair(), Generation(1), &seen);
    let steps: Vec<String> = steps.iter().map(ToString::to_string).collect();
    let about: Vec<&str> = steps
        .iter()
        .filter_map(|step| step.strip_suffix(", where it is missing"))
        .filter(|step| {
            step.contains("edge") || step.contains("run address") || step.contains("until address")
        })
        .filter(|step| !step.contains("image"))
        .collect();
    assert_eq!(
        about,
        [
            "run edge on node-3",
            "wait until edge on node-3 is ready",
            "run edge on node-4",
            "wait until edge on node-4 is ready",
            "run address on node-4",
            "wait until address on node-4 is ready",
            "run address on node-3",
            "wait until address on node-3 is ready",
        ]
    );
}

#[test]
fn each_load_balancer_is_told_who_makes_certificates_and_nobody_else_is() {
    let mut platform = pair();
    let said = |part: &PartSpec| {
        let settings = part.environment.iter().filter(|(key, _)| key.contains("ACME"));
        settings.map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>()
    };
    let trusted = |part: &PartSpec| {
        let mut files = part.files.iter().filter(|file| file.path == "/etc/avishkar/acme.pem");
        files.next().map(|file| file.content.clone())
    };
    let plain = service(&platform, "node-4", ServiceName::LoadBalancer);
    assert_eq!((said(&plain), trusted(&plain)), (Vec::new(), None));
    let public = Acme {
        directory: "https://ca.example.org/directory".to_owned(),
        contacts: vec!["ops@example.org".to_owned(), "night@example.org".to_owned()],
        trusted: Some("the authority's own".to_owned()),
    };
    platform.acme = Some(public.clone());
    for node in ["node-4", "node-3"] {
        let part = service(&platform, node, ServiceName::LoadBalancer);
        assert_eq!(
            said(&part),
            [
                "AVISHKAR_ACME__AGREE_TO_TERMS=true",
                "AVISHKAR_ACME__CONTACTS=ops@example.org,night@example.org",
                "AVISHKAR_ACME__DIRECTORY=https://ca.example.org/directory",
                "AVISHKAR_ACME__TRUSTED_FILE=/etc/avishkar/acme.pem",
            ]
        );
        assert_eq!(trusted(&part).as_deref(), Some("the authority's own"));
    }
    let another = service(&platform, "node-4", ServiceName::NodeManager);
    assert_eq!((said(&another), trusted(&another)), (Vec::new(), None));
    platform.acme = Some(Acme { contacts: Vec::new(), trusted: None, ..public });
    let part = service(&platform, "node-4", ServiceName::LoadBalancer);
    assert_eq!((said(&part).len(), trusted(&part)), (2, None));
}
