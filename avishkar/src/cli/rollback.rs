//! What may be typed about releases that were in service, and about canaries.

use clap::Args;
use common::name::LegacyName;

/// `avishkar releases NAME`.
#[derive(Debug, Args)]
pub(crate) struct Releases {
    pub(crate) name: LegacyName,
}

/// `avishkar rollback NAME [RELEASE]`.
#[derive(Debug, Args)]
pub(crate) struct Rollback {
    pub(crate) name: LegacyName,
    /// One of `avishkar releases NAME`; else the last good one before.
    pub(crate) release: Option<u32>,
    /// Return as soon as the request is accepted.
    #[arg(long)]
    pub(crate) no_wait: bool,
}

/// `avishkar promote NAME`.
#[derive(Debug, Args)]
pub(crate) struct Promote {
    pub(crate) name: LegacyName,
    /// Return as soon as the request is accepted.
    #[arg(long)]
    pub(crate) no_wait: bool,
}
