//! Measures the running cluster against floors that are taken in the same run, and says which goals are met.
//!
//! Owns the measurements and what they need beside the platform: containers named `avishkar-bench-*`, routes named
//! `bench-*`, the apps `bench` and `burner`, topics, records and control groups named `avishkar-bench-*`, a swarm of the
//! nodes. All of it is gone at the end, whatever happened. Never looks into a service of the cluster.
#![expect(clippy::indexing_slicing, reason = "a missing member of a JSON value is null")]

mod burner;
mod bus;
mod cgroups;
mod changes;
mod command_line;
mod crash;
mod crowd;
mod deploy;
mod drain;
mod durable;
mod edge_death;
mod engine;
mod figure;
mod fleet;
mod http;
mod idle;
mod kernel;
mod killer;
mod overload;
mod pipe;
mod registrations;
mod releases;
mod reloaded;
mod replicas;
mod report;
mod routes;
mod samples;
mod sampling;
mod servers;
mod single;
mod stage;
mod steady;
mod store;
mod switch;
mod throughput;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::ensure;
use clap::{Parser, ValueEnum};
use e2e::cluster;

use crate::figure::Figure;
use crate::report::Form;
use crate::stage::Stage;

/// After one that killed something, the next waits for the cluster.
const READY_WITHIN: Duration = Duration::from_mins(1);

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
    /// A deploy of six replicas, beside Docker Swarm.
    Replicas,
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
    /// Failed requests while nodes are drained and returned.
    Drain,
    /// How long nobody is answered when the edge is killed.
    Edge,
    /// From too much load to the first answer of one more replica.
    Overload,
    /// Changes of the number of replicas where there should be none.
    Steady,
    /// What one look at a thousand containers takes, over bare reads of the same files.
    Sampling,
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
        Measurement::Replicas,
        Measurement::Crash,
        Measurement::Throughput,
        Measurement::Registrations,
        Measurement::Changes,
        Measurement::Switch,
        Measurement::Crowded,
        Measurement::Releases,
        Measurement::Drain,
        Measurement::Edge,
        Measurement::Overload,
        Measurement::Steady,
        Measurement::Sampling,
        Measurement::Bus,
        Measurement::Store,
    ];

    /// Whether it needs more of the cluster than one server.
    fn needs_platform(self) -> bool {
        let alone = [
            Measurement::Sampling,
            Measurement::Bus,
            Measurement::Store,
            Measurement::Single,
            Measurement::Fleet,
        ];
        !alone.contains(&self)
    }

    /// As it is called on the command line.
    fn name(self) -> String {
        let value = self.to_possible_value();
        value.map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// What is measured stands among the figures, also where something after it fails.
    async fn take(self, arguments: &Arguments, figures: &mut Vec<Figure>) -> anyhow::Result<()> {
        match self {
            Measurement::Idle => figures.extend(idle::measure().await?),
            Measurement::Deploy => deploy::measure(figures).await?,
            Measurement::Replicas => figures.push(replicas::measure().await?),
            Measurement::Crash => crash::measure(figures).await?,
            Measurement::Releases => figures.push(releases::measure().await?),
            Measurement::Drain => figures.push(drain::measure().await?),
            Measurement::Overload => figures.push(overload::measure().await?),
            Measurement::Steady => steady::measure(figures).await?,
            Measurement::Throughput => {
                figures.extend(throughput::measure(&Stage::set_up().await?).await?);
            }
            Measurement::Crowded => {
                figures.push(throughput::crowded(&Stage::set_up().await?).await?);
            }
            Measurement::Registrations => {
                figures.push(registrations::measure(&Stage::set_up().await?).await?);
            }
            Measurement::Changes => figures.push(changes::measure(&Stage::set_up().await?).await?),
            Measurement::Switch => switch::measure(&Stage::set_up().await?, figures).await?,
            Measurement::Edge => figures.push(edge_death::measure(&Stage::set_up().await?).await?),
            Measurement::Sampling => sampling::measure(figures).await?,
            Measurement::Bus => figures.push(bus::measure(&arguments.kafka).await?),
            Measurement::Store => figures.push(store::measure(&arguments.zookeeper).await?),
            Measurement::Single => single::measure(figures).await?,
            Measurement::Fleet => fleet::measure(arguments.trials, figures).await?,
        }
        Ok(())
    }

    /// Takes away what it put up, whether it ended or not: it would disturb the next one.
    async fn clear(self, arguments: &Arguments) -> anyhow::Result<()> {
        match self {
            Measurement::Bus => bus::clear(&arguments.kafka).await,
            Measurement::Store => store::clear(&arguments.zookeeper).await,
            Measurement::Fleet => fleet::clear().await,
            Measurement::Drain => drain::clear().await,
            // They end with their measurement, whatever happened.
            Measurement::Single | Measurement::Sampling => Ok(()),
            Measurement::Replicas => {
                let outcomes = [replicas::clear().await, stage::clear().await];
                outcomes.into_iter().collect()
            }
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
            | Measurement::Overload
            | Measurement::Steady => stage::clear().await,
        }
    }
}

/// How a measurement ended.
enum End {
    Measured,
    Failed(anyhow::Error),
    Interrupted,
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

/// One after the other, also after one that failed.
async fn run(arguments: Arguments) -> anyhow::Result<()> {
    let wanted = match arguments.only.as_slice() {
        [] => Measurement::OF_THE_CLUSTER,
        only => only,
    };
    let mut figures = Vec::new();
    let mut failed = Vec::new();
    for measurement in wanted {
        match take(*measurement, &arguments, &mut figures).await {
            End::Measured => {}
            End::Failed(err) => {
                let name = measurement.name();
                report::progress(&format!("error: {name} could not be measured: {err:#}"));
                failed.push(name);
            }
            End::Interrupted => {
                failed.push(format!("{}, which was interrupted", measurement.name()));
                break;
            }
        }
    }
    let form = if arguments.markdown { Form::Markdown } else { Form::Table };
    report::publish(&figures, form)?;
    ensure!(failed.is_empty(), "not measured: {}", failed.join(", "));
    Ok(())
}

/// Takes a measurement, and away what it or a run that was killed put up.
async fn take(measurement: Measurement, arguments: &Arguments, figures: &mut Vec<Figure>) -> End {
    if measurement.needs_platform() {
        let ready = async {
            cluster::ready(READY_WITHIN).await?;
            measurement.clear(arguments).await
        };
        if let Err(err) = ready.await {
            return End::Failed(err);
        }
    }
    let taken = tokio::select! {
        biased;
        _ = tokio::signal::ctrl_c() => None,
        taken = measurement.take(arguments, figures) => Some(taken),
    };
    let cleared = measurement.clear(arguments).await;
    match taken.map(|taken| taken.and(cleared)) {
        Some(Ok(())) => End::Measured,
        Some(Err(err)) => End::Failed(err),
        None => End::Interrupted,
    }
}
