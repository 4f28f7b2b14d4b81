//! Virtual machines and their disks, and the operating systems that run on them.

use common::port::host::PublicKey;
use serde_json::{Value, json};

use super::answer::Answer;
use super::operations::{self, Effect, begin};
use super::path::Kind;
use super::state::{Begun, State};
use crate::hosts::{Health, System};

/// Whether something that runs begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anew {
    Always,
    IfStopped,
}

/// The parts of a virtual machine that are as they were when it was made.
const FIXED: [&str; 2] = ["osProfile", "storageProfile"];

/// Nobody is told how it runs who does not ask.
pub(super) fn without_view(value: &mut Value) {
    if let Some(properties) = value.get_mut("properties").and_then(Value::as_object_mut) {
        properties.remove("instanceView");
    }
}

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

fn interface_of(value: &Value) -> &str {
    text(value, "/properties/networkProfile/networkInterfaces/0/id")
}

pub(super) fn put(state: &mut State, id: &str, body: &Value) -> Result<Begun, Answer> {
    let interface = interface_of(body).to_owned();
    let Some(found) = state.find(&interface) else {
        return Err(Answer::refused(400, "InvalidResourceReference", "It has no interface."));
    };
    let owner = text(found, "/properties/virtualMachine/id");
    if !owner.is_empty() && !owner.eq_ignore_ascii_case(id) {
        return Err(Answer::refused(400, "NicInUse", "The interface is another machine's."));
    }
    if operations::busy(state, &interface).is_some() {
        let message = "A resource that it refers to is not provisioned yet.";
        return Err(Answer::refused(409, "ReferencedResourceNotProvisioned", message));
    }
    match state.find(id).cloned() {
        Some(before) => change(state, id, body, &before),
        None => make(state, id, body, &interface),
    }
}

fn change(state: &mut State, id: &str, body: &Value, before: &Value) -> Result<Begun, Answer> {
    for part in FIXED {
        let (wanted, is) = (&body["properties"][part], &before["properties"][part]);
        if !says(is, wanted) {
            let message = format!("Changing property '{part}' is not allowed.");
            return Err(Answer::refused(409, "PropertyChangeNotAllowed", &message));
        }
    }
    let same = says(&before["properties"], &body["properties"]) && before["tags"] == body["tags"];
    if same && before["properties"]["provisioningState"] == "Succeeded" {
        return Ok(Begun::Ended(before.clone()));
    }
    let has_run = power(before).is_some();
    if let Some(value) = state.find_mut(id) {
        value["properties"]["hardwareProfile"] = body["properties"]["hardwareProfile"].clone();
        value["tags"] = body["tags"].clone();
    }
    let effect = if has_run { Effect::Settle } else { Effect::Boot };
    Ok(Begun::Operation(begin(state, id, effect)))
}

/// Whether all that is wanted is said; more may be said.
fn says(found: &Value, wanted: &Value) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => wanted
            .iter()
            .all(|(field, wanted)| says(found.get(field).unwrap_or(&Value::Null), wanted)),
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len()
                && found.iter().zip(wanted).all(|(found, wanted)| says(found, wanted))
        }
        (found, wanted) => found == wanted,
    }
}

fn make(state: &mut State, id: &str, body: &Value, interface: &str) -> Result<Begun, Answer> {
    let linux = &body["properties"]["osProfile"]["linuxConfiguration"];
    let keys = linux["ssh"]["publicKeys"].as_array().map(Vec::len).unwrap_or_default();
    if linux["disablePasswordAuthentication"] != true || keys == 0 {
        let message = "Nobody could sign in to the machine.";
        return Err(Answer::refused(400, "InvalidParameter", message));
    }
    let group = id.split("/providers/").next().unwrap_or_default();
    let disk_name = text(body, "/properties/storageProfile/osDisk/name");
    let disk = format!("{group}/providers/{}/{disk_name}", Kind::Disk.full_name());
    if state.has(&disk) {
        let message = format!("Disk {disk_name} already exists in resource group.");
        return Err(Answer::refused(409, "Conflict", &message));
    }
    let number = state.operations.len();
    let mut value = State::frame(Kind::Computer, id, body);
    value["properties"]["vmId"] = format!("00000000-0000-0000-0000-{number:012}").into();
    value["properties"]["storageProfile"]["osDisk"]["osType"] = "Linux".into();
    value["properties"]["storageProfile"]["osDisk"]["managedDisk"]["id"] = disk.clone().into();
    let sku = value["properties"]["storageProfile"]["osDisk"]["managedDisk"]["storageAccountType"]
        .clone();
    show(&mut value, "creating", None);
    // A disk that comes with a machine has its tags.
    let mut made = State::frame(
        Kind::Disk,
        &disk,
        &json!({
            "location": body["location"],
            "tags": body["tags"],
            "sku": {"name": sku},
            "properties": {
                "creationData": {"createOption": "FromImage"},
                "osType": "Linux",
                "provisioningState": "Succeeded",
            },
        }),
    );
    made["managedBy"] = id.into();
    state.keep(&disk, made);
    state.keep(id, value);
    if let Some(found) = state.find_mut(interface) {
        found["properties"]["virtualMachine"] = json!({"id": id});
    }
    Ok(Begun::Operation(begin(state, id, Effect::Boot)))
}

/// Says how it was made and whether it runs.
fn show(value: &mut Value, provisioning: &str, power: Option<&str>) {
    let mut statuses = vec![json!({
        "code": format!("ProvisioningState/{provisioning}"),
        "level": "Info",
    })];
    statuses
        .extend(power.map(|power| json!({"code": format!("PowerState/{power}"), "level": "Info"})));
    value["properties"]["instanceView"] = json!({"statuses": statuses});
}

fn power(value: &Value) -> Option<String> {
    let statuses = value["properties"]["instanceView"]["statuses"].as_array()?;
    let codes = statuses.iter().filter_map(|status| status["code"].as_str());
    codes.filter_map(|code| code.strip_prefix("PowerState/")).map(str::to_owned).next()
}

fn show_power(state: &mut State, id: &str, power: &str) {
    if let Some(value) = state.find_mut(id) {
        show(value, "succeeded", Some(power));
    }
}

/// Its public address.
pub(super) fn address(state: &State, computer: &Value) -> Option<String> {
    let interface = state.find(interface_of(computer))?;
    let public = interface
        .pointer("/properties/ipConfigurations/0/properties/publicIPAddress/id")
        .and_then(Value::as_str)?;
    state.find(public)?["properties"]["ipAddress"].as_str().map(str::to_owned)
}

/// What a virtual machine is told to do.
pub(super) fn switch(state: &mut State, id: &str, verb: &str) -> Answer {
    let Some(found) = state.find(id) else { return Answer::missing(id) };
    let before = power(found);
    if let Some(busy) = operations::busy(state, id) {
        return busy;
    }
    let (effect, shown) = match verb {
        _ if before.is_none() => {
            let message = "The machine never ran.";
            return Answer::refused(409, "OperationNotAllowed", message);
        }
        "start" if before.as_deref() == Some("running") => (Effect::Start, "running"),
        "start" => (Effect::Start, "starting"),
        "deallocate" => (Effect::Deallocate, "deallocating"),
        "restart" if before.as_deref() == Some("deallocated") => {
            let message = "The machine is deallocated.";
            return Answer::refused(409, "OperationNotAllowed", message);
        }
        "restart" => (Effect::Restart, "running"),
        _ => return Answer::refused(404, "InvalidResourceType", "There is no such verb."),
    };
    show_power(state, id, shown);
    let number = begin(state, id, effect);
    operations::linked(state, number, Answer::new(202, Value::Null))
}

/// It runs for the first time, and lets in who was authorized.
pub(super) fn boot(state: &mut State, id: &str) {
    show_power(state, id, "running");
    let Some(computer) = state.find(id).cloned() else { return };
    let Some(address) = address(state, &computer) else { return };
    let user = text(&computer, "/properties/osProfile/adminUsername");
    let keys = computer.pointer("/properties/osProfile/linuxConfiguration/ssh/publicKeys");
    state.hosts.add(&address);
    state.hosts.with(&address, |system| {
        system.add_user(user);
        system.set_may_become_root(user, true);
        for key in keys.and_then(Value::as_array).into_iter().flatten() {
            let key: Option<PublicKey> = key["keyData"].as_str().and_then(|key| key.parse().ok());
            if let Some(key) = key {
                system.authorize(user, &key);
            }
        }
    });
}

/// It was made, and nothing of it ever ran.
pub(super) fn never_ran(state: &mut State, id: &str, code: &str) {
    if let Some(value) = state.find_mut(id) {
        show(value, &format!("failed/{code}"), None);
    }
}

pub(super) fn run(state: &mut State, id: &str, anew: Anew) {
    let system = |state: &State| state.find(id).and_then(|computer| address(state, computer));
    if let Some(address) = system(state) {
        state.hosts.with(&address, |system| {
            if anew == Anew::Always || system.health == Health::Off {
                System::reboot(system);
            }
        });
    }
    show_power(state, id, "running");
}

/// It is off, and whether it is paid for says `how`.
pub(super) fn stand_still(state: &mut State, id: &str, how: &str) {
    if let Some(address) = state.find(id).and_then(|computer| address(state, computer)) {
        state.hosts.with(&address, |system| system.health = Health::Off);
    }
    show_power(state, id, how);
}

/// Takes a resource away, and what refers to it forgets it.
pub(super) fn remove(state: &mut State, id: &str) {
    let Some(removed) = state.find(id).cloned() else { return };
    if removed["type"] == Kind::Computer.full_name() {
        if let (Some(address), Some(_)) = (address(state, &removed), power(&removed)) {
            state.hosts.remove(&address);
        }
        if let Some(interface) = state.find_mut(interface_of(&removed)) {
            interface["properties"]["virtualMachine"] = Value::Null;
        }
        let disk = text(&removed, "/properties/storageProfile/osDisk/managedDisk/id");
        if text(&removed, "/properties/storageProfile/osDisk/deleteOption") == "Delete" {
            state.drop(disk);
        } else if let Some(disk) = state.find_mut(disk) {
            disk["managedBy"] = Value::Null;
        }
    }
    if removed["type"] == Kind::Interface.full_name() {
        let path = "/properties/ipConfigurations/0/properties/publicIPAddress/id";
        if let Some(address) = state.find_mut(text(&removed, path)) {
            address["properties"]["ipConfiguration"] = Value::Null;
        }
    }
    state.drop(id);
}
