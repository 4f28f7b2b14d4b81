//! What Azure has: a virtual machine, its interface and its address, as a machine.

use std::net::IpAddr;

use common::name::NodeName;
use common::port::host::Gate;
use common::port::machines::{Machine, MachineId, Power};
use serde_json::Value;

use super::arm::Arm;
use super::body::{is_ours, made_as, made_for};
use super::failure::Fault;
use super::resource::Parts;
use super::settings::{AzureSettings, SignIn};

/// A virtual machine that has a machine's name.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) is_ours: bool,
    pub(super) spec: Option<String>,
    pub(super) making: Making,
    pub(super) machine: Machine,
}

/// How far the last request for a virtual machine got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Making {
    Done,
    UnderWay,
    Failed,
}

pub(super) async fn find(
    arm: &Arm,
    settings: &AzureSettings,
    name: &NodeName,
) -> Result<Option<Found>, Fault> {
    let parts = Parts::of(name, settings);
    let Some(computer) = arm.get_with_view(&parts.computer).await? else { return Ok(None) };
    let is_ours = is_ours(&computer, settings) && made_for(&computer).as_ref() == Some(name);
    let (inside, outside) = if is_ours { addresses(arm, &parts).await? } else { (None, None) };
    let entry = match settings.sign_in {
        SignIn::Public => outside,
        SignIn::Private => inside,
    };
    let machine = Machine {
        name: name.clone(),
        id: id(&computer),
        power: power(&computer),
        address: inside,
        entry: Gate::new(entry.map(|address| address.to_string()).unwrap_or_default()),
        user: settings.user.clone(),
        host_key: None,
    };
    let making = making(&computer);
    Ok(Some(Found { is_ours, spec: made_as(&computer), making, machine }))
}

/// What tells it from one of the same name that there was before.
fn id(computer: &Value) -> Option<MachineId> {
    let id = computer.pointer("/properties/vmId")?.as_str()?;
    Some(MachineId(id.to_owned()))
}

/// In the machines' network, and outside of it.
async fn addresses(arm: &Arm, parts: &Parts) -> Result<(Option<IpAddr>, Option<IpAddr>), Fault> {
    let inside = arm.get(&parts.interface).await?.as_ref().and_then(inside);
    let outside = arm.get(&parts.address).await?.as_ref().and_then(outside);
    Ok((inside, outside))
}

/// The address that an interface has in its network.
pub(super) fn inside(interface: &Value) -> Option<IpAddr> {
    let path = "/properties/ipConfigurations/0/properties/privateIPAddress";
    interface.pointer(path)?.as_str()?.parse().ok()
}

/// The address that a public address is.
pub(super) fn outside(address: &Value) -> Option<IpAddr> {
    address.pointer("/properties/ipAddress")?.as_str()?.parse().ok()
}

fn provisioning(computer: &Value) -> &str {
    let state = computer.pointer("/properties/provisioningState");
    state.and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn making(computer: &Value) -> Making {
    match provisioning(computer) {
        "Succeeded" => Making::Done,
        "Failed" | "Canceled" => Making::Failed,
        _ => Making::UnderWay,
    }
}

/// A machine that stands still and is paid for is `stopped`; one that is not is `deallocated`.
pub(super) fn power(computer: &Value) -> Power {
    let statuses = computer.pointer("/properties/instanceView/statuses").and_then(Value::as_array);
    let codes = statuses.into_iter().flatten().filter_map(|status| status.get("code")?.as_str());
    let state = codes.filter_map(|code| code.strip_prefix("PowerState/")).next_back();
    match (provisioning(computer), state) {
        ("Creating" | "Deleting", _) | (_, Some("starting" | "stopping" | "deallocating")) => {
            Power::Changing
        }
        (_, Some("running")) => Power::Running,
        (_, Some("stopped" | "deallocated")) => Power::Stopped,
        (_, Some(_) | None) => Power::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn how_a_machine_runs_is_told_by_the_view_of_it_unless_it_comes_or_goes() {
        let seen = |provisioning: &str, state: Option<&str>| {
            let mut statuses = vec![json!({"code": "ProvisioningState/succeeded"})];
            statuses.extend(state.map(|state| json!({"code": format!("PowerState/{state}")})));
            power(&json!({"properties": {
                "provisioningState": provisioning,
                "instanceView": {"statuses": statuses},
            }}))
        };
        assert_eq!(seen("Succeeded", Some("running")), Power::Running);
        assert_eq!(seen("Updating", Some("running")), Power::Running);
        assert_eq!(seen("Failed", Some("running")), Power::Running);
        assert_eq!(seen("Succeeded", Some("deallocated")), Power::Stopped);
        assert_eq!(seen("Succeeded", Some("stopped")), Power::Stopped);
        assert_eq!(seen("Updating", Some("starting")), Power::Changing);
        assert_eq!(seen("Creating", None), Power::Changing);
        assert_eq!(seen("Deleting", Some("running")), Power::Changing);
        assert_eq!(seen("Failed", None), Power::Unknown);
        assert_eq!(power(&json!({})), Power::Unknown);
    }
}
