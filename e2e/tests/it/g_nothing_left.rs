//! After all that, nothing is left: no container, network, lease, route, registry entry or slot.

use e2e::platform::User;
use e2e::truth;
use e2e::wait;

use crate::{SOON, cluster_is_ready};

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
    wait::until("nothing is left", SOON, async || truth::read().await?.is_empty()).await.unwrap();
}
