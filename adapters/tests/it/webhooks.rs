//! Telling receivers that listen.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use adapters::WebhookClient;
use adapters::webhooks::{Reach, Receiver};
use bytes::Bytes;
use common::port::Webhooks as _;
use common::port::webhooks::{Error, Notice};
use testkit::ManualClock;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use uuid::Uuid;

const SECRET: &[u8] = b"0123456789abcdef";
const BODY: &str = "{\"a\":1}";

/// A receiver that answers with these statuses, one after another, and says what it was sent.
#[expect(clippy::disallowed_methods, reason = "the receiver runs beside the test")]
async fn receiver(statuses: Vec<u16>) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sent, received) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        for status in statuses {
            let (mut connection, _) = listener.accept().await.unwrap();
            let mut request = String::new();
            while !request.ends_with(BODY) {
                let mut part = vec![0; 4096];
                let length = connection.read(&mut part).await.unwrap();
                assert!(length > 0, "the request ends early: {request}");
                request.push_str(&String::from_utf8_lossy(part.get(..length).unwrap()));
            }
            sent.send(request).unwrap();
            let answer = format!(
                "HTTP/1.1 {status} x\r\nlocation: http://{address}/elsewhere\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            );
            connection.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (address, received)
}

fn client(url: &str, reach: Reach) -> WebhookClient {
    chassis::tls::install_cryptography();
    let receiver = Receiver::new(url, SECRET, reach).unwrap();
    let receivers = BTreeMap::from([("pager".to_owned(), receiver)]);
    WebhookClient::new(receivers, Arc::new(ManualClock::default())).unwrap()
}

fn notice() -> Notice {
    Notice { id: Uuid::from_u128(7), body: Bytes::from_static(BODY.as_bytes()) }
}

#[tokio::test]
async fn a_receiver_gets_the_body_its_id_and_its_signature() {
    let (address, mut received) = receiver(vec![200]).await;
    let client = client(&format!("http://{address}/hook"), Reach::Anywhere);
    client.tell("pager", &notice()).await.unwrap();
    let request = received.recv().await.unwrap();
    assert!(request.starts_with("POST /hook HTTP/1.1\r\n"), "{request}");
    // Made with: printf '1767225600.{"a":1}' | openssl dgst -sha256 -hmac 0123456789abcdef
    for header in [
        "content-type: application/json",
        "x-avishkar-delivery: 00000000-0000-0000-0000-000000000007",
        "x-avishkar-timestamp: 1767225600",
        "x-avishkar-signature: sha256=539b0e21b535c5201ef7d1453c0a0de4ad132293226de9018be0cfbf0092faa6",
    ] {
        assert!(request.contains(&format!("\r\n{header}\r\n")), "{header} in {request}");
    }
    assert!(request.ends_with(&format!("\r\n\r\n{BODY}")), "{request}");
}

#[tokio::test]
async fn what_is_no_success_was_not_told_and_a_redirect_is_not_followed() {
    let (address, mut received) = receiver(vec![500, 302, 204]).await;
    let client = client(&format!("http://{address}/hook"), Reach::Anywhere);
    for expected in [500, 302] {
        let refused = client.tell("pager", &notice()).await.unwrap_err();
        assert!(matches!(refused, Error::Refused { status } if status == expected), "{refused:?}");
    }
    client.tell("pager", &notice()).await.unwrap();
    for _ in 0..3 {
        let request = received.recv().await.unwrap();
        assert!(request.starts_with("POST /hook "), "{request}");
    }
}

#[tokio::test]
async fn a_name_that_leads_inside_is_refused_and_nobody_is_connected_to() {
    let client = client("https://localhost:1/hook", Reach::PublicOnly);
    let refused = client.tell("pager", &notice()).await.unwrap_err();
    assert!(matches!(refused, Error::Forbidden), "{refused:?}");
}

#[tokio::test]
async fn nobody_is_told_in_vain_and_no_error_names_the_url() {
    let (address, _) = receiver(Vec::new()).await;
    let client = client(&format!("http://{address}/hidden-token"), Reach::Anywhere);
    let refused = client.tell("pager", &notice()).await.unwrap_err();
    assert!(matches!(refused, Error::Unavailable(_)), "{refused:?}");
    assert!(!format!("{refused:?}").contains("hidden-token"), "{refused:?}");
    let unknown = client.tell("nobody", &notice()).await.unwrap_err();
    assert!(matches!(unknown, Error::Unknown), "{unknown:?}");
}
