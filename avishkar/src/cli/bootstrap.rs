//! What may be typed of platforms on machines of their own.

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum Bootstrap {
    /// Say every step that `apply` would take, by machine. Nothing is touched.
    Plan {
        #[command(flatten)]
        described: Described,
        /// Say what `apply --new-platform` would do.
        #[arg(long)]
        new_platform: bool,
    },
    /// Make what the file describes, as far as it is not there. May be broken off and begun again.
    Apply {
        #[command(flatten)]
        act: Act,
        /// No platform of this name was ever made of these machines: those that cannot be looked at are none of its
        /// nodes.
        #[arg(long)]
        new_platform: bool,
    },
    /// Remove the platform and the machines that were made for it.
    Destroy {
        #[command(flatten)]
        act: Act,
        /// The platform's name, for scripts; else it is asked for.
        #[arg(long, value_name = "NAME")]
        yes: Option<String>,
    },
    /// Say the digest of a folder: by it the code of a service is named, on whatever share the folder is put.
    Digest {
        /// The folder with the service's Dockerfile; what has a name that begins with a dot is left out.
        folder: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Described {
    /// A platform.toml; config/platform.toml is its manual.
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Act {
    #[command(flatten)]
    pub(crate) described: Described,
    /// Pin the host keys of given machines as they show them now, where the file pins none.
    #[arg(long)]
    pub(crate) accept_new_host_keys: bool,
    /// How long to wait for another bootstrapper that is at work on the platform.
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    pub(crate) wait: u64,
}
