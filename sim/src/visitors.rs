//! Visitors: those who look whether they are answered, and those whose requests the edge counts, which tells a good release
//! from a bad one.

use std::sync::Arc;
use std::time::Duration;

use common::name::LegacyName;

use crate::checker::Demand;
use crate::world::{Truth, World};

/// How often a visitor asks at every front port.
const LOOK_EVERY: Duration = Duration::from_millis(97);

const ASK_EVERY: Duration = Duration::from_millis(200);
/// How often each replica is asked each time.
const REQUESTS: usize = 6;
const TOOK: Duration = Duration::from_millis(5);

/// A visitor asks at every front port, as long as the run lasts.
pub(crate) fn look(world: &Arc<World>, demand: Demand) {
    world.checker().visits.demand = demand;
    if demand == Demand::Nothing {
        return;
    }
    let asking = Arc::clone(world);
    world.stage.spawn(0, async move {
        loop {
            asking.stage.sleep(LOOK_EVERY).await;
            let now = asking.stage.now();
            asking.checker().ask_doors(&asking.truth, now);
        }
    });
}

/// Asks for an instance as long as the run lasts.
pub(crate) fn ask_for(world: &Arc<World>, instance: LegacyName) {
    let asking = Arc::clone(world);
    world.stage.spawn(0, async move {
        loop {
            asking.stage.sleep(ASK_EVERY).await;
            ask(&asking.truth, &instance);
        }
    });
}

/// Asks each replica equally often. Where one does not listen nobody is asked: what the edge makes of that says nothing
/// of a release.
fn ask(truth: &Truth, instance: &LegacyName) {
    let Some(row) = truth.edge.row(instance) else { return };
    let errs = |address| truth.listener(address).map(|found| truth.errs(&found.image));
    let found = row.upstreams.iter().map(|one| Some((one.address(), errs(one.address())?)));
    let Some(found) = found.collect::<Option<Vec<_>>>() else { return };
    for _ in 0..found.len() * REQUESTS {
        let Some((_, address)) = truth.edge.begin_request(row.front_port) else { return };
        let is_bad = found.iter().any(|(one, errs)| *one == address && *errs);
        truth.edge.end_request_with(address, if is_bad { 500 } else { 200 }, TOOK);
    }
}
