//! A platform of which only the app manager is real.

use std::io::{Cursor, Write as _};
use std::path::Path;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use app_manager::config::{Raw, RawApps, RawAuth, RawSchedules, RawStorage, RawUploads};
use app_manager::{Config, Ports, Role, Service};
use chassis::config::SecretString;
use chassis::http;
use chassis::lifecycle::Lifecycle;
use chassis::service::{self, Service as _};
use common::message::{Envelope, header};
use common::port::store::Path as StorePath;
use common::port::{Store, bus};
use common::record::instance::Instance;
use common::record::{self, path};
use common::topic::Topic;
use jsonwebtoken::{EncodingKey, Header};
use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use testkit::{
    ManualClock, MemoryBlobs, MemoryBus, MemoryCertificates, MemoryDrains, MemoryNodes,
    MemoryRoutes, MemoryStore, MemoryUpkeep, SeededEntropy,
};
use tokio::time::{sleep, timeout};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::described;

pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) bus: MemoryBus,
    pub(crate) store: MemoryStore,
    pub(crate) blobs: MemoryBlobs,
    pub(crate) nodes: MemoryNodes,
    pub(crate) certificates: MemoryCertificates,
    pub(crate) routes: MemoryRoutes,
    pub(crate) upkeep: MemoryUpkeep,
    pub(crate) drains: MemoryDrains,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) config: Config,
    http: http::Config,
    sessions: Mutex<Option<MemoryStore>>,
}

#[derive(Deserialize)]
struct File {
    http: http::Raw,
    auth: RawAuth,
    storage: RawStorage,
    uploads: RawUploads,
    apps: RawApps,
    schedules: RawSchedules,
}

impl World {
    pub(crate) fn new() -> Self {
        World::with(|_| {})
    }

    /// With other settings than the shipped ones.
    pub(crate) fn with(change: impl FnOnce(&mut Raw)) -> Self {
        chassis::tls::install_cryptography();
        let clock = Arc::new(ManualClock::ticking());
        let folder = tempfile::tempdir().unwrap();
        let defaults = include_str!("../../../config/app-manager.toml");
        let file: File =
            chassis::config::read(defaults, &chassis::config::Sources::default()).unwrap();
        let File { http, auth, mut storage, uploads, apps, schedules } = file;
        folder.path().to_str().unwrap().clone_into(&mut storage.folder);
        let mut http = http.resolve().unwrap();
        http.address = Some("127.0.0.1:0".parse().unwrap());
        http.internal_address = None;
        let mut raw = Raw { auth, storage, uploads, apps, schedules };
        raw.auth.jwt_secret = SecretString::new(SECRET.to_owned());
        "registry:5000".clone_into(&mut raw.apps.image_registries);
        change(&mut raw);
        World {
            bus: MemoryBus::new(clock.clone()).with_topics(),
            store: MemoryStore::new(),
            blobs: MemoryBlobs::new(),
            nodes: MemoryNodes::new(clock.clone()),
            certificates: MemoryCertificates::default(),
            routes: MemoryRoutes::default(),
            upkeep: MemoryUpkeep::new(&["node-1", "node-2"]),
            drains: MemoryDrains::new(&["node-1", "node-2"]),
            config: raw.resolve(&http).unwrap(),
            clock,
            folder,
            http,
            sessions: Mutex::default(),
        }
    }

    /// An app manager that has not been started, with a session of its own.
    pub(crate) fn service(&self) -> Service {
        let session = self.store.session();
        *self.sessions.lock().unwrap() = Some(session.clone());
        self.service_on(Arc::new(session))
    }

    /// One that reads and writes through this store.
    pub(crate) fn service_on(&self, store: Arc<dyn Store>) -> Service {
        let ports = Ports {
            bus: Arc::new(self.bus.clone()),
            store,
            blobs: Arc::new(self.blobs.clone()),
            nodes: Arc::new(self.nodes.clone()),
            certificates: Arc::new(self.certificates.clone()),
            routes: Arc::new(self.routes.clone()),
            upkeep: Arc::new(self.upkeep.clone()),
            drains: Arc::new(self.drains.clone()),
            clock: self.clock.clone(),
            entropy: Arc::new(SeededEntropy::new(rand())),
        };
        Service::new(ports, self.config.clone()).unwrap()
    }

    /// Runs an app manager for as long as the story takes; then it crashes.
    pub(crate) async fn during<T>(&self, story: impl AsyncFnOnce(Api) -> T) -> T {
        let service: Arc<Service> = Arc::new(self.service());
        let lifecycle = Lifecycle::new();
        let dynamic: Arc<dyn service::Service> = service.clone();
        let listeners = http::bind(&self.http, &dynamic, &lifecycle, None).unwrap();
        let api = Api {
            base: format!("http://{}", listeners.plain.unwrap()),
            client: reqwest::Client::new(),
        };
        let told = async {
            api.until_ready().await;
            story(api.clone()).await
        };
        let (told, serving) = (pin!(told), pin!(listeners.serve(&lifecycle)));
        tokio::select! {
            biased;
            told = told => told,
            ended = service.run(lifecycle.clone()) => panic!("the service ended: {ended:?}"),
            ended = serving => panic!("the listener ended: {ended:?}"),
        }
    }

    /// Runs an app manager until the story has stopped it and everything has ended.
    pub(crate) async fn until_stopped(&self, story: impl AsyncFnOnce(Api, Lifecycle)) {
        let service: Arc<dyn service::Service> = Arc::new(self.service());
        let lifecycle = Lifecycle::new();
        let listeners = http::bind(&self.http, &service, &lifecycle, None).unwrap();
        let api = Api {
            base: format!("http://{}", listeners.plain.unwrap()),
            client: reqwest::Client::new(),
        };
        let told = async {
            api.until_ready().await;
            story(api.clone(), lifecycle.clone()).await;
        };
        let ((), served, ran) =
            futures::join!(told, listeners.serve(&lifecycle), service.run(lifecycle.clone()));
        served.unwrap();
        ran.unwrap();
    }

    /// The session of the app manager that was made last: its commits can be made to fail.
    pub(crate) fn last_session(&self) -> MemoryStore {
        self.sessions.lock().unwrap().clone().unwrap()
    }

    /// What is left in the staging folder.
    pub(crate) fn staged(&self) -> usize {
        std::fs::read_dir(self.folder.path().join("staging")).unwrap().count()
    }

    pub(crate) fn read<T: DeserializeOwned>(&self, at: &StorePath) -> Option<T> {
        let records = self.store.records(at);
        let (_, value) = records.into_iter().find(|(path, _)| path == at)?;
        Some(record::decode(&value).unwrap())
    }

    pub(crate) fn write<T: serde::Serialize>(&self, at: &StorePath, record: &T) {
        self.store.seed(at, record::encode(record));
    }

    pub(crate) fn instance(&self, name: &str) -> Instance {
        self.read(&path::instance(&name.parse().unwrap())).unwrap()
    }

    /// Says something on `first_topic`, and waits until it was heard.
    pub(crate) async fn say(&self, request_id: &str, msg: &str) {
        self.say_with(request_id, msg, None).await;
    }

    pub(crate) async fn say_with(&self, request_id: &str, msg: &str, details: Option<&Value>) {
        let topic = Topic::FirstTopic;
        let envelope = Envelope {
            to_topic: topic,
            from_topic: Topic::DeploymentManager,
            request_id: request_id.parse().unwrap(),
            msg: msg.to_owned(),
        };
        let header = |details: &Value| bus::Header {
            name: header::DETAILS.to_owned(),
            value: details.to_string().into(),
        };
        let headers = details.map(header).into_iter().collect();
        let record = bus::Record { key: None, headers, payload: envelope.encode() };
        self.bus.inject_record(topic, record);
        timeout(PATIENCE, self.bus.wait_until_consumed(topic, "app-manager")).await.unwrap();
    }
}

/// Another seed for each app manager, as each has other randomness.
fn rand() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The service's HTTP interface.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    pub(crate) base: String,
    pub(crate) client: reqwest::Client,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: reqwest::header::HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) async fn of(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.json().await.unwrap_or_default();
        Answer { status, headers, body }
    }

    /// Status and code.
    pub(crate) fn told(&self) -> (u16, &str) {
        (self.status, self.body["code"].as_str().unwrap_or_default())
    }

    /// The body of a success.
    pub(crate) fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "{self:?}");
        self.body
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Whoever is called `name`; their token needs no account.
pub(crate) fn token(name: &str, role: Role) -> String {
    let claims = json!({ "username": name, "user_type": role, "exp": 4_000_000_000_i64 });
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::encode(&Header::default(), &claims, &key).unwrap()
}

/// The people of the stories: an admin, two devs, a user.
pub(crate) fn admin() -> String {
    token("root", Role::Admin)
}

pub(crate) fn dev() -> String {
    token("dee", Role::Dev)
}

pub(crate) fn other_dev() -> String {
    token("don", Role::Dev)
}

pub(crate) fn user() -> String {
    token("ann", Role::User)
}

impl Api {
    async fn until_ready(&self) {
        let ready = async {
            loop {
                let answer = self.client.get(format!("{}/readyz", self.base)).send().await;
                if answer.is_ok_and(|answer| answer.status() == 200) {
                    return;
                }
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, ready).await.expect("the app manager becomes ready");
    }

    pub(crate) fn request(&self, method: Method, path: &str, token: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base)).bearer_auth(token)
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        let request = request.build().unwrap();
        let (method, path) = (request.method().clone(), request.url().path().to_owned());
        let sent = timeout(PATIENCE, self.client.execute(request)).await.unwrap().unwrap();
        let answer = Answer::of(sent).await;
        let flaw = described::flaw(&method, &path, &answer);
        assert_eq!(flaw, None, "{method} {path} is described otherwise: {answer:?}");
        answer
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Answer {
        self.send(self.request(Method::GET, path, token)).await
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: Value) -> Answer {
        self.send(self.request(Method::POST, path, token).json(&body)).await
    }

    pub(crate) async fn put(&self, path: &str, token: &str, body: Value) -> Answer {
        self.send(self.request(Method::PUT, path, token).json(&body)).await
    }

    pub(crate) async fn delete(&self, path: &str, token: &str) -> Answer {
        self.send(self.request(Method::DELETE, path, token)).await
    }

    pub(crate) async fn upload(&self, app: &str, token: &str, zip: Vec<u8>) -> Answer {
        let path = format!("/api/v1/apps/{app}/releases");
        self.send(self.request(Method::POST, &path, token).multipart(bundle(zip))).await
    }

    /// Deploys a Python app under its own name; returns the id of the request.
    pub(crate) async fn deployed(&self, app: &str, token: &str) -> String {
        self.upload(app, token, python_app(app)).await.ok();
        let path = format!("/api/v1/apps/{app}/deployments");
        let accepted = self.post(&path, token, json!({})).await.ok();
        accepted["request_id"].as_str().unwrap().to_owned()
    }
}

pub(crate) fn bundle(zip: Vec<u8>) -> Form {
    Form::new().part("bundle", Part::bytes(zip).file_name("app.zip"))
}

/// A zip of these files.
pub(crate) fn archive(files: &[(&str, &str)]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in files {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content.as_bytes()).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A small Python app; another `text` is another bundle.
pub(crate) fn python_app(text: &str) -> Vec<u8> {
    let main = format!("# {text}\nprint('hello')\n");
    archive(&[("main.py", &main), ("requirements.txt", "flask==3.1.2\n")])
}

/// Waits for a condition.
pub(crate) async fn until(holds: impl AsyncFn() -> bool) {
    let waiting = async {
        while !holds().await {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("it happens in time");
}

pub(crate) fn one_time_token(folder: &Path) -> Option<String> {
    std::fs::read_to_string(folder.join("one-time-token")).ok()
}
