//! The agent's container, as the command that runs it.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use common::digest::hex;
use common::name::NodeName;
use common::port::authority::Papers;
use common::port::container::label;
use common::service::ServiceName;
use sha2::{Digest as _, Sha256};

use super::Goal;
use crate::platform::AGENT_PORT;

/// What the agent's container is called on every machine.
pub const AGENT: &str = "avishkar-agent";
/// What apps may never reach: what clouds keep on link-local addresses.
const LINK_LOCAL: &str = "169.254.0.0/16";
/// Where an agent finds the registry of its platform, on its own machine.
pub const REGISTRY: &str = "127.0.0.1:5000";

/// The folders of a machine that are the platform's. Only root looks into them.
pub(super) const FOLDERS: [&str; 4] = [STATE, PKI, BUILD_ENV, LOGS];
pub(super) const STATE: &str = "/var/lib/avishkar";
pub(super) const PKI: &str = "/etc/avishkar/pki";
pub(super) const BUILD_ENV: &str = "/etc/avishkar/build-env";
const LOGS: &str = "/var/log/avishkar";

/// Folders of the machine that the agent sees, and where.
const MOUNTS: [&str; 7] = [
    "/var/run/docker.sock:/var/run/docker.sock",
    "/var/lib/avishkar:/var/lib/avishkar",
    "/var/log/avishkar:/logs",
    "/etc/avishkar/pki:/etc/avishkar/pki:ro",
    "/etc/avishkar/build-env:/etc/avishkar/build-env:ro",
    "/run/avishkar:/run/avishkar",
    "/sys/fs/cgroup:/sys/fs/cgroup:ro",
];

/// How the agent is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AgentRun {
    /// What follows `docker`.
    pub(super) arguments: Vec<String>,
    pub(super) hash: String,
}

/// None before it is known where other machines reach this one. With another certificate it is another agent: it reads
/// its own once.
pub(super) fn agent_run(goal: &Goal, papers: &Papers) -> Option<AgentRun> {
    let settings = settings(goal)?;
    let mut options: Vec<String> = [
        "--restart",
        "always",
        "--network",
        "host",
        "--pid",
        "host",
        "--cgroupns",
        "host",
        "--privileged",
        "--user",
        "0:0",
        "--log-opt",
        "max-size=10m",
        "--log-opt",
        "max-file=3",
    ]
    .map(str::to_owned)
    .into();
    for mount in MOUNTS {
        options.extend(["--volume".to_owned(), mount.to_owned()]);
    }
    for (key, value) in settings {
        options.extend(["--env".to_owned(), format!("{key}={value}")]);
    }
    let mut image = vec![goal.program.to_string()];
    image.extend(["service", ServiceName::NodeAgent.as_str()].map(str::to_owned));

    let mut hasher = Sha256::new();
    for word in options.iter().chain(&image).chain([&papers.certificate]) {
        hasher.update(word);
        hasher.update([0]);
    }
    let hash = hex(&hasher.finalize());
    let marked = format!("{}={hash}", label::SPEC);
    let head = ["run", "--detach", "--name", AGENT, "--label", &marked].map(str::to_owned);
    let arguments = head.into_iter().chain(options).chain(image).collect();
    Some(AgentRun { arguments, hash })
}

/// What differs from `config/node-agent.toml`.
fn settings(goal: &Goal) -> Option<BTreeMap<&'static str, String>> {
    let address = goal.machine.reached_at()?;
    let listens = SocketAddr::new(address, AGENT_PORT).to_string();
    let name: &NodeName = &goal.machine.name;
    let denied = [LINK_LOCAL.to_owned()].into_iter().chain(goal.denied_networks.iter().cloned());
    let denied: Vec<String> = denied.collect();
    Some(BTreeMap::from([
        ("AVISHKAR_NODE__NAME", name.to_string()),
        ("AVISHKAR_NODE__IP", address.to_string()),
        ("AVISHKAR_HTTP__INTERNAL_ADDRESS", listens.clone()),
        ("AVISHKAR_HTTP__ADVERTISED", listens),
        ("AVISHKAR_REGISTRY__ADDRESS", REGISTRY.to_owned()),
        ("AVISHKAR_REGISTRY__RELAY", REGISTRY.to_owned()),
        ("AVISHKAR_FIREWALL__DENY", denied.join(",")),
        // The machine's own disk, not the container's: its first process sees it.
        ("AVISHKAR_METER__DISK", concat!("/proc/1/root", "/var/lib/docker").to_owned()),
        // The same for shares that are folders of the machine.
        ("AVISHKAR_SHARES__ROOT", "/proc/1/root".to_owned()),
    ]))
}
