//! Who stands by takes over: within 10 s after the session of a leader has ended the other instance leads.

use std::sync::Arc;
use std::time::Duration;

use common::record::epoch::EpochRecord;
use common::record::{self, path};
use common::service::ServiceName;

use crate::checker::{Invariant, Violation};
use crate::plant::Plant;
use crate::run::{Kind, Plan, run};
use crate::services::{SERVICES, stand_by};
use crate::world::World;

const WITHIN: Duration = Duration::from_secs(10);
/// How long instances take to stand.
const STANDING: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How a leader goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// Its process ends.
    Crashes,
    /// The store takes it for dead, and it is not.
    LosesItsSession,
    /// It is not scheduled any more.
    Hangs,
}

impl Leave {
    pub const ALL: [Leave; 3] = [Leave::Crashes, Leave::LosesItsSession, Leave::Hangs];
}

/// Every service's leader goes in every way, while another instance stands by.
pub fn take_over(seed: u64, plant: Option<Plant>) -> Vec<Violation> {
    let all = SERVICES.into_iter().flat_map(|service| Leave::ALL.map(|how| (service, how)));
    let runs = all.map(|(service, how)| {
        let kind = Kind::TakeOver { service, how };
        run(&Plan { seed, kind, plant, story: false }).violations
    });
    runs.flatten().collect()
}

/// The last of a service's candidates.
fn last_candidate(world: &World, service: ServiceName) -> Option<String> {
    let folder = path::leaders(service);
    let records = world.truth.store.records(&folder).into_iter();
    records.filter(|(path, _)| *path != folder).map(|(path, _)| path.name().to_owned()).max()
}

fn led_by(world: &World, service: ServiceName) -> Option<String> {
    let records = world.truth.store.records(&path::epoch(service)).into_iter();
    let mut epochs = records.filter_map(|(_, value)| record::decode::<EpochRecord>(&value).ok());
    epochs.next().map(|epoch| epoch.taken_by)
}

/// A leader goes; says what is wrong unless the other instance leads in time.
pub(crate) async fn play(world: &Arc<World>, service: ServiceName, how: Leave) {
    world.stage.sleep(STANDING).await;
    let Some(leader) = world.life(service) else { return };
    let leads = led_by(world, service);
    stand_by(world, service);
    world.stage.sleep(STANDING).await;
    let stands = last_candidate(world, service).filter(|last| Some(last) != leads.as_ref());
    match how {
        Leave::Crashes => world.end(&leader, "it crashes"),
        Leave::LosesItsSession => {}
        Leave::Hangs => world.stage.pause(leader.number),
    }
    leader.session.expire();
    let ended = world.stage.now();
    let is_over = || Duration::from_micros(world.stage.now() - ended) > WITHIN;
    while stands.is_none() || led_by(world, service) != stands {
        if is_over() {
            let what = format!("{stands:?} of {service} did not lead within {WITHIN:?}");
            world.checker().violate(Invariant::I7Converge, what);
            return;
        }
        world.stage.sleep(LOOK_EVERY).await;
    }
    if how == Leave::Hangs {
        world.stage.resume(leader.number);
    }
}
