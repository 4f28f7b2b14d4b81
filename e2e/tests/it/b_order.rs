//! Messages that overtake each other: stop before deploy, deploy overtaken by stop, the end of a stop heard
//! before the end of the deploy, and answers that nobody waits for.

use std::time::Duration;

use common::topic::Topic;
use e2e::bus::{Injector, new_request};
use e2e::cluster;
use e2e::platform::{User, sample};
use e2e::truth;
use e2e::wait;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{BUILD_WITHIN, SOON, all_is_true_and_settled, cluster_is_ready};

const TOPIC: Topic = Topic::DeploymentManager;

#[tokio::test]
async fn a_stop_before_a_deploy_and_a_deploy_before_a_stop_each_end_as_the_last_one_says() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    user.deploy(&sample("hello"), "hasty", 1).await.unwrap();
    let injector = Injector::connect().unwrap();
    let from = injector.end(&Topic::FirstTopic.into()).await.unwrap();

    let (stop, deploy) = (new_request(), new_request());
    injector.send(TOPIC, stop, "stop app$hasty").await.unwrap();
    injector.send(TOPIC, deploy, "deploy app$hasty").await.unwrap();
    let stopped = injector.answer(stop, from, SOON).await.unwrap();
    // The deploy may take over before all of the old replica is gone.
    let superseded = "App hasty not stopped. Error - SUPERSEDED: ";
    assert!(stopped == "done stopped$hasty" || stopped.starts_with(superseded), "{stopped}");
    let deployed = injector.answer(deploy, from, BUILD_WITHIN).await.unwrap();
    assert!(deployed.starts_with("done hasty deploy - "), "{deployed}");
    all_is_true_and_settled().await;
    assert_eq!(truth::read().await.unwrap().of("hasty").len(), 1);

    let (deploy, stop) = (new_request(), new_request());
    injector.send(TOPIC, deploy, "deploy app$hasty").await.unwrap();
    injector.send(TOPIC, stop, "stop app$hasty").await.unwrap();
    let overtaken = injector.answer(deploy, from, SOON).await.unwrap();
    assert!(overtaken.starts_with("App hasty not deployed. Error - SUPERSEDED: "), "{overtaken}");
    assert_eq!(injector.answer(stop, from, SOON).await.unwrap(), "done stopped$hasty");
    all_is_true_and_settled().await;
    assert_eq!(truth::read().await.unwrap().of("hasty").len(), 0);
}

/// Asks for something over HTTP; returns the id of the request.
async fn accepted(request: reqwest::RequestBuilder) -> String {
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let body: Value = answer.json().await.unwrap();
    assert_eq!(status, 202, "{body}");
    body["request_id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_end_of_a_stop_heard_before_the_end_of_the_deploy_is_the_last_word() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    user.deploy(&sample("hello"), "early", 1).await.unwrap();
    cluster::kill("deployment-manager").await.unwrap();
    let deploy = user.request(Method::POST, "/api/v1/apps/early/deployments");
    let deploy = accepted(deploy.json(&json!({ "instance": "early" }))).await;
    let stop = accepted(user.request(Method::DELETE, "/api/v1/instances/early")).await;

    // Both ends come before anything was done, and in the wrong order.
    let injector = Injector::connect().unwrap();
    let told = [(stop, "done stopped$early"), (deploy, "done early deploy - 127.0.0.1:2999")];
    for (request, text) in told {
        let request = request.parse().unwrap();
        injector.send(Topic::FirstTopic, request, text).await.unwrap();
        let heard = async || {
            let asked = user.request(Method::GET, &format!("/api/v1/operations/{request}"));
            let operation: Value = asked.send().await?.json().await?;
            anyhow::ensure!(operation["status"] == "succeeded", "{operation}");
            let status = user.does(&["status", "early"]).await?;
            anyhow::ensure!(status["state"] == "stopped" && status["url"].is_null(), "{status}");
            Ok(())
        };
        wait::until("it is heard, and the stop stands", SOON, heard).await.unwrap();
    }

    cluster::start("deployment-manager").await.unwrap();
    cluster::ready(Duration::from_mins(2)).await.unwrap();
    all_is_true_and_settled().await;
    let truth = truth::read().await.unwrap();
    assert_eq!(truth.of("early").len(), 0);
    let status = user.does(&["status", "early"]).await.unwrap();
    assert!(status["state"] == "stopped" && status["url"].is_null(), "{status}");
}

#[tokio::test]
async fn an_answer_that_nobody_waits_for_moves_nothing() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    user.deploy(&sample("hello"), "settled", 1).await.unwrap();
    all_is_true_and_settled().await;
    let before = truth::read().await.unwrap();
    let injector = Injector::connect().unwrap();
    let elsewhere = "{'node_id': 'node-1', 'node_name': 'node-1', 'node_ip': '192.0.2.1', 'node_os': 'x', 'port': 20999, 'app_name': '@'}";
    for instance in ["settled", "nobody-made-this"] {
        let text = format!("ans-node${}", elsewhere.replace('@', instance));
        injector.send(TOPIC, new_request(), &text).await.unwrap();
    }
    let none = "ans-node${'node_id': '', 'node_name': '', 'node_ip': '', 'node_os': '', 'port': 0, 'app_name': 'settled', 'error': 'NO_NODE_FITS'}";
    injector.send(TOPIC, new_request(), none).await.unwrap();
    all_is_true_and_settled().await;
    let after = truth::read().await.unwrap();
    assert_eq!(after.of("settled"), before.of("settled"));
    let generation = |truth: &truth::Truth| truth.deployments["settled"].generation;
    assert_eq!(generation(&after), generation(&before));
    user.does(&["stop", "settled"]).await.unwrap();
}
