//! Parts of the platform over the interface: who may say what, and what is refused.

use common::agent::{
    BuildCode, EnsurePart, PushImage, RegistryAt, RemovePart, RestartPart, ShareIs,
};
use common::digest::Digest;
use common::id::Generation;
use common::port::part::{PartFile, PartFolders, PartImage, PartRemoval, PartSpec};
use common::port::share::{Access, AzureOpener, AzurePlace, Description, FolderPlace};
use common::service::ServiceName::{self, DeploymentManager, LifecycleManager};
use serde_json::json;
use testkit::contract;

use crate::world::{Answer, World, issuer, with_agent};

fn spec(world: &World) -> PartSpec {
    let image = PartImage::Id(Digest::of(b"kafka"));
    world.parts.place_image(&image);
    contract::parts::spec("kafka", image)
}

/// Asks as `caller`, in the name of `speaker`, and gives what was said to each of the calls.
async fn ask_all(world: &World, caller: ServiceName, speaker: ServiceName) -> Vec<Answer> {
    let (issuer, spec) = (issuer(speaker), spec(world));
    let name = spec.name.clone();
    let removal =
        PartRemoval { name: name.clone(), generation: Generation(5), data: PartFolders::Keep };
    let push = PushImage { issuer, image: spec.image.clone(), repository: "a/kafka".to_owned() };
    let share = Description::Folder(FolderPlace { path: "/mnt/code".into() });
    let access = Access { share, secret: None };
    let share = ShareIs { issuer, name: "code".parse().unwrap(), access };
    let registry = RegistryAt { issuer, registry: "192.0.2.7:5000".parse().unwrap() };
    vec![
        world.post(caller, "/v1/parts/ensure", &EnsurePart { issuer, spec }).await,
        world.post(caller, "/v1/parts/restart", &RestartPart { issuer, name }).await,
        world.post(caller, "/v1/images/push", &push).await,
        world.post(caller, "/v1/registry", &registry).await,
        world.post(caller, "/v1/shares", &share).await,
        world.post(caller, "/v1/parts/remove", &RemovePart { issuer, removal }).await,
    ]
}

#[tokio::test]
async fn what_opens_a_share_is_kept_and_told_to_nobody() {
    with_agent(async |world| {
        let place = AzurePlace {
            account: "examplestore".to_owned(),
            name: "code".to_owned(),
            endpoint: None,
            opened_by: AzureOpener::Sas,
        };
        let share = Description::AzureBlob(place);
        let access = Access { share, secret: Some("c2VjcmV0".to_owned()) };
        let (issuer, name) = (issuer(LifecycleManager), "code".parse().unwrap());
        let told = ShareIs { issuer, name, access: access.clone() };
        let answer = world.post(LifecycleManager, "/v1/shares", &told).await;
        assert_eq!((answer.status, answer.body), (204, "".into()));
        assert_eq!(world.shares.kept(&told.name), Some(access));
    })
    .await;
}

#[tokio::test]
async fn only_the_lifecycle_manager_says_what_the_platform_consists_of() {
    with_agent(async |world| {
        for caller in ServiceName::ALL {
            let may = caller == LifecycleManager;
            for path in ["/v1/parts", "/v1/images", "/v1/parts/kafka/logs?tail=1"] {
                let status = world.get(caller, path).await.status;
                assert_eq!(status != 403, may, "{caller} {path}: {status}");
            }
            let code = format!("share://code/x@{}", Digest::of(b"x")).parse().unwrap();
            let build = BuildCode { issuer: issuer(caller), code };
            let answer = world.post(caller, "/v1/parts/build", &build).await;
            assert_eq!(answer.status != 403, may, "{caller}: {answer:?}");
            for answer in ask_all(world, caller, caller).await {
                assert_eq!(answer.status < 300, may, "{caller}: {answer:?}");
            }
        }
        for answer in ask_all(world, LifecycleManager, DeploymentManager).await {
            assert_eq!(answer.code(), "CALLER_FORBIDDEN", "nobody speaks for another");
        }
    })
    .await;
}

#[tokio::test]
async fn a_specification_that_endangers_the_machine_is_refused() {
    with_agent(async |world| {
        let hostile = PartFile { path: "/etc/../../root".to_owned(), content: String::new() };
        let spec = PartSpec { files: vec![hostile], ..spec(world) };
        let body = EnsurePart { issuer: issuer(LifecycleManager), spec };
        let answer = world.post(LifecycleManager, "/v1/parts/ensure", &body).await;
        assert_eq!((answer.status, answer.code()), (422, "FIELD_INVALID"));
        assert_eq!(answer.body["field"], "files");
        assert!(world.parts.parts().is_empty());
    })
    .await;
}

#[tokio::test]
async fn apps_and_parts_do_not_see_one_another() {
    with_agent(async |world| {
        let body = EnsurePart { issuer: issuer(LifecycleManager), spec: spec(world) };
        world.post(LifecycleManager, "/v1/parts/ensure", &body).await;
        let apps = world.get(DeploymentManager, "/v1/containers").await;
        assert_eq!(apps.body, json!([]));
        let parts = world.get(LifecycleManager, "/v1/parts").await;
        assert_eq!(parts.body[0]["name"], "kafka");
    })
    .await;
}
