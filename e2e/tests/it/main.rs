//! The whole platform on real parts, in one lifetime of the cluster. Run one test at a time:
//! `make test` does, with `--test-threads=1`; tests run in the order of their names.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot set itself up should say where"
)]

mod a_document_001;
mod a_first_deployment;
mod b_messages;
mod b_order;
mod b_replays;
mod b_twins;
mod c_access;
mod c_archives;
mod c_hostile_apps;
mod c_messages;
mod c_names;
mod c_scans;
mod c_uploads;
mod d_at_once;
mod d_balance;
mod d_canary;
mod d_drain;
mod d_four_apps;
mod d_models;
mod d_rebalance;
mod d_rest;
mod d_rollback;
mod d_schedules;
mod d_tls;
mod e_kills;
mod f_all_lost;
mod f_edge_lost;
mod f_stores_lost;
mod g_nothing_left;
mod h_single;
mod i_fleet;

use std::env;
use std::time::Duration;

use e2e::audit;
use e2e::cluster;
use e2e::truth;
use e2e::wait;
use tokio::sync::OnceCell;

/// A build from nothing on two busy cores.
const BUILD_WITHIN: Duration = Duration::from_mins(6);
/// What needs no build.
const SOON: Duration = Duration::from_mins(1);

/// Nothing is under way any more, and everything is as the platform promises.
async fn all_is_true_and_settled() {
    wait::until("every request has its end", SOON, audit::is_settled).await.unwrap();
    wait::until("the truth holds", SOON, async || truth::read().await?.is_consistent())
        .await
        .unwrap();
}

/// The cluster runs and every service is ready.
#[expect(
    clippy::disallowed_methods,
    reason = "tests are told by the environment where real parts are"
)]
async fn cluster_is_ready() {
    static READY: OnceCell<()> = OnceCell::const_new();
    assert!(
        env::var("AVISHKAR_TEST_CLUSTER").is_ok(),
        "these tests need the cluster: run `make test`, or `make cluster` and set AVISHKAR_TEST_CLUSTER=1"
    );
    READY.get_or_init(|| async { cluster::ready(Duration::from_mins(3)).await.unwrap() }).await;
}
