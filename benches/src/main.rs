//! Measures the running cluster against floors that are taken in the same run, and says which goals are met.
//!
//! Owns the measurements and what they need beside the platform: containers named `avishkar-bench-*`, routes named
//! `bench-*`, the app `bench`. All of it is gone at the end, whatever happened. Never links a service.
#![expect(clippy::indexing_slicing, reason = "a missing member of a JSON value is null")]

mod command_line;
mod crowd;
mod deploy;
mod engine;
mod figure;
mod http;
mod idle;
mod kernel;
mod registrations;
mod report;
mod routes;
mod servers;
mod stage;
mod throughput;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use clap::{Parser, ValueEnum};
use e2e::cluster;

use crate::figure::Figure;
use crate::stage::Stage;

/// Measures the running cluster; without arguments, everything.
#[derive(Debug, Parser)]
struct Arguments {
    #[arg(value_enum)]
    only: Vec<Measurement>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Measurement {
    /// The services' memory and processor time while nothing happens.
    Idle,
    /// An injected message to the first answer at the front door.
    Deploy,
    /// Requests per second through the edge.
    Throughput,
    /// Failed requests while routes come and go.
    Registrations,
}

impl Measurement {
    async fn take(self) -> anyhow::Result<Vec<Figure>> {
        match self {
            Measurement::Idle => idle::measure().await,
            Measurement::Deploy => Ok(vec![deploy::measure().await?]),
            Measurement::Throughput => throughput::measure(&Stage::set_up().await?).await,
            Measurement::Registrations => {
                Ok(vec![registrations::measure(&Stage::set_up().await?).await?])
            }
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Arguments::parse().only).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            report::progress(&format!("error: {err:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(mut wanted: Vec<Measurement>) -> anyhow::Result<()> {
    if wanted.is_empty() {
        wanted = Measurement::value_variants().to_vec();
    }
    cluster::ready(Duration::from_secs(30)).await?;
    stage::clear().await?;
    let mut figures = Vec::new();
    let mut outcome = Ok(());
    for measurement in wanted {
        let taken = tokio::select! {
            biased;
            _ = tokio::signal::ctrl_c() => interrupted(),
            taken = measurement.take() => taken,
        };
        // Before the next one begins: what a measurement leaves would disturb it.
        let cleared = stage::clear().await;
        match taken.and_then(|taken| cleared.map(|()| taken)) {
            Ok(taken) => figures.extend(taken),
            Err(err) => {
                outcome = Err(err.context(format!("{measurement:?} could not be measured")));
                break;
            }
        }
    }
    report::publish(&figures)?;
    outcome
}

fn interrupted() -> anyhow::Result<Vec<Figure>> {
    bail!("interrupted")
}
