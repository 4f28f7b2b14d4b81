//! Certificates from a real ACME server (Pebble), which asks at the real edge and does not know its own nonces at times.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use adapters::acme::{AcmeAuthority, AcmeSettings};
use async_trait::async_trait;
use common::id::{Epoch, Generation};
use common::name::HostName;
use common::port::edge::{CertificateSet, Challenge, HostCertificate};
use common::port::public_authority::{Account, Error};
use common::port::{Edge as _, EdgeCertificates as _, PublicAuthority as _};
use reqwest::{Certificate, Client};
use serde_json::json;
use testkit::contract::edge::{Apps as _, table};
use testkit::contract::public_authority::{Site, certified, holds, registered};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::sync::Mutex;
use tokio_util::task::AbortOnDropHandle;

use super::{World, free_ports, with_edge};

const SHOP: &str = "shop.example.org";
const BLOCKED: &str = "blocked.example.org";

/// An edge at which an authority asks: what it shows, and what it answers.
struct AtTheEdge<'a> {
    world: &'a World,
    set: Mutex<CertificateSet>,
}

impl AtTheEdge<'_> {
    fn of(world: &World) -> AtTheEdge<'_> {
        let set = CertificateSet { epoch: Epoch(1), ..CertificateSet::default() };
        AtTheEdge { world, set: Mutex::new(set) }
    }

    async fn serve(&self, change: impl FnOnce(&mut CertificateSet)) {
        let mut set = self.set.lock().await;
        change(&mut set);
        set.generation = Generation(set.generation.0 + 1);
        self.world.edge.serve(&set).await.unwrap();
    }
}

#[async_trait]
impl Site for AtTheEdge<'_> {
    async fn answers(&self, challenges: Vec<Challenge>) {
        self.serve(|set| set.challenges = challenges).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "tests on real servers find them by the environment")]
fn program() -> String {
    std::env::var("AVISHKAR_TEST_PEBBLE")
        .expect("this test needs Pebble: run `make test`, or set AVISHKAR_TEST_PEBBLE to its path")
}

/// A Pebble for one edge, for which all host names lead to this machine.
struct Pebble {
    port: u16,
    trusted: String,
    _folder: tempfile::TempDir,
    server: Child,
    _names: AbortOnDropHandle<()>,
}

impl Pebble {
    async fn of(world: &World) -> Pebble {
        let folder = tempfile::tempdir().unwrap();
        let (port, _) = free_ports();
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let config = json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{port}"),
            "managementListenAddress": format!("127.0.0.1:{}", port + 1),
            "certificate": file(folder.path(), "server.pem", &made.cert.pem()),
            "privateKey": file(folder.path(), "server.key", &made.signing_key.serialize_pem()),
            "httpPort": world.host_port,
            "tlsPort": world.tls_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
            "domainBlocklist": [BLOCKED],
            "retryAfter": { "authz": 1, "order": 1 },
        }});
        let config = file(folder.path(), "config.json", &config.to_string());
        let (names, answering) = names().await;
        #[expect(clippy::disallowed_methods, reason = "the server is a program")]
        let server = Command::new(program())
            .args(["-strict", "-config", config.to_str().unwrap()])
            .args(["-dnsserver", &names.to_string()])
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_WFE_NONCEREJECT", "20")
            .env("PEBBLE_AUTHZREUSE", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let trusted = made.cert.pem();
        Pebble { port, trusted, _folder: folder, server, _names: answering }
    }

    fn authority(&self, directory: &str) -> AcmeAuthority {
        AcmeAuthority::new(AcmeSettings {
            directory: format!("https://127.0.0.1:{}/{directory}", self.port),
            contacts: vec!["mailto:ops@example.org".to_owned()],
            trusted: Some(self.trusted.clone().into_bytes()),
        })
        .unwrap()
    }

    /// Whom a visitor has to trust, PEM.
    async fn root(&self) -> Certificate {
        let trusted = Certificate::from_pem(self.trusted.as_bytes()).unwrap();
        let client = Client::builder().no_proxy().tls_certs_only([trusted]).build().unwrap();
        let url = format!("https://127.0.0.1:{}/roots/0", self.port + 1);
        let root = client.get(url).send().await.unwrap().text().await.unwrap();
        Certificate::from_pem(root.as_bytes()).unwrap()
    }
}

fn file(folder: &Path, name: &str, content: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

/// A name server for which every name is this machine; Pebble asks it over TCP.
#[expect(clippy::disallowed_methods, reason = "it answers beside the test")]
async fn names() -> (SocketAddr, AbortOnDropHandle<()>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let answering = tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            tokio::spawn(async move { answer_all(&mut connection).await });
        }
    });
    (address, AbortOnDropHandle::new(answering))
}

/// Until who asks has gone. Questions and answers have their lengths before them.
async fn answer_all(connection: &mut TcpStream) -> io::Result<()> {
    loop {
        let length = connection.read_u16().await?;
        let mut question = vec![0; length.into()];
        connection.read_exact(&mut question).await?;
        let answer = answered(&question);
        connection.write_u16(u16::try_from(answer.len()).unwrap()).await?;
        connection.write_all(&answer).await?;
    }
}

/// The question with its answer: an address for who asks for one of version 4, nothing for all others.
#[expect(clippy::indexing_slicing, reason = "a question that is none ends the test")]
fn answered(question: &[u8]) -> Vec<u8> {
    let name = question[12..].iter().position(|byte| *byte == 0).unwrap();
    let end = 12 + name + 5;
    let is_address = question[end - 4..end - 2] == [0, 1];
    let mut answer = question[..2].to_vec();
    answer.extend([0x81, 0x80, 0, 1, 0, u8::from(is_address), 0, 0, 0, 0]);
    answer.extend(&question[12..end]);
    if is_address {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
    }
    answer
}

fn host(name: &str) -> HostName {
    name.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn pebble_that_asks_at_the_edge_keeps_the_contract() {
    with_edge(async |world| {
        let pebble = Pebble::of(world).await;
        holds(&pebble.authority("dir"), &AtTheEdge::of(world)).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn visitors_are_shown_what_the_authority_made_also_after_it_was_renewed() {
    with_edge(async |world| {
        let app = world.apps.start(204).await;
        world.edge.load(&table(1, 1, &[("shop", world.first, &[app])])).await.unwrap();
        let (pebble, site) = (Pebble::of(world).await, AtTheEdge::of(world));
        let authority = pebble.authority("dir");
        let account = registered(&authority).await;
        let visitor = Client::builder()
            .no_proxy()
            .tls_certs_only([pebble.root().await])
            .pool_max_idle_per_host(0)
            .resolve(SHOP, (Ipv4Addr::LOCALHOST, world.tls_port).into())
            .build()
            .unwrap();
        let mut keys = Vec::new();
        // The second time the edge sends visitors to TLS, and answers the authority without.
        for _ in 0..2 {
            let papers = certified(&authority, &account, &site, &host(SHOP)).await;
            keys.push(papers.key.clone());
            let shown = HostCertificate { host: host(SHOP), papers, redirect: true };
            site.serve(|set| set.certificates = vec![shown]).await;
            let url = format!("https://{SHOP}:{}/", world.tls_port);
            assert_eq!(visitor.get(url).send().await.unwrap().status(), 204);
        }
        assert_ne!(keys[0], keys[1]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_authority_refuses_is_told_in_its_words_and_its_absence_as_such() {
    with_edge(async |world| {
        let mut pebble = Pebble::of(world).await;
        let authority = pebble.authority("dir");
        let account = registered(&authority).await;
        let ordered = async || {
            loop {
                match authority.order(&account, &host(BLOCKED)).await {
                    Err(err) if err.is_retryable() => {}
                    done => return done,
                }
            }
        };
        let refused = ordered().await.unwrap_err();
        let Error::Refused { kind, detail, .. } = &refused else { panic!("{refused:?}") };
        assert!(kind == "rejectedIdentifier" && detail.contains(BLOCKED), "{kind}: {detail}");

        // Something else than a directory, another program, and nobody.
        let wrong = pebble.authority("none").register().await.unwrap_err();
        assert!(wrong.is_retryable(), "{wrong:?}");
        let untrusted = AcmeSettings {
            directory: format!("https://127.0.0.1:{}/dir", pebble.port),
            contacts: Vec::new(),
            trusted: None,
        };
        let untrusted = AcmeAuthority::new(untrusted).unwrap().register().await.unwrap_err();
        assert!(untrusted.is_retryable(), "{untrusted:?}");
        // Another server of the same name does not know the account.
        let other = Pebble::of(world).await;
        let stranger = account.0.replace(&pebble.port.to_string(), &other.port.to_string());
        let stranger = Account(stranger);
        registered(&other.authority("dir")).await;
        let unknown = loop {
            match other.authority("dir").order(&stranger, &host(SHOP)).await {
                Err(err) if err.is_retryable() => {}
                done => break done.unwrap_err(),
            }
        };
        assert!(unknown.is_unknown_account(), "{unknown:?}");
        pebble.server.kill().await.unwrap();
        assert!(authority.order(&account, &host(SHOP)).await.unwrap_err().is_retryable());
    })
    .await;
}

#[test]
fn a_question_is_answered_with_this_machine() {
    let question = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x04shop\x07example\x03org\0\0\x01\0\x01";
    let answer = answered(question);
    assert_eq!(answer[..4], [0x12, 0x34, 0x81, 0x80]);
    assert_eq!(answer[answer.len() - 4..], [127, 0, 0, 1]);
}
