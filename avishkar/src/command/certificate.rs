//! `avishkar certificate`: what visitors of host names are shown over TLS.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use common::name::HostName;
use common::port::authority::Papers;
use common::port::certificates::{HostCertificate, HostOrder, Listed};
use reqwest::Method;

use crate::cli::{Certificate, CertificateAdd, CertificateRemove};
use crate::client::{ANSWER_WITHIN, Client};
use crate::failure::Failure;
use crate::output::{Output, table};

/// A chain of ten certificates takes less.
const LARGEST_FILE: u64 = 256 * 1024;

pub(crate) async fn run(client: &Client, args: Certificate, output: Output) -> anyhow::Result<()> {
    match args {
        Certificate::Add(args) => add(client, &args, output).await,
        Certificate::List => list(client, output).await,
        Certificate::Remove(args) => remove(client, &args, output).await,
    }
}

async fn add(client: &Client, args: &CertificateAdd, output: Output) -> anyhow::Result<()> {
    let papers = Papers { certificate: read(&args.certificate)?, key: read(&args.key)? };
    let request = client.request(Method::PUT, &path(&args.host))?;
    let told: HostCertificate = client.send(request.timeout(ANSWER_WITHIN).json(&papers)).await?;
    let text = format!("visitors of {} are shown it until {}", told.host, told.not_after);
    output.answer(&told, &text)
}

async fn list(client: &Client, output: Output) -> anyhow::Result<()> {
    let listed: Listed = client.get("/api/v1/certificates").await?;
    output.answer(&listed, &text(&listed))
}

async fn remove(client: &Client, args: &CertificateRemove, output: Output) -> anyhow::Result<()> {
    let request = client.request(Method::DELETE, &path(&args.host))?;
    client.open(request.timeout(ANSWER_WITHIN)).await?;
    let text = format!("visitors of {} are shown none any more", args.host);
    output.answer(&serde_json::json!({ "host": args.host }), &text)
}

fn path(host: &HostName) -> String {
    format!("/api/v1/certificates/{host}")
}

fn read(path: &Path) -> Result<String, Failure> {
    let unusable = |why: String| Failure::Usage(format!("{}: {why}", path.display()));
    let file = File::open(path).map_err(|err| unusable(err.to_string()))?;
    let mut text = String::new();
    file.take(LARGEST_FILE)
        .read_to_string(&mut text)
        .map_err(|_| unusable("it is not text; give it as PEM".to_owned()))?;
    Ok(text)
}

fn text(listed: &Listed) -> String {
    let mut text = shown(&listed.certificates);
    for HostOrder { host, failed } in &listed.orders {
        text.push_str(&match failed {
            None => format!("\n{host}: the public authority is asked for one"),
            Some(failed) => format!(
                "\n{host}: {}: {}\n  hint: {}\n  tried again at {}",
                failed.code, failed.problem, failed.hint, failed.next_try
            ),
        });
    }
    text
}

fn shown(certificates: &[HostCertificate]) -> String {
    if certificates.is_empty() {
        return "no host name has a certificate".to_owned();
    }
    let row = |one: &HostCertificate| {
        vec![one.host.to_string(), one.not_after.to_string(), one.issuer.clone()]
    };
    table(&["HOST", "VALID UNTIL", "ISSUER"], &certificates.iter().map(row).collect::<Vec<_>>())
}
