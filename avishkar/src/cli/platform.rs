//! What may be typed about the platform as a whole.

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Platform {
    /// Start every service of the platform, and wait until all are ready.
    Start(Start),
    /// Stop every service of the platform, and wait until all are gone. Apps go on.
    Stop(Stop),
    /// Show which services run, and where.
    Status,
}

#[derive(Debug, Args)]
pub(crate) struct Start {
    /// Return as soon as the request is accepted.
    #[arg(long)]
    pub(crate) no_wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Stop {
    /// The words `stop platform`: nobody stops it by a slip.
    #[arg(long, value_name = "WORDS")]
    pub(crate) confirm: String,
    /// Return as soon as the request is accepted.
    #[arg(long)]
    pub(crate) no_wait: bool,
}
