//! After all that, nothing is left: no container, network, lease, route, registry entry, slot, staged file or
//! owed message; and every request of all the tests before has had exactly one end.

use e2e::platform::User;
use e2e::truth;
use e2e::wait;

use crate::{SOON, all_is_true_and_settled, cluster_is_ready};

#[tokio::test]
async fn after_every_app_is_stopped_nothing_of_any_is_left() {
    cluster_is_ready().await;
    let user = User::admin().await.unwrap();
    let instances = user.does(&["apps"]).await.unwrap();
    for instance in instances.as_array().into_iter().flatten() {
        if instance["state"] != "stopped" {
            let name = instance["name"].as_str().unwrap();
            user.does(&["stop", name]).await.unwrap();
        }
    }
    all_is_true_and_settled().await;
    wait::until("nothing is left", SOON, async || truth::read().await?.is_empty()).await.unwrap();
}
