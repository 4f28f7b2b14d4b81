//! A machine of the description is drained: its replicas are made on others first, and what the platform has on it goes on.

use anyhow::ensure;
use e2e::load::Crowd;
use e2e::wait;

use super::{SOON, WHOLE_WITHIN, all_is_true, fleet_with_app, homes};

const APP: &str = "emptied";

#[tokio::test]
async fn a_described_machine_is_drained_and_its_services_go_on() {
    let (fleet, url) = fleet_with_app(APP).await;
    let user = fleet.admin(SOON).await.unwrap();
    let home = homes(&user, APP).await.unwrap().pop().unwrap();
    let before = fleet.starts().await.unwrap();
    let crowd = Crowd::start(&url, 2, APP);
    let drained = user.does(&["nodes", "drain", &home]).await;
    let elsewhere = async || {
        let homes = homes(&user, APP).await?;
        ensure!(homes.len() == 2 && !homes.contains(&home), "{homes:?}");
        Ok(())
    };
    let moved = wait::until("both serve elsewhere", WHOLE_WITHIN, elsewhere).await;
    let after = fleet.starts().await;
    // Whatever went wrong, the next trials need it.
    user.does(&["nodes", "return", &home]).await.unwrap();
    let told = drained.unwrap();
    assert_eq!(told["state"], "drained", "{told}");
    moved.unwrap();
    assert_eq!(after.unwrap()[&home], before[&home], "the platform's own on {home} is another");
    let tally = crowd.finish_without_failure().await.unwrap();
    assert!(tally.answered > 100, "{tally:?}");
    fleet.whole(WHOLE_WITHIN).await.unwrap();
    all_is_true(&fleet).await;
    user.does(&["stop", APP]).await.unwrap();
}
