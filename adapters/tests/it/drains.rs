//! The contract of drains on the real client over mutual TLS. Behind it are the node manager's routes over drains in memory.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path as Folder;
use std::sync::Arc;

use actix_web::http::Method;
use actix_web::web::{Data, Path, ServiceConfig, to};
use actix_web::{HttpResponse, ResponseError as _};
use adapters::DrainsClient;
use async_trait::async_trait;
use chassis::http::{self, Access, Endpoint, Listener, Refusal, callers, mount};
use chassis::lifecycle::Lifecycle;
use chassis::service::{self, Service};
use chassis::tls::{Identity, install_cryptography};
use common::name::NodeName;
use common::port::drains::Error;
use common::port::store::{Lifetime, Op};
use common::port::{Drains as _, Store as _};
use common::problem::Problem;
use common::record::leader::{Advertised, CandidateRecord};
use common::record::{self, path};
use common::service::ServiceName;
use testkit::contract::drains::holds;
use testkit::{MemoryDrains, MemoryStore, pki};

const PEOPLE: Access = Access::Services(&[ServiceName::AppManager]);

const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(Method::PUT, "/api/v1/nodes/{node}/drain", PEOPLE, &[], || to(begin)),
    Endpoint::new(Method::DELETE, "/api/v1/nodes/{node}/drain", PEOPLE, &[], || to(end)),
];

/// The node manager's routes.
struct StandIn(MemoryDrains);

#[async_trait]
impl Service for StandIn {
    fn name(&self) -> ServiceName {
        ServiceName::NodeManager
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

fn answered(answer: Result<(), Error>) -> HttpResponse {
    match answer {
        Ok(()) => HttpResponse::NoContent().finish(),
        Err(Error::Refused(problem)) => Refusal(*problem).error_response(),
        Err(Error::Unavailable(_)) => HttpResponse::BadGateway().finish(),
    }
}

async fn begin(drains: Data<MemoryDrains>, node: Path<NodeName>) -> HttpResponse {
    answered(drains.begin(&node).await)
}

async fn end(drains: Data<MemoryDrains>, node: Path<NodeName>) -> HttpResponse {
    answered(drains.end(&node).await)
}

/// Serves the stand-in, which leads, while `ask` asks.
async fn while_serving(drains: &MemoryDrains, ask: impl AsyncFnOnce(&Folder, &MemoryStore)) {
    install_cryptography();
    let pki =
        pki::folder(&[ServiceName::NodeManager, ServiceName::AppManager, ServiceName::Monitoring]);
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
    let service: Arc<dyn Service> = Arc::new(StandIn(drains.clone()));
    let bound = http::bind(&config, &service, &lifecycle, None).unwrap();
    let store = leads(bound.internal.unwrap()).await;
    let asking = async {
        ask(pki.path(), &store).await;
        lifecycle.stop();
    };
    let (served, ()) = futures::join!(bound.serve(&lifecycle), asking);
    served.unwrap();
}

/// A store that says who leads.
async fn leads(internal: SocketAddr) -> MemoryStore {
    let store = MemoryStore::new();
    let advertised =
        Advertised { plain: "127.0.0.1:1".to_owned(), internal: Some(internal.to_string()) };
    let op = Op::PutSequential {
        path: path::candidate(ServiceName::NodeManager),
        value: record::encode(&CandidateRecord { schema: 1, advertised }),
        lifetime: Lifetime::Persistent,
    };
    store.commit(vec![op]).await.unwrap();
    store
}

fn client(store: &MemoryStore, pki: &Folder, caller: ServiceName) -> DrainsClient {
    let identity = Identity::load(pki, caller).unwrap();
    DrainsClient::new(Arc::new(store.clone()), &identity.ca, &identity.client_pem()).unwrap()
}

#[tokio::test]
async fn the_contract_is_kept() {
    let drains = MemoryDrains::new(&["node-1", "node-2"]);
    while_serving(&drains, async |pki, store| {
        let client = client(store, pki, ServiceName::AppManager);
        holds(&client, ["node-1", "node-2"]).await;
    })
    .await;
}

#[tokio::test]
async fn who_may_not_is_told_so_and_nothing_is_drained() {
    let drains = MemoryDrains::new(&["node-1", "node-2"]);
    while_serving(&drains, async |pki, store| {
        let monitoring = client(store, pki, ServiceName::Monitoring);
        let refused = monitoring.begin(&"node-1".parse().unwrap()).await;
        let Err(Error::Refused(problem)) = refused else { panic!("{refused:?}") };
        assert_eq!((problem.status, problem.code.as_str()), (403, "CALLER_FORBIDDEN"));
    })
    .await;
    assert!(drains.drained().is_empty());
}

#[tokio::test]
async fn whoever_leads_no_more_is_away() {
    let drains = MemoryDrains::new(&["node-1", "node-2"]);
    let problem = Problem::new(503, "NOT_LEADING", "Not available now", "another one leads");
    drains.refuse(Some(problem));
    while_serving(&drains, async |pki, store| {
        let client = client(store, pki, ServiceName::AppManager);
        let err = client.begin(&"node-1".parse().unwrap()).await.unwrap_err();
        assert!(err.is_retryable(), "{err:?}");
    })
    .await;
}
