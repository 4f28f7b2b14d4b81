//! Measures the running cluster against floors that are taken in the same run, and says which goals are met.
//!
//! Owns the measurements and what they need beside the platform: containers named `avishkar-bench-*`, routes named
//! `bench-*`, the apps `bench` and `burner`, topics and records named `avishkar-bench-*`. All of it is gone at the end, whatever
//! happened. Never links a service.
#![expect(clippy::indexing_slicing, reason = "a missing member of a JSON value is null")]

mod bus;
mod changes;
mod command_line;
mod crash;
mod crowd;
mod deploy;
mod durable;
mod edge_death;
mod engine;
mod figure;
mod fleet;
mod http;
mod idle;
mod kernel;
mod overload;
mod registrations;
mod releases;
mod reloaded;
mod report;
mod routes;
mod servers;
mod single;
mod stage;
mod store;
mod switch;
mod throughput;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::{Parser, ValueEnum};
use e2e::cluster;

use crate::figure::Figure;
use crate::report::Form;
use crate::stage::Stage;

/// Measures the running cluster; without arguments, everything.
#[derive(Debug, Parser)]
struct Arguments {
    #[arg(value_enum)]
    only: Vec<Measurement>,
    /// `host:port` of the Kafka that `bus` is measured beside.
    #[arg(long, default_value = "127.0.0.1:9092")]
    kafka: String,
    /// `host:port` of the ZooKeeper that `store` is measured beside.
    #[arg(long, default_value = "127.0.0.1:2181")]
    zookeeper: String,
    /// How often everything of `fleet` is tried.
    #[arg(long, default_value_t = 10)]
    trials: usize,
    /// Prints the figures as a table of Markdown.
    #[arg(long)]
    markdown: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Measurement {
    /// The services' memory and processor time while nothing happens.
    Idle,
    /// An injected message to the first answer at the front door.
    Deploy,
    /// The death of an app's container to its next answer, and what a second replica's users notice.
    Crash,
    /// Requests per second through the edge.
    Throughput,
    /// Failed requests while routes come and go.
    Registrations,
    /// Failed requests while the upstream of a route changes again and again, beside reloads.
    Changes,
    /// How long a change takes until it is served, over a reload, with 1, 100 and 500 apps.
    Switch,
    /// Requests per second with as many apps as the pool has front ports, over those with one.
    Crowded,
    /// Failed requests while an app gets releases, goes back and is scaled.
    Releases,
    /// How long nobody is answered when the edge is killed.
    Edge,
    /// From too much load to the first answer of one more replica.
    Overload,
    /// Durable records per second, embedded beside Kafka.
    Bus,
    /// Durable writes per second, embedded beside ZooKeeper.
    Store,
    /// The platform in one process. Only where it is asked for: the cluster must not run.
    Single,
    /// What follows the death of machines, leaders and services. Only where it is asked for: it needs `make fleet`.
    Fleet,
}

impl Measurement {
    const OF_THE_CLUSTER: &[Measurement] = &[
        Measurement::Idle,
        Measurement::Deploy,
        Measurement::Crash,
        Measurement::Throughput,
        Measurement::Registrations,
        Measurement::Changes,
        Measurement::Switch,
        Measurement::Crowded,
        Measurement::Releases,
        Measurement::Edge,
        Measurement::Overload,
        Measurement::Bus,
        Measurement::Store,
    ];

    /// Whether it needs more of the cluster than one server.
    fn needs_platform(self) -> bool {
        let alone = [Measurement::Bus, Measurement::Store, Measurement::Single, Measurement::Fleet];
        !alone.contains(&self)
    }

    async fn take(self, arguments: &Arguments) -> anyhow::Result<Vec<Figure>> {
        match self {
            Measurement::Bus => one(bus::measure(&arguments.kafka).await),
            Measurement::Store => one(store::measure(&arguments.zookeeper).await),
            Measurement::Single => single::measure().await,
            Measurement::Fleet => fleet::measure(arguments.trials).await,
            Measurement::Idle => idle::measure().await,
            Measurement::Deploy => one(deploy::measure().await),
            Measurement::Crash => crash::measure().await,
            Measurement::Releases => one(releases::measure().await),
            Measurement::Overload => one(overload::measure().await),
            Measurement::Throughput => throughput::measure(&Stage::set_up().await?).await,
            Measurement::Crowded => one(throughput::crowded(&Stage::set_up().await?).await),
            Measurement::Registrations => {
                one(registrations::measure(&Stage::set_up().await?).await)
            }
            Measurement::Changes => one(changes::measure(&Stage::set_up().await?).await),
            Measurement::Switch => switch::measure(&Stage::set_up().await?).await,
            Measurement::Edge => one(edge_death::measure(&Stage::set_up().await?).await),
        }
    }
}

fn one(taken: anyhow::Result<Figure>) -> anyhow::Result<Vec<Figure>> {
    taken.map(|figure| vec![figure])
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            report::progress(&format!("error: {err:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let wanted = match arguments.only.as_slice() {
        [] => Measurement::OF_THE_CLUSTER,
        only => only,
    };
    if wanted.iter().any(|measurement| measurement.needs_platform()) {
        cluster::ready(Duration::from_secs(30)).await?;
        stage::clear().await?;
    }
    let mut figures = Vec::new();
    let mut outcome = Ok(());
    for measurement in wanted {
        match take(*measurement, &arguments).await {
            Ok(taken) => figures.extend(taken),
            Err(err) => {
                outcome = Err(err.context(format!("{measurement:?} could not be measured")));
                break;
            }
        }
    }
    let form = if arguments.markdown { Form::Markdown } else { Form::Table };
    report::publish(&figures, form)?;
    outcome
}

/// Takes a measurement, and away what it put up, before the next one begins: it would disturb it.
async fn take(measurement: Measurement, arguments: &Arguments) -> anyhow::Result<Vec<Figure>> {
    let taken = tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => interrupted(),
        taken = measurement.take(arguments) => taken,
    };
    let cleared = match measurement {
        Measurement::Bus => bus::clear(&arguments.kafka).await,
        Measurement::Store => store::clear(&arguments.zookeeper).await,
        // It is ended with its measurement, whatever happened.
        Measurement::Single => Ok(()),
        Measurement::Fleet => fleet::clear().await,
        Measurement::Idle
        | Measurement::Deploy
        | Measurement::Crash
        | Measurement::Throughput
        | Measurement::Registrations
        | Measurement::Changes
        | Measurement::Switch
        | Measurement::Crowded
        | Measurement::Releases
        | Measurement::Edge
        | Measurement::Overload => stage::clear().await,
    };
    let taken = taken?;
    cleared?;
    Ok(taken)
}

fn interrupted() -> anyhow::Result<Vec<Figure>> {
    bail!("interrupted")
}
