//! Callers of other versions: what they say that this agent does not know is left out, what they do not say yet is as before.

use common::agent::{Ensure, EnsurePart};
use common::digest::Digest;
use common::port::part::{PartFile, PartHealth, PartImage, PartSpec};
use common::service::ServiceName::{DeploymentManager, LifecycleManager};
use serde_json::{Value, json};
use testkit::contract;

use crate::world::{World, issuer, with_agent};

fn part(world: &World) -> PartSpec {
    let image = PartImage::Id(Digest::of(b"kafka"));
    world.parts.place_image(&image);
    let content = "a".to_owned();
    PartSpec {
        files: vec![PartFile { path: "/etc/kafka/a".to_owned(), content }],
        health: Some(PartHealth::listens(9092)),
        ..contract::parts::spec("kafka", image)
    }
}

/// As a newer version might say it.
fn with_more(body: &mut Value, places: &[&str]) {
    for place in places {
        let object = body.pointer_mut(place).unwrap().as_object_mut().unwrap();
        object.insert("of_a_newer_version".to_owned(), json!({ "anything": [1, null] }));
    }
}

#[tokio::test]
async fn what_a_newer_caller_says_besides_is_left_out_and_the_rest_is_done() {
    with_agent(async |world| {
        let spec = part(world);
        let said = EnsurePart { issuer: issuer(LifecycleManager), spec: spec.clone() };
        let mut said = serde_json::to_value(said).unwrap();
        with_more(&mut said, &["", "/issuer", "/spec", "/spec/health", "/spec/files/0"]);
        for _ in 0..2 {
            let answer = world.post(LifecycleManager, "/v1/parts/ensure", &said).await;
            assert_eq!((answer.status, &answer.body["spec_hash"]), (200, &json!(spec.hash())));
            assert_eq!(world.parts.starts(&spec.name), 1);
        }
        let app = world.spec();
        let said = Ensure { issuer: issuer(DeploymentManager), spec: app.clone() };
        let mut said = serde_json::to_value(said).unwrap();
        with_more(&mut said, &["", "/spec", "/spec/limits"]);
        let answer = world.post(DeploymentManager, "/v1/ensure", &said).await;
        assert_eq!((answer.status, &answer.body["spec_hash"]), (200, &json!(app.hash())));
    })
    .await;
}

#[tokio::test]
async fn what_an_older_caller_does_not_say_yet_is_as_it_was() {
    with_agent(async |world| {
        let spec = part(world);
        let mut said = serde_json::to_value(EnsurePart {
            issuer: issuer(LifecycleManager),
            spec: spec.clone(),
        })
        .unwrap();
        // All that there was at first.
        said["spec"]["health"] = json!({ "port": 9092, "path": null });
        let answer = world.post(LifecycleManager, "/v1/parts/ensure", &said).await;
        assert_eq!((answer.status, &answer.body["spec_hash"]), (200, &json!(spec.hash())));
    })
    .await;
}

#[tokio::test]
async fn what_cannot_be_left_out_is_refused_as_before() {
    with_agent(async |world| {
        let said = EnsurePart { issuer: issuer(LifecycleManager), spec: part(world) };
        let said = serde_json::to_value(said).unwrap();
        for (place, wrong) in [
            // Another way to say which image it is.
            ("/spec/image", json!({ "by_a_newer_way": "kafka" })),
            ("/spec/memory_bytes", json!("much")),
        ] {
            let mut said = said.clone();
            *said.pointer_mut(place).unwrap() = wrong;
            let answer = world.post(LifecycleManager, "/v1/parts/ensure", &said).await;
            assert!((400..500).contains(&answer.status), "{place}: {}", answer.status);
        }
        assert!(world.parts.parts().is_empty());
    })
    .await;
}
