//! Four real applications with dependencies from PyPI and npm; one of them scaled over both nodes.

use std::collections::BTreeSet;

use e2e::cluster::NODES;
use e2e::load::Crowd;
use e2e::platform::{User, sample};
use e2e::truth;
use e2e::wait;

use crate::{SOON, cluster_is_ready};

const APPS: [&str; 4] = ["flask", "fastapi", "express", "static"];

#[tokio::test]
async fn four_real_apps_serve_and_one_scales_over_both_nodes() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    let mut urls = Vec::new();
    for app in APPS {
        let url = user.deploy(&sample(app), app, 1).await.unwrap();
        let answer = reqwest::get(&url).await.unwrap();
        assert_eq!(answer.status(), 200, "{app}");
        urls.push((app, url));
    }
    let (app, url) = urls.first().unwrap().clone();
    let crowd = Crowd::start(&url, 4, app);
    user.does(&["scale", app, "3"]).await.unwrap();
    let spread = async || {
        let truth = truth::read().await?;
        let ours = || truth.containers.iter().filter(|container| container.instance == app);
        let nodes: BTreeSet<&str> = ours().map(|container| container.node.as_str()).collect();
        let names: Vec<&str> = ours().map(|container| container.name.as_str()).collect();
        anyhow::ensure!(nodes == BTreeSet::from(NODES), "{nodes:?}");
        anyhow::ensure!(names.len() == 3, "{names:?}");
        for number in 1..=3 {
            let name = format!("{app}_instance_{number}");
            anyhow::ensure!(names.contains(&name.as_str()), "{names:?}");
        }
        truth.is_consistent()
    };
    wait::until("three replicas over both nodes", SOON, spread).await.unwrap();
    user.does(&["scale", app, "1"]).await.unwrap();
    let alone = async || {
        let truth = truth::read().await?;
        let ours = truth.of(app);
        anyhow::ensure!(ours.len() == 1, "{ours:?}");
        truth.is_consistent()
    };
    wait::until("one replica again", SOON, alone).await.unwrap();
    crowd.finish_without_failure().await.expect("scaling up and down loses no request");
    for (app, url) in urls {
        let answer = reqwest::get(&url).await.unwrap().text().await.unwrap();
        assert!(answer.contains(app), "{app} answers {answer:?}");
        user.does(&["stop", app]).await.unwrap();
    }
}
