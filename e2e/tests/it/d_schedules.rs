//! An instance that runs for a short while at a time that was said before, by the command line; and message 13.

use std::collections::BTreeSet;

use anyhow::{Context as _, ensure};
use common::port::bus::Offset;
use common::topic::Topic;
use e2e::bus::{Injector, new_request};
use e2e::platform::{User, sample};
use e2e::truth;
use e2e::wait;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::{SOON, all_is_true_and_settled, cluster_is_ready};

/// From the request to the start: enough to ask, little to wait.
const AHEAD: SignedDuration = SignedDuration::from_secs(6);
/// Enough to start a container of an image that is there, and to ask it something.
const WINDOW: &str = "30s";

/// What UTC's clocks show then.
#[expect(clippy::disallowed_methods, reason = "this is where a test looks at the clock")]
fn after(span: SignedDuration, format: &str) -> String {
    TimeZone::UTC.to_datetime(Timestamp::now() + span).strftime(format).to_string()
}

async fn url(user: &User, name: &str) -> anyhow::Result<String> {
    let status = user.does(&["status", name]).await?;
    ensure!(status["state"] == "deployed", "{status}");
    Ok(status["url"].as_str().context("it has no URL")?.to_owned())
}

async fn is_gone(name: &str) -> anyhow::Result<()> {
    let truth = truth::read().await?;
    ensure!(truth.of(name).is_empty(), "{name} still runs");
    ensure!(!truth.routes.contains_key(name), "{name} still has a route");
    Ok(())
}

/// The ids of the messages that said this on a topic: repeats have the same.
async fn said(topic: Topic, text: &str) -> BTreeSet<Vec<u8>> {
    let injector = Injector::connect().unwrap();
    let all = injector.all(&topic.into(), Offset(0)).await.unwrap();
    let says = |payload: &[u8]| {
        let body: Value = serde_json::from_slice(payload).unwrap_or_default();
        body["msg"] == text
    };
    let ours = all.iter().filter(|delivery| says(&delivery.record.payload));
    ours.filter_map(|delivery| Some(delivery.record.header("message-id")?.to_vec())).collect()
}

#[tokio::test]
async fn an_instance_runs_in_its_window_and_is_gone_after_it() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    // The image is built before, so that the window is not spent on it.
    user.deploy(&sample("hello"), "timed", 1).await.unwrap();
    user.does(&["stop", "timed"]).await.unwrap();
    let before = said(Topic::DeploymentManager, "deploy app$timed").await.len();

    let start = after(AHEAD, "%Y-%m-%dT%H:%M:%S");
    let words = ["schedule", "timed", "--at", &start, "--for", WINDOW, "--zone", "UTC"];
    let scheduled = user.does(&words).await.unwrap();
    assert_eq!((&scheduled["state"], &scheduled["kind"]), (&"waiting".into(), &"once".into()));
    assert_eq!(user.does(&["status", "timed"]).await.unwrap()["state"], "scheduled");
    let all = user.does(&["schedules"]).await.unwrap();
    assert!(all.to_string().contains("\"timed\""), "{all}");

    let url = wait::until("the window is open", SOON, async || url(&user, "timed").await);
    let answer = reqwest::get(url.await.unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert!(answer.text().await.unwrap().contains("timed"));
    wait::until("the window is over", SOON, async || is_gone("timed").await).await.unwrap();
    all_is_true_and_settled().await;

    for text in ["its time$timed", "its end time$timed", "done schedule app$timed"] {
        assert_eq!(said(Topic::FirstTopic, text).await.len(), 1, "{text}");
    }
    let deployed = said(Topic::DeploymentManager, "deploy app$timed").await.len() - before;
    assert_eq!(deployed, 1);
}

#[tokio::test]
async fn message_13_is_answered_at_once_and_its_schedule_can_be_taken_away() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    user.deploy(&sample("hello"), "later", 1).await.unwrap();
    user.does(&["stop", "later"]).await.unwrap();
    let injector = Injector::connect().unwrap();
    let from = injector.end(&Topic::FirstTopic.into()).await.unwrap();
    let minute = |hours| after(SignedDuration::from_hours(hours), "%Y-%m-%dT%H:%M");
    let (start, end) = (minute(2), minute(3));
    for (first, last, answer) in [
        (&start, &end, "done schedule app$later"),
        (&end, &start, "not done schedule app$later Error - SCHEDULE_END_BEFORE_START: "),
    ] {
        let request = new_request();
        let text = format!("schedule app$later${first}${last}");
        injector.send(Topic::Scheduler, request, &text).await.unwrap();
        let told = injector.answer(request, from, SOON).await.unwrap();
        assert!(told.starts_with(answer), "{told}");
    }
    assert_eq!(user.does(&["status", "later"]).await.unwrap()["state"], "scheduled");
    user.does(&["unschedule", "later"]).await.unwrap();
    let gone = user.run(&["unschedule", "later"]).await.unwrap();
    assert_eq!(gone.code, 5, "{}", gone.stderr);
    all_is_true_and_settled().await;
}
