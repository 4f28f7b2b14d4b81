//! `avishkar service NAME`: one service of the platform as a process.

use anyhow::Context as _;
use chassis::config::{self, Error, Sources};
use chassis::process::{Part, Process, Roster};
use chassis::telemetry;
use common::service::ServiceName;

use crate::cli::Service;
use crate::failure::Failure;
use crate::output::Output;
use crate::wiring::{self, Wiring};

pub(crate) async fn run(args: Service, output: Output) -> anyhow::Result<()> {
    match args.name {
        ServiceName::AppManager => start::<wiring::app_manager::File>(args, output).await,
        ServiceName::DeploymentManager => {
            start::<wiring::deployment_manager::File>(args, output).await
        }
        ServiceName::NodeManager => start::<wiring::node_manager::File>(args, output).await,
        ServiceName::LoadBalancer => start::<wiring::load_balancer::File>(args, output).await,
        ServiceName::Monitoring => start::<wiring::monitoring::File>(args, output).await,
        ServiceName::LifecycleManager => {
            start::<wiring::lifecycle_manager::File>(args, output).await
        }
        ServiceName::PlatformInitializer => {
            start::<wiring::platform_initializer::File>(args, output).await
        }
        ServiceName::NodeAgent => start::<wiring::node_agent::File>(args, output).await,
    }
}

async fn start<W: Wiring>(args: Service, output: Output) -> anyhow::Result<()> {
    let wrong = |err: Error| Failure::usage(&err);
    let sources = Sources::from_process(args.config, args.overrides);
    let file: W = config::read(W::DEFAULTS, &sources).map_err(wrong)?;
    if args.print_config {
        return output.answer(&file, &config::print(&file));
    }
    let (frame, meant) = file.resolve().map_err(|problems| wrong(Error::Wrong(problems)))?;
    if args.check_config {
        return output.answer(&serde_json::json!({ "right": true }), "the configuration is right");
    }
    let log_file = telemetry::start(&frame.telemetry, W::SERVICE.log_file())?;
    let service =
        W::connect(meant, &frame).await.with_context(|| format!("{} cannot start", W::SERVICE));
    // Whoever reads the logs of a container that ended must find the reason there.
    let service = service.inspect_err(|err| tracing::error!("{err:#}"))?;
    let part = Part::fixed(service, frame.http);
    Ok(Process::bind(vec![part], log_file.as_deref(), &Roster::default())?.run().await?)
}
