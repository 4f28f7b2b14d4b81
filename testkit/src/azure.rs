//! [`MemoryAzure`]: Azure's interface of resources on this computer, whose machines are those of a [`MemoryHosts`].
//!
//! It keeps the published semantics as far as machines need them: asynchronous operations, references, tags, versions
//! of the interface, tokens. What requests may say and what answers say stands in `azure/published.json`, facts of
//! Azure's public REST specifications; a request that says anything else is refused. What they are like in Azure's own
//! examples stands in `azure/examples.json`.

mod answer;
mod compute;
mod examples;
mod faults;
mod network;
mod operations;
mod path;
mod published;
mod server;
mod state;
mod tokens;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::MemoryHosts;

pub use self::answer::{Answer, Request};
pub use self::examples::{defined_fields, example_answer, examples, group_of};
pub use self::faults::Fault;
use self::path::Kind;
use self::state::State;

/// The only subscription.
pub const SUBSCRIPTION: &str = "00000000-0000-0000-0000-000000000001";
/// Azure's tenant.
pub const DIRECTORY: &str = "00000000-0000-0000-0000-000000000002";
/// The only service principal.
pub const CLIENT: &str = "00000000-0000-0000-0000-000000000003";
pub const SECRET: &str = "a secret of the test";

/// Azure in memory, which listens on the loopback interface. Dropping it cuts all connections.
#[derive(Debug)]
pub struct MemoryAzure {
    address: SocketAddr,
    hosts: MemoryHosts,
    state: Arc<Mutex<State>>,
    _accepting: JoinSet<()>,
}

impl MemoryAzure {
    /// Without any resource.
    pub async fn start(hosts: MemoryHosts) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let state = State::new(hosts.clone(), format!("http://{address}"));
        let state = Arc::new(Mutex::new(state));
        let mut accepting = JoinSet::new();
        accepting.spawn(server::accept(listener, Arc::clone(&state)));
        Ok(MemoryAzure { address, hosts, state, _accepting: accepting })
    }

    /// Where resources and tokens are asked for.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The machines' operating systems.
    pub fn hosts(&self) -> &MemoryHosts {
        &self.hosts
    }

    /// What a request would be answered; none if the connection would be cut.
    pub fn answer(&self, request: &Request) -> Option<Answer> {
        answer::answer(&mut self.state(), request)
    }

    /// The next requests with this method for this kind of resource, `virtualMachines` for instance, end so. Of a verb,
    /// the kind is `virtualMachines/start`; of a request for a token, `token`.
    pub fn fail_next(&self, method: &str, kind: &str, faults: impl IntoIterator<Item = Fault>) {
        let mut state = self.state();
        state.faults.entry((method.to_owned(), kind.to_owned())).or_default().extend(faults);
    }

    /// No token that was given so far is taken any more.
    pub fn expire_tokens(&self) {
        self.state().tokens.expire();
    }

    /// How many tokens were given.
    pub fn tokens_given(&self) -> u32 {
        self.state().tokens.given()
    }

    /// Every operation takes so many looks.
    pub fn set_looks(&self, looks: u32) {
        self.state().looks = looks;
    }

    /// So many seconds are to be waited between two looks.
    pub fn set_retry_after(&self, seconds: u32) {
        self.state().retry_after = seconds;
    }

    /// A list has so many entries on a page.
    pub fn set_page(&self, entries: usize) {
        self.state().page = entries;
    }

    /// A resource that somebody else made. Its group is made, too, if it is not there.
    pub fn place(&self, group: &str, kind: &str, name: &str, properties: Value) {
        let kind = Kind::named(kind).expect("it is a kind of resource");
        let mut state = self.state();
        let group = state.ensure_group(group);
        let id = format!("{group}/providers/{}/{name}", kind.full_name());
        let mut properties = properties;
        properties["provisioningState"] = "Succeeded".into();
        let mut value = json!({
            "id": id,
            "name": name,
            "type": kind.full_name(),
            "location": "westeurope",
            "properties": properties,
        });
        network::name_subnets(&mut value, &id);
        state.keep(&id, value);
    }

    /// A resource as it is, if it is there.
    pub fn resource(&self, kind: &str, name: &str) -> Option<Value> {
        self.state().of_kind(kind).find(|value| value["name"] == name).cloned()
    }

    /// What is there, as `kind/name`, sorted.
    pub fn names(&self) -> Vec<String> {
        let state = self.state();
        let mut names: Vec<String> = state
            .resources
            .values()
            .map(|value| {
                let kind = value["type"].as_str().unwrap_or_default();
                let kind = kind.rsplit('/').next().unwrap_or_default();
                format!("{kind}/{}", value["name"].as_str().unwrap_or_default())
            })
            .collect();
        names.sort();
        names
    }

    /// All that was asked, as `METHOD kind/name`, in order, whatever became of it.
    pub fn asked(&self) -> Vec<String> {
        self.state().asked.clone()
    }

    /// The virtual machine loses its power, not by who made it.
    pub fn power_off(&self, name: &str) {
        self.state().power_off(name);
    }

    /// Disks stay when their machines go, whatever was asked for.
    pub fn leave_disks(&self) {
        let mut state = self.state();
        for value in state.resources.values_mut() {
            if let Some(disk) = value.pointer_mut("/properties/storageProfile/osDisk") {
                disk["deleteOption"] = "Detach".into();
            }
        }
    }

    /// Its public address.
    pub fn public_address(&self, name: &str) -> Option<String> {
        self.state().public_address(name)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
