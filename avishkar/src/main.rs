//! `avishkar`: the one binary. Every service as a process, and the command line.

mod cli;
mod client;
mod command;
mod credentials;
mod doctor;
mod failure;
mod notify;
mod output;
mod terminal;
mod typed;
mod unit;
mod wiring;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    chassis::tls::install_cryptography();
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(err) => {
            // Help and version are answers, not errors: clap knows which goes where.
            let is_wrong = err.use_stderr();
            if is_wrong && typed::asks_for_json(std::env::args_os()) {
                return failure::report(&typed::wrong(&err).into(), true);
            }
            drop(err.print());
            return ExitCode::from(if is_wrong { failure::USAGE } else { 0 });
        }
    };
    let json = cli.json;
    match command::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => failure::report(&err, json),
    }
}
