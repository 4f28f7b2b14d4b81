//! What opens shares, where a lifecycle manager's machine is down when it changes.

use bootstrapper::description::Description;
use bootstrapper::{Novelty, Plan, plan};
use common::name::NodeName;
use rollout::parts::Credentials;
use testkit::machines::Fault;

use crate::agents::GIVEN;
use crate::given::{kept_with_share, with_secret_in};
use crate::world::{Computer, World};

/// The secret that the lifecycle manager of a machine goes by, if it was given one since it was made.
fn secret(world: &World, number: u8) -> Option<String> {
    let file = world
        .hosts
        .with(&format!("192.0.2.1{number}"), |system| system.files.get(GIVEN).cloned())?;
    let credentials: Credentials = serde_json::from_slice(&file.bytes).unwrap();
    credentials.shares.into_values().next().unwrap().secret
}

async fn planned(world: &World, description: &Description) -> Plan {
    let Computer { ports, book, .. } = world.computer(3);
    plan(&ports, description, book.as_ref(), Novelty::Unsaid).await.unwrap()
}

/// A platform that keeps itself, whose second lifecycle manager's machine is off.
async fn one_is_off() -> World {
    let world = kept_with_share().await;
    world.machines.power_off(&"node-3".parse().unwrap());
    world
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_was_off_and_comes_up_is_given_them_at_once() {
    let world = one_is_off().await;
    let mut again = world.computer(2);
    again.description = with_secret_in("/ops/second.secret");
    again.apply().await.unwrap();
    let second = Some("content of /ops/second.secret".to_owned());
    assert_eq!([secret(&world, 2), secret(&world, 3)], [second.clone(), second]);
}

#[tokio::test(start_paused = true)]
async fn one_that_stays_off_is_open_in_the_plan_until_it_has_them() {
    let world = one_is_off().await;
    let file = with_secret_in("/ops/second.secret");
    let off: NodeName = "node-3".parse().unwrap();
    world.machines.fail_next([Fault::Refused]);
    let mut again = world.computer(2);
    again.description = file.clone();
    let troubles = again.apply().await.unwrap_err();
    assert_eq!(troubles.len(), 1, "{troubles:?}");
    assert_eq!(troubles[0].machine.as_ref(), Some(&off));
    assert!(secret(&world, 2).is_some() && secret(&world, 3).is_none());
    let unseen = planned(&world, &file).await;
    assert!(unseen.to_be_given.is_empty() && !unseen.is_done());
    let [trouble] = unseen.unseen.as_slice() else { panic!("{unseen:?}") };
    assert_eq!(trouble.machine.as_ref(), Some(&off));
    assert_eq!((trouble.code, trouble.hint.as_str()), ("MACHINE_UNREACHABLE", "start it"));
    // Somebody switches it on by hand.
    world.computer(2).ports.backends["local"].start(&off).await.unwrap();
    let open = planned(&world, &file).await;
    assert!(open.kept_by_lifecycle_manager && !open.is_done());
    assert_eq!((open.to_be_given, open.unseen), (vec![off], Vec::new()));
    let mut last = world.computer(2);
    last.description = file.clone();
    last.apply().await.unwrap();
    assert_eq!(secret(&world, 2), secret(&world, 3));
    let done = planned(&world, &file).await;
    assert!(done.is_done(), "{done:?}");
}
