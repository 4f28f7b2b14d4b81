//! Waiting until all is calm, with a bound.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::checker::{Invariant, Violation};
use crate::script::Tally;
use crate::world::World;

/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Waits until nothing is wrong, twice in a row; says whether it came to that.
pub(crate) async fn drain(
    world: &Arc<World>,
    tally: &Tally,
    within: Duration,
    look: impl Fn(&World) -> Result<(), Violation>,
) -> bool {
    let mut good = 0;
    let mut last = None;
    let deadline = world.stage.now() + u64::try_from(within.as_micros()).unwrap_or(u64::MAX);
    while world.stage.now() < deadline {
        world.stage.sleep(LOOK_EVERY).await;
        world.observe();
        let open = tally.open.load(Ordering::Relaxed);
        if open > 0 {
            good = 0;
            continue;
        }
        match look(world) {
            Ok(()) => good += 1,
            Err(violation) => {
                good = 0;
                last = Some(violation);
            }
        }
        if good == 2 {
            world.tell(format_args!("all is calm"));
            return true;
        }
    }
    let wrong = last.unwrap_or_else(|| {
        let what = "somebody has no answer".to_owned();
        Violation::new(Invariant::I1NoLostCommand, what)
    });
    world.tell(format_args!("VIOLATION {wrong}"));
    world.checker().violate(wrong.invariant, wrong.what);
    false
}
