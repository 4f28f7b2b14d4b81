//! Visitors of a host name over TLS: the certificate that somebody gave, HTTP/2, and the way there for who comes without.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use common::port::authority::Papers;
use e2e::cluster;
use e2e::platform::{User, sample};
use e2e::wait;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, Response, Version};
use tempfile::TempDir;
use testkit::contract::edge_certificates::papers;

use crate::{SOON, cluster_is_ready};

const APP: &str = "sealed";
const HOST: &str = "sealed.example.org";
/// Of the edge, as compose.yaml starts it.
const PLAIN_PORT: u16 = 8088;
const TLS_PORT: u16 = 8443;

/// The sample with a host name, whose visitors are sent to TLS.
fn app() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::copy(sample("hello").join("main.py"), folder.path().join("main.py")).unwrap();
    let settings =
        format!("health = \"/health\"\n[edge]\nhosts = [\"{HOST}\"]\nhttps = \"redirect\"\n");
    fs::write(folder.path().join("avishkar.toml"), settings).unwrap();
    folder
}

/// Who trusts this certificate alone, and makes a connection for each request.
fn trusting(trusted: &Papers) -> Client {
    Client::builder()
        .tls_certs_only([Certificate::from_pem(trusted.certificate.as_bytes()).unwrap()])
        .redirect(Policy::none())
        .pool_max_idle_per_host(0)
        .timeout(Duration::from_secs(5))
        // The ports are those of the URLs.
        .resolve(HOST, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .build()
        .unwrap()
}

async fn over_tls(visitor: &Client) -> anyhow::Result<Response> {
    let url = format!("https://{HOST}:{TLS_PORT}/");
    Ok(visitor.get(url).send().await?.error_for_status()?)
}

async fn is_served(visitor: &Client) {
    wait::until("it is served over TLS", SOON, async || {
        let answer = over_tls(visitor).await?;
        ensure!(answer.version() == Version::HTTP_2, "{:?}", answer.version());
        let said = answer.text().await?;
        ensure!(said.contains(APP), "{said}");
        Ok(())
    })
    .await
    .unwrap();
}

fn write(folder: &Path, certificate: &str, key: &str) -> [String; 2] {
    [("certificate.pem", certificate), ("key.pem", key)].map(|(name, text)| {
        let file = folder.join(name);
        fs::write(&file, text).unwrap();
        file.to_str().unwrap().to_owned()
    })
}

#[tokio::test]
async fn a_host_name_is_served_over_tls_by_a_certificate_that_was_given() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    user.deploy(app().path(), APP, 1).await.unwrap();
    let (ours, theirs) = (papers(&[HOST]), papers(&[HOST]));
    let visitor = trusting(&ours);
    let folder = tempfile::tempdir().unwrap();
    let add = async |certificate: &str, key: &str| {
        let [certificate, key] = write(folder.path(), certificate, key);
        user.run(&["certificate", "add", HOST, "--certificate", &certificate, "--key", &key]).await
    };
    let added = add(&ours.certificate, &ours.key).await.unwrap();
    assert_eq!(added.code, 0, "{added:?}");
    is_served(&visitor).await;
    let plain = format!("http://{HOST}:{PLAIN_PORT}/basket?item=1");
    let sent = visitor.get(&plain).send().await.unwrap();
    assert_eq!(sent.status(), 308);
    let there = format!("https://{HOST}:{TLS_PORT}/basket?item=1");
    assert_eq!(sent.headers()["location"], there.as_str());

    let refused = add(&ours.certificate, &theirs.key).await.unwrap();
    assert!(
        refused.code != 0 && refused.stderr.contains("CERTIFICATE_KEY_MISMATCH"),
        "{refused:?}"
    );
    is_served(&visitor).await;
    // It keeps what it shows, and nobody is there to tell it again.
    cluster::kill("load-balancer").await.unwrap();
    cluster::kill("edge").await.unwrap();
    cluster::start("edge").await.unwrap();
    is_served(&visitor).await;
    cluster::start("load-balancer").await.unwrap();
    cluster::ready(Duration::from_mins(2)).await.unwrap();

    user.does(&["certificate", "remove", HOST]).await.unwrap();
    wait::until("no certificate is shown", SOON, async || {
        // Who has been there may go on with what was agreed on then.
        let answer = over_tls(&trusting(&ours)).await;
        ensure!(answer.is_err(), "it is still served: {answer:?}");
        Ok(())
    })
    .await
    .unwrap();
    assert_eq!(visitor.get(&plain).send().await.unwrap().status(), 200, "and nobody is sent there");
    user.does(&["stop", APP]).await.unwrap();
}
