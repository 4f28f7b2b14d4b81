//! Bounds that the platform says for apps that say none.

use common::message::LoadBalancerCommand;
use common::record::path;
use serde_json::json;

use crate::balance::{Platform, instance, seconds};
use crate::world::{name, until};

#[tokio::test(start_paused = true)]
async fn an_app_that_says_no_bounds_has_those_of_the_platform_where_there_are_any() {
    let mut platform = Platform::of(None);
    platform.world.config.default_bounds = Some((1, 3));
    platform.serves(2).await;
    let world = &platform.world;
    world.write(&path::instance(&name("shop")), &instance(2));
    platform
        .live(async || {
            seconds(10).await;
            let told = world.value(&path::usual_bounds()).unwrap();
            assert_eq!((&told["min"], &told["max"]), (&json!(1), &json!(3)));
            platform.load(1, 95.0);
            until("a third replica is wanted", || platform.wanted() == Some(3)).await;
            assert_eq!(platform.kinds(), ["processor"]);
            platform.load(1, 10.0);
            platform.load(2, 10.0);
            platform.serves(3).await;
            until("two are wanted", || platform.wanted() == Some(2)).await;
            platform.serves(2).await;
            seconds(1000).await;
            assert_eq!(platform.wanted(), Some(2), "as many as were asked for at first");
            world.send(5, &LoadBalancerCommand::Scale { instance: name("shop"), replicas: 4 });
            let refusal = "not done scale app$shop$4 Error - REPLICAS_OUT_OF_BOUNDS: the platform, for apps that say no bounds, allows from 2 to 3 replicas, not 4";
            assert_eq!(world.told(3).await[2], refusal);
        })
        .await;
    platform.world.config.default_bounds = None;
    let world = &platform.world;
    let is_told = || world.value(&path::usual_bounds()).is_some();
    platform.live(async || until("nobody is told of bounds", || !is_told()).await).await;
}
