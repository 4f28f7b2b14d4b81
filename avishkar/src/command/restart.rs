//! `avishkar restart`: a service, a machine, an app or a model, by the lifecycle manager's doing. What people ask for is held
//! by no brake.

use common::port::upkeep::Target;
use serde_json::json;

use super::platform::{Asked, Goal, ask};
use crate::cli::Restart;
use crate::client::Client;
use crate::output::Output;

pub(crate) async fn run(client: &Client, args: Restart, output: Output) -> anyhow::Result<()> {
    let (target, no_wait) = match args {
        Restart::Service(args) => (Target::Service(args.name), args.no_wait),
        Restart::Machine(args) => (Target::Node(args.name), args.no_wait),
        Restart::App(args) => (Target::App(args.name), args.no_wait),
        Restart::Model(args) => (Target::Model(args.name), args.no_wait),
    };
    let path = format!("/api/v1/restarts/{target}");
    let asked = Asked { goal: Goal::Restart, path, body: json!({}), no_wait };
    ask(client, asked, output).await
}
