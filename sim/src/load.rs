//! What the replicas of one app take of their limits: little, much, now this and now that, or what no agent could have
//! measured.

use std::sync::Arc;
use std::time::Duration;

use crate::dice::Dice;
use crate::script::{BALANCED, app};
use crate::world::World;

const APPLY_EVERY: Duration = Duration::from_millis(250);

/// The bounds of the app, and for how long it is left alone after it got a replica: as its bundles say it.
pub(crate) const MOST: u32 = 4;
pub(crate) const COOLDOWN: Duration = Duration::from_secs(2);

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Load {
    #[default]
    Calm,
    Busy,
    Nonsense,
}

impl Load {
    /// Of its processor, in percent: less than nothing where a counter went back.
    fn percent(self) -> f64 {
        match self {
            Load::Calm => 20.0,
            Load::Busy => 95.0,
            Load::Nonsense => -95.0,
        }
    }
}

/// Varies it for a while; then it stays calm.
pub(crate) fn vary(world: &Arc<World>, dice: &mut Dice, within: Duration) {
    let (varying, mut dice) = (Arc::clone(world), dice.fork());
    world.stage.spawn(0, async move {
        let until = varying.stage.now() + u64::try_from(within.as_micros()).unwrap_or(u64::MAX);
        while varying.stage.now() < until {
            let load = *dice.one_of(&[Load::Calm, Load::Busy, Load::Busy, Load::Nonsense]);
            let lasts =
                if dice.happens(4000) { dice.millis(300, 1200) } else { dice.millis(2000, 12_000) };
            hold(&varying, load, lasts).await;
        }
        loop {
            hold(&varying, Load::Calm, Duration::from_mins(1)).await;
        }
    });
}

async fn hold(world: &World, load: Load, lasts: Duration) {
    world.checker().load_is(load, world.stage.now());
    let until = world.stage.now() + u64::try_from(lasts.as_micros()).unwrap_or(u64::MAX);
    let balanced = app(BALANCED);
    while world.stage.now() < until {
        for agent in &world.truth.agents {
            for container in world.truth.nodes.containers(&agent.node) {
                if container.instance.app_part().to_string() == balanced.as_str() {
                    let percent = load.percent();
                    world.truth.nodes.set_container_use(
                        &agent.node,
                        &container.name,
                        percent,
                        10.0,
                    );
                }
            }
        }
        world.stage.sleep(APPLY_EVERY).await;
    }
}
