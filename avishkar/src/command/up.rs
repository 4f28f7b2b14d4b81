//! `avishkar up`: the whole platform as one process: every service and the node agent, on the embedded
//! bus and store, with this machine's Docker as the only node and the edge as a container.
//!
//! Ending the process ends no app: containers go on, the edge goes on, and the next `up` finds them by
//! their labels. What ends apps is [`super::down`].

mod detached;
mod door;
pub(super) mod needs;
pub(super) mod settings;
mod told;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use adapters::docker::EdgeContainer;
use anyhow::Context as _;
use chassis::process::{self, Part, Process};
use chassis::telemetry;
use common::port::Nodes;
use serde_json::json;

use super::down;
use crate::cli::Up;
use crate::doctor;
use crate::failure::Failure;
use crate::output::Output;
use crate::unit;
use crate::wiring::{Within, node_agent};
use needs::needs;
use settings::{From, Settings};

/// All services write to one log.
const LOG_FILE: &str = "avishkar_logs.log";

pub(crate) async fn run(args: Up, output: Output) -> anyhow::Result<()> {
    let data = match &args.data {
        Some(data) => std::path::absolute(data)?,
        None => doctor::default_folder()?,
    };
    let from = From { data: &data, files: args.config.as_deref(), overrides: &args.overrides };
    let mut settings = Settings::read(from).map_err(|err| Failure::usage(&err))?;
    if output.is_json() {
        // Standard output is for the one answer; the file has the logs.
        settings.telemetry.format = telemetry::Format::None;
    }
    if args.install {
        return install(&args, data, output).await;
    }
    if args.detach {
        return detached::start(&args, &data, &needs(&settings, &data), output).await;
    }
    for warning in doctor::preflight(&needs(&settings, &data)).await? {
        output.progress(&warning.to_string());
    }
    down::check_home(&settings.node_agent.meant.socket, &data).await?;
    let within = Within::open(&data).map_err(Failure::from)?;
    let log_file = telemetry::start(&settings.telemetry, LOG_FILE)?;
    let lived = Box::pin(live(settings, &data, &within, log_file, output)).await;
    let closed = within.close().await.map_err(Failure::from);
    lived?;
    Ok(closed?)
}

/// What the platform is started with another time, but for its folder.
fn arguments(args: &Up) -> anyhow::Result<Vec<String>> {
    let mut arguments = Vec::new();
    if let Some(folder) = &args.config {
        let folder = std::path::absolute(folder)?;
        let folder = folder.to_str().context("--config is not UTF-8")?;
        arguments.extend(["--config".to_owned(), folder.to_owned()]);
    }
    for (key, value) in &args.overrides {
        arguments.extend(["--set".to_owned(), format!("{key}={value}")]);
    }
    Ok(arguments)
}

async fn install(args: &Up, folder: PathBuf, output: Output) -> anyhow::Result<()> {
    let program = std::env::current_exe()?;
    let settings = unit::Settings { program, folder, arguments: arguments(args)? };
    let installed = unit::install(&settings).await?;
    let mut text = format!("{} is installed, and runs", installed.file.display());
    for note in &installed.notes {
        text.push_str(&format!("\n  {note}"));
    }
    text.push_str(&format!("\n  its output: {}", installed.logs));
    let said = json!({ "unit": installed.file, "logs": installed.logs, "notes": installed.notes });
    output.answer(&said, &text)
}

async fn live(
    settings: Settings,
    data: &Path,
    within: &Within,
    log_file: Option<PathBuf>,
    output: Output,
) -> anyhow::Result<()> {
    secret(data)?;
    let edge = door::prepare(&settings)?;
    let server = settings.app_manager.frame.http.advertised.clone();
    let process =
        Process::bind(place(settings, within)?, log_file.as_deref()).map_err(not_bound)?;
    let lifecycles = process.lifecycles();
    let beside = async {
        let telling = async {
            told::how_it_is(&lifecycles, &server, data, output).await;
            Ok(())
        };
        futures::try_join!(hold_open(&edge), telling).map(drop)
    };
    tokio::select! {
        biased;
        ended = process.run() => Ok(ended?),
        refused = beside => refused,
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

/// Makes the services, each with the ports that this process has for it.
fn place(settings: Settings, within: &Within) -> anyhow::Result<Vec<Part>> {
    let wall = node_agent::firewall(&settings.node_agent.meant.socket, &settings.firewall.image)?;
    let Settings {
        app_manager,
        deployment_manager,
        node_manager,
        load_balancer,
        node_agent: agent,
        ..
    } = settings;
    let (agent, agent_http) = (node_agent::make(agent.meant, wall)?, agent.frame.http);
    let nodes: Arc<dyn Nodes> = agent.local_nodes();
    let balancer = load_balancer.meant.place(within, Arc::clone(&nodes));
    let routes = balancer.local_routes();
    let deployments = deployment_manager.meant.place(within, Arc::clone(&nodes), routes)?;
    Ok(vec![
        Part { service: Arc::new(agent), http: agent_http },
        Part {
            service: node_manager.meant.place(within, Arc::clone(&nodes)),
            http: node_manager.frame.http,
        },
        Part { service: Arc::new(balancer), http: load_balancer.frame.http },
        Part { service: deployments, http: deployment_manager.frame.http },
        Part { service: app_manager.meant.place(within, nodes)?, http: app_manager.frame.http },
    ])
}

/// What signs tokens is made once.
fn secret(data: &Path) -> anyhow::Result<()> {
    super::setup::token_secret(&data.join("secrets").join("jwt"), None).map(drop)
}
