//! Two instances of a service: one leads, and the other takes over when it is killed or hangs.

use std::time::Duration;

use e2e::cluster;
use e2e::docker::{container_of, docker};
use e2e::load::Crowd;
use e2e::platform::{User, sample};
use e2e::truth;
use e2e::twin::{Twin, leads, stands_by};
use e2e::wait;

use crate::{SOON, all_is_true_and_settled, cluster_is_ready};

/// A session of the store, and what it takes to notice its end.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_standby_takes_over_from_a_leader_that_is_killed_and_gives_way_to_nobody() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    let url = user.deploy(&sample("hello"), "twinned", 2).await.unwrap();
    let crowd = Crowd::start(&url, 2, "twinned");
    let (service, port) = ("node-manager", 8040);
    let own = format!("127.0.0.1:{port}");
    wait::until("the first leads", SOON, async || leads(&own).await).await.unwrap();
    let (before, _) = cluster::restarts(service).await.unwrap();
    let twin = Twin::start(service, port, SOON).await.unwrap();
    twin.stands_by().await.unwrap();
    let (after, words) = cluster::restarts(service).await.unwrap();
    assert_eq!(after, before, "the leader ended when its twin started: {words}");
    leads(&own).await.unwrap();

    cluster::kill(service).await.unwrap();
    wait::until("the twin leads", TAKEN_OVER_WITHIN, async || twin.leads().await).await.unwrap();
    user.deploy(&sample("hello"), "twinned", 2).await.unwrap();

    cluster::start(service).await.unwrap();
    let first_waits = async || stands_by(&own).await;
    wait::until("the first waits for its turn", SOON, first_waits).await.unwrap();
    twin.leads().await.unwrap();
    twin.kill().await.unwrap();
    wait::until("the first leads again", TAKEN_OVER_WITHIN, async || leads(&own).await)
        .await
        .unwrap();
    cluster::ready(SOON).await.unwrap();
    user.deploy(&sample("hello"), "twinned", 2).await.unwrap();
    crowd.finish_without_failure().await.unwrap();
    user.does(&["stop", "twinned"]).await.unwrap();
}

#[tokio::test]
async fn a_leader_that_hung_for_longer_than_its_session_changes_nothing_any_more() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    user.deploy(&sample("hello"), "hung", 2).await.unwrap();
    let (service, port) = ("deployment-manager", 8030);
    let own = format!("127.0.0.1:{port}");
    wait::until("the first leads", SOON, async || leads(&own).await).await.unwrap();
    let (before, _) = cluster::restarts(service).await.unwrap();
    let twin = Twin::start(service, port, SOON).await.unwrap();
    let (after, words) = cluster::restarts(service).await.unwrap();
    assert_eq!(after, before, "the leader ended when its twin started: {words}");

    docker(&["pause", &container_of(service).await.unwrap()]).await.unwrap();
    wait::until("the twin leads", TAKEN_OVER_WITHIN, async || twin.leads().await).await.unwrap();
    user.deploy(&sample("hello"), "hung", 1).await.unwrap();
    docker(&["unpause", &container_of(service).await.unwrap()]).await.unwrap();
    wait::until("who hung stands by", SOON, async || stands_by(&own).await).await.unwrap();
    all_is_true_and_settled().await;
    twin.leads().await.unwrap();
    assert_eq!(truth::read().await.unwrap().of("hung").len(), 1);

    twin.kill().await.unwrap();
    wait::until("it leads again", TAKEN_OVER_WITHIN, async || leads(&own).await).await.unwrap();
    user.does(&["stop", "hung"]).await.unwrap();
    all_is_true_and_settled().await;
}
