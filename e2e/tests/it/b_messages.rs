//! Requests by hand that the platform cannot do: each is answered once, with a code of the closed list.

use common::id::RequestId;
use common::topic::Topic;
use e2e::bus::{Injector, new_request};
use serde_json::Value;

use crate::{SOON, all_is_true_and_settled, cluster_is_ready};

const NOBODY: &str = "nobody-made-this";

#[tokio::test]
async fn what_cannot_be_done_is_answered_with_a_code() {
    cluster_is_ready().await;
    let injector = Injector::connect().unwrap();
    let from = injector.end(&Topic::FirstTopic.into()).await.unwrap();
    let asked: [(Topic, String, String); 4] = [
        (
            Topic::DeploymentManager,
            format!("deploy app${NOBODY}"),
            format!("App {NOBODY} not deployed. Error - APP_UNKNOWN: "),
        ),
        (
            Topic::DeploymentManager,
            format!("stop app${NOBODY}"),
            format!("App {NOBODY} not stopped. Error - UNKNOWN_INSTANCE: "),
        ),
        (
            Topic::LoadBalancer,
            format!("scale app${NOBODY}$2"),
            format!("not done scale app${NOBODY}$2 Error - UNKNOWN_INSTANCE: "),
        ),
        (
            Topic::LoadBalancer,
            format!("status app${NOBODY}"),
            format!("not done status app${NOBODY} Error - UNKNOWN_INSTANCE: "),
        ),
    ];
    for (topic, text, expected) in asked {
        let id = new_request();
        injector.send(topic, id, &text).await.unwrap();
        let answer = injector.answer(id, from, SOON).await.unwrap();
        assert!(answer.starts_with(&expected), "{text}: {answer}");
    }
    all_is_true_and_settled().await;
}

#[tokio::test]
async fn a_question_for_a_node_is_answered_by_hand_too_and_its_port_is_given_back() {
    cluster_is_ready().await;
    let injector = Injector::connect().unwrap();
    let topic = Topic::DeploymentManager.into();
    let from = injector.end(&topic).await.unwrap();
    let id: RequestId = new_request();
    let asked = format!("give best node${NOBODY}");
    injector.send(Topic::NodeManager, id, &asked).await.unwrap();
    let text = id.to_string();
    let answer = injector.find(&topic, from, SOON, |_, body: &Value| {
        let msg = body["msg"].as_str()?.to_owned();
        (body["request_id"] == text.as_str()).then_some(msg)
    });
    let answer = answer.await.unwrap();
    assert!(answer.starts_with("ans-node${'node_id': '"), "{answer}");
    assert!(answer.contains(&format!("'app_name': '{NOBODY}'")), "{answer}");
    // A port that was leased for nobody would be a lease without a container.
    all_is_true_and_settled().await;
}
