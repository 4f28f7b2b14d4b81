//! The contract of upkeep on the real client over mutual TLS. Behind it are the lifecycle manager's routes over an upkeep in
//! memory.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path as Folder;
use std::slice;
use std::sync::Arc;

use actix_web::http::Method;
use actix_web::web::{Data, Json, Path, ServiceConfig, to};
use actix_web::{HttpRequest, HttpResponse, ResponseError as _};
use adapters::LifecycleClient;
use async_trait::async_trait;
use chassis::http::{self, Access, Endpoint, Listener, Refusal, callers, mount};
use chassis::lifecycle::Lifecycle;
use chassis::service::{self, Service};
use chassis::tls::{Identity, install_cryptography};
use common::id::RequestId;
use common::name::NodeName;
use common::port::store::{Lifetime, Op, Path as StorePath};
use common::port::upkeep::{Addition, Error, Pin, Target};
use common::port::{Store as _, Upkeep};
use common::problem::Problem;
use common::record::leader::{Advertised, CandidateRecord};
use common::record::{self, path};
use common::service::ServiceName;
use testkit::contract::upkeep::holds;
use testkit::{MemoryStore, MemoryUpkeep, pki};

const PEOPLE: Access = Access::Services(&[ServiceName::AppManager]);

const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(Method::GET, "/api/v1/machines", PEOPLE, &[], || to(list)),
    Endpoint::new(Method::POST, "/api/v1/machines", PEOPLE, &[], || to(add)),
    Endpoint::new(Method::DELETE, "/api/v1/machines/{machine}", PEOPLE, &[], || to(remove)),
    Endpoint::new(Method::PUT, "/api/v1/machines/{machine}/host-key", PEOPLE, &[], || to(pin)),
    Endpoint::new(Method::POST, "/api/v1/restarts/{family}/{target}", PEOPLE, &[], || to(restart)),
];

/// The lifecycle manager's routes.
struct StandIn(MemoryUpkeep);

#[async_trait]
impl Service for StandIn {
    fn name(&self) -> ServiceName {
        ServiceName::LifecycleManager
    }

    fn internal_routes(&self, routes: &mut ServiceConfig) {
        routes.app_data(Data::new(self.0.clone()));
        mount(ENDPOINTS, Listener::MutualTls, routes);
    }

    fn internal_callers(&self) -> Vec<ServiceName> {
        callers(ENDPOINTS)
    }

    async fn run(&self, lifecycle: Lifecycle) -> Result<(), service::Error> {
        lifecycle.stopping().await;
        Ok(())
    }
}

fn answered(answer: Result<HttpResponse, Error>) -> HttpResponse {
    match answer {
        Ok(response) => response,
        Err(Error::Refused(problem)) => Refusal(*problem).error_response(),
        Err(Error::Unavailable(_)) => HttpResponse::BadGateway().finish(),
    }
}

/// As the lifecycle manager: what is repeated is known by a UUID.
fn request_id(http: &HttpRequest) -> RequestId {
    let key = http.headers().get("idempotency-key").unwrap();
    key.to_str().unwrap().parse().unwrap()
}

async fn list(upkeep: Data<MemoryUpkeep>) -> HttpResponse {
    answered(upkeep.machines().await.map(|machines| HttpResponse::Ok().json(machines)))
}

async fn add(
    upkeep: Data<MemoryUpkeep>,
    http: HttpRequest,
    addition: Json<Addition>,
) -> HttpResponse {
    let taken = upkeep.add(request_id(&http), &addition).await;
    answered(taken.map(|()| HttpResponse::Accepted().body("{}")))
}

async fn remove(upkeep: Data<MemoryUpkeep>, machine: Path<NodeName>) -> HttpResponse {
    answered(upkeep.remove(&machine).await.map(|()| HttpResponse::Accepted().finish()))
}

async fn pin(upkeep: Data<MemoryUpkeep>, machine: Path<NodeName>, pin: Json<Pin>) -> HttpResponse {
    answered(upkeep.pin(&machine, &pin).await.map(|()| HttpResponse::NoContent().finish()))
}

async fn restart(
    upkeep: Data<MemoryUpkeep>,
    http: HttpRequest,
    of: Path<(String, String)>,
) -> HttpResponse {
    let target = Target::of(&of.0, &of.1).unwrap().unwrap();
    let taken = upkeep.restart(request_id(&http), &target).await;
    answered(taken.map(|()| HttpResponse::Accepted().body("{}")))
}

/// Serves a stand-in for each of these while `ask` asks.
async fn while_serving(upkeeps: &[MemoryUpkeep], ask: impl AsyncFnOnce(&Folder, &[SocketAddr])) {
    install_cryptography();
    let pki = pki::folder(&[
        ServiceName::LifecycleManager,
        ServiceName::AppManager,
        ServiceName::Monitoring,
    ]);
    let config = http::Config {
        address: None,
        internal_address: Some((Ipv4Addr::LOCALHOST, 0).into()),
        advertised: String::new(),
        pki: pki.path().to_owned(),
        workers: 1,
        cors_origins: Vec::new(),
        document_001_gets: false,
    };
    let lifecycle = Lifecycle::new();
    let bind = |upkeep: &MemoryUpkeep| {
        let service: Arc<dyn Service> = Arc::new(StandIn(upkeep.clone()));
        http::bind(&config, &service, &lifecycle, None).unwrap()
    };
    let bound: Vec<http::Listeners> = upkeeps.iter().map(bind).collect();
    let addresses: Vec<SocketAddr> = bound.iter().map(|one| one.internal.unwrap()).collect();
    let serving = futures::future::join_all(bound.into_iter().map(|one| one.serve(&lifecycle)));
    let asking = async {
        ask(pki.path(), &addresses).await;
        lifecycle.stop();
    };
    let (served, ()) = futures::join!(serving, asking);
    for one in served {
        one.unwrap();
    }
}

fn client(store: &MemoryStore, pki: &Folder, caller: ServiceName) -> LifecycleClient {
    let identity = Identity::load(pki, caller).unwrap();
    LifecycleClient::new(Arc::new(store.clone()), &identity.ca, &identity.client_pem()).unwrap()
}

/// Whoever listens there stands for the lead; returns where that is written.
async fn stands(store: &MemoryStore, internal: SocketAddr) -> StorePath {
    let advertised =
        Advertised { plain: "127.0.0.1:1".to_owned(), internal: Some(internal.to_string()) };
    let before = names(store).await;
    let op = Op::PutSequential {
        path: path::candidate(ServiceName::LifecycleManager),
        value: record::encode(&CandidateRecord { schema: 1, advertised }),
        lifetime: Lifetime::Persistent,
    };
    store.commit(vec![op]).await.unwrap();
    let made = names(store).await.into_iter().find(|name| !before.contains(name)).unwrap();
    path::leaders(ServiceName::LifecycleManager).join(&made).unwrap()
}

async fn names(store: &MemoryStore) -> Vec<String> {
    store.children(&path::leaders(ServiceName::LifecycleManager)).await.unwrap()
}

#[tokio::test]
async fn the_contract_is_kept() {
    let upkeep = MemoryUpkeep::new(&["node-1", "node-2"]);
    let (ready, quarantined) = ("node-1".parse().unwrap(), "node-2".parse().unwrap());
    upkeep.quarantine(&quarantined);
    while_serving(&[upkeep], async |pki, addresses| {
        let store = MemoryStore::new();
        stands(&store, addresses[0]).await;
        let client = client(&store, pki, ServiceName::AppManager);
        holds(&client, &ready, &quarantined).await;
    })
    .await;
}

#[tokio::test]
async fn who_may_not_is_told_so_and_nothing_is_asked() {
    let upkeep = MemoryUpkeep::new(&["node-1"]);
    while_serving(slice::from_ref(&upkeep), async |pki, addresses| {
        let store = MemoryStore::new();
        stands(&store, addresses[0]).await;
        let monitoring = client(&store, pki, ServiceName::Monitoring);
        let refused = monitoring.remove(&"node-1".parse().unwrap()).await;
        let Err(Error::Refused(problem)) = refused else { panic!("{refused:?}") };
        assert_eq!((problem.status, problem.code.as_str()), (403, "CALLER_FORBIDDEN"));
    })
    .await;
    assert!(upkeep.asked().is_empty());
}

#[tokio::test]
async fn the_successor_is_asked_once_the_leader_says_that_it_leads_no_more() {
    let upkeeps = [MemoryUpkeep::new(&["node-1"]), MemoryUpkeep::new(&["node-2"])];
    while_serving(&upkeeps, async |pki, addresses| {
        let store = MemoryStore::new();
        let first = stands(&store, addresses[0]).await;
        stands(&store, addresses[1]).await;
        let client = client(&store, pki, ServiceName::AppManager);
        assert_eq!(client.machines().await.unwrap()[0].name.as_str(), "node-1");
        let problem = Problem::new(503, "NOT_LEADING", "Not available now", "another one leads");
        upkeeps[0].refuse(Some(problem));
        let version = store.get(&first).await.unwrap().unwrap().version;
        store.commit(vec![Op::Delete { path: first, version }]).await.unwrap();
        let err = client.machines().await.unwrap_err();
        assert!(err.is_retryable(), "{err:?}");
        assert_eq!(client.machines().await.unwrap()[0].name.as_str(), "node-2");
    })
    .await;
}
