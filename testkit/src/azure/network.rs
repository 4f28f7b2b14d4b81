//! Networks, rules, addresses and interfaces: what refers to what, and who has which address.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use serde_json::{Value, json};

use super::answer::Answer;
use super::operations::{self, Effect, begin};
use super::path::Kind;
use super::state::{Begun, State};

/// The first addresses of a subnet are Azure's own.
const FIRST: u32 = 4;

pub(super) fn put(state: &mut State, kind: Kind, id: &str, body: &Value) -> Result<Begun, Answer> {
    let value = match kind {
        Kind::Network => network(state, id, body)?,
        Kind::Rules => rules(id, body)?,
        Kind::Address => address(state, id, body)?,
        Kind::Interface => interface(state, id, body)?,
        Kind::Subnet => return put_subnet(state, id, body),
        Kind::Group | Kind::Computer | Kind::Disk => return Err(Answer::missing(id)),
    };
    let same = |found: &&Value| {
        let mut found = (*found).clone();
        let has_ended = found["properties"]["provisioningState"] == "Succeeded";
        found["properties"]["provisioningState"] = Value::Null;
        let mut value = value.clone();
        value["properties"]["provisioningState"] = Value::Null;
        has_ended && found == value
    };
    if let Some(found) = state.find(id).filter(same) {
        return Ok(Begun::Ended(found.clone()));
    }
    state.keep(id, value);
    Ok(Begun::Operation(begin(state, id, Effect::Settle)))
}

fn invalid(code: &str, id: &str) -> Answer {
    Answer::refused(400, code, &format!("The request for {id} is not valid."))
}

fn same_id(one: &Value, other: &str) -> bool {
    one.as_str().is_some_and(|one| one.eq_ignore_ascii_case(other))
}

fn entries(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn network(state: &State, id: &str, body: &Value) -> Result<Value, Answer> {
    let mut value = State::frame(Kind::Network, id, body);
    let prefixes = &body["properties"]["addressSpace"]["addressPrefixes"];
    if entries(prefixes).find_map(range).is_none() {
        return Err(invalid("InvalidAddressPrefixFormat", id));
    }
    name_subnets(&mut value, id);
    let kept: BTreeSet<String> = entries(&value["properties"]["subnets"])
        .filter_map(|subnet| subnet["id"].as_str().map(str::to_ascii_lowercase))
        .collect();
    let used = subnets_in_use(state);
    let lost =
        used.iter().any(|used| used.starts_with(&id.to_ascii_lowercase()) && !kept.contains(used));
    if lost { Err(invalid("InUseSubnetCannotBeDeleted", id)) } else { Ok(value) }
}

/// Every subnet of a network has an id of its own.
pub(super) fn name_subnets(network: &mut Value, id: &str) {
    if let Some(Value::Array(subnets)) = network["properties"].get_mut("subnets") {
        for subnet in subnets.iter_mut() {
            whole_subnet(subnet, id);
        }
    }
}

fn whole_subnet(subnet: &mut Value, network: &str) {
    let name = subnet["name"].as_str().unwrap_or_default();
    subnet["id"] = format!("{network}/subnets/{name}").into();
    subnet["properties"]["provisioningState"] = "Succeeded".into();
}

/// A resource as it is; a subnet is a part of its network.
pub(super) fn shown(state: &State, kind: Kind, id: &str) -> Option<Value> {
    if kind == Kind::Subnet { subnet(state, id) } else { state.find(id).cloned() }
}

fn subnet(state: &State, id: &str) -> Option<Value> {
    let (network, _) = id.split_once("/subnets/")?;
    let network = state.find(network)?;
    entries(&network["properties"]["subnets"]).find(|subnet| same_id(&subnet["id"], id)).cloned()
}

fn put_subnet(state: &mut State, id: &str, body: &Value) -> Result<Begun, Answer> {
    let (network, name) = id.split_once("/subnets/").unwrap_or_default();
    if let Some(busy) = operations::busy(state, network) {
        return Err(busy);
    }
    let mut subnet = json!({"name": name, "properties": body["properties"]});
    whole_subnet(&mut subnet, network);
    if shown(state, Kind::Subnet, id).as_ref() == Some(&subnet) {
        return Ok(Begun::Ended(subnet));
    }
    let Some(found) = state.find_mut(network) else {
        return Err(Answer::refused(404, "ParentResourceNotFound", "There is no such network."));
    };
    let mut all: Vec<Value> = entries(&found["properties"]["subnets"]).cloned().collect();
    all.retain(|other| !same_id(&other["id"], id));
    all.push(subnet);
    found["properties"]["subnets"] = all.into();
    Ok(Begun::Operation(begin(state, network, Effect::Settle)))
}

fn rules(id: &str, body: &Value) -> Result<Value, Answer> {
    let mut value = State::frame(Kind::Rules, id, body);
    let mut seen = BTreeSet::new();
    if let Some(Value::Array(rules)) = value["properties"].get_mut("securityRules") {
        for rule in rules.iter_mut() {
            let properties = &rule["properties"];
            let priority = properties["priority"].as_u64().unwrap_or_default();
            if !(100..=4096).contains(&priority) {
                return Err(invalid("SecurityRuleInvalidPriority", id));
            }
            let from = ["sourceAddressPrefix", "sourceAddressPrefixes"];
            let says = from.iter().filter(|field| !properties[**field].is_null()).count();
            let is_empty =
                properties["sourceAddressPrefixes"].as_array().is_some_and(Vec::is_empty);
            if says != 1 || is_empty {
                return Err(invalid("SecurityRuleParameterContainsInvalidAddressPrefix", id));
            }
            if !seen.insert((properties["direction"].to_string(), priority)) {
                return Err(invalid("SecurityRuleConflict", id));
            }
            let name = rule["name"].as_str().unwrap_or_default();
            rule["id"] = format!("{id}/securityRules/{name}").into();
            rule["properties"]["provisioningState"] = "Succeeded".into();
        }
    }
    let own = [
        ("AllowVnetInBound", "Allow", "VirtualNetwork", 65000),
        ("DenyAllInBound", "Deny", "*", 65500),
    ];
    let own = own.map(|(name, access, from, priority)| {
        json!({
            "id": format!("{id}/defaultSecurityRules/{name}"),
            "name": name,
            "properties": {
                "access": access,
                "destinationAddressPrefix": from,
                "destinationPortRange": "*",
                "direction": "Inbound",
                "priority": priority,
                "protocol": "*",
                "provisioningState": "Succeeded",
                "sourceAddressPrefix": from,
                "sourcePortRange": "*",
            },
        })
    });
    value["properties"]["defaultSecurityRules"] = own.to_vec().into();
    Ok(value)
}

fn address(state: &mut State, id: &str, body: &Value) -> Result<Value, Answer> {
    let mut value = State::frame(Kind::Address, id, body);
    let is_standard = body["sku"]["name"] == "Standard";
    if is_standard && body["properties"]["publicIPAllocationMethod"] != "Static" {
        return Err(invalid("StandardSkuPublicIPAddressesMustBeStatic", id));
    }
    let before = state.find(id).cloned().unwrap_or_default();
    let given = &before["properties"]["ipAddress"];
    value["properties"]["ipAddress"] = if given.is_null() {
        state.given += 1;
        Ipv4Addr::new(192, 0, 2, state.given).to_string().into()
    } else {
        given.clone()
    };
    if !before["properties"]["ipConfiguration"].is_null() {
        value["properties"]["ipConfiguration"] = before["properties"]["ipConfiguration"].clone();
    }
    Ok(value)
}

fn interface(state: &mut State, id: &str, body: &Value) -> Result<Value, Answer> {
    let mut value = State::frame(Kind::Interface, id, body);
    let wanted = &body["properties"]["ipConfigurations"][0];
    let (public, subnet_id) = (
        wanted["properties"]["publicIPAddress"]["id"].as_str().unwrap_or_default(),
        wanted["properties"]["subnet"]["id"].as_str().unwrap_or_default(),
    );
    let rules = body["properties"]["networkSecurityGroup"]["id"].as_str().unwrap_or_default();
    let Some(within) = subnet(state, subnet_id) else {
        return Err(invalid("InvalidResourceReference", subnet_id));
    };
    for reference in [public, rules].into_iter().filter(|reference| !reference.is_empty()) {
        if !state.has(reference) {
            return Err(invalid("InvalidResourceReference", reference));
        }
        if operations::busy(state, reference).is_some() {
            let message = "A resource that it refers to is not provisioned yet.";
            return Err(Answer::refused(409, "ReferencedResourceNotProvisioned", message));
        }
    }
    let configuration =
        format!("{id}/ipConfigurations/{}", wanted["name"].as_str().unwrap_or_default());
    let bound =
        state.find(public).map(|found| found["properties"]["ipConfiguration"]["id"].clone());
    if bound.is_some_and(|bound| !bound.is_null() && !same_id(&bound, &configuration)) {
        return Err(invalid("PublicIPAddressInUse", public));
    }
    let before = state.find(id).cloned().unwrap_or_default();
    let private = private_address(state, id, &within, wanted, &before)?;
    let shown = &mut value["properties"]["ipConfigurations"][0];
    shown["id"] = configuration.clone().into();
    shown["properties"]["privateIPAddress"] = private.to_string().into();
    shown["properties"]["provisioningState"] = "Succeeded".into();
    let unsaid = [("primary", Value::from(true)), ("privateIPAllocationMethod", "Dynamic".into())];
    for (field, value) in unsaid {
        if shown["properties"][field].is_null() {
            shown["properties"][field] = value;
        }
    }
    if !before["properties"]["virtualMachine"].is_null() {
        value["properties"]["virtualMachine"] = before["properties"]["virtualMachine"].clone();
    }
    if let Some(public) = state.find_mut(public) {
        public["properties"]["ipConfiguration"] = json!({"id": configuration});
    }
    Ok(value)
}

fn private_address(
    state: &State,
    id: &str,
    subnet: &Value,
    wanted: &Value,
    before: &Value,
) -> Result<Ipv4Addr, Answer> {
    let (first, size) = range(&subnet["properties"]["addressPrefix"]).unwrap_or_default();
    let of = |interface: &Value| -> Option<Ipv4Addr> {
        let configuration = &interface["properties"]["ipConfigurations"][0];
        configuration["properties"]["privateIPAddress"].as_str()?.parse().ok()
    };
    let others = state.of_kind(Kind::Interface.name()).filter(|other| !same_id(&other["id"], id));
    let taken: BTreeSet<Ipv4Addr> = others.filter_map(of).collect();
    let fixed = wanted["properties"]["privateIPAddress"].as_str();
    let fixed: Option<Ipv4Addr> = fixed.and_then(|fixed| fixed.parse().ok());
    let mut all = (FIRST..size.saturating_sub(1)).map(|number| Ipv4Addr::from(first + number));
    match fixed {
        Some(fixed) if taken.contains(&fixed) => Err(invalid("PrivateIPAddressInUse", id)),
        Some(fixed) if !all.any(|address| address == fixed) => {
            Err(invalid("PrivateIPAddressNotInSubnet", id))
        }
        Some(fixed) => Ok(fixed),
        None => match of(before) {
            Some(address) => Ok(address),
            None => {
                let free = all.find(|address| !taken.contains(address));
                free.ok_or_else(|| invalid("SubnetIsFull", id))
            }
        },
    }
}

/// The first address and how many there are.
fn range(prefix: &Value) -> Option<(u32, u32)> {
    let (first, length) = prefix.as_str()?.split_once('/')?;
    let length: u32 = length.parse().ok()?;
    Some((first.parse::<Ipv4Addr>().ok()?.into(), 1_u32.checked_shl(32 - length)?))
}

fn subnets_in_use(state: &State) -> BTreeSet<String> {
    let configurations = state
        .of_kind(Kind::Interface.name())
        .flat_map(|interface| entries(&interface["properties"]["ipConfigurations"]));
    let ids = configurations
        .filter_map(|configuration| configuration["properties"]["subnet"]["id"].as_str());
    ids.map(str::to_ascii_lowercase).collect()
}

/// What is needed by something else is not removed.
pub(super) fn in_use(state: &State, kind: Kind, id: &str) -> Option<Answer> {
    let found = state.find(id)?;
    let properties = &found["properties"];
    let mut interfaces = state.of_kind(Kind::Interface.name());
    let code = match kind {
        Kind::Interface if !properties["virtualMachine"].is_null() => "NicInUse",
        Kind::Address if !properties["ipConfiguration"].is_null() => {
            "PublicIPAddressCannotBeDeleted"
        }
        Kind::Rules
            if interfaces
                .any(|other| same_id(&other["properties"]["networkSecurityGroup"]["id"], id)) =>
        {
            "InUseNetworkSecurityGroupCannotBeDeleted"
        }
        Kind::Network
            if subnets_in_use(state)
                .iter()
                .any(|used| used.starts_with(&id.to_ascii_lowercase())) =>
        {
            "InUseSubnetCannotBeDeleted"
        }
        Kind::Disk if !found["managedBy"].is_null() => {
            let message = "The disk is attached to a machine.";
            return Some(Answer::refused(409, "OperationNotAllowed", message));
        }
        Kind::Group
        | Kind::Network
        | Kind::Subnet
        | Kind::Rules
        | Kind::Address
        | Kind::Interface
        | Kind::Computer
        | Kind::Disk => return None,
    };
    Some(invalid(code, id))
}
