//! `avishkar setup`: the certificates and secrets of a cluster, made once, before anything starts.
//!
//! Each service and node gets a folder of its own with its certificate, its key and the CA's
//! certificate; the CA's key stays in a folder that only this command sees.

mod pki;

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, chown};
use std::path::Path;

use anyhow::Context as _;
use chassis::system::SystemEntropy;
use common::digest::hex;
use common::port::Entropy as _;
use common::service::ServiceName;

use crate::cli::Setup;
use crate::output::Output;

pub(crate) fn run(args: &Setup, output: Output) -> anyhow::Result<()> {
    let mut made: Vec<String> = Vec::new();
    let pki = pki::Pki::load_or_make(&args.pki.join("ca"))?;
    for service in ServiceName::ALL {
        if service == ServiceName::NodeAgent {
            continue;
        }
        let folder = args.pki.join(service.as_str());
        if pki.issue(&folder, service, &[], Some(args.owner))? {
            made.push(service.to_string());
        }
    }
    for (node, ip) in &args.nodes {
        let names = [node.to_string(), ip.to_string()];
        if pki.issue(&args.pki.join(node.as_str()), ServiceName::NodeAgent, &names, None)? {
            made.push(node.to_string());
        }
    }
    for (service, name, what) in [
        (ServiceName::AppManager, "jwt", "the token secret"),
        (ServiceName::LoadBalancer, "seal", "the secret for keys of certificates"),
    ] {
        if secret(&args.secrets.join(service.as_str()).join(name), Some(args.owner))? {
            made.push(what.to_owned());
        }
    }
    let text = if made.is_empty() {
        "everything is there".to_owned()
    } else {
        format!("made: {}", made.join(", "))
    };
    output.answer(&serde_json::json!({ "made": made }), &text)
}

/// Makes a secret where it is missing. Says whether it was.
pub(crate) fn secret(file: &Path, owner: Option<u32>) -> anyhow::Result<bool> {
    if file.exists() {
        return Ok(false);
    }
    write_private(file, hex(&SystemEntropy.secret()).as_bytes(), owner)?;
    Ok(true)
}

/// Writes a file that only its owner can read: to a temporary name, then by rename.
fn write_private(path: &Path, content: &[u8], owner: Option<u32>) -> anyhow::Result<()> {
    let folder = path.parent().context("a secret has a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let part = path.with_extension("part");
    let mut options = OpenOptions::new();
    let mut file = options
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(&part)
        .with_context(|| format!("{} cannot be written", part.display()))?;
    file.write_all(content)?;
    file.sync_all()?;
    if let Some(owner) = owner {
        chown(&part, Some(owner), Some(owner))
            .with_context(|| format!("{} cannot be given away", part.display()))?;
    }
    fs::rename(&part, path).with_context(|| format!("{} cannot be written", path.display()))
}
