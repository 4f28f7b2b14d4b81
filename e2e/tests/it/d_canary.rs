//! A release beside the one that is served, under load: it gets its share, and all once it is promoted; the next one fails,
//! and goes by itself.

use std::collections::BTreeMap;

use anyhow::Context as _;
use e2e::load::Crowd;
use e2e::platform::User;
use e2e::scripted::Scripted;
use e2e::{truth, wait};
use serde_json::{Value, json};

use crate::{SOON, cluster_is_ready};

const APP: &str = "fledgling";

/// What visitors are told at `/`, whatever becomes of them elsewhere.
fn methods(release: u32, status_elsewhere: u16) -> String {
    format!(
        r#"
    def do_GET(self):
        status = 200 if self.path == "/" else {status_elsewhere}
        self.answer(status, b"one of them: release {release}\n")
"#
    )
}

/// How many of a hundred requests each release answers.
async fn shares(url: &str) -> anyhow::Result<BTreeMap<String, f64>> {
    const ALL: u32 = 400;
    let client = reqwest::Client::new();
    let mut answers: BTreeMap<String, f64> = BTreeMap::new();
    for _ in 0..ALL {
        let body = client.get(url).send().await?.error_for_status()?.text().await?;
        let release = body.trim().rsplit(' ').next().context("an empty answer")?;
        *answers.entry(release.to_owned()).or_default() += 100.0 / f64::from(ALL);
    }
    Ok(answers)
}

/// That no release but this one answers.
async fn answers_alone(url: &str, release: u32) -> anyhow::Result<()> {
    let shares = shares(url).await?;
    let all: Vec<&String> = shares.keys().collect();
    anyhow::ensure!(all == [&release.to_string()], "{shares:?}");
    Ok(())
}

async fn deploy_canary(user: &User, app: &Scripted, share: &str) -> anyhow::Result<Value> {
    let folder = app.path().to_str().context("a folder's path is UTF-8")?;
    user.does(&["deploy", folder, "--name", APP, "--canary", share]).await
}

/// Everything is as it should be, with or without a canary.
async fn truth_holds() -> anyhow::Result<()> {
    wait::until("the truth holds", SOON, async || truth::read().await?.is_consistent()).await
}

#[tokio::test]
async fn a_canary_gets_its_share_is_promoted_and_the_next_one_which_fails_goes_by_itself() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    let app = Scripted::new(&methods(1, 200)).unwrap();
    let url = user.deploy(app.path(), APP, 2).await.unwrap();
    let crowd = Crowd::start(&url, 4, "one of them");

    app.rewrite(&methods(2, 200)).unwrap();
    deploy_canary(&user, &app, "20%").await.unwrap();
    let beside = shares(&url).await.unwrap();
    assert!((10.0..=30.0).contains(&beside["2"]), "{beside:?}");
    assert!(beside["1"] > 50.0, "{beside:?}");
    truth_holds().await.unwrap();
    let counted = async || {
        let status = user.does(&["status", APP]).await?;
        let requests = status["traffic"]["requests"].as_u64();
        anyhow::ensure!(requests.is_some_and(|requests| requests > 0), "{status}");
        anyhow::ensure!(status["traffic"]["errors"] == 0 && status["serving"] == 1, "{status}");
        Ok(())
    };
    wait::until("what visitors ask is shown", SOON, counted).await.unwrap();
    user.does(&["promote", APP]).await.unwrap();
    answers_alone(&url, 2).await.unwrap();

    app.rewrite(&methods(3, 500)).unwrap();
    deploy_canary(&user, &app, "50%").await.unwrap();
    let beside = shares(&url).await.unwrap();
    assert!((35.0..=65.0).contains(&beside["3"]), "{beside:?}");
    let unlucky = Crowd::start(&format!("{url}/elsewhere"), 4, "one of them");
    let gone = async || {
        let status = user.does(&["status", APP]).await?;
        anyhow::ensure!(status["canary"].is_null(), "{status}");
        Ok(status)
    };
    let status = wait::until("the canary is gone", SOON, gone).await.unwrap();
    assert_eq!(status["failure"]["code"], "ERRORS_ROSE", "{status}");
    let harmed = unlucky.finish().await;
    assert!(harmed.failed > 0, "{harmed:?}");
    truth_holds().await.unwrap();
    answers_alone(&url, 2).await.unwrap();
    let why = user.does(&["why", APP]).await.unwrap();
    let kinds: Vec<&Value> =
        why["course"].as_array().unwrap().iter().map(|one| &one["kind"]).collect();
    let expected = ["backed_out", "canary", "promoted", "canary"].map(|kind| json!(kind));
    assert_eq!(kinds, expected.iter().collect::<Vec<_>>(), "{why}");

    let tally = crowd.finish_without_failure().await.unwrap();
    assert!(tally.answered > 1000, "{tally:?}");
    user.does(&["stop", APP]).await.unwrap();
}
