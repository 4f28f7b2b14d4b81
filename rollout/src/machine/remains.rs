//! What a machine still holds of a platform whose first machine has lost it. Changes nothing.

use std::sync::Arc;

use common::id::Generation;
use common::name::{NodeName, PartName};
use common::port::Host;
use common::port::authority::Papers;
use common::port::host::Privilege;
use common::port::machines::Shape;
use common::port::part::PartImage;
use serde::Deserialize;
use serde_json::Value;

use super::agent::{PKI, STATE};
use super::observe::{Existence, outside, signed_in};
use super::within::path;
use super::{Goal, Ports};
use crate::failure::{Code, Failure, Why};
use crate::parts::{
    AUTHORITY, AZURE_PRINCIPAL, CONFIGURED, GIVEN, JWT, PLATFORM, SHARES, SSH_KEY, Secrets,
};
use crate::platform::PlannedMachine;

const SMALL: usize = 64 * 1024;
/// An agent's ledger holds what it was told of all its parts and apps.
const LEDGER: usize = 32 << 20;

/// What is left on a machine that is, or was, a node.
#[derive(Debug, Clone)]
pub struct Remains {
    /// The certificate of the authority that its agent trusts, PEM.
    pub trusts: String,
    /// What a lifecycle manager on it was given; none where none stood, or none of that authority.
    pub secrets: Option<Secrets>,
}

impl Remains {
    /// The name of the platform that it is a node of; none where no lifecycle manager on it says so.
    pub fn platform(&self) -> Option<NodeName> {
        let described = serde_json::from_str(&self.secrets.as_ref()?.platform);
        described.ok().map(|Named { name }| name)
    }
}

/// Of a description, whatever else its version says.
#[derive(Deserialize)]
struct Named {
    name: NodeName,
}

/// Looks for what is left. None on a machine that is not there, or that is no node. Fails on one that is there and of
/// which nobody can say it: it does not run, cannot be reached or known again, or does not let us in.
pub async fn remains(ports: &Ports, goal: &Goal) -> Result<Option<Remains>, Failure> {
    let name = &goal.machine.name;
    let failed = |why: Why| Failure::of(name, format!("look for an authority on {name}"), why);
    let Some(host) = entered(ports, goal).await.map_err(failed)? else { return Ok(None) };
    left_on(host.as_ref()).await.map_err(failed)
}

/// A service as a machine's agent was told of it last.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ToldService {
    pub name: PartName,
    pub generation: Generation,
    pub image: PartImage,
}

/// What the agent of a machine was told of its parts; nothing where there is none, or no machine.
pub async fn told_services(ports: &Ports, goal: &Goal) -> Result<Vec<ToldService>, Failure> {
    let name = &goal.machine.name;
    let Some(host) = enter(ports, goal).await? else { return Ok(Vec::new()) };
    let told = told(host.as_ref()).await;
    let told = told.map_err(|why| Failure::of(name, format!("see what runs on {name}"), why))?;
    let mut found = Vec::new();
    if let Some(told) = told {
        specified(&told, &mut found);
    }
    Ok(found)
}

/// The specifications of parts, wherever they stand.
fn specified(told: &Value, found: &mut Vec<ToldService>) {
    match told {
        Value::Array(list) => list.iter().for_each(|inside| specified(inside, found)),
        Value::Object(table) => match ToldService::deserialize(told) {
            Ok(service) => found.push(service),
            Err(_) => table.values().for_each(|inside| specified(inside, found)),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What an agent keeps of what it was told.
async fn told(host: &dyn Host) -> Result<Option<Value>, Why> {
    let ledger = path(&format!("{STATE}/agent/ledger.json"));
    let ledger = host.read(&ledger, Privilege::Root, LEDGER).await?;
    Ok(ledger.and_then(|text| serde_json::from_slice(&text).ok()))
}

/// Signs in to a machine that is there and should let us in; none if it is not there.
pub(super) async fn enter(ports: &Ports, goal: &Goal) -> Result<Option<Arc<dyn Host>>, Failure> {
    let name = &goal.machine.name;
    let failed = |why: Why| Failure::of(name, format!("sign in to {name}"), why);
    entered(ports, goal).await.map_err(failed)
}

async fn entered(ports: &Ports, goal: &Goal) -> Result<Option<Arc<dyn Host>>, Why> {
    let seen = outside(ports, goal).await?;
    match seen.existence {
        Existence::Absent => return Ok(None),
        Existence::Off => {
            let why = Why::new(Code::MachineUnreachable, "it does not run", "start it");
            return Err(why.but_later());
        }
        Existence::Runs => {}
    }
    let machine = pinned(ports, seen.machine).await?;
    let (host, _) = signed_in(ports, &goal.with(&machine)).await?;
    Ok(Some(host))
}

/// With the key by which it would be pinned: not every backend vouches for those of its machines.
async fn pinned(ports: &Ports, machine: PlannedMachine) -> Result<PlannedMachine, Why> {
    let mut machine = machine;
    if let (None, Some(gate)) = (&machine.host_key, &machine.gate)
        && machine.shape != Shape::Given
    {
        machine.host_key = Some(ports.hosts.host_key(gate).await?);
    }
    Ok(machine)
}

async fn left_on(host: &dyn Host) -> Result<Option<Remains>, Why> {
    let trusts = host.read(&path(&format!("{PKI}/ca.pem")), Privilege::Root, SMALL).await?;
    let Some(trusts) = trusts else { return Ok(None) };
    let trusts = String::from_utf8_lossy(&trusts).into_owned();
    let secrets = told(host).await?.as_ref().and_then(secrets);
    let secrets = secrets.filter(|secrets| secrets.authority.certificate == trusts);
    Ok(Some(Remains { trusts, secrets }))
}

/// A file as a part is told of it.
#[derive(Deserialize)]
struct Told {
    path: String,
    content: String,
}

/// The files of a lifecycle manager, wherever they stand: how a ledger is laid out is its agent's alone.
fn secrets(told: &Value) -> Option<Secrets> {
    let inside: Vec<&Value> = match told {
        Value::Array(list) => {
            if let Some(found) = of_files(list) {
                return Some(found);
            }
            list.iter().collect()
        }
        Value::Object(table) => table.values().collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return None,
    };
    inside.into_iter().find_map(secrets)
}

fn of_files(list: &[Value]) -> Option<Secrets> {
    let files: Vec<Told> = list.iter().filter_map(|file| Told::deserialize(file).ok()).collect();
    let content = |path: &str| {
        let found = files.iter().find(|file| file.path == path);
        found.map(|file| file.content.clone())
    };
    let authority: Papers = serde_json::from_str(&content(AUTHORITY)?).ok()?;
    Some(Secrets {
        authority,
        jwt: content(JWT)?,
        ssh_key: content(SSH_KEY)?,
        platform: content(PLATFORM)?,
        azure: content(AZURE_PRINCIPAL),
        shares: content(SHARES)
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default(),
        configured: content(CONFIGURED)
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default(),
        given: content(GIVEN).and_then(|text| text.parse().ok()).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifecycle_managers_files_are_found_in_a_ledger_and_nobody_elses() {
        let file =
            |path: &str, content: &str| serde_json::json!({"path": path, "content": content});
        let ledger = |files: Vec<Value>| {
            let spec = serde_json::json!({"name": "lifecycle-manager", "files": files});
            let parts = serde_json::json!({"lifecycle-manager": {"epoch": 1, "spec": spec}});
            serde_json::json!({"schema": 2, "epochs": {}, "containers": {}, "parts": parts})
        };
        let papers = r#"{"certificate":"ca","key":"its key"}"#;
        let mut files = vec![
            file("/etc/avishkar/pki/ca.pem", "ca"),
            file(PLATFORM, "{}"),
            file(AUTHORITY, papers),
            file(SSH_KEY, "ssh"),
            file(JWT, "jwt"),
        ];
        let found = secrets(&ledger(files.clone())).unwrap();
        assert_eq!((found.authority.key.as_str(), found.jwt.as_str()), ("its key", "jwt"));
        assert_eq!((found.ssh_key.as_str(), found.platform.as_str()), ("ssh", "{}"));
        files.remove(2);
        assert!(secrets(&ledger(files)).is_none());
        assert!(secrets(&serde_json::json!([1, "a", null])).is_none());
    }
}
