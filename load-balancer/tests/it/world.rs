//! The world around the load balancer, and a caller of its HTTP interface.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use actix_web::dev::Service as _;
use actix_web::http::Method;
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::{App, HttpMessage as _, http::header};
use bytes::Bytes;
use chassis::http::Caller;
use chassis::lifecycle::Lifecycle;
use chassis::service::Service as _;
use common::id::{Generation, RequestId, SlotNumber};
use common::message::{Event, LoadBalancerCommand};
use common::name::LegacyName;
use common::port::edge::{EdgeOptions, Upstream, Weight};
use common::port::routes::WantedRoute;
use common::port::store::Path;
use common::port::{Certificates, PublicAuthority};
use common::record::deployment::{Goal, SlotState, State};
use common::record::leader::Advertised;
use common::record::path;
use common::record::route::{FrontPortLease, Route};
use common::service::ServiceName;
use common::topic::Topic;
use futures::future::LocalBoxFuture;
use load_balancer::{Config, LoadBalancer, Ports};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use testkit::{ManualClock, MemoryAuthority, MemoryBus, MemoryEdge, MemoryNodes, MemoryStore};
use uuid::Uuid;

pub(crate) const DRAIN_WITHIN: Duration = Duration::from_secs(10);
pub(crate) const CONFIRM_WITHIN: Duration = Duration::from_secs(15);

/// Everything that outlives a life of the service.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) store: MemoryStore,
    pub(crate) bus: MemoryBus,
    pub(crate) edge: MemoryEdge,
    pub(crate) authority: Option<MemoryAuthority>,
    pub(crate) nodes: MemoryNodes,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) config: Config,
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::ticking());
        World {
            store: MemoryStore::new(),
            bus: MemoryBus::new(clock.clone()).with_topics(),
            edge: MemoryEdge::default(),
            authority: None,
            nodes: MemoryNodes::new(clock.clone()),
            clock,
            config: Config {
                advertised_ip: [192, 0, 2, 10].into(),
                other: None,
                first_port: 2000,
                last_port: 2999,
                confirm_within: CONFIRM_WITHIN,
                drain_within: DRAIN_WITHIN,
                max_replicas: 20,
                scale_within: Duration::from_mins(2),
                window_samples: 5,
                brake_after: 3,
                default_bounds: None,
                exports: None,
                first_host_port: 20000,
                seal_file: PathBuf::from("/nowhere/seal"),
                document_001_gets: true,
                advertised: Advertised::plain("192.0.2.10:8050"),
            },
        }
    }

    /// One life of the service, for as long as the story lasts; its end is a crash.
    pub(crate) async fn live<T>(&self, story: impl AsyncFnOnce(Api) -> T) -> T {
        let service = LoadBalancer::new(self.ports(), self.config.clone());
        let api = Api::of(&service).await;
        let lifecycle = Lifecycle::new();
        tokio::select! {
            biased;
            told = story(api) => told,
            ended = service.run(lifecycle) => panic!("the service ended: {ended:?}"),
        }
    }

    /// One life that crashes after it was polled `polls` times; says whether the story ended before.
    pub(crate) async fn live_for(&self, polls: u32, story: impl AsyncFnOnce(Api)) -> bool {
        let left = Cell::new(polls);
        let mut life = pin!(self.live(story));
        poll_fn(|context| match life.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(true),
            Poll::Pending if left.get() == 0 => Poll::Ready(false),
            Poll::Pending => {
                left.set(left.get() - 1);
                Poll::Pending
            }
        })
        .await
    }

    pub(crate) fn ports(&self) -> Ports {
        Ports {
            bus: Arc::new(self.bus.clone()),
            store: Arc::new(self.store.clone()),
            edge: Arc::new(self.edge.clone()),
            certificates: Arc::new(self.edge.clone()),
            other: None,
            authority: self.authority.clone().map(|one| Arc::new(one) as Arc<dyn PublicAuthority>),
            nodes: Arc::new(self.nodes.clone()),
            clock: self.clock.clone(),
        }
    }

    fn below<T: DeserializeOwned>(&self, folder: &Path) -> Vec<(Path, T)> {
        let records = self.store.records(folder).into_iter();
        let below = records.filter(|(path, value)| path != folder && !value.is_empty());
        below.map(|(path, value)| (path, serde_json::from_slice(&value).unwrap())).collect()
    }

    pub(crate) fn routes(&self) -> Vec<Route> {
        self.below(&path::folder("routes")).into_iter().map(|(_, route)| route).collect()
    }

    pub(crate) fn leases(&self) -> Vec<(u16, FrontPortLease)> {
        let found = self.below(&path::folder("ports/edge")).into_iter();
        found.map(|(path, lease)| (path.name().parse().unwrap(), lease)).collect()
    }

    pub(crate) fn scale(&self, instance: &str) -> Option<Value> {
        self.value(&path::scale(&name(instance)))
    }

    pub(crate) fn value(&self, path: &Path) -> Option<Value> {
        let found = self.store.records(path).into_iter().find(|(at, _)| at == path);
        found.map(|(_, value)| serde_json::from_slice(&value).unwrap())
    }

    /// The instance has been deployed, as the deployment manager would write it.
    pub(crate) fn deploy(&self, instance: &str, goal: Goal, state: State) {
        self.deploy_again(1, instance, goal, state);
    }

    /// A deployment with replicas at 20000 and the next ports, which may serve while it is to run.
    pub(crate) fn deploy_again(&self, generation: u64, instance: &str, goal: Goal, state: State) {
        let in_service = if goal == Goal::Running { SlotState::Routed } else { SlotState::Drained };
        let slot = |number: u32| {
            json!({
                "number": number,
                "generation": generation,
                "placement_request": Uuid::from_u128(number.into()),
                "state": in_service,
                "since": "2026-01-01T00:00:00Z",
                "place": { "node": "node-1", "ip": "192.0.2.1", "host_port": 19_999 + number },
            })
        };
        let record = json!({
            "schema": 1,
            "instance": instance,
            "app": "shop",
            "release": 1,
            "generation": generation,
            "goal": goal,
            "state": state,
            "request": Uuid::from_u128(77),
            "deadline": "2026-01-01T00:00:00Z",
            "serving": (state == State::Running).then(|| json!({
                "generation": generation,
                "release": 1,
                "image": format!("registry.example.org/apps/shop@sha256:{:064}", 1),
            })),
            "slots": (1..=4).map(slot).collect::<Vec<_>>(),
            "updated_at": "2026-01-01T00:00:00Z",
        });
        self.write(&path::deployment(&name(instance)), &record);
    }

    /// The same after it was stopped.
    pub(crate) fn deploy_anew(&self, generation: u64, instance: &str) {
        self.deploy_again(generation, instance, Goal::Running, State::Running);
        let path = path::deployment(&name(instance));
        let mut record = self.value(&path).unwrap();
        record["since"] = generation.into();
        self.write(&path, &record);
    }

    pub(crate) fn add_node(&self, node: &str, host: u8) {
        let record = json!({
            "schema": 1,
            "name": node,
            "ip": format!("192.0.2.{host}"),
            "agent": format!("192.0.2.{host}:7443"),
            "os": "linux",
        });
        self.write(&path::node(&node.parse().unwrap()), &record);
    }

    pub(crate) fn write(&self, path: &Path, record: &Value) {
        self.store.seed(path, Bytes::from(record.to_string()));
    }

    /// Sends a command as another service does.
    pub(crate) fn send(&self, request: u128, command: &LoadBalancerCommand) {
        let id = RequestId(Uuid::from_u128(request));
        self.bus.inject(&command.envelope(Topic::FirstTopic, id));
    }

    /// Waits until so many messages stand on `first_topic`, and returns all of them.
    pub(crate) async fn told(&self, count: usize) -> Vec<String> {
        self.bus.wait_for(Topic::FirstTopic, |records| records.len() >= count).await;
        self.bus.messages(Topic::FirstTopic).into_iter().map(|envelope| envelope.msg).collect()
    }

    /// The events of `first_topic` so far.
    pub(crate) fn events(&self) -> Vec<Event> {
        let messages = self.bus.messages(Topic::FirstTopic).into_iter();
        messages.map(|envelope| Event::decode(&envelope.msg).unwrap()).collect()
    }
}

pub(crate) fn name(text: &str) -> LegacyName {
    text.parse().unwrap()
}

/// Returns once something holds; in paused time at most ten minutes later.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..60_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("in ten minutes it did not happen that {what}");
}

/// A wanted route to replicas at these ports of 192.0.2.1.
pub(crate) fn wanted(instance: &str, generation: u64, ports: &[u16]) -> WantedRoute {
    let upstream = |(port, slot): (&u16, u32)| Upstream {
        ip: [192, 0, 2, 1].into(),
        port: *port,
        slot: SlotNumber(slot),
        weight: Weight::ONE,
    };
    WantedRoute {
        instance: name(instance),
        generation: Generation(generation),
        revision: 0,
        upstreams: ports.iter().zip(1..).map(upstream).collect(),
        image: "shop_img".to_owned(),
        container_port: 8080,
        container_ids: vec!["abc".to_owned()],
        edge: EdgeOptions::default(),
    }
}

pub(crate) fn replica(port: u16) -> SocketAddr {
    ([192, 0, 2, 1], port).into()
}

/// An answer: status and body, JSON where it is JSON.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) allow: Option<String>,
}

impl Answer {
    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }

    pub(crate) fn port(&self) -> u16 {
        assert_eq!(self.status, 200, "{self:?}");
        u16::try_from(self.body["front_port"].as_u64().unwrap()).unwrap()
    }

    pub(crate) fn text(&self) -> &str {
        self.body.as_str().unwrap()
    }
}

type Call = dyn Fn(TestRequest) -> LocalBoxFuture<'static, Answer>;

/// Calls both listeners' routes without sockets, as the deployment manager.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) certificates: Arc<dyn Certificates>,
    public: Rc<Call>,
    internal: Rc<Call>,
}

macro_rules! listener {
    ($service:expr, $routes:ident) => {{
        let service = $service.clone();
        let app = App::new()
            .app_data(chassis::http::json_config())
            .app_data(chassis::http::path_config())
            .app_data(chassis::http::query_config())
            .wrap_fn(|request, service| {
                request.extensions_mut().insert(Caller(ServiceName::DeploymentManager));
                service.call(request)
            })
            .configure(move |routes| service.$routes(routes));
        let app = Rc::new(init_service(app).await);
        let call = move |request: TestRequest| -> LocalBoxFuture<'static, Answer> {
            let app = Rc::clone(&app);
            Box::pin(async move {
                let response = call_service(&*app, request.to_request()).await;
                let status = response.status().as_u16();
                let allow = response.headers().get(header::ALLOW);
                let allow = allow.map(|value| value.to_str().unwrap().to_owned());
                let body = read_body(response).await;
                let text = || Value::String(String::from_utf8_lossy(&body).into_owned());
                let body = serde_json::from_slice(&body).unwrap_or_else(|_| text());
                Answer { status, body, allow }
            })
        };
        let call: Rc<Call> = Rc::new(call);
        call
    }};
}

impl Api {
    async fn of(service: &LoadBalancer) -> Self {
        Api {
            certificates: service.local_certificates(),
            public: listener!(service, public_routes),
            internal: listener!(service, internal_routes),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        (self.public)(TestRequest::with_uri(path)).await
    }

    pub(crate) async fn set(&self, wanted: &WantedRoute) -> Answer {
        let request = TestRequest::with_uri("/api/v1/routes").method(Method::POST);
        (self.internal)(request.set_json(wanted)).await
    }

    pub(crate) async fn remove(&self, instance: &str, generation: u64) -> Answer {
        let uri = format!("/api/v1/routes/{instance}?generation={generation}");
        (self.internal)(TestRequest::with_uri(&uri).method(Method::DELETE)).await
    }

    pub(crate) async fn traffic(&self, instance: &str) -> Answer {
        let uri = format!("/api/v1/routes/{instance}/traffic");
        (self.internal)(TestRequest::with_uri(&uri)).await
    }

    pub(crate) async fn probe(&self, instance: &str, path: &str) -> Answer {
        let uri = format!("/api/v1/routes/{instance}/probe?path={path}");
        (self.internal)(TestRequest::with_uri(&uri).method(Method::POST)).await
    }
}

/// A folder for exports.
pub(crate) fn export_into(world: &mut World, folder: &std::path::Path) {
    world.config.exports = Some(PathBuf::from(folder));
}
