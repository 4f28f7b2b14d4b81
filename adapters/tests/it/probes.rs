//! The contract of looking at services, on services that listen.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use adapters::HttpProbes;
use async_trait::async_trait;
use chassis::system::SystemClock;
use common::port::Probes as _;
use common::port::probes::Seen;
use common::service::ServiceName;
use testkit::contract::probes::{Services, holds};
use testkit::probes::Service;
use testkit::{MemoryContainers, MemoryRegistry};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::agent::{NoFirewall, while_serving_behind};

struct Listening;

#[async_trait]
impl Services for Listening {
    #[expect(clippy::disallowed_methods, reason = "the service runs beside the test")]
    async fn start(&self, service: Service) -> String {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(answer(connection, service.clone()));
            }
        });
        address
    }

    async fn nobody(&self) -> String {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        listener.local_addr().unwrap().to_string()
    }
}

async fn answer(mut connection: TcpStream, service: Service) {
    let mut request = vec![0; 4096];
    let length = connection.read(&mut request).await.unwrap_or_default();
    let request = String::from_utf8_lossy(request.get(..length).unwrap()).into_owned();
    let path = request.split(' ').nth(1).unwrap_or_default();
    let (status, text) = match (service, path) {
        (Service::Hangs, _) => return std::future::pending().await,
        (Service::Well, "/health") => (200, "Ok".to_owned()),
        (Service::WellByDocument000, "/healthCheck") => (200, "ok".to_owned()),
        (Service::Answers(status, text), "/health") => (status, text),
        (Service::Well | Service::WellByDocument000 | Service::Answers(..), _) => {
            (404, "nothing is here".to_owned())
        }
    };
    // Whoever follows it comes to a service that is well.
    let head = format!(
        "HTTP/1.1 {status} x\r\nlocation: /health\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        if status == 204 { 0 } else { text.len() }
    );
    connection.write_all(head.as_bytes()).await.ok();
    if status != 204 {
        connection.write_all(text.as_bytes()).await.ok();
    }
}

#[tokio::test]
async fn looking_over_http_keeps_the_contract() {
    chassis::tls::install_cryptography();
    holds(&HttpProbes::new().unwrap(), &Listening).await;
}

#[tokio::test]
async fn only_monitoring_looks_inside_and_a_stranger_learns_nothing() {
    let containers =
        Arc::new(MemoryContainers::new(Arc::new(SystemClock), MemoryRegistry::default()));
    while_serving_behind(Arc::new(NoFirewall), containers, async |served| {
        let (address, within) = (served.agent.address, Duration::from_secs(5));
        let look = async |probes: HttpProbes| probes.look_inside(address, within).await;
        assert_eq!(look(served.probes_of(ServiceName::Monitoring)).await, Seen::Well);
        // The load balancer may ask an agent for samples, and its health too.
        assert_eq!(look(served.probes_of(ServiceName::LoadBalancer)).await, Seen::Well);
        assert_eq!(look(HttpProbes::new().unwrap()).await, Seen::Unknown);
        let plain = HttpProbes::new().unwrap().look(&address.to_string(), within).await;
        assert!(matches!(plain, Seen::Ill(_)), "{plain:?}");
    })
    .await;
}
