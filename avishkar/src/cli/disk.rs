//! What may be typed about the disks of nodes.

use clap::{Args, Subcommand};
use common::name::NodeName;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Disk {
    #[command(subcommand)]
    pub(crate) act: Option<DiskAct>,
    /// Only this node, with everything on its disk and who refers to it.
    #[arg(long)]
    pub(crate) node: Option<NodeName>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DiskAct {
    /// Say what a node would remove of what nobody refers to, the oldest first; with --yes, remove it.
    Collect(Collect),
}

#[derive(Debug, Args)]
pub(crate) struct Collect {
    #[arg(long)]
    pub(crate) node: NodeName,
    /// Only until so much of the disk is free: a number of bytes, or with KiB, MiB, GiB or TiB.
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(crate) until_free: Option<u64>,
    /// Really remove it.
    #[arg(long)]
    pub(crate) yes: bool,
}

fn bytes(text: &str) -> Result<u64, String> {
    let written = "write it as 20GiB, 500MiB, or a number of bytes";
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number: u64 = digits.trim().parse().map_err(|_| written.to_owned())?;
    let unit = match text.get(digits.len()..).unwrap_or_default() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1_u64 << 40,
        _ => return Err(written.to_owned()),
    };
    number.checked_mul(unit).ok_or_else(|| "no disk is that large".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_has_a_unit_or_is_in_bytes() {
        assert_eq!(bytes("1000"), Ok(1000));
        assert_eq!(bytes("20GiB"), Ok(20 << 30));
        assert_eq!(bytes("1 MiB"), Ok(1 << 20));
        for text in ["", "GiB", "1.5GiB", "-1", "20GB", "99999999TiB"] {
            assert!(bytes(text).is_err(), "{text}");
        }
    }
}
