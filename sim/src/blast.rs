//! I11: what one app does wrong delays no other app. Two runs of the same wishes are compared, one of
//! them beside an app that does everything wrong.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use common::message::DeploymentCommand;
use common::name::LegacyName;
use common::port::bus::Record;
use common::topic::Topic;

use crate::checker::{Invariant, Violation};
use crate::dice::Dice;
use crate::plant::Plant;
use crate::run::{Kind, Plan, Scenario, run};
use crate::script::{app, request};
use crate::user::{self, Wish, image, inject};
use crate::world::World;

/// How much later another app may be deployed, in simulated time.
const MOST: Duration = Duration::from_secs(1);
/// Just before the other app is asked for.
const MOMENT: Duration = Duration::from_millis(1900);
/// How many records of each kind of nonsense stand in every topic.
const RECORDS: usize = 20;

/// Deploys an app twice, alone and beside poison, and compares when it was told to run.
pub fn blast_radius(seed: u64, plant: Option<Plant>) -> Vec<Violation> {
    let plan = |poisoned| {
        let faults = Scenario { replicas: 2, poisoned, ..Scenario::default() };
        Plan { seed, kind: Kind::Single { faults: Box::new(faults) }, plant, story: false }
    };
    let (alone, beside) = (run(&plan(false)), run(&plan(true)));
    let name = LegacyName::from(common::name::InstanceName::from(app(1)));
    let mut violations = [alone.violations, beside.violations].concat();
    let late = match (alone.deployed.get(&name), beside.deployed.get(&name)) {
        (Some(alone), Some(beside)) if *beside <= *alone + MOST => return violations,
        (alone, beside) => format!("{name} ran after {alone:?} alone, {beside:?} beside poison"),
    };
    violations.push(Violation::new(Invariant::I11BlastRadius, late));
    violations
}

/// Nonsense in every topic, an app that ends as soon as it runs, and one whose image nobody has.
pub(crate) fn poison(world: Arc<World>, dice: &mut Dice) -> impl Future<Output = ()> + use<> {
    let [release, deploy, again, nobodys] = std::array::from_fn(|_| request(dice));
    async move {
        world.stage.sleep(MOMENT).await;
        let nonsense: [&'static [u8]; 4] =
            [b"", b"{", b"\xff\xfe", b"{\"to_topic\":\"NodeManager\",\"request_id\":7}"];
        for topic in
            [Topic::DeploymentManager, Topic::NodeManager, Topic::LoadBalancer, Topic::FirstTopic]
        {
            for payload in nonsense.iter().flat_map(|one| std::iter::repeat_n(*one, RECORDS)) {
                let payload = Bytes::from_static(payload);
                world
                    .truth
                    .bus
                    .inject_record(topic, Record { key: None, headers: Vec::new(), payload });
            }
        }
        let ill = app(2);
        world.truth.nodes.offer_image(&image(&ill, 1));
        world.truth.crashing.lock().expect("nobody panics").insert(image(&ill, 1));
        let made = Wish::Release { app: ill.clone(), number: 1, bundle: false };
        user::insist(&world, made, release).await;
        let wish = Wish::Deploy { app: ill, instance: None, replicas: Some(3) };
        user::insist(&world, wish.clone(), deploy).await;
        user::insist(&world, wish, again).await;
        let stranger = LegacyName::from(common::name::InstanceName::from(app(5)));
        inject(&world, &DeploymentCommand::Deploy { instance: stranger }, nobodys);
    }
}
