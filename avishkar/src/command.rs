//! One file per command.

mod apps;
mod bootstrap;
mod bus;
mod certificate;
mod deploy;
mod disk;
mod doctor;
mod down;
mod instance;
mod login;
mod logs;
mod machines;
mod naming;
mod nodes;
mod pack;
mod platform;
mod probe;
mod restart;
mod rollback;
mod scale;
mod schedule;
mod service;
mod setup;
mod status;
mod stop;
mod up;
mod wait;
mod why;

use crate::cli::{Cli, Command};
use crate::client::Client;
use crate::output::Output;

/// Does what was typed.
pub(crate) fn run(cli: Cli) -> anyhow::Result<()> {
    let output = Output::new(cli.json);
    // One thread: a service waits for others nearly all the time, its listeners have threads of their own, and what
    // takes a processor's time goes to threads for blocking work.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let server = cli.server;
    let client = || Client::new(server.as_deref());
    runtime.block_on(async {
        match cli.command {
            Command::Login(args) => login::run(client()?, args, output).await,
            Command::Deploy(args) => deploy::run(&client()?, args, output).await,
            Command::Apps => apps::run(&client()?, output).await,
            Command::Status(args) => status::run(&client()?, &args, output).await,
            Command::Logs(args) => logs::run(&client()?, &args, output).await,
            Command::Scale(args) => scale::run(&client()?, &args, output).await,
            Command::Releases(args) => rollback::list(&client()?, &args, output).await,
            Command::Rollback(args) => rollback::go_back(&client()?, &args, output).await,
            Command::Promote(args) => rollback::promote(&client()?, &args, output).await,
            Command::Why(args) => why::run(&client()?, &args, output).await,
            Command::Stop(args) => stop::run(&client()?, &args, output).await,
            Command::Schedule(args) => schedule::make(&client()?, &args, output).await,
            Command::Schedules => schedule::list(&client()?, output).await,
            Command::Unschedule(args) => schedule::remove(&client()?, &args, output).await,
            Command::Certificate(args) => certificate::run(&client()?, args, output).await,
            Command::Nodes(args) => nodes::run(&client()?, args, output).await,
            Command::Disk(args) => disk::run(&client()?, &args, output).await,
            Command::Machines(args) => machines::run(&client()?, args, output).await,
            Command::Restart(args) => restart::run(&client()?, args, output).await,
            Command::Platform(args) => platform::run(&client()?, args, output).await,
            Command::Bus(args) => bus::run(args, client, output).await,
            Command::Doctor(args) => doctor::run(args, output).await,
            Command::Up(args) => Box::pin(up::run(args, output)).await,
            Command::Down(args) => down::run(args, output).await,
            Command::Bootstrap(args) => Box::pin(bootstrap::run(args, output)).await,
            Command::Service(args) => service::run(args, output).await,
            Command::Setup(args) => setup::run(&args, output),
            Command::Probe { url } => probe::run(&url, output).await,
        }
    })
}
