//! What may be typed about the platform's machines and nodes, and about restarts.

use clap::{Args, Subcommand};
use common::name::{LegacyName, NodeName};

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Machines {
    #[command(subcommand)]
    pub(crate) act: Option<MachinesAct>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum MachinesAct {
    /// List the machines, how they are, and why: the same as without a word.
    List,
    /// Make a machine more, like the last one that was made, and wait until it is a node; `max_machines` bounds it.
    Add(MachineAdd),
    /// Take a machine away that was added: it is emptied first. Waits until it is gone.
    Remove(MachineRemove),
    /// Pin the host key that a machine has now, which ends its quarantine. Compare it at the machine's console first.
    Pin(MachinePin),
}

#[derive(Debug, Args)]
pub(crate) struct MachineAdd {
    /// Its name; else the next free one.
    pub(crate) name: Option<NodeName>,
    /// Why, in one sentence: its beginning stands in the app manager's log, beside who asked and the request's id.
    #[arg(long, default_value = "an administrator wants it")]
    pub(crate) reason: String,
    /// Return as soon as the request is accepted.
    #[arg(long)]
    pub(crate) no_wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MachineRemove {
    pub(crate) machine: NodeName,
    /// Return as soon as the request is accepted.
    #[arg(long)]
    pub(crate) no_wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MachinePin {
    pub(crate) machine: NodeName,
    /// Its algorithm and its fingerprint, in one word or in two: ssh-ed25519 SHA256:...
    #[arg(value_name = "KEY", required = true, num_args = 1..=2)]
    pub(crate) host_key: Vec<String>,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Nodes {
    #[command(subcommand)]
    pub(crate) act: Option<NodesAct>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum NodesAct {
    /// List the nodes, how they are, and why: the same as without a word.
    List,
    /// Have all replicas of a node made on others first, and wait until it has none; it gets none until it is returned. The
    /// platform's own services on it go on.
    Drain(NodeDrain),
    /// Let a node that was drained have replicas again: new ones at once, others are brought to it slowly.
    Return(NodeReturn),
}

#[derive(Debug, Args)]
pub(crate) struct NodeDrain {
    pub(crate) node: NodeName,
    /// Return as soon as the request is accepted.
    #[arg(long)]
    pub(crate) no_wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct NodeReturn {
    pub(crate) node: NodeName,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Restart {
    /// Restart every instance of a service of the platform, one after another.
    Service(RestartNamed),
    /// Restart a machine, and wait until everything that the platform has on it runs anew.
    Machine(RestartMachine),
    /// Deploy an instance of an app again, as it is deployed: the new replicas serve before the old ones end.
    App(RestartNamed),
    /// The same for an instance of a model.
    Model(RestartNamed),
}

#[derive(Debug, Args)]
pub(crate) struct RestartNamed {
    /// Its name, such as node-manager, or that of an instance.
    pub(crate) name: LegacyName,
    /// Return as soon as the request is accepted.
    #[arg(long)]
    pub(crate) no_wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RestartMachine {
    pub(crate) name: NodeName,
    /// Return as soon as the request is accepted.
    #[arg(long)]
    pub(crate) no_wait: bool,
}
