//! `ZooKeeper` and Kafka are lost: apps answer, changes say why not, and what was accepted is done later.

use std::time::Duration;

use e2e::cluster;
use e2e::load::Crowd;
use e2e::platform::{User, sample};
use e2e::truth;
use e2e::wait;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{BUILD_WITHIN, all_is_true_and_settled, cluster_is_ready};

/// Every session with the store has ended by then, and every service has noticed.
const OUTLASTS_SESSIONS: Duration = Duration::from_secs(10);

#[tokio::test]
async fn zookeeper_lost_costs_no_request_and_changes_answer_503() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    let url = user.deploy(&sample("hello"), "unmoved", 1).await.unwrap();
    let before = truth::read().await.unwrap();
    let crowd = Crowd::start(&url, 4, "unmoved");
    cluster::kill("zookeeper").await.unwrap();
    let refused = async || {
        let answer = user
            .request(Method::POST, "/api/v1/apps/unmoved/deployments")
            .json(&json!({}))
            .send()
            .await?;
        let status = answer.status();
        let problem: Value = answer.json().await?;
        anyhow::ensure!(
            status == 503 && problem["code"] == "STORE_UNAVAILABLE",
            "{status} {problem}"
        );
        Ok(())
    };
    wait::until("a change is refused with 503", Duration::from_secs(30), refused).await.unwrap();
    tokio::time::sleep(OUTLASTS_SESSIONS).await;
    refused().await.unwrap();
    cluster::start("zookeeper").await.unwrap();
    cluster::ready(Duration::from_mins(2)).await.unwrap();
    all_is_true_and_settled().await;
    assert_eq!(truth::read().await.unwrap().containers, before.containers);
    crowd.finish_without_failure().await.unwrap();
    user.does(&["stop", "unmoved"]).await.unwrap();
}

#[tokio::test]
async fn kafka_lost_costs_no_request_and_a_deploy_is_accepted_and_finished_later() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    let url = user.deploy(&sample("hello"), "patient", 1).await.unwrap();
    let crowd = Crowd::start(&url, 4, "patient");
    cluster::kill("kafka").await.unwrap();
    let path = "/api/v1/apps/patient/deployments";
    let answer = user
        .request(Method::POST, path)
        .json(&json!({ "instance": "patient" }))
        .send()
        .await
        .unwrap();
    let status = answer.status();
    let accepted: Value = answer.json().await.unwrap();
    assert_eq!(status, 202, "{accepted}");
    assert_eq!(accepted["waiting_for"], "bus", "{accepted}");
    cluster::start("kafka").await.unwrap();
    let request = accepted["request_id"].as_str().unwrap().to_owned();
    let done = async || {
        let status = user.does(&["status", "patient"]).await?;
        anyhow::ensure!(
            status["request_id"] == request.as_str() && status["state"] == "deployed",
            "{status}"
        );
        Ok(())
    };
    wait::until("the accepted deploy is finished", BUILD_WITHIN, done).await.unwrap();
    all_is_true_and_settled().await;
    let asked = user.request(Method::GET, &format!("/api/v1/operations/{request}"));
    let operation: Value = asked.send().await.unwrap().json().await.unwrap();
    assert_eq!(operation["status"], "succeeded", "{operation}");
    crowd.finish_without_failure().await.unwrap();
    user.does(&["stop", "patient"]).await.unwrap();
}
