//! What is asked of Azure for a platform and for each of its machines, and which tags say whose it is.

use common::name::NodeName;
use common::port::host::PORT as SSH;
use common::port::machines::{AzureShape, MachineSpec, Opening, Origin, Shape};
use serde_json::{Map, Value, json};

use super::resource::Parts;
use super::settings::AzureSettings;

/// Which platform's.
const OF: &str = "avishkar.machine.of";
/// Which machine's.
const NAME: &str = "avishkar.machine.name";
/// The hash of what was asked for.
const SPEC: &str = "avishkar.machine.spec";

/// Before all others of a machine's rules.
const FIRST_RULE: u32 = 100;
/// After all others, and before Azure's own, by which a network lets in everything from itself.
const LAST_RULE: u32 = 4096;
/// Every size takes such a disk.
const DISK: &str = "StandardSSD_LRS";

/// What tells one specification from another: what is let in may change.
pub(super) fn hash(spec: &MachineSpec, shape: &AzureShape) -> String {
    let shape = Shape::Azure(AzureShape { opened: Vec::new(), ..shape.clone() });
    MachineSpec { shape, ..spec.clone() }.hash()
}

/// What is wrong with a shape, before anything is made for it.
pub(super) fn check(shape: &AzureShape) -> Result<(), String> {
    let wrong =
        shape.opened.iter().find(|opening| opening.first == 0 || opening.first > opening.last);
    if let Some(opening) = wrong {
        return Err(format!("ports {} are none", ports(*opening)));
    }
    if shape.opened.iter().any(|opening| opening.first <= SSH && SSH <= opening.last) {
        return Err(format!("port {SSH} is opened to its operators and its own network only"));
    }
    let room = usize::try_from(LAST_RULE - FIRST_RULE).unwrap_or_default();
    if shape.opened.len() + 2 > room { Err("too much is opened".to_owned()) } else { Ok(()) }
}

fn tag(found: &Value, name: &str) -> Option<String> {
    // Azure takes the names of tags for the same in any case of letters.
    let tags = found.get("tags").and_then(Value::as_object)?;
    let (_, value) = tags.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    value.as_str().map(str::to_owned)
}

/// Whether it was made by this platform, for any machine or for all.
pub(super) fn is_ours(found: &Value, settings: &AzureSettings) -> bool {
    tag(found, OF).as_deref() == Some(settings.platform.as_str())
}

/// The machine that it was made for.
pub(super) fn made_for(found: &Value) -> Option<NodeName> {
    tag(found, NAME)?.parse().ok()
}

pub(super) fn made_as(found: &Value) -> Option<String> {
    tag(found, SPEC)
}

fn tags(settings: &AzureSettings, name: Option<&NodeName>, spec: Option<&str>) -> Value {
    let theirs = settings.tags.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let ours = [
        Some((OF, settings.platform.as_str())),
        name.map(|name| (NAME, name.as_str())),
        spec.map(|spec| (SPEC, spec)),
    ];
    let all = theirs.chain(ours.into_iter().flatten());
    all.map(|(key, value)| (key.to_owned(), Value::from(value))).collect::<Map<_, _>>().into()
}

pub(super) fn group(settings: &AzureSettings) -> Value {
    json!({"location": settings.location, "tags": tags(settings, None, None)})
}

/// With its subnet: what is put without one loses those that it has.
pub(super) fn network(settings: &AzureSettings) -> Value {
    let network = &settings.network;
    let mut subnet = subnet(settings);
    if let Value::Object(fields) = &mut subnet {
        fields.insert("name".to_owned(), network.subnet.clone().into());
    }
    json!({
        "location": settings.location,
        "tags": tags(settings, None, None),
        "properties": {
            "addressSpace": {"addressPrefixes": [network.prefix.to_string()]},
            "subnets": [subnet],
        },
    })
}

pub(super) fn subnet(settings: &AzureSettings) -> Value {
    json!({"properties": {"addressPrefix": settings.network.subnet_prefix.to_string()}})
}

/// What a machine lets in: people and its own network over SSH, what was opened, and nothing else.
pub(super) fn rules(settings: &AzureSettings, name: &NodeName, shape: &AzureShape) -> Value {
    let ssh = |from| Opening { first: SSH, last: SSH, from };
    let mut rules = Vec::new();
    let opened = [ssh(Origin::Operators), ssh(Origin::Network)].into_iter();
    for (priority, opening) in (FIRST_RULE..).zip(opened.chain(shape.opened.iter().copied())) {
        // An empty list of addresses would be everybody.
        if let Some(sources) = sources(opening.from, settings) {
            rules.push(rule(
                &format!("allow-{priority}"),
                priority,
                "Allow",
                &ports(opening),
                sources,
            ));
        }
    }
    let all = ("sourceAddressPrefix", Value::from("*"));
    rules.push(rule("deny-all", LAST_RULE, "Deny", "*", all));
    json!({
        "location": settings.location,
        "tags": tags(settings, Some(name), None),
        "properties": {"securityRules": rules},
    })
}

fn sources(from: Origin, settings: &AzureSettings) -> Option<(&'static str, Value)> {
    let operators: Vec<String> = settings.operators.iter().map(ToString::to_string).collect();
    match from {
        Origin::Network => Some(("sourceAddressPrefix", "VirtualNetwork".into())),
        Origin::Operators if operators.is_empty() => None,
        Origin::Operators => Some(("sourceAddressPrefixes", operators.into())),
        Origin::Anywhere => Some(("sourceAddressPrefix", "*".into())),
    }
}

fn ports(opening: Opening) -> String {
    let Opening { first, last, .. } = opening;
    if first == last { first.to_string() } else { format!("{first}-{last}") }
}

fn rule(name: &str, priority: u32, access: &str, ports: &str, from: (&str, Value)) -> Value {
    let protocol = if access == "Allow" { "Tcp" } else { "*" };
    let mut rule = json!({"name": name, "properties": {
        "priority": priority,
        "direction": "Inbound",
        "access": access,
        "protocol": protocol,
        "sourcePortRange": "*",
        "destinationAddressPrefix": "*",
        "destinationPortRange": ports,
    }});
    if let Some(Value::Object(properties)) = rule.get_mut("properties") {
        properties.insert(from.0.to_owned(), from.1);
    }
    rule
}

/// Whether the rules that are there say all that the wanted ones say, and there is no other.
pub(super) fn has_rules(found: &Value, wanted: &Value) -> bool {
    let rules = |of: &Value| -> Vec<Value> {
        let rules = of.pointer("/properties/securityRules").and_then(Value::as_array);
        rules.cloned().unwrap_or_default()
    };
    let (found, wanted) = (rules(found), rules(wanted));
    let says = |found: &Value, wanted: &Value| {
        let wanted = wanted.get("properties").and_then(Value::as_object);
        let found = found.get("properties");
        wanted
            .into_iter()
            .flatten()
            .all(|(field, value)| found.and_then(|found| found.get(field)) == Some(value))
    };
    found.len() == wanted.len()
        && wanted.iter().all(|rule| {
            found.iter().any(|found| found.get("name") == rule.get("name") && says(found, rule))
        })
}

/// A fixed public address.
pub(super) fn address(settings: &AzureSettings, name: &NodeName) -> Value {
    json!({
        "location": settings.location,
        "tags": tags(settings, Some(name), None),
        "sku": {"name": "Standard"},
        "properties": {"publicIPAllocationMethod": "Static", "publicIPAddressVersion": "IPv4"},
    })
}

pub(super) fn interface(
    settings: &AzureSettings,
    name: &NodeName,
    shape: &AzureShape,
    parts: &Parts,
) -> Value {
    let mut configuration = json!({
        "primary": true,
        "privateIPAllocationMethod": "Dynamic",
        "publicIPAddress": {"id": parts.address.id},
        "subnet": {"id": settings.subnet().id},
    });
    if let (Some(address), Value::Object(fields)) = (shape.address, &mut configuration) {
        fields.insert("privateIPAllocationMethod".to_owned(), "Static".into());
        fields.insert("privateIPAddress".to_owned(), address.to_string().into());
    }
    json!({
        "location": settings.location,
        "tags": tags(settings, Some(name), None),
        "properties": {
            "ipConfigurations": [{"name": parts.configuration, "properties": configuration}],
            "networkSecurityGroup": {"id": parts.rules.id},
        },
    })
}

/// The disk goes with the machine, whoever removes it.
pub(super) fn computer(
    settings: &AzureSettings,
    spec: &MachineSpec,
    shape: &AzureShape,
    parts: &Parts,
) -> Value {
    let image = &shape.image;
    let mut disk = json!({
        "name": parts.disk.name(),
        "createOption": "FromImage",
        "deleteOption": "Delete",
        "caching": "ReadWrite",
        "managedDisk": {"storageAccountType": DISK},
    });
    if let (Some(size), Value::Object(fields)) = (shape.disk_gib, &mut disk) {
        fields.insert("diskSizeGB".to_owned(), size.into());
    }
    let keys = format!("/home/{}/.ssh/authorized_keys", settings.user);
    json!({
        "location": settings.location,
        "tags": tags(settings, Some(&spec.name), Some(&hash(spec, shape))),
        "properties": {
            "hardwareProfile": {"vmSize": shape.size},
            "storageProfile": {
                "imageReference": {
                    "publisher": image.publisher,
                    "offer": image.offer,
                    "sku": image.sku,
                    "version": image.version,
                },
                "osDisk": disk,
            },
            "osProfile": {
                "computerName": spec.name,
                "adminUsername": settings.user,
                "linuxConfiguration": {
                    "disablePasswordAuthentication": true,
                    "ssh": {"publicKeys": [
                        {"path": keys, "keyData": spec.authorized_key.to_string()},
                    ]},
                },
            },
            "networkProfile": {"networkInterfaces": [
                {"id": parts.interface.id, "properties": {"primary": true}},
            ]},
        },
    })
}
