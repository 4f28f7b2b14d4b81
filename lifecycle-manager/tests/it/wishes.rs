//! Wishes are followed as they come.

use std::time::Duration;

use tokio::time::Instant;

use crate::world::World;

#[tokio::test(start_paused = true)]
async fn a_wish_does_not_wait_for_the_next_look_at_all_records() {
    let world = World::new();
    world
        .during(async {
            world.until_calm().await;
            for nodes in [&["node-2"][..], &["node-2", "node-3"], &[], &["node-1"]] {
                let began = Instant::now();
                world.wish(nodes, None);
                world.until_ready_on(nodes).await;
                assert!(
                    began.elapsed() < Duration::from_secs(4),
                    "{nodes:?}: {:?}",
                    began.elapsed()
                );
            }
        })
        .await;
}
