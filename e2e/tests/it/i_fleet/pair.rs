//! A pair of edges: the machine of the one that visitors see dies, and the other takes its address.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::load::Crowd;
use e2e::platform::sample;
use e2e::wait;

use super::{
    ANSWER_WITHIN, LONGEST_GAP, NEW_LEADER_WITHIN, SOON, WHOLE_WITHIN, all_is_true, fleet_with_app,
    nearly_nothing_was_missed, trials,
};

/// After so long they ask anew: a request that died with the machine says nothing about the address.
const PATIENCE: Duration = Duration::from_millis(500);
/// A few of those who are on their way when the power goes.
const SOME: u64 = 200;

/// The host of a URL that is `http://<address>:<port>/`.
pub(super) fn host(url: &str) -> anyhow::Result<String> {
    let url: reqwest::Url = url.parse()?;
    Ok(url.host_str().context("a URL has a host")?.to_owned())
}

#[tokio::test]
async fn an_edge_whose_machine_dies_is_followed_by_the_other() {
    let (fleet, url) = fleet_with_app("paired").await;
    let address = host(&url).unwrap();
    assert!(fleet.machines.iter().all(|machine| machine.address != address), "{url}");
    for _ in 0..trials() {
        let edges = fleet.machines_with("address").await.unwrap();
        assert_eq!(edges.len(), 2, "{edges:?}");
        let holder = fleet.machine_at(&address).await.unwrap();
        let crowd = Crowd::with_patience(PATIENCE, &url, 4, "paired");
        let asked_a_while = async || {
            ensure!(crowd.answered() > SOME, "{} so far", crowd.answered());
            Ok(())
        };
        wait::until("visitors are answered", SOON, asked_a_while).await.unwrap();
        holder.power_off().await.unwrap();
        let successor = wait::until("the other has it", SOON, async || {
            let successor = fleet.machine_at(&address).await?;
            ensure!(successor.name != holder.name, "it is the same");
            Ok(successor.clone())
        });
        let successor = successor.await.unwrap();
        // Routes change by the other one alone.
        wait::until("the other leads", NEW_LEADER_WITHIN, async || {
            let leader = fleet.leader("load-balancer").await?;
            ensure!(leader.name == successor.name, "{} leads", leader.name);
            Ok(())
        })
        .await
        .unwrap();
        let before = crowd.answered();
        wait::until("visitors are answered by the other", SOON, async || {
            ensure!(crowd.answered() > before + SOME, "{} so far", crowd.answered());
            Ok(())
        })
        .await
        .unwrap();
        let (first_failure, tally) = (crowd.first_failure(), crowd.finish().await);
        assert!(tally.longest_gap <= LONGEST_GAP, "{tally:?}, first {first_failure:?}");

        let crowd = Crowd::start(&url, 4, "paired");
        holder.power_on().await.unwrap();
        wait::until("it is back, and follows", WHOLE_WITHIN, async || {
            holder.stands_by("load-balancer").await?;
            let shown = successor.shown("load-balancer", "/metrics").await?;
            ensure!(
                shown.contains("\nload_balancer_other_edge_up 1"),
                "the leader does not see it"
            );
            Ok(())
        })
        .await
        .unwrap();
        fleet.whole(WHOLE_WITHIN).await.unwrap();
        assert!(!holder.has_address(&address).await.unwrap(), "it took the address back");
        assert!(successor.has_address(&address).await.unwrap());
        nearly_nothing_was_missed(crowd.finish().await, "it came back");
        serves_it_too(&holder.address, &url).await;
        all_is_true(&fleet).await;
    }
    let user = fleet.admin(SOON).await.unwrap();
    user.deploy(&sample("hello"), "paired", 2).await.unwrap();
    user.does(&["stop", "paired"]).await.unwrap();
}

/// The edge that stands by has the table, and so the app under its own address.
async fn serves_it_too(address: &str, url: &str) {
    wait::until("who stands by serves the app", SOON, async || {
        let mut url: reqwest::Url = url.parse()?;
        url.set_host(Some(address))?;
        let answer = reqwest::Client::new().get(url).timeout(ANSWER_WITHIN).send().await?;
        ensure!(answer.status() == 200, "{}", answer.status());
        Ok(())
    })
    .await
    .unwrap();
}
