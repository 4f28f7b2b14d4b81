//! Services of one process: one of them is begun anew while the others go on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use actix_web::http::Method;
use actix_web::web::{Data, ServiceConfig, to};
use async_trait::async_trait;
use chassis::http::{Access, Config, Endpoint, Listener, mount};
use chassis::lifecycle::Lifecycle;
use chassis::process::{Make, NotRestarted, Part, Process, Roster, Turn};
use chassis::service::{self, Service};
use common::service::ServiceName;
use tokio::time::{sleep, timeout};

/// Says which of its lives it is.
struct Numbered {
    name: ServiceName,
    life: u32,
    ends: Ends,
}

#[derive(Clone, Copy)]
enum Ends {
    Well,
    /// It does not listen, as in an endless computation that awaits now and then.
    Never,
}

const ENDPOINTS: &[Endpoint] =
    &[Endpoint::new(Method::GET, "/life", Access::Anyone, &[], || to(life))];

async fn life(life: Data<u32>) -> String {
    life.to_string()
}

#[async_trait]
impl Service for Numbered {
    fn name(&self) -> ServiceName {
        self.name
    }

    fn public_routes(&self, routes: &mut ServiceConfig) {
        routes.app_data(Data::new(self.life));
        mount(ENDPOINTS, Listener::Plain { document_001_gets: false }, routes);
    }

    async fn run(&self, lifecycle: Lifecycle) -> Result<(), service::Error> {
        match self.ends {
            Ends::Well => lifecycle.stopping().await,
            Ends::Never => std::future::pending().await,
        }
        Ok(())
    }
}

fn config() -> Config {
    Config {
        address: Some("127.0.0.1:0".parse().unwrap()),
        internal_address: None,
        advertised: "192.0.2.1:8050".to_owned(),
        pki: "/nowhere".into(),
        workers: 1,
        cors_origins: Vec::new(),
        document_001_gets: false,
    }
}

/// Each life has the next number.
fn renewable(name: ServiceName, ends: Ends) -> Part {
    let lives = AtomicU32::new(0);
    let make: Make = Box::new(move || {
        let life = lives.fetch_add(1, Ordering::Relaxed) + 1;
        Ok(Arc::new(Numbered { name, life, ends }))
    });
    Part::renewable(make, config()).unwrap()
}

fn address(roster: &Roster, service: ServiceName) -> SocketAddr {
    roster.members().remove(&service).unwrap().plain.unwrap()
}

async fn told(client: &reqwest::Client, at: SocketAddr) -> Option<String> {
    let answer = client.get(format!("http://{at}/life")).send().await.ok()?;
    answer.text().await.ok()
}

/// Waits until the service says that it is in this life.
async fn until_life(client: &reqwest::Client, at: SocketAddr, life: u32) {
    let waiting = async {
        while told(client, at).await != Some(life.to_string()) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(10), waiting).await.expect("it happens in time");
}

/// Runs the process for as long as the story takes; then one of its services ends, and so it ends.
async fn during(process: Process, roster: &Roster, story: impl Future<Output = ()>) {
    let story = async {
        story.await;
        let (_, lifecycle) = roster.lifecycles().pop().unwrap();
        lifecycle.stop();
    };
    let (ran, ()) = futures::join!(process.run(), story);
    ran.unwrap();
    assert_eq!(roster.restart(ServiceName::LoadBalancer), Err(NotRestarted::Stopping));
}

#[tokio::test]
async fn a_service_that_is_begun_anew_keeps_its_address_and_leaves_the_others_alone() {
    let roster = Roster::default();
    let other = Numbered { name: ServiceName::NodeAgent, life: 7, ends: Ends::Well };
    let parts = vec![
        renewable(ServiceName::LoadBalancer, Ends::Well),
        Part::fixed(Arc::new(other), config()),
    ];
    let process = Process::bind(parts, None, &roster).unwrap();
    during(process, &roster, async {
        let client = reqwest::Client::new();
        let balancer = address(&roster, ServiceName::LoadBalancer);
        let agent = address(&roster, ServiceName::NodeAgent);
        until_life(&client, balancer, 1).await;
        until_life(&client, agent, 7).await;
        for life in 2..=4 {
            let before = roster.members();
            roster.restart(ServiceName::LoadBalancer).unwrap();
            roster.restart(ServiceName::LoadBalancer).unwrap();
            // Whoever has a connection open holds nothing up.
            until_life(&client, balancer, life).await;
            let now = roster.members();
            let (one, two) =
                (&before[&ServiceName::LoadBalancer], &now[&ServiceName::LoadBalancer]);
            assert_eq!((two.restarts, two.plain), (life - 1, Some(balancer)));
            let (Turn::Runs { since: then }, Turn::Runs { since }) = (one.turn, two.turn) else {
                panic!("{before:?} {now:?}")
            };
            assert!(since > then);
            assert_eq!(now[&ServiceName::NodeAgent].restarts, 0);
            assert_eq!(told(&client, agent).await.unwrap(), "7");
        }
        assert_eq!(roster.restart(ServiceName::NodeAgent), Err(NotRestarted::Fixed));
        assert_eq!(roster.restart(ServiceName::Monitoring), Err(NotRestarted::Absent));
    })
    .await;
}

#[tokio::test]
async fn a_service_that_does_not_end_is_begun_anew_all_the_same() {
    let roster = Roster::default();
    let other = Numbered { name: ServiceName::NodeAgent, life: 7, ends: Ends::Well };
    let parts = vec![
        renewable(ServiceName::LoadBalancer, Ends::Never),
        Part::fixed(Arc::new(other), config()),
    ];
    let process = Process::bind(parts, None, &roster).unwrap();
    let story = async {
        let client = reqwest::Client::new();
        let balancer = address(&roster, ServiceName::LoadBalancer);
        until_life(&client, balancer, 1).await;
        roster.restart(ServiceName::LoadBalancer).unwrap();
        until_life(&client, balancer, 2).await;
    };
    tokio::select! {
        biased;
        () = story => {}
        ended = process.run() => panic!("the process ended: {ended:?}"),
    }
}
