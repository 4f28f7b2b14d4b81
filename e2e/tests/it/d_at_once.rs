//! A release, scales by hand, the balance cycle and a death, all of one app and at once.

use std::fs;

use anyhow::ensure;
use e2e::cluster;
use e2e::load::Crowd;
use e2e::platform::{User, sample};
use e2e::truth;
use e2e::wait;

use crate::{SOON, all_is_true_and_settled, cluster_is_ready};

const APP: &str = "hurried";
const SETTINGS: &str = "health = \"/health\"\n[scaling]\nmin = 2\nmax = 4\ncooldown = 5\n";

/// A request that ends well, or because a later one took its place.
async fn ends(user: &User, arguments: &[&str]) {
    let ran = user.run(arguments).await.unwrap();
    assert!(ran.code == 0 || ran.stderr.contains("SUPERSEDED"), "{arguments:?}: {ran:?}");
}

#[tokio::test]
async fn what_is_asked_of_one_app_at_once_has_an_end_each_and_one_thing_is_true() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::copy(sample("hello").join("main.py"), folder.path().join("main.py")).unwrap();
    fs::write(folder.path().join("avishkar.toml"), SETTINGS).unwrap();
    let url = user.deploy(folder.path(), APP, 2).await.unwrap();
    let crowd = Crowd::start(&url, 2, APP);
    let victim = truth::read().await.unwrap().of(APP).into_iter().next().unwrap();
    let release = ["deploy", folder.path().to_str().unwrap(), "--name", APP, "--replicas", "3"];
    let dies = ["docker", "kill", "-s", "KILL", &victim.name];
    let (.., died) = futures::join!(
        ends(&user, &release),
        ends(&user, &["scale", APP, "4"]),
        ends(&user, &["scale", APP, "2"]),
        ends(&user, &["scale", APP, "3"]),
        cluster::exec(&victim.node, &dies),
    );
    died.unwrap();
    all_is_true_and_settled().await;
    // Nothing of the hurry is left that would overrule what is asked for now.
    user.does(&["scale", APP, "4"]).await.unwrap();
    wait::until("four serve", SOON, async || {
        let truth = truth::read().await?;
        let ours = truth.of(APP).len();
        ensure!(ours == 4, "{ours} run");
        truth.is_consistent()
    })
    .await
    .unwrap();
    let first_failure = crowd.first_failure();
    let tally = crowd.finish().await;
    let all = tally.answered + tally.failed;
    assert!(tally.failed * 1000 <= all, "{tally:?}: {first_failure:?}");
    user.does(&["stop", APP]).await.unwrap();
}
