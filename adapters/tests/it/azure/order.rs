//! What is made, in which order, with which rules; and that it is made once.

use common::port::Machines as _;
use common::port::machines::{AzureShape, Error, Opening, Origin};
use common::service::ServiceName;
use rollout::parts::{BasePart, listeners, openings};
use rollout::platform::{AGENT_PORT, Platform};
use serde_json::{Value, json};

use super::{GROUP, Rig};

/// What was asked to be changed, in order.
fn changes(rig: &Rig) -> Vec<String> {
    let asked = rig.azure.asked().into_iter();
    asked.filter(|asked| !asked.starts_with("GET") && !asked.ends_with("token")).collect()
}

#[tokio::test]
async fn a_machine_is_made_in_document_000s_order_and_removed_in_the_reverse_one() {
    let rig = Rig::open().await;
    let spec = rig.spec();
    let name = spec.name.as_str();
    rig.machines.create(&spec).await.unwrap();
    let made = [
        "PUT resourceGroups/fleet".to_owned(),
        "PUT virtualNetworks/fleet".to_owned(),
        format!("PUT networkSecurityGroups/{name}_nsg"),
        format!("PUT publicIPAddresses/{name}_ip_name"),
        format!("PUT networkInterfaces/{name}_nic"),
        format!("PUT virtualMachines/{name}"),
    ];
    assert_eq!(changes(&rig), made);
    rig.machines.create(&spec).await.unwrap();
    assert_eq!(changes(&rig).len(), made.len(), "what is made is not made again");
    rig.machines.delete(&spec.name).await.unwrap();
    let removed = [
        format!("DELETE virtualMachines/{name}"),
        format!("DELETE networkInterfaces/{name}_nic"),
        format!("DELETE publicIPAddresses/{name}_ip_name"),
        format!("DELETE networkSecurityGroups/{name}_nsg"),
    ];
    assert_eq!(changes(&rig)[made.len()..], removed);
    assert_eq!(rig.azure.names(), ["resourceGroups/fleet", "virtualNetworks/fleet"]);
}

#[tokio::test]
async fn a_disk_that_was_left_is_removed_with_the_rest() {
    let rig = Rig::open().await;
    let spec = rig.spec();
    rig.machines.create(&spec).await.unwrap();
    let disk = format!("{}_disk", spec.name);
    assert_eq!(rig.azure.resource("disks", &disk).unwrap()["tags"]["owner"], "ops");
    rig.azure.leave_disks();
    rig.machines.delete(&spec.name).await.unwrap();
    assert_eq!(rig.azure.names(), ["resourceGroups/fleet", "virtualNetworks/fleet"]);
}

#[tokio::test]
async fn everything_carries_the_platforms_tag_and_the_operators_own() {
    let rig = Rig::open().await;
    let spec = rig.spec();
    rig.machines.create(&spec).await.unwrap();
    for name in rig.azure.names() {
        let (kind, name) = name.split_once('/').unwrap();
        let tags = rig.azure.resource(kind, name).unwrap()["tags"].clone();
        assert_eq!(tags["avishkar.machine.of"], "fleet", "{kind}/{name}");
        assert_eq!(tags["owner"], "ops", "{kind}/{name}");
    }
    let computer = rig.azure.resource("virtualMachines", spec.name.as_str()).unwrap();
    assert_eq!(computer["tags"]["avishkar.machine.name"], spec.name.as_str());
    let size = &computer["properties"]["hardwareProfile"]["vmSize"];
    assert_eq!(size, "Standard_DS1_v2");
    let image = &computer["properties"]["storageProfile"]["imageReference"]["publisher"];
    assert_eq!(image, "Canonical");
    let network = rig.azure.resource("virtualNetworks", "fleet").unwrap();
    let properties = &network["properties"];
    assert_eq!(properties["addressSpace"]["addressPrefixes"], json!(["10.0.0.0/16"]));
    assert_eq!(properties["subnets"][0]["properties"]["addressPrefix"], "10.0.0.0/24");
}

/// Who is let in to which ports, in order.
fn rules(rig: &Rig, name: &str) -> Vec<String> {
    let rules = rig.azure.resource("networkSecurityGroups", &format!("{name}_nsg")).unwrap();
    let rules = rules.pointer("/properties/securityRules").and_then(Value::as_array);
    let shown = |rule: &Value| {
        let says = |field: &str| rule.pointer(&format!("/properties/{field}")).cloned();
        let from = says("sourceAddressPrefix").or_else(|| says("sourceAddressPrefixes"));
        let said = [says("priority"), says("access"), says("destinationPortRange"), from];
        let said = said.map(|said| said.unwrap_or_default().to_string().replace('"', ""));
        said.join(" ")
    };
    rules.into_iter().flatten().map(shown).collect()
}

#[tokio::test]
async fn nothing_is_let_in_but_what_is_opened_and_that_may_change() {
    let rig = Rig::open().await;
    let mut spec = rig.spec();
    rig.machines.create(&spec).await.unwrap();
    let name = spec.name.to_string();
    let closed = ["100 Allow 22 [192.0.2.0/24]", "101 Allow 22 VirtualNetwork", "4096 Deny * *"];
    assert_eq!(rules(&rig, &name), closed);
    let opened = vec![
        Opening { first: 7000, last: 7100, from: Origin::Network },
        Opening { first: 80, last: 80, from: Origin::Anywhere },
        Opening { first: 8443, last: 8443, from: Origin::Operators },
    ];
    let shape = AzureShape { opened, ..AzureShape::default() };
    spec = super::MachineSpec { name: spec.name, ..rig.spec_of(shape) };
    rig.machines.create(&spec).await.unwrap();
    let opened = [
        closed[0],
        closed[1],
        "102 Allow 7000-7100 VirtualNetwork",
        "103 Allow 80 *",
        "104 Allow 8443 [192.0.2.0/24]",
        closed[2],
    ];
    assert_eq!(rules(&rig, &name), opened);
}

/// Whether somebody is let in: of the rules that fit, the first counts.
fn lets_in(rig: &Rig, name: &str, from: &str, port: u16) -> bool {
    let fits = |rule: &str| {
        let [_, _, ports, sources] = rule.splitn(4, ' ').collect::<Vec<_>>()[..] else {
            return false;
        };
        let ends = ports.split_once('-').unwrap_or((ports, ports));
        let is_within = |(first, last): (&str, &str)| {
            (first.parse().unwrap()..=last.parse::<u16>().unwrap()).contains(&port)
        };
        (sources == "*" || sources.trim_matches(['[', ']']) == from)
            && (ports == "*" || is_within(ends))
    };
    rules(rig, name).iter().find(|rule| fits(rule)).is_some_and(|rule| rule.contains(" Allow "))
}

/// A platform as far as it says where something listens.
fn platform() -> Platform {
    let described = json!({
        "schema": 1, "name": "fleet", "machines": [], "images": {}, "denied_networks": [],
        "door": "127.0.0.1", "edge_bind": "0.0.0.0", "edge_advertised": null,
        "placement": {
            "zookeeper": ["node-1"], "kafka": ["node-1"], "registry": "node-1", "edge": "node-1",
            "lifecycle_manager": ["node-1"],
        },
    });
    serde_json::from_value(described).unwrap()
}

#[tokio::test]
async fn machines_of_a_platform_let_one_another_in_and_nobody_else() {
    let rig = Rig::open().await;
    let platform = platform();
    let opened = openings(&platform);
    let spec = rig.spec_of(AzureShape { opened, ..AzureShape::default() });
    rig.machines.create(&spec).await.unwrap();
    let name = spec.name.as_str();
    let plain: Vec<u16> =
        ServiceName::ALL.into_iter().filter_map(listeners).map(|own| own.plain).collect();
    let services = ServiceName::ALL.into_iter().filter_map(listeners).map(|own| own.mutual_tls);
    let base = BasePart::ALL.into_iter().flat_map(|part| part.ports(&platform));
    let needed = base.filter(|port| !plain.contains(port)).chain(services);
    for port in needed.chain([22, AGENT_PORT, 2000, 2999, 20000, 29999]) {
        assert!(lets_in(&rig, name, "VirtualNetwork", port), "{port}: {:?}", rules(&rig, name));
        assert!(!lets_in(&rig, name, "Internet", port), "{port}");
        assert_eq!(lets_in(&rig, name, "192.0.2.0/24", port), port == 22, "{port}");
    }
    for port in plain.into_iter().chain([80, 443, 3000, 30000]) {
        assert!(!lets_in(&rig, name, "VirtualNetwork", port), "{port}: {:?}", rules(&rig, name));
    }
}

#[tokio::test]
async fn two_processes_make_one_machine_between_them() {
    let rig = Rig::open().await;
    let (spec, other) = (rig.spec(), rig.another());
    let (one, same) = tokio::join!(rig.machines.create(&spec), other.create(&spec));
    assert_eq!(one.unwrap(), same.unwrap());
    let (one, same) = tokio::join!(rig.machines.delete(&spec.name), other.delete(&spec.name));
    one.unwrap();
    same.unwrap();
    assert_eq!(rig.azure.names(), ["resourceGroups/fleet", "virtualNetworks/fleet"]);
}

#[tokio::test]
async fn what_is_somebody_elses_is_used_or_told_and_never_changed() {
    let rig = Rig::open().await;
    let subnet = json!({"name": "machines", "properties": {"addressPrefix": "10.0.0.0/24"}});
    let network = |subnets: Value| json!({"addressSpace": {"addressPrefixes": ["10.0.0.0/16"]}, "subnets": subnets});
    rig.azure.place(GROUP, "virtualNetworks", "fleet", network(json!([])));
    let refused = rig.machines.create(&rig.spec()).await;
    assert!(matches!(&refused, Err(Error::InUse { .. })), "{refused:?}");
    rig.azure.place(GROUP, "virtualNetworks", "fleet", network(json!([subnet])));
    let before = rig.azure.resource("virtualNetworks", "fleet");
    let spec = rig.spec();
    rig.machines.create(&spec).await.unwrap();
    assert_eq!(rig.azure.resource("virtualNetworks", "fleet"), before);
    assert!(!changes(&rig).iter().any(|change| change.contains("resourceGroups")));
    let theirs = rig.spec();
    let address = format!("{}_ip_name", theirs.name);
    rig.azure.place(GROUP, "publicIPAddresses", &address, json!({"ipAddress": "192.0.2.200"}));
    let before = rig.azure.names();
    let refused = rig.machines.create(&theirs).await;
    assert!(matches!(&refused, Err(Error::InUse { .. })), "{refused:?}");
    assert_eq!(rig.azure.names(), before, "nothing half made is left, and theirs is");
    rig.machines.delete(&theirs.name).await.unwrap();
    assert!(rig.azure.resource("publicIPAddresses", &address).is_some());
}
