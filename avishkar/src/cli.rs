//! What may be typed.

mod bootstrap;
mod certificate;
mod disk;
mod machines;
mod platform;
mod rollback;
mod schedule;

use std::net::IpAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use common::name::{AppName, LegacyName, NodeName, UserName};
use common::record::course::Share;
use common::service::ServiceName;
use common::topic::{Topic, TopicName};

pub(crate) use self::bootstrap::{Act, Bootstrap, Described};
pub(crate) use self::certificate::{Certificate, CertificateAdd, CertificateRemove};
pub(crate) use self::disk::{Collect, Disk, DiskAct};
pub(crate) use self::machines::{
    MachineAdd, MachinePin, MachineRemove, Machines, MachinesAct, NodeDrain, NodeReturn, Nodes,
    NodesAct, Restart,
};
pub(crate) use self::platform::{
    Move, Platform, Scale as ScaleService, Start, Stop as StopPlatform, Upgrade, Version,
};
pub(crate) use self::rollback::{Promote, Releases, Rollback};
pub(crate) use self::schedule::{Schedule, Unschedule};

/// A zip of code becomes a load-balanced URL on machines you own.
#[derive(Debug, Parser)]
#[command(name = "avishkar", version, propagate_version = true)]
pub(crate) struct Cli {
    /// Print JSON for programs instead of text for people.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Where the platform is; else what `login` noted.
    #[arg(long, global = true, value_name = "URL", env = "AVISHKAR_SERVER")]
    pub(crate) server: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Sign in; the token is kept in a file only you can read.
    Login(Login),
    /// Upload a folder or zip, build it, run it, and wait for its URL.
    Deploy(Deploy),
    /// List what is deployed.
    Apps,
    /// Show one instance: its state, URL, replicas, and what went wrong. Without a name: the platform's services.
    Status(Status),
    /// Show the output of an instance's replicas.
    Logs(Logs),
    /// Run this many replicas of an instance, and wait until they serve.
    Scale(Scale),
    /// List the releases of an instance that were in service, and which one is.
    Releases(Releases),
    /// Go back to a release that was in service before, and wait until it serves; nothing is built.
    Rollback(Rollback),
    /// Give the canary of an instance all requests, and wait until what was served before is out of the way.
    Promote(Promote),
    /// Say why an instance has as many replicas as it has, and what was decided of its releases and places.
    Why(Why),
    /// Stop an instance and wait until nothing of it is left.
    Stop(Stop),
    /// Run an instance at certain times: once, daily, weekly, or as cron says.
    Schedule(Schedule),
    /// List the schedules, and when each starts next.
    Schedules,
    /// Take a schedule away; what runs goes on.
    Unschedule(Unschedule),
    /// Show visitors of a host name a certificate, list those that are shown, or take one away.
    #[command(subcommand)]
    Certificate(Certificate),
    /// List the nodes and how they are, drain one, or return it.
    Nodes(Nodes),
    /// Show what the platform has on the disks of its nodes, who refers to it, and what may go.
    Disk(Disk),
    /// List the platform's machines and how they are, add or take one away, or pin a host key.
    Machines(Machines),
    /// Restart a service of the platform, a machine, an app or a model, and wait until it runs anew.
    #[command(subcommand)]
    Restart(Restart),
    /// Start or stop the platform's services as a set, upgrade or move one of them, or show how they are.
    #[command(subcommand)]
    Platform(Platform),
    /// Send to the bus, or watch it.
    #[command(subcommand)]
    Bus(Bus),
    /// Say what is wrong with this machine for the platform, and what to do.
    Doctor(Doctor),
    /// Run the whole platform on this machine, as one process.
    Up(Up),
    /// End the platform that `up` runs, and everything it runs on this machine's Docker.
    Down(Down),
    /// Bring a platform up on machines of its own, or take it away.
    #[command(subcommand)]
    Bootstrap(Bootstrap),
    /// Run one service of the platform in the foreground.
    Service(Service),
    /// Make the certificates and secrets of a cluster where they are missing.
    Setup(Setup),
    /// Ask a URL and succeed if it answers below 400: for health checks.
    Probe { url: String },
}

#[derive(Debug, Args)]
pub(crate) struct Login {
    /// Your user name.
    #[arg(long, default_value = "admin")]
    pub(crate) username: UserName,
    /// A file with your password; else it is asked for, or read from standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// The file with the one-time token of a new platform: makes you its first admin.
    #[arg(long, value_name = "FILE")]
    pub(crate) one_time_token_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Deploy {
    /// A folder, or a zip.
    pub(crate) source: PathBuf,
    /// The app's name; else `name` of its avishkar.toml, else the name of the folder or zip.
    #[arg(long)]
    pub(crate) name: Option<AppName>,
    /// How many replicas.
    #[arg(long, value_parser = replicas)]
    pub(crate) replicas: Option<u32>,
    /// Beside what is served, with this share of the requests, from 1% to 99%; `promote` gives it all, `rollback` takes
    /// it away, and the same again changes the share.
    #[arg(long, value_name = "PERCENT")]
    pub(crate) canary: Option<Share>,
    /// Return as soon as the request is accepted.
    #[arg(long)]
    pub(crate) no_wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    pub(crate) name: Option<LegacyName>,
    /// The folder of a platform on this machine alone; else the user's own.
    #[arg(long, value_name = "FOLDER", conflicts_with = "name")]
    pub(crate) data: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Stop {
    pub(crate) name: LegacyName,
    /// Return as soon as the request is accepted.
    #[arg(long)]
    pub(crate) no_wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Logs {
    pub(crate) name: LegacyName,
    /// How many lines of each replica.
    #[arg(long, default_value_t = 100)]
    pub(crate) tail: usize,
    /// Go on as new lines come.
    #[arg(short, long)]
    pub(crate) follow: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Scale {
    pub(crate) name: LegacyName,
    #[arg(value_parser = replicas)]
    pub(crate) replicas: u32,
    /// Return as soon as the request is accepted.
    #[arg(long)]
    pub(crate) no_wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Why {
    pub(crate) name: LegacyName,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Bus {
    /// Send one message, for instance: send `DeploymentManager` 'deploy app$hello'
    Send {
        topic: Topic,
        msg: String,
        #[command(flatten)]
        way: Way,
    },
    /// Print messages as they come; those that nobody could read are in `<topic>.dlq`.
    Tail {
        topic: TopicName,
        /// Print what is there already, too.
        #[arg(long)]
        from_start: bool,
        #[command(flatten)]
        way: Way,
    },
}

/// How the bus is reached.
#[derive(Debug, Args)]
pub(crate) struct Way {
    /// Speak with Kafka itself at these addresses; else the platform does, for admins.
    #[arg(long, value_name = "HOST:PORT", env = "AVISHKAR_BROKERS")]
    pub(crate) brokers: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// The folder of a platform on this machine alone; else the user's own.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
    /// The folder of settings, if it is another one than `up` was given.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) config: Option<PathBuf>,
    /// One setting, over those that `up` was given: service.section.key=value.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) overrides: Vec<(String, String)>,
}

#[derive(Debug, Args)]
pub(crate) struct Up {
    /// The folder of everything that is kept; else avishkar/up in the XDG state folder.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
    /// A folder with up.toml and a toml file per service: what differs from the services' own.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) config: Option<PathBuf>,
    /// One setting: service.section.key=value.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) overrides: Vec<(String, String)>,
    /// Return once it is ready; it goes on in the background.
    #[arg(long)]
    pub(crate) detach: bool,
    /// Make it a systemd unit that begins with the machine; return once it is ready.
    #[arg(long, conflicts_with = "detach")]
    pub(crate) install: bool,
    /// Go on with what the folder says although apps were started from another store, or with none where it is
    /// damaged: apps that it does not know go on.
    #[arg(long, conflicts_with = "install")]
    pub(crate) accept_restore: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Down {
    /// The folder that `up` was given.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data: Option<PathBuf>,
    /// The folder of settings, if it is another one than `up` was given.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) config: Option<PathBuf>,
    /// One setting, over those that `up` was given: service.section.key=value.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) overrides: Vec<(String, String)>,
    /// Remove what the platform knows, too: users, apps, bundles, and its systemd unit. The next `up` begins anew.
    #[arg(long)]
    pub(crate) purge: bool,
    /// Remove the systemd unit that `up --install` made.
    #[arg(long)]
    pub(crate) uninstall: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Service {
    pub(crate) name: ServiceName,
    /// A file that says what differs from the service's own.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// One setting: section.key=value.
    #[arg(long = "set", value_name = "KEY=VALUE", value_parser = key_value)]
    pub(crate) overrides: Vec<(String, String)>,
    /// Only say whether the configuration is right.
    #[arg(long)]
    pub(crate) check_config: bool,
    /// Print the whole configuration, secrets hidden.
    #[arg(long)]
    pub(crate) print_config: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Setup {
    /// The folder that gets a folder of certificates for each service and node.
    #[arg(long, default_value = "/pki")]
    pub(crate) pki: PathBuf,
    /// The folder that gets a folder of secrets for each service.
    #[arg(long, default_value = "/secrets")]
    pub(crate) secrets: PathBuf,
    /// A node and its address: node-1=192.0.2.11
    #[arg(long = "node", value_name = "NAME=IP", value_parser = node)]
    pub(crate) nodes: Vec<(NodeName, IpAddr)>,
    /// The user id that the services run as.
    #[arg(long, default_value_t = 10001)]
    pub(crate) owner: u32,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("write it as section.key=value")?;
    Ok((key.to_owned(), value.to_owned()))
}

fn replicas(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(0) => Err("an instance has one replica at least; `avishkar stop` ends it".to_owned()),
        Ok(replicas) => Ok(replicas),
        Err(_) => Err("write a number, from 1 on".to_owned()),
    }
}

fn node(text: &str) -> Result<(NodeName, IpAddr), String> {
    let (name, ip) = text.split_once('=').ok_or("write it as name=ip")?;
    let name = name.parse().map_err(|err: common::name::Error| err.to_string())?;
    let ip = ip.parse().map_err(|_| format!("{ip:?} is not an address"))?;
    Ok((name, ip))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_instance_has_one_replica_at_least() {
        assert_eq!((replicas("1"), replicas("20")), (Ok(1), Ok(20)));
        assert!(replicas("0").unwrap_err().contains("avishkar stop"));
        assert!(replicas("-1").is_err() && replicas("abc").is_err());
    }

    #[test]
    fn a_node_is_a_name_and_an_address() {
        assert!(node("node-1=192.0.2.11").is_ok());
        assert!(node("node-1").is_err());
        assert!(node("Node=192.0.2.11").is_err());
    }
}
