//! Models: apps of kind model, whose restarts are a family with records of its own.

use actix_web::http::{Method, StatusCode};
use common::digest::Digest;
use common::id::{ReleaseNumber, RequestId};
use common::message::{DeploymentCommand, Envelope};
use common::record::operation::{Operation, Outcome};
use common::record::path;
use common::record::release::{PythonDependencies, Release, Runtime, Source};
use common::service::ServiceName;
use common::topic::Topic;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::http::call;
use crate::world::{World, id, run, until};

const MODEL: Runtime = Runtime::Model { dependencies: PythonDependencies::None };
const APP: Runtime = Runtime::Python { dependencies: PythonDependencies::None };

impl World {
    /// An instance that serves its first release, of this kind.
    fn deployed(&self, name: &str, runtime: Runtime) {
        self.release(name, 1, runtime);
        let image = format!("registry.example.org/apps/{name}@{}", Digest::of(b"image"));
        let deployment = json!({
            "schema": 1, "instance": name, "app": name, "release": 1, "generation": 1,
            "goal": "running", "state": "running", "request": id(9), "slots": [],
            "serving": { "generation": 1, "release": 1, "image": image },
            "deadline": "2026-01-01T00:10:00Z", "updated_at": "2026-01-01T00:00:00Z",
        });
        self.write(&path::deployment(&name.parse().unwrap()), &deployment);
        let instance = json!({
            "schema": 1, "name": name, "app": name, "release": 1, "owner": "ada", "replicas": 1,
            "created_at": "2026-01-01T00:00:00Z", "generation": 1, "state": "deployed",
            "request": id(9), "url": "http://192.0.2.10:2000",
            "updated_at": "2026-01-01T00:00:00Z",
        });
        self.write(&path::instance(&name.parse().unwrap()), &instance);
    }

    fn release(&self, app: &str, number: u32, runtime: Runtime) {
        let source = json!({
            "kind": "bundle", "bundle": Digest::of(b"bundle"),
            "plan": { "runtime": runtime, "root": "", "command": ["python"] },
        });
        let release = json!({
            "schema": 1, "app": app, "number": number, "created_at": "2026-01-01T00:00:00Z",
            "source": source, "port": 8080, "health_path": null, "environment": {},
            "limits": { "memory_bytes": 1 << 28, "cpu_millis": 500, "processes": 256 },
            "read_only": false,
        });
        let read: Release = serde_json::from_value(release).unwrap();
        assert!(matches!(read.source, Source::Bundle { .. }));
        let number = ReleaseNumber(number);
        self.write(&path::release(&app.parse().unwrap(), number), &read);
    }

    /// What the deployment manager was asked, and that it has done it.
    async fn deploys_again(&self) -> Envelope {
        until(async || !self.bus.messages(Topic::DeploymentManager).is_empty()).await;
        let asked = self.bus.messages(Topic::DeploymentManager).remove(0);
        self.done(asked.request_id);
        asked
    }

    fn done(&self, request: RequestId) {
        let mut operation = Operation::accepted(String::new(), Timestamp::UNIX_EPOCH);
        operation.outcome = Some(Outcome::Succeeded { details: None });
        let at = path::operation(request, ServiceName::DeploymentManager, "deploy-app");
        self.write(&at, &operation);
    }

    fn restarts_of(&self, family: &str) -> Vec<String> {
        let folder = path::folder(&format!("restarts/{family}"));
        let records = self.store.records(&folder).into_iter();
        records.filter(|(path, _)| *path != folder).map(|(path, _)| path.to_string()).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_is_restarted_by_a_record_set_of_its_own() {
    let world = World::new();
    world
        .during(async {
            world.until_calm().await;
            world.deployed("rents", MODEL);
            world.say(1, "restart model$rents");
            let asked = world.deploys_again().await;
            let instance = "rents".parse().unwrap();
            assert_eq!(asked.msg, DeploymentCommand::Deploy { instance }.encode());
            assert_eq!(world.answer(1).await, "done restart model$rents");
        })
        .await;
    assert_eq!(world.restarts_of("models"), ["/avishkar/restarts/models/rents"]);
    assert_eq!(world.restarts_of("apps"), [""; 0]);
    assert_eq!(world.bus.messages(Topic::DeploymentManager).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_app_of_another_kind_is_no_model_and_that_is_said() {
    let world = World::new();
    world
        .during(async {
            world.until_calm().await;
            world.deployed("shop", APP);
            // What is served counts, and not what was uploaded since.
            world.release("shop", 2, MODEL);
            world.say(1, "restart model$shop");
            let answer = world.answer(1).await;
            assert!(answer.starts_with("not done restart model$shop Error - NOT_A_MODEL: "));
            world.say(2, "restart model$nowhere");
            assert!(world.answer(2).await.contains("Error - UNKNOWN_INSTANCE: "));
        })
        .await;
    assert!(world.bus.messages(Topic::DeploymentManager).is_empty());
}

#[tokio::test(start_paused = true)]
async fn document_000s_callers_restart_models_and_people_see_which_there_are() {
    let world = World { document_000_paths: true, ..World::new() };
    let service = world.service();
    run(&service, async {
        world.until_calm().await;
        world.deployed("rents", MODEL);
        world.deployed("shop", APP);
        let deploy = async |name: &str| {
            call(&service, None, Method::POST, "/deployModel", Some(json!({ "name": name }))).await
        };
        let (restarted, _) = tokio::join!(deploy("rents"), world.deploys_again());
        assert_eq!((restarted.status, restarted.body.as_str()), (StatusCode::OK, "ok"));
        let refused = deploy("shop").await;
        assert_eq!(refused.status, StatusCode::CONFLICT);
        assert_eq!(refused.json()["code"], "NOT_A_MODEL");
        let models = call(&service, None, Method::GET, "/api/v1/models", None).await.json();
        let names: Vec<&Value> =
            models.as_array().unwrap().iter().map(|one| &one["name"]).collect();
        assert_eq!(names, [&json!("rents")]);
    })
    .await;
}
