//! Orders that are on their way for long, and arrive after who gave them has ended.

use std::sync::Arc;
use std::time::Duration;

use common::service::ServiceName;

use crate::call::CallKind;
use crate::stage::Sleep;
use crate::world::World;

/// How often it is looked whether an order has set out.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// One of so many seeds, a storm that spares nobody, loses who keeps a bundle.
const BUNDLE_LOST_EVERY: u64 = 40;
const BUNDLE_LOST_AT: u64 = 21;

/// Whether an order of this kind has set out before the pause is over; it is on its way for long.
pub(crate) async fn sets_out(world: &World, kind: CallKind, pause: Sleep) -> bool {
    world.faults().stray = Some(kind);
    let set_out = async {
        while world.faults().stray.is_some() {
            world.stage.sleep(LOOK_EVERY).await;
        }
    };
    tokio::select! {
        biased;
        () = set_out => true,
        () = pause => {
            world.faults().stray = None;
            false
        }
    }
}

/// In some seeds the app manager ends while a bundle is on its way to where it is kept: chance alone would not do.
pub(crate) fn lose_who_keeps_a_bundle(world: &Arc<World>, seed: u64, within: Duration) {
    if seed % BUNDLE_LOST_EVERY != BUNDLE_LOST_AT {
        return;
    }
    let (world, stage) = (Arc::clone(world), Arc::clone(&world.stage));
    stage.spawn(0, async move {
        let pause = world.stage.sleep(within);
        if !sets_out(&world, CallKind::BlobsPut, pause).await {
            return;
        }
        if let Some(life) = world.life(ServiceName::AppManager) {
            world.end(&life, "it crashes");
        }
    });
}
