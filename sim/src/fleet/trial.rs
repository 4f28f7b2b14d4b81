//! One bad day of a fleet that is well otherwise, and what must come of it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use common::id::RequestId;
use common::message::{Event, LifecycleCommand};
use common::service::ServiceName;
use common::topic::Topic;

use super::{chaos, lie};
use crate::checker::Invariant;
use crate::dice::Dice;
use crate::world::World;

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trial {
    /// The leading lifecycle manager is not scheduled for 30 s, in the middle of a restart.
    LeaderPaused,
    /// Monitoring sees nobody for 40 s.
    MonitoringBlind,
    /// Somebody asks for the restart of everything.
    AllSaidDead,
}

impl Trial {
    pub const ALL: [Trial; 3] = [Trial::LeaderPaused, Trial::MonitoringBlind, Trial::AllSaidDead];
}

/// For how long monitoring sees nobody.
const BLINDNESS: Duration = Duration::from_secs(40);
/// How long what follows takes.
const AFTERMATH: Duration = Duration::from_secs(40);

/// Has it happen, and says what should not have come of it.
pub(super) async fn play(world: &Arc<World>, dice: &mut Dice, trial: Trial) {
    let before = world.checker().restarts();
    let told = alarms(world);
    match trial {
        Trial::LeaderPaused => {
            let service = ServiceName::NodeManager;
            let name = service.registry_name().to_owned();
            lie::ask(world, dice, &LifecycleCommand::RestartService { service: name });
            // It has begun by then, and has not ended.
            world.stage.sleep(dice.millis(2000, 4500)).await;
            chaos::pause_leader(world, ServiceName::LifecycleManager).await;
            world.stage.sleep(AFTERMATH).await;
        }
        Trial::MonitoringBlind => {
            lie::set_blind(world, true);
            world.stage.sleep(BLINDNESS).await;
            demand_alarm(world, &told);
            lie::set_blind(world, false);
            world.stage.sleep(AFTERMATH).await;
            demand_nothing(world, before);
        }
        Trial::AllSaidDead => {
            lie::say_that_all_is_dead(world, dice);
            world.stage.sleep(AFTERMATH).await;
            demand_alarm(world, &told);
            demand_nothing(world, before);
        }
    }
}

/// The incidents that somebody was told of.
fn alarms(world: &World) -> BTreeSet<RequestId> {
    let messages = world.truth.bus.messages(Topic::FirstTopic).into_iter();
    let alarms = messages.filter(|one| matches!(Event::decode(&one.msg), Ok(Event::Alert { .. })));
    alarms.map(|one| one.request_id).collect()
}

fn demand_alarm(world: &World, before: &BTreeSet<RequestId>) {
    if alarms(world).is_subset(before) {
        let what = "everything looked dead, and nobody was told".to_owned();
        world.checker().violate(Invariant::P4BrakeHolds, what);
    }
}

fn demand_nothing(world: &World, before: u64) {
    let restarts = world.checker().restarts() - before;
    if restarts > 0 {
        let what = format!("{restarts} parts and machines were restarted that were well");
        world.checker().violate(Invariant::P4BrakeHolds, what);
    }
}
