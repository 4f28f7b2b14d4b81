mod common_endpoints;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::Method;
use actix_web::web::{Json, ServiceConfig, to};
use async_trait::async_trait;
use chassis::http::{self, Access, Caller, Endpoint, Listener, Refusal, callers, mount};
use chassis::lifecycle::Lifecycle;
use chassis::service::{self, Service};
use common::problem::Problem;
use common::record::leader::Advertised;
use common::service::ServiceName;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};

struct Echo(ServiceName);

#[derive(serde::Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields)]
struct Body {
    name: String,
}

async fn echo(body: Json<Body>) -> HttpResponse {
    HttpResponse::Ok().json(body.into_inner())
}

async fn broken() -> Result<HttpResponse, Refusal> {
    Err(Refusal::internal())
}

async fn who(caller: Caller) -> &'static str {
    caller.0.as_str()
}

const DEPLOYER: Access = Access::Services(&[ServiceName::DeploymentManager]);
const BOTH: Access = Access::Services(&[ServiceName::AppManager, ServiceName::DeploymentManager]);

const ENDPOINTS: &[Endpoint] = &[
    Endpoint::new(Method::POST, "/echo", Access::Anyone, &[], || to(echo)),
    Endpoint::new(Method::POST, "/broken", Access::Anyone, &[], || to(broken)),
    Endpoint::new(Method::GET, "/act", Access::ActingGet, &[], || to(HttpResponse::Ok)),
    Endpoint::new(Method::POST, "/act", Access::Anyone, &[], || to(HttpResponse::Ok)),
    Endpoint::new(Method::POST, "/who", DEPLOYER, &[], || to(who)),
    Endpoint::new(Method::GET, "/who", BOTH, &[], || to(who)),
];

#[async_trait]
impl Service for Echo {
    fn name(&self) -> ServiceName {
        self.0
    }

    fn public_routes(&self, routes: &mut ServiceConfig) {
        mount(ENDPOINTS, Listener::Plain { document_001_gets: false }, routes);
    }

    fn internal_routes(&self, routes: &mut ServiceConfig) {
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

fn config(pki: &Path) -> http::Config {
    http::Config {
        address: Some("127.0.0.1:0".parse().unwrap()),
        internal_address: Some("127.0.0.1:0".parse().unwrap()),
        advertised: "192.0.2.1:8050".to_owned(),
        pki: pki.to_owned(),
        workers: 1,
        cors_origins: vec!["https://example.org".to_owned()],
        document_001_gets: false,
    }
}

/// A CA and a certificate for each of the services, in one folder.
fn pki(services: &[ServiceName]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut parameters = CertificateParams::new(Vec::<String>::new()).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let ca = parameters.self_signed(&key).unwrap();
    std::fs::write(folder.path().join("ca.pem"), ca.pem()).unwrap();
    let issuer = Issuer::new(parameters, key);
    for service in services {
        let names = vec![service.to_string(), "127.0.0.1".to_owned()];
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, &issuer).unwrap();
        std::fs::write(folder.path().join(format!("{service}.pem")), certificate.pem()).unwrap();
        std::fs::write(folder.path().join(format!("{service}.key")), key.serialize_pem()).unwrap();
    }
    folder
}

/// Serves [`Echo`] while `ask` asks it; `ask` gets the two base URLs.
async fn while_serving<F: Future<Output = ()>>(pki: &Path, ask: impl FnOnce(String, String) -> F) {
    while_serving_as(ServiceName::LoadBalancer, pki, None, ask).await;
}

async fn while_serving_as<F: Future<Output = ()>>(
    name: ServiceName,
    pki: &Path,
    log_file: Option<PathBuf>,
    ask: impl FnOnce(String, String) -> F,
) {
    serve(Lifecycle::new(), name, pki, log_file, ask).await;
}

/// The same for a service whose `lifecycle` the test has; `ask` gets the plain base URL.
async fn while_serving_with<F: Future<Output = ()>>(
    lifecycle: Lifecycle,
    pki: &Path,
    ask: impl FnOnce(String) -> F,
) {
    serve(lifecycle, ServiceName::LoadBalancer, pki, None, |plain, _| ask(plain)).await;
}

async fn serve<F: Future<Output = ()>>(
    lifecycle: Lifecycle,
    name: ServiceName,
    pki: &Path,
    log_file: Option<PathBuf>,
    ask: impl FnOnce(String, String) -> F,
) {
    chassis::tls::install_cryptography();
    let service: Arc<dyn Service> = Arc::new(Echo(name));
    let listeners = http::bind(&config(pki), &service, &lifecycle, log_file).unwrap();
    let plain = format!("http://{}", listeners.plain.unwrap());
    let internal = format!("https://{}", listeners.internal.unwrap());
    let asking = async {
        ask(plain, internal).await;
        lifecycle.stop();
    };
    let (served, ()) = futures::join!(listeners.serve(&lifecycle), asking);
    served.unwrap();
}

#[tokio::test]
async fn the_common_endpoints_answer_as_document_001_says() {
    let pki = pki(&[ServiceName::LoadBalancer]);
    while_serving(pki.path(), |plain, _| async move {
        let get = async |path: &str| reqwest::get(format!("{plain}{path}")).await.unwrap();
        assert_eq!(get("/home").await.text().await.unwrap(), "Hi, this is LoadBalancer");
        assert_eq!(get("/health").await.text().await.unwrap(), "Ok");
        assert_eq!(get("/healthCheck").await.text().await.unwrap(), "ok");
        assert_eq!(get("/get_logs").await.text().await.unwrap(), r#"{"logs":""}"#);
        assert_eq!(get("/get_logs?name=../../etc/passwd").await.status(), 404);
        assert!(
            get("/metrics").await.text().await.unwrap().contains("process_resident_memory_bytes")
        );
        assert_eq!(get("/readyz").await.status(), 200);
    })
    .await;
}

#[tokio::test]
async fn a_refusal_is_a_problem_with_the_requests_id() {
    let pki = pki(&[ServiceName::LoadBalancer]);
    while_serving(pki.path(), |plain, _| async move {
        let client = reqwest::Client::new();
        let id = "6ba7b810-9dad-11d1-80b4-00c04fd430c8";
        let send = async |path: &str, body: &'static str| {
            let request = client.post(format!("{plain}{path}")).header("x-request-id", id);
            let answer =
                request.header("content-type", "application/json").body(body).send().await.unwrap();
            assert_eq!(answer.headers()["x-request-id"], id);
            assert_eq!(answer.headers()["content-type"], "application/problem+json");
            let status = answer.status().as_u16();
            let problem: Problem = answer.json().await.unwrap();
            assert_eq!((problem.status, problem.request_id.as_deref()), (status, Some(id)));
            (status, problem.code)
        };
        assert_eq!(send("/echo", "{").await, (400, "JSON_INVALID".to_owned()));
        assert_eq!(
            send("/echo", r#"{"name":"a","role":"admin"}"#).await,
            (422, "UNKNOWN_FIELD".to_owned())
        );
        assert_eq!(send("/echo", r#"{"name":1}"#).await, (422, "FIELD_INVALID".to_owned()));
        assert_eq!(send("/nowhere", "").await, (404, "ROUTE_UNKNOWN".to_owned()));
        assert_eq!(send("/broken", "").await, (500, "INTERNAL".to_owned()));
    })
    .await;
}

fn client(pki: &Path, service: ServiceName) -> reqwest::Client {
    let identity = chassis::tls::Identity::load(pki, service).unwrap();
    reqwest::Client::builder()
        .tls_certs_only([reqwest::Certificate::from_pem(&identity.ca).unwrap()])
        .identity(reqwest::Identity::from_pem(&identity.client_pem()).unwrap())
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_path_says_which_methods_it_takes_and_which_are_switched_off() {
    let pki = pki(&[ServiceName::LoadBalancer]);
    while_serving(pki.path(), |plain, _| async move {
        let client = reqwest::Client::new();
        for (method, path, code, allowed) in [
            ("PUT", "/act", "METHOD_NOT_ALLOWED", "POST"),
            ("GET", "/act", "DOCUMENT_001_GETS_OFF", "POST"),
            ("POST", "/home", "METHOD_NOT_ALLOWED", "GET"),
        ] {
            let request = client.request(method.parse().unwrap(), format!("{plain}{path}"));
            let answer = request.send().await.unwrap();
            assert_eq!(answer.status().as_u16(), 405);
            assert_eq!(answer.headers()["allow"], allowed);
            assert_eq!(answer.json::<Problem>().await.unwrap().code, code, "{method} {path}");
        }
        let acted = client.post(format!("{plain}/act")).send().await.unwrap();
        assert_eq!(acted.status(), 200);
        let elsewhere = client.post(format!("{plain}/who")).send().await.unwrap();
        assert_eq!(elsewhere.status(), 404);
    })
    .await;
}

#[tokio::test]
async fn a_route_lets_in_its_own_callers_and_the_common_ones_those_of_any_route() {
    let services = [
        ServiceName::LoadBalancer,
        ServiceName::DeploymentManager,
        ServiceName::AppManager,
        ServiceName::NodeManager,
    ];
    let pki = pki(&services);
    let folder = pki.path();
    while_serving(folder, |_, internal| async move {
        for (service, expected) in [
            (ServiceName::DeploymentManager, [200, 200, 200, 404]),
            (ServiceName::AppManager, [403, 200, 200, 404]),
            (ServiceName::NodeManager, [403, 403, 403, 403]),
        ] {
            let client = client(folder, service);
            let url = |path: &str| format!("{internal}{path}");
            let answers = [
                client.post(url("/who")).send().await.unwrap(),
                client.get(url("/who")).send().await.unwrap(),
                client.get(url("/home")).send().await.unwrap(),
                client.post(url("/echo")).send().await.unwrap(),
            ];
            assert_eq!(answers.map(|answer| answer.status().as_u16()), expected, "{service}");
        }
    })
    .await;
}

#[tokio::test]
async fn only_named_callers_with_a_certificate_of_the_platform_come_in() {
    let services =
        [ServiceName::LoadBalancer, ServiceName::DeploymentManager, ServiceName::AppManager];
    let (ours, foreign) = (pki(&services), pki(&services));
    let (serving, ours) = (ours.path(), ours.path());
    while_serving(serving, |_, internal| async move {
        let url = format!("{internal}/who");
        let known = client(ours, ServiceName::DeploymentManager).post(&url).send().await.unwrap();
        assert_eq!(known.text().await.unwrap(), "deployment-manager");
        let other = client(ours, ServiceName::AppManager).post(&url).send().await.unwrap();
        assert_eq!(other.status(), 403);
        assert!(other.headers().contains_key("x-request-id"));
        assert_eq!(other.json::<Problem>().await.unwrap().code, "CALLER_FORBIDDEN");
        assert!(
            client(foreign.path(), ServiceName::DeploymentManager).post(&url).send().await.is_err()
        );
        let ca =
            reqwest::Certificate::from_pem(&std::fs::read(ours.join("ca.pem")).unwrap()).unwrap();
        let nameless = reqwest::Client::builder().tls_certs_only([ca]).build().unwrap();
        assert!(nameless.post(&url).send().await.is_err());
    })
    .await;
}

#[tokio::test]
async fn who_stands_by_sends_to_the_leader_and_answers_for_itself() {
    let pki = pki(&[ServiceName::LoadBalancer]);
    chassis::tls::install_cryptography();
    let lifecycle = Lifecycle::new();
    let service: Arc<dyn Service> = Arc::new(Echo(ServiceName::LoadBalancer));
    let listeners = http::bind(&config(pki.path()), &service, &lifecycle, None).unwrap();
    let base = format!("http://{}", listeners.plain.unwrap());
    let policy = reqwest::redirect::Policy::none();
    let client = reqwest::Client::builder().redirect(policy).build().unwrap();
    let post = async |path: &str| {
        let sent = client.post(format!("{base}{path}")).json(&serde_json::json!({"name": "x"}));
        sent.send().await.unwrap()
    };
    let asking = async {
        assert_eq!(post("/echo").await.status(), 200);
        lifecycle.stands_by(Some(Advertised::plain("192.0.2.7:8050")));
        let sent = post("/echo?a=b").await;
        assert_eq!(sent.status(), 307);
        assert_eq!(sent.headers()["location"], "http://192.0.2.7:8050/echo?a=b");
        assert_eq!(client.get(format!("{base}/health")).send().await.unwrap().status(), 200);
        let ready = client.get(format!("{base}/readyz?verbose")).send().await.unwrap();
        let text = ready.text().await.unwrap();
        assert!(text.contains("standing by: 192.0.2.7:8050 leads"), "{text}");
        lifecycle.stands_by(None);
        assert_eq!(post("/echo").await.status(), 200, "nobody to send it to");
        lifecycle.leads();
        assert_eq!(post("/echo").await.status(), 200);
        lifecycle.stop();
    };
    let (served, ()) = futures::join!(listeners.serve(&lifecycle), asking);
    served.unwrap();
}
