//! `avishkar up`: the whole platform as one process: every service and the node agent, on the embedded
//! bus and store, with this machine's Docker as the only node and the edge as a container.
//!
//! Ending the process ends no app: containers go on, the edge goes on, and the next `up` finds them by
//! their labels. What ends apps is [`super::down`].

mod ask;
mod detached;
mod door;
pub(super) mod given;
mod installed;
pub(super) mod needs;
mod place;
mod restore;
pub(super) mod settings;
mod told;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::node_agent::NodeAgent;
use ::node_agent::ports::Alone;
use adapters::docker::EdgeContainer;
use chassis::process::{self, Process, Roster};
use chassis::system::{SystemClock, SystemEntropy};
use chassis::telemetry;

use super::down;
use crate::cli::Up;
use crate::doctor;
use crate::failure::{Failure, Obstacle};
use crate::output::Output;
use crate::wiring::{Damaged, Within, node_agent};
use given::Given;
use needs::needs;
use restore::{Accept, Witnesses};
use settings::Settings;

/// All services write to one log.
const LOG_FILE: &str = "avishkar_logs.log";

pub(crate) async fn run(args: Up, output: Output) -> anyhow::Result<()> {
    let data = match &args.data {
        Some(data) => std::path::absolute(data)?,
        None => doctor::default_folder()?,
    };
    let given = Given::typed(args.config.as_deref(), &args.overrides)?;
    let mut settings = Settings::read(given.sources(&data)).map_err(|err| Failure::usage(&err))?;
    if output.is_json() {
        // Standard output is for the one answer; the file has the logs.
        settings.telemetry.format = telemetry::Format::None;
    }
    let accept = if args.accept_restore { Accept::Yes } else { Accept::No };
    let start = Start { data: &data, given: &given, needs: needs(&settings, &data), accept };
    if args.install {
        return installed::start(&start, output).await;
    }
    if args.detach {
        return detached::start(&start, output).await;
    }
    start.preflight(output).await?;
    let ran = run_here(settings, &start, output).await;
    doctor::note_end(&data, ran.as_ref().err());
    ran
}

/// A platform that is to be started.
struct Start<'a> {
    data: &'a Path,
    given: &'a Given,
    needs: doctor::Settings,
    accept: Accept,
}

impl Start<'_> {
    /// What keeps it from starting here is an error; the rest is told.
    async fn preflight(&self, output: Output) -> Result<(), Failure> {
        let forgiven: &[Obstacle] = match self.accept {
            Accept::Yes => &[Obstacle::FolderDamaged],
            Accept::No => &[],
        };
        for warning in doctor::preflight(&self.needs, forgiven).await? {
            output.progress(&warning.to_string());
        }
        down::check_home(&self.needs.socket, self.data).await.map(drop)
    }
}

async fn run_here(settings: Settings, start: &Start<'_>, output: Output) -> anyhow::Result<()> {
    let damaged = match start.accept {
        Accept::Yes => Damaged::SetAside,
        Accept::No => Damaged::Refuse,
    };
    let within = Within::open(start.data, damaged).map_err(Failure::from)?;
    start.given.keep(start.data)?;
    let log_file = telemetry::start(&settings.telemetry, LOG_FILE)?;
    let lived = Box::pin(live(settings, start, &within, log_file, output)).await;
    let closed = within.close().await.map_err(Failure::from);
    lived?;
    Ok(closed?)
}

async fn live(
    settings: Settings,
    start: &Start<'_>,
    within: &Within,
    log_file: Option<PathBuf>,
    output: Output,
) -> anyhow::Result<()> {
    let data = start.data;
    secrets(data)?;
    let edge = door::prepare(&settings, data)?;
    let agent = agent(&settings, data)?;
    let store = within.session();
    let witnesses = Witnesses {
        data,
        store: store.as_ref(),
        clock: &SystemClock,
        agent: &agent,
        node: &settings.node_agent.meant.node,
        edge: &edge,
        table_folder: &settings.load_balancer.meant.edge_folders().0,
    };
    if let Some(left) = restore::settle(&witnesses, start.accept).await? {
        output.progress(&left.to_string());
    }
    let server = settings.app_manager.frame.http.advertised.clone();
    let roster = Roster::default();
    let parts = place::place(settings, agent, within, &roster).await?;
    let process = Process::bind(parts, log_file.as_deref(), &roster).map_err(not_bound)?;
    let beside = async {
        let telling = async {
            let bus = within.bus();
            let once_ready = ask::start(bus.as_ref(), &SystemEntropy);
            told::how_it_is(&roster, told::Platform { server: &server, data }, output, once_ready)
                .await;
            Ok(())
        };
        futures::try_join!(hold_open(&edge), telling).map(drop)
    };
    tokio::select! {
        biased;
        ended = process.run() => Ok(ended?),
        refused = beside => refused,
        cause = within.failed() => {
            let sentence = format!("{} cannot be used any more by this process", data.display());
            let advice = "start it again, which the unit does by itself: what was accepted is kept; see what `dmesg` says of the disk";
            Err(Obstacle::FolderFailed.because(cause, sentence, advice).into())
        }
    }
}

/// A port that somebody has is told with what to do about it.
fn not_bound(err: process::Error) -> anyhow::Error {
    match err {
        process::Error::Listener { source, .. } => Failure::from(source).into(),
        err @ (process::Error::Signals(_)
        | process::Error::Serve { .. }
        | process::Error::Service { .. }) => err.into(),
    }
}

/// The edge cannot be used at the start: an error. Later it is brought back for as long as it takes.
async fn hold_open(edge: &EdgeContainer) -> anyhow::Result<()> {
    door::open(edge).await?;
    door::keep(edge).await;
    Ok(())
}

fn agent(settings: &Settings, data: &Path) -> anyhow::Result<NodeAgent> {
    let config = settings.node_agent.meant.clone();
    let wall = node_agent::firewall(&config.socket, &settings.firewall.image)?;
    node_agent::make(config, wall, Arc::new(Alone), Some(data))
}

/// What signs tokens, and what keys of certificates are sealed with, is made once.
fn secrets(data: &Path) -> anyhow::Result<()> {
    for name in ["jwt", "seal"] {
        super::setup::secret(&data.join("secrets").join(name), None)?;
    }
    Ok(())
}
