//! Going back to a release that was in service.

use common::digest::{Digest, ImageRef};
use common::id::{Generation, ReleaseNumber, RequestId};
use common::record::deployment::{Deployment, Revision};
use common::record::instance::State;
use common::record::kept::{Kept, Way};
use common::record::path;
use common::topic::Topic;
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use crate::logs::deployment;
use crate::world::{Answer, Api, World, dev, other_dev, python_app, until, user};

pub(crate) const RELEASES: &str = "/api/v1/instances/shop/releases";
pub(crate) const ROLLBACK: &str = "/api/v1/instances/shop/rollback";

pub(crate) fn image(release: u32) -> ImageRef {
    ImageRef::new("registry.example.org/apps/shop", Digest::of(&release.to_be_bytes())).unwrap()
}

/// As if these had been in service, in this order; a negative number was gone back from. The last one serves.
pub(crate) fn write_kept(world: &World, numbers: &[i32]) {
    world.write(&path::deployment(&"shop".parse().unwrap()), &kept(numbers));
}

pub(crate) fn kept(numbers: &[i32]) -> Deployment {
    let mut record = deployment(Vec::new(), None);
    let kept = numbers.iter().zip(1..).map(|(number, generation)| Kept {
        number: ReleaseNumber(number.unsigned_abs()),
        image: image(number.unsigned_abs()),
        bundle: None,
        generation: Generation(generation),
        request: RequestId(uuid::Uuid::nil()),
        by: Some("dee".parse().unwrap()),
        since: Timestamp::UNIX_EPOCH,
        rolled_back_at: (*number < 0).then_some(Timestamp::UNIX_EPOCH),
    });
    record.releases = kept.collect();
    let last = record.releases.last().unwrap();
    let (generation, release, image) = (last.generation, last.number, last.image.clone());
    record.serving = Some(Revision { generation, release, image });
    record
}

/// An instance `shop` of the second of three releases.
pub(crate) async fn deployed_2(api: &Api) {
    for text in ["a", "b", "c"] {
        api.upload("shop", &dev(), python_app(text)).await.ok();
    }
    let body = json!({ "release": 2, "replicas": 3 });
    api.post("/api/v1/apps/shop/deployments", &dev(), body).await.ok();
}

async fn keyed(api: &Api, key: &str, body: Value) -> Answer {
    let request = api.request(Method::POST, ROLLBACK, &dev());
    api.send(request.header("idempotency-key", key).json(&body)).await
}

#[tokio::test]
async fn going_back_asks_for_the_release_of_before_as_a_deploy_does() {
    let world = World::new();
    world
        .during(async |api| {
            deployed_2(&api).await;
            write_kept(&world, &[1, 2]);
            until(async || world.instance("shop").owed.is_empty()).await;
            let asked = api.post(ROLLBACK, &dev(), json!({})).await;
            assert_eq!(asked.status, 202);
            let request = asked.ok()["request_id"].as_str().unwrap().to_owned();
            let instance = world.instance("shop");
            assert_eq!((instance.release.0, instance.way), (1, Way::RolledBack));
            assert_eq!((instance.state, instance.replicas), (State::Deploying, 3));
            assert_eq!(instance.by, Some("dee".parse().unwrap()));
            let said = world.bus.messages(Topic::DeploymentManager);
            let last = said.last().unwrap();
            assert_eq!(
                (last.request_id.to_string(), last.msg.as_str()),
                (request.clone(), "deploy app$shop")
            );

            let path = format!("/api/v1/operations/{request}");
            world.say(&request, "done shop deploy - 192.0.2.10:2000").await;
            let operation = api.get(&path, &dev()).await.ok();
            assert_eq!(
                (&operation["kind"], &operation["status"]),
                (&json!("rollback"), &json!("succeeded"))
            );
            assert_eq!(world.instance("shop").state, State::Deployed);

            // A deploy after it is a deploy again.
            api.post("/api/v1/apps/shop/deployments", &dev(), json!({})).await.ok();
            assert_eq!(
                (world.instance("shop").release.0, world.instance("shop").way),
                (3, Way::Deployed)
            );
        })
        .await;
}

#[tokio::test]
async fn a_repeat_under_the_same_key_goes_back_once() {
    let world = World::new();
    world
        .during(async |api| {
            deployed_2(&api).await;
            write_kept(&world, &[1, 2]);
            let first = keyed(&api, "back", json!({})).await.ok();
            let (said, generation) = (
                world.bus.messages(Topic::DeploymentManager).len(),
                world.instance("shop").generation,
            );
            // What is true by now does not matter to a request that was taken.
            write_kept(&world, &[-2, 1]);
            for _ in 0..3 {
                assert_eq!(keyed(&api, "back", json!({})).await.ok(), first);
            }
            assert_eq!(world.bus.messages(Topic::DeploymentManager).len(), said);
            assert_eq!(world.instance("shop").generation, generation);
            let other = keyed(&api, "back", json!({ "release": 2 })).await;
            assert_eq!(other.told(), (422, "IDEMPOTENCY_MISMATCH"));
            assert_eq!(
                keyed(&api, "again", json!({})).await.told(),
                (409, "NOTHING_TO_ROLL_BACK_TO")
            );
        })
        .await;
}

#[tokio::test]
async fn what_cannot_be_gone_back_to_is_refused_with_its_code_and_changes_nothing() {
    let world = World::new();
    world
        .during(async |api| {
            assert_eq!(
                api.post(ROLLBACK, &dev(), json!({})).await.told(),
                (404, "UNKNOWN_INSTANCE")
            );
            deployed_2(&api).await;
            let before = world.instance("shop").generation;
            let refused = async |body: Value, status: u16, code: &str| {
                assert_eq!(api.post(ROLLBACK, &dev(), body).await.told(), (status, code));
            };
            // Nothing was in service yet.
            refused(json!({}), 409, "NOTHING_TO_ROLL_BACK_TO").await;
            write_kept(&world, &[2]);
            refused(json!({}), 409, "NOTHING_TO_ROLL_BACK_TO").await;
            refused(json!({ "release": 1 }), 409, "RELEASE_NOT_KEPT").await;
            refused(json!({ "release": 9 }), 422, "RELEASE_UNKNOWN").await;
            refused(json!({ "release": "1" }), 422, "FIELD_INVALID").await;
            refused(json!({ "to": 1 }), 422, "UNKNOWN_FIELD").await;
            for stranger in [other_dev(), user()] {
                assert_eq!(
                    api.post(ROLLBACK, &stranger, json!({})).await.told(),
                    (404, "UNKNOWN_INSTANCE")
                );
                assert_eq!(api.get(RELEASES, &stranger).await.told(), (404, "UNKNOWN_INSTANCE"));
            }
            assert_eq!(world.instance("shop").generation, before);
            write_kept(&world, &[1, 2]);
            api.delete("/api/v1/instances/shop", &dev()).await.ok();
            refused(json!({}), 409, "NOT_DEPLOYED").await;
        })
        .await;
}

#[tokio::test]
async fn what_was_in_service_is_listed_with_its_state() {
    let world = World::new();
    world
        .during(async |api| {
            deployed_2(&api).await;
            assert_eq!(api.get(RELEASES, &dev()).await.ok(), json!([]));
            write_kept(&world, &[1, -3, 2]);
            let listed = api.get(RELEASES, &dev()).await.ok();
            let seen: Vec<(u64, &str)> = listed
                .as_array()
                .unwrap()
                .iter()
                .map(|one| (one["number"].as_u64().unwrap(), one["state"].as_str().unwrap()))
                .collect();
            assert_eq!(seen, [(2, "serving"), (3, "rolled_back"), (1, "former")]);
            assert_eq!(listed[0]["image_digest"], json!(image(2).digest()));
            assert_eq!(listed[0]["by"], json!("dee"));
        })
        .await;
}
