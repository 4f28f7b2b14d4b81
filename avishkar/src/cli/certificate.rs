//! What may be typed about certificates of host names.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use common::name::HostName;

/// `avishkar certificate …`.
#[derive(Debug, Subcommand)]
pub(crate) enum Certificate {
    /// Show visitors of a host name this certificate from now on; the one before it is replaced.
    Add(CertificateAdd),
    /// List the host names that have one, and until when they are valid.
    List,
    /// Show visitors of a host name none any more.
    Remove(CertificateRemove),
}

#[derive(Debug, Args)]
pub(crate) struct CertificateAdd {
    /// What visitors type: shop.example.org
    pub(crate) host: HostName,
    /// A PEM file: the host's own certificate first, then those who signed it.
    #[arg(long, value_name = "FILE")]
    pub(crate) certificate: PathBuf,
    /// A PEM file with its key, not encrypted.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct CertificateRemove {
    pub(crate) host: HostName,
}
