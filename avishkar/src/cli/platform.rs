//! What may be typed about the platform as a whole.

use std::num::NonZeroU16;

use clap::{Args, Subcommand};
use common::name::{LegacyName, NodeName};
use common::record::platform::{NotServiceImage, ServiceImage};

#[derive(Debug, Subcommand)]
pub(crate) enum Platform {
    /// Start every service of the platform, and wait until all are ready.
    Start(Start),
    /// Stop every service of the platform, and wait until all are gone. Apps go on.
    Stop(Stop),
    /// Have a service run another version, one instance after the other; what does not become ready is taken back.
    Upgrade(Upgrade),
    /// Have an instance of a service run on another machine: it is ready there before the old one ends.
    Move(Move),
    /// Have so many instances of a service run, each on a machine of its own.
    Scale(Scale),
    /// Show which services run, and where.
    Status,
}

#[derive(Debug, Args)]
pub(crate) struct Upgrade {
    /// Its name, such as node-manager.
    pub(crate) service: LegacyName,
    /// An image of the platform's registry, or code on a share, by digest; `platform` for the platform's own version.
    #[arg(value_name = "IMAGE", value_parser = version)]
    pub(crate) version: Version,
    /// Return as soon as the request is accepted.
    #[arg(long)]
    pub(crate) no_wait: bool,
}

/// What a service should run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Version {
    Own,
    Other(ServiceImage),
}

fn version(text: &str) -> Result<Version, NotServiceImage> {
    match text {
        "platform" => Ok(Version::Own),
        image => Ok(Version::Other(image.parse()?)),
    }
}

#[derive(Debug, Args)]
pub(crate) struct Move {
    /// Its name, such as node-manager.
    pub(crate) service: LegacyName,
    /// The machine that it runs on.
    pub(crate) from: NodeName,
    /// The machine that it should run on.
    pub(crate) to: NodeName,
    /// Return as soon as the request is accepted.
    #[arg(long)]
    pub(crate) no_wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Scale {
    /// Its name, such as node-manager.
    pub(crate) service: LegacyName,
    /// How many; also after the next start of the platform.
    pub(crate) instances: NonZeroU16,
    /// Return as soon as the request is accepted.
    #[arg(long)]
    pub(crate) no_wait: bool,
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
