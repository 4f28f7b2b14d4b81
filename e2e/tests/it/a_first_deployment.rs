//! The story of a newcomer, and the same by hand over Kafka.

use common::topic::Topic;
use e2e::bus::{Injector, new_request};
use e2e::platform::{User, sample};
use e2e::truth;
use e2e::wait;

use crate::{BUILD_WITHIN, SOON, all_is_true_and_settled, cluster_is_ready};

#[tokio::test]
async fn a_folder_becomes_a_url_that_answers_and_is_gone_after_stop() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    let url = user.deploy(&sample("hello"), "newcomer", 1).await.unwrap();
    let answer = reqwest::get(&url).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.text().await.unwrap().contains("newcomer"));

    let by_host =
        reqwest::Client::new().get("http://127.0.0.1:8088/").header("host", "newcomer.example.org");
    assert_eq!(by_host.send().await.unwrap().status(), 200);

    let status = user.does(&["status", "newcomer"]).await.unwrap();
    assert_eq!(status["state"], "deployed");
    let replicas = status["replicas"].as_array().unwrap();
    assert!(replicas.iter().any(|replica| replica["state"] == "ready"), "{status}");
    all_is_true_and_settled().await;
    let ours = truth::read().await.unwrap().of("newcomer");
    assert_eq!(ours.len(), 1, "{ours:?}");
    let container = ours.first().unwrap();
    assert_eq!(container.name, "newcomer_instance_1");

    let logs = user.run(&["logs", "newcomer"]).await.unwrap();
    assert_eq!(logs.code, 0, "{}", logs.stderr);

    user.does(&["stop", "newcomer"]).await.unwrap();
    let gone = async || {
        let truth = truth::read().await?;
        anyhow::ensure!(truth.containers.iter().all(|container| container.instance != "newcomer"));
        anyhow::ensure!(!truth.routes.contains_key("newcomer"));
        truth.is_consistent()
    };
    wait::until("nothing of a stopped app is left", SOON, gone).await.unwrap();
}

#[tokio::test]
async fn a_message_by_hand_deploys_and_stops_and_the_answers_come_on_first_topic() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    // The release is made over HTTP; everything after it is Kafka alone.
    user.deploy(&sample("hello"), "injected", 1).await.unwrap();
    user.does(&["stop", "injected"]).await.unwrap();

    let injector = Injector::connect().unwrap();
    let deploy = new_request();
    let from = injector.end(&Topic::FirstTopic.into()).await.unwrap();
    injector.send(Topic::DeploymentManager, deploy, "deploy app$injected").await.unwrap();
    let answer = injector.answer(deploy, from, BUILD_WITHIN).await.unwrap();
    let endpoint =
        answer.strip_prefix("done injected deploy - ").unwrap_or_else(|| panic!("{answer}"));
    assert_eq!(reqwest::get(format!("http://{endpoint}/")).await.unwrap().status(), 200);

    let stop = new_request();
    injector.send(Topic::DeploymentManager, stop, "stop app$injected").await.unwrap();
    assert_eq!(injector.answer(stop, from, SOON).await.unwrap(), "done stopped$injected");
}
